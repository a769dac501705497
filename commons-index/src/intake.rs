//! What there is to ingest, read in a thread of its own: files of a folder or documents that a caller gives, in batches.
//!
//! **Invariant:** what is read and not yet written is bounded, whatever the sizes of files and records.
//! **Invariant:** a batch holds records in the order of their file, and its end behind the last of them.

use std::{
    collections::{BTreeMap, HashSet},
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use receipts::Digest;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::{
    document::{Body, Raw},
    formats::{self, Format, Found, Packing, Reader, Reading, Stop, packed},
    metadata::Metadata,
    scan::{Candidate, SkipReason, Skipped},
};

/// A document that comes from the caller, not from the folder.
#[derive(Clone, Debug)]
pub struct Given {
    /// What it is cited by: its URL. With `://` in it, it is never taken for a file that is gone.
    pub path: String,
    /// Its media type, as the server named it.
    pub media: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What is known of it.
    pub metadata: Metadata,
}

/// Where documents come from.
pub(crate) enum Input {
    /// Files, beneath a folder.
    Files(PathBuf, Vec<Candidate>),
    /// The caller.
    Given(Box<dyn Iterator<Item = Given> + Send>),
}

/// What is on record of a file or of a document that is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// SHA-256 of its bytes.
    pub(crate) digest: Digest,
    /// How many.
    pub(crate) bytes: u64,
    /// How it was read; none by a version that did not say.
    pub(crate) how: Option<String>,
    /// Records of it that were passed over.
    pub(crate) skipped: u64,
}

/// The names of a file's records, by the beginnings of their digests.
pub(crate) type Names = HashSet<[u8; 16]>;

