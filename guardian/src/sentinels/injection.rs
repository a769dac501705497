//! Orders to a model in what a tool returned.

use common_ground::Fact;

use super::{About, Rule, With};
use crate::{
    concern::{Finding, Severity},
    scan::For,
    seen::try_of,
};

/// See the file.
#[derive(Default)]
pub struct Injection;

impl Rule for Injection {
    const ABOUT: About = About {
        name: "injection",
        threshold: 1,
        speaks: "what a tool returned holds this many phrases that give a model orders, or text that people do not see; needs contents",
    };

    fn assess(&mut self, with: &With<'_>) -> Vec<Finding> {
        let Fact::StepFinished { owner, response, traced: Some(_tool), .. } = with.seen.fact else { return Vec::new() };
        let Some(bytes) = with.seen.contents.get(response) else { return Vec::new() };
        let hits = with.scanner.whole(For::Orders, bytes);
        let Some(first) = hits.first().filter(|_| hits.len() as u64 >= with.threshold) else { return Vec::new() };
        vec![Finding {
            severity: Severity::Warning,
            module: try_of(*owner).map(|(module, _)| module),
            evidence: Vec::new(),
            // The same text read again is the same finding.
            subject: super::subject(&[&response.0]),
            found: format!("{} in what a tool returned, at byte {}", first.kind.words(), first.at),
        }]
    }
}
