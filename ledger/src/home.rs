//! The folder of a ledger or a witness, and the lock that gives it to one program at a time.

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// It cannot be made or written.
    #[error("cannot use folder {path}: {source}")]
    Io {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another program has it.
    #[error("folder {path} is in use by another ii-ledger; stop that one or name another folder with --home")]
    InUse {
        /// The folder.
        path: PathBuf,
    },
}

/// A folder that is ours as long as this value lives.
#[derive(Debug)]
pub struct Home {
    path: PathBuf,
    /// The lock goes with the file when the program ends, however it ends.
    _lock: File,
}

impl Home {
    /// Takes a folder, which is made for its owner alone when there is none.
    ///
    /// # Errors
    /// [`HomeError`].
    pub fn take(path: &Path) -> Result<Self, HomeError> {
        let io_error = |source| HomeError::Io { path: path.to_owned(), source };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io_error)?;
        let options = File::options().write(true).create(true).truncate(false).mode(0o600).open(path.join("lock"));
        let lock = options.map_err(io_error)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(HomeError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => Err(io_error(source)),
        }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::{Home, HomeError};

    #[test]
    fn a_folder_has_one_user_at_a_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("deep/er");
        let home = Home::take(&path).expect("taken");
        assert!(matches!(Home::take(&path), Err(HomeError::InUse { .. })));
        drop(home);
        assert!(Home::take(&path).is_ok());
    }
}
