//! A folder into a new revision: scan, read, compare, append to the corpus, draw the word index, and only then mark the
//! revision. Killed anywhere before the mark, the revision before stays what it was.
//!
//! **Invariant:** one transaction; the word index of the new revision is durable before the records name it.
//! **Invariant:** at most one batch of files is in memory.

use std::{collections::BTreeMap, io, path::Path};

use receipts::{Digest, checkpoint::Checkpoint};

use crate::{
    corpus::{CorpusOp, CorpusRow},
    document::{self, Document, Reading},
    error::{IngestError, StoreError, from_io},
    scan::{self, Candidate, SkipReason, Skipped},
    store::{Live, Records, Revision, Session},
    words,
    writing::compressor,
};

/// What bounds an ingest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest file read, in bytes.
    pub file_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { file_bytes: 64 << 20 }
    }
}

/// How far an ingest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Files dealt with.
    pub done: u64,
    /// Files to deal with.
    pub total: u64,
    /// Bytes of those dealt with.
    pub bytes: u64,
}

/// What an ingest needs of its caller: randomness, a signature, and someone to tell.
pub struct Caller<'a> {
    /// Fills path salts.
    pub entropy: &'a mut (dyn FnMut(&mut [u8]) -> io::Result<()> + Send),
    /// Signs a checkpoint body (`origin\nsize\nroot\n`) into the signed note that is kept with the revision.
    pub sign: &'a mut (dyn FnMut(&[u8]) -> io::Result<Vec<u8>> + Send),
    /// Told after each batch of files.
    pub progress: &'a mut (dyn FnMut(Progress) + Send),
}

/// What an ingest did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ingested {
    /// Paths that were new.
    pub added: u64,
    /// Paths whose bytes had changed.
    pub replaced: u64,
    /// Paths that were gone.
    pub removed: u64,
    /// Paths with the same bytes as before.
    pub unchanged: u64,
    /// Files and folders passed over, by path.
    pub skipped: Vec<Skipped>,
    /// Documents in the collection now.
    pub documents: u64,
    /// Passages in the collection now.
    pub passages: u64,
}

/// Files read between two turns of the event loop, and their bytes.
const BATCH_FILES: usize = 64;
const BATCH_BYTES: u64 = 16 << 20;

/// What the caller of [`run`] fixes.
pub(crate) struct Place<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) home: &'a Path,
    pub(crate) collection: &'a Path,
    pub(crate) origin: &'a str,
    pub(crate) limits: Limits,
}

/// Runs blocking work off the event loop.
pub(crate) async fn blocking<T: Send + 'static>(
    at: &Path,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StoreError> {
    let joined = tokio::task::spawn_blocking(work).await;
    joined.map_err(|error| StoreError::Unwritable { path: at.to_owned(), cause: error.to_string() })
}

/// Ingests; gives the revision to answer from, which is the old one when nothing changed.
pub(crate) async fn run(
    records: &Records,
    place: &Place<'_>,
    caller: &mut Caller<'_>,
) -> Result<(Revision, Ingested), IngestError> {
    let (folder, home, limit) = (place.folder.to_owned(), place.home.to_owned(), place.limits.file_bytes);
    let found = blocking(place.folder, move || scan::scan(&folder, &home, limit)).await?;
    let mut transaction = records.write().await?;
    let latest = transaction.latest().await?;
    let next = latest.as_ref().map_or(1, |latest| latest.number + 1);
    let live = transaction.live().await?;
    let mut old: BTreeMap<String, Live> = live.into_iter().map(|live| (live.path.clone(), live)).collect();

    let mut done =
        Ingested { added: 0, replaced: 0, removed: 0, unchanged: 0, skipped: found.skipped, documents: 0, passages: 0 };
    let mut rows: Vec<CorpusRow> = Vec::new();
    let mut zstd = compressor().map_err(|error| from_io(place.collection, &error))?;
    let mut progress = Progress { done: 0, total: found.candidates.len() as u64, bytes: 0 };
    for batch in batches(found.candidates) {
        progress.done += batch.len() as u64;
        progress.bytes += batch.iter().map(|candidate| candidate.bytes).sum::<u64>();
        let known: Vec<Option<Digest>> =
            batch.iter().map(|candidate| old.get(&candidate.relative).map(|live| live.document)).collect();
        let readings = blocking(place.folder, move || read_all(batch, &known, limit)).await?;
        for (path, reading) in readings {
            match reading {
                Err(reason) => done.skipped.push(Skipped { path, reason }),
                Ok(Reading::Unchanged) => {
                    old.remove(&path);
                    done.unchanged += 1;
                }
                Ok(Reading::Document(document)) => {
                    let op = match old.remove(&path) {
                        Some(live) => {
                            transaction.end(live.id, next).await?;
                            done.replaced += 1;
                            CorpusOp::Replace
                        }
                        None => {
                            done.added += 1;
                            CorpusOp::Add
                        }
                    };
                    transaction.add(&mut zstd, &document, next).await?;
                    rows.push(row(op, &document));
                }
            }
        }
        (caller.progress)(progress);
    }
    done.skipped.sort_by(|a, b| a.path.as_bytes().cmp(b.path.as_bytes()));
    if done.added + done.replaced + done.unchanged == 0 {
        // An unmounted disk looks like this too: what was known is not thrown away for it.
        return Err(IngestError::NothingReadable { folder: place.folder.to_owned(), skipped: done.skipped });
    }
    for (path, live) in old {
        transaction.end(live.id, next).await?;
        done.removed += 1;
        let (document, bytes, media) = (live.document, live.bytes, live.media);
        rows.push(CorpusRow { op: CorpusOp::Remove, document, bytes, media, path, salt: [0; 16] });
    }
    done.documents = done.added + done.replaced + done.unchanged;
    if let Some(latest) = latest.filter(|_| rows.is_empty()) {
        done.passages = latest.passages;
        return Ok((latest, done));
    }
    let number = next;
    let revision = seal(&mut transaction, place, caller, Sealing { number, documents: done.documents, rows }).await?;
    done.passages = revision.passages;
    transaction.commit().await?;
    words::remove_others(place.collection, next)?;
    Ok((revision, done))
}

