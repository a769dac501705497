//! Entries of a corpus Anchor-Set: which documents a collection had, one entry a change.

use serde::Serialize;

use crate::{
    canonical::{NotCanonical, canonical},
    digest::Digest,
    integer::Decimal,
};

/// What every entry begins with.
const PREFIX: &[u8] = b"pob/corpus/1\n";

/// One change of a collection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CorpusEntry<'a> {
    /// Length of the document in bytes.
    pub bytes: Decimal,
    /// SHA-256 of the document.
    pub doc: Digest,
    /// Its media type.
    pub media: &'a str,
    /// `add`, `replace` or `remove`.
    pub op: &'a str,
    /// Commitment to its path.
    pub path: Digest,
}

impl CorpusEntry<'_> {
    /// The bytes that are hashed into the tree.
    ///
    /// # Errors
    /// None in practice; an entry has only text in it.
    pub fn to_bytes(&self) -> Result<Vec<u8>, NotCanonical> {
        let mut bytes = PREFIX.to_vec();
        bytes.extend(canonical(self)?);
        Ok(bytes)
    }
}
