//! Heads that contradict each other: one origin with two roots at one size, or one that went back. Across runs.

use common_ground::{Fact, Millis, RunId};
use receipts::Digest;

use super::{About, Bounded, Thresholds, subject};
use crate::{
    concern::{Concern, Finding, Severity},
    seen::Seen,
};

/// Origins remembered, by the digest of their text.
const MOST: usize = 4096;
/// Sizes remembered, of all origins.
const MOST_SIZES: usize = 65_536;

/// What the rule is.
pub(super) const RULE: About = About {
    name: "heads",
    threshold: 1,
    speaks: "a collection's signed head of one size came with two roots, or a later run saw it smaller by at least this many entries",
};

/// See the file.
#[derive(Debug)]
pub struct Heads {
    roots: Bounded<(Digest, u64), (Digest, RunId, u64)>,
    latest: Bounded<Digest, (Millis, u64)>,
}

impl Default for Heads {
    fn default() -> Self {
        Self { roots: Bounded::new(MOST_SIZES), latest: Bounded::new(MOST) }
    }
}

impl Heads {
    /// Concerns at this fact.
    pub fn assess(&mut self, seen: Seen<'_>, thresholds: &Thresholds) -> Vec<Concern> {
        let (Fact::RunOpened { task, .. }, Some(threshold)) = (seen.fact, thresholds.of(&RULE)) else {
            return Vec::new();
        };
        let mut concerns = Vec::new();
        for head in &task.corpora {
            let origin = Digest::of(head.origin.as_bytes());
            let mut say = |found: String| {
                let subject = subject(&[&origin.0, &head.size.to_be_bytes(), &head.root.0]);
                let finding =
                    Finding { severity: Severity::Critical, module: None, evidence: Vec::new(), subject, found };
                concerns.push(Concern::of(RULE.name, seen.run, seen.at, seen.seq, finding));
            };
            match self.roots.get(&(origin, head.size)) {
                Some((root, run, seq)) if *root != head.root => {
                    say(format!("the head of size {} has another root than run {run} saw at {seq}", head.size));
                }
                Some(_) => {}
                None => {
                    self.roots.insert((origin, head.size), (head.root, seen.run, seen.seq));
                }
            }
            let latest = self.latest.get(&origin).copied();
            match latest {
                Some((at, size)) if at < seen.at && head.size.saturating_add(threshold) <= size => {
                    say(format!("the head went back from size {size} to {}", head.size));
                }
                Some((at, _)) if at > seen.at => {}
                Some(_) | None => {
                    self.latest.insert(origin, (seen.at, head.size));
                }
            }
        }
        concerns
    }
}
