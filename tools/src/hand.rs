//! What a tool that reaches outside is made of. [`Guarded`](crate::Guarded) puts the rules of all around it.
//!
//! A hand does its work and notes what it did; it never decides whether it may, and never makes its own record.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use common_ground::{
    grant::{Grant, Item, Limits, Tier},
    id::{AttemptNumber, ModuleId, RunId},
    port::{
        BoxFuture,
        tool::{StepKey, ToolError, ToolSpec},
    },
    record::{Change, Denial, Egress, Exit, Limit},
};
use receipts::Digest;

/// A tool of one tier, before the guard is put around it.
pub trait Hand: Send + Sync + 'static {
    /// What it is.
    fn spec(&self) -> &ToolSpec;

    /// Where it runs.
    fn tier(&self) -> Tier;

    /// SHA-256 of its code, where that is a file of its own: with other code it is another tool.
    fn code(&self) -> Option<Digest> {
        None
    }

    /// What exactly a call would do.
    ///
    /// # Errors
    /// [`ToolError::BadArguments`] for arguments that mean nothing.
    fn needs(&self, arguments: &str) -> Result<Vec<Item>, ToolError>;

    /// Does it, within `work.grant` and its limits, and gives what it put out, as it came. Dropped, it ends at once and
    /// leaves nothing running.
    fn run<'a>(&'a self, work: &'a Work, arguments: &'a str) -> BoxFuture<'a, Result<Vec<u8>, ToolError>>;

    /// An attempt is over: what was kept for its next call can go.
    fn over(&self, _run: RunId, _module: ModuleId, _attempt: AttemptNumber) {}
}

/// One call under way: what it may do, and what it notes. A clone is the same call.
#[derive(Debug, Clone)]
pub struct Work {
    key: StepKey,
    grant: Arc<Grant>,
    notes: Arc<Mutex<Notes>>,
}

/// What was noted.
#[derive(Debug, Default, Clone)]
pub(crate) struct Notes {
    pub egress: Vec<Egress>,
    pub refusals: Vec<Denial>,
    pub changes: Vec<Change>,
    pub held: Vec<String>,
    pub contents: Vec<Vec<u8>>,
    pub cpu_ms: Option<u64>,
    pub fuel: Option<u64>,
    pub memory_bytes: Option<u64>,
    pub exit: Option<Exit>,
    pub asked: Asked,
}

/// What a call asked for that differs from one time to the next, where its tier sees that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Asked {
    /// The time.
    pub clock: bool,
    /// Random numbers.
    pub chance: bool,
}

/// Most refusals and connections noted one by one.
const MOST_NOTES: usize = 1_000;

impl Work {
    /// A call for a step under a grant.
    pub fn new(key: StepKey, grant: Grant) -> Self {
        Self { key, grant: Arc::new(grant), notes: Arc::default() }
    }

    /// For which step.
    pub fn key(&self) -> StepKey {
        self.key
    }

    /// What it may do.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    /// The most it may use.
    pub fn limits(&self) -> Limits {
        self.grant.limits
    }

    // Nothing panics while it holds the lock, which is held for one push.
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection was made.
    pub fn connected(&self, egress: Egress) {
        let mut notes = self.notes();
        if notes.egress.len() < MOST_NOTES {
            notes.egress.push(egress);
        }
    }

    /// Something was tried and refused.
    pub fn refused(&self, what: impl Into<String>, why: impl Into<String>) {
        let mut notes = self.notes();
        if notes.refusals.len() < MOST_NOTES {
            notes.refusals.push(Denial { what: what.into(), why: why.into() });
        }
    }

    /// A wall stands around it, or this is the code that runs, in the tier's words.
    pub fn held(&self, what: impl Into<String>) {
        let mut notes = self.notes();
        if notes.held.len() < MOST_NOTES {
            notes.held.push(what.into());
        }
    }

    /// A file was changed; `before` is what it held.
    pub fn changed(&self, change: Change, before: Option<Vec<u8>>) {
        let mut notes = self.notes();
        notes.changes.push(change);
        notes.contents.extend(before);
    }

    /// What it used, where the tier measures it.
    pub fn used(&self, cpu_ms: Option<u64>, fuel: Option<u64>, memory_bytes: Option<u64>) {
        let mut notes = self.notes();
        notes.cpu_ms = cpu_ms.or(notes.cpu_ms);
        notes.fuel = fuel.or(notes.fuel);
        notes.memory_bytes = memory_bytes.or(notes.memory_bytes);
    }

    /// How it ended, where that is more than "answered" or "failed". The first word counts.
    pub fn ended(&self, exit: Exit) {
        let mut notes = self.notes();
        notes.exit = notes.exit.or(Some(exit));
    }

    /// It asked for the time or for chance.
    pub fn asked(&self, asked: Asked) {
        self.notes().asked = asked;
    }

    /// A limit was passed.
    pub fn passed(&self, limit: Limit) {
        self.ended(Exit::Limit { limit });
    }

    /// The connections noted so far.
    pub fn egress(&self) -> Vec<Egress> {
        self.notes().egress.clone()
    }

    /// The refusals noted so far.
    pub fn refusals(&self) -> Vec<Denial> {
        self.notes().refusals.clone()
    }

    /// All that was noted so far.
    pub(crate) fn noted(&self) -> Notes {
        self.notes().clone()
    }
}
