//! A server as the person configured it: what is started or asked, and what it may use. Pure data.
//!
//! **Invariant:** what a person is shown of a server is all there is to it, and has no character that a screen would not show.
//! **Invariant:** two servers that differ in anything have different digests.

use std::collections::{BTreeMap, BTreeSet};

use common_ground::grant::{Item, Limits, Tier};
use http::{HeaderMap, HeaderName, HeaderValue};
use receipts::Digest;
use serde_json::{Value, json};

use crate::{
    clean::is_hidden,
    egress::{Target, named_secrets},
};

/// Longest name, so that a tool's own name has room beside it.
const LONGEST_NAME: usize = 24;
/// Headers that are the protocol's or the dialler's own business.
const NOT_YOURS: [&str; 12] = [
    "host",
    "connection",
    "content-length",
    "content-type",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "accept",
    "accept-encoding",
    "mcp-session-id",
    "mcp-protocol-version",
];
/// The methods of the protocol: requests, the stream of notifications, the end of a session.
const METHODS: [&str; 3] = ["POST", "GET", "DELETE"];

/// How a server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A program of this machine, in a process jail without a network.
    Stdio {
        /// The program and its arguments.
        command: Vec<String>,
        /// Variables that it has beside those of every jail.
        env: BTreeMap<String, String>,
        /// What it may use: `read:`, `write:` and `env:`. Nothing else is there for it.
        may: BTreeSet<Item>,
        /// The most it may use as long as it runs, over all its calls.
        limits: Limits,
    },
    /// A server that is asked over HTTP, through the dialler.
    Http {
        /// Its address.
        url: String,
        /// Headers of every request; `{{secret:NAME}}` in a value stands for a secret of the settings.
        headers: BTreeMap<String, String>,
    },
}

impl Transport {
    /// What a program has that is said nothing else of: ten minutes of processor time, a day, a gigabyte.
    pub const LIMITS: Limits = Limits { cpu_ms: 600_000, wall_ms: 86_400_000, memory_bytes: 1 << 30, ..Limits::USUAL };
}

/// A server of the Model Context Protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    name: String,
    transport: Transport,
}

/// Settings that make no server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the MCP server {name:?}: {why}")]
pub struct BadServer {
    /// Its name.
    pub name: String,
    /// What is wrong.
    pub why: String,
}

/// Where and how a server over HTTP is asked.
#[derive(Debug, Clone)]
pub(super) struct Address {
    pub target: Target,
    pub headers: HeaderMap,
}

impl Server {
    /// A server by this name.
    ///
    /// # Errors
    /// A name that tools cannot begin with, a command that is none or would not be shown as it is, something to use that a
    /// jail cannot give, an address or header that is none.
    pub fn new(name: &str, transport: Transport) -> Result<Self, BadServer> {
        let bad = |why: String| BadServer { name: name.to_owned(), why };
        let is_name = name.starts_with(|one: char| one.is_ascii_lowercase())
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte))
            && !name.contains("__")
            && !name.ends_with('_');
        if !is_name || name.len() > LONGEST_NAME {
            let form = "small letters, digits, - and single _, a letter first";
            return Err(bad(format!("a name is {form}, at most {LONGEST_NAME} of them")));
        }
        match &transport {
            Transport::Stdio { command, env, may, limits: _ } => check_command(command, env, may).map_err(bad)?,
            Transport::Http { url, headers } => drop(address(url, headers).map_err(bad)?),
        }
        Ok(Self { name: name.to_owned(), transport })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it is reached.
    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    /// All of it as canonical JSON. What is pinned before it is first started.
    pub fn text(&self) -> String {
        let transport = match &self.transport {
            Transport::Stdio { command, env, may, limits } => {
                let may: Vec<String> = may.iter().map(Item::to_string).collect();
                let limits: BTreeMap<&str, u64> = limits.rows().into_iter().collect();
                json!({ "command": command, "env": env, "may": may, "limits": limits })
            }
            Transport::Http { url, headers } => json!({ "url": url, "headers": headers }),
        };
        canonical(&json!({ "name": self.name, "transport": transport }))
    }

    /// SHA-256 of [`Server::text`].
    pub fn digest(&self) -> Digest {
        Digest::of(self.text().as_bytes())
    }

    /// What a person reads before it is started or asked for the first time, a line each thing.
    pub fn shown(&self) -> String {
        let mut lines = vec![format!("server {}", self.name)];
        match &self.transport {
            Transport::Stdio { command, env, may, limits } => {
                lines.push(format!("runs {}", quoted(command)));
                lines.extend(env.iter().map(|(key, value)| format!("with {}", quoted(&[format!("{key}={value}")]))));
                lines.extend(may.iter().map(|item| format!("may {item}")));
                let usual = Transport::LIMITS.rows();
                let other = limits.rows().into_iter().zip(usual).filter(|(own, usual)| own != usual);
                lines.extend(other.map(|((name, number), _)| format!("limit {name} {number}")));
            }
            Transport::Http { url, headers } => {
                lines.push(format!("asks {url}"));
                lines.extend(headers.iter().map(|(name, value)| format!("with {name}: {value}")));
            }
        }
        lines.join("\n") + "\n"
    }

    /// What a call of one of its tools needs, over the tool itself: everything that the server has is at its tools' hands.
    pub(super) fn needs(&self, tool: &str) -> Vec<Item> {
        let command = Some(format!("{} {tool}", self.name));
        let mut items = vec![Item::Run { tier: Tier::Mcp, image: None, command }];
        items.extend(self.uses());
        items
    }

    /// What the server itself may use.
    pub(super) fn uses(&self) -> Vec<Item> {
        match &self.transport {
            Transport::Stdio { may, .. } => may.iter().cloned().collect(),
            Transport::Http { url, headers } => address(url, headers).map_or_else(
                // It was checked when the server was made.
                |_why| Vec::new(),
                |Address { target, headers }| {
                    let mut items = vec![target.need(&METHODS)];
                    for (header, value) in &headers {
                        for name in named_secrets(value.to_str().unwrap_or_default()) {
                            let (name, host) = (name.to_owned(), target.host().to_owned());
                            items.push(Item::Secret { name, host, header: header.as_str().to_owned() });
                        }
                    }
                    items
                },
            ),
        }
    }
}

