//! One ingest of a collection at a time in a home, also of two programs: a lock on a file beside its word index.
//!
//! **Invariant:** the system gives the lock back when its holder ends, however it ends.

use std::{
    fs::{File, OpenOptions, TryLockError},
    path::Path,
    time::{Duration, Instant},
};

use crate::error::{StoreError, from_io};

/// How long the second waits before it is told `Busy`.
const PATIENCE: Duration = Duration::from_secs(5);
const TURN: Duration = Duration::from_millis(50);

/// Held as long as it lives.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of a collection's folder.
    pub(crate) async fn take(collection: &Path) -> Result<Self, StoreError> {
        let path = collection.join("ingest.lock");
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(|error| from_io(&path, &error))?;
        let began = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(TryLockError::WouldBlock) if began.elapsed() < PATIENCE => tokio::time::sleep(TURN).await,
                Err(TryLockError::WouldBlock) => return Err(StoreError::Busy { path }),
                Err(TryLockError::Error(error)) => return Err(from_io(&path, &error)),
            }
        }
    }
}
