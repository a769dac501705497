//! `tool.toml`: what a tool says of itself, and what it needs, as patterns over its arguments.
//!
//! **Invariant:** a pattern names a path or a variable of the environment; a field fills one path and nothing else.

use common_ground::{
    grant::{Item, Limits},
    port::tool::{ToolError, ToolSpec},
};
use jsonschema::Validator;
use receipts::Digest;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::arguments::refuse;

/// A manifest as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    description: String,
    arguments: String,
    idempotent: bool,
    wasm: String,
    #[serde(default)]
    needs: Vec<String>,
    #[serde(default)]
    limits: Asked,
}

/// Limits a tool asks for where they are lower than what it would have.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    cpu_ms: Option<u64>,
    wall_ms: Option<u64>,
    memory_bytes: Option<u64>,
    output_bytes: Option<u64>,
    written_bytes: Option<u64>,
    written_files: Option<u64>,
    open_files: Option<u64>,
}

/// What a tool is.
#[derive(Debug)]
pub(super) struct Manifest {
    /// Its words.
    pub spec: ToolSpec,
    /// SHA-256 of its component.
    pub wasm: Digest,
    /// SHA-256 over its component, its needs and its limits: with any of them changed it is another tool.
    pub code: Digest,
    schema: Validator,
    needs: Vec<Pattern>,
    asked: Asked,
}

/// Why a text is no manifest.
#[derive(Debug, thiserror::Error)]
pub enum BadManifest {
    /// It is no text, or not of this form.
    #[error("{0}")]
    Form(String),
    /// The name is none, or not that of its folder.
    #[error("the name {0:?} is not that of its folder, in small letters, digits and _")]
    Name(String),
    /// The arguments are no schema.
    #[error("arguments are no JSON schema: {0}")]
    Schema(String),
    /// The digest is none.
    #[error("wasm is no SHA-256 in lower-case hex: {0}")]
    Digest(String),
    /// A need that is none, or that this tier cannot give.
    #[error("the need {need:?}: {why}")]
    Need {
        /// The need.
        need: String,
        /// What is wrong with it.
        why: String,
    },
}

/// `read:/data/{name}`: text and fields in turn.
#[derive(Debug)]
struct Pattern {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Text(String),
    Field(String),
}

impl Manifest {
    /// Reads the manifest in a folder of this name.
    pub fn parse(folder: &str, bytes: &[u8]) -> Result<Self, BadManifest> {
        let text = std::str::from_utf8(bytes).map_err(|error| BadManifest::Form(error.to_string()))?;
        let written: Written = toml::from_str(text).map_err(|error| BadManifest::Form(error.to_string()))?;
        let is_name = written.name.starts_with(|one: char| one.is_ascii_lowercase())
            && written.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if !is_name || written.name != folder {
            return Err(BadManifest::Name(written.name));
        }
        let no_schema = |why: String| BadManifest::Schema(why);
        let value: Value = serde_json::from_str(&written.arguments).map_err(|error| no_schema(error.to_string()))?;
        let schema = jsonschema::validator_for(&value).map_err(|error| no_schema(error.to_string()))?;
        let arguments = serde_json_canonicalizer::to_string(&value).map_err(|error| no_schema(error.to_string()))?;
        let wasm = written.wasm.parse().map_err(|_no_digest| BadManifest::Digest(written.wasm.clone()))?;
        let needs = written.needs.iter().map(|need| Pattern::parse(need, &value)).collect::<Result<Vec<_>, _>>()?;
        let code = format!("{wasm}\n{:?}\n{:?}\n", written.needs, written.limits);
        let (name, description, idempotent) = (written.name, written.description, written.idempotent);
        let spec = ToolSpec { name, description, arguments, idempotent };
        Ok(Self { spec, wasm, code: Digest::of(code.as_bytes()), schema, needs, asked: written.limits })
    }

    /// What a call with these arguments needs. A pattern whose field is left out is not needed.
    pub fn needs(&self, text: &str) -> Result<Vec<Item>, ToolError> {
        let bad = |why: String| refuse(&self.spec.name, why);
        let value: Value = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
        if let Some(error) = self.schema.iter_errors(&value).next() {
            let place = error.instance_path().to_string();
            return Err(bad(if place.is_empty() { error.to_string() } else { format!("{place}: {error}") }));
        }
        let Value::Object(fields) = value else { return Err(bad("arguments are one JSON object".to_owned())) };
        let mut items = Vec::new();
        for pattern in &self.needs {
            let Some(text) = pattern.fill(&fields).map_err(&bad)? else { continue };
            items.push(text.parse::<Item>().map_err(|error| bad(error.to_string()))?);
        }
        Ok(items)
    }