/// The name of a record among those of its file.
pub(crate) fn name_of(path: &str) -> [u8; 16] {
    let [name @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = Digest::of(path.as_bytes()).0;
    name
}

/// One thing that was read.
pub(crate) enum Item {
    /// A document that may be new.
    Raw(Box<Raw>),
    /// A file that is as it was; where it holds many documents, these are.
    Unchanged(String),
    /// Something passed over.
    Skipped(Skipped),
    /// A file of many documents is opened.
    Opened(String),
    /// It was read to its end: all its records and what it is.
    Closed(String, Box<Known>, Names),
}

/// Some of what was read.
pub(crate) struct Batch {
    pub(crate) items: Vec<Item>,
    /// Files dealt with so far.
    pub(crate) files: u64,
    _room: OwnedSemaphorePermit,
}

/// Documents and bytes of a batch.
const BATCH: usize = 512;
const BATCH_BYTES: usize = 4 << 20;
/// Of one file, so many passed-over records are listed; the rest are counted.
pub(crate) const LISTED: u64 = 100;
/// What may be in memory between reading and writing, in KiB.
const ROOM: u32 = 64 << 10;

/// The reading end.
struct Feed {
    out: mpsc::Sender<Batch>,
    room: Arc<Semaphore>,
    items: Vec<Item>,
    bytes: usize,
    files: u64,
}

/// Nobody reads what is fed.
struct Unwanted;

impl Feed {
    fn push(&mut self, item: Item) -> Result<(), Unwanted> {
        if let Item::Raw(raw) = &item {
            self.bytes += raw.body.len();
        }
        self.items.push(item);
        if self.items.len() >= BATCH || self.bytes >= BATCH_BYTES { self.send() } else { Ok(()) }
    }

    fn send(&mut self) -> Result<(), Unwanted> {
        let items = std::mem::take(&mut self.items);
        let room = u32::try_from(std::mem::take(&mut self.bytes) >> 10).unwrap_or(ROOM).clamp(1, ROOM);
        let room = tokio::runtime::Handle::current().block_on(Arc::clone(&self.room).acquire_many_owned(room));
        let room = room.map_err(|_closed| Unwanted)?;
        self.out.blocking_send(Batch { items, files: self.files, _room: room }).map_err(|_closed| Unwanted)
    }
}

/// What reading goes by.
pub(crate) struct Plan {
    pub(crate) input: Input,
    /// What is on record, by path.
    pub(crate) known: BTreeMap<String, Known>,
    pub(crate) reading: Reading,
    /// How documents are read now.
    pub(crate) how: String,
    /// Grows by each byte read.
    pub(crate) told: Arc<AtomicU64>,
}

/// Reads everything; ends early when nobody takes it.
pub(crate) fn start(plan: Plan) -> mpsc::Receiver<Batch> {
    let (out, batches) = mpsc::channel(2);
    tokio::task::spawn_blocking(move || {
        let room = Arc::new(Semaphore::new(ROOM as usize));
        let mut feed = Feed { out, room, items: Vec::new(), bytes: 0, files: 0 };
        // Whoever stopped taking batches knows why.
        let (Err(Unwanted) | Ok(())) = plan.read(&mut feed);
    });
    batches
}

impl Plan {
    fn read(self, feed: &mut Feed) -> Result<(), Unwanted> {
        let Self { input, known, reading, how, told } = self;
        let source = Source { known, reading, how, told };
        match input {
            Input::Files(folder, candidates) => {
                for candidate in candidates {
                    source.file(&folder, &candidate, feed)?;
                    feed.files += 1;
                }
            }
            Input::Given(given) => {
                for given in given {
                    source.given(given, feed)?;
                    feed.files += 1;
                }
            }
        }
        feed.send()
    }
}

struct Source {
    known: BTreeMap<String, Known>,
    reading: Reading,
    how: String,
    told: Arc<AtomicU64>,
}

impl Source {
    /// Whether a file of this digest is as it was, and was read as it would be now.
    fn unchanged(&self, path: &str, digest: Digest) -> bool {
        let same = |known: &Known| known.digest == digest && known.how.as_ref().is_none_or(|how| *how == self.how);
        self.known.get(path).is_some_and(same)
    }

    fn file(&self, folder: &Path, candidate: &Candidate, feed: &mut Feed) -> Result<(), Unwanted> {
        let path = &candidate.relative;
        let absolute = folder.join(path);
        let unreadable = |error: io::Error| SkipReason::Unreadable { cause: error.to_string() };
        if let Reader::Records(read) = candidate.format.reader {
            // Its digest is known only at its end: where it may be the same, it is taken first.
            if self.known.get(path).is_some_and(|known| known.bytes == candidate.bytes)
                && let Ok((digest, _)) = File::open(&absolute).and_then(|mut file| self.digest(&mut file))
                && self.unchanged(path, digest)
            {
                self.told.fetch_add(candidate.bytes, Ordering::Relaxed);
                return self.same(path, feed);
            }
            return match File::open(&absolute) {
                Ok(mut file) => self.records(path, &mut file, candidate.format, candidate.packing, read, feed),
                Err(error) => feed.push(Item::Skipped(Skipped::unread(path.clone(), unreadable(error)))),
            };
        }
        let read = File::open(&absolute).map_err(unreadable);
        match read.and_then(|mut file| self.whole(&mut file, candidate.packing, candidate.bytes)) {
            Err(reason) => feed.push(Item::Skipped(Skipped::unread(path.clone(), reason))),
            Ok((_body, digest, _bytes)) if self.unchanged(path, digest) => self.same(path, feed),
            Ok((body, digest, bytes)) => {
                let body = Body::File(body, candidate.format);
                feed.push(raw(path.clone(), candidate.format, digest, bytes, Metadata::default(), body))
            }
        }
    }

    fn given(&self, given: Given, feed: &mut Feed) -> Result<(), Unwanted> {
        let Given { path, media, bytes, metadata } = given;
        self.told.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        let Some(format) = Format::of_media(&media) else {
            let reason = SkipReason::OtherKind { extension: media };
            return feed.push(Item::Skipped(Skipped::unread(path, reason)));
        };
        let limit = self.reading.file_bytes;
        if bytes.len() as u64 > limit {
            let reason = SkipReason::TooLarge { bytes: bytes.len() as u64, limit };
            return feed.push(Item::Skipped(Skipped::unread(path, reason)));
        }
        let digest = Digest::of(&bytes);
        if self.unchanged(&path, digest) {
            return self.same(&path, feed);
        }
        if let Reader::Records(read) = format.reader {
            return self.records(&path, &mut bytes.as_slice(), format, Packing::None, read, feed);
        }
        let length = bytes.len() as u64;
        feed.push(raw(path, format, digest, length, metadata, Body::File(bytes, format)))
    }

    fn same(&self, path: &str, feed: &mut Feed) -> Result<(), Unwanted> {
        let records = self.known.get(path).map_or(0, |known| known.skipped);
        if records > 0 {
            feed.push(Item::Skipped(Skipped::unread(path.to_owned(), SkipReason::More { records })))?;
        }
        feed.push(Item::Unchanged(path.to_owned()))
    }

    fn digest(&self, file: &mut dyn Read) -> io::Result<(Digest, u64)> {
        // Not told: where it is another file than before, it is read again.
        let told = AtomicU64::new(0);
        let taken = packed::Counted::new(file, &told).finish()?;
        Ok(taken)
    }

    /// A file in memory: unpacked, with the digest and the length of what was read.
    fn whole(&self, file: &mut dyn Read, packing: Packing, bytes: u64) -> Result<(Vec<u8>, Digest, u64), SkipReason> {
        let limit = self.reading.file_bytes;
        let mut counted = packed::Counted::new(file, &self.told);
        // The file may have grown since the walk; one byte past the limit tells, and no more is taken into memory.
        let mut body = Vec::with_capacity(usize::try_from(bytes.min(limit)).unwrap_or_default() + 1);
        let unpacked = packing.unpacked(&mut counted).and_then(|from| from.take(limit + 1).read_to_end(&mut body));
        unpacked.map_err(|error| packed::reason(&error))?;
        if body.len() as u64 > limit {
            return Err(SkipReason::TooLarge { bytes: body.len() as u64, limit });
        }
        let (digest, bytes) = counted.finish().map_err(|error| packed::reason(&error))?;
        Ok((body, digest, bytes))
    }

    /// A file of many documents.
    fn records(
        &self,
        path: &str,
        file: &mut dyn Read,
        format: &'static Format,
        packing: Packing,
        read: fn(&mut dyn io::BufRead, &Reading, &mut formats::Sink<'_>) -> Result<(), Stop>,
        feed: &mut Feed,
    ) -> Result<(), Unwanted> {
        feed.push(Item::Opened(path.to_owned()))?;
        let (mut names, mut skipped) = (Names::new(), 0_u64);
        let mut counted = packed::Counted::new(file, &self.told);
        let end = packing.unpacked(&mut counted).map_err(Stop::from).and_then(|mut stream| {
            let skip = |path: String, reason, skipped: &mut u64, feed: &mut Feed| {
                *skipped += 1;
                let listed = *skipped <= LISTED;
                let skip = || feed.push(Item::Skipped(Skipped::unread(path, reason)));
                if listed { skip().map_err(|Unwanted| Stop::Unwanted) } else { Ok(()) }
            };
            read(&mut stream, &self.reading, &mut |found| match found {
                Found::Skipped(reason) => skip(path.to_owned(), reason, &mut skipped, feed),
                Found::Record(record) => {
                    let name = record.id.as_ref().map_or_else(|| path.to_owned(), |id| format!("{path}#{id}"));
                    if !names.insert(name_of(&name)) {
                        return skip(name, SkipReason::SameName, &mut skipped, feed);
                    }
                    let record = *record;
                    let raw = Raw {
                        path: name,
                        file: Some(path.to_owned()),
                        media: format.media,
                        digest: record.digest,
                        bytes: record.bytes,
                        title: record.title,
                        metadata: record.metadata,
                        body: Body::Record(record.body, record.encoding, record.draw),
                    };
                    feed.push(Item::Raw(Box::new(raw))).map_err(|Unwanted| Stop::Unwanted)
                }
            })
        });
        if skipped > LISTED {
            let reason = SkipReason::More { records: skipped - LISTED };
            feed.push(Item::Skipped(Skipped::unread(path.to_owned(), reason)))?;
        }
        let end = end.and_then(|()| counted.finish().map_err(Stop::from));
        match end {
            Ok((digest, bytes)) => {
                if names.is_empty() && skipped == 0 {
                    let reason = SkipReason::Blank;
                    feed.push(Item::Skipped(Skipped { path: path.to_owned(), reason, read: Some(digest) }))?;
                }
                let known = Known { digest, bytes, how: Some(self.how.clone()), skipped };
                feed.push(Item::Closed(path.to_owned(), Box::new(known), names))
            }
            // What was read of it stays, what it held before as well: nobody knows what comes behind this place.
            Err(Stop::Reason(reason)) => feed.push(Item::Skipped(Skipped::unread(path.to_owned(), reason))),
            Err(Stop::Unwanted) => Err(Unwanted),
        }
    }
}

fn raw(path: String, format: &Format, digest: Digest, bytes: u64, metadata: Metadata, body: Body) -> Item {
    Item::Raw(Box::new(Raw { path, file: None, media: format.media, digest, bytes, title: None, metadata, body }))
}
