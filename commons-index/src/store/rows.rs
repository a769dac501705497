//! What the databases' rows are, and how they are read from columns of the same names in each.

use std::{ops::Range, path::Path};

use receipts::Digest;

use crate::{
    corpus::{CorpusOp, CorpusRow},
    error::StoreError,
    intake::Known,
    metadata::Metadata,
};

/// A revision of the collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// Counted from 1.
    pub number: i64,
    /// Entries in the corpus.
    pub size: u64,
    /// RFC 6962 root over them.
    pub root: Digest,
    /// The signed head, as the caller's signer gave it.
    pub checkpoint: Vec<u8>,
    /// Documents then.
    pub documents: u64,
    /// Passages then.
    pub passages: u64,
}

/// Whose a collection is, where that is on record: who signs its heads, and under which name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// `<node>/corpus/<collection>`, as the heads have it.
    pub origin: String,
    /// The verifier key of the node's log, in C2SP's form.
    pub vkey: String,
}

impl Kept {
    pub(crate) fn of(row: &impl Columns) -> Result<Self, StoreError> {
        Ok(Self { origin: row.text("origin")?, vkey: row.text("vkey")? })
    }
}

/// A document of the latest revision.
#[derive(Clone, Debug)]
pub struct Live {
    /// Its row.
    pub id: u64,
    /// Relative path; of a document among others in a file, `path#name`.
    pub path: String,
    /// SHA-256 of the file, or of the record in it.
    pub document: Digest,
    /// Its length.
    pub bytes: u64,
    /// Its media type.
    pub media: String,
    /// Its title.
    pub title: String,
    /// What is known of it beside its words.
    pub metadata: Metadata,
}

/// A document that is not ended, as an ingest compares it with what it reads.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) id: i64,
    pub(crate) path: String,
    /// The revision it came with; a revision that is not sealed yet, where an ingest was killed.
    pub(crate) since: i64,
    /// How it was read; none by a version that did not say.
    pub(crate) how: Option<String>,
    pub(crate) document: Digest,
    pub(crate) text: Digest,
    pub(crate) title: String,
    pub(crate) metadata: Metadata,
}

/// What a revision changed, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) added: u64,
    pub(crate) replaced: u64,
    pub(crate) removed: u64,
    /// Documents in it.
    pub(crate) documents: u64,
    /// Those of them whose text another one has too.
    pub(crate) duplicates: u64,
}

/// A document whose passages are searched.
#[derive(Clone, Debug)]
pub(crate) struct Drawable {
    pub(crate) id: i64,
    pub(crate) text: Digest,
    pub(crate) title: String,
    pub(crate) bytes: u64,
}

/// A document as a filter looks at it.
#[derive(Clone, Debug)]
pub(crate) struct Searched {
    pub(crate) id: u64,
    pub(crate) path: String,
    pub(crate) text: Digest,
    pub(crate) metadata: Metadata,
}

/// Where a passage of such a document stands.
#[derive(Clone, Debug)]
pub(crate) struct Spot {
    pub(crate) id: u64,
    pub(crate) document: i64,
    pub(crate) start: u64,
    pub(crate) stop: u64,
    /// One a line, outermost first.
    pub(crate) headings: String,
}

/// A piece of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Where it starts in the text, a multiple of [`super::CHUNK`].
    pub(crate) start: u64,
    /// A zstd frame.
    pub(crate) zstd: Vec<u8>,
}

/// A passage with its document's columns and the piece of text it starts in: one turn to the database instead of two for
/// nearly every passage.
#[derive(Clone, Debug)]
pub(crate) struct PassageRow {
    pub(crate) id: u64,
    pub(crate) path: String,
    pub(crate) document: Digest,
    pub(crate) text: Digest,
    pub(crate) title: String,
    pub(crate) placed: Placed,
    pub(crate) stop: u64,
    pub(crate) zstd: Vec<u8>,
}

/// Where a passage starts and what stands with it.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    pub(crate) start: u64,
    /// One a line, outermost first.
    pub(crate) headings: String,
    /// Pairs of offsets from the start, 16 bits each, big-endian.
    pub(crate) sentences: Vec<u8>,
}

/// A document of any revision, as a bundle carries it.
#[derive(Clone, Debug)]
pub(crate) struct Carried {
    pub(crate) id: i64,
    pub(crate) path: String,
    pub(crate) file: Option<String>,
    pub(crate) document: Digest,
    pub(crate) text: Digest,
    pub(crate) bytes: u64,
    pub(crate) media: String,
    pub(crate) title: String,
    pub(crate) metadata: Metadata,
}

