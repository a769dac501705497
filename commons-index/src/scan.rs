//! Walks a folder: which files are documents, and what is passed over and why. Nothing is passed over in silence but
//! hidden entries and the three folders that hold no one's writing.
//!
//! **Invariant:** candidates come in byte order of their relative paths, with `/` between parts.
//! **Invariant:** no file is opened here, so a FIFO or a device can block nothing.

use std::{fs, io, path::Path};

use receipts::Digest;
use walkdir::{DirEntry, WalkDir};

use crate::formats::{Format, Packing};

/// Folders of machines' output, never documents.
const PASSED: &[&str] = &["target", "node_modules"];

/// Where a symbolic link leads. None is followed: what is inside is found under its own path, and what is outside was not
/// given to us (a cloned folder may link to private files).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkKind {
    /// To a folder it stands in, or to itself.
    Loop,
    /// To something else in the folder.
    Inside,
    /// Out of the folder.
    Outside,
    /// To nothing.
    Broken,
}

/// Why a file or folder is no document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SkipReason {
    /// A symbolic link.
    #[error("symbolic link ({0:?}), not followed")]
    Link(LinkKind),
    /// A FIFO, socket or device.
    #[error("special file")]
    Special,
    /// The name is not UTF-8, so no citation could name it.
    #[error("name is not UTF-8")]
    NameNotUtf8,
    /// Of no kind in the table of formats.
    #[error("`{extension}` is not a kind of document read here")]
    OtherKind {
        /// The extension; empty when there is none.
        extension: String,
    },
    /// Larger than the limit.
    #[error("{bytes} bytes, more than {limit}")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// It has NUL bytes: no text.
    #[error("binary content")]
    Binary,
    /// Neither UTF-8 nor what it says or looks like.
    #[error("not UTF-8 from byte {valid}, and of no other encoding")]
    NotUtf8 {
        /// How many bytes are valid.
        valid: u64,
    },
    /// HTML nested thousands deep: no page, and a danger to parse.
    #[error("elements nested too deep")]
    TooDeep,
    /// It is encrypted.
    #[error("encrypted")]
    Encrypted,
    /// Its format is broken.
    #[error("malformed: {cause}")]
    Malformed {
        /// What does not fit.
        cause: String,
    },
    /// It unpacks to far more than any text does.
    #[error("unpacks to more than {times} times its size")]
    Bomb {
        /// How many times.
        times: u64,
    },
    /// One record of many is longer than the limit.
    #[error("record at byte {at} has {bytes} bytes, more than {limit}")]
    RecordTooLarge {
        /// Where it begins in the file, unpacked.
        at: u64,
        /// Its length.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// One record of many cannot be read.
    #[error("record at byte {at}: {cause}")]
    BadRecord {
        /// Where it begins in the file, unpacked.
        at: u64,
        /// What does not fit.
        cause: String,
    },
    /// A record has the name of one before it in its file.
    #[error("the name is another record's")]
    SameName,
    /// More records of the same file were passed over than are listed.
    #[error("{records} more records passed over")]
    More {
        /// How many.
        records: u64,
    },
    /// Pages of a dump that are no articles: talk, templates, redirects.
    #[error("{pages} pages are no articles")]
    NoArticles {
        /// How many.
        pages: u64,
    },
    /// Nothing to read in it.
    #[error("no text")]
    Blank,
    /// The system would not let us read it.
    #[error("unreadable: {cause}")]
    Unreadable {
        /// Its reason.
        cause: String,
    },
}

/// A file or folder passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Relative path, `/` between parts, unreadable characters replaced.
    pub path: String,
    /// Why.
    pub reason: SkipReason,
    /// SHA-256 of its bytes, where they were read to their end.
    pub read: Option<Digest>,
}

impl Skipped {
    /// What was passed over without being read to its end.
    pub fn unread(path: String, reason: SkipReason) -> Self {
        Self { path, reason, read: None }
    }
}

impl std::fmt::Display for Skipped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.path, self.reason)
    }
}

/// A file that may be a document.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) relative: String,
    pub(crate) format: &'static Format,
    pub(crate) packing: Packing,
    pub(crate) bytes: u64,
}

/// What a walk found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) candidates: Vec<Candidate>,
    pub(crate) skipped: Vec<Skipped>,
}

/// Walks `folder` (canonical). `own` is our home, which is no document even when it stands in the folder.
pub(crate) fn scan(folder: &Path, own: &Path, limit: u64) -> Found {
    let mut found = Found::default();
    let walk = WalkDir::new(folder).follow_links(false).into_iter();
    let wanted = |entry: &DirEntry| entry.depth() == 0 || !(is_passed(entry) || entry.path() == own);
    for entry in walk.filter_entry(wanted) {
        match entry {
            Ok(entry) if entry.file_type().is_dir() => {}
            Ok(entry) => match candidate(folder, &entry, limit) {
                Ok(candidate) => found.candidates.push(candidate),
                Err(skipped) => found.skipped.push(skipped),
            },
            Err(error) => {
                let path = error.path().map_or_else(String::new, |path| relative(folder, path));
                let cause = error.io_error().map_or_else(|| error.to_string(), io::Error::to_string);
                found.skipped.push(Skipped::unread(path, SkipReason::Unreadable { cause }));
            }
        }
    }
    found.candidates.sort_by(|a, b| a.relative.as_bytes().cmp(b.relative.as_bytes()));
    found.skipped.sort_by(|a, b| a.path.as_bytes().cmp(b.path.as_bytes()));
    found
}

fn is_passed(entry: &DirEntry) -> bool {
    let name = entry.file_name();
    name.as_encoded_bytes().starts_with(b".")
        || (entry.file_type().is_dir() && PASSED.iter().any(|passed| name == *passed))
}

fn relative(folder: &Path, path: &Path) -> String {
    let parts = path.strip_prefix(folder).unwrap_or(path).components();
    parts.map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

fn candidate(folder: &Path, entry: &DirEntry, limit: u64) -> Result<Candidate, Skipped> {
    let path = relative(folder, entry.path());
    let skip = |reason| Skipped::unread(path.clone(), reason);
    let kind = entry.file_type();
    if kind.is_symlink() {
        return Err(skip(SkipReason::Link(link_kind(folder, entry.path()))));
    }
    if !kind.is_file() {
        return Err(skip(SkipReason::Special));
    }
    if entry.path().strip_prefix(folder).ok().and_then(Path::to_str).is_none() {
        return Err(skip(SkipReason::NameNotUtf8));
    }
    let name = entry.file_name().to_string_lossy();
    let (format, packing) = Format::of_name(&name).map_err(|extension| skip(SkipReason::OtherKind { extension }))?;
    let metadata = entry.metadata().map_err(|error| skip(SkipReason::Unreadable { cause: error.to_string() }))?;
    let bytes = metadata.len();
    if bytes > limit && !format.is_stream() {
        return Err(skip(SkipReason::TooLarge { bytes, limit }));
    }
    Ok(Candidate { relative: path.clone(), format, packing, bytes })
}

fn link_kind(folder: &Path, link: &Path) -> LinkKind {
    match fs::canonicalize(link) {
        Ok(target) if link.starts_with(&target) => LinkKind::Loop,
        Ok(target) if target.starts_with(folder) => LinkKind::Inside,
        Ok(_outside) => LinkKind::Outside,
        // ELOOP on Linux and on macOS and the BSDs; its `ErrorKind` is not stable yet.
        Err(error) if matches!(error.raw_os_error(), Some(40 | 62)) => LinkKind::Loop,
        Err(_broken) => LinkKind::Broken,
    }
}
