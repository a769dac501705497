//! `edit`: one exact passage of a file for another.

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

const NAME: &str = "edit";

const SCHEMA: &str = r#"{"additionalProperties":false,"properties":{"new":{"description":"What shall stand in its place.","maxLength":100000,"type":"string"},"old":{"description":"The passage to replace, exactly as it stands, long enough to occur once.","maxLength":100000,"minLength":1,"type":"string"},"path":{"description":"The file, as an absolute path.","maxLength":4096,"minLength":1,"type":"string"}},"required":["new","old","path"],"type":"object"}"#;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    path: String,
    old: String,
    new: String,
}

/// Changes a file.
#[derive(Debug)]
pub struct Edit {
    spec: ToolSpec,
}

impl Edit {
    /// The tool.
    pub fn new() -> Self {
        let description =
            "Replace one exact passage of a text file; it must occur exactly once. Gives the difference.".to_owned();
        Self { spec: ToolSpec { name: NAME.to_owned(), description, arguments: SCHEMA.to_owned(), idempotent: false } }
    }

    fn arguments(text: &str) -> Result<Arguments, ToolError> {
        arguments::parse(NAME, &["path", "old", "new"], text)
    }
}

impl Default for Edit {
    fn default() -> Self {
        Self::new()
    }
}

impl Hand for Edit {
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
            let Arguments { path, old, new } = Self::arguments(arguments)?;
            let place = Place::open(NAME, work, &need(NAME, &path, Access::Write)?)?;
            let fail = |reason: String| ToolError::Failed { tool: NAME.to_owned(), reason };
            let bytes = place.bytes(NAME)?.ok_or_else(|| fail(format!("{path}: there is no such file")))?;
            let text = text(NAME, &place.shown, bytes)?;
            match text.matches(old.as_str()).count() {
                1 if !old.is_empty() => {}
                0 => return Err(fail(format!("{path}: `old` does not stand there; read it again"))),
                many => return Err(fail(format!("{path}: `old` stands there {many} times; give more around it"))),
            }
            let after = text.replacen(old.as_str(), &new, 1);
            let change = place.replace(NAME, work, Some(text.into_bytes()), after.as_bytes())?;
            Ok(change.diff.into_bytes())
        })
    }
}
