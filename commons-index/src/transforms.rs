//! The log of an ingest: what was done to each document of a revision, as its receipt binds it.
//!
//! A file a revision, in `curation/` of the collection's folder, named by the revision and the beginning of its root: one of
//! an ingest that was killed before its revision was sealed never bears the name of one that was.
//!
//! **Invariant:** the log of a revision is durable before the records name the revision.
//! **Invariant:** memory does not grow with the documents of an ingest: they are read a page at a time.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use receipts::{
    Digest,
    canonical::canonical,
    curation::{Curated, Head, Header, Ingest, LogWriter, Refused, Removed, Steps, Transform},
    integer::Decimal,
    merkle::Frontier,
};
use serde_json::json;

use crate::{
    corpus::{CorpusOp, CorpusRow},
    error::{IngestError, StoreError, from_io},
    formats::{Packing, READERS},
    ingest::{Caller, Place},
    passages::PASSAGES,
    seal::Read,
    store::{Made, Session},
};

/// Rows in memory at a time.
const PAGE: u64 = 2_000;

/// What an ingest made of a corpus.
pub(crate) struct Grown {
    pub(crate) before: Frontier,
    pub(crate) size: u64,
    pub(crate) root: Digest,
    pub(crate) revision: i64,
}

/// Where logs and receipts of a collection's ingests are.
fn folder(collection: &Path) -> PathBuf {
    collection.join("curation")
}

/// The name of what belongs to a revision.
fn stem(revision: i64, root: &Digest) -> String {
    format!("{revision}-{}", &root.to_string()[..16])
}

/// The log of a revision.
pub(crate) fn log(collection: &Path, revision: i64, root: &Digest) -> PathBuf {
    folder(collection).join(format!("{}.jsonl", stem(revision, root)))
}

/// The folder of its receipt.
pub(crate) fn receipt(collection: &Path, revision: i64, root: &Digest) -> PathBuf {
    folder(collection).join(stem(revision, root))
}

/// Writes the log.
pub(crate) async fn write(
    on: &mut Session,
    place: &Place<'_>,
    caller: &mut Caller<'_>,
    grown: &Grown,
    read: &Read<'_>,
) -> Result<(), IngestError> {
    let policy = canonical(&json!({
        "declared": read.declared, "passages": PASSAGES.to_string(), "readers": READERS.to_string()}));
    let policy = policy.ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let mut key = [0; 32];
    (caller.entropy)(&mut key).map_err(IngestError::Entropy)?;
    let of = Ingest {
        collection: place.origin.to_owned(),
        revision: grown.revision.unsigned_abs(),
        policy: policy.ok_or_else(|| on.damaged("what is said of its documents has no canonical form"))?,
        began_ms: caller.began_ms,
    };
    let after = Head { root: grown.root, size: Decimal(grown.size) };
    let header = Header::new(&grown.before, after, key, of);
    let (at, home) = (log(place.collection, grown.revision, &grown.root), folder(place.collection));
    let failed = |error: std::io::Error| from_io(&at, &error);
    fs::create_dir_all(&home).map_err(failed)?;
    let new = home.join(".new");
    let mut out = Out { file: BufWriter::new(private(&new).map_err(failed)?), lines: LogWriter::new(&header) };
    out.file.write_all(&header.to_line().map_err(|error| on.damaged(&error.to_string()))?).map_err(failed)?;
    changes(on, grown, &mut out, &at).await?;
    for one in read.skipped {
        let refused = Refused { source: one.path.clone(), read: one.read, reason: one.reason.to_string() };
        out.line(&Transform::Refused(refused)).map_err(failed)?;
    }
    let file = out.file.into_inner().map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)?;
    fs::rename(&new, &at).map_err(failed)?;
    File::open(&home).and_then(|folder| folder.sync_all()).map_err(failed)?;
    Ok(())
}

/// A new file for its owner alone: the log tells every path.
fn private(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

struct Out {
    file: BufWriter<File>,
    lines: LogWriter,
}

impl Out {
    fn line(&mut self, transform: &Transform) -> std::io::Result<()> {
        let line = self.lines.line(transform).map_err(std::io::Error::other)?;
        self.file.write_all(&line)
    }
}

/// The entries that the corpus has beyond what it was, each with what its document was made of.
async fn changes(on: &mut Session, grown: &Grown, out: &mut Out, at: &Path) -> Result<(), StoreError> {
    let (mut next, mut after) = (grown.before.size(), String::new());
    while next < grown.size {
        let rows = on.corpus(next, PAGE).await?;
        if rows.is_empty() {
            return Err(on.damaged("its corpus ends before its size"));
        }
        next += rows.len() as u64;
        let new = rows.iter().filter(|(row, _leaf)| row.op != CorpusOp::Remove).count();
        let mut made = on.made(grown.revision, &after, new as u64).await?.into_iter();
        for (row, _leaf) in rows {
            let document = if row.op == CorpusOp::Remove { None } else { made.next() };
            if let Some(document) = &document {
                after.clone_from(&document.path);
            }
            let transform = transform(row, document).ok_or_else(|| on.damaged("its corpus names no such document"))?;
            out.line(&transform).map_err(|error| from_io(at, &error))?;
        }
    }
    Ok(())
}

/// What an entry of the corpus did; `None` where the document beside it is another.
fn transform(row: CorpusRow, made: Option<Made>) -> Option<Transform> {
    let CorpusRow { op, document: read, bytes, media, path: source, salt } = row;
    let Some(made) = made else {
        return (op == CorpusOp::Remove).then_some(Transform::Removed(Removed { source, read, bytes, media, salt }));
    };
    if made.path != source {
        return None;
    }
    let name = made.file.as_deref().unwrap_or(&source);
    // What a caller gives by its address is given as it is.
    let packing = if source.contains("://") { Packing::None } else { Packing::of_name(name).1 };
    let steps = Steps {
        chunker: format!("passages/{PASSAGES}"),
        decoding: made.decoding,
        reader: format!("{media}/{READERS}"),
        unpacking: packing.name().map(str::to_owned),
    };
    let licence = made.licence.unwrap_or_default();
    let curated = Curated { source, read, bytes, media, kept: made.text, licence, steps, salt };
    match op {
        CorpusOp::Add => Some(Transform::Added(curated)),
        CorpusOp::Replace => Some(Transform::Changed(curated)),
        CorpusOp::Remove => None,
    }
}
