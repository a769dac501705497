//! Writing a bundle: every sealed revision of a collection from its first on, from one moment's view of the records.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Write},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use common_ground::citation::Span;
use receipts::{Digest, checkpoint::Checkpoint};

use super::{
    BundleError, DocumentLine, EntryLine, FORMAT, Head, Line, PassageLine, RevisionLine, SpaceLine, lines::Writer,
    node_of, origin_of,
};
use crate::{
    collection::Collection,
    ingest::{Progress, blocking},
    store::{CHUNK, Carried, Kept, Revision, Session},
};

/// Documents and entries read at a time.
const PAGE: u64 = 500;
/// Bytes of texts and vectors on their way to the file.
const ROOM: usize = 4 << 20;

/// What an export needs of its caller.
pub struct Exporter<'a> {
    /// The verifier key that the bundle is signed under.
    pub by: &'a str,
    /// Signs a checkpoint body (`origin\nsize\nroot\n`) into a note under that key.
    pub sign: &'a mut (dyn FnMut(&[u8]) -> io::Result<Vec<u8>> + Send),
    /// Told after each document.
    pub progress: &'a mut (dyn FnMut(Progress) + Send),
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// Revisions of the collection.
    pub revisions: u64,
    /// Documents, those that are gone by now included.
    pub documents: u64,
    /// Of them, those that are gone or were replaced.
    pub gone: u64,
    /// Passages.
    pub passages: u64,
    /// Vectors.
    pub vectors: u64,
    /// Lines before the signature.
    pub lines: u64,
    /// The root over them.
    pub root: Digest,
}

impl Collection {
    /// Whose key signs the heads: on record, or that of this node, `own`.
    fn keeper(&self, kept: Option<Kept>, own: &str) -> Result<Kept, BundleError> {
        let own = || self.is_of(node_of(own)).then(|| Kept { origin: self.origin(), vkey: own.to_owned() });
        kept.or_else(own).ok_or_else(|| BundleError::KeyUnknown { collection: self.collection().to_owned() })
    }

    /// Writes the collection as a bundle: all sealed revisions with what they held, also what is gone by now, since the later
    /// ones are proved to follow the earlier.
    ///
    /// # Errors
    /// A collection without a revision or of an unknown key, a signer or a file that fails, the store.
    pub async fn export(&self, out: Box<dyn Write + Send>, exporter: Exporter<'_>) -> Result<Exported, BundleError> {
        let mut on = self.records.snapshot().await?;
        let kept = self.keeper(on.kept().await?, exporter.by)?;
        let revisions = on.revisions().await?;
        let Some(latest) = revisions.last() else {
            return Err(BundleError::Empty { collection: self.collection().to_owned() });
        };
        let spaces = on.spaces().await?;
        let head = Head {
            format: FORMAT.to_owned(),
            origin: kept.origin,
            keeper: kept.vkey,
            by: exporter.by.to_owned(),
            spaces: spaces
                .iter()
                .map(|one| SpaceLine { space: one.space, model: one.model.clone(), dimensions: one.dimensions })
                .collect(),
            revisions: revisions.len() as u64,
            documents: latest.documents,
            passages: latest.passages,
        };
        let places = spaces.iter().map(|space| space.id).zip(0..).collect();
        let done = Exported {
            revisions: revisions.len() as u64,
            documents: 0,
            gone: 0,
            passages: 0,
            vectors: 0,
            lines: 0,
            root: Digest([0; 32]),
        };
        let total = latest.documents;
        let mut at = Work { on, places, waiting: Vec::new(), bytes: 0, texts: BTreeSet::new(), done, total };
        let mut writer = blocking(&self.store, move || Writer::new(out)).await??;
        at.waiting.push(Line::Bundle(head));
        let mut from = 0;
        for revision in &revisions {
            writer = at.revision(self, (from, revision), writer, &mut *exporter.progress).await?;
            from = revision.size;
        }
        writer = at.flush(self, writer).await?;
        let (lines, root) = writer.head();
        let head = Checkpoint { origin: origin_of(exporter.by, root), size: lines, root };
        let note = (exporter.sign)(head.body().as_bytes()).map_err(BundleError::Unsigned)?;
        let note = String::from_utf8(note).map_err(|error| BundleError::Unsigned(io::Error::other(error)))?;
        blocking(&self.store, move || {
            writer.line(&Line::Signed(note))?;
            writer.finish()
        })
        .await??;
        Ok(Exported { lines, root, ..at.done })
    }
}

