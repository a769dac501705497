//! What there is into a new revision: read, compare, write piece by piece, and seal at last. Killed anywhere before the
//! seal, the revision before stays what it was, and the next ingest goes on with what is written.
//!
//! **Invariant:** nothing of a revision is seen before it is sealed, and the word index of it is durable before that.
//! **Invariant:** one ingest of a collection at a time, from its first row to its seal.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use receipts::Digest;
use tokio::task::JoinHandle;

use crate::{
    document::{self, Raw},
    error::{IngestError, StoreError, from_io},
    formats::{READERS, Reading},
    intake::{self, Batch, Input, Item, Names, Plan, name_of},
    limits::Limits,
    metadata::Declared,
    scan::{SkipReason, Skipped},
    seal::{self, Read},
    store::{Counted, Ingesting, Learned, Records, Session, Standing},
    vectors, words,
    writing::{Ready, compressor},
};

/// How far an ingest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Files dealt with.
    pub done: u64,
    /// Files to deal with.
    pub total: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Bytes to read; 0 where nobody knows.
    pub total_bytes: u64,
}

/// What an ingest needs of its caller: randomness, a signature, and someone to tell.
pub struct Caller<'a> {
    /// When the ingest begins, in milliseconds since the Unix epoch, as its log is to say.
    pub began_ms: u64,
    /// Fills path salts.
    pub entropy: &'a mut (dyn FnMut(&mut [u8]) -> io::Result<()> + Send),
    /// Signs a checkpoint body (`origin\nsize\nroot\n`) into the signed note that is kept with the revision.
    pub sign: &'a mut (dyn FnMut(&[u8]) -> io::Result<Vec<u8>> + Send),
    /// Told after each batch of documents.
    pub progress: &'a mut (dyn FnMut(Progress) + Send),
}

/// What an ingest did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ingested {
    /// Paths that were new.
    pub added: u64,
    /// Paths whose bytes, or what is known of them, had changed.
    pub replaced: u64,
    /// Paths that were gone.
    pub removed: u64,
    /// Paths with the same bytes as before.
    pub unchanged: u64,
    /// Of the added and replaced, those that an ingest before this one had written when it ended early.
    pub resumed: u64,
    /// Files, folders and records passed over, by path.
    pub skipped: Vec<Skipped>,
    /// Documents in the collection now.
    pub documents: u64,
    /// Those of them whose text another one has too; it is searched once.
    pub duplicates: u64,
    /// Passages in the collection now, those of duplicates counted once.
    pub passages: u64,
}

/// What is written is made durable after so many documents, bytes or seconds.
const DURABLE_DOCUMENTS: usize = 10_000;
const DURABLE_BYTES: u64 = 128 << 20;
const DURABLE: Duration = Duration::from_secs(10);

/// What the caller of [`run`] fixes.
pub(crate) struct Place<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) collection: &'a Path,
    pub(crate) origin: &'a str,
    pub(crate) limits: Limits,
    /// What is said of all documents; as at the last ingest where it is not said.
    pub(crate) declared: Option<&'a Declared>,
}

/// What there is to read.
pub(crate) struct Stock {
    pub(crate) input: Input,
    pub(crate) skipped: Vec<Skipped>,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
}

/// Runs blocking work off the event loop.
pub(crate) async fn blocking<T: Send + 'static>(
    at: &Path,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StoreError> {
    let joined = tokio::task::spawn_blocking(work).await;
    joined.map_err(|error| StoreError::Unwritable { path: at.to_owned(), cause: error.to_string() })
}

/// One ingest at work.
struct Work<'a> {
    records: &'a Records,
    lock: Ingesting,
    on: Session,
    next: i64,
    how: String,
    declared: Arc<Declared>,
    /// Whether rows of an ingest that ended early are there.
    resuming: bool,
    skipped: Vec<Skipped>,
    /// Files that are there, or that could not be read to their end.
    seen: BTreeSet<String>,
    /// Documents met.
    met: u64,
    /// Records without text in the file that is read.
    blank: u64,
    written: usize,
    written_bytes: u64,
    since: Instant,
    learned: Learned,
}

