//! Receipts of ingests: each revision of a collection that this home made has a log beside it and, once sealed, one receipt.
//!
//! **Invariant:** a revision gets one receipt and never two: it is put into its place whole, and never in the place of another.
//! **Invariant:** what a killed program left unsealed is sealed by the next that looks.

use std::{
    fs::{self, File},
    io::{self, BufReader, ErrorKind},
    path::{Path, PathBuf},
};

use agent_runtime::{
    clock::Clock,
    journal::{IngestRow, Journal, Reader},
    signer::{CurationError, Signer, bundle_of, next_line},
};
use commons_index::{Collection, Revision};
use receipts::{
    Digest, PublicKey,
    bundle::{self, Bundle},
    curation::{CurationPredicate, Header, LogError, LogReader, Reckoned},
    dsse::Envelope,
    statement::Statement,
    tlog_proof::TlogProof,
    verify::LogCheck,
};

use crate::{
    exit::{Exit, Failure, chain},
    failures::{from_journal, from_store},
};

/// A revision of a collection and the receipt of the ingest that led to it.
#[derive(Clone, Debug)]
pub struct Curation {
    /// The revision.
    pub revision: Revision,
    /// Its log, which may be gone.
    pub log: PathBuf,
    /// Id of its receipt.
    pub receipt: Digest,
    /// What it says, unverified.
    pub says: CurationPredicate,
    /// Its files.
    pub bundle: Bundle,
}

/// Seals what is not sealed yet of a collection of this home, and gives the receipts made, oldest first.
///
/// # Errors
/// Files that cannot be read or written, a log that does not hold.
pub async fn seal(index: &Collection, signer: &Signer, clock: &Clock) -> Result<Vec<(i64, Digest)>, Failure> {
    let mut made = Vec::new();
    let mut lock = None;
    for revision in index.revisions().await.map_err(|error| from_store(&error))? {
        let files = index.curation_of(&revision);
        if files.receipt.exists() || !files.log.is_file() {
            continue;
        }
        let Some(folder) = files.log.parent() else { continue };
        if lock.is_none() {
            lock = Some(one_at_a_time(folder)?);
        }
        // Another program may have been first.
        if files.receipt.exists() {
            continue;
        }
        let head = String::from_utf8_lossy(&revision.checkpoint);
        let head = signer.open_checkpoint(&head).map_err(|error| refused(index, &revision, &chain(&error)))?;
        let log = File::open(&files.log).map_err(|error| unusable(&files.log, &error))?;
        let sealed = signer.seal_curation(&mut BufReader::new(log), &head, clock.now_ms());
        let sealed = sealed.map_err(|error| match error {
            CurationError::Read(error) => unusable(&files.log, &error),
            error => refused(index, &revision, &chain(&error)),
        })?;
        place(folder, &files.receipt, &sealed.bundle).map_err(|error| unusable(&files.receipt, &error))?;
        made.push((revision.number, sealed.receipt));
    }
    Ok(made)
}

/// Whether receipts of a collection's ingests are perhaps not in the queue yet.
///
/// # Errors
/// Those of the collection and the journal.
pub async fn waits(index: &Collection, reader: Option<&Reader>) -> Result<bool, Failure> {
    let revisions = index.revisions().await.map_err(|error| from_store(&error))?;
    let sealed = revisions.iter().filter(|revision| index.curation_of(revision).receipt.is_dir()).count();
    let queued = match reader {
        None => 0,
        Some(reader) => {
            reader.outbox_of_collection(index.collection()).await.map_err(|error| from_journal(&error))?.len()
        }
    };
    Ok(sealed > queued)
}

/// Puts the receipts of a collection's ingests into the queue to the ledger, those that were never there, and says how many that
/// were.
///
/// # Errors
/// Files that cannot be read, the journal's.
pub async fn queue(index: &Collection, journal: &Journal) -> Result<u64, Failure> {
    let mut rows = Vec::new();
    for one in of(index).await? {
        rows.push(IngestRow {
            collection: index.collection().to_owned(),
            revision: one.revision.number.unsigned_abs(),
            receipt_id: one.receipt,
            nullifier: one.says.nullifier,
            bundle: bundle_of(&one.bundle).map_err(Failure::internal)?,
        });
    }
    if rows.is_empty() {
        return Ok(0);
    }
    journal.queue_ingests(rows).await.map_err(|error| from_journal(&error))
}

fn unusable(path: &Path, error: &io::Error) -> Failure {
    let what = format!("{}: {error}", path.display());
    Failure::new(Exit::Storage, what, "make it readable and writable; the receipt is made by the next `ii commons add`")
}

fn refused(index: &Collection, revision: &Revision, why: &str) -> Failure {
    let what = format!("revision {} of {} gets no receipt: {why}", revision.number, index.collection());
    Failure::new(Exit::Verification, what, "bring its log back as the ingest wrote it; the collection itself is whole")
}

/// Waits until no other program seals in this folder.
fn one_at_a_time(folder: &Path) -> Result<File, Failure> {
    let path = folder.join(".lock");
    let file = fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|error| unusable(&path, &error))?;
    file.lock().map_err(|error| unusable(&path, &error))?;
    Ok(file)
}

