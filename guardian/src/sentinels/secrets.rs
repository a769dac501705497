//! Secrets and personal data where they go out: in a model's words, in the arguments of calls that reach outside, in what is
//! handed in and reported.

use common_ground::{Fact, grant::Item, module::CallKind, port::model::Call};
use receipts::Digest;
use serde::Deserialize;

use super::{About, Bounded, Rule, With};
use crate::{
    concern::{Finding, MOST_EVIDENCE, Severity},
    scan::{For, Hit},
    seen::{Try, try_of},
};

/// Calls under way that are remembered.
const MOST: usize = 256;

/// Where it was found.
#[derive(Clone, Copy)]
enum Place {
    Words,
    Egress,
    Deliverable,
    Report,
}

impl Place {
    fn words(self) -> &'static str {
        match self {
            Self::Words => "in what a model said",
            Self::Egress => "in a call that reaches outside",
            Self::Deliverable => "in a deliverable",
            Self::Report => "in a report",
        }
    }
}

/// The part of a model's recorded answer that is looked at.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Said {
        text: String,
        calls: Vec<Call>,
    },
    #[serde(other)]
    Failed,
}

/// See the file.
pub struct Secrets {
    /// What the latest answer of an attempt's model had in the arguments of its calls, by the digest of the request that each
    /// would be.
    told: Bounded<(Try, Digest), Vec<Hit>>,
}

impl Default for Secrets {
    fn default() -> Self {
        Self { told: Bounded::new(MOST) }
    }
}

/// What a tool call's step is known by, as the driver has it: SHA-256 of the tool's name, a newline and the arguments.
fn request(call: &Call) -> Digest {
    Digest::of([call.tool.as_bytes(), b"\n", call.arguments.as_bytes()].concat().as_slice())
}

fn reaches_outside(item: &Item) -> bool {
    match item {
        Item::Net { .. } | Item::Run { .. } | Item::Secret { .. } => true,
        Item::Path { .. } | Item::Env { .. } => false,
    }
}

fn finding(with: &With<'_>, module: Option<common_ground::ModuleId>, hits: &[Hit], place: Place) -> Option<Finding> {
    let first = hits.first().filter(|_| hits.len() as u64 >= with.threshold)?;
    let severity = match place {
        Place::Egress => Severity::Critical,
        Place::Words | Place::Deliverable | Place::Report => Severity::Warning,
    };
    let more = if hits.len() > 1 { format!(" and {} more", hits.len() - 1) } else { String::new() };
    Some(Finding {
        severity,
        module,
        evidence: Vec::with_capacity(MOST_EVIDENCE),
        subject: super::subject(&[place.words().as_bytes(), &with.seen.seq.to_be_bytes()]),
        found: format!("{}{more} {}, at byte {}", first.kind.words(), place.words(), first.at),
    })
}

impl Secrets {
    /// Looks through a content, as far as it came.
    fn look(&self, with: &With<'_>, digest: &Digest) -> Vec<Hit> {
        let bytes = with.seen.contents.get(digest);
        bytes.map(|bytes| with.scanner.whole(For::Leaks, bytes)).unwrap_or_default()
    }

    /// A model's answer. What stands in its calls is remembered until they are made.
    fn answered(&mut self, with: &With<'_>, attempt: Option<Try>, response: &Digest) -> Option<Finding> {
        let bytes = with.seen.contents.get(response)?;
        let Ok(Answer::Said { text, calls }) = serde_json::from_slice::<Answer>(bytes) else { return None };
        for call in calls {
            let hits = with.scanner.whole(For::Leaks, call.arguments.as_bytes());
            if let (Some(attempt), false) = (attempt, hits.is_empty()) {
                self.told.insert((attempt, request(&call)), hits);
            }
        }
        let hits = with.scanner.whole(For::Leaks, text.as_bytes());
        finding(with, attempt.map(|(module, _)| module), &hits, Place::Words)
    }
}

impl Rule for Secrets {
    const ABOUT: About = About {
        name: "secrets",
        threshold: 1,
        speaks: "this many keys, tokens, card, account or social security numbers stand in a model's words, in a call that reaches outside, in a deliverable or a report; needs contents",
    };

    fn assess(&mut self, with: &With<'_>) -> Vec<Finding> {
        let found = match with.seen.fact {
            Fact::StepStarted { owner, call: CallKind::Tool { needs, .. }, request, .. } => {
                let attempt = try_of(*owner);
                let told = attempt.and_then(|attempt| self.told.remove(&(attempt, *request)));
                told.filter(|_| needs.iter().any(reaches_outside))
                    .and_then(|hits| finding(with, attempt.map(|(module, _)| module), &hits, Place::Egress))
            }
            Fact::StepFinished { owner, response, traced: None, .. } => self.answered(with, try_of(*owner), response),
            Fact::ModuleSubmitted { module, deliverable, .. } => {
                finding(with, Some(*module), &self.look(with, deliverable), Place::Deliverable)
            }
            Fact::RunClosed { report: Some(report), .. } => {
                finding(with, None, &self.look(with, report), Place::Report)
            }
            _other => None,
        };
        found.into_iter().collect()
    }
}
