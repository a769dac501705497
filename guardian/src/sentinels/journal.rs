//! Breaks in a journal: a link that does not follow, a place left out, a fact told twice in two ways, time that went back.
//!
//! The reader of a journal checks its chain too. Here it is checked again by somebody else.

use common_ground::{Millis, RunId, chain::Head};

use super::{About, Bounded, subject};
use crate::{
    concern::{Concern, Finding, Severity},
    line::Told,
};

/// Runs whose heads are remembered.
const MOST: usize = 4096;

/// What the rule is.
pub const RULE: About = About {
    name: "journal",
    threshold: 1,
    speaks: "a fact's link does not follow from the one before it, this many places or more are missing, one place was told in two ways, or time went back",
};

#[derive(Clone, Copy, Debug)]
struct Place {
    head: Head,
    at: Millis,
}

/// The heads of the runs that are followed.
#[derive(Debug)]
pub struct Chain {
    runs: Bounded<RunId, Place>,
}

impl Default for Chain {
    fn default() -> Self {
        Self { runs: Bounded::new(MOST) }
    }
}

/// Whether a fact is to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// It is the next one, or the first that is told.
    Next,
    /// It was told before.
    Known,
}

impl Chain {
    /// Goes on from a place that is remembered.
    pub fn from_place(&mut self, run: RunId, head: Head) {
        self.runs.insert(run, Place { head, at: Millis(0) });
    }

    /// The place reached in a run.
    pub fn place(&self, run: RunId) -> Option<Head> {
        self.runs.get(&run).map(|place| place.head)
    }

    /// Takes the next fact in; a fact that came before is known, and says nothing unless it is another now.
    pub fn follow(&mut self, told: &Told<'_>) -> (News, Vec<Concern>) {
        let before = self.runs.get(&told.run).copied();
        let head = before.map_or_else(|| Head::genesis(told.run), |place| place.head);
        if told.seq <= head.seq {
            let rewritten = told.seq == head.seq && told.link != head.link;
            let concerns = rewritten.then(|| concern(told, "a fact was told twice, in two ways"));
            return (News::Known, concerns.into_iter().collect());
        }
        let mut concerns = Vec::new();
        let is_next = told.seq == head.seq + 1;
        if is_next && head.after(told.at.0, told.stream, told.body).link != told.link {
            concerns.push(concern(told, "the link of a fact does not follow from the one before it"));
        }
        if !is_next {
            let missing = told.seq - head.seq - 1;
            concerns.push(concern(told, &format!("{missing} places of the run are missing")));
        }
        if before.is_some_and(|place| told.at < place.at) {
            concerns.push(concern(told, "the time of a fact is before that of the one before it"));
        }
        self.runs.insert(told.run, Place { head: Head { seq: told.seq, link: told.link }, at: told.at });
        (News::Next, concerns)
    }
}

fn concern(told: &Told<'_>, found: &str) -> Concern {
    let finding = Finding {
        severity: Severity::Critical,
        module: None,
        evidence: Vec::new(),
        subject: subject(&[found.as_bytes(), &told.seq.to_be_bytes()]),
        found: found.to_owned(),
    };
    Concern::of(RULE.name, told.run, told.at, told.seq, finding)
}

/// The concern of a reader that could not go on.
pub(crate) fn damage(run: RunId, at: Millis, seq: u64, what: &str) -> Concern {
    let finding = Finding {
        severity: Severity::Critical,
        module: None,
        evidence: Vec::new(),
        subject: subject(&[b"damage", &seq.to_be_bytes()]),
        found: format!("the journal cannot be read from here: {what}"),
    };
    Concern::of(RULE.name, run, at, seq, finding)
}