/// Canonical JSON of what has no number that it could not hold.
pub(super) fn canonical(value: &Value) -> String {
    serde_json_canonicalizer::to_string(value).unwrap_or_else(|_unwritable| value.to_string())
}

/// A command line in a shell's quotes.
fn quoted(words: &[String]) -> String {
    // Words with NUL were refused, which is all that cannot be quoted.
    shlex::try_join(words.iter().map(String::as_str)).unwrap_or_else(|_nul| format!("{words:?}"))
}

fn check_command(command: &[String], env: &BTreeMap<String, String>, may: &BTreeSet<Item>) -> Result<(), String> {
    if command.first().is_none_or(String::is_empty) {
        return Err("its command is empty".to_owned());
    }
    let is_key = |key: &str| {
        !key.is_empty()
            && !key.starts_with(|one: char| one.is_ascii_digit())
            && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    if let Some(key) = env.keys().find(|key| !is_key(key)) {
        return Err(format!("{key:?} is no name of a variable"));
    }
    let words = command.iter().chain(env.values()).map(String::as_str);
    let items: Vec<String> = may.iter().map(Item::to_string).collect();
    if let Some(word) = words.chain(items.iter().map(String::as_str)).find(|word| word.chars().any(is_hidden)) {
        return Err(format!("{word:?} has a character that a screen does not show as it is"));
    }
    for item in may {
        match item {
            Item::Path { .. } | Item::Env { .. } => {}
            Item::Net { .. } | Item::Run { .. } | Item::Secret { .. } => {
                return Err(format!("{item}: a local server has paths and variables, and nothing else"));
            }
        }
    }
    Ok(())
}

/// Where a server over HTTP is, when its address and headers are what they should be.
pub(super) fn address(url: &str, headers: &BTreeMap<String, String>) -> Result<Address, String> {
    if let Some(text) =
        [url].into_iter().chain(headers.values().map(String::as_str)).find(|text| text.chars().any(is_hidden))
    {
        return Err(format!("{text:?} has a character that a screen does not show as it is"));
    }
    let target = Target::parse(url).map_err(|error| error.to_string())?;
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let known = name.parse::<HeaderName>().map_err(|error| format!("the header {name:?}: {error}"))?;
        if NOT_YOURS.contains(&known.as_str()) || known.as_str().starts_with("mcp-") {
            return Err(format!("the header {known} is set for you"));
        }
        let value = HeaderValue::from_str(value).map_err(|error| format!("the header {name:?}: {error}"))?;
        map.insert(known, value);
    }
    Ok(Address { target, headers: map })
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::{Limits, Server, Transport};

    fn local(command: &[&str], env: &[(&str, &str)], may: &[&str]) -> Transport {
        let env = env.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Transport::Stdio {
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            env: env.collect(),
            may: may.iter().map(|item| item.parse().unwrap_or_else(|error| panic!("{error}"))).collect(),
            limits: Transport::LIMITS,
        }
    }

    fn remote(url: &str, headers: &[(&str, &str)]) -> Transport {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Transport::Http { url: url.to_owned(), headers: headers.collect() }
    }

    #[test]
    fn what_is_no_server_is_refused() {
        for (name, transport, why) in [
            ("", local(&["a"], &[], &[]), "a name is"),
            ("A", local(&["a"], &[], &[]), "a name is"),
            ("a__b", local(&["a"], &[], &[]), "a name is"),
            ("a_", local(&["a"], &[], &[]), "a name is"),
            ("a/b", local(&["a"], &[], &[]), "a name is"),
            ("a-name-that-is-much-too-long", local(&["a"], &[], &[]), "a name is"),
            ("a", local(&[], &[], &[]), "empty"),
            ("a", local(&[""], &[], &[]), "empty"),
            ("a", local(&["a", "\u{1b}[2K"], &[], &[]), "screen"),
            ("a", local(&["a", "\u{202e}b"], &[], &[]), "screen"),
            ("a", local(&["a\0"], &[], &[]), "screen"),
            ("a", local(&["a\nb"], &[], &[]), "screen"),
            ("a", local(&["a"], &[("A B", "")], &[]), "no name of a variable"),
            ("a", local(&["a"], &[("A", "\u{7}")], &[]), "screen"),
            ("a", local(&["a"], &[], &["net:example.org"]), "nothing else"),
            ("a", local(&["a"], &[], &["run:process"]), "nothing else"),
            ("a", local(&["a"], &[], &["secret:a@b/c"]), "nothing else"),
            ("a", remote("ftp://example.org", &[]), "scheme"),
            ("a", remote("https://user@example.org", &[]), "a user before the host"),
            ("a", remote("https://example.org", &[("Host", "x")]), "set for you"),
            ("a", remote("https://example.org", &[("Mcp-Name", "x")]), "set for you"),
            ("a", remote("https://example.org", &[("a b", "x")]), "the header"),
        ] {
            let refused = Server::new(name, transport).expect_err(name).to_string();
            assert!(refused.contains(why), "{refused}");
        }
    }

    #[test]
    fn every_difference_is_another_digest_and_is_shown() {
        let same = |transport: Transport| Server::new("a", transport).unwrap_or_else(|error| panic!("{error}"));
        let limits = Transport::Stdio {
            command: vec!["a".to_owned()],
            env: BTreeMap::new(),
            may: BTreeSet::new(),
            limits: Limits { processes: 1, ..Transport::LIMITS },
        };
        let all = [
            same(local(&["a"], &[], &[])),
            same(local(&["a", ""], &[], &[])),
            same(local(&["a", "b c"], &[], &[])),
            same(local(&["a", "b", "c"], &[], &[])),
            same(local(&["a"], &[("B", "c")], &[])),
            same(local(&["a"], &[], &["read:/b"])),
            same(local(&["a"], &[], &["write:/b"])),
            same(limits),
            same(remote("https://example.org/a", &[])),
            same(remote("https://example.org/b", &[])),
            same(remote("https://example.org/b", &[("Authorization", "Bearer {{secret:k}}")])),
        ];
        let digests: BTreeSet<_> = all.iter().map(Server::digest).collect();
        let shown: BTreeSet<_> = all.iter().map(Server::shown).collect();
        assert_eq!((digests.len(), shown.len()), (all.len(), all.len()), "{shown:#?}");
        assert_eq!(all[2].shown(), "server a\nruns a 'b c'\n");
    }

    #[test]
    fn a_call_needs_all_that_its_server_has() {
        let needs = |transport| {
            let server = Server::new("files", transport).unwrap_or_else(|error| panic!("{error}"));
            server.needs("read").iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(
            needs(local(&["a"], &[], &["write:/out", "env:LANG"])),
            ["run:mcp=files read", "write:/out", "env:LANG"]
        );
        assert_eq!(
            needs(remote("http://127.0.0.1:8000/mcp", &[("Authorization", "Bearer {{secret:key}}")])),
            ["run:mcp=files read", "net:http://127.0.0.1:8000 DELETE,GET,POST", "secret:key@127.0.0.1/authorization"]
        );
    }
}
