//! The right to be the one who takes documents into a collection. It writes nothing.

use super::postgres;
use crate::{error::StoreError, lock::Lock};

/// Being the one ingest of a collection: in this home and, where a server keeps the records, of all machines.
pub(crate) struct Ingesting {
    pub(super) _files: Lock,
    pub(super) server: Option<postgres::Alone>,
}

impl Ingesting {
    /// Makes sure of it before something is made durable: the connection that the server's lock hangs on may be lost.
    pub(crate) async fn holds(&mut self) -> Result<(), StoreError> {
        match &mut self.server {
            None => Ok(()),
            Some(server) => server.holds().await,
        }
    }
}
