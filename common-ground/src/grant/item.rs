//! One thing that may be done, and exactly one thing somebody wants to do: the same type, so that a grant is compared with
//! a need, and a person reads both in the words of the command line.

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// What may be done with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Reading and listing.
    Read,
    /// Reading, making, changing and removing.
    Write,
}

/// How a host is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    /// HTTP without TLS.
    Http,
    /// HTTP over TLS.
    Https,
}

impl Scheme {
    /// The port it has where none is named.
    pub fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    /// Its name in an address.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// Where a call runs. The record names the one that really ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Our own code in this process, with nothing but what its grant opens.
    Builtin,
    /// A WebAssembly component.
    Wasm,
    /// A native process in namespaces of its own.
    Process,
    /// A container.
    Docker,
    /// A browser.
    Browser,
    /// A server of the Model Context Protocol.
    Mcp,
}

impl Tier {
    /// Its name in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Builtin => "builtin",
            Self::Wasm => "wasm",
            Self::Process => "process",
            Self::Docker => "docker",
            Self::Browser => "browser",
            Self::Mcp => "mcp",
        }
    }
}

/// Something that may be done, or that somebody wants to do.
///
/// Its text is what people write and read: `read:/data`, `net:https://example.org:443 GET`, `run:process=ls -l`,
/// `run:docker:IMAGE`, `env:LANG`, `secret:NAME@https://host/Header`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Item {
    /// A file, or a folder with all beneath it.
    Path {
        /// Absolute, with neither `.` nor `..` nor an empty part.
        path: String,
        /// What may be done.
        access: Access,
    },
    /// Requests to a host.
    Net {
        /// How.
        scheme: Scheme,
        /// Its name in ASCII and lower case, or `*.` and a name for all beneath it.
        host: String,
        /// Its port.
        port: u16,
        /// Methods in capitals; none for all. Only requests that this program makes itself can be held to them.
        methods: BTreeSet<String>,
    },
    /// A command.
    Run {
        /// Where.
        tier: Tier,
        /// The container image, where the tier has images.
        image: Option<String>,
        /// The whole command line; none for all.
        command: Option<String>,
    },
    /// A variable of the person's environment.
    Env {
        /// Its name.
        key: String,
    },
    /// A secret, put in by the dialler for one host and one header; no tool ever has it.
    Secret {
        /// Its name in the settings.
        name: String,
        /// The host it goes to.
        host: String,
        /// The header it goes in.
        header: String,
    },
}

/// A text that names nothing that can be granted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no grant: {why}")]
pub struct BadItem {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl Item {
    /// Reading a path.
    ///
    /// # Errors
    /// A path that is not absolute or not plain.
    pub fn read(path: &str) -> Result<Self, BadItem> {
        Ok(Self::Path { path: plain(path)?, access: Access::Read })
    }

    /// Changing a path.
    ///
    /// # Errors
    /// A path that is not absolute or not plain.
    pub fn write(path: &str) -> Result<Self, BadItem> {
        Ok(Self::Path { path: plain(path)?, access: Access::Write })
    }

    /// Whether all that `need` is, this is too.
    pub fn covers(&self, need: &Self) -> bool {
        self.meet(need).as_ref() == Some(need)
    }

    /// What both allow.
    pub fn meet(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Path { path, access }, Self::Path { path: with, access: and }) => {
                let path = narrower(path, with, is_beneath)?;
                Some(Self::Path { path, access: *access.min(and) })
            }
            (
                Self::Net { scheme, host, port, methods },
                Self::Net { scheme: of, host: with, port: at, methods: and },
            ) if scheme == of && port == at => {
                let host = narrower(host, with, is_host_of)?;
                let methods = match (methods.is_empty(), and.is_empty()) {
                    (true, _) => and.clone(),
                    (false, true) => methods.clone(),
                    (false, false) => methods.intersection(and).cloned().collect(),
                };
                let none_left = methods.is_empty() && !(other.is_any_method() && self.is_any_method());
                (!none_left).then_some(Self::Net { scheme: *scheme, host, port: *port, methods })
            }
            (Self::Run { tier, image, command }, Self::Run { tier: of, image: with, command: and })
                if tier == of && image == with =>
            {
                let command = match (command, and) {
                    (None, command) | (command, None) => command.clone(),
                    (Some(one), Some(two)) if one == two => Some(one.clone()),
                    (Some(_), Some(_)) => return None,
                };
                Some(Self::Run { tier: *tier, image: image.clone(), command })
            }
            (Self::Env { .. }, Self::Env { .. }) | (Self::Secret { .. }, Self::Secret { .. }) if self == other => {
                Some(self.clone())
            }
            (
                Self::Path { .. } | Self::Net { .. } | Self::Run { .. } | Self::Env { .. } | Self::Secret { .. },
                _another_kind,
            ) => None,
        }
    }

    fn is_any_method(&self) -> bool {
        matches!(self, Self::Net { methods, .. } if methods.is_empty())
    }
}