    /// What a call may use: the lesser of what its grant gives and the tool asks for.
    pub fn limits(&self, granted: Limits) -> Limits {
        let most = u64::MAX;
        granted.meet(Limits {
            cpu_ms: self.asked.cpu_ms.unwrap_or(most),
            wall_ms: self.asked.wall_ms.unwrap_or(most),
            memory_bytes: self.asked.memory_bytes.unwrap_or(most),
            output_bytes: self.asked.output_bytes.unwrap_or(most),
            written_bytes: self.asked.written_bytes.unwrap_or(most),
            written_files: self.asked.written_files.unwrap_or(most),
            net_bytes: 0,
            open_files: self.asked.open_files.unwrap_or(most),
            processes: 0,
        })
    }
}

impl Pattern {
    fn parse(text: &str, schema: &Value) -> Result<Self, BadManifest> {
        let bad = |why: &str| BadManifest::Need { need: text.to_owned(), why: why.to_owned() };
        let (kind, _rest) = text.split_once(':').ok_or_else(|| bad("it begins with read:, write: or env:"))?;
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (field, after) = after.split_once('}').ok_or_else(|| bad("a { without its }"))?;
            if schema["properties"][field]["type"] != "string" {
                return Err(bad(&format!("{field} is no argument that is a string")));
            }
            parts.push(Part::Text(before.to_owned()));
            parts.push(Part::Field(field.to_owned()));
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        let fixed = parts.len() == 1;
        match kind {
            "read" | "write" if fixed => text.parse::<Item>().map(drop).map_err(|error| bad(&error.to_string()))?,
            "read" | "write" => {}
            "env" if fixed => text.parse::<Item>().map(drop).map_err(|error| bad(&error.to_string()))?,
            "env" => return Err(bad("a variable's name is no argument")),
            _other => return Err(bad("a component has paths and variables of the environment, and nothing else")),
        }
        Ok(Self { text: text.to_owned(), parts })
    }

    /// The need, or none where a field is not among the arguments.
    fn fill(&self, fields: &Map<String, Value>) -> Result<Option<String>, String> {
        let mut filled = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => filled.push_str(text),
                Part::Field(field) => match fields.get(field) {
                    None => return Ok(None),
                    Some(Value::String(value)) => filled.push_str(value),
                    Some(_other) => return Err(format!("{field} must be a string: the need {} has it", self.text)),
                },
            }
        }
        Ok(Some(filled))
    }
}

#[cfg(test)]
mod tests {
    use super::Manifest;

    const SCHEMA: &str = r#"{"type":"object","properties":{"path":{"type":"string"},"n":{"type":"integer"}}}"#;

    fn manifest(needs: &str) -> Result<Manifest, String> {
        let zeros = "0".repeat(64);
        let text = format!(
            "name = 'a'\ndescription = 'b'\narguments = '{SCHEMA}'\nidempotent = true\nwasm = '{zeros}'\nneeds = {needs}\n"
        );
        Manifest::parse("a", text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn patterns_become_needs() {
        let one = manifest("['read:{path}', 'write:/out/{path}/x', 'env:LANG']").expect("a manifest");
        for (arguments, wanted) in [
            (r#"{"path":"/a/b"}"#, "a path has neither"),
            (r#"{"n":1}"#, "env:LANG"),
            (r#"{"path":7}"#, "bad arguments"),
            (r"[]", "bad arguments"),
            ("{", "bad arguments"),
        ] {
            let said = match one.needs(arguments) {
                Ok(items) => items.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
                Err(error) => error.to_string(),
            };
            assert!(said.contains(wanted) || said.contains("is no grant"), "{arguments}: {said}");
        }
        let one = manifest("['read:{path}']").expect("a manifest");
        for path in ["/a/../b", "a", "", "/a/\u{0}", "/a//b", "/a/./b"] {
            let arguments = serde_json::json!({"path": path}).to_string();
            assert!(one.needs(&arguments).is_err(), "{path:?}");
        }
        let items = one.needs(r#"{"path":"/a, write:/b"}"#).expect("a strange name is a name");
        assert_eq!(items.iter().map(ToString::to_string).collect::<Vec<_>>(), ["read:/a, write:/b"]);
    }

    #[test]
    fn what_this_tier_cannot_give_is_refused() {
        for (needs, why) in [
            ("['net:example.org']", "nothing else"),
            ("['run:process=ls']", "nothing else"),
            ("['secret:a@b/c']", "nothing else"),
            ("['env:{path}']", "no argument"),
            ("['read:{n}']", "no argument that is a string"),
            ("['read:{none}']", "no argument that is a string"),
            ("['read:{path']", "without its"),
            ("['read:relative']", "is no grant"),
            ("['everything']", "it begins with"),
        ] {
            let said = manifest(needs).expect_err("refused");
            assert!(said.contains(why), "{needs}: {said}");
        }
        assert!(Manifest::parse("other", b"").is_err());
    }

    #[test]
    fn code_is_more_than_the_component() {
        let one = manifest("['read:{path}']").expect("a manifest");
        let two = manifest("['write:{path}']").expect("a manifest");
        assert_ne!(one.code, two.code);
        assert_eq!(one.spec.digest(), two.spec.digest());
    }
}
