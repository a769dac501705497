//! What can go wrong with a collection, one enum per operation, and the one place where the codes of the databases and
//! of tantivy are told apart.

use std::{io, path::PathBuf};

use common_ground::port::index::IndexError;

use crate::scan::Skipped;

/// Why a collection's store could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder to index is not there.
    #[error("no folder {}", path.display())]
    NoSuchFolder {
        /// The folder asked for.
        path: PathBuf,
    },
    /// The path names something else than a folder.
    #[error("{} is not a folder", path.display())]
    NotAFolder {
        /// The path asked for.
        path: PathBuf,
    },
    /// No collection of that name under this home.
    #[error("no collection {collection} in {}", home.display())]
    NoSuchCollection {
        /// The home or the database looked in.
        home: PathBuf,
        /// The collection asked for.
        collection: String,
    },
    /// The collection has no revision of that number.
    #[error("{} has revisions 1 to {known}, not {number}", path.display())]
    NoSuchRevision {
        /// The file.
        path: PathBuf,
        /// The number asked for.
        number: u64,
        /// The latest.
        known: i64,
    },
    /// The store cannot be written or read at all.
    #[error("cannot use {}: {cause}", path.display())]
    Unwritable {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        cause: String,
    },
    /// The disk (or quota) is full.
    #[error("no space left for {}", path.display())]
    Full {
        /// The file or folder.
        path: PathBuf,
    },
    /// What is on disk is not what was written.
    #[error("{} is damaged: {cause}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        cause: String,
    },
    /// The store was written by a later version of this program.
    #[error("{} has schema {found}, this program knows up to {known}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// The latest this program knows.
        known: i64,
    },
    /// Another program is writing to the collection.
    #[error("{} is being written by another program", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// The database's server does not answer, or the connection to it was lost.
    #[error("no connection to {}: {cause}", path.display())]
    Unreachable {
        /// The database, without user and password.
        path: PathBuf,
        /// The system's or the server's reason.
        cause: String,
    },
}

