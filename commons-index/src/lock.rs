//! One ingest of a collection at a time in a home, and one program that draws its vectors: locks on files beside what is
//! written.
//!
//! **Invariant:** the system gives the lock back when its holder ends, however it ends.
//! **Invariant:** who has a lock has that of the folder that is there: one taken away meanwhile, and perhaps made anew, is
//! another.

use std::{
    fs::{self, File, Metadata, OpenOptions, TryLockError},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::error::{StoreError, from_io};

/// How long the second ingest waits before it is told `Busy`: longer than a few files take on a machine with much to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
const TURN: Duration = Duration::from_millis(50);

/// Held as long as it lives.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of the one ingest of a collection's folder.
    pub(crate) async fn of_ingest(collection: &Path) -> Result<Self, StoreError> {
        Self::take(collection.join("ingest.lock"), Some(PATIENCE)).await
    }

    /// Takes the lock of whoever draws vectors into a collection's folder. Waits for as long as another draws: what that one
    /// makes is what this one wants.
    pub(crate) async fn of_vectors(collection: &Path) -> Result<Self, StoreError> {
        Self::take(collection.join("vectors.lock"), None).await
    }

    async fn take(path: PathBuf, patience: Option<Duration>) -> Result<Self, StoreError> {
        // Whoever held the lock may have taken the folder away with it.
        let open = || loop {
            let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
            match (file, path.parent()) {
                (Ok(file), _) => return Ok(file),
                (Err(error), Some(folder)) if error.kind() == io::ErrorKind::NotFound => {
                    fs::create_dir_all(folder).map_err(|error| from_io(folder, &error))?;
                }
                (Err(error), _) => return Err(from_io(&path, &error)),
            }
        };
        let mut file = open()?;
        let began = Instant::now();
        let waits = || patience.is_none_or(|patience| began.elapsed() < patience);
        loop {
            match file.try_lock() {
                Ok(()) if is_at(&file, &path) => return Ok(Self { _file: file }),
                Ok(()) => file = open()?,
                Err(TryLockError::WouldBlock) if waits() => tokio::time::sleep(TURN).await,
                Err(TryLockError::WouldBlock) => return Err(StoreError::Busy { path }),
                Err(TryLockError::Error(error)) => return Err(from_io(&path, &error)),
            }
        }
    }
}

/// Whether this is the file that a path leads to.
fn is_at(file: &File, path: &Path) -> bool {
    let same = |(one, other): (Metadata, Metadata)| (one.dev(), one.ino()) == (other.dev(), other.ino());
    file.metadata().and_then(|one| Ok((one, fs::metadata(path)?))).is_ok_and(same)
}
