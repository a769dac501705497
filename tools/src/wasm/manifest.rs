//! `tool.toml`: what a tool says of itself, and what it needs, as patterns over its arguments.
//!
//! **Invariant:** a pattern names a path, a variable of the environment, a host or a secret; a field fills one path, one
//! address or a part of a host's name, and nothing else.

use common_ground::{
    grant::{Item, Limits},
    port::tool::{ToolError, ToolSpec},
};
use jsonschema::Validator;
use receipts::Digest;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{arguments::refuse, egress::Target};

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
    net_bytes: Option<u64>,
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
    kind: Kind,
    parts: Vec<Part>,
}

/// What a pattern's fields may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Anything that makes an item.
    Whole,
    /// Parts of a host's name, or a port.
    Host,
    /// The whole address of a page: `net:{url}`, and methods after it.
    Address,
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
            net_bytes: self.asked.net_bytes.unwrap_or(most),
            open_files: self.asked.open_files.unwrap_or(most),
            processes: 0,
        })
    }
}

impl Pattern {
    fn parse(text: &str, schema: &Value) -> Result<Self, BadManifest> {
        let bad = |why: &str| BadManifest::Need { need: text.to_owned(), why: why.to_owned() };
        let (kind, _rest) =
            text.split_once(':').ok_or_else(|| bad("it begins with read:, write:, net:, env: or secret:"))?;
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
        let kind = match kind {
            "read" | "write" | "env" | "net" | "secret" if fixed => {
                text.parse::<Item>().map_err(|error| bad(&error.to_string()))?;
                Kind::Whole
            }
            "read" | "write" => Kind::Whole,
            "net" if text.split_once(' ').is_some_and(|(_, methods)| methods.contains('{')) => {
                return Err(bad("a method is no argument"));
            }
            "net" => {
                let address = text.split_once(' ').map_or(text, |(address, _)| address);
                let is_field = address.starts_with("net:{") && address.ends_with('}') && parts.len() == 3;
                if is_field { Kind::Address } else { Kind::Host }
            }
            "env" => return Err(bad("a variable's name is no argument")),
            "secret" => return Err(bad("what a secret is for is no argument")),
            _other => return Err(bad("a component has paths, hosts, secrets and variables, and nothing else")),
        };
        Ok(Self { text: text.to_owned(), kind, parts })
    }

    /// The need, or none where a field is not among the arguments.
    fn fill(&self, fields: &Map<String, Value>) -> Result<Option<String>, String> {
        let mut filled = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => filled.push_str(text),
                Part::Field(field) => match fields.get(field) {
                    None => return Ok(None),
                    Some(Value::String(value)) => match self.kind {
                        Kind::Whole => filled.push_str(value),
                        Kind::Host if is_part(value) => filled.push_str(value),
                        Kind::Host => return Err(format!("{field}: {value:?} is no part of a host")),
                        Kind::Address => {
                            filled.push_str(&Target::parse(value).map_err(|error| error.to_string())?.origin());
                        }
                    },
                    Some(_other) => return Err(format!("{field} must be a string: the need {} has it", self.text)),
                },
            }
        }
        Ok(Some(filled))
    }
}

/// Whether a text can stand in the name of a host, or as its port.
fn is_part(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
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
    fn fields_become_hosts_and_nothing_more() {
        for (need, path, wanted) in [
            ("net:{path} GET", "https://a.org/b?c d", Ok("net:https://a.org:443 GET")),
            ("net:{path}", "http://a.org:8080/b", Ok("net:http://a.org:8080")),
            ("net:{path} GET", "http://0x7f.1/", Ok("net:http://127.0.0.1:80 GET")),
            ("net:{path} GET", "https://a.org/ POST", Ok("net:https://a.org:443 GET")),
            ("net:{path} GET", "https://user@a.org/", Err("a user before the host")),
            ("net:{path}", "a.org", Err("relative")),
            ("net:{path}", "file:///etc/passwd", Err("not http or https")),
            ("net:https://{path}.a.org:8443 GET,HEAD", "b", Ok("net:https://b.a.org:8443 GET,HEAD")),
            ("net:https://{path}.a.org", "evil.org/", Err("no part of a host")),
            ("net:https://{path}", "a.org POST", Err("no part of a host")),
            ("net:https://{path}", "*.a.org", Err("no part of a host")),
            ("net:{path}.a.org", "u@b", Err("no part of a host")),
            ("net:a.org", "unused", Ok("net:https://a.org:443")),
            ("secret:key@a.org/authorization", "unused", Ok("secret:key@a.org/authorization")),
        ] {
            let one = manifest(&format!("['{need}']")).expect("a manifest");
            let needs = one.needs(&serde_json::json!({"path": path}).to_string());
            match (needs, wanted) {
                (Ok(items), Ok(wanted)) => assert_eq!(items[0].to_string(), wanted, "{need} {path}"),
                (Err(error), Err(why)) => assert!(error.to_string().contains(why), "{need} {path}: {error}"),
                (needs, _) => panic!("{need} {path}: {needs:?}"),
            }
        }
    }

    #[test]
    fn what_this_tier_cannot_give_is_refused() {
        for (needs, why) in [
            ("['run:process=ls']", "nothing else"),
            ("['net:']", "is no grant"),
            ("['net:example.org {path}']", "a method is no argument"),
            ("['secret:{path}@b/c']", "no argument"),
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
