//! The journal: facts, contents, keys, receipts, leases and messages of every run of one home, in SQLite.
//!
//! Pure storage. Facts are bytes with a place, a time and a stream; what they mean is the core's affair.
//! One file per home (`journal.sqlite`, write-ahead log, `synchronous=FULL`), one writing task per process, other
//! processes beside it. This module reads no clock and makes no ids: both are arguments.
//!
//! **Invariant:** an append is one transaction, refused whole when its epoch, its attempt epochs or its first sequence
//! number do not fit; what returned `Ok` survives the death of the process and of the machine.
//! **Invariant:** a changed, removed or moved fact, and a cut-off tail, is reported as damage with run and place.
//! **Invariant:** nothing outside this folder speaks SQL to the journal.

mod append;
mod backup;
mod blob;
mod error;
pub mod faults;
mod lease;
mod outbox;
mod read;
mod remove;
mod row;
mod schema;
mod store;
mod writer;

use std::path::Path;

use common_ground::{ModuleId, RunId};
use receipts::Digest;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;
use zeroize::Zeroizing;

pub use error::{Damage, JournalError};
pub use outbox::{LedgerRow, OutboxChange, OutboxCounts, OutboxRow, Outgoing, ReceiptOf};
pub use read::Reader;
pub use row::{
    AttemptKey, AttemptStream, Batch, Blob, FactRow, Holding, IngestRow, Lease, ReceiptRow, Recorded, RunRow,
};
pub use store::{Store, Stored};

use crate::home::{HolderLock, Home};
use append::Ready;
use blob::Form;
use writer::{Request, Writer};

/// An open journal: this process's writer and its readers.
///
/// Dropping it lets the writer finish what is queued and close; [`Journal::close`] waits for that and reports.
#[derive(Debug)]
pub struct Journal {
    reader: Reader,
    requests: mpsc::Sender<Request>,
    holder: Uuid,
    _alive: HolderLock,
}

impl Journal {
    /// Opens the journal of `home`, making home and schema where they are missing. `holder` is a new id of this process
    /// (or of this opening); its lock in the home is how others see that we live. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`JournalError::Newer`], [`JournalError::Unwritable`], [`JournalError::Damaged`], [`JournalError::Full`].
    pub async fn open(home: Home, holder: Uuid) -> Result<Self, JournalError> {
        home.create().map_err(|(path, error)| JournalError::io(&path, error))?;
        let alive = home.hold(holder).map_err(|error| JournalError::io(&home.locks(), error))?;
        let connection = schema::open(&home.journal()).await?;
        let reader = Reader::live(home.clone());
        let requests = Writer::start(home, holder, connection);
        Ok(Self { reader, requests, holder, _alive: alive })
    }

    /// Makes `home` from a backup file. Nobody holds a run of a restored home.
    ///
    /// # Errors
    /// [`JournalError::NotEmpty`] when the home has a journal; [`JournalError::Newer`] and [`JournalError::Damaged`]
    /// when the backup is one that cannot be used.
    pub async fn restore(home: &Home, from: &Path) -> Result<(), JournalError> {
        backup::restore(home, from).await
    }

    /// Who we are in leases.
    pub fn holder(&self) -> Uuid {
        self.holder
    }

