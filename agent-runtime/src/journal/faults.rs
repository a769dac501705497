//! A test instrument: a store that fails, or ends the process, at a stated append. Public so that the program's own crash
//! tests can wire it; nothing else should.
//!
//! **Invariant:** appends without a fault in the plan, and everything that is no append, pass through unchanged.

use std::ops::Deref;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use common_ground::{ModuleId, RunId};
use receipts::Digest;
use zeroize::Zeroizing;

use super::error::JournalError;
use super::row::{Batch, Lease, Recorded};
use super::store::{Store, Stored};

/// What goes wrong at an append. Appends are counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The process is killed (SIGKILL) before the append.
    KillBefore(u64),
    /// The process is killed after the append is durable, before its caller learns so.
    KillAfter(u64),
    /// The append is stored and yet reported as failed (as if busy).
    ErrorButDone(u64),
    /// The append fails as on a full disk; nothing is stored.
    Full(u64),
    /// The append fails as if another process kept the lock; nothing is stored.
    Busy(u64),
}

/// A store with a plan of faults around another store, held by a pointer (`Arc`, `Box`).
#[derive(Debug)]
pub struct FaultyStore<S> {
    inner: S,
    plan: Vec<Fault>,
    appends: AtomicU64,
}

impl<S> FaultyStore<S> {
    /// Wraps `inner` with `plan`.
    pub fn new(inner: S, plan: Vec<Fault>) -> Self {
        Self { inner, plan, appends: AtomicU64::new(0) }
    }

    /// The store inside.
    pub fn inner(&self) -> &S {
        &self.inner
    }
}

/// Kills this process as a power cut would. Through `kill`, since unsafe code is forbidden here.
fn kill_self() {
    let pid = std::process::id().to_string();
    if let Err(error) = Command::new("kill").args(["-9", &pid]).status() {
        tracing::error!(%error, "kill could not be run");
    }
    // Reached only without a `kill` program: an abort is the nearest thing, no destructor runs.
    std::process::abort();
}

impl<S> Store for FaultyStore<S>
where
    S: Deref<Target: Store> + Send + Sync,
{
    fn append(&self, batch: Batch) -> Stored<'_, u64> {
        Box::pin(async move {
            let number = self.appends.fetch_add(1, Ordering::Relaxed) + 1;
            for fault in &self.plan {
                match *fault {
                    Fault::KillBefore(at) if at == number => kill_self(),
                    Fault::Full(at) if at == number => return Err(JournalError::Full { path: "fault".into() }),
                    Fault::Busy(at) if at == number => return Err(JournalError::Busy),
                    Fault::KillBefore(_) | Fault::KillAfter(_) | Fault::ErrorButDone(_) => {}
                    Fault::Full(_) | Fault::Busy(_) => {}
                }
            }
            let head = self.inner.append(batch).await?;
            for fault in &self.plan {
                match *fault {
                    Fault::KillAfter(at) if at == number => kill_self(),
                    Fault::ErrorButDone(at) if at == number => return Err(JournalError::Busy),
                    Fault::KillBefore(_) | Fault::KillAfter(_) | Fault::ErrorButDone(_) => {}
                    Fault::Full(_) | Fault::Busy(_) => {}
                }
            }
            Ok(head)
        })
    }

    fn acquire(&self, run: RunId, now_ms: u64, ttl_ms: u64) -> Stored<'_, Lease> {
        self.inner.acquire(run, now_ms, ttl_ms)
    }

    fn renew(&self, lease: Lease, now_ms: u64, ttl_ms: u64) -> Stored<'_, Lease> {
        self.inner.renew(lease, now_ms, ttl_ms)
    }

    fn release(&self, lease: Lease) -> Stored<'_, ()> {
        self.inner.release(lease)
    }

    fn load(&self, run: RunId) -> Stored<'_, Vec<Recorded>> {
        self.inner.load(run)
    }

    fn send(&self, run: RunId, body: Vec<u8>) -> Stored<'_, i64> {
        self.inner.send(run, body)
    }

    fn inbox(&self, run: RunId) -> Stored<'_, Vec<(i64, Vec<u8>)>> {
        self.inner.inbox(run)
    }

    fn blob(&self, digest: Digest) -> Stored<'_, Option<Vec<u8>>> {
        self.inner.blob(digest)
    }

    fn attempt_key(&self, run: RunId, module: ModuleId, attempt: u32) -> Stored<'_, Option<Zeroizing<[u8; 32]>>> {
        self.inner.attempt_key(run, module, attempt)
    }
}
