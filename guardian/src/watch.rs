//! The watch: every rule over every run that is followed.
//!
//! **Invariant:** at least once is enough: a fact that is told again changes nothing and says nothing.
//! **Invariant:** the runs that are remembered are bounded; the one that was silent longest is forgotten first, and a run that
//! is over at once.

use std::collections::BTreeMap;

use common_ground::{Fact, Millis, RunId, chain::Head};

use crate::{
    concern::Concern,
    line::{self, Line, Told},
    scan::Scanner,
    seen::{Contents, Seen},
    sentinels::{Chain, Heads, News, Rules, Said, Thresholds, damage},
};

/// Runs that are remembered.
pub const MOST_RUNS: usize = 1024;
/// Most bytes of contents that wait for their fact.
const MOST_WAITING: usize = 64 * 1024 * 1024;

#[derive(Default)]
struct Run {
    rules: Rules,
    said: Said,
    /// When something was told of it last, counted in facts of all runs.
    turn: u64,
    seq: u64,
}

/// See the file.
pub struct Watch {
    thresholds: Thresholds,
    scanner: Scanner,
    heads: Heads,
    chain: Chain,
    runs: BTreeMap<RunId, Run>,
    turn: u64,
    waiting: Contents,
}

/// What a line came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// What the rules found.
    pub concerns: Vec<Concern>,
    /// The place reached, when the line was a fact.
    pub place: Option<(RunId, Head)>,
    /// The time it told, when it was that.
    pub clock: Option<Millis>,
}

/// A line that is none, or a fact of another program.
#[derive(Debug, thiserror::Error)]
#[error("line {number} cannot be read: {reason}")]
pub struct Unreadable {
    /// Which line, from 1.
    pub number: u64,
    /// What the reader said.
    pub reason: String,
}

impl Watch {
    /// A watch by these thresholds; none where the automata cannot be made, which no input can cause.
    pub fn new(thresholds: Thresholds) -> Option<Self> {
        Some(Self {
            thresholds,
            scanner: Scanner::new()?,
            heads: Heads::default(),
            chain: Chain::default(),
            runs: BTreeMap::new(),
            turn: 0,
            waiting: Contents::default(),
        })
    }

    /// Runs that are remembered now.
    pub fn runs(&self) -> usize {
        self.runs.len()
    }

    /// What the rules find at a fact.
    pub fn assess(&mut self, seen: Seen<'_>) -> Vec<Concern> {
        self.turn += 1;
        let mut concerns = self.heads.assess(seen, &self.thresholds);
        if !self.runs.contains_key(&seen.run) && self.runs.len() >= MOST_RUNS {
            self.forget_one();
        }
        let run = self.runs.entry(seen.run).or_default();
        (run.turn, run.seq) = (self.turn, seen.seq);
        concerns.extend(run.rules.assess(seen, &self.scanner, &self.thresholds, &mut run.said));
        if let Fact::RunClosed { .. } = seen.fact {
            self.runs.remove(&seen.run);
        }
        concerns
    }

    fn forget_one(&mut self) {
        let oldest = self.runs.iter().min_by_key(|(_, run)| run.turn).map(|(id, _)| *id);
        if let Some(oldest) = oldest {
            self.runs.remove(&oldest);
        }
    }

    /// What the rules find where nothing has happened by `now`.
    pub fn silence(&mut self, now: Millis) -> Vec<Concern> {
        let mut concerns = Vec::new();
        for (id, run) in &mut self.runs {
            concerns.extend(run.rules.silence(*id, now, run.seq, &self.thresholds, &mut run.said));
        }
        concerns
    }

    /// Takes a line in.
    ///
    /// # Errors
    /// A line that is none; the watch is as before.
    pub fn hear(&mut self, text: &str, number: u64) -> Result<Heard, Unreadable> {
        let unreadable = |error: serde_json::Error| Unreadable { number, reason: error.to_string() };
        match serde_json::from_str::<Line>(text).map_err(unreadable)? {
            Line::Place { run, head } => {
                self.chain.from_place(run, head);
                Ok(Heard::default())
            }
            Line::Content { digest, length, text, base64 } => {
                let bytes = line::bytes_of(text, base64)
                    .ok_or_else(|| Unreadable { number, reason: "a content that is none".to_owned() })?;
                self.keep(digest, length, bytes, number)
            }
            Line::Clock { now_ms } => Ok(Heard { concerns: self.silence(now_ms), place: None, clock: Some(now_ms) }),
            Line::Damage { run, seq, what } => {
                Ok(Heard { concerns: vec![damage(run, Millis(0), seq, &what)], ..Heard::default() })
            }
            Line::Fact { run, seq, at_ms, stream, link, body } => {
                let stream = stream.map(|stream| (stream.module, stream.attempt, stream.epoch));
                let told = Told { run, seq, at: at_ms, stream, link, body: body.as_bytes() };
                self.fact(&told).map_err(unreadable)
            }
        }
    }

    /// Content for the next fact. A whole one must be what it says it is.
    fn keep(
        &mut self,
        digest: receipts::Digest,
        length: u64,
        bytes: Vec<u8>,
        number: u64,
    ) -> Result<Heard, Unreadable> {
        let wrong = |reason: &str| Unreadable { number, reason: reason.to_owned() };
        if self.waiting.len() + bytes.len() > MOST_WAITING {
            return Err(wrong("too much content for one fact"));
        }
        if (bytes.len() as u64) < length {
            self.waiting.add_part(digest, bytes);
        } else if !self.waiting.add(digest, bytes) {
            return Err(wrong("a content is not what its digest says"));
        }
        Ok(Heard::default())
    }

    fn fact(&mut self, told: &Told<'_>) -> Result<Heard, serde_json::Error> {
        let contents = std::mem::take(&mut self.waiting);
        let (news, mut concerns) = self.chain.follow(told);
        if news == News::Next {
            let fact: Fact = serde_json::from_slice(told.body)?;
            let seen = Seen { run: told.run, seq: told.seq, at: told.at, fact: &fact, contents: &contents };
            concerns.extend(self.assess(seen));
        }
        let place = self.chain.place(told.run).map(|head| (told.run, head));
        Ok(Heard { concerns, place, clock: None })
    }
}