impl Carried {
    pub(crate) fn of(row: &impl Columns) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.integer("id")?,
            path: row.text("path")?,
            file: row.maybe_text("file")?,
            document: row.digest("document")?,
            text: row.digest("text")?,
            bytes: row.number("bytes")?,
            media: row.text("media")?,
            title: row.text("title")?,
            metadata: metadata(row)?,
        })
    }
}

/// A passage of such a document.
#[derive(Clone, Debug)]
pub(crate) struct CarriedPassage {
    pub(crate) id: u64,
    pub(crate) placed: Placed,
    pub(crate) stop: u64,
}

impl CarriedPassage {
    pub(crate) fn of(row: &impl Columns) -> Result<Self, StoreError> {
        Ok(Self { id: row.number("id")?, placed: Placed::of(row)?, stop: row.number("stop")? })
    }
}

/// A vector of one of its passages.
#[derive(Clone, Debug)]
pub(crate) struct CarriedVector {
    pub(crate) passage: u64,
    pub(crate) space: i64,
    /// Half-precision numbers, little-endian.
    pub(crate) half: Vec<u8>,
}

impl CarriedVector {
    pub(crate) fn of(row: &impl Columns) -> Result<Self, StoreError> {
        Ok(Self { passage: row.number("passage")?, space: row.integer("space")?, half: row.bytes("half")? })
    }
}

/// A passage to be added.
#[derive(Clone, Debug)]
pub(crate) struct NewPassage {
    pub(crate) placed: Placed,
    pub(crate) stop: u64,
}

/// A space that vectors of the collection lie in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Space {
    pub(crate) id: i64,
    /// What names it.
    pub(crate) space: Digest,
    /// The model's id when it was first used here.
    pub(crate) model: String,
    /// Numbers in a vector.
    pub(crate) dimensions: u32,
}

/// The vector of a passage that is searched, and its place.
#[derive(Clone, Debug)]
pub(crate) struct VectorRow {
    pub(crate) passage: u64,
    pub(crate) owner: u64,
    pub(crate) text: Digest,
    pub(crate) start: i64,
    /// Half-precision numbers, little-endian.
    pub(crate) half: Vec<u8>,
}

/// A document as a citation names it.
#[derive(Clone, Debug)]
pub(crate) struct Titled {
    pub(crate) id: i64,
    pub(crate) path: String,
    pub(crate) document: Digest,
    pub(crate) title: String,
}

/// The columns of one row.
pub(crate) trait Columns {
    /// Where the row comes from, for messages.
    fn at(&self) -> &Path;
    /// A 64-bit integer.
    fn integer(&self, column: &str) -> Result<i64, StoreError>;
    /// Text, or none.
    fn maybe_text(&self, column: &str) -> Result<Option<String>, StoreError>;
    /// Text.
    fn text(&self, column: &str) -> Result<String, StoreError>;
    /// Bytes.
    fn bytes(&self, column: &str) -> Result<Vec<u8>, StoreError>;

    /// What does not fit in the row.
    fn damaged(&self, cause: &str) -> StoreError {
        StoreError::Damaged { path: self.at().to_owned(), cause: cause.to_owned() }
    }

    /// A count or an offset.
    fn number(&self, column: &str) -> Result<u64, StoreError> {
        u64::try_from(self.integer(column)?).map_err(|_negative| self.damaged("a count is below zero"))
    }

    /// A SHA-256.
    fn digest(&self, column: &str) -> Result<Digest, StoreError> {
        self.bytes(column)?.try_into().map(Digest).map_err(|_length| self.damaged("a digest is not 32 bytes"))
    }
}

impl Revision {
    pub(super) fn of(row: &impl Columns) -> Result<Self, StoreError> {
        Ok(Self {
            number: row.integer("revision")?,
            size: row.number("size")?,
            root: row.digest("root")?,
            checkpoint: row.bytes("checkpoint")?,
            documents: row.number("documents")?,
            passages: row.number("passages")?,
        })
    }
}

impl Live {
    pub(super) fn of(row: &impl Columns) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.number("id")?,
            path: row.text("path")?,
            document: row.digest("document")?,
            bytes: row.number("bytes")?,
            media: row.text("media")?,
            title: row.text("title")?,
            metadata: metadata(row)?,
        })
    }
}

fn metadata(row: &impl Columns) -> Result<Metadata, StoreError> {
    Ok(Metadata {
        source: row.maybe_text("source")?,
        licence: row.maybe_text("licence")?,
        revision: row.maybe_text("edition")?,
        language: row.maybe_text("language")?,
        date: row.maybe_text("date")?,
    })
}

impl Searched {
    pub(super) fn of(row: &impl Columns) -> Result<Self, StoreError> {
        Ok(Self { id: row.number("id")?, path: row.text("path")?, text: row.digest("text")?, metadata: metadata(row)? })
    }
}