fn narrower(one: &str, two: &str, within: fn(&str, &str) -> bool) -> Option<String> {
    if within(one, two) {
        Some(one.to_owned())
    } else if within(two, one) {
        Some(two.to_owned())
    } else {
        None
    }
}

/// Whether a path is this folder or beneath it, part by part.
fn is_beneath(path: &str, folder: &str) -> bool {
    let rest = path.strip_prefix(folder.strip_suffix('/').unwrap_or(folder));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether a host, or all hosts of a pattern, are among those of another.
fn is_host_of(host: &str, of: &str) -> bool {
    let name = host.strip_prefix("*.").unwrap_or(host);
    let beneath = |tail| name.strip_suffix(tail).is_some_and(|head: &str| !head.is_empty());
    host == of || of.strip_prefix('*').is_some_and(beneath)
}

/// The path, when it is absolute and plain.
fn plain(path: &str) -> Result<String, BadItem> {
    let bad = |why| Err(BadItem { text: path.to_owned(), why });
    let Some(inner) = path.strip_prefix('/') else { return bad("a path begins with /") };
    if path.contains('\0') {
        return bad("a path has no NUL");
    }
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    if !inner.is_empty() && inner.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return bad("a path has no empty part, `.` or `..`");
    }
    Ok(format!("/{inner}"))
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path { path, access: Access::Read } => write!(f, "read:{path}"),
            Self::Path { path, access: Access::Write } => write!(f, "write:{path}"),
            Self::Net { scheme, host, port, methods } => {
                write!(f, "net:{}://{host}:{port}", scheme.name())?;
                let methods: Vec<&str> = methods.iter().map(String::as_str).collect();
                if methods.is_empty() { Ok(()) } else { write!(f, " {}", methods.join(",")) }
            }
            Self::Run { tier, image, command } => {
                write!(f, "run:{}", tier.name())?;
                if let Some(image) = image {
                    write!(f, ":{image}")?;
                }
                match command {
                    Some(command) => write!(f, "={command}"),
                    None => Ok(()),
                }
            }
            Self::Env { key } => write!(f, "env:{key}"),
            Self::Secret { name, host, header } => write!(f, "secret:{name}@{host}/{header}"),
        }
    }
}

impl From<Item> for String {
    fn from(item: Item) -> Self {
        item.to_string()
    }
}

impl TryFrom<String> for Item {
    type Error = BadItem;

    fn try_from(text: String) -> Result<Self, BadItem> {
        text.parse()
    }
}

impl FromStr for Item {
    type Err = BadItem;

    fn from_str(text: &str) -> Result<Self, BadItem> {
        let bad = |why| BadItem { text: text.to_owned(), why };
        let (kind, rest) =
            text.split_once(':').ok_or(bad("it begins with read:, write:, net:, run:, env: or secret:"))?;
        let is_word = |word: &str| {
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
        };
        match kind {
            "read" => Self::read(rest).map_err(|error| bad(error.why)),
            "write" => Self::write(rest).map_err(|error| bad(error.why)),
            "net" => net(rest).map_err(bad),
            "run" => run(rest).map_err(bad),
            "env" if is_word(rest) => Ok(Self::Env { key: rest.to_owned() }),
            "env" => Err(bad("a variable's name is letters, digits and _")),
            "secret" => {
                let parts = rest.split_once('@').and_then(|(name, to)| Some((name, to.split_once('/')?)));
                let Some((name, (host, header))) = parts else { return Err(bad("it is secret:NAME@HOST/HEADER")) };
                if !(is_word(name) && is_word(host) && is_word(header)) {
                    return Err(bad("it is secret:NAME@HOST/HEADER"));
                }
                let (name, header) = (name.to_owned(), header.to_ascii_lowercase());
                Ok(Self::Secret { name, host: host.to_ascii_lowercase(), header })
            }
            _other => Err(bad("it begins with read:, write:, net:, run:, env: or secret:")),
        }
    }
}

fn net(text: &str) -> Result<Item, &'static str> {
    const FORM: &str = "it is net:[https://]HOST[:PORT] [METHOD,METHOD]";
    let (address, methods) = text.split_once(' ').unwrap_or((text, ""));
    let (scheme, authority) = match address.split_once("://") {
        Some(("http", rest)) => (Scheme::Http, rest),
        Some(("https", rest)) => (Scheme::Https, rest),
        Some(_other) => return Err("a scheme is http or https"),
        None => (Scheme::Https, address),
    };
    // An IPv6 address stands in brackets, so that its colons are its own.
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().map_err(|_no_number| FORM)?),
        Some(_) | None => (authority, scheme.port()),
    };
    let name = host.strip_prefix("*.").unwrap_or(host);
    let is_address = name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .is_some_and(|inner| inner.parse::<core::net::Ipv6Addr>().is_ok() && name == host);
    let is_name = !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        && !name.starts_with('.');
    if !(is_address || is_name) {
        return Err(FORM);
    }
    let host = host.to_ascii_lowercase();
    let host = host.strip_suffix('.').unwrap_or(&host).to_owned();
    let methods: BTreeSet<String> =
        methods.split(',').filter(|method| !method.is_empty()).map(str::to_ascii_uppercase).collect();
    if methods.iter().any(|method| !method.bytes().all(|byte| byte.is_ascii_uppercase())) {
        return Err(FORM);
    }
    Ok(Item::Net { scheme, host, port, methods })
}

