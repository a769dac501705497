//! Too-uniform timing: a model whose answers all take the same time is a recording or a delay, not a model at work.

use std::collections::VecDeque;

use common_ground::{Fact, module::Usage};

use super::{About, Rule, With};
use crate::concern::{Finding, Severity};

/// The latest model calls looked at, which is also the fewest.
const LATEST: usize = 20;
/// Shorter answers say nothing: clocks are too coarse for them.
const SHORTEST_MS: u64 = 50;

/// See the file.
#[derive(Default)]
pub struct Timing {
    latest: VecDeque<(u64, u64)>,
}

impl Rule for Timing {
    const ABOUT: About = About {
        name: "timing",
        threshold: 10,
        speaks: "the standard deviation of the times of the run's twenty latest model calls, of 50 ms and more in the mean, is below this many thousandths of their mean",
    };

    fn assess(&mut self, with: &With<'_>) -> Vec<Finding> {
        let Fact::StepFinished { usage: Usage { wall_ms, tool_calls: 0, .. }, traced: None, .. } = with.seen.fact
        else {
            return Vec::new();
        };
        self.latest.push_back((with.seen.seq, *wall_ms));
        if self.latest.len() > LATEST {
            self.latest.pop_front();
        }
        if self.latest.len() < LATEST {
            return Vec::new();
        }
        let count = LATEST as u128;
        let sum: u128 = self.latest.iter().map(|(_, ms)| u128::from(*ms)).sum();
        let squares: u128 = self
            .latest
            .iter()
            .map(|(_, ms)| u128::from(*ms).saturating_mul(u128::from(*ms)))
            .fold(0, u128::saturating_add);
        if sum < u128::from(SHORTEST_MS) * count {
            return Vec::new();
        }
        // deviation / mean < threshold / 1000, without roots: variance · 10^6 < (threshold · mean)².
        let variance = squares.saturating_mul(count).saturating_sub(sum.saturating_mul(sum));
        let bound = u128::from(with.threshold).saturating_mul(sum);
        if variance.saturating_mul(1_000_000) >= bound.saturating_mul(bound) {
            return Vec::new();
        }
        vec![Finding {
            severity: Severity::Notice,
            module: None,
            evidence: self.latest.iter().map(|(seq, _)| *seq).collect(),
            subject: 0,
            found: format!("the {LATEST} latest model calls took {} ms each, almost to the millisecond", sum / count),
        }]
    }
}
