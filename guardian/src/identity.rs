//! Entries of an identities Anchor-Set: which guardians a home has chartered, one entry a charter.

use receipts::{
    Digest,
    canonical::{NotCanonical, canonical, parse_canonical},
    integer::Decimal,
};
use serde::{Deserialize, Serialize};

/// What every entry begins with.
const PREFIX: &[u8] = b"pob/identity/1\n";

/// One charter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityEntry {
    /// Id of the charter: SHA-256 of what is signed of it.
    pub charter: Digest,
    /// Id of the guardian's key.
    pub guardian: Digest,
    /// Version of the charter; the highest of a guardian holds.
    pub version: Decimal,
}

impl IdentityEntry {
    /// The bytes that are hashed into the tree.
    ///
    /// # Errors
    /// None in practice; an entry has only text in it.
    pub fn to_bytes(&self) -> Result<Vec<u8>, NotCanonical> {
        let mut bytes = PREFIX.to_vec();
        bytes.extend(canonical(self)?);
        Ok(bytes)
    }

    /// Reads an entry in its one spelling, without the beginning that all have.
    ///
    /// # Errors
    /// [`NotCanonical`] for anything that would be written otherwise.
    pub fn parse(text: &str) -> Result<Self, NotCanonical> {
        let value = parse_canonical(text.as_bytes())?;
        serde_json::from_value(value).map_err(|error| NotCanonical::NotJson { reason: error.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use receipts::{Digest, integer::Decimal};

    use super::IdentityEntry;

    #[test]
    fn an_entry_is_its_beginning_and_one_spelling() {
        let entry = IdentityEntry { charter: Digest([1; 32]), guardian: Digest([2; 32]), version: Decimal(7) };
        let bytes = entry.to_bytes().expect("bytes");
        let text = bytes.strip_prefix(b"pob/identity/1\n").expect("its beginning");
        let text = std::str::from_utf8(text).expect("text");
        let (one, two) = ("01".repeat(32), "02".repeat(32));
        assert_eq!(text, format!("{{\"charter\":\"{one}\",\"guardian\":\"{two}\",\"version\":\"7\"}}"));
        assert_eq!(IdentityEntry::parse(text), Ok(entry));
        assert!(IdentityEntry::parse(&text.replace("\"7\"", "7")).is_err());
        assert!(IdentityEntry::parse(&text.replace("version", "versioN")).is_err());
        assert!(IdentityEntry::parse(&format!("{text} ")).is_err());
    }
}
