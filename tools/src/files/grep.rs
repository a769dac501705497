//! `grep`: lines of text files beneath a folder that match a regular expression. Links are never followed.

use common_ground::{grant::Access, port::tool::ToolError};
use regex::{Regex, RegexBuilder};
use serde::Deserialize;

use super::{
    glob::matcher,
    on_path::Action,
    place::{LARGEST, Place},
    walk::{DEEPEST, Found, Seen, walk},
};
use crate::{arguments::refuse, hand::Work};

/// Longest line shown.
const LONGEST_LINE: usize = 400;

/// Lines that match a pattern.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grep {
    path: String,
    pattern: String,
    files: Option<String>,
}

impl Action for Grep {
    const NAME: &'static str = "grep";
    const DESCRIPTION: &'static str = "Find lines of text files beneath a folder by a regular expression.";
    const SCHEMA: &'static str = r#"{"additionalProperties":false,"properties":{"files":{"description":"Only files that match this, such as **/*.md.","maxLength":1000,"minLength":1,"type":"string"},"path":{"description":"The folder to look beneath, as an absolute path.","maxLength":4096,"minLength":1,"type":"string"},"pattern":{"description":"A regular expression for a line.","maxLength":1000,"minLength":1,"type":"string"}},"required":["path","pattern"],"type":"object"}"#;
    const FIELDS: &'static [&'static str] = &["path", "pattern", "files"];
    const ACCESS: Access = Access::Read;

    fn path(&self) -> &str {
        &self.path
    }

    fn act(self, place: &Place, work: &Work) -> Result<Vec<u8>, ToolError> {
        let line = RegexBuilder::new(&self.pattern).size_limit(1 << 20).build();
        let line = line.map_err(|error| refuse(Self::NAME, error.to_string()))?;
        let files = self.files.map(|files| matcher(Self::NAME, &files)).transpose()?;
        walk(Self::NAME, place, work, DEEPEST, |seen, found| {
            if seen.kind.is_file() && files.as_ref().is_none_or(|files| files.is_match(seen.path)) {
                lines(seen, &line, found);
            }
            None
        })
    }
}

/// The lines of one file that match.
fn lines(seen: &Seen<'_>, wanted: &Regex, found: &mut Found) {
    let Some(name) = seen.path.file_name() else { return };
    let small = seen.folder.metadata(name).is_ok_and(|about| about.is_file() && about.len() <= LARGEST);
    let Some(Ok(bytes)) = small.then(|| seen.folder.read(name)) else {
        found.unreadable();
        return;
    };
    // What is no text has no lines.
    let Ok(text) = String::from_utf8(bytes) else { return };
    for (line, number) in text.lines().zip(1_usize..).filter(|(line, _)| wanted.is_match(line)) {
        let shown = &line[..line.floor_char_boundary(LONGEST_LINE)];
        found.push(format!("{}:{number}:{shown}", seen.path.display()));
    }
}
