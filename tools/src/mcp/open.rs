//! From a server of the settings to tools, in two steps that a person decides: that it is started at all, and that what it
//! lists is offered.
//!
//! **Invariant:** a server whose command or address was not approved, exactly as it is, is neither started nor asked.
//! **Invariant:** a listing that was not approved, exactly as it is, gives no tool.

use std::sync::Arc;

use receipts::Digest;

use super::{
    connection::Connection,
    listing::{Listing, Pin},
    server::Server,
    signs::Fault,
    tool::{Live, McpTool},
};
use crate::{
    egress::Dialler,
    jail::{Jail, Settings},
};

/// What all servers are spoken to with.
#[derive(Debug, Clone)]
pub struct Client {
    jail: Jail,
    dialler: Arc<Dialler>,
}

/// What came of opening a server.
#[derive(Debug)]
pub enum Opened {
    /// It was not started: the person has not approved it as it is.
    Unapproved {
        /// All there is to it, for the person. Approved, it is [`Pin::started`].
        shown: String,
        /// Its digest.
        digest: Digest,
        /// Whether something else of this name was approved before.
        was: Option<Digest>,
    },
    /// It was started and asked, and has no approved tools yet. Approved, they are [`Pin::listed`].
    New {
        /// What it lists.
        listing: Listing,
    },
    /// What it lists is not what was approved. Approved, it is [`Pin::listed`].
    Changed {
        /// Digest of what was approved.
        before: Digest,
        /// What it lists now.
        after: Listing,
        /// What differs, line by line.
        difference: String,
    },
    /// Its tools, as they were approved. It ends when the last of them is dropped.
    Tools(Vec<McpTool>),
}

impl Client {
    /// Starts servers in jails of these settings and asks others through this dialler.
    pub fn new(jail: Settings, dialler: Arc<Dialler>) -> Self {
        Self { jail: Jail::new(jail), dialler }
    }

    pub(super) fn jail(&self) -> &Jail {
        &self.jail
    }

    pub(super) fn dialler(&self) -> &Arc<Dialler> {
        &self.dialler
    }

    /// Opens a server, as far as `pin` lets it.
    ///
    /// # Errors
    /// It cannot be started or asked, or does not speak the protocol.
    pub async fn open(&self, server: &Server, pin: Option<&Pin>) -> Result<Opened, Fault> {
        let approved = match pin {
            Some(pin) if pin.server == server.text() => pin,
            other => {
                let was = other.map(|pin| Digest::of(pin.server.as_bytes()));
                return Ok(Opened::Unapproved { shown: server.shown(), digest: server.digest(), was });
            }
        };
        let (connection, listing) = Connection::open(self, server).await?;
        match &approved.listing {
            None => Ok(Opened::New { listing }),
            Some(text) if text == listing.text() => {
                Ok(Opened::Tools(Live::tools(self.clone(), server.clone(), listing, connection)))
            }
            Some(text) => {
                let difference = listing.difference(server.name(), text);
                Ok(Opened::Changed { before: Digest::of(text.as_bytes()), after: listing, difference })
            }
        }
    }
}
