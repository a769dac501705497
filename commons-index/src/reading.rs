//! What searches and citations read from the records.
//!
//! **Invariant:** a text no longer in the folder is read as before; one that came after the reader's revision is unknown.

use std::{cell::RefCell, collections::BTreeMap, ops::Range};

use common_ground::{
    citation::Span,
    port::index::{Passage, PassageId},
};
use receipts::Digest;
use zstd::bulk::Decompressor;

use crate::{
    error::{OfStore, StoreError},
    store::{CHUNK, PassageRow, Piece, Placed, Session},
};

thread_local! {
    /// To make one takes longer than a passage's piece takes it.
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Why a span could not be read.
pub(crate) enum Missing {
    /// No such text at this revision.
    Text,
    /// The span is not in it, or cuts a character.
    Span,
    /// The store failed.
    Store(StoreError),
}

impl From<StoreError> for Missing {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl OfStore for Missing {
    fn of_store(&self) -> Option<&StoreError> {
        match self {
            Self::Text | Self::Span => None,
            Self::Store(error) => Some(error),
        }
    }
}

impl Session {
    pub(crate) fn damaged(&self, cause: &str) -> StoreError {
        StoreError::Damaged { path: self.at(), cause: cause.to_owned() }
    }

    /// The bytes of a span, or none when the text ends before it.
    async fn bytes(&mut self, text: Digest, range: Range<u64>) -> Result<Option<Vec<u8>>, StoreError> {
        let first = range.start - range.start % CHUNK as u64;
        let pieces = self.pieces(text, first..range.end.max(range.start + 1)).await?;
        let mut bytes = Vec::new();
        for piece in &pieces {
            bytes.extend_from_slice(&self.plain(&piece.zstd)?);
        }
        let inside = usize::try_from(range.start - first).ok().zip(usize::try_from(range.end - first).ok());
        Ok(inside.and_then(|(start, end)| bytes.get(start..end)).map(<[u8]>::to_vec))
    }

    /// The bytes of a piece.
    pub(crate) fn plain(&self, zstd: &[u8]) -> Result<Vec<u8>, StoreError> {
        DECOMPRESSOR.with_borrow_mut(|decompressor| {
            let plain = match decompressor {
                Some(decompressor) => decompressor.decompress(zstd, CHUNK),
                None => Decompressor::new().and_then(|new| decompressor.insert(new).decompress(zstd, CHUNK)),
            };
            plain.map_err(|error| self.damaged(&error.to_string()))
        })
    }

    async fn passage(&mut self, row: PassageRow) -> Result<Passage, StoreError> {
        let span = Span { start: row.placed.start, end: row.stop };
        let offset = span.start % CHUNK as u64;
        let within = usize::try_from(offset).ok().zip(usize::try_from(offset + span.len()).ok());
        let piece = self.plain(&row.zstd)?;
        let bytes = match within.and_then(|(start, end)| piece.get(start..end)) {
            Some(bytes) => Some(bytes.to_vec()),
            None => self.bytes(row.text, span.start..span.end).await?,
        };
        let content = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        let short = || self.damaged(&format!("text {} is shorter than its passages", row.text));
        Ok(Passage {
            id: PassageId { text: row.text, span },
            document: row.document,
            content: content.ok_or_else(short)?,
            headings: headings(&row.placed),
            sentences: self.sentences(&row.placed)?,
            path: row.path,
            title: row.title,
            collection: None,
        })
    }

    pub(crate) fn sentences(&self, placed: &Placed) -> Result<Vec<Span>, StoreError> {
        let (pairs, rest) = placed.sentences.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(self.damaged("a sentence list is cut short"));
        }
        let at = |high: u8, low: u8| placed.start + u64::from(u16::from_be_bytes([high, low]));
        Ok(pairs.iter().map(|[a, b, c, d]| Span { start: at(*a, *b), end: at(*c, *d) }).collect())
    }

    /// Passages by row, in the order asked for.
    pub(crate) async fn passages(&mut self, ids: &[u64]) -> Result<Vec<Passage>, StoreError> {
        let mut found = BTreeMap::new();
        for row in self.passage_rows(ids).await? {
            found.insert(row.id, self.passage(row).await?);
        }
        ids.iter().map(|id| found.remove(id).ok_or_else(|| self.damaged(&format!("no passage {id}")))).collect()
    }

    /// Any span of a text known at `revision`, described by the document that has it (or last had it).
    pub(crate) async fn read(&mut self, id: &PassageId, revision: i64) -> Result<Passage, Missing> {
        let document = self.titled(id.text, revision).await?.ok_or(Missing::Text)?;
        if id.span.end < id.span.start || id.span.end > i64::MAX.unsigned_abs() {
            return Err(Missing::Span);
        }
        let bytes = self.bytes(id.text, id.span.start..id.span.end).await?.ok_or(Missing::Span)?;
        let content = String::from_utf8(bytes).map_err(|_cut| Missing::Span)?;
        let touched = self.placed(document.id, id.span.start..id.span.end).await?;
        let mut sentences = Vec::new();
        for placed in &touched {
            let whole = self.sentences(placed)?.into_iter();
            let cut = whole.map(|span| Span { start: span.start.max(id.span.start), end: span.end.min(id.span.end) });
            sentences.extend(cut.filter(|span| !span.is_empty()));
        }
        Ok(Passage {
            id: *id,
            document: document.document,
            path: document.path,
            title: document.title,
            headings: touched.first().map(headings).unwrap_or_default(),
            collection: None,
            content,
            sentences,
        })
    }

    /// The passages next to a span of a text, in order: at most so many before it and after it.
    pub(crate) async fn beside(&mut self, id: &PassageId, most: u32, revision: i64) -> Result<Vec<Passage>, Missing> {
        let document = self.titled(id.text, revision).await?.ok_or(Missing::Text)?;
        let Span { start, end } = id.span;
        if end < start || end > i64::MAX.unsigned_abs() {
            return Err(Missing::Span);
        }
        let rows = self.near(document.id, start..end, most).await?;
        Ok(self.passages(&rows).await?)
    }

    /// Passages of the documents searched at a revision that have no vector in a space, after a row, each with what is to be
    /// embedded of it.
    pub(crate) async fn unembedded(
        &mut self,
        space: i64,
        revision: i64,
        after: u64,
        most: u64,
    ) -> Result<Vec<(u64, String)>, StoreError> {
        let mut found = Vec::new();
        for row in self.without_vector(space, revision, after, most).await? {
            let id = row.id;
            let passage = self.passage(row).await?;
            found.push((id, format!("{}\n{}", head(&passage), passage.content)));
        }
        Ok(found)
    }

    /// All bytes of a text, or why they cannot be put together.
    pub(crate) async fn whole(&mut self, text: Digest) -> Result<Result<Vec<u8>, String>, StoreError> {
        let mut bytes = Vec::new();
        let pieces: Vec<Piece> = self.pieces(text, 0..i64::MAX.unsigned_abs()).await?;
        for piece in &pieces {
            if piece.start != bytes.len() as u64 {
                return Ok(Err(format!("a piece is missing at byte {}", bytes.len())));
            }
            match self.plain(&piece.zstd) {
                Ok(plain) => bytes.extend_from_slice(&plain),
                Err(error) => return Ok(Err(error.to_string())),
            }
        }
        Ok(if bytes.is_empty() { Err("it has no bytes".to_owned()) } else { Ok(bytes) })
    }
}

/// Title and headings, a line each.
fn head(passage: &Passage) -> String {
    let lines: Vec<&str> = std::iter::once(&passage.title).chain(&passage.headings).map(String::as_str).collect();
    lines.join("\n")
}

fn headings(placed: &Placed) -> Vec<String> {
    placed.headings.lines().map(str::to_owned).collect()
}