/// Ingests; the revision to answer from is the old one when nothing changed.
pub(crate) async fn run(
    records: &Records,
    place: &Place<'_>,
    stock: Stock,
    caller: &mut Caller<'_>,
) -> Result<Ingested, IngestError> {
    let lock = records.ingesting(place.collection).await?;
    let mut on = records.write().await?;
    let latest = on.latest().await?;
    let next = latest.as_ref().map_or(1, |latest| latest.number + 1);
    let resuming = on.unsealed(next).await? > 0;
    let resumed = if resuming { on.counted(next).await? } else { Counted::default() };
    let declared = declared(&mut on, place.declared).await?;
    let how = how(&declared);
    let known: BTreeMap<_, _> = on.known_documents().await?.into_iter().chain(on.known_files().await?).collect();
    let gone: Vec<String> = known.keys().cloned().chain(on.files_of_documents().await?).collect();
    let folder = matches!(stock.input, Input::Files(..));
    let told = Arc::new(AtomicU64::new(0));
    let reading = Reading {
        file_bytes: place.limits.file_bytes,
        record_bytes: place.limits.record_bytes,
        fields: declared.fields.clone(),
    };
    let plan = Plan { input: stock.input, known, reading, how: how.clone(), told: Arc::clone(&told) };
    let mut work = Work {
        records,
        lock,
        on,
        next,
        how,
        declared: Arc::new(declared),
        resuming,
        skipped: stock.skipped,
        seen: BTreeSet::new(),
        met: 0,
        blank: 0,
        written: 0,
        written_bytes: 0,
        since: Instant::now(),
        learned: Learned::default(),
    };
    let mut batches = intake::start(plan);
    let mut drawing: Option<Drawing> = None;
    loop {
        // The next batch is drawn while this one is written. None is waited for while one is drawn: the reader may have
        // no room before that one is written.
        let Some(Drawing { drawn, files }) = drawing.take() else {
            let Some(batch) = batches.recv().await else { break };
            drawing = Some(work.compare(batch).await?);
            continue;
        };
        let (items, _room) = drawn
            .await
            .map_err(|error| StoreError::Unwritable { path: place.collection.to_owned(), cause: error.to_string() })?;
        if let Ok(batch) = batches.try_recv() {
            drawing = Some(work.compare(batch).await?);
        }
        work.write(items?).await?;
        let bytes = told.load(Ordering::Relaxed);
        (caller.progress)(Progress {
            done: files,
            total: stock.files,
            bytes,
            total_bytes: if stock.bytes == 0 { 0 } else { stock.bytes.max(bytes) },
        });
    }
    if work.met == 0 {
        // An unmounted disk looks like this too: what was known is not thrown away for it.
        let mut skipped = work.skipped;
        skipped.sort_by(|a, b| a.path.as_bytes().cmp(b.path.as_bytes()));
        return Err(IngestError::NothingReadable { folder: place.folder.to_owned(), skipped });
    }
    if folder {
        work.remove(&gone).await?;
    }
    work.learned.keep_up(&mut work.on).await?;
    let Work { on, mut lock, mut skipped, declared, .. } = work;
    skipped.sort_by(|a, b| a.path.as_bytes().cmp(b.path.as_bytes()));
    lock.holds().await?;
    let ingested =
        seal::seal(on, place, caller, latest, (next, Read { declared: &declared, skipped: &skipped })).await?;
    if ingested.added + ingested.replaced + ingested.removed > 0 {
        words::remove_others(place.collection, next)?;
        vectors::remove_others(place.collection, next)?;
    }
    drop(lock);
    let resumed = (resumed.added + resumed.replaced).min(ingested.added + ingested.replaced);
    Ok(Ingested { skipped, resumed, ..ingested })
}

async fn declared(on: &mut Session, now: Option<&Declared>) -> Result<Declared, StoreError> {
    if let Some(now) = now {
        let text = serde_json::to_string(now).map_err(|error| on.damaged(&error.to_string()))?;
        on.keep_declared(&text).await?;
        return Ok(now.clone());
    }
    match on.declared().await? {
        Some(text) => serde_json::from_str(&text).map_err(|error| on.damaged(&error.to_string())),
        None => Ok(Declared::default()),
    }
}

/// How documents are read now, as records keep it beside each.
fn how(declared: &Declared) -> String {
    Digest::of(format!("{READERS} {declared:?}").as_bytes()).to_string()[..16].to_owned()
}

/// What becomes of an item.
enum Drawn {
    /// A document that may be new, with the one that stands in its place.
    Document(Box<Ready>, Option<Box<Standing>>),
    /// What has no text, of a file of many.
    Blank(Skipped, Option<Box<Standing>>),
    /// A document of a file of many that is as it stands.
    Same,
    /// Nothing is to be drawn.
    Item(Item),
}