    /// The questions that can be asked.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    async fn request<T>(
        &self,
        make: impl FnOnce(oneshot::Sender<Result<T, JournalError>>) -> Request,
    ) -> Result<T, JournalError> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(make(answer)).await.map_err(|_closed| JournalError::Closed)?;
        answered.await.map_err(|_closed| JournalError::Closed)?
    }

    /// Makes a batch durable, all of it or nothing; gives the new head.
    ///
    /// # Errors
    /// A refusal ([`JournalError::Fenced`], [`JournalError::AttemptFenced`], [`JournalError::OutOfOrder`],
    /// [`JournalError::Duplicate`], [`JournalError::WrongDigest`], [`JournalError::NoRun`]) stored nothing. After any
    /// other error the outcome is unknown: load the run again.
    pub async fn append(&self, mut batch: Batch) -> Result<u64, JournalError> {
        let packed = blob::pack_all(std::mem::take(&mut batch.blobs))?;
        let packed = if packed.iter().any(|content| content.form == Form::File) {
            let home = self.reader.home().clone();
            let write = move || -> Result<_, JournalError> {
                for content in packed.iter().filter(|content| content.form == Form::File) {
                    blob::write_file(&home, content)?;
                }
                Ok(packed)
            };
            tokio::task::spawn_blocking(write).await.map_err(|_cancelled| JournalError::Closed)??
        } else {
            packed
        };
        self.request(|answer| Request::Append(Box::new(Ready { batch, packed }), answer)).await
    }

    /// Takes a run for this process, making it if it is new. Every success raises the epoch, also over our own lease.
    ///
    /// # Errors
    /// [`JournalError::Held`] while another living holder's lease runs.
    pub async fn acquire(&self, run: RunId, now_ms: u64, ttl_ms: u64) -> Result<Lease, JournalError> {
        self.request(|answer| Request::Acquire { run, now_ms, ttl_ms, answer }).await
    }

    /// Keeps a run that nobody has taken over.
    ///
    /// # Errors
    /// [`JournalError::Fenced`] when somebody has.
    pub async fn renew(&self, lease: Lease, now_ms: u64, ttl_ms: u64) -> Result<Lease, JournalError> {
        self.request(|answer| Request::Renew { lease, now_ms, ttl_ms, answer }).await
    }

    /// Gives a run up.
    ///
    /// # Errors
    /// [`JournalError::Fenced`] when it was no longer ours.
    pub async fn release(&self, lease: Lease) -> Result<(), JournalError> {
        self.request(|answer| Request::Release { lease, answer }).await
    }

    /// Puts a message into a run's inbox, whoever holds the run; gives its id.
    ///
    /// # Errors
    /// [`JournalError::NoRun`].
    pub async fn send(&self, run: RunId, body: Vec<u8>) -> Result<i64, JournalError> {
        self.request(|answer| Request::Send { run, body, answer }).await
    }

    /// Deletes a run: facts, messages and contents nobody else names; its attempt keys are overwritten on disk. Receipts
    /// and their outbox rows stay.
    ///
    /// # Errors
    /// [`JournalError::Held`] while another living holder has it, [`JournalError::NoRun`]. [`JournalError::Busy`] also when
    /// the run is gone but a long reader kept the write-ahead log from being emptied: the keys leave it with the next
    /// deletion or the last close.
    pub async fn delete(&self, run: RunId, now_ms: u64) -> Result<(), JournalError> {
        self.request(|answer| Request::Delete { run, now_ms, answer }).await
    }

    /// Pins the ledger that receipts of this home go to, or says where the pinned one is asked now.
    ///
    /// # Errors
    /// The database's.
    pub async fn pin_ledger(&self, url: String, pinned: Vec<u8>) -> Result<(), JournalError> {
        self.request(|answer| Request::Pin { url, pinned, answer }).await
    }

    /// Forgets the pinned ledger: every receipt begins its way anew.
    ///
    /// # Errors
    /// The database's.
    pub async fn forget_ledger(&self) -> Result<(), JournalError> {
        self.request(Request::Forget).await
    }

    /// Makes durable what an answer of the ledger changes, all of it or nothing.
    ///
    /// # Errors
    /// The database's.
    pub async fn change_outbox(&self, change: OutboxChange) -> Result<(), JournalError> {
        self.request(|answer| Request::Outbox(Box::new(change), answer)).await
    }

    /// Puts receipts of ingests into the queue, those that were never there, and says how many that were. A receipt that claims
    /// what another one here claims is left out.
    ///
    /// # Errors
    /// The database's.
    pub async fn queue_ingests(&self, receipts: Vec<IngestRow>) -> Result<u64, JournalError> {
        self.request(|answer| Request::Queue(receipts, answer)).await
    }

    /// Puts receipts that were refused into the queue again, and says how many.
    ///
    /// # Errors
    /// The database's.
    pub async fn requeue_refused(&self) -> Result<u64, JournalError> {
        self.request(Request::Requeue).await
    }

    /// Writes the whole journal, large contents included, into the new file `to`. Appends go on meanwhile.
    ///
    /// # Errors
    /// [`JournalError::NotEmpty`] when `to` exists.
    pub async fn backup(&self, to: &Path) -> Result<(), JournalError> {
        backup::backup(&self.reader, to).await
    }

    /// Finishes what is queued, empties the write-ahead log and closes.
    ///
    /// # Errors
    /// What stood in the way; nothing acknowledged is lost by it.
    pub async fn close(self) -> Result<(), JournalError> {
        self.reader.close().await;
        self.request(Request::Close).await
    }
}

impl Store for Journal {
    fn append(&self, batch: Batch) -> Stored<'_, u64> {
        Box::pin(Journal::append(self, batch))
    }

    fn acquire(&self, run: RunId, now_ms: u64, ttl_ms: u64) -> Stored<'_, Lease> {
        Box::pin(Journal::acquire(self, run, now_ms, ttl_ms))
    }

    fn renew(&self, lease: Lease, now_ms: u64, ttl_ms: u64) -> Stored<'_, Lease> {
        Box::pin(Journal::renew(self, lease, now_ms, ttl_ms))
    }

    fn release(&self, lease: Lease) -> Stored<'_, ()> {
        Box::pin(Journal::release(self, lease))
    }

    fn load(&self, run: RunId) -> Stored<'_, Vec<Recorded>> {
        Box::pin(self.reader.load(run))
    }

    fn send(&self, run: RunId, body: Vec<u8>) -> Stored<'_, i64> {
        Box::pin(Journal::send(self, run, body))
    }

    fn inbox(&self, run: RunId) -> Stored<'_, Vec<(i64, Vec<u8>)>> {
        Box::pin(self.reader.inbox(run))
    }

    fn blob(&self, digest: Digest) -> Stored<'_, Option<Vec<u8>>> {
        Box::pin(self.reader.blob(digest))
    }

    fn attempt_key(&self, run: RunId, module: ModuleId, attempt: u32) -> Stored<'_, Option<Zeroizing<[u8; 32]>>> {
        Box::pin(self.reader.attempt_key(run, module, attempt))
    }
}
