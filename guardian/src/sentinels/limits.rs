//! Sandboxes that had to stop what ran in them: limits passed, and things done that the sandbox does not let anybody do.

use common_ground::{
    Fact,
    record::{Exit, Record},
};

use super::{About, Rule, With};
use crate::{
    concern::{Finding, MOST_EVIDENCE, Severity},
    seen::try_of,
};

/// See the file.
#[derive(Default)]
pub struct Limits {
    passed: Vec<u64>,
}

impl Rule for Limits {
    const ABOUT: About = About {
        name: "limits",
        threshold: 2,
        speaks: "this many calls of a run were ended by a limit of their sandbox, or one did what its sandbox forbids; needs contents",
    };

    fn assess(&mut self, with: &With<'_>) -> Vec<Finding> {
        let Fact::StepFinished { owner, traced: Some(traced), .. } = with.seen.fact else { return Vec::new() };
        let bytes = with.seen.contents.get(&traced.record);
        let Some(record) = bytes.and_then(|bytes| serde_json::from_slice::<Record>(bytes).ok()) else {
            return Vec::new();
        };
        let module = try_of(*owner).map(|(module, _)| module);
        match record.exit {
            Exit::Trapped => vec![Finding {
                severity: Severity::Critical,
                module,
                evidence: Vec::new(),
                subject: super::subject(&[b"trapped", &with.seen.seq.to_be_bytes()]),
                found: format!("a call did what its {} sandbox forbids and was ended", record.tier.name()),
            }],
            Exit::Limit { limit } => {
                if self.passed.len() < MOST_EVIDENCE {
                    self.passed.push(with.seen.seq);
                }
                if (self.passed.len() as u64) < with.threshold {
                    return Vec::new();
                }
                vec![Finding {
                    severity: Severity::Warning,
                    module,
                    evidence: self.passed.clone(),
                    subject: super::subject(&[b"limit"]),
                    found: format!("{} calls were ended by limits, the last by {limit:?}", self.passed.len()),
                }]
            }
            Exit::Done
            | Exit::Failed
            | Exit::Code { .. }
            | Exit::Signal { .. }
            | Exit::Refused
            | Exit::Unasked
            | Exit::Cancelled => Vec::new(),
        }
    }
}
