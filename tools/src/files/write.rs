//! `write`: a file's whole text.

use common_ground::{
    grant::{Access, Item, Tier},
    port::{
        BoxFuture,
        tool::{ToolError, ToolSpec},
    },
};
use serde::Deserialize;

use super::place::{Place, need};
use crate::{
    arguments,
    hand::{Hand, Work},
};

const NAME: &str = "write";

const SCHEMA: &str = r#"{"additionalProperties":false,"properties":{"path":{"description":"The file, as an absolute path. Folders that are missing are made.","maxLength":4096,"minLength":1,"type":"string"},"text":{"description":"All that the file shall hold.","maxLength":1000000,"type":"string"}},"required":["path","text"],"type":"object"}"#;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    path: String,
    text: String,
}

/// Writes a file.
#[derive(Debug)]
pub struct Write {
    spec: ToolSpec,
}

impl Write {
    /// The tool.
    pub fn new() -> Self {
        let description =
            "Write a text file by its absolute path; what it held before is replaced and kept on record. \
            To change a part, use edit."
                .to_owned();
        Self { spec: ToolSpec { name: NAME.to_owned(), description, arguments: SCHEMA.to_owned(), idempotent: false } }
    }

    fn arguments(text: &str) -> Result<Arguments, ToolError> {
        arguments::parse(NAME, &["path", "text"], text)
    }
}

impl Default for Write {
    fn default() -> Self {
        Self::new()
    }
}

impl Hand for Write {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn tier(&self) -> Tier {
        Tier::Builtin
    }

    fn needs(&self, arguments: &str) -> Result<Vec<Item>, ToolError> {
        Ok(vec![need(NAME, &Self::arguments(arguments)?.path, Access::Write)?])
    }

    fn run<'a>(&'a self, work: &'a Work, arguments: &'a str) -> BoxFuture<'a, Result<Vec<u8>, ToolError>> {
        Box::pin(async move {
            let Arguments { path, text } = Self::arguments(arguments)?;
            let place = Place::open(NAME, work, &need(NAME, &path, Access::Write)?)?;
            let before = place.bytes(NAME)?;
            let change = place.replace(NAME, work, before, text.as_bytes())?;
            let what = if change.before.is_some() { "replaced" } else { "made" };
            Ok(format!("{path}: {what}, {} bytes\n{}", text.len(), change.diff).into_bytes())
        })
    }
}
