//! A concern: what a rule found, where, and how much it matters. A finding for people, never an act.

use common_ground::{Millis, ModuleId, RunId};
use receipts::Digest;
use serde::{Deserialize, Serialize};

/// How much a concern matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// To be looked at when there is time.
    Notice,
    /// To be looked at now.
    Warning,
    /// Something that must not be has happened, or money or secrets are leaving.
    Critical,
}

impl Severity {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// Most places that a concern names as evidence.
pub const MOST_EVIDENCE: usize = 16;
/// Most characters of what a concern says: what is found may be hostile, and is never quoted at length.
pub const LONGEST_WORDS: usize = 240;

/// What a rule found. The same facts give the same concern, however often they come by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Concern {
    /// SHA-256 over rule, run, subject and the first place of its evidence.
    pub id: Digest,
    /// The rule.
    pub rule: String,
    /// How much it matters.
    pub severity: Severity,
    /// In which run.
    pub run: RunId,
    /// Of which module, where it is one's.
    pub module: Option<ModuleId>,
    /// When the last fact of its evidence happened.
    pub at: Millis,
    /// Places in the run, oldest first.
    pub evidence: Vec<u64>,
    /// What was found, in words; never a secret, a prompt or an output.
    pub found: String,
}

/// What a rule says of what it found; the watch makes a concern of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// Of which module.
    pub module: Option<ModuleId>,
    /// Places in the run, oldest first, the present one left out.
    pub evidence: Vec<u64>,
    /// What makes it one thing: the same subject is said once a run.
    pub subject: u64,
    /// What was found.
    pub found: String,
}

impl Concern {
    /// The concern of a finding made at the fact at `seq`.
    pub(crate) fn of(rule: &str, run: RunId, at: Millis, seq: u64, finding: Finding) -> Self {
        let Finding { severity, module, mut evidence, subject, found } = finding;
        evidence.retain(|place| *place != seq);
        let first = evidence.len().saturating_sub(MOST_EVIDENCE - 1);
        evidence.drain(..first);
        evidence.push(seq);
        let place = evidence.first().copied().unwrap_or(seq);
        let id = Digest::of(format!("concern/1\n{rule}\n{run}\n{subject}\n{place}").as_bytes());
        let found = found.chars().take(LONGEST_WORDS).collect();
        Self { id, rule: rule.to_owned(), severity, run, module, at, evidence, found }
    }
}
