//! What happened to one document of an ingest, and the entries that bind it.
//!
//! **Invariant:** an entry has the same fields always, whatever is known: what is not known is an empty value.

use serde::{Deserialize, Serialize};

use crate::{canonical::NotCanonical, commit::Salt, digest::Digest, entry::Kinds, presorted};

/// The kinds that are counted in a receipt, by name; `ingest_start` and `ingest_end` are always there once.
pub(crate) const COUNTED: [&str; 4] = ["added", "changed", "refused", "removed"];

/// The fields of the first entry that every receipt opens.
pub(crate) const OPEN: [&str; 4] = ["after", "before", "collection", "revision"];

/// The entries of an ingest.
pub(crate) const KINDS: Kinds = Kinds { start: "ingest_start", end: "ingest_end", fields: fields_of };

fn fields_of(kind: &str) -> Option<&'static [&'static str]> {
    Some(match kind {
        "document_added" | "document_changed" => &["corpus", "kept", "licence", "read", "source", "steps"],
        "document_refused" => &["read", "reason", "source"],
        "document_removed" => &["corpus", "read", "source"],
        "ingest_end" => &["after", "outcome"],
        "ingest_start" => &["after", "associate", "before", "collection", "policy", "revision"],
        _unknown => return None,
    })
}

/// What was done to the bytes of a document to keep it as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Steps {
    /// What cut it into passages, and its version: `passages/1`.
    pub chunker: String,
    /// The encoding it was decoded from, by its WHATWG name; none of a format that is no text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decoding: Option<String>,
    /// The media type it was read as, and the version of the readers: `text/html/2`.
    pub reader: String,
    /// What it was unpacked from, as `gzip`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unpacking: Option<String>,
}

/// A document that the collection has since this ingest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Curated {
    /// Where it was read: its path in the folder, or its address.
    pub source: String,
    /// SHA-256 of the bytes that were read.
    pub read: Digest,
    /// How many these are.
    pub bytes: u64,
    /// Their media type, as the corpus has it.
    pub media: String,
    /// SHA-256 of the text that is kept.
    pub kept: Digest,
    /// The licence as it was stated; empty where nobody did.
    pub licence: String,
    /// What was done to it.
    pub steps: Steps,
    /// The salt of its path in the corpus.
    pub salt: Salt,
}

/// A document that the collection has no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// Where it was read.
    pub source: String,
    /// SHA-256 of its bytes, as they were read last.
    pub read: Digest,
    /// How many these were.
    pub bytes: u64,
    /// Their media type, as the corpus has it.
    pub media: String,
    /// The salt of its path in the corpus entry that removes it.
    pub salt: Salt,
}

/// Something that was passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Where it is.
    pub source: String,
    /// SHA-256 of its bytes; none where they were not read to their end.
    pub read: Option<Digest>,
    /// Why.
    pub reason: String,
}

/// What happened to one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transform {
    /// It is new.
    Added(Curated),
    /// Its bytes, or what is known of it, are others than before.
    Changed(Curated),
    /// It is gone.
    Removed(Removed),
    /// It was not taken in.
    Refused(Refused),
}

impl Transform {
    /// Where the document was.
    pub fn source(&self) -> &str {
        match self {
            Self::Added(of) | Self::Changed(of) => &of.source,
            Self::Removed(of) => &of.source,
            Self::Refused(of) => &of.source,
        }
    }

    /// The word for it in counts and logs.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Added(_) => "added",
            Self::Changed(_) => "changed",
            Self::Removed(_) => "removed",
            Self::Refused(_) => "refused",
        }
    }

    /// The kind of its entry.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Added(_) => "document_added",
            Self::Changed(_) => "document_changed",
            Self::Removed(_) => "document_removed",
            Self::Refused(_) => "document_refused",
        }
    }

    /// Field names and the bytes that are committed to. `corpus` is the leaf of its entry in the corpus.
    pub(super) fn values(&self, corpus: Option<Digest>) -> Result<Vec<(&'static str, Vec<u8>)>, NotCanonical> {
        let raw = |digest: Option<Digest>| digest.map_or_else(Vec::new, |digest| digest.0.to_vec());
        let text = |text: &str| text.as_bytes().to_vec();
        Ok(match self {
            Self::Added(of) | Self::Changed(of) => {
                let mut steps = Vec::new();
                presorted::append(&mut steps, &of.steps)?;
                vec![
                    ("corpus", raw(corpus)),
                    ("kept", raw(Some(of.kept))),
                    ("licence", text(&of.licence)),
                    ("read", raw(Some(of.read))),
                    ("source", text(&of.source)),
                    ("steps", steps),
                ]
            }
            Self::Removed(of) => {
                vec![("corpus", raw(corpus)), ("read", raw(Some(of.read))), ("source", text(&of.source))]
            }
            Self::Refused(of) => {
                vec![("read", raw(of.read)), ("reason", text(&of.reason)), ("source", text(&of.source))]
            }
        })
    }
}
