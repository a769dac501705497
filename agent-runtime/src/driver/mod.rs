//! The driver: takes commands, decides, appends, applies, publishes, and does what the core wants.
//!
//! One task owns a run's state and reads one closed set of events from bounded channels. Everything that runs beside it
//! is started in [`tasks`], and stopped there.
//!
//! **Invariant:** log, then act: a fact is published, and what follows from it started, only when it is on disk.
//! **Invariant:** a run has one writer; a driver whose lease was taken over ends without another fact.

mod book;
mod desk;
mod event;
mod flow;
mod fork;
mod inbox;
mod orders;
mod permits;
mod speech;
mod start;
mod tasks;
mod words;

use std::{sync::Arc, time::Duration};

use common_ground::{
    Command, Impossible, Millis, Refusal, RunId, StepIndex,
    budget::Amount,
    port::tool::Tool,
    report::Report,
    role::Roster,
    run::{Outcome, PauseReason, Task},
};
use receipts::Digest;
use tokio::sync::Notify;

pub use book::{Placed, placed, replay};
pub use desk::{Answer, Patience, Stop, ToolAnswer};
pub(crate) use desk::{Desk, request_digest};
pub use event::Message;
pub use fork::{Forked, bears_out, fork};
pub use orders::{Paper, Readers, obey};
pub use speech::{Listener, Said, Spoken, ask_alone};
pub use words::{LONGEST_WORD, tell};

use crate::{
    clock::Clock,
    journal::{Blob, JournalError, Lease, Store},
    models::RoleModels,
    signer::{SealError, Signer},
};

/// How long a driver's lease on a run lasts between renewals, in milliseconds.
pub const RUN_LEASE_MS: u64 = 10_000;
/// How often the inbox is looked into.
const INBOX_EVERY: Duration = Duration::from_millis(100);

/// Shown each fact once it is on disk.
pub type Observer = Box<dyn FnMut(&Placed, Option<&Report>) + Send + Sync>;

/// What a driver works with.
pub struct Parts {
    /// Where facts go.
    pub store: Arc<dyn Store>,
    /// The models that play the roles.
    pub models: RoleModels,
    /// Every tool there is.
    pub tools: Vec<Arc<dyn Tool>>,
    /// Identities and seals.
    pub signer: Arc<Signer>,
    /// The time.
    pub clock: Clock,
    /// Limits on calls.
    pub patience: Patience,
    /// How long the lease on the run lasts between renewals, in milliseconds; [`RUN_LEASE_MS`] unless a test waits.
    pub lease_ms: u64,
    /// How charters and orders are read.
    pub readers: Readers,
    /// Charters that hold in this home, as their files have them.
    pub charters: Vec<String>,
    /// Told once by the person's interrupt: pause the run and end.
    pub interrupt: Arc<Notify>,
    /// Shown each fact once it is on disk, and the report with the fact that closes the run.
    pub observer: Observer,
    /// Hears what models say while they say it, where somebody watches.
    pub listener: Option<Listener>,
}

/// Whether a run begins or goes on.
#[derive(Debug, Clone)]
pub enum Start {
    /// A new run.
    New {
        /// What is asked.
        task: Box<Task>,
        /// Who plays which role.
        roster: Roster,
        /// Contents that the task names: rules and skills.
        contents: Vec<Blob>,
    },
    /// A run that is on record.
    Resume {
        /// Allows the run more first.
        raise: Option<Raise>,
    },
    /// A run whose pause by order has ended by itself.
    Lift,
}

/// A larger budget. Parts below what is allowed now stay as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raise {
    /// Tokens, money and tool calls.
    pub limit: Amount,
    /// Wall time in milliseconds since the run was opened; 0 for no limit.
    pub wall_ms: u64,
}

