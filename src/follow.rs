//! A journal as lines, from a place on: what a sentinel is told. Reads, and nothing else.
//!
//! **Invariant:** at least once: a place is left behind only by who has heard what is after it, and goes on from there.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

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

/// Facts told in one turn, so that their contents are not all in memory at once.
const MOST_IN_A_TURN: usize = 256;

/// How often a journal is looked into while anybody works on a run, and while nobody does.
const WHILE_AT_WORK: Duration = Duration::from_millis(10);
const WHILE_IDLE: Duration = Duration::from_millis(40);

/// A follower of every run of a home, or of one.
pub struct Follower {
    reader: Reader,
    only: Option<RunId>,
    contents: Contents,
    places: BTreeMap<RunId, Head>,
    /// Runs that cannot be read, with the head they had then.
    broken: BTreeMap<RunId, u64>,
    /// Facts read and not told yet.
    waiting: VecDeque<(RunId, Recorded)>,
    at_work: bool,
}

impl Follower {
    /// Follows from these places on; a run without one from its beginning.
    pub fn new(home: &Home, only: Option<RunId>, contents: Contents, places: BTreeMap<RunId, Head>) -> Self {
        Self {
            reader: Reader::at(home.clone()),
            only,
            contents,
            places,
            broken: BTreeMap::new(),
            waiting: VecDeque::new(),
            at_work: false,
        }
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
        let reader = self.reader.sitting().await.map_err(|error| from_journal(&error))?;
        let lines = self.look(&reader).await;
        reader.close().await;
        lines
    }

    async fn look(&mut self, reader: &Reader) -> Result<Vec<Line>, Failure> {
        let mut lines = Vec::new();
        if self.waiting.is_empty() {
            self.read(reader, &mut lines).await?;
        }
        for _ in 0..MOST_IN_A_TURN {
            let Some((run, fact)) = self.waiting.pop_front() else { break };
            self.tell(reader, run, &fact, &mut lines).await?;
        }
        Ok(lines)
    }

    /// How long to wait before the next turn where this one told nothing.
    pub fn patience(&self) -> Duration {
        if self.at_work { WHILE_AT_WORK } else { WHILE_IDLE }
    }

    /// Reads what is new, and says what cannot be read.
    async fn read(&mut self, reader: &Reader, lines: &mut Vec<Line>) -> Result<(), Failure> {
        let mut rows = reader.runs().await.map_err(|error| from_journal(&error))?;
        rows.reverse();
        self.at_work = rows.iter().any(|row| row.lease.is_some());
        let known: BTreeSet<RunId> = rows.iter().map(|row| row.run).collect();
        // What was deleted has no place any more.
        self.places.retain(|run, _| known.contains(run));
        for row in rows.iter().filter(|row| self.only.is_none_or(|only| only == row.run)) {
            let place = self.places.get(&row.run).map_or(0, |head| head.seq);
            let is_broken = self.broken.get(&row.run).is_some_and(|head| *head >= row.head_seq);
            if row.head_seq <= place || is_broken {
                continue;
            }
            match reader.since(row.run, place).await {
                Ok(recorded) => {
                    self.waiting.extend(recorded.into_iter().map(|fact| (row.run, fact)));
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
        Ok(())
    }

    async fn tell(
        &mut self,
        reader: &Reader,
        run: RunId,
        recorded: &Recorded,
        lines: &mut Vec<Line>,
    ) -> Result<(), Failure> {
        let fact = placed(recorded).map_err(|error| from_drive(&error))?.fact;
        if self.contents == Contents::Told {
            for digest in named(&fact) {
                match reader.blob(digest).await {
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
