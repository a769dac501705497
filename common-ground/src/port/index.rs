//! The commons as the tools see it: search passages, read them, fetch a span to compare.

use receipts::Digest;
use serde::{Deserialize, Serialize};

use super::BoxFuture;
use crate::citation::Span;

/// A search over one index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// What to look for, in the person's own language; no query syntax.
    pub query: String,
    /// The most hits wanted, 1 to 100.
    pub limit: u32,
    /// What passages are ranked by.
    #[serde(default, skip_serializing_if = "By::is_best")]
    pub by: By,
    /// Which documents are looked at.
    #[serde(default, skip_serializing_if = "Filter::is_empty")]
    pub filter: Filter,
    /// How many times it is searched again with what was found, 0 to [`Search::MOST_HOPS`].
    #[serde(default, skip_serializing_if = "is_zero")]
    pub hops: u32,
    /// The most passages of one document; all that fit where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_document: Option<u32>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(hops: &u32) -> bool {
    *hops == 0
}

impl Search {
    /// The most times that one search goes on with what it found.
    pub const MOST_HOPS: u32 = 3;

    /// The best there is over all documents, in one search.
    pub fn new(query: impl Into<String>, limit: u32) -> Self {
        let (by, filter) = (By::Best, Filter::default());
        Self { query: query.into(), limit, by, filter, hops: 0, per_document: None }
    }
}

/// What passages are ranked by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// Words and vectors together where the collection has vectors, else words.
    #[default]
    Best,
    /// Words alone.
    Words,
    /// Vectors alone; refused where there are none.
    Vectors,
}

impl By {
    fn is_best(&self) -> bool {
        *self == Self::Best
    }
}

/// Which documents are looked at: those that fit every list that has something in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// Beginnings of a source's address or of a path.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
    /// Licences, in either case.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub licences: Vec<String>,
    /// Languages by their BCP 47 tag; `de` also stands for `de-AT`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub languages: Vec<String>,
    /// The earliest date, `YYYY`, `YYYY-MM` or `YYYY-MM-DD`; a document without a date fits none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// The latest date, inclusive, written alike: `2024` is the whole year.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Names of collections or beginnings of them, where several are searched together.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub collections: Vec<String>,
}

impl Filter {
    /// Whether every document fits.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Names a passage: a span of a citable text at a digest. Two equal ids always name the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PassageId {
    /// SHA-256 of the citable text.
    pub text: Digest,
    /// Where the passage stands in it.
    pub span: Span,
}

/// A citable span of a document, with what a reader needs to open it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Passage {
    /// Which passage.
    pub id: PassageId,
    /// SHA-256 of the document's own bytes.
    pub document: Digest,
    /// Path relative to the collection's folder.
    pub path: String,
    /// The document's title: its first heading or `<title>`, else its file stem.
    pub title: String,
    /// Headings above the passage, outermost first, without the title.
    pub headings: Vec<String>,
    /// The passage, verbatim.
    pub content: String,
    /// Start of each sentence's span within the citable text (absolute byte offsets), in order.
    pub sentences: Vec<Span>,
    /// Name of its collection, where several answer together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collection: Option<String>,
}

/// One hit of a search, best first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hit {
    /// The passage found.
    pub passage: Passage,
    /// What it was ranked by, in thousandths, so that facts and reports carry no floating point: a BM25 score where words
    /// alone were searched, else 0 to 1000. After further searches it is a share of the best first hit's score, to which what
    /// they add comes, so that it may be more than 1000. Where a reranker put the hits in order, what it says of this one; 0 for one that it was not asked about.
    pub score_milli: u64,
    /// What that score is made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Why>,
}

/// The parts of a score.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Why {
    /// BM25 score in thousandths; none where it is not among the first by words.
    pub words_milli: Option<u64>,
    /// Scalar product of the vectors in millionths; none where there are no vectors.
    pub vectors_micro: Option<i64>,
    /// The passage that led here, where it took a further search to find this one or to raise it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<PassageId>,
    /// What a reranker says of it, in millionths; none where none was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relevance_micro: Option<u32>,
}

/// The signed head of a corpus Anchor-Set, as receipts list it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorpusHead {
    /// `<node>/corpus/<collection>`.
    pub origin: String,
    /// Entries in the tree.
    pub size: u64,
    /// RFC 6962 root.
    pub root: Digest,
}

/// Why an index could not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// No text with this digest is in the index.
    #[error("no document text {text} in the index")]
    UnknownText {
        /// The digest asked for.
        text: Digest,
    },
    /// The span does not fit the text, or cuts a character.
    #[error("span {}..{} is not in text {text}", span.start, span.end)]
    BadSpan {
        /// The text.
        text: Digest,
        /// The span asked for.
        span: Span,
    },
    /// What the index has on disk is not what it wrote.
    #[error("index damaged: {what}")]
    Damaged {
        /// What does not fit.
        what: String,
    },
    /// A search by vectors where there are none.
    #[error("there are no vectors to search by: {why}")]
    NoVectors {
        /// Why not.
        why: String,
    },
    /// A date in a filter is none.
    #[error("`{date}` is no date: write YYYY, YYYY-MM or YYYY-MM-DD")]
    BadDate {
        /// What was written.
        date: String,
    },
    /// The index could not be read or written.
    #[error("index unavailable: {what}")]
    Unavailable {
        /// What failed, with the cause.
        what: String,
    },
}

/// An index of passages at one revision.
///
/// Hits come in a fixed order for the same index and query, equal scores of one side by the digest of the text, then by span;
/// equal texts are one hit.
pub trait Index: Send + Sync {
    /// The best passages for a query.
    fn search<'a>(&'a self, search: &'a Search) -> BoxFuture<'a, Result<Vec<Hit>, IndexError>>;

    /// A passage, or any span of a text, with its document's details.
    fn read<'a>(&'a self, id: &'a PassageId) -> BoxFuture<'a, Result<Passage, IndexError>>;

    /// The passages of the same text next to a span, in order, without the span's own: at most so many before it and after it.
    fn beside<'a>(&'a self, id: &'a PassageId, most: u32) -> BoxFuture<'a, Result<Vec<Passage>, IndexError>>;

    /// The corpus heads that stand for what this index answers from.
    fn heads(&self) -> Vec<CorpusHead>;
}
