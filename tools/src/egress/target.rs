//! Where a request goes: an address as the WHATWG's rules read it, which are those of browsers, so that no other reading of
//! the same text exists.
//!
//! **Invariant:** a target's host is a plain name in ASCII and lower case without a last dot, or an address in its shortest
//! form; never what was only written like one.

use std::{collections::BTreeSet, net::IpAddr};

use common_ground::grant::{Item, Scheme};
use url::{Host, Url};

/// Longest host name; the DNS would let 253 carry data out.
const LONGEST_HOST: usize = 128;
/// Most labels of a host name.
const MOST_LABELS: usize = 8;

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    url: Url,
    scheme: Scheme,
    host: String,
    address: Option<IpAddr>,
    port: u16,
}

/// Text that is no address of a page, or one that nobody may mean.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is refused: {why}")]
pub struct BadTarget {
    /// The text, in part where it is long.
    pub text: String,
    /// What is wrong with it.
    pub why: String,
}

impl Target {
    /// Reads an address.
    ///
    /// # Errors
    /// Text that is none, a scheme that is not http or https, a name and password before the host, a host that is no plain
    /// name, or one too long.
    pub fn parse(text: &str) -> Result<Self, BadTarget> {
        Url::parse(text).map_err(|error| error.to_string()).and_then(Self::of).map_err(|why| bad(text, why))
    }

    /// Reads an address that may be relative to this one.
    ///
    /// # Errors
    /// As [`Target::parse`].
    pub fn join(&self, text: &str) -> Result<Self, BadTarget> {
        self.url.join(text).map_err(|error| error.to_string()).and_then(Self::of).map_err(|why| bad(text, why))
    }

    fn of(mut url: Url) -> Result<Self, String> {
        let scheme = match url.scheme() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            other => return Err(format!("the scheme {other} is not http or https")),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err("a user before the host; what looks like the host there is none".to_owned());
        }
        let (host, address) = match url.host() {
            Some(Host::Domain(name)) => (plain(name)?, None),
            Some(Host::Ipv4(address)) => (address.to_string(), Some(IpAddr::V4(address))),
            Some(Host::Ipv6(address)) => (format!("[{address}]"), Some(IpAddr::V6(address))),
            None => return Err("it has no host".to_owned()),
        };
        // Host header and TLS name are without the last dot too.
        url.set_host(Some(&host)).map_err(|error| error.to_string())?;
        url.set_fragment(None);
        let port = url.port().unwrap_or(scheme.port());
        if port == 0 {
            return Err("port 0 is nobody's".to_owned());
        }
        Ok(Self { url, scheme, host, address, port })
    }

    /// The whole address, without a fragment.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// How it is spoken to.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Its host; an address of IPv6 in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Its host, where that is an address.
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Host and port as a Host header has them.
    pub fn authority(&self) -> String {
        if self.port == self.scheme.port() { self.host.clone() } else { format!("{}:{}", self.host, self.port) }
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> String {
        format!("{}://{}:{}", self.scheme.name(), self.host, self.port)
    }

    /// What a grant must cover for these methods; for any method where none is named.
    pub fn need(&self, methods: &[&str]) -> Item {
        let methods: BTreeSet<String> = methods.iter().map(|method| (*method).to_owned()).collect();
        Item::Net { scheme: self.scheme, host: self.host.clone(), port: self.port, methods }
    }
}

fn bad(text: &str, why: String) -> BadTarget {
    BadTarget { text: text.chars().take(200).collect(), why }
}

/// The name without its last dot, when it is a plain one. The WHATWG's rules let `*` and more stand in a host.
fn plain(name: &str) -> Result<String, String> {
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.len() > LONGEST_HOST {
        return Err(format!("a host name of {} bytes, more than {LONGEST_HOST}", name.len()));
    }
    let labels = name.split('.').count();
    if labels > MOST_LABELS {
        return Err(format!("a host name of {labels} labels, more than {MOST_LABELS}"));
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte))
    };
    if name.split('.').all(is_label) { Ok(name.to_owned()) } else { Err("its host is no plain name".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::Target;

    #[test]
    fn a_host_is_what_it_is() {
        for (text, host) in [
            ("http://0x7f.1/", "127.0.0.1"),
            ("http://2130706433/", "127.0.0.1"),
            ("http://0177.0.0.1/", "127.0.0.1"),
            ("http://0x7f000001/", "127.0.0.1"),
            ("http://127.1/", "127.0.0.1"),
            ("http://127.0.0.1./", "127.0.0.1"),
            ("http://%31%32%37.0.0.1/", "127.0.0.1"),
            ("http://\u{ff11}27.0.0.1/", "127.0.0.1"),
            ("http://127\u{3002}0\u{ff0e}0\u{ff61}1/", "127.0.0.1"),
            ("http://[::ffff:127.0.0.1]/", "[::ffff:127.0.0.1]"),
            ("http://[0:0:0:0:0:0:0:1]/", "[::1]"),
            ("http://0/", "0.0.0.0"),
            ("http://EXAMPLE.org./", "example.org"),
            ("http://ex\u{ad}ample.org/", "example.org"),
            ("http://b\u{fc}cher.example/", "xn--bcher-kva.example"),
            ("http:\\\\example.org\\path", "example.org"),
            ("http://ⓔxample.org/", "example.org"),
        ] {
            let target = Target::parse(text).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(target.host(), host, "{text}");
        }
    }

    #[test]
    fn what_nobody_may_mean_is_refused() {
        for text in [
            "file:///etc/passwd",
            "gopher://a/",
            "ftp://a/",
            "chrome://settings",
            "javascript:1",
            "data:text/plain,a",
            "",
            "a/b",
            "http://",
            "http://user@host/",
            "http://example.org@127.0.0.1/",
            "http://:p@host/",
            "http://*.a.org/",
            "http://a..b/",
            "http://a!b/",
            "http://256.256.256.256/",
            "http://1.2.3.4.5/",
            "http://[::1/",
            "http://a:0/",
            "http://a b/",
            "http://[fe80::1%25eth0]/",
        ] {
            assert!(Target::parse(text).is_err(), "{text:?}");
        }
        assert!(Target::parse(&format!("http://{}.org/", "a".repeat(63))).is_ok());
        assert!(Target::parse(&format!("http://{0}.{0}.{0}.org/", "a".repeat(60))).is_err(), "long");
        assert!(Target::parse("http://a.b.c.d.e.f.g.h.org/").is_err(), "many labels");
    }

    #[test]
    fn a_need_is_exact() {
        let target = Target::parse("http://a.org:8080/x?y#z").unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(target.need(&["GET"]).to_string(), "net:http://a.org:8080 GET");
        assert_eq!(target.authority(), "a.org:8080");
        assert_eq!(target.url().as_str(), "http://a.org:8080/x?y");
        assert!(target.join("file:///etc/passwd").is_err());
        assert_eq!(target.join("/q").map(|target| target.origin()), Ok("http://a.org:8080".to_owned()));
    }
}
