//! `list`: the names in a folder. Links are named and never followed.

use common_ground::{grant::Access, port::tool::ToolError};
use serde::Deserialize;

use super::{
    on_path::Action,
    place::Place,
    walk::{mark, walk},
};
use crate::hand::Work;

/// Names in a folder.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    path: String,
}

impl Action for List {
    const NAME: &'static str = "list";
    const DESCRIPTION: &'static str = "List the names in a folder; a folder's name ends in /.";
    const SCHEMA: &'static str = r#"{"additionalProperties":false,"properties":{"path":{"description":"The folder, as an absolute path.","maxLength":4096,"minLength":1,"type":"string"}},"required":["path"],"type":"object"}"#;
    const FIELDS: &'static [&'static str] = &["path"];
    const ACCESS: Access = Access::Read;

    fn path(&self) -> &str {
        &self.path
    }

    fn act(self, place: &Place, work: &Work) -> Result<Vec<u8>, ToolError> {
        walk(Self::NAME, place, work, 1, |seen, _found| Some(format!("{}{}", seen.path.display(), mark(seen.kind))))
    }
}
