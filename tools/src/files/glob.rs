//! `glob`: paths beneath a folder that match a pattern. Links are named and never followed.

use common_ground::{grant::Access, port::tool::ToolError};
use globset::{GlobBuilder, GlobMatcher};
use serde::Deserialize;

use super::{
    on_path::Action,
    place::Place,
    walk::{DEEPEST, mark, walk},
};
use crate::{arguments::refuse, hand::Work};

/// Paths that match a pattern.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Glob {
    path: String,
    pattern: String,
}

/// A pattern of paths: `*` stays within a folder, `**` does not.
pub(super) fn matcher(tool: &str, pattern: &str) -> Result<GlobMatcher, ToolError> {
    let glob = GlobBuilder::new(pattern).literal_separator(true).build();
    glob.map(|glob| glob.compile_matcher()).map_err(|error| refuse(tool, error.to_string()))
}

impl Action for Glob {
    const NAME: &'static str = "glob";
    const DESCRIPTION: &'static str = "Find files and folders beneath a folder by a pattern of their paths.";
    const SCHEMA: &'static str = r#"{"additionalProperties":false,"properties":{"path":{"description":"The folder to look beneath, as an absolute path.","maxLength":4096,"minLength":1,"type":"string"},"pattern":{"description":"Such as **/*.md; * stays within a folder, ** does not.","maxLength":1000,"minLength":1,"type":"string"}},"required":["path","pattern"],"type":"object"}"#;
    const FIELDS: &'static [&'static str] = &["path", "pattern"];
    const ACCESS: Access = Access::Read;

    fn path(&self) -> &str {
        &self.path
    }

    fn act(self, place: &Place, work: &Work) -> Result<Vec<u8>, ToolError> {
        let glob = matcher(Self::NAME, &self.pattern)?;
        walk(Self::NAME, place, work, DEEPEST, |seen, _found| {
            glob.is_match(seen.path).then(|| format!("{}{}", seen.path.display(), mark(seen.kind)))
        })
    }
}
