//! The corpus Anchor-Set: one entry per document added, replaced or removed, never taken back.
//!
//! The bytes are those of the receipts crate; paths stand in entries as salted commitments, so that a published corpus
//! tells no file names.

use base64::Engine as _;
use receipts::Digest;

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

/// Bytes of an entry: a prefix and canonical JSON.
pub(crate) fn entry(row: &CorpusRow) -> Vec<u8> {
    let path = commit("path", &row.salt, row.path.as_bytes());
    let (bytes, doc, media, op) = (row.bytes, row.document, &row.media, row.op.word());
    // Keys sorted, values without characters that JSON escapes: canonical as it stands.
    format!("pob/corpus/1\n{{\"bytes\":\"{bytes}\",\"doc\":\"{doc}\",\"media\":\"{media}\",\"op\":\"{op}\",\"path\":\"{path}\"}}").into_bytes()
}

// TEMPORARY: gives way to receipts::{commit, merkle} as soon as they are in the tree.
fn commit(name: &str, salt: &[u8; 16], value: &[u8]) -> Digest {
    let mut bytes = b"pob/commit/1\0".to_vec();
    bytes.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
    bytes.extend_from_slice(name.as_bytes());
    bytes.extend_from_slice(salt);
    bytes.extend_from_slice(&(value.len() as u64).to_be_bytes());
    bytes.extend_from_slice(&Digest::of(value).0);
    Digest::of(&bytes)
}

pub(crate) fn leaf(entry: &[u8]) -> Digest {
    Digest::of(&[&[0], entry].concat())
}

pub(crate) fn root(leaves: &[Digest]) -> Digest {
    match leaves {
        [] => Digest::of(b""),
        [one] => *one,
        _more => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            Digest::of(&[&[1][..], &root(left).0, &root(right).0].concat())
        }
    }
}

/// The unsigned body of a corpus head.
pub(crate) fn checkpoint_body(origin: &str, size: u64, root: &Digest) -> Vec<u8> {
    let root = base64::engine::general_purpose::STANDARD.encode(root.0);
    format!("{origin}\n{size}\n{root}\n").into_bytes()
}
