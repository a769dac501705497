//! `read`: the text of a file, or some of its lines.

use common_ground::{grant::Access, port::tool::ToolError};
use serde::Deserialize;

use super::{
    on_path::Action,
    place::{Place, text},
};
use crate::hand::Work;

/// Reads a file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Read {
    path: String,
    from: Option<usize>,
    lines: Option<usize>,
}

impl Action for Read {
    const NAME: &'static str = "read";
    const DESCRIPTION: &'static str = "Read a text file by its absolute path: all of it, or some lines.";
    const SCHEMA: &'static str = r#"{"additionalProperties":false,"properties":{"from":{"description":"First line, counted from 1.","minimum":1,"type":"integer"},"lines":{"description":"How many lines.","maximum":10000,"minimum":1,"type":"integer"},"path":{"description":"The file, as an absolute path.","maxLength":4096,"minLength":1,"type":"string"}},"required":["path"],"type":"object"}"#;
    const FIELDS: &'static [&'static str] = &["path", "from", "lines"];
    const ACCESS: Access = Access::Read;

    fn path(&self) -> &str {
        &self.path
    }

    fn act(self, place: &Place, _work: &Work) -> Result<Vec<u8>, ToolError> {
        let bytes = place.bytes(Self::NAME)?.ok_or_else(|| place.missing(Self::NAME))?;
        let text = text(Self::NAME, &place.shown, bytes)?;
        if self.from.is_none() && self.lines.is_none() {
            return Ok(text.into_bytes());
        }
        let (from, lines) = (self.from.unwrap_or(1).saturating_sub(1), self.lines.unwrap_or(usize::MAX));
        Ok(text.split_inclusive('\n').skip(from).take(lines).collect::<String>().into_bytes())
    }
}
