//! Where receipts go: an address says what is asked there and how.
//!
//! `http://` and `https://` lead to a ledger's log, `bitcoin+http://` and `bitcoin+https://` to a node of Bitcoin's family.
//!
//! **Invariant:** no address has a user or a password in it: addresses are shown.

use reqwest::Url;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A ledger: a transparency log that answers for receipts.
    Log,
    /// A node: a chain that takes transactions.
    Chain,
}

/// An address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// What is asked there.
    pub kind: Kind,
    /// Where.
    pub url: Url,
}

/// What marks the address of a node.
const CHAIN: &str = "bitcoin+";

/// A ledger's address as it is asked; none for what is no such address, or has a user or a password in it.
pub fn address(text: &str) -> Option<Address> {
    let (kind, plain) = text.strip_prefix(CHAIN).map_or((Kind::Log, text), |plain| (Kind::Chain, plain));
    let url = Url::parse(plain).ok()?;
    let known = matches!(url.scheme(), "http" | "https") && url.host_str().is_some();
    (known && url.username().is_empty() && url.password().is_none()).then_some(Address { kind, url })
}

/// A text that is no address, as it may be shown: without what stands where a password would.
pub fn shown(text: &str) -> String {
    text.rsplit_once('@').map_or_else(|| text.to_owned(), |(_secret, host)| format!("\u{2026}@{host}"))
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mark = match self.kind {
            Kind::Log => "",
            Kind::Chain => CHAIN,
        };
        write!(f, "{mark}{}", self.url)
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, address, shown};

    #[test]
    fn only_addresses_without_a_password_are_asked() {
        for right in ["http://127.0.0.1:7411/", "https://ledger.example/", "http://[::1]:9/"] {
            let found = address(right).expect(right);
            assert_eq!((found.kind, found.to_string().as_str()), (Kind::Log, right));
        }
        let node = "bitcoin+http://127.0.0.1:8332/wallet/anchors";
        let found = address(node).expect(node);
        assert_eq!((found.kind, found.url.as_str(), found.to_string().as_str()), (Kind::Chain, &node[8..], node));
        for wrong in ["", "ledger.example", "ftp://ledger.example", "http://me:secret@ledger.example", "file:///etc"] {
            assert!(address(wrong).is_none(), "{wrong}");
            assert!(address(&format!("bitcoin+{wrong}")).is_none(), "{wrong}");
        }
        assert_eq!(shown("bitcoin+http://me:secret@node.example/"), "\u{2026}@node.example/");
        assert!(address("bitcoin+bitcoin+http://127.0.0.1/").is_none());
    }
}
