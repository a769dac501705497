//! What a model does wrong, and how often it may: each fault is shown to it, at most twice in a row.
//!
//! **Invariant:** no answer of a model is taken for a call unless the whole of it is one.

use common_ground::{
    module::WorkError,
    port::{model::Call, tool::ToolSpec},
};
use serde_json::Value;

/// Faults in a row that are shown to the model; one more ends the work.
const MOST_REPAIRS: u32 = 2;

/// Counts faults in a row.
#[derive(Debug, Default)]
pub(super) struct Faults {
    in_a_row: u32,
}

impl Faults {
    /// Another fault. Gives the words to show to the model.
    ///
    /// # Errors
    /// When it was one too many.
    pub fn add(&mut self, what: String) -> Result<String, WorkError> {
        self.in_a_row += 1;
        if self.in_a_row > MOST_REPAIRS {
            return Err(WorkError::Protocol { detail: what });
        }
        Ok(what)
    }

    /// Something was in order.
    pub fn clear(&mut self) {
        self.in_a_row = 0;
    }
}

/// Whether a call is one of an offered tool with arguments that fit its schema.
///
/// # Errors
/// What is wrong, in words a model can act on.
pub(super) fn check(call: &Call, offered: &[ToolSpec]) -> Result<(), String> {
    let Some(spec) = offered.iter().find(|spec| spec.name == call.tool) else {
        let names: Vec<&str> = offered.iter().map(|spec| &*spec.name).collect();
        return Err(format!("there is no tool `{}`; there are: {}", call.tool, names.join(", ")));
    };
    let arguments: Value = serde_json::from_str(&call.arguments)
        .map_err(|error| format!("the arguments of {} are no JSON: {error}", call.tool))?;
    let schema: Value = serde_json::from_str(&spec.arguments)
        .map_err(|error| format!("the schema of {} is no JSON: {error}", call.tool))?;
    let validator =
        jsonschema::validator_for(&schema).map_err(|error| format!("the schema of {} is none: {error}", call.tool))?;
    match validator.iter_errors(&arguments).next() {
        None => Ok(()),
        Some(error) => {
            let place = error.instance_path().to_string();
            let at = if place.is_empty() { String::new() } else { format!(" at {place}") };
            Err(format!("the arguments of {} do not fit its schema{at}: {error}", call.tool))
        }
    }
}

/// The call that a text is, when the whole text is one: a JSON object with a name and arguments, alone, in a code fence or
/// between `<tool_call>` marks, as models print it whose server does not read their calls. Text around it makes it a text.
pub(super) fn printed(text: &str, offered: &[ToolSpec], id: &str) -> Option<Call> {
    let text = text.trim();
    let fenced = text.strip_prefix("```json").or_else(|| text.strip_prefix("```"));
    let fenced = fenced.and_then(|rest| rest.strip_suffix("```"));
    let marked = text.strip_prefix("<tool_call>").and_then(|rest| rest.strip_suffix("</tool_call>"));
    let bare = fenced.or(marked).unwrap_or(text).trim();
    let Value::Object(fields) = serde_json::from_str(bare).ok()? else { return None };
    let name = fields.get("name").or_else(|| fields.get("tool"))?.as_str()?;
    let arguments = fields.get("arguments").or_else(|| fields.get("parameters"))?;
    if fields.len() != 2 || !offered.iter().any(|spec| spec.name == name) {
        return None;
    }
    let arguments = match arguments {
        Value::String(text) => text.clone(),
        Value::Object(_) => arguments.to_string(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => return None,
    };
    Some(Call { id: id.to_owned(), tool: name.to_owned(), arguments })
}

#[cfg(test)]
mod tests {
    use common_ground::port::{model::Call, tool::ToolSpec};

    use super::{Faults, check, printed};

    fn offered() -> Vec<ToolSpec> {
        vec![ToolSpec {
            name: "look".to_owned(),
            description: String::new(),
            arguments: r#"{"type":"object","properties":{"at":{"type":"string"}},"required":["at"],"additionalProperties":false}"#.to_owned(),
            idempotent: true,
        }]
    }

    fn call(tool: &str, arguments: &str) -> Call {
        Call { id: "1".to_owned(), tool: tool.to_owned(), arguments: arguments.to_owned() }
    }

    #[test]
    fn two_faults_in_a_row_are_shown_and_the_third_ends_it() {
        let mut faults = Faults::default();
        for round in 0..3 {
            faults.clear();
            assert!(faults.add(format!("{round}")).is_ok() && faults.add("b".to_owned()).is_ok());
        }
        assert!(faults.add("c".to_owned()).is_err());
    }

    #[test]
    fn calls_are_checked_against_what_was_offered() {
        assert_eq!(check(&call("look", r#"{"at":"x"}"#), &offered()), Ok(()));
        for (tool, arguments, says) in [
            ("peek", "{}", "there are: look"),
            ("look", "{\"at\":", "no JSON"),
            ("look", "{\"at\":3}", "at /at"),
            ("look", "{}", "do not fit"),
            ("look", "{\"at\":\"x\",\"more\":1}", "do not fit"),
        ] {
            let fault = check(&call(tool, arguments), &offered()).expect_err(arguments);
            assert!(fault.contains(says), "{fault}");
        }
    }

    #[test]
    fn a_text_is_a_call_only_when_all_of_it_is() {
        let bare = r#"{"name":"look","arguments":{"at":"x"}}"#;
        let read = |text: &str| printed(text, &offered(), "c").map(|call| call.arguments);
        let good = Some(r#"{"at":"x"}"#.to_owned());
        assert_eq!(read(bare), good);
        assert_eq!(read(&format!("```json\n{bare}\n```")), good);
        assert_eq!(read(&format!("<tool_call>\n{bare}\n</tool_call>")), good);
        assert_eq!(read(r#"{"name":"look","parameters":"{\"at\":\"x\"}"}"#), good);
        for text in [
            "",
            "I look.",
            &format!("I will call {bare}"),
            &format!("{bare}{bare}"),
            r#"{"name":"peek","arguments":{}}"#,
            r#"{"name":"look","arguments":3}"#,
            r#"{"name":"look"}"#,
            r#"{"name":"look","arguments":{},"also":1}"#,
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
