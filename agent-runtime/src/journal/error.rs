//! What can go wrong in the journal, as one closed set that a caller can map to an exit code.
//!
//! **Invariant:** SQLite's result codes and the operating system's error kinds are read here and nowhere else: a full
//! disk is always [`JournalError::Full`], a home we may not write always [`JournalError::Unwritable`].

use std::io;
use std::path::{Path, PathBuf};

use common_ground::{ModuleId, RunId};
use receipts::Digest;
use uuid::Uuid;

/// Where stored bytes do not match what was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The chain of a run breaks at the fact `seq` (changed, missing, moved, or cut off before the recorded head).
    #[error("run {run} at fact {seq}")]
    Chain {
        /// The run.
        run: RunId,
        /// The first fact that does not fit.
        seq: u64,
    },
    /// A content is missing, cannot be read back, or does not have its digest.
    #[error("content {0}")]
    Content(Digest),
    /// SQLite itself finds the file malformed, or it is no database.
    #[error("database file: {0}")]
    Database(String),
}

/// Why the journal refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// No space is left for the write; nothing of it is stored.
    #[error("no space left for {path}")]
    Full {
        /// The file or home that could not grow.
        path: PathBuf,
    },
    /// The home, or a file in it, may not be written or opened.
    #[error("cannot write {path}")]
    Unwritable {
        /// The file or home.
        path: PathBuf,
        /// What the system said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Stored bytes are not those that were written.
    #[error("damaged: {0}")]
    Damaged(Damage),
    /// The journal was written by a later program.
    #[error("journal schema is version {found}, this program knows up to {known}")]
    Newer {
        /// The version in the file.
        found: i64,
        /// The newest this program knows.
        known: i64,
    },
    /// The writer no longer holds the run: its epoch or holder is not the stored one.
    #[error("run {run} is at epoch {stored}, the writer came with {offered}")]
    Fenced {
        /// The run.
        run: RunId,
        /// The epoch the writer came with.
        offered: u64,
        /// The epoch on record.
        stored: u64,
    },
    /// A fact of an attempt came with an epoch lower than one already seen for that attempt.
    #[error("attempt {attempt} of module {module} is at epoch {stored}, the fact came with {offered}")]
    AttemptFenced {
        /// The module.
        module: ModuleId,
        /// The attempt.
        attempt: u32,
        /// The epoch the fact came with.
        offered: u64,
        /// The highest epoch on record.
        stored: u64,
    },
    /// The batch does not follow the stored head. After an append whose outcome was unknown this means: reload.
    #[error("run {run} continues at {expected}, the batch begins at {offered}")]
    OutOfOrder {
        /// The run.
        run: RunId,
        /// The next free sequence number.
        expected: u64,
        /// The batch's first sequence number.
        offered: u64,
    },
    /// Something that may be stored once is stored already (an attempt key, a receipt, a nullifier).
    #[error("stored already: {what}")]
    Duplicate {
        /// The table and columns, in SQLite's words.
        what: String,
    },
    /// A content was handed in under a digest that is not its own.
    #[error("content does not have the digest {0}")]
    WrongDigest(Digest),
    /// Another living holder has the run.
    #[error("run {run} is held by {holder}")]
    Held {
        /// The run.
        run: RunId,
        /// Who has it.
        holder: Uuid,
    },
    /// The journal has no such run.
    #[error("no run {0}")]
    NoRun(RunId),
    /// A restore was asked for into a home that already has a journal.
    #[error("{path} already has a journal")]
    NotEmpty {
        /// The home.
        path: PathBuf,
    },
    /// Another process kept the database locked longer than the busy limit.
    #[error("the journal is busy")]
    Busy,
    /// The journal was closed.
    #[error("the journal is closed")]
    Closed,
    /// A file operation failed for another reason.
    #[error("{path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// SQLite failed for another reason.
    #[error("database")]
    Sqlite(#[source] sqlx::Error),
}

impl JournalError {
    /// Reads an operating system error on `path`.
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::NotADirectory => {
                Self::Unwritable { path, source: Box::new(source) }
            }
            _ => Self::Io { path, source },
        }
    }

    /// Reads an SQLite error on the database at `path`. Codes: <https://www.sqlite.org/rescode.html>.
    pub(crate) fn sqlite(path: &Path, source: sqlx::Error) -> Self {
        const IOERR_SHMSIZE: i64 = 10 | (19 << 8);
        let Some((code, message)) = code_of(&source) else {
            return match source {
                sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => Self::Closed,
                sqlx::Error::PoolTimedOut => Self::Busy,
                other => Self::Sqlite(other),
            };
        };
        if code == IOERR_SHMSIZE {
            return Self::Full { path: path.to_owned() };
        }
        match code & 0xff {
            5 | 6 => Self::Busy,
            13 => Self::Full { path: path.to_owned() },
            3 | 8 | 14 | 23 => Self::Unwritable { path: path.to_owned(), source: Box::new(source) },
            11 | 26 => Self::Damaged(Damage::Database(message)),
            19 => Self::Duplicate { what: message },
            _ => Self::Sqlite(source),
        }
    }
}

fn code_of(error: &sqlx::Error) -> Option<(i64, String)> {
    let database = error.as_database_error()?;
    let code = database.code()?.parse().ok()?;
    Some((code, database.message().to_owned()))
}
