//! The gate of a sandbox: a listening socket on loopback of a network namespace that has nothing else, made inside and
//! handed out to this program, which serves it as the proxy of one call. Whoever is inside reaches the proxy and nothing
//! besides; a socket belongs to the namespace it was made in, whoever accepts from it, so that nobody outside reaches it.
//!
//! Nothing is relayed by a process of the sandbox, no socket lies in its file tree, and what is inside gets no handle of ours.
//!
//! **Invariant:** a gate that does not stand ends the call before its command runs; none is opened another way.
//! **Invariant:** what is served is a listener on [`PORT`] of loopback, whatever was handed over.

mod hand_over;
mod inside;
mod raise;
mod serve;

use common_ground::{grant::Item, port::tool::ToolError};

pub(crate) use hand_over::{WithHandle, receive, send};
pub(crate) use inside::{PROGRAM, SOCKET, inside, is_inside};
pub(crate) use raise::{Loopback, raise};
pub(crate) use serve::{Gate, serve, used_up};

use crate::arguments::refuse;

/// Where it stands: the usual port of HTTP proxies.
pub(crate) const PORT: u16 = 3128;

/// Most hosts that one call names.
const MOST_HOSTS: usize = 32;

/// The variables by which programs find a proxy. Some read only the small ones, some only the others.
const VARIABLES: [&str; 5] = ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"];

/// What a command inside finds in its environment.
pub(crate) fn variables() -> impl Iterator<Item = (&'static str, String)> {
    VARIABLES.into_iter().map(|name| (name, format!("http://127.0.0.1:{PORT}")))
}

/// What a call needs that names these hosts. Methods cannot be held through a proxy, and a pattern names no host.
pub(crate) fn needs(tool: &str, hosts: &[String]) -> Result<Vec<Item>, ToolError> {
    let bad = |host: &str, why: &str| refuse(tool, format!("`net`: {host:?}: {why}"));
    if hosts.len() > MOST_HOSTS {
        return Err(refuse(tool, format!("`net` names more than {MOST_HOSTS} hosts")));
    }
    let need = |host: &String| {
        let item = format!("net:{host}").parse::<Item>().map_err(|error| bad(host, error.why))?;
        match &item {
            Item::Net { methods, .. } if !methods.is_empty() => Err(bad(host, "a proxy cannot hold methods")),
            Item::Net { host: name, .. } if name.starts_with("*.") => Err(bad(host, "name the hosts one by one")),
            Item::Net { .. } => Ok(item),
            Item::Path { .. } | Item::Run { .. } | Item::Env { .. } | Item::Secret { .. } => {
                Err(bad(host, "it is no host"))
            }
        }
    };
    hosts.iter().map(need).collect()
}

#[cfg(test)]
mod tests {
    use super::needs;

    #[test]
    fn hosts_become_needs() {
        let hosts = ["example.org", "http://127.0.0.1:8080", "[::1]:8443"].map(str::to_owned);
        let items = needs("shell", &hosts).expect("needs");
        let items: Vec<String> = items.iter().map(ToString::to_string).collect();
        assert_eq!(items, ["net:https://example.org:443", "net:http://127.0.0.1:8080", "net:https://[::1]:8443"]);
        for (host, why) in [
            ("*.example.org", "one by one"),
            ("example.org GET", "methods"),
            ("ftp://example.org", "scheme"),
            ("user@example.org", "it is net:"),
            ("", "it is net:"),
        ] {
            let refused = needs("shell", &[host.to_owned()]).expect_err(host).to_string();
            assert!(refused.contains(why), "{refused}");
        }
        assert!(needs("shell", &vec!["a.org".to_owned(); 33]).is_err());
    }
}
