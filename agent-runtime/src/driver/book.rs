//! The run as the driver holds it: its state, and the facts decided since the last append.
//!
//! **Invariant:** times of facts never go back, whatever the clock does, so that a receipt's end is not before its start.
//! **Invariant:** facts are decided and applied here one command at a time, in the order in which they are appended.

use common_ground::{
    Command, Ctx, Fact, Millis, Refusal, RunId, State, apply, decide,
    role::Roster,
    run::{Run, Task},
};
use receipts::PublicKey;

use super::DriveError;
use crate::journal::{AttemptStream, Batch, Blob, FactRow, Recorded};

/// State, position and what waits to be appended.
pub(super) struct Book {
    state: State,
    head: u64,
    at: Millis,
    batch: Batch,
    fresh: Vec<(Millis, Fact)>,
}

/// A fact that is on record, with its place and time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Place in the run, from 1.
    pub seq: u64,
    /// When.
    pub at: Millis,
    /// What happened.
    pub fact: Fact,
}

/// Reads facts as they were stored.
///
/// # Errors
/// [`DriveError::Unreadable`] for a fact of another program.
pub fn placed(recorded: &Recorded) -> Result<Placed, DriveError> {
    let fact = serde_json::from_slice(&recorded.body)
        .map_err(|source| DriveError::Unreadable { seq: recorded.seq, source })?;
    Ok(Placed { seq: recorded.seq, at: Millis(recorded.at_ms), fact })
}

/// The state that recorded facts make.
///
/// # Errors
/// [`DriveError::Unreadable`], and [`DriveError::Impossible`] for facts that cannot follow each other.
pub fn replay(recorded: &[Recorded]) -> Result<State, DriveError> {
    let mut state = State::default();
    for row in recorded {
        let Placed { at, fact, .. } = placed(row)?;
        apply(&mut state, at, &fact)?;
    }
    Ok(state)
}

impl Book {
    /// A book over what is on record.
    pub fn open(run: RunId, epoch: u64, recorded: &[Recorded]) -> Result<Self, DriveError> {
        let head = recorded.last().map_or(0, |row| row.seq);
        let at = Millis(recorded.last().map_or(0, |row| row.at_ms));
        let state = replay(recorded)?;
        Ok(Self { state, head, at, batch: Batch::new(run, epoch, head + 1), fresh: Vec::new() })
    }

    pub fn state(&self) -> &State {
        &self.state
    }

    /// The run, once it is open.
    pub fn run(&self) -> Result<&Run, DriveError> {
        self.state.run().ok_or(DriveError::NothingRecorded)
    }

    pub fn roster(&self) -> Result<&Roster, DriveError> {
        Ok(&self.run()?.roster)
    }

    pub fn task(&self) -> Result<&Task, DriveError> {
        Ok(&self.run()?.task)
    }

    /// Decides a command and applies its facts. A refusal for want of authority is itself a fact.
    pub fn put(&mut self, now: Millis, by: PublicKey, command: &Command) -> Result<Result<(), Refusal>, DriveError> {
        self.at = self.at.max(now);
        let facts = match decide(&self.state, command, &Ctx { at: self.at, by }) {
            Ok(facts) => facts,
            Err(refusal) => {
                if matches!(refusal, Refusal::NotAllowed { .. }) && self.state.run().is_some() {
                    let command = command.name().to_owned();
                    self.record(Fact::CommandRefused { by, command, refusal: refusal.clone() })?;
                }
                return Ok(Err(refusal));
            }
        };
        for fact in facts {
            self.record(fact)?;
        }
        Ok(Ok(()))
    }

    fn record(&mut self, fact: Fact) -> Result<(), DriveError> {
        apply(&mut self.state, self.at, &fact)?;
        let attempt =
            fact.attempt().map(|(module, attempt, epoch)| AttemptStream { module, attempt: attempt.0, epoch: epoch.0 });
        let body = serde_json::to_vec(&fact).map_err(DriveError::Encoding)?;
        self.batch.facts.push(FactRow { attempt, at_ms: self.at.0, body });
        self.fresh.push((self.at, fact));
        Ok(())
    }

    /// Contents that go with the facts.
    pub fn attach(&mut self, blobs: impl IntoIterator<Item = Blob>) {
        self.batch.blobs.extend(blobs);
    }

    pub fn batch(&mut self) -> &mut Batch {
        &mut self.batch
    }

    /// The batch to append, leaving an empty one that follows it; `None` when there is nothing to make durable.
    pub fn take(&mut self) -> Option<(Batch, Vec<Placed>)> {
        if self.batch.facts.is_empty() && self.batch.inbox_done.is_empty() {
            return None;
        }
        let first = self.head + 1;
        let placed: Vec<Placed> =
            self.fresh.drain(..).zip(first..).map(|((at, fact), seq)| Placed { seq, at, fact }).collect();
        self.head += placed.len() as u64;
        let next = Batch::new(self.batch.run, self.batch.epoch, self.head + 1);
        Some((std::mem::replace(&mut self.batch, next), placed))
    }
}