/// An item with what stands in its place.
enum Compared {
    New(Box<Raw>, Option<Box<Standing>>),
    Known(Drawn),
}
/// What was drawn of a batch, and the room that it takes until it is written.
type DrawnBatch = (Result<Vec<Drawn>, StoreError>, Option<Batch>);

struct Drawing {
    drawn: JoinHandle<DrawnBatch>,
    files: u64,
}

impl Work<'_> {
    /// Looks up what stands in the place of what was read, and begins to draw what is new.
    async fn compare(&mut self, mut batch: Batch) -> Result<Drawing, StoreError> {
        let items = std::mem::take(&mut batch.items);
        let raw = |item: &Item| if let Item::Raw(raw) = item { Some(raw.path.clone()) } else { None };
        let paths: Vec<String> = items.iter().filter_map(raw).collect();
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        let standing = self.on.standing(&paths).await?;
        let mut standing: BTreeMap<String, Standing> =
            standing.into_iter().map(|standing| (standing.path.clone(), standing)).collect();
        let items: Vec<Compared> = items
            .into_iter()
            .map(|item| match item {
                Item::Raw(raw) => match standing.remove(&raw.path) {
                    Some(old) if raw.digest == old.document && old.how.as_ref().is_none_or(|how| *how == self.how) => {
                        let path = raw.path;
                        Compared::Known(raw.file.map_or(Drawn::Item(Item::Unchanged(path)), |_file| Drawn::Same))
                    }
                    found => Compared::New(raw, found.map(Box::new)),
                },
                other => Compared::Known(Drawn::Item(other)),
            })
            .collect();
        let (declared, at, files) = (Arc::clone(&self.declared), self.on.at(), batch.files);
        let drawn = tokio::task::spawn_blocking(move || {
            let drawn = draw(items, &declared).map_err(|error| from_io(&at, &error));
            (drawn, Some(batch))
        });
        Ok(Drawing { drawn, files })
    }

    async fn write(&mut self, items: Vec<Drawn>) -> Result<(), StoreError> {
        let mut ready: Vec<Ready> = Vec::with_capacity(items.len());
        for item in items {
            match item {
                Drawn::Document(new, standing) => {
                    self.met += 1;
                    if new.document.file.is_none() {
                        self.seen.insert(new.document.path.clone());
                    }
                    if self.makes_room(&new, standing.as_deref()).await? {
                        self.written_bytes += new.document.bytes;
                        ready.push(*new);
                    }
                }
                Drawn::Item(Item::Skipped(skipped)) => self.skipped.push(skipped),
                Drawn::Item(Item::Unchanged(path)) => {
                    self.met += 1;
                    self.seen.insert(path);
                }
                Drawn::Item(Item::Opened(path)) => {
                    self.on.drop_file(&path).await?;
                    self.seen.insert(path);
                }
                Drawn::Item(Item::Closed(path, known, names)) => {
                    self.add(&mut ready).await?;
                    self.remove_from(&path, &names).await?;
                    self.on.keep_file(&path, &known).await?;
                    let records = std::mem::take(&mut self.blank).saturating_sub(intake::LISTED);
                    if records > 0 {
                        self.skipped.push(Skipped::unread(path, SkipReason::More { records }));
                    }
                }
                Drawn::Same => self.met += 1,
                Drawn::Blank(skipped, standing) => {
                    self.blank += 1;
                    if self.blank <= intake::LISTED {
                        self.skipped.push(skipped);
                    }
                    if let Some(old) = standing {
                        self.take_away(&old).await?;
                    }
                }
                // Each of these was compared, and is a document or has no text.
                Drawn::Item(Item::Raw(_)) => {}
            }
        }
        self.add(&mut ready).await?;
        let long = self.since.elapsed() > DURABLE;
        if self.written >= DURABLE_DOCUMENTS || self.written_bytes >= DURABLE_BYTES || (long && self.written > 0) {
            self.durable().await?;
        }
        Ok(())
    }

    async fn add(&mut self, ready: &mut Vec<Ready>) -> Result<(), StoreError> {
        if !ready.is_empty() {
            self.written += ready.len();
            self.learned.wrote(ready.len());
            self.on.add(ready, self.next, &self.how).await?;
            ready.clear();
        }
        Ok(())
    }

    /// Commits, and begins anew. The lock of the ingest stays, so nobody writes between.
    async fn durable(&mut self) -> Result<(), StoreError> {
        self.learned.keep_up(&mut self.on).await?;
        // A session in between holds nothing; the pool has another for it.
        let done = std::mem::replace(&mut self.on, self.records.snapshot().await?);
        self.lock.holds().await?;
        done.commit().await?;
        self.on = self.records.write().await?;
        (self.written, self.written_bytes, self.since) = (0, 0, Instant::now());
        Ok(())
    }

    /// Ends what a document takes the place of; false when it is as it stood, or stands again.
    async fn makes_room(&mut self, new: &Ready, standing: Option<&Standing>) -> Result<bool, StoreError> {
        let same = |old: &Standing| {
            let document = &new.document;
            (old.document, old.text) == (document.digest, document.text_digest)
                && (&old.title, &old.metadata) == (&document.title, &document.metadata)
        };
        if let Some(old) = standing {
            if same(old) {
                self.on.read_as(old.id, &self.how).await?;
                return Ok(false);
            }
            if old.since < self.next {
                self.on.end(old.id, self.next).await?;
                return Ok(true);
            }
            self.on.forget(old.id, old.text).await?;
        }
        if self.resuming
            && let Some(ended) = self.on.ended(&new.document.path, self.next).await?
            && same(&ended)
        {
            self.on.revive(ended.id).await?;
            return Ok(false);
        }
        Ok(true)
    }

    /// Ends a file's documents that are no longer in it.
    async fn remove_from(&mut self, file: &str, names: &Names) -> Result<(), StoreError> {
        let mut after = 0;
        loop {
            let page = self.on.of_file(file, after, 5_000).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id;
            for document in page {
                if !names.contains(&name_of(&document.path)) {
                    self.take_away(&document).await?;
                }
            }
        }
    }

    /// Ends what came from files that are no longer there.
    async fn remove(&mut self, known: &[String]) -> Result<(), StoreError> {
        for path in known {
            if self.seen.contains(path) || path.contains("://") {
                continue;
            }
            for document in self.on.standing(&[path]).await? {
                self.take_away(&document).await?;
            }
            self.remove_from(path, &Names::new()).await?;
            self.on.drop_file(path).await?;
        }
        Ok(())
    }

    async fn take_away(&mut self, document: &Standing) -> Result<(), StoreError> {
        if document.since < self.next {
            self.on.end(document.id, self.next).await
        } else {
            self.on.forget(document.id, document.text).await
        }
    }
}