/// Puts the files of a receipt into their folder, all at once.
fn place(folder: &Path, receipt: &Path, bundle: &Bundle) -> io::Result<()> {
    let new = folder.join(".sealing");
    match fs::remove_dir_all(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => fs::create_dir(&new)?,
    }
    for (name, bytes) in &bundle.0 {
        let mut file = File::create_new(new.join(name))?;
        io::Write::write_all(&mut file, bytes)?;
        file.sync_all()?;
    }
    File::open(&new)?.sync_all()?;
    fs::rename(&new, receipt)?;
    File::open(folder)?.sync_all()
}

/// The receipts of a collection's ingests, oldest first.
///
/// # Errors
/// Files that cannot be read, or that are none of a receipt.
pub async fn of(index: &Collection) -> Result<Vec<Curation>, Failure> {
    let mut found = Vec::new();
    for revision in index.revisions().await.map_err(|error| from_store(&error))? {
        let files = index.curation_of(&revision);
        if !files.receipt.is_dir() {
            continue;
        }
        let bundle = read(&files.receipt).map_err(|error| unusable(&files.receipt, &error))?;
        let receipt = bundle.0.get(bundle::RECEIPT).and_then(|bytes| Envelope::parse(bytes).ok());
        let says = receipt.as_ref().and_then(|envelope| Statement::<CurationPredicate>::parse(&envelope.payload).ok());
        let (Some(receipt), Some(says)) = (receipt, says) else {
            let what = format!("{} holds no receipt of an ingest", files.receipt.display());
            return Err(Failure::new(Exit::Verification, what, "bring its files back from a backup of the home"));
        };
        found.push(Curation { revision, log: files.log, receipt: receipt.id(), says: says.predicate, bundle });
    }
    Ok(found)
}

fn read(folder: &Path) -> io::Result<Bundle> {
    let mut bundle = Bundle::default();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        bundle.0.insert(name, fs::read(&path)?);
    }
    Ok(bundle)
}

/// Why a log does not bear out a receipt.
#[derive(Debug, thiserror::Error)]
pub enum LogFault {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// It does not hold.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The receipt is of no ingest.
    #[error("the receipt is not one of an ingest")]
    OtherClass,
}

/// Checks a log, line by line, against a receipt that was verified.
///
/// # Errors
/// [`LogFault`].
pub fn check(bundle: &Bundle, log: &Path) -> Result<Reckoned, LogFault> {
    let (mut log, mut line) = (BufReader::new(File::open(log)?), Vec::new());
    next_line(&mut log, &mut line)?;
    let mut check = LogCheck::new(bundle, &line)?.ok_or(LogFault::OtherClass)?;
    while next_line(&mut log, &mut line)? {
        check.reader().line(&line)?;
    }
    Ok(check.finish()?)
}

/// The proof of what was done to one document, its name and what was done opened; `None` where the log has no such document.
///
/// # Errors
/// [`LogFault`]; a log that does not bear out the receipt discloses nothing.
pub fn disclosed(curation: &Curation, source: &str) -> Result<Option<(u64, TlogProof)>, LogFault> {
    let size = check(&curation.bundle, &curation.log)?.size;
    let associate = curation.says.actors.associate.key;
    let Some((index, extra)) = extra(curation, source, &associate, size)? else { return Ok(None) };
    let (mut log, mut line) = (BufReader::new(File::open(&curation.log)?), Vec::new());
    next_line(&mut log, &mut line)?;
    let mut reader = LogReader::proving(Header::parse(&line)?, &associate, index, size)?;
    while next_line(&mut log, &mut line)? {
        reader.line(&line)?;
    }
    let hashes = reader.finish()?.proof;
    let checkpoint = curation.bundle.0.get(bundle::CHECKPOINT).cloned().unwrap_or_default();
    let checkpoint = String::from_utf8_lossy(&checkpoint).into_owned();
    Ok(Some((index, TlogProof { extra: Some(extra), index, hashes, checkpoint })))
}

fn extra(
    curation: &Curation,
    source: &str,
    associate: &PublicKey,
    size: u64,
) -> Result<Option<(u64, Vec<u8>)>, LogFault> {
    let (mut log, mut line) = (BufReader::new(File::open(&curation.log)?), Vec::new());
    next_line(&mut log, &mut line)?;
    let mut reader = LogReader::proving(Header::parse(&line)?, associate, 0, size)?;
    while next_line(&mut log, &mut line)? {
        let read = reader.line(&line)?;
        if read.transform.source() == source {
            let open: Vec<String> = read.record.fields.keys().cloned().collect();
            let open: Vec<&str> = open.iter().map(String::as_str).collect();
            let opened = reader.disclosure(&read, &open).map_err(LogError::from)?;
            return match opened {
                Some(opened) => Ok(Some((read.index, opened.to_extra().map_err(LogError::from)?))),
                None => Ok(None),
            };
        }
    }
    Ok(None)
}
