//! A journal as lines, from a place on: what a sentinel is told. Reads, and nothing else.
//!
//! **Invariant:** at least once: a place is left behind only by who has heard what is after it, and goes on from there.

use std::collections::{BTreeMap, BTreeSet};

use agent_runtime::{
    driver::placed,
    home::Home,
    journal::{Damage, JournalError, Reader, Recorded},
};
use common_ground::{AttemptNumber, Epoch, Fact, Millis, RunId, chain::Head};
use guardian::line::{Line, Stream};
use receipts::Digest;

use crate::{
    exit::Failure,
    failures::{from_drive, from_journal},
};

/// Whether contents are told beside the facts that name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contents {
    /// They are.
    Told,
    /// Only the facts.
    LeftOut,
}

/// Facts told in one turn, so that one long run does not hold up the others.
const MOST_IN_A_TURN: usize = 256;

/// A follower of every run of a home, or of one.
pub struct Follower {
    reader: Reader,
    only: Option<RunId>,
    contents: Contents,
    places: BTreeMap<RunId, Head>,
    /// Runs that cannot be read, with the head they had then.
    broken: BTreeMap<RunId, u64>,
}

impl Follower {
    /// Follows from these places on; a run without one from its beginning.
    pub fn new(home: &Home, only: Option<RunId>, contents: Contents, places: BTreeMap<RunId, Head>) -> Self {
        Self { reader: Reader::at(home.clone()), only, contents, places, broken: BTreeMap::new() }
    }

    /// What a listener is told first: where the runs go on that have a place.
    pub fn beginning(&self) -> Vec<Line> {
        self.places.iter().map(|(run, head)| Line::Place { run: *run, head: *head }).collect()
    }

    /// What has happened since the last turn, in each run's order; nothing where nothing has.
    ///
    /// # Errors
    /// Storage faults. A run that is damaged is told of, and is no error.
    pub async fn turn(&mut self) -> Result<Vec<Line>, Failure> {
        let mut lines = Vec::new();
        let mut rows = self.reader.runs().await.map_err(|error| from_journal(&error))?;
        rows.reverse();
        let known: BTreeSet<RunId> = rows.iter().map(|row| row.run).collect();
        // What was deleted has no place any more.
        self.places.retain(|run, _| known.contains(run));
        for row in rows.iter().filter(|row| self.only.is_none_or(|only| only == row.run)) {
            let place = self.places.get(&row.run).map_or(0, |head| head.seq);
            let is_broken = self.broken.get(&row.run).is_some_and(|head| *head >= row.head_seq);
            if row.head_seq <= place || is_broken {
                continue;
            }
            match self.reader.since(row.run, place).await {
                Ok(recorded) => {
                    for fact in recorded.iter().take(MOST_IN_A_TURN) {
                        self.tell(row.run, fact, &mut lines).await?;
                    }
                }
                Err(JournalError::Damaged(damage)) => {
                    self.broken.insert(row.run, row.head_seq);
                    let seq = match &damage {
                        Damage::Chain { seq, .. } => *seq,
                        _another_part => place + 1,
                    };
                    let what = JournalError::Damaged(damage).to_string();
                    lines.push(Line::Damage { run: row.run, seq, what });
                }
                Err(error) => return Err(from_journal(&error)),
            }
        }
        Ok(lines)
    }

    async fn tell(&mut self, run: RunId, recorded: &Recorded, lines: &mut Vec<Line>) -> Result<(), Failure> {
        let fact = placed(recorded).map_err(|error| from_drive(&error))?.fact;
        if self.contents == Contents::Told {
            for digest in named(&fact) {
                match self.reader.blob(digest).await {
                    Ok(Some(bytes)) => lines.push(Line::content(digest, &bytes)),
                    // A content that was never stored, or was swept with another run, is nothing to look at.
                    Ok(None) => {}
                    Err(JournalError::Damaged(damage)) => {
                        let what = JournalError::Damaged(damage).to_string();
                        lines.push(Line::Damage { run, seq: recorded.seq, what });
                    }
                    Err(error) => return Err(from_journal(&error)),
                }
            }
        }
        let stream = recorded.attempt.map(|stream| Stream {
            module: stream.module,
            attempt: AttemptNumber(stream.attempt),
            epoch: Epoch(stream.epoch),
        });
        let body = String::from_utf8(recorded.body.clone()).map_err(Failure::internal)?;
        let (seq, link) = (recorded.seq, recorded.link);
        lines.push(Line::Fact { run, seq, at_ms: Millis(recorded.at_ms), stream, link, body });
        self.places.insert(run, Head { seq, link });
        Ok(())
    }
}

/// Contents that a fact names and that rules look at.
fn named(fact: &Fact) -> Vec<Digest> {
    match fact {
        Fact::StepFinished { response, traced, .. } => {
            traced.iter().map(|traced| traced.record).chain([*response]).collect()
        }
        Fact::ModuleSubmitted { deliverable, .. } => vec![*deliverable],
        Fact::RunClosed { report: Some(report), .. } => vec![*report],
        _names_none => Vec::new(),
    }
}