/// Draws what is new, on all cores that a batch is worth.
fn draw(items: Vec<Compared>, declared: &Declared) -> io::Result<Vec<Drawn>> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from).min(4);
    let share = items.len().div_ceil(cores).max(1);
    let mut items = items.into_iter();
    let mut shares = Vec::new();
    loop {
        let share: Vec<Compared> = items.by_ref().take(share).collect();
        if share.is_empty() {
            break;
        }
        shares.push(share);
    }
    std::thread::scope(|scope| {
        let shares: Vec<_> = shares.into_iter().map(|share| scope.spawn(|| draw_share(share, declared))).collect();
        let mut all = Vec::new();
        for share in shares {
            // Readers catch what their parsers panic with; another panic ends the ingest as it would here.
            all.extend(share.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok(all)
    })
}

fn draw_share(items: Vec<Compared>, declared: &Declared) -> io::Result<Vec<Drawn>> {
    let mut zstd = compressor()?;
    let mut drawn = Vec::with_capacity(items.len());
    for item in items {
        drawn.push(match item {
            Compared::New(raw, standing) => draw_one(*raw, standing, declared, &mut zstd)?,
            Compared::Known(known) => known,
        });
    }
    Ok(drawn)
}

fn draw_one(
    raw: Raw,
    standing: Option<Box<Standing>>,
    declared: &Declared,
    zstd: &mut zstd::bulk::Compressor<'static>,
) -> io::Result<Drawn> {
    let (path, record, read) = (raw.path.clone(), raw.file.is_some(), Some(raw.digest));
    match document::draw(raw, declared) {
        Ok(document) => Ok(Drawn::Document(Box::new(Ready::of(document, zstd)?), standing)),
        Err(reason) if record => Ok(Drawn::Blank(Skipped { path, reason, read }, standing)),
        Err(reason) => Ok(Drawn::Item(Item::Skipped(Skipped { path, reason, read }))),
    }
}