/// An export at work.
struct Work {
    on: Session,
    /// Number of each space in the bundle.
    places: BTreeMap<i64, usize>,
    waiting: Vec<Line>,
    bytes: usize,
    /// Texts that stand in the bundle.
    texts: BTreeSet<Digest>,
    done: Exported,
    total: u64,
}

impl Work {
    /// Hands on what waits.
    async fn flush(&mut self, of: &Collection, mut writer: Writer) -> Result<Writer, BundleError> {
        let lines = std::mem::take(&mut self.waiting);
        self.bytes = 0;
        let written = blocking(&of.store, move || {
            lines.iter().try_for_each(|line| writer.line(line))?;
            Ok::<_, io::Error>(writer)
        });
        Ok(written.await??)
    }

    /// One revision, whose entries begin at `from`.
    async fn revision(
        &mut self,
        of: &Collection,
        (mut from, revision): (u64, &Revision),
        mut writer: Writer,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Writer, BundleError> {
        let gone = self.on.went(revision.number).await?;
        self.done.gone += gone.len() as u64;
        for some in gone.chunks(1_000) {
            self.waiting.push(Line::Gone(some.to_vec()));
        }
        let mut after = 0;
        loop {
            let page = self.on.came(revision.number, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            for document in page {
                self.document(document).await?;
                if self.bytes >= ROOM {
                    writer = self.flush(of, writer).await?;
                }
                let done = self.done.documents;
                progress(Progress { done, total: self.total.max(done), bytes: 0, total_bytes: 0 });
            }
        }
        while from < revision.size {
            let page = self.on.corpus(from, PAGE.min(revision.size - from)).await?;
            if page.is_empty() {
                return Err(self.on.damaged(&format!("the corpus ends at entry {from}")).into());
            }
            from += page.len() as u64;
            self.waiting.extend(page.into_iter().map(|(row, _leaf)| {
                Line::Entry(EntryLine {
                    op: row.op.word().to_owned(),
                    document: row.document,
                    bytes: row.bytes,
                    media: row.media,
                    path: row.path,
                    salt: hex::encode(row.salt),
                })
            }));
            writer = self.flush(of, writer).await?;
        }
        let checkpoint = String::from_utf8(revision.checkpoint.clone());
        let checkpoint = checkpoint.map_err(|error| self.on.damaged(&error.to_string()))?;
        self.waiting.push(Line::Revision(RevisionLine {
            number: revision.number,
            size: revision.size,
            root: revision.root,
            documents: revision.documents,
            passages: revision.passages,
            checkpoint,
        }));
        Ok(writer)
    }

    async fn document(&mut self, document: Carried) -> Result<(), BundleError> {
        let Carried { id, path, file, document, text, bytes, media, title, metadata } = document;
        let line = DocumentLine { path, file, document, text, bytes, media, title, about: metadata };
        self.waiting.push(Line::Document(line));
        self.done.documents += 1;
        if self.texts.insert(text) {
            let whole = self.on.whole(text).await?.map_err(|why| self.on.damaged(&format!("text {text}: {why}")))?;
            let whole = String::from_utf8(whole).map_err(|error| self.on.damaged(&format!("text {text}: {error}")))?;
            self.bytes += whole.len();
            let mut rest = whole.as_str();
            while !rest.is_empty() {
                let (part, after) = rest.split_at(rest.floor_char_boundary(CHUNK));
                self.waiting.push(Line::Text(part.to_owned()));
                rest = after;
            }
        }
        let mut vectors: BTreeMap<u64, Vec<(usize, String)>> = BTreeMap::new();
        for vector in self.on.vectors_of(id).await? {
            let Some(place) = self.places.get(&vector.space) else { continue };
            self.done.vectors += 1;
            self.bytes += vector.half.len() * 4 / 3;
            vectors.entry(vector.passage).or_default().push((*place, STANDARD.encode(&vector.half)));
        }
        for passage in self.on.passages_of(id).await? {
            let spans: Vec<Span> = self.on.sentences(&passage.placed)?;
            self.done.passages += 1;
            self.bytes += 100;
            self.waiting.push(Line::Passage(PassageLine {
                start: passage.placed.start,
                stop: passage.stop,
                headings: passage.placed.headings.lines().map(str::to_owned).collect(),
                sentences: spans,
                vectors: vectors.remove(&passage.id).unwrap_or_default(),
            }));
        }
        Ok(())
    }
}
