//! What every publisher works at: the outbox of one home, held by one program at a time.
//!
//! **Invariant:** what is on record under another id than its own is not handed in: the answer would be about that one.

use std::{fs::File, io, sync::Arc};

use receipts::{bundle::RECEIPT, dsse::Envelope, ledger::submission::Submission};

use super::{
    AskError, PublishError, Way,
    address::{Address, address, shown},
};
use crate::{
    clock::Clock,
    journal::{Journal, LedgerRow, OutboxChange, Outgoing},
    signer::read_bundle,
};

/// The outbox of a home, held.
#[derive(Debug)]
pub(super) struct Desk {
    pub journal: Arc<Journal>,
    clock: Clock,
    _lock: File,
}

/// What a publisher opens with.
pub(super) struct Opening {
    pub desk: Desk,
    pub way: Way,
    pub address: Address,
    /// What was pinned before.
    pub known: Option<LedgerRow>,
}

impl Opening {
    /// Holds the outbox, and finds where receipts go.
    pub async fn new(journal: Arc<Journal>, clock: Clock, way: Way) -> Result<Self, PublishError> {
        let home = journal.reader().home().clone();
        let path = home.publisher_lock();
        let lock = home.hold_publisher().map_err(|source| match source.kind() {
            io::ErrorKind::WouldBlock => PublishError::Taken,
            _other => PublishError::Lock { path, source },
        })?;
        let known = journal.reader().ledger().await?;
        let url = way.url.clone().or_else(|| known.as_ref().map(|known| known.url.clone()));
        let url = url.ok_or(PublishError::NoLedger)?;
        let address = address(&url).ok_or_else(|| AskError::Address { url: shown(&url) })?;
        Ok(Self { desk: Desk { journal, clock, _lock: lock }, way, address, known })
    }
}

impl Desk {
    /// Makes a change durable, where it changes anything.
    pub async fn change(&self, change: OutboxChange) -> Result<(), PublishError> {
        let change = OutboxChange { now_ms: self.clock.now_ms(), ..change };
        let nothing = OutboxChange { now_ms: change.now_ms, ..OutboxChange::default() };
        if change == nothing {
            return Ok(());
        }
        Ok(self.journal.change_outbox(change).await?)
    }
}

/// What is handed in of a receipt, and its size in bytes; none for what does not read.
pub(super) fn submission(outgoing: &Outgoing, log: &str) -> Option<(Submission, usize)> {
    let bundle = read_bundle(&outgoing.bundle)?;
    let own = Envelope::parse(bundle.0.get(RECEIPT)?).ok()?.id();
    if own != outgoing.receipt_id {
        return None;
    }
    let submission = Submission::from_bundle(&bundle, log)?;
    let size = serde_json::to_vec(&submission).ok()?.len() + 1;
    Some((submission, size))
}