fn run(text: &str) -> Result<Item, &'static str> {
    const FORM: &str = "it is run:process[=COMMAND], run:docker:IMAGE[=COMMAND] or run:mcp[=COMMAND]";
    let (place, command) = match text.split_once('=') {
        Some((place, command)) => (place, Some(command.to_owned())),
        None => (text, None),
    };
    let (tier, image) = match place.split_once(':') {
        None => match place {
            "process" => (Tier::Process, None),
            "mcp" => (Tier::Mcp, None),
            _other => return Err(FORM),
        },
        Some(("docker", image)) if !image.is_empty() => (Tier::Docker, Some(image.to_owned())),
        Some(_other) => return Err(FORM),
    };
    Ok(Item::Run { tier, image, command })
}

#[cfg(test)]
mod tests {
    use super::Item;

    fn item(text: &str) -> Item {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn what_covers_what() {
        for (grant, need, covers) in [
            ("read:/a", "read:/a", true),
            ("read:/a", "read:/a/b", true),
            ("read:/a", "read:/ab", false),
            ("read:/a/b", "read:/a", false),
            ("read:/", "read:/a", true),
            ("read:/a", "write:/a", false),
            ("write:/a", "read:/a/b", true),
            ("net:example.org", "net:https://example.org:443 GET", true),
            ("net:example.org GET", "net:https://example.org:443", false),
            ("net:example.org GET", "net:https://example.org:443 POST", false),
            ("net:example.org GET,POST", "net:example.org POST", true),
            ("net:http://example.org", "net:example.org", false),
            ("net:example.org:8443", "net:example.org", false),
            ("net:*.example.org", "net:a.example.org", true),
            ("net:*.example.org", "net:a.b.example.org", true),
            ("net:*.example.org", "net:example.org", false),
            ("net:*.example.org", "net:badexample.org", false),
            ("net:*.example.org", "net:*.b.example.org", true),
            ("net:*.b.example.org", "net:*.example.org", false),
            ("net:[::1]:80", "net:[::1]:80", true),
            ("run:process", "run:process=ls -l", true),
            ("run:process=ls -l", "run:process=ls -l", true),
            ("run:process=ls", "run:process=ls -l", false),
            ("run:process=ls", "run:process", false),
            ("run:docker:a", "run:docker:b=ls", false),
            ("run:docker:a@sha256:00", "run:docker:a@sha256:00=x=y", true),
            ("run:process", "run:docker:a", false),
            ("env:LANG", "env:LANG", true),
            ("env:LANG", "env:PATH", false),
            ("secret:key@api.example.org/Authorization", "secret:key@api.example.org/authorization", true),
            ("secret:key@api.example.org/authorization", "secret:key@example.org/authorization", false),
        ] {
            assert_eq!(item(grant).covers(&item(need)), covers, "{grant} and {need}");
        }
    }

    #[test]
    fn a_text_says_the_same_when_it_is_read_again() {
        for text in [
            "read:/a/b",
            "write:/",
            "net:https://*.example.org:443 GET,POST",
            "net:http://127.0.0.1:8080",
            "net:https://[::1]:443",
            "run:process",
            "run:docker:img@sha256:ab=sh -c 'a=b'",
            "run:mcp=server --flag",
            "env:HOME",
            "secret:a@b.org/authorization",
        ] {
            assert_eq!(item(text).to_string(), text);
        }
        assert_eq!(item("net:Example.ORG.").to_string(), "net:https://example.org:443");
        assert_eq!(item("read:/a/").to_string(), "read:/a");
    }

    #[test]
    fn what_is_no_grant_is_refused() {
        for text in [
            "",
            "read",
            "read:",
            "read:a",
            "read:/a/../b",
            "read:/a//b",
            "read:/./a",
            "read:/a\0",
            "net:",
            "net:a b c:d",
            "net:ftp://a",
            "net:a:port",
            "net:a:70000",
            "net:user@host",
            "net:*",
            "net:a*.b",
            "net:[::1",
            "net:0x7f/1",
            "run:",
            "run:wasm",
            "run:docker",
            "run:docker:",
            "run:browser",
            "env:",
            "env:A=B",
            "secret:a",
            "secret:a@b",
            "walk:/a",
        ] {
            assert!(text.parse::<Item>().is_err(), "{text:?}");
        }
    }
}
