//! `write`: a file's whole text.

use common_ground::{grant::Access, port::tool::ToolError};
use serde::Deserialize;

use super::{on_path::Action, place::Place};
use crate::hand::Work;

/// Writes a file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Write {
    path: String,
    text: String,
}

impl Action for Write {
    const NAME: &'static str = "write";
    const DESCRIPTION: &'static str = "Write a text file by its absolute path; what it held before is replaced and kept on record. \
         To change a part, use edit.";
    const SCHEMA: &'static str = r#"{"additionalProperties":false,"properties":{"path":{"description":"The file, as an absolute path. Folders that are missing are made.","maxLength":4096,"minLength":1,"type":"string"},"text":{"description":"All that the file shall hold.","maxLength":1000000,"type":"string"}},"required":["path","text"],"type":"object"}"#;
    const FIELDS: &'static [&'static str] = &["path", "text"];
    const ACCESS: Access = Access::Write;

    fn path(&self) -> &str {
        &self.path
    }

    fn act(self, place: &Place, work: &Work) -> Result<Vec<u8>, ToolError> {
        let before = place.bytes(Self::NAME)?;
        let change = place.replace(Self::NAME, work, before, self.text.as_bytes())?;
        let what = if change.before.is_some() { "replaced" } else { "made" };
        Ok(format!("{}: {what}, {} bytes\n{}", self.path, self.text.len(), change.diff).into_bytes())
    }
}
