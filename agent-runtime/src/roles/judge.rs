//! A criterion in words, judged by the Verifier's model on the deliverable and the sources it quotes.
//!
//! **Invariant:** without a verdict in form there is no pass.

use common_ground::{
    deliverable::Deliverable,
    port::model::{ModelRequest, Reply, Turn},
    role::Role,
};
use serde::Deserialize;

use super::{context::answer_tokens, prompts::VERIFIER};
use crate::driver::{Answer, Desk, Stop};

/// JSON Schema of [`Judged`], reasons first so that they come before the finding.
const SCHEMA: &str = r#"{"type":"object","properties":{"reasons":{"type":"string","minLength":1,"maxLength":600},"passed":{"type":"boolean"}},"required":["reasons","passed"],"additionalProperties":false}"#;
const ANSWER_TOKENS: u64 = 1024;
/// Times a model is asked for a verdict in form.
const TIMES: u32 = 3;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Judged {
    reasons: String,
    passed: bool,
}

/// The reasons, as `Ok` when the criterion holds.
pub(super) async fn judge(
    desk: &mut Desk,
    rubric: &str,
    deliverable: &Deliverable,
) -> Result<Result<String, String>, Stop> {
    let mut request = ModelRequest {
        model: desk.model().id().to_owned(),
        role: Role::Verifier,
        turns: vec![Turn::Rules { text: VERIFIER.text.to_owned() }, Turn::Task { text: words(rubric, deliverable) }],
        tools: Vec::new(),
        reply: Reply::Json { name: "verdict".to_owned(), schema: SCHEMA.to_owned() },
        max_tokens: answer_tokens(desk.model().window(), ANSWER_TOKENS),
    };
    let mut why = String::new();
    for _time in 0..TIMES {
        let said = match desk.ask(&request).await? {
            Answer::Said { text, .. } => text,
            Answer::Failed { error } => {
                why = error.to_string();
                continue;
            }
        };
        match serde_json::from_str::<Judged>(said.trim()) {
            Ok(Judged { reasons, passed }) => {
                let reasons = reasons.split_whitespace().collect::<Vec<_>>().join(" ");
                return Ok(if passed { Ok(reasons) } else { Err(reasons) });
            }
            Err(error) => {
                why = error.to_string();
                let note = format!("That is no verdict: {error}. Answer with the JSON object alone.");
                request.turns.push(Turn::Model { text: said, calls: Vec::new() });
                request.turns.push(Turn::Task { text: note });
            }
        }
    }
    Ok(Err(format!("the Verifier's model gave no verdict: {why}")))
}

/// Question, criterion, deliverable and sources.
fn words(rubric: &str, deliverable: &Deliverable) -> String {
    let mut text = format!("Question: {}\nCriterion: {rubric}\n\nDeliverable\n", deliverable.question);
    let citations: Vec<_> = deliverable.citations().collect();
    for (claim, number) in deliverable.claims.iter().zip(1..) {
        let sources: Vec<String> = claim
            .citations
            .iter()
            .filter_map(|cited| citations.iter().position(|one| *one == cited))
            .map(|place| format!("[{}]", place + 1))
            .collect();
        text.push_str(&format!("{number}. {} {}\n", claim.text, sources.concat()));
    }
    if deliverable.claims.is_empty() {
        text.push_str("No answer was found.\n");
    }
    text.push_str("\nSources\n");
    for (citation, number) in citations.iter().zip(1..) {
        text.push_str(&format!("[{number}] {}: {}\n", citation.path, citation.quote));
    }
    text
}