/// What a new revision is made of.
struct Sealing {
    number: i64,
    documents: u64,
    rows: Vec<CorpusRow>,
}

/// Appends to the corpus, has its head signed, draws the word index, and only then names the revision.
async fn seal(
    on: &mut Session,
    place: &Place<'_>,
    caller: &mut Caller<'_>,
    Sealing { number, documents, mut rows }: Sealing,
) -> Result<Revision, IngestError> {
    rows.sort_by(|a, b| a.path.as_bytes().cmp(b.path.as_bytes()));
    for row in &mut rows {
        (caller.entropy)(&mut row.salt).map_err(IngestError::Entropy)?;
    }
    let (size, root) = on.append(&rows).await?;
    let head = Checkpoint { origin: place.origin.to_owned(), size, root };
    let body = head.body().into_bytes();
    let checkpoint = (caller.sign)(&body).map_err(IngestError::Unsigned)?;
    let mut revision = Revision { number, size, root, checkpoint, documents, passages: 0 };
    revision.passages = draw_words(on, place.collection, &revision).await?;
    on.mark(&revision).await?;
    Ok(revision)
}

fn row(op: CorpusOp, document: &Document) -> CorpusRow {
    let media = document.media.name().to_owned();
    CorpusRow {
        op,
        document: document.digest,
        bytes: document.bytes,
        media,
        path: document.path.clone(),
        salt: [0; 16],
    }
}

fn read_all(batch: Vec<Candidate>, known: &[Option<Digest>], limit: u64) -> Vec<(String, Result<Reading, SkipReason>)> {
    let read = |(candidate, known): (Candidate, &Option<Digest>)| {
        let reading = document::read(&candidate, *known, limit);
        (candidate.relative, reading)
    };
    batch.into_iter().zip(known).map(read).collect()
}

fn batches(candidates: Vec<Candidate>) -> Vec<Vec<Candidate>> {
    let mut batches: Vec<Vec<Candidate>> = Vec::new();
    let mut bytes = u64::MAX;
    for candidate in candidates {
        bytes = bytes.saturating_add(candidate.bytes);
        match batches.last_mut() {
            Some(batch) if batch.len() < BATCH_FILES && bytes <= BATCH_BYTES => batch.push(candidate),
            Some(_) | None => {
                bytes = candidate.bytes;
                batches.push(vec![candidate]);
            }
        }
    }
    batches
}

/// Draws the word index of a revision from the records as they stand in `on`; gives the number of passages.
pub(crate) async fn draw_words(on: &mut Session, collection: &Path, revision: &Revision) -> Result<u64, StoreError> {
    let (at, number, mark) = (collection.to_owned(), revision.number, revision.root.to_string());
    let mut builder = blocking(collection, move || words::Builder::new(&at, number)).await??;
    let mut place = 0;
    let mut after = (String::new(), -1);
    loop {
        let entries = on.entries(&mut place, &mut after).await?;
        if entries.is_empty() {
            break;
        }
        builder = blocking(collection, move || {
            entries.iter().try_for_each(|entry| builder.add(entry))?;
            Ok::<_, StoreError>(builder)
        })
        .await??;
    }
    blocking(collection, move || builder.finish(&mark)).await??;
    Ok(place)
}
