//! Arguments from JSON text to a type, with refusals a model can act on; and answers cut by rule.
//!
//! **Invariant:** an unknown field is refused, and the nearest known one is named.
//! **Invariant:** an answer holds whole items only; how many did not fit is said.

use common_ground::port::{index::IndexError, tool::ToolError};
use serde::{Serialize, de::DeserializeOwned};

/// The most bytes of one answer, about 8,000 tokens: what does not fit is said, never cut.
const MOST_BYTES: usize = 32 << 10;

/// Reads arguments; `fields` are the names the tool knows.
pub(crate) fn parse<T: DeserializeOwned>(tool: &str, fields: &[&str], text: &str) -> Result<T, ToolError> {
    serde_json::from_str(text).map_err(|error| {
        let mut reason = error.to_string();
        if let Some(unknown) = reason.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next())
            && let Some(near) = nearest(unknown, fields)
        {
            reason = format!("unknown field `{unknown}`; did you mean `{near}`?");
        }
        refuse(tool, reason)
    })
}

/// A refusal of arguments.
pub(crate) fn refuse(tool: &str, reason: String) -> ToolError {
    ToolError::BadArguments { tool: tool.to_owned(), reason }
}

/// What an index's failure means to the caller of a tool: a wrong id can be mended, the rest cannot.
pub(crate) fn failed(tool: &str, error: &IndexError) -> ToolError {
    match error {
        IndexError::UnknownText { .. }
        | IndexError::BadSpan { .. }
        | IndexError::NoVectors { .. }
        | IndexError::BadDate { .. } => refuse(tool, error.to_string()),
        IndexError::Damaged { .. } | IndexError::Unavailable { .. } => {
            ToolError::Failed { tool: tool.to_owned(), reason: error.to_string() }
        }
    }
}

/// As many of `items` as fit an answer, and how many are left out. The first always fits: no passage is that long.
pub(crate) fn fitting<T: Serialize>(tool: &str, items: Vec<T>) -> Result<(Vec<T>, usize), ToolError> {
    let mut bytes = 0;
    let mut kept = Vec::new();
    let all = items.len();
    for item in items {
        bytes += answer(tool, &item)?.len();
        if bytes > MOST_BYTES {
            break;
        }
        kept.push(item);
    }
    let left_out = all - kept.len();
    Ok((kept, left_out))
}

/// An answer as JSON text.
pub(crate) fn answer<T: Serialize>(tool: &str, value: &T) -> Result<String, ToolError> {
    serde_json::to_string(value).map_err(|error| ToolError::Failed { tool: tool.to_owned(), reason: error.to_string() })
}

fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let ranked = known.iter().map(|name| (strsim::damerau_levenshtein(word, name), *name));
    ranked.min().filter(|(distance, name)| *distance <= name.len() / 2).map(|(_distance, name)| name)
}
