//! `read`: the text of a file, or some of its lines.

use common_ground::{
    grant::{Access, Item, Tier},
    port::{
        BoxFuture,
        tool::{ToolError, ToolSpec},
    },
};
use serde::Deserialize;

use super::place::{Place, need, text};
use crate::{
    arguments,
    hand::{Hand, Work},
};

const NAME: &str = "read";

const SCHEMA: &str = r#"{"additionalProperties":false,"properties":{"from":{"description":"First line, counted from 1.","minimum":1,"type":"integer"},"lines":{"description":"How many lines.","maximum":10000,"minimum":1,"type":"integer"},"path":{"description":"The file, as an absolute path.","maxLength":4096,"minLength":1,"type":"string"}},"required":["path"],"type":"object"}"#;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    path: String,
    from: Option<usize>,
    lines: Option<usize>,
}

/// Reads a file.
#[derive(Debug)]
pub struct Read {
    spec: ToolSpec,
}

impl Read {
    /// The tool.
    pub fn new() -> Self {
        let description = "Read a text file by its absolute path: all of it, or some lines.".to_owned();
        Self { spec: ToolSpec { name: NAME.to_owned(), description, arguments: SCHEMA.to_owned(), idempotent: true } }
    }

    fn arguments(text: &str) -> Result<Arguments, ToolError> {
        arguments::parse(NAME, &["path", "from", "lines"], text)
    }
}

impl Default for Read {
    fn default() -> Self {
        Self::new()
    }
}

impl Hand for Read {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn tier(&self) -> Tier {
        Tier::Builtin
    }

    fn needs(&self, arguments: &str) -> Result<Vec<Item>, ToolError> {
        Ok(vec![need(NAME, &Self::arguments(arguments)?.path, Access::Read)?])
    }

    fn run<'a>(&'a self, work: &'a Work, arguments: &'a str) -> BoxFuture<'a, Result<Vec<u8>, ToolError>> {
        Box::pin(async move {
            let Arguments { path, from, lines } = Self::arguments(arguments)?;
            let place = Place::open(NAME, work, &need(NAME, &path, Access::Read)?)?;
            let bytes = place.bytes(NAME)?.ok_or_else(|| ToolError::Failed {
                tool: NAME.to_owned(),
                reason: format!("{path}: there is no such file"),
            })?;
            let text = text(NAME, &place.shown, bytes)?;
            if from.is_none() && lines.is_none() {
                return Ok(text.into_bytes());
            }
            let kept =
                text.split_inclusive('\n').skip(from.unwrap_or(1).saturating_sub(1)).take(lines.unwrap_or(usize::MAX));
            Ok(kept.collect::<String>().into_bytes())
        })
    }
}
