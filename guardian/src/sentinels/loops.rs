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
}

impl Default for Loops {
    fn default() -> Self {
        Self { under_way: Bounded::new(MOST), pairs: Bounded::new(MOST) }
    }
}

impl Rule for Loops {
    const ABOUT: About = About {
        name: "loops",
        threshold: 4,
        speaks: "the same call gave the same result this many times in one attempt",
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
                if places.len() < 2 * crate::concern::MOST_EVIDENCE {
                    places.push(with.seen.seq);
                }
                if (places.len() as u64) < with.threshold {
                    return Vec::new();
                }
                let what = if is_tool { "tool call" } else { "model call" };
                vec![Finding {
                    severity: Severity::Warning,
                    module: Some(attempt.0),
                    evidence: places.clone(),
                    subject: super::subject(&[&request.0, &response.0, attempt.0.0.as_bytes()]),
                    found: format!(
                        "the same {what} gave the same result {} times in attempt {}",
                        places.len(),
                        attempt.1
                    ),
                }]
            }
            _other => Vec::new(),
        }
    }
}