impl Standing {
    pub(super) fn of(row: &impl Columns) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.integer("id")?,
            path: row.text("path")?,
            since: row.integer("since")?,
            how: row.maybe_text("how")?,
            document: row.digest("document")?,
            text: row.digest("text")?,
            title: row.text("title")?,
            metadata: metadata(row)?,
        })
    }
}

impl Known {
    pub(super) fn of(row: &impl Columns) -> Result<(String, Self), StoreError> {
        let known = Self {
            digest: row.digest("digest")?,
            bytes: row.number("bytes")?,
            how: row.maybe_text("how")?,
            skipped: row.number("skipped")?,
        };
        Ok((row.text("path")?, known))
    }
}

impl Counted {
    pub(super) fn of(row: &impl Columns) -> Result<Self, StoreError> {
        Ok(Self {
            added: row.number("added")?,
            replaced: row.number("replaced")?,
            removed: row.number("removed")?,
            documents: row.number("documents")?,
            duplicates: row.number("duplicates")?,
        })
    }
}

impl Drawable {
    pub(super) fn of(row: &impl Columns) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.integer("id")?,
            text: row.digest("text")?,
            title: row.text("title")?,
            bytes: row.number("bytes")?,
        })
    }
}

impl Spot {
    pub(super) fn of(row: &impl Columns) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.number("id")?,
            document: row.integer("document")?,
            start: row.number("start")?,
            stop: row.number("stop")?,
            headings: row.text("headings")?,
        })
    }
}

/// An entry of the corpus that is to be, without its salt.
pub(super) fn changed(row: &impl Columns) -> Result<CorpusRow, StoreError> {
    let op = CorpusOp::of_word(&row.text("op")?).ok_or_else(|| row.damaged("an unknown corpus operation"))?;
    let (path, document) = named(row)?;
    Ok(CorpusRow { op, document, bytes: row.number("bytes")?, media: row.text("media")?, path, salt: [0; 16] })
}

impl Piece {
    pub(super) fn of(row: &impl Columns) -> Result<Self, StoreError> {
        Ok(Self { start: row.number("start")?, zstd: row.bytes("zstd")? })
    }
}

impl Placed {
    pub(super) fn of(row: &impl Columns) -> Result<Self, StoreError> {
        Ok(Self { start: row.number("start")?, headings: row.text("headings")?, sentences: row.bytes("sentences")? })
    }
}

impl PassageRow {
    pub(super) fn of(row: &impl Columns) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.number("id")?,
            path: row.text("path")?,
            document: row.digest("document")?,
            text: row.digest("text")?,
            title: row.text("title")?,
            placed: Placed::of(row)?,
            stop: row.number("stop")?,
            zstd: row.bytes("zstd")?,
        })
    }
}

impl Space {
    pub(super) fn of(row: &impl Columns) -> Result<Self, StoreError> {
        let dimensions = u32::try_from(row.integer("dimensions")?);
        Ok(Self {
            id: row.integer("id")?,
            space: row.digest("space")?,
            model: row.text("model")?,
            dimensions: dimensions.map_err(|_range| row.damaged("a space has no such dimensions"))?,
        })
    }
}

impl VectorRow {
    pub(super) fn of(row: &impl Columns) -> Result<Self, StoreError> {
        Ok(Self {
            passage: row.number("id")?,
            owner: row.number("owner")?,
            text: row.digest("text")?,
            start: row.integer("start")?,
            half: row.bytes("half")?,
        })
    }
}

impl Titled {
    pub(super) fn of(row: &impl Columns) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.integer("id")?,
            path: row.text("path")?,
            document: row.digest("document")?,
            title: row.text("title")?,
        })
    }
}

impl CorpusRow {
    pub(super) fn of(row: &impl Columns) -> Result<(Self, Digest), StoreError> {
        let found = Self {
            op: CorpusOp::of_word(&row.text("op")?).ok_or_else(|| row.damaged("an unknown corpus operation"))?,
            document: row.digest("document")?,
            bytes: row.number("bytes")?,
            media: row.text("media")?,
            path: row.text("path")?,
            salt: row.bytes("salt")?.try_into().map_err(|_length| row.damaged("a salt is not 16 bytes"))?,
        };
        Ok((found, row.digest("leaf")?))
    }
}

/// A passage's row and where it stands.
pub(super) fn span(row: &impl Columns) -> Result<(u64, Range<u64>), StoreError> {
    Ok((row.number("id")?, row.number("start")?..row.number("stop")?))
}

/// A document's path and digest.
pub(super) fn named(row: &impl Columns) -> Result<(String, Digest), StoreError> {
    Ok((row.text("path")?, row.digest("document")?))
}

/// The databases' integers are signed; sizes and offsets here are far below the difference.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
