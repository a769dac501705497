//! Storms of errors: most of a run's latest calls failed.

use std::collections::VecDeque;

use common_ground::{Fact, module::CallOutcome};

use super::{About, Rule, With};
use crate::concern::{Finding, Severity};

/// The latest calls looked at.
const LATEST: usize = 10;

/// See the file.
#[derive(Default)]
pub struct Errors {
    latest: VecDeque<(u64, bool)>,
    /// So that a storm is said once until a calm ends it.
    is_storm: bool,
}

impl Rule for Errors {
    const ABOUT: About =
        About { name: "errors", threshold: 6, speaks: "this many of the run's ten latest calls failed" };

    fn assess(&mut self, with: &With<'_>) -> Vec<Finding> {
        let Fact::StepFinished { outcome, .. } = with.seen.fact else { return Vec::new() };
        self.latest.push_back((with.seen.seq, matches!(outcome, CallOutcome::Failed)));
        if self.latest.len() > LATEST {
            self.latest.pop_front();
        }
        let failed: Vec<u64> = self.latest.iter().filter(|(_, failed)| *failed).map(|(seq, _)| *seq).collect();
        let was_storm = self.is_storm;
        self.is_storm = failed.len() as u64 >= with.threshold;
        if was_storm || !self.is_storm {
            return Vec::new();
        }
        let found = format!("{} of the {} latest calls failed", failed.len(), self.latest.len());
        let subject = super::subject(&[&failed.first().copied().unwrap_or_default().to_be_bytes()]);
        vec![Finding { severity: Severity::Warning, module: None, evidence: failed, subject, found }]
    }
}
