//! The corpus Anchor-Set: one entry per document added, replaced or removed, never taken back.
//!
//! The bytes are those of the receipts crate; paths stand in entries as salted commitments, so that a published corpus
//! tells no file names.

use receipts::{
    Digest, canonical::NotCanonical, commit::commit, corpus::CorpusEntry, integer::Decimal, merkle::leaf_hash,
};

/// What happened to a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CorpusOp {
    /// A path that was not in the collection.
    Add,
    /// A path whose bytes changed; `doc` is the new digest.
    Replace,
    /// A path that went; `doc` is the last digest.
    Remove,
}

impl CorpusOp {
    /// The word in the entry.
    pub fn word(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Replace => "replace",
            Self::Remove => "remove",
        }
    }

    pub(crate) fn of_word(word: &str) -> Option<Self> {
        [Self::Add, Self::Replace, Self::Remove].into_iter().find(|op| op.word() == word)
    }
}

/// One entry of the corpus, with what opens its commitment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorpusRow {
    /// What happened.
    pub op: CorpusOp,
    /// SHA-256 of the document's bytes.
    pub document: Digest,
    /// How many bytes it has.
    pub bytes: u64,
    /// Its media type.
    pub media: String,
    /// Its path, committed to and not disclosed.
    pub path: String,
    /// The salt of that commitment.
    pub salt: [u8; 16],
}

/// The leaf of an entry in the corpus tree.
///
/// # Errors
/// None in practice: an entry has only text in it.
pub(crate) fn leaf(row: &CorpusRow) -> Result<Digest, NotCanonical> {
    let entry = CorpusEntry {
        bytes: Decimal(row.bytes),
        doc: row.document,
        media: &row.media,
        op: row.op.word(),
        path: commit("path", &row.salt, row.path.as_bytes()),
    };
    entry.to_bytes().map(|bytes| leaf_hash(&bytes))
}
