//! `skill_read`: the text of a skill, or one of its further files, as they were when the run was opened.

use std::sync::Arc;

use common_ground::{
    grant::Item,
    port::{
        BoxFuture,
        tool::{Called, Tool, ToolCall, ToolError, ToolSpec},
    },
    run::Skill,
};
use receipts::Digest;
use serde::Deserialize;
use serde_json::json;

use crate::journal::Store;

/// The tool's name.
pub(crate) const READ: &str = "skill_read";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    name: String,
    file: Option<String>,
}

/// The arguments that read a skill's own text.
pub(crate) fn body_request(name: &str) -> String {
    json!({ "name": name }).to_string()
}

/// The skill that these arguments name, where they can be read.
pub(crate) fn asked_for(arguments: &str) -> Option<String> {
    serde_json::from_str(arguments).ok().map(|Arguments { name, .. }| name)
}

/// Reads the skills of one run.
pub struct SkillRead {
    store: Arc<dyn Store>,
    skills: Vec<Skill>,
    spec: ToolSpec,
}

impl SkillRead {
    /// The tool over the skills that a task names; `store` has their contents.
    pub fn new(store: Arc<dyn Store>, skills: Vec<Skill>) -> Self {
        let names: Vec<&str> = skills.iter().map(|skill| &*skill.name).collect();
        let schema = json!({
            "type": "object",
            "properties": {
                "name": { "type": "string", "enum": names },
                "file": { "type": "string", "maxLength": 200, "description": "A further file that the skill names." },
            },
            "required": ["name"],
            "additionalProperties": false,
        });
        let spec = ToolSpec {
            name: READ.to_owned(),
            description: "Read how to do what a skill is for, or one of the further files it names.".to_owned(),
            arguments: schema.to_string(),
            idempotent: true,
        };
        Self { store, skills, spec }
    }

    fn find(&self, arguments: &Arguments) -> Result<Digest, String> {
        let skill = self.skills.iter().find(|skill| skill.name == arguments.name);
        let skill = skill.ok_or_else(|| format!("no skill `{}`", arguments.name))?;
        match &arguments.file {
            None => Ok(skill.digest),
            Some(file) => skill.files.get(file).copied().ok_or_else(|| {
                let files: Vec<&str> = skill.files.keys().map(String::as_str).collect();
                format!("skill `{}` has no file `{file}`; it has: {}", skill.name, files.join(", "))
            }),
        }
    }
}

impl SkillRead {
    async fn read(&self, arguments: &str) -> Result<String, ToolError> {
        let refuse = |reason| ToolError::BadArguments { tool: READ.to_owned(), reason };
        let fail = |reason: String| ToolError::Failed { tool: READ.to_owned(), reason };
        let arguments: Arguments = serde_json::from_str(arguments).map_err(|error| refuse(error.to_string()))?;
        let digest = self.find(&arguments).map_err(refuse)?;
        let bytes = self.store.blob(digest).await.map_err(|error| fail(error.to_string()))?;
        let bytes = bytes.ok_or_else(|| fail(format!("content {digest} is missing")))?;
        String::from_utf8(bytes).map_err(|_binary| fail("it is no text".to_owned()))
    }
}

impl Tool for SkillRead {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn needs(&self, _arguments: &str) -> Result<Vec<Item>, ToolError> {
        Ok(Vec::new())
    }

    fn call<'a>(&'a self, call: ToolCall<'a>) -> BoxFuture<'a, Called> {
        Box::pin(async move { Called::builtin(&self.spec, call, self.read(call.arguments).await) })
    }
}
