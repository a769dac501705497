//! Done without evidence: an answer handed in though no tool brought anything, or accepted without a verdict of another than
//! its worker on every criterion.
//!
//! The core refuses all of this. What shows here was written past it.

use common_ground::{
    Fact, ModuleId,
    module::{CallKind, CallOutcome, ModuleKind},
};
use receipts::{Digest, PublicKey};

use super::{About, Bounded, Rule, With, asked};
use crate::{
    concern::{Finding, Severity},
    seen::try_of,
};

/// Modules remembered.
const MOST: usize = 4096;

#[derive(Default)]
struct Work {
    needs_evidence: bool,
    criteria: usize,
    tool_steps: Vec<u32>,
    brought: u64,
    worker: Option<PublicKey>,
    submitted: Option<(u64, Digest)>,
    passed: Option<(u64, Digest)>,
}

/// Calls under way in one module that are remembered.
const MOST_CALLS: usize = 64;

/// See the file.
pub struct Evidence {
    modules: Bounded<ModuleId, Work>,
}

impl Default for Evidence {
    fn default() -> Self {
        Self { modules: Bounded::new(MOST) }
    }
}

fn finding(module: ModuleId, evidence: Vec<u64>, found: &str) -> Vec<Finding> {
    let subject = super::subject(&[module.0.as_bytes(), found.as_bytes()]);
    vec![Finding { severity: Severity::Critical, module: Some(module), evidence, subject, found: found.to_owned() }]
}

impl Rule for Evidence {
    const ABOUT: About = About {
        name: "evidence",
        threshold: 1,
        speaks: "an answer was handed in with fewer tool calls that succeeded than this, or accepted without a verdict of another than its worker that passes on every criterion",
    };

    fn assess(&mut self, with: &With<'_>) -> Vec<Finding> {
        match with.seen.fact {
            Fact::ModuleProposed { .. } | Fact::RunForked { .. } => {
                for (module, spec) in asked(with.seen.fact) {
                    let needs_evidence = match spec.kind {
                        ModuleKind::Answer => !spec.tools.is_empty() && spec.inputs.is_empty(),
                        ModuleKind::Merge => false,
                    };
                    let criteria = spec.criteria.len();
                    self.modules.insert(module, Work { needs_evidence, criteria, ..Work::default() });
                }
            }
            Fact::AttemptLeased { module, associate, .. } => {
                self.modules.entry(*module, Work::default).worker = Some(*associate);
            }
            Fact::StepStarted { owner, step, call: CallKind::Tool { .. }, .. } => {
                if let Some(work) = try_of(*owner).and_then(|(module, _)| self.modules.get_mut(&module))
                    && work.tool_steps.len() < MOST_CALLS
                {
                    work.tool_steps.push(step.0);
                }
            }
            Fact::StepFinished { owner, step, outcome, .. } => {
                if let Some(work) = try_of(*owner).and_then(|(module, _)| self.modules.get_mut(&module))
                    && let Some(place) = work.tool_steps.iter().position(|known| *known == step.0)
                {
                    work.tool_steps.swap_remove(place);
                    work.brought += u64::from(matches!(outcome, CallOutcome::Done));
                }
            }
            Fact::ModuleSubmitted { module, deliverable, .. } => {
                let work = self.modules.entry(*module, Work::default);
                work.submitted = Some((with.seen.seq, *deliverable));
                if work.needs_evidence && work.brought < with.threshold {
                    return finding(*module, Vec::new(), "an answer was handed in though no tool call succeeded");
                }
            }
            Fact::ModuleJudged { module, deliverable, by, verdicts, .. } => {
                let work = self.modules.entry(*module, Work::default);
                let all = verdicts.len() >= work.criteria && verdicts.iter().all(|verdict| verdict.passed);
                work.passed = all.then_some((with.seen.seq, *deliverable));
                if work.worker == Some(*by) {
                    return finding(*module, Vec::new(), "a deliverable was judged by its own worker");
                }
            }
            Fact::ModuleAccepted { module, deliverable, .. } => {
                let work = self.modules.entry(*module, Work::default);
                let (submitted, passed) = (work.submitted, work.passed);
                let places = submitted.iter().chain(&passed).map(|(seq, _)| *seq).collect();
                if passed.is_none_or(|(_, judged)| judged != *deliverable) {
                    return finding(
                        *module,
                        places,
                        "a module was accepted without verdicts that pass on what it handed in",
                    );
                }
            }
            Fact::AttemptEnded { module, .. } => {
                let work = self.modules.entry(*module, Work::default);
                (work.submitted, work.passed, work.brought) = (None, None, 0);
                work.tool_steps.clear();
            }
            _other => {}
        }
        Vec::new()
    }
}
