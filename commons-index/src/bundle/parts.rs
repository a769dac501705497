//! The documents of a bundle on their way into the records: each checked whole, then written in batches.
//!
//! **Invariant:** a text is written only under its own digest, and a passage only where it lies in its text.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use half::f16;
use receipts::Digest;

use super::{BundleError, DocumentLine, Head, PassageLine, Refused};
use crate::{
    document::Document,
    error::StoreError,
    store::{CHUNK, NewPassage, Piece, Placed, Session},
    writing::{Ready, compressor},
};

/// How documents of a bundle were read: elsewhere.
const HOW: &str = "bundle";
/// The most memory that a document may take with its text, passages and vectors, and the longest path and title.
const LARGEST: usize = 2 << 30;
pub(super) const LONGEST_NAME: usize = 16 << 10;
/// Bytes that wait to be written.
const ROOM: usize = 16 << 20;
/// The longest vector.
const MOST_NUMBERS: u32 = 65_536;

/// What follows a document's line.
pub(super) enum Part {
    Text(String),
    Passage(PassageLine),
}

impl Part {
    /// About what it takes in memory.
    fn bytes(&self) -> usize {
        match self {
            Self::Text(part) => part.len(),
            Self::Passage(passage) => {
                let vectors: usize = passage.vectors.iter().map(|(_, half)| half.len() + 32).sum();
                let headings: usize = passage.headings.iter().map(|line| line.len() + 24).sum();
                size_of::<PassageLine>() + size_of_val(passage.sentences.as_slice()) + vectors + headings
            }
        }
    }
}

/// The document that is read.
struct Opened {
    line: DocumentLine,
    revision: i64,
    /// Whether its revision is here already: then its vectors alone may be new.
    known: bool,
    text: String,
    passages: Vec<PassageLine>,
    /// About what it takes in memory.
    bytes: usize,
}

/// A document that is checked.
struct Checked {
    path: String,
    revision: i64,
    /// None where it is here already.
    ready: Option<Ready>,
    /// By where its passage starts: space and numbers.
    vectors: Vec<(u64, i64, Vec<u8>)>,
}

/// The documents.
pub(super) struct Parts {
    opened: Option<Opened>,
    waiting: Vec<Checked>,
    bytes: usize,
    /// Texts that stood in the bundle so far.
    texts: BTreeSet<Digest>,
    /// Rows and lengths of the bundle's spaces, by number.
    spaces: Vec<(i64, usize)>,
    zstd: zstd::bulk::Compressor<'static>,
    /// Documents met.
    pub(super) documents: u64,
    /// Vectors written.
    pub(super) vectors: u64,
}

impl Parts {
    pub(super) async fn new(on: &mut Session, head: &Head) -> Result<Self, Refused> {
        let mut spaces = Vec::with_capacity(head.spaces.len());
        for space in &head.spaces {
            let wrong = space.dimensions == 0 || space.dimensions > MOST_NUMBERS;
            let known = on.spaces().await?.into_iter().find(|known| known.space == space.space);
            if wrong || known.is_some_and(|known| known.dimensions != space.dimensions) {
                return Err(format!("vectors of {} have {} numbers", space.model, space.dimensions).into());
            }
            let row = on.add_space(space.space, &space.model, space.dimensions).await?;
            spaces.push((row, space.dimensions as usize));
        }
        let zstd = compressor().map_err(BundleError::from)?;
        let (waiting, texts) = (Vec::new(), BTreeSet::new());
        Ok(Self { opened: None, waiting, bytes: 0, texts, spaces, zstd, documents: 0, vectors: 0 })
    }

    /// Begins a document.
    pub(super) fn open(&mut self, line: DocumentLine, revision: i64, known: bool) -> Result<(), String> {
        let names = [Some(&line.path), Some(&line.title), Some(&line.media), line.file.as_ref()];
        if line.path.is_empty() || names.into_iter().flatten().any(|name| name.len() > LONGEST_NAME) {
            return Err("a path or a title that is empty or too long".to_owned());
        }
        if !line.about.is_clean() {
            return Err(format!("{}: what is known of it is more than short lines", line.path));
        }
        self.documents += 1;
        self.opened = Some(Opened { line, revision, known, text: String::new(), passages: Vec::new(), bytes: 0 });
        Ok(())
    }

    /// Goes on with it.
    pub(super) fn add(&mut self, part: Part) -> Result<(), String> {
        let opened = self.opened.as_mut().ok_or("a text or a passage of no document")?;
        opened.bytes += part.bytes();
        match part {
            _any if opened.bytes > LARGEST => return Err(format!("{}: it is too large", opened.line.path)),
            Part::Text(_) if !opened.passages.is_empty() => return Err("a text behind its passages".to_owned()),
            Part::Text(part) => opened.text.push_str(&part),
            Part::Passage(passage) => opened.passages.push(passage),
        }
        Ok(())
    }

    /// Ends it: checks it, and writes what waits where that is much.
    pub(super) async fn close(&mut self, on: &mut Session) -> Result<(), Refused> {
        let Some(mut opened) = self.opened.take() else { return Ok(()) };
        let text = opened.line.text;
        if self.texts.insert(text) {
            if Digest::of(opened.text.as_bytes()) != text {
                return Err(format!("the text of {} is not {text}", opened.line.path).into());
            }
        } else if opened.text.is_empty() {
            // It stood with an earlier document.
            self.write(on).await?;
            match on.whole(text).await?.map(String::from_utf8) {
                Ok(Ok(found)) => opened.text = found,
                Ok(Err(error)) => return Err(format!("text {text}: {error}").into()),
                Err(why) => return Err(format!("text {text}: {why}").into()),
            }
        } else {
            return Err(format!("text {text} stands twice").into());
        }
        let checked = self.checked(opened)?;
        self.waiting.push(checked);
        if self.bytes >= ROOM || self.waiting.len() >= 1_000 {
            self.write(on).await?;
        }
        Ok(())
    }

