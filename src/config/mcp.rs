//! MCP servers as configuration says them: a table of texts with where each came from, then typed.
//!
//! **Invariant:** a project's own file sets none of this: it would decide what is started here.

use std::collections::{BTreeMap, BTreeSet};

use common_ground::grant::{Item, Limits};

use super::{failure, layers::Origin};
use crate::{exit::Failure, permissions};

/// The fields below `mcp.NAME`, each with what it is. `docs/CONFIG.md` shows them; a test compares the two.
pub const SERVER_FIELDS: &[(&str, &str)] = &[
    ("command", "the program and its arguments, as a list; it runs in a jail without a network"),
    ("url", "the address of a server over HTTP, instead of a command"),
    ("may", "what a local server may use: a list of read:, write: and env: permissions"),
    ("limits", "the most a local server may use over its whole life: a list such as [\"memory_bytes=2147483648\"]"),
    ("env", "a table of variables that a local server has; their values are not shown"),
    ("headers", "a table of headers of each request; {{secret:NAME}} stands for a secret; their values are not shown"),
];

/// Servers as texts, each with where it came from: server, then field.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Servers(BTreeMap<String, BTreeMap<String, (String, Origin)>>);

/// A server as the person configured it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct McpServer {
    /// Its name.
    pub name: String,
    /// How it is reached.
    pub reached: Reached,
}

/// How a server is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reached {
    /// A program.
    Command {
        /// It and its arguments.
        command: Vec<String>,
        /// Its variables.
        env: BTreeMap<String, String>,
        /// What it may use.
        may: BTreeSet<Item>,
        /// Limits other than usual, `NAME=NUMBER` each.
        limits: Vec<String>,
    },
    /// An address.
    Url {
        /// The address.
        url: String,
        /// Headers of each request.
        headers: BTreeMap<String, String>,
    },
}

/// Whether a field is a list, whose items stand a line each.
pub(super) fn is_list(field: &str) -> bool {
    matches!(field, "command" | "may" | "limits")
}

/// Whether a dotted name of a file is a server's: the server and its field.
///
/// # Errors
/// A field that there is not, with the nearest.
pub(super) fn parse_name(name: &str) -> Result<Option<(&str, &str)>, Failure> {
    let Some(rest) = name.strip_prefix("mcp.") else { return Ok(None) };
    let (server, field) = rest.split_once('.').unwrap_or((rest, ""));
    let (head, below) = field.split_once('.').unwrap_or((field, ""));
    let is_table = matches!(head, "env" | "headers");
    if SERVER_FIELDS.iter().any(|(known, _)| *known == head) && is_table != below.is_empty() {
        return Ok(Some((server, field)));
    }
    let nearest = SERVER_FIELDS.iter().min_by_key(|(known, _)| strsim::damerau_levenshtein(known, head));
    Err(failure(
        format!("unknown key `{name}`"),
        format!("the nearest is `mcp.{server}.{}`", nearest.map_or("command", |(field, _)| field)),
    ))
}

impl Servers {
    pub(super) fn set(&mut self, server: &str, field: &str, value: String, from: Origin) {
        self.0.entry(server.to_owned()).or_default().insert(field.to_owned(), (value, from));
    }

    /// Every value that somebody set, with its dotted name. Values of variables and headers are not shown.
    pub fn rows(&self) -> impl Iterator<Item = (String, &str, &Origin)> {
        self.0.iter().flat_map(|(server, fields)| {
            fields.iter().map(move |(field, (value, from))| {
                let shown = if field.contains('.') { "(set)" } else { value.as_str() };
                (format!("mcp.{server}.{field}"), shown, from)
            })
        })
    }

    /// The servers, typed.
    ///
    /// # Errors
    /// A server that is none, with what to do.
    pub(super) fn typed(&self) -> Result<Vec<McpServer>, Failure> {
        self.0.iter().map(|(name, fields)| typed(name, fields)).collect()
    }
}

