//! A place in a document that anybody can open and compare.

use receipts::Digest;
use serde::{Deserialize, Serialize};

/// Half-open byte range `start..end` into a document's citable text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Span {
    /// First byte.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
}

impl Span {
    /// Bytes covered; 0 for a reversed span.
    pub fn len(self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Whether nothing is covered.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// A quote and where it stands: the bytes `span` of the text whose SHA-256 is `text` are exactly `quote`.
///
/// For Markdown and plain text the citable text is the file itself, so `text` equals `document`. For HTML it is the
/// readable text drawn from the file; `document` stays the digest of the file's own bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Citation {
    /// Path of the document, relative to its collection's folder, with `/` between parts.
    pub path: String,
    /// SHA-256 of the document's bytes.
    pub document: Digest,
    /// SHA-256 of the citable text.
    pub text: Digest,
    /// Where the quote stands in the citable text.
    pub span: Span,
    /// The quoted text, verbatim.
    pub quote: String,
    /// Name of the document's collection, where several answer together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collection: Option<String>,
}

impl Citation {
    /// The path as people are shown it: after its collection's name, where several answer together.
    pub fn place(&self) -> String {
        self.collection.as_ref().map_or_else(|| self.path.clone(), |name| format!("{name}:{}", self.path))
    }
}
