//! Citations that do not hold: too many of a run's latest deliverables failed a criterion on their quotes.

use std::collections::VecDeque;

use common_ground::{Fact, ModuleId, criterion::Criterion};

use super::{About, Bounded, Rule, With, asked};
use crate::concern::{Finding, Severity};

/// Modules remembered.
const MOST: usize = 4096;
/// The latest deliverables looked at, and the fewest from which a rate is taken.
const LATEST: usize = 8;
const FEWEST: usize = 4;

/// See the file.
pub struct Citations {
    /// Places of criteria on citations, a bit each.
    modules: Bounded<ModuleId, u64>,
    latest: VecDeque<(u64, bool)>,
}

impl Default for Citations {
    fn default() -> Self {
        Self { modules: Bounded::new(MOST), latest: VecDeque::new() }
    }
}

fn is_on_citations(criterion: &Criterion) -> bool {
    match criterion {
        Criterion::EveryClaimCites | Criterion::QuotesVerbatim | Criterion::MinimumSources { .. } => true,
        Criterion::AnswerMatchesSchema { .. } | Criterion::Judged { .. } => false,
    }
}

impl Rule for Citations {
    const ABOUT: About = About {
        name: "citations",
        threshold: 50,
        speaks: "this many per cent of the run's eight latest deliverables, of at least four, failed a criterion on citations",
    };

    fn assess(&mut self, with: &With<'_>) -> Vec<Finding> {
        match with.seen.fact {
            Fact::ModuleProposed { .. } | Fact::RunForked { .. } => {
                for (module, spec) in asked(with.seen.fact) {
                    let criteria = spec.criteria.iter().take(64).zip(0_u32..);
                    let on = criteria.filter(|(criterion, _)| is_on_citations(criterion));
                    self.modules.insert(module, on.fold(0, |bits, (_, place)| bits | 1 << place));
                }
                Vec::new()
            }
            Fact::ModuleJudged { module, verdicts, .. } => {
                let on = self.modules.get(module).copied().unwrap_or(u64::MAX);
                let failed = verdicts.iter().any(|v| !v.passed && v.criterion < 64 && on >> v.criterion & 1 == 1);
                self.latest.push_back((with.seen.seq, failed));
                if self.latest.len() > LATEST {
                    self.latest.pop_front();
                }
                let places: Vec<u64> = self.latest.iter().filter(|(_, failed)| *failed).map(|(seq, _)| *seq).collect();
                let wide = places.len() as u64 * 100 >= self.latest.len() as u64 * with.threshold;
                if self.latest.len() < FEWEST || !wide || !failed {
                    return Vec::new();
                }
                let found = format!(
                    "{} of the {} latest deliverables had citations that do not hold",
                    places.len(),
                    self.latest.len()
                );
                vec![Finding { severity: Severity::Warning, module: None, evidence: places, subject: 0, found }]
            }
            _other => Vec::new(),
        }
    }
}
