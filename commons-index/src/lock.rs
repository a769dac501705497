//! One ingest of a collection at a time in a home, and one program that draws its vectors: locks on files beside what is
//! written.
//!
//! **Invariant:** the system gives the lock back when its holder ends, however it ends.

use std::{
    fs::{File, OpenOptions, TryLockError},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::error::{StoreError, from_io};

/// How long the second ingest waits before it is told `Busy`.
const PATIENCE: Duration = Duration::from_secs(5);
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
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(|error| from_io(&path, &error))?;
        let began = Instant::now();
        let waits = || patience.is_none_or(|patience| began.elapsed() < patience);
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(TryLockError::WouldBlock) if waits() => tokio::time::sleep(TURN).await,
                Err(TryLockError::WouldBlock) => return Err(StoreError::Busy { path }),
                Err(TryLockError::Error(error)) => return Err(from_io(&path, &error)),
            }
        }
    }
}
