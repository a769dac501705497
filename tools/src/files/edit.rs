//! `edit`: one exact passage of a file for another.

use common_ground::{grant::Access, port::tool::ToolError};
use serde::Deserialize;

use super::{
    on_path::Action,
    place::{Place, text},
};
use crate::hand::Work;

/// Changes a file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    path: String,
    old: String,
    new: String,
}

impl Action for Edit {
    const NAME: &'static str = "edit";
    const DESCRIPTION: &'static str =
        "Replace one exact passage of a text file; it must occur exactly once. Gives the difference.";
    const SCHEMA: &'static str = r#"{"additionalProperties":false,"properties":{"new":{"description":"What shall stand in its place.","maxLength":100000,"type":"string"},"old":{"description":"The passage to replace, exactly as it stands, long enough to occur once.","maxLength":100000,"minLength":1,"type":"string"},"path":{"description":"The file, as an absolute path.","maxLength":4096,"minLength":1,"type":"string"}},"required":["new","old","path"],"type":"object"}"#;
    const FIELDS: &'static [&'static str] = &["path", "old", "new"];
    const ACCESS: Access = Access::Write;

    fn path(&self) -> &str {
        &self.path
    }

    fn act(self, place: &Place, work: &Work) -> Result<Vec<u8>, ToolError> {
        let Self { path, old, new } = self;
        let fail =
            |reason: &str| Err(ToolError::Failed { tool: Self::NAME.to_owned(), reason: format!("{path}: {reason}") });
        let bytes = place.bytes(Self::NAME)?.ok_or_else(|| place.missing(Self::NAME))?;
        let text = text(Self::NAME, &place.shown, bytes)?;
        match text.matches(old.as_str()).count() {
            1 if !old.is_empty() => {}
            0 => return fail("`old` does not stand there; read it again"),
            many => return fail(&format!("`old` stands there {many} times; give more around it")),
        }
        let after = text.replacen(old.as_str(), &new, 1);
        let change = place.replace(Self::NAME, work, Some(text.into_bytes()), after.as_bytes())?;
        Ok(change.diff.into_bytes())
    }
}