/// Why vectors were not all made; those made stay.
#[derive(Debug, thiserror::Error)]
pub enum VectorError {
    /// The model gave none.
    #[error(transparent)]
    Embed(#[from] common_ground::port::embedder::EmbedError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why an ingest changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The index was opened by its collection's name, without a folder.
    #[error("collection {collection} was opened without its folder")]
    WithoutFolder {
        /// The collection.
        collection: String,
    },
    /// Not one document in the folder can be read; what was known before stays.
    #[error("nothing readable in {} ({} skipped)", folder.display(), skipped.len())]
    NothingReadable {
        /// The folder; of documents that the caller gave, that of the collection.
        folder: PathBuf,
        /// Every file and folder passed over, with the reason.
        skipped: Vec<Skipped>,
    },
    /// The caller's randomness failed.
    #[error("no randomness for path salts")]
    Entropy(#[source] io::Error),
    /// The caller's signer refused the corpus head.
    #[error("the corpus head was not signed")]
    Unsigned(#[source] io::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Tells a full disk and a damaged file from everything else, by the code SQLite gives.
pub(crate) fn from_sqlx(path: &std::path::Path, error: &sqlx::Error) -> StoreError {
    let path = path.to_owned();
    let cause = error.to_string();
    let code = match error {
        sqlx::Error::Database(database) => database.code().and_then(|code| code.parse::<i64>().ok()),
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => return StoreError::Damaged { path, cause },
        sqlx::Error::PoolTimedOut => return StoreError::Busy { path },
        _other => None,
    };
    // The memory that readers and writers share is a file beside the database, and finds no room on a full disk.
    const IOERR_SHMSIZE: i64 = 10 | (19 << 8);
    // Primary result codes are the low byte of extended ones: https://www.sqlite.org/rescode.html
    match code.map(|code| if code == IOERR_SHMSIZE { 13 } else { code & 0xff }) {
        Some(5 | 6) => StoreError::Busy { path },
        Some(11 | 26) => StoreError::Damaged { path, cause },
        Some(13) => StoreError::Full { path },
        Some(_) | None => StoreError::Unwritable { path, cause },
    }
}

/// The same for Postgres, by the class of its code: https://www.postgresql.org/docs/current/errcodes-appendix.html
pub(crate) fn from_postgres(path: &std::path::Path, error: &sqlx::Error) -> StoreError {
    let path = path.to_owned();
    let cause = error.to_string();
    let database = match error {
        sqlx::Error::Database(database) => database,
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => return StoreError::Damaged { path, cause },
        // A server that ends closes its connections in the middle of a message.
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) | sqlx::Error::PoolTimedOut => {
            return StoreError::Unreachable { path, cause };
        }
        _other => return StoreError::Unwritable { path, cause },
    };
    let code = database.code().unwrap_or_default().into_owned();
    let cause = database.message().to_owned();
    match (code.as_str(), code.get(..2).unwrap_or_default()) {
        ("55P03", _) => StoreError::Busy { path },
        ("53100", _) => StoreError::Full { path },
        // Ended by its administrator, by a crash, or not yet started; or too many are connected.
        ("57P01" | "57P02" | "57P03" | "53300", _) | (_, "08" | "28") => StoreError::Unreachable { path, cause },
        (_, "XX") => StoreError::Damaged { path, cause },
        (_code, _class) => StoreError::Unwritable { path, cause },
    }
}

/// The kind of an error of the system's, also of one that others were wrapped around.
fn kind(error: &io::Error) -> io::ErrorKind {
    let mut cause = error.get_ref().map(|inner| inner as &(dyn std::error::Error + 'static));
    while let Some(one) = cause {
        let shared = one.downcast_ref::<std::sync::Arc<io::Error>>().map(AsRef::as_ref);
        if let Some(inner) = one.downcast_ref::<io::Error>().or(shared) {
            return kind(inner);
        }
        cause = one.source();
    }
    // Dictionaries of tantivy keep their cause to themselves; its number stands in the text.
    let text = error.to_string();
    let number = text.rsplit_once("(os error ").and_then(|(_, rest)| rest.strip_suffix(')')?.parse().ok());
    number.map_or(error.kind(), |number| io::Error::from_raw_os_error(number).kind())
}

/// The same for plain files.
pub(crate) fn from_io(path: &std::path::Path, error: &io::Error) -> StoreError {
    match kind(error) {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full { path: path.to_owned() },
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            StoreError::Damaged { path: path.to_owned(), cause: error.to_string() }
        }
        _other => StoreError::Unwritable { path: path.to_owned(), cause: error.to_string() },
    }
}

/// The same for tantivy, whose directories wrap `io::Error` in several ways.
pub(crate) fn from_tantivy(path: &std::path::Path, error: &tantivy::TantivyError) -> StoreError {
    use tantivy::directory::error::{LockError, OpenDirectoryError, OpenReadError, OpenWriteError};
    match error {
        tantivy::TantivyError::IoError(cause)
        | tantivy::TantivyError::OpenDirectoryError(OpenDirectoryError::IoError { io_error: cause, .. })
        | tantivy::TantivyError::OpenReadError(OpenReadError::IoError { io_error: cause, .. })
        | tantivy::TantivyError::OpenWriteError(OpenWriteError::IoError { io_error: cause, .. })
        | tantivy::TantivyError::LockFailure(LockError::IoError(cause), _) => from_io(path, cause),
        tantivy::TantivyError::DataCorruption(_) | tantivy::TantivyError::IncompatibleIndex(_) => {
            StoreError::Damaged { path: path.to_owned(), cause: error.to_string() }
        }
        _other => StoreError::Unwritable { path: path.to_owned(), cause: error.to_string() },
    }
}

/// The port's words for a failed store.
pub(crate) fn to_port(error: &StoreError) -> IndexError {
    match error {
        StoreError::Damaged { .. } | StoreError::Newer { .. } => IndexError::Damaged { what: error.to_string() },
        StoreError::NoSuchFolder { .. }
        | StoreError::NotAFolder { .. }
        | StoreError::NoSuchCollection { .. }
        | StoreError::NoSuchRevision { .. }
        | StoreError::Unwritable { .. }
        | StoreError::Full { .. }
        | StoreError::Busy { .. }
        | StoreError::Unreachable { .. } => IndexError::Unavailable { what: error.to_string() },
    }
}

/// An error that may be the store's.
pub(crate) trait OfStore: From<StoreError> {
    /// The store's error, if it is one.
    fn of_store(&self) -> Option<&StoreError>;
}

impl OfStore for StoreError {
    fn of_store(&self) -> Option<&StoreError> {
        Some(self)
    }
}