    fn checked(&mut self, opened: Opened) -> Result<Checked, String> {
        let Opened { line, revision, known, text, passages, bytes: _ } = opened;
        let mut vectors = Vec::new();
        let mut new = Vec::with_capacity(passages.len());
        let mut end = 0;
        for passage in passages {
            let wrong = |what: &str| format!("passage {}..{} of {}: {what}", passage.start, passage.stop, line.path);
            if passage.start < end {
                return Err(wrong("it begins before the one before it ends"));
            }
            end = passage.stop;
            for (space, half) in &passage.vectors {
                let (row, numbers) = *self.spaces.get(*space).ok_or_else(|| wrong("a vector of no space"))?;
                let half = STANDARD.decode(half).map_err(|error| wrong(&error.to_string()))?;
                let finite = half.as_chunks().0.iter().all(|pair| f16::from_le_bytes(*pair).is_finite());
                if half.len() != 2 * numbers || !finite {
                    return Err(wrong("a vector of another length, or of what is no number"));
                }
                self.bytes += half.len();
                vectors.push((passage.start, row, half));
            }
            new.push(placed(&passage, &text).map_err(|what| wrong(&what))?);
        }
        let DocumentLine { path, file, document, text: text_digest, bytes, media, title, about: metadata } = line;
        let ready = if known { None } else { Some(self.pieces(text.as_bytes())?) }.map(|pieces| Ready {
            document: Document {
                path: path.clone(),
                file,
                media: Cow::Owned(media),
                digest: document,
                bytes,
                text_digest,
                text: String::new(),
                title,
                cuts: Vec::new(),
                metadata,
                decoding: None,
            },
            pieces,
            passages: new,
        });
        Ok(Checked { path, revision, ready, vectors })
    }

    fn pieces(&mut self, text: &[u8]) -> Result<Vec<Piece>, String> {
        let mut pieces = Vec::with_capacity(text.len().div_ceil(CHUNK));
        for (place, piece) in text.chunks(CHUNK).enumerate() {
            let zstd = self.zstd.compress(piece).map_err(|error| error.to_string())?;
            self.bytes += zstd.len();
            pieces.push(Piece { start: (place * CHUNK) as u64, zstd });
        }
        Ok(pieces)
    }

    /// Writes what waits.
    pub(super) async fn write(&mut self, on: &mut Session) -> Result<(), StoreError> {
        self.bytes = 0;
        let mut waiting = std::mem::take(&mut self.waiting);
        // A batch may hold documents of two revisions.
        let mut by_revision: BTreeMap<i64, Vec<Ready>> = BTreeMap::new();
        for one in &mut waiting {
            if let Some(ready) = one.ready.take() {
                by_revision.entry(one.revision).or_default().push(ready);
            }
        }
        for (revision, ready) in by_revision {
            on.add(&ready, revision, HOW).await?;
        }
        let with_vectors: Vec<&Checked> = waiting.iter().filter(|one| !one.vectors.is_empty()).collect();
        for some in with_vectors.chunks(500) {
            let paths: Vec<&str> = some.iter().map(|one| one.path.as_str()).collect();
            let standing = on.standing(&paths).await?;
            let rows: BTreeMap<(&str, i64), i64> =
                standing.iter().map(|one| ((one.path.as_str(), one.since), one.id)).collect();
            let mut found: BTreeMap<i64, Vec<(u64, Vec<u8>)>> = BTreeMap::new();
            for one in some {
                // Gone by now: nobody searches it.
                let Some(document) = rows.get(&(one.path.as_str(), one.revision)) else { continue };
                let starts: BTreeMap<u64, u64> =
                    on.passages_of(*document).await?.into_iter().map(|row| (row.placed.start, row.id)).collect();
                for (start, space, half) in &one.vectors {
                    if let Some(passage) = starts.get(start) {
                        self.vectors += 1;
                        found.entry(*space).or_default().push((*passage, half.clone()));
                    }
                }
            }
            for (space, vectors) in found {
                on.add_vectors(space, &vectors).await?;
            }
        }
        Ok(())
    }
}

/// A passage as the records take it, if it lies in its text and its sentences lie in it.
fn placed(passage: &PassageLine, text: &str) -> Result<NewPassage, String> {
    let place = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX);
    let body = text.get(place(passage.start)..place(passage.stop)).filter(|body| !body.is_empty());
    let body = body.ok_or("it is no part of its text")?;
    let mut sentences = Vec::with_capacity(passage.sentences.len() * 4);
    for span in &passage.sentences {
        let within = |offset: u64| offset.checked_sub(passage.start).and_then(|at| u16::try_from(at).ok());
        let (Some(start), Some(end)) = (within(span.start), within(span.end)) else {
            return Err("a sentence that is not in it".to_owned());
        };
        if body.get(usize::from(start)..usize::from(end)).is_none() {
            return Err("a sentence that is not in it".to_owned());
        }
        sentences.extend_from_slice(&start.to_be_bytes());
        sentences.extend_from_slice(&end.to_be_bytes());
    }
    if passage.headings.iter().any(|line| line.contains('\n') || line.len() > LONGEST_NAME) {
        return Err("a heading of several lines, or one too long".to_owned());
    }
    let placed = Placed { start: passage.start, headings: passage.headings.join("\n"), sentences };
    Ok(NewPassage { placed, stop: passage.stop })
}
