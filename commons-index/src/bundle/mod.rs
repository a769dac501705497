//! A bundle: one file that carries a collection to another home or database.
//!
//! JSON Lines in one zstd frame: who signs, then for each revision what went, what came with texts, passages and vectors, the
//! corpus entries and the signed head; at last a checkpoint over all lines before it. docs/BUNDLE-FORMAT.md is the format.
//!
//! **Invariant:** a line is read in bounded memory, whatever the file unpacks to.
//! **Invariant:** two bundles with one origin are the same bytes: the origin names the root over their lines.

mod export;
mod import;
mod lines;
mod parts;

use common_ground::citation::Span;
use receipts::Digest;
use serde::{Deserialize, Serialize};

pub use export::{Exported, Exporter};
pub use import::{Imported, Importer, Open};

use crate::{error::StoreError, metadata::Metadata};

/// The format that is written, and the only one that is read.
const FORMAT: &str = "ii-commons-bundle/1";

/// Why a bundle was not written or not taken in. Nothing is taken in then.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The file could not be read or written.
    #[error("the bundle cannot be read or written: {0}")]
    Io(#[from] std::io::Error),
    /// It is no bundle, or not a whole one.
    #[error("line {line} of the bundle: {cause}")]
    Malformed {
        /// Counted from 1.
        line: u64,
        /// What is wrong with it.
        cause: String,
    },
    /// It is of another format than this program's.
    #[error("the bundle is of format {found}, this program reads {FORMAT}")]
    OtherFormat {
        /// What it says.
        found: String,
    },
    /// A signature is missing, or is not over what is there.
    #[error("the bundle is not what was signed: {cause}")]
    Unverified {
        /// What does not fit.
        cause: String,
    },
    /// It is kept under another key than the caller wants.
    #[error("the collection of the bundle is kept under {keeper}")]
    OtherKeeper {
        /// The verifier key it is kept under.
        keeper: String,
    },
    /// There is a collection under its name already, and it is not an earlier state of this one.
    #[error("collection {collection} is here already, with another history: {cause}")]
    OtherHistory {
        /// The collection's name here.
        collection: String,
        /// Where they part.
        cause: String,
    },
    /// The collection has no revision yet.
    #[error("collection {collection} is empty")]
    Empty {
        /// Its name.
        collection: String,
    },
    /// Nobody knows under which key the heads are signed.
    #[error("the key that signs collection {collection} is not on record")]
    KeyUnknown {
        /// Its name.
        collection: String,
    },
    /// The signer gave no signature.
    #[error("the bundle was not signed")]
    Unsigned(#[source] std::io::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a line is not taken.
enum Refused {
    /// It is wrong.
    Wrong(String),
    /// All of the bundle is refused, or the store failed.
    Other(BundleError),
}

impl From<String> for Refused {
    fn from(cause: String) -> Self {
        Self::Wrong(cause)
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Other(error.into())
    }
}

impl From<BundleError> for Refused {
    fn from(error: BundleError) -> Self {
        Self::Other(error)
    }
}

/// One line. The name of its only member says which.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Bundle(Head),
    /// Paths whose documents the revision ended, before those that it brings.
    Gone(Vec<String>),
    Document(DocumentLine),
    /// A part of the text of the document before; a text stands once in a bundle, with the first document that has it.
    Text(String),
    Passage(PassageLine),
    Entry(EntryLine),
    /// Ends a revision.
    Revision(RevisionLine),
    /// Ends the bundle: the signed checkpoint over the lines before.
    Signed(String),
}

/// Whose it is and how much it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    format: String,
    /// `<node>/corpus/<collection>`, as the heads have it.
    origin: String,
    /// Whose key the heads are signed with.
    keeper: String,
    /// Whose key the bundle is signed with.
    by: String,
    spaces: Vec<SpaceLine>,
    revisions: u64,
    documents: u64,
    passages: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SpaceLine {
    space: Digest,
    model: String,
    dimensions: u32,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DocumentLine {
    path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    /// SHA-256 of its bytes.
    document: Digest,
    /// SHA-256 of its citable text.
    text: Digest,
    bytes: u64,
    media: String,
    title: String,
    about: Metadata,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PassageLine {
    start: u64,
    stop: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    headings: Vec<String>,
    sentences: Vec<Span>,
    /// By number of the space: half-precision numbers, little-endian, in base64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    vectors: Vec<(usize, String)>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryLine {
    op: String,
    document: Digest,
    bytes: u64,
    media: String,
    path: String,
    /// 16 bytes in hex.
    salt: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RevisionLine {
    number: i64,
    size: u64,
    root: Digest,
    documents: u64,
    passages: u64,
    /// The signed head.
    checkpoint: String,
}

/// The origin of the checkpoint over a bundle's lines.
fn origin_of(by: &str, root: Digest) -> String {
    format!("{}/bundle/{root}", node_of(by))
}

/// The node's name, with which its verifier key begins.
pub(crate) fn node_of(vkey: &str) -> &str {
    vkey.split_once('+').map_or(vkey, |(node, _key)| node)
}
