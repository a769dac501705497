//! The same call with the same result, again and again in one attempt: it learns nothing and spends.

use common_ground::{Fact, module::CallKind};
use receipts::Digest;

use super::{About, Bounded, Rule, With};
use crate::{
    concern::{Finding, Severity},
    seen::{Try, try_of},
};

/// Attempts, calls under way and pairs remembered.
const MOST: usize = 256;

/// See the file.
pub struct Loops {
    under_way: Bounded<(Try, u32), (Digest, bool)>,
    pairs: Bounded<(Try, Digest, Digest), Vec<u64>>,
    results: Bounded<(Try, Digest), Vec<u64>>,
}

/// So many times as often may different calls give one result: a search may well find nothing more than once.
const DIFFERENT: u64 = 3;

impl Default for Loops {
    fn default() -> Self {
        Self { under_way: Bounded::new(MOST), pairs: Bounded::new(MOST), results: Bounded::new(MOST) }
    }
}

/// One more place; a finding once there are enough.
fn say(places: &mut Vec<u64>, with: &With<'_>, threshold: u64, attempt: Try, parts: &[&[u8]]) -> Option<Said> {
    if places.len() < MOST_PLACES {
        places.push(with.seen.seq);
    }
    let parts: Vec<&[u8]> = parts.iter().copied().chain([attempt.0.0.as_bytes().as_slice()]).collect();
    let enough = places.len() as u64 >= threshold.clamp(1, MOST_PLACES as u64);
    enough.then(|| Said { attempt, evidence: places.clone(), subject: super::subject(&parts) })
}

/// Places remembered of one call.
const MOST_PLACES: usize = 32;

/// A finding without its words.
struct Said {
    attempt: Try,
    evidence: Vec<u64>,
    subject: u64,
}

impl Said {
    fn saying(self, words: &str) -> Finding {
        let Self { attempt, evidence, subject } = self;
        let found = format!("{words} {} times in attempt {}", evidence.len(), attempt.1);
        Finding { severity: Severity::Warning, module: Some(attempt.0), evidence, subject, found }
    }
}

impl Rule for Loops {
    const ABOUT: About = About {
        name: "loops",
        threshold: 4,
        speaks: "the same call gave the same result this many times in one attempt, or different calls of tools three times as often",
    };

    fn assess(&mut self, with: &With<'_>) -> Vec<Finding> {
        match with.seen.fact {
            Fact::StepStarted { owner, step, call, request, .. } => {
                if let Some(attempt) = try_of(*owner) {
                    self.under_way.insert((attempt, step.0), (*request, matches!(call, CallKind::Tool { .. })));
                }
                Vec::new()
            }
            Fact::StepFinished { owner, step, response, .. } => {
                let Some(attempt) = try_of(*owner) else { return Vec::new() };
                let Some((request, is_tool)) = self.under_way.remove(&(attempt, step.0)) else { return Vec::new() };
                let places = self.pairs.entry((attempt, request, *response), Vec::new);
                let what = if is_tool { "tool call" } else { "model call" };
                let same = say(places, with, with.threshold, attempt, &[&request.0, &response.0]);
                if let Some(found) =
                    same.map(|finding| finding.saying(&format!("the same {what} gave the same result")))
                {
                    return vec![found];
                }
                if !is_tool {
                    return Vec::new();
                }
                let places = self.results.entry((attempt, *response), Vec::new);
                let same = say(places, with, with.threshold.saturating_mul(DIFFERENT), attempt, &[&response.0]);
                same.map(|finding| finding.saying("different tool calls gave the same result")).into_iter().collect()
            }
            _other => Vec::new(),
        }
    }
}