fn typed(name: &str, fields: &BTreeMap<String, (String, Origin)>) -> Result<McpServer, Failure> {
    let bad = |what: &str, fix: &str| failure(format!("mcp.{name} {what}"), format!("{fix} under [mcp.{name}]"));
    let lines = |field: &str| {
        let text = fields.get(field).map_or("", |(text, _)| text.as_str());
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let table = |head: &str| -> BTreeMap<String, String> {
        let of_head = |(field, (value, _)): (&String, &(String, Origin))| {
            Some((field.strip_prefix(head)?.strip_prefix('.')?.to_owned(), value.clone()))
        };
        fields.iter().filter_map(of_head).collect()
    };
    let (command, url) = (lines("command"), fields.get("url").map(|(url, _)| url.clone()));
    let local = fields.keys().any(|field| matches!(field.as_str(), "may" | "limits") || field.starts_with("env."));
    let reached = match (command.as_slice(), url) {
        ([], None) => return Err(bad("has neither command nor url", "set one of them")),
        ([_, ..], Some(_)) => return Err(bad("has a command and a url", "leave one of them out")),
        ([], Some(_)) if local => {
            return Err(bad("has a url, and what only a command has", "leave out may, limits, env"));
        }
        ([], Some(url)) => Reached::Url { url, headers: table("headers") },
        ([_, ..], None) if !table("headers").is_empty() => {
            return Err(bad("has a command, and headers, which only a url has", "leave out headers"));
        }
        ([_, ..], None) => {
            let may = permissions::settings(lines("may").iter().map(String::as_str));
            let may = may.map_err(|what| bad(&format!("may: {what}"), "mend `may`"))?;
            let limits = lines("limits");
            permissions::limits_over(Limits::USUAL, limits.iter().map(String::as_str))
                .map_err(|what| bad(&format!("limits: {what}"), "mend `limits`"))?;
            Reached::Command { command, env: table("env"), may: may.into_iter().collect(), limits }
        }
    };
    Ok(McpServer { name: name.to_owned(), reached })
}

#[cfg(test)]
mod tests {
    use super::{Origin, Reached, Servers, parse_name};

    #[test]
    fn a_server_is_a_command_or_an_address() {
        let of = |fields: &[(&str, &str)]| {
            let mut servers = Servers::default();
            for (field, value) in fields {
                servers.set("notes", field, (*value).to_owned(), Origin::Default);
            }
            servers.typed().map(|all| all[0].reached.clone()).map_err(|failure| failure.to_string())
        };
        let command =
            of(&[("command", "notes\n--stdio"), ("may", "read:/notes"), ("env.LANG", "C")]).expect("a server");
        let Reached::Command { command, env, may, .. } = command else { panic!("a command") };
        assert_eq!((command, env.len(), may.len()), (vec!["notes".to_owned(), "--stdio".to_owned()], 1, 1));
        let url = of(&[("url", "https://example.org/mcp"), ("headers.authorization", "{{secret:key}}")]);
        assert!(matches!(url, Ok(Reached::Url { headers, .. }) if headers.len() == 1));
        for (fields, why) in [
            (&[("may", "read:/x")][..], "neither command nor url"),
            (&[("command", "a"), ("url", "https://b")], "a command and a url"),
            (&[("url", "https://b"), ("env.A", "b")], "only a command has"),
            (&[("command", "a"), ("headers.x", "y")], "only a url has"),
            (&[("command", "a"), ("may", "reed:/x")], "may:"),
            (&[("command", "a"), ("limits", "wall=1")], "limits:"),
        ] {
            let said = of(fields).expect_err(why);
            assert!(said.contains(why), "{said}");
        }
    }

    #[test]
    fn keys_are_known_or_the_nearest_is_named() {
        assert_eq!(parse_name("mcp.notes.command").ok().flatten(), Some(("notes", "command")));
        assert_eq!(parse_name("mcp.notes.env.LANG").ok().flatten(), Some(("notes", "env.LANG")));
        assert_eq!(parse_name("model").ok(), Some(None));
        for wrong in ["mcp.notes.comand", "mcp.notes.env", "mcp.notes.url.x", "mcp.notes", "mcp."] {
            assert!(parse_name(wrong).is_err(), "{wrong}");
        }
        let said = parse_name("mcp.notes.comand").expect_err("unknown").to_string();
        assert!(said.contains("mcp.notes.command"), "{said}");
    }
}
