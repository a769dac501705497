//! The port through which a driver stores and reads: small enough that a fault-injecting wrapper is a page long.
//!
//! **Invariant:** an append that returned `Ok` is on disk. One that returned an error may be on disk too (the error can
//! come after the commit): the caller reloads the run and continues from what it finds. A blind retry is answered with
//! [`JournalError::OutOfOrder`](super::JournalError::OutOfOrder), never stored twice.

use common_ground::{ModuleId, RunId};
use futures_core::future::BoxFuture;
use receipts::Digest;
use zeroize::Zeroizing;

use super::error::JournalError;
use super::row::{Batch, Lease, Recorded};

/// A future that a `Store` gives.
pub type Stored<'a, T> = BoxFuture<'a, Result<T, JournalError>>;

/// What a driver needs of storage.
pub trait Store: Send + Sync {
    /// Makes a batch durable, all or nothing; gives the new head.
    fn append(&self, batch: Batch) -> Stored<'_, u64>;
    /// Takes a run for this process.
    fn acquire(&self, run: RunId, now_ms: u64, ttl_ms: u64) -> Stored<'_, Lease>;
    /// Keeps it.
    fn renew(&self, lease: Lease, now_ms: u64, ttl_ms: u64) -> Stored<'_, Lease>;
    /// Gives it up.
    fn release(&self, lease: Lease) -> Stored<'_, ()>;
    /// All facts of a run with the chain verified; empty for an unknown run.
    fn load(&self, run: RunId) -> Stored<'_, Vec<Recorded>>;
    /// Puts a message into a run's inbox; gives its id.
    fn send(&self, run: RunId, body: Vec<u8>) -> Stored<'_, i64>;
    /// The messages waiting, oldest first. They stay until a batch names them in `inbox_done`.
    fn inbox(&self, run: RunId) -> Stored<'_, Vec<(i64, Vec<u8>)>>;
    /// A content by its digest; `None` when it was never stored.
    fn blob(&self, digest: Digest) -> Stored<'_, Option<Vec<u8>>>;
    /// The secret of an attempt.
    fn attempt_key(&self, run: RunId, module: ModuleId, attempt: u32) -> Stored<'_, Option<Zeroizing<[u8; 32]>>>;
}
