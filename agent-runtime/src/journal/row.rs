//! What goes into the journal and what comes out: plain values, no behaviour.
//!
//! **Invariant:** a fact's body is bytes here. Nothing in this module reads it, so a fact the program adds tomorrow is
//! stored as well as today's.
//! **Invariant:** no debug form shows an attempt's key.

use common_ground::{AttemptNumber, Epoch, ModuleId, RunId};
use receipts::Digest;
use uuid::Uuid;
use zeroize::Zeroizing;

/// Which attempt's stream a fact belongs to, and under which epoch its writer worked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptStream {
    /// The module.
    pub module: ModuleId,
    /// The attempt's number.
    pub attempt: u32,
    /// The epoch of the attempt's lease.
    pub epoch: u64,
}

impl AttemptStream {
    /// The stream as the chain of a run has it.
    pub fn place(self) -> (ModuleId, AttemptNumber, Epoch) {
        (self.module, AttemptNumber(self.attempt), Epoch(self.epoch))
    }
}

/// A fact to append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactRow {
    /// The attempt it belongs to; `None` for the run's own stream.
    pub attempt: Option<AttemptStream>,
    /// When, in milliseconds since the Unix epoch, as its command said.
    pub at_ms: u64,
    /// The fact, as the program encodes it.
    pub body: Vec<u8>,
}

/// A content and its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// SHA-256 of `bytes`.
    pub digest: Digest,
    /// The content.
    pub bytes: Vec<u8>,
}

/// The secret of one attempt, from which its salts are derived. `Zeroizing` keeps it out of debug forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptKey {
    /// The module.
    pub module: ModuleId,
    /// The attempt's number.
    pub attempt: u32,
    /// 32 secret bytes, wiped from memory on drop.
    pub key: Zeroizing<[u8; 32]>,
}

/// A sealed receipt with the envelope that proves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptRow {
    /// The accepted module.
    pub module: ModuleId,
    /// The receipt's id.
    pub receipt_id: Digest,
    /// What must be credited once only.
    pub nullifier: Digest,
    /// The bundle, as the program encodes it.
    pub bundle: Vec<u8>,
}

/// The receipt of an ingest, which lies beside its collection, on its way to the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngestRow {
    /// The collection's name.
    pub collection: String,
    /// The revision that the ingest led to.
    pub revision: u64,
    /// The receipt's id.
    pub receipt_id: Digest,
    /// What must be credited once only.
    pub nullifier: Digest,
    /// The bundle, as the program encodes it.
    pub bundle: Vec<u8>,
}

/// Everything one decision makes durable, all of it or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The run.
    pub run: RunId,
    /// The epoch of the writer's lease.
    pub epoch: u64,
    /// Sequence number of the first fact: the stored head plus one (the first fact of a run is 1).
    pub first_seq: u64,
    /// The facts, in order.
    pub facts: Vec<FactRow>,
    /// Contents that the facts name.
    pub blobs: Vec<Blob>,
    /// Keys of attempts that begin.
    pub attempt_keys: Vec<AttemptKey>,
    /// Receipts of modules accepted; each also queues an outbox row.
    pub receipts: Vec<ReceiptRow>,
    /// Inbox messages that these facts answer; they leave the inbox with this batch.
    pub inbox_done: Vec<i64>,
}

impl Batch {
    /// A batch with nothing in it yet.
    pub fn new(run: RunId, epoch: u64, first_seq: u64) -> Self {
        Self {
            run,
            epoch,
            first_seq,
            facts: Vec::new(),
            blobs: Vec::new(),
            attempt_keys: Vec::new(),
            receipts: Vec::new(),
            inbox_done: Vec::new(),
        }
    }
}

/// A fact as it was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Its place in the run, from 1.
    pub seq: u64,
    /// When.
    pub at_ms: u64,
    /// Its attempt's stream, if it has one.
    pub attempt: Option<AttemptStream>,
    /// The fact's bytes.
    pub body: Vec<u8>,
    /// Its link in the run's chain.
    pub link: Digest,
}

/// Who holds a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holding {
    /// The holder.
    pub holder: Uuid,
    /// When the lease was taken or last renewed.
    pub acquired_ms: u64,
    /// How long it holds from then.
    pub ttl_ms: u64,
}

/// A lease in hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The run.
    pub run: RunId,
    /// The fencing number for every batch written under this lease.
    pub epoch: u64,
    /// When it runs out unless renewed.
    pub until_ms: u64,
}

/// One run, as the list of runs shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunRow {
    /// The run.
    pub run: RunId,
    /// When its first lease was taken.
    pub created_ms: u64,
    /// The last fact's sequence number; 0 for none.
    pub head_seq: u64,
    /// The highest lease epoch given.
    pub epoch: u64,
    /// Who holds it, if anybody.
    pub lease: Option<Holding>,
}
