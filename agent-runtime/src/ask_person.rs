//! `ask_person`: a question of an Associate's to the person, in words. The module waits; the answer is the person's.
//!
//! It is never called: the desk puts the question and gives the answer.

use common_ground::{
    grant::Item,
    port::{
        BoxFuture,
        tool::{Called, Tool, ToolCall, ToolError, ToolSpec},
    },
};
use serde::Deserialize;

/// The tool's name.
pub(crate) const NAME: &str = "ask_person";
/// Longest question in bytes.
const LONGEST: usize = 4_000;

const SCHEMA: &str = r#"{"additionalProperties":false,"properties":{"question":{"description":"One question, with all the person needs to answer it.","maxLength":4000,"minLength":1,"type":"string"}},"required":["question"],"type":"object"}"#;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    question: String,
}

/// The question in a call's arguments.
pub(crate) fn question(arguments: &str) -> Result<String, ToolError> {
    let bad = |reason: String| ToolError::BadArguments { tool: NAME.to_owned(), reason };
    let Arguments { question } = serde_json::from_str(arguments).map_err(|error| bad(error.to_string()))?;
    let question = question.trim().to_owned();
    match question.len() {
        1..=LONGEST => Ok(question),
        0 => Err(bad("`question` is empty".to_owned())),
        _longer => Err(bad(format!("`question` has more than {LONGEST} bytes"))),
    }
}

/// The tool.
pub(crate) struct AskPerson {
    spec: ToolSpec,
}

impl AskPerson {
    /// The tool.
    pub fn new() -> Self {
        Self { spec: words() }
    }
}

/// What it is, in the words that a model reads.
pub fn words() -> ToolSpec {
    ToolSpec {
        name: NAME.to_owned(),
        description: "Ask the person one question, when only they can know or decide; the work waits for the answer."
            .to_owned(),
        arguments: SCHEMA.to_owned(),
        idempotent: true,
    }
}

impl Tool for AskPerson {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn needs(&self, arguments: &str) -> Result<Vec<Item>, ToolError> {
        question(arguments).map(|_question| Vec::new())
    }

    fn call<'a>(&'a self, call: ToolCall<'a>) -> BoxFuture<'a, Called> {
        let answer = question(call.arguments).and_then(|_question| {
            let reason = "the question was not put".to_owned();
            Err(ToolError::Failed { tool: NAME.to_owned(), reason })
        });
        Box::pin(async move { Called::builtin(&self.spec, call, answer) })
    }
}