/// How a drive ended.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    /// The run is closed.
    Closed {
        /// How.
        outcome: Outcome,
        /// The report, unless the run was cancelled.
        report: Option<Report>,
    },
    /// The run stands still.
    Paused {
        /// Why.
        reason: PauseReason,
        /// What stood in the way, in one line; empty when the reason says it all.
        detail: String,
    },
}

/// Why a drive could not go on. The run stays as recorded and can be resumed.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// Storage failed or refused.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A fact on record is not one of this program's.
    #[error("fact {seq} cannot be read")]
    Unreadable {
        /// Its place.
        seq: u64,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// Facts on record contradict each other, or a decision was wrong.
    #[error(transparent)]
    Impossible(#[from] Impossible),
    /// The run has no fact yet: it was stopped before its first write.
    #[error("nothing is recorded of this run")]
    NothingRecorded,
    /// A run was to be forked at a place that it does not have.
    #[error("run {run} has {facts} facts and no place {place}")]
    NoPlace {
        /// The run.
        run: RunId,
        /// The place that was named.
        place: u64,
        /// Its last place.
        facts: u64,
    },
    /// A content the facts name is not there or not what it was.
    #[error("content {0} is missing or changed")]
    Content(Digest),
    /// The recorded result of a step cannot be read.
    #[error("the recorded result of step {} cannot be read", .0.0)]
    Record(StepIndex),
    /// The secret of an attempt that is still open is gone.
    #[error("the key of an open attempt is missing")]
    AttemptKey,
    /// The run could not be opened.
    #[error("the run was refused: {0}")]
    Refused(Refusal),
    /// A receipt could not be made.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A value could not be encoded.
    #[error("encoding failed")]
    Encoding(#[source] serde_json::Error),
    /// The operating system gave no randomness.
    #[error("no randomness: {0}")]
    Entropy(getrandom::Error),
    /// A task of the driver panicked.
    #[error("a task ended abnormally: {0}")]
    Task(String),
}

/// Gives up a run that nobody works on.
///
/// # Errors
/// [`JournalError::Held`] when another program works on it; see [`DriveError`] for the rest.
pub async fn cancel(store: &dyn Store, run: RunId, clock: &Clock) -> Result<(), DriveError> {
    beside(store, run, clock, |book, now| {
        let person = book.roster()?.person;
        book.put(now, person, &Command::Cancel)?.map_err(DriveError::Refused)
    })
    .await
}

/// Puts commands to a run that nobody works on, under a lease of its own.
async fn beside(
    store: &dyn Store,
    run: RunId,
    clock: &Clock,
    put: impl FnOnce(&mut book::Book, Millis) -> Result<(), DriveError>,
) -> Result<(), DriveError> {
    let lease = store.acquire(run, clock.now_ms(), RUN_LEASE_MS).await?;
    let done = append(store, lease, clock, put).await;
    let released = store.release(lease).await;
    done?;
    Ok(released?)
}

async fn append(
    store: &dyn Store,
    lease: Lease,
    clock: &Clock,
    put: impl FnOnce(&mut book::Book, Millis) -> Result<(), DriveError>,
) -> Result<(), DriveError> {
    let recorded = store.load(lease.run).await?;
    let mut book = book::Book::open(lease.run, lease.epoch, &recorded)?;
    put(&mut book, Millis(clock.now_ms()))?;
    match book.take() {
        Some((batch, _)) => Ok(store.append(batch).await.map(drop)?),
        None => Ok(()),
    }
}

/// Drives a run until it is closed or paused.
///
/// # Errors
/// See [`DriveError`]. Nothing recorded is lost; [`Start::Resume`] goes on from there.
pub async fn drive(parts: Parts, run: RunId, start: Start) -> Result<End, DriveError> {
    let lease = parts.store.acquire(run, parts.clock.now_ms(), parts.lease_ms).await?;
    let mut flow = flow::Flow::open(parts, lease).await?;
    let ended = flow.go(start).await;
    let released = flow.release().await;
    let end = ended?;
    released?;
    Ok(end)
}
