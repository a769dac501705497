//! The home folder: where everything one person's **ii** keeps lives, and the lock files that show who is alive.
//!
//! Which folder it is (`$II_HOME`, XDG) is the caller's to resolve; this file gets a path and knows the layout.
//!
//! **Invariant:** naming a home touches no disk; only [`Home::create`] makes folders, readable by their owner alone.
//! **Invariant:** a [`HolderLock`] is the kernel's: it is gone within the death of its process, whatever kills it.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use uuid::Uuid;

/// A home folder by its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// The home at `root`, whether or not it exists yet.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Private keys, one file each.
    pub fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }

    /// The journal's database file.
    pub fn journal(&self) -> PathBuf {
        self.root.join("journal.sqlite")
    }

    /// Contents too large for the database, by digest.
    pub fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    /// The commons index.
    pub fn commons(&self) -> PathBuf {
        self.root.join("commons")
    }

    /// Model weights.
    pub fn models(&self) -> PathBuf {
        self.root.join("models")
    }

    /// The person's own tools, a folder each.
    pub fn tools(&self) -> PathBuf {
        self.root.join("tools")
    }

    /// Their code as the engine compiled it, for this program alone to read and write.
    pub fn compiled(&self) -> PathBuf {
        self.root.join("compiled")
    }

    /// What the person approved of each MCP server.
    pub fn servers(&self) -> PathBuf {
        self.root.join("mcp")
    }

    /// The newest lease under which a tool of each module was called.
    pub fn fence(&self) -> PathBuf {
        self.root.join("fence")
    }

    /// Charters, and what guardians found and asked for.
    pub fn guardian(&self) -> PathBuf {
        self.root.join("guardian")
    }

    /// One lock file per living holder.
    pub fn locks(&self) -> PathBuf {
        self.root.join("locks")
    }

    /// Held by the one program that hands in receipts.
    pub fn publisher_lock(&self) -> PathBuf {
        self.locks().join("publisher")
    }

    /// Becomes the publisher for as long as the file is open. The file stays: removed, it could be locked twice.
    ///
    /// # Errors
    /// `WouldBlock` when another living process or handle is; otherwise the operating system's error.
    pub fn hold_publisher(&self) -> io::Result<File> {
        let path = self.publisher_lock();
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?;
        file.try_lock()?;
        Ok(file)
    }

    /// Makes the home and its folders, mode 0700, where they are missing.
    ///
    /// # Errors
    /// The path that could not be made and the reason.
    pub fn create(&self) -> Result<(), (PathBuf, io::Error)> {
        for folder in [self.root.clone(), self.keys(), self.blobs(), self.commons(), self.models(), self.locks()] {
            if folder.is_dir() {
                continue;
            }
            DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(|error| (folder, error))?;
        }
        Ok(())
    }

    fn lock_file(&self, holder: Uuid) -> PathBuf {
        self.locks().join(holder.hyphenated().to_string())
    }

    /// Takes `holder`'s lock for as long as the returned value lives.
    ///
    /// # Errors
    /// `WouldBlock` when another living process or handle is this holder; otherwise the operating system's error.
    pub fn hold(&self, holder: Uuid) -> io::Result<HolderLock> {
        let path = self.lock_file(holder);
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path)?;
        file.try_lock()?;
        Ok(HolderLock { _file: file, path })
    }

    /// Whether `holder` is a living process. A stale lock file of a dead one is removed in passing.
    ///
    /// Holder ids are made once and never used again, so a file removed here is never somebody else's.
    ///
    /// # Errors
    /// The operating system's error when the lock file can be neither tested nor ruled out.
    pub fn is_alive(&self, holder: Uuid) -> io::Result<bool> {
        let path = self.lock_file(holder);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        match file.try_lock() {
            Ok(()) => remove_if_there(&path).map(|()| false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Proof of life of one holder: an exclusive lock on its file, released by the kernel when the process ends.
#[derive(Debug)]
pub struct HolderLock {
    _file: File,
    path: PathBuf,
}

impl Drop for HolderLock {
    fn drop(&mut self) {
        // A file that cannot be removed is no harm: unlocked means dead, and the next look removes it.
        if let Err(error) = remove_if_there(&self.path) {
            tracing::debug!(%error, "lock file left behind");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Home;
    use std::os::unix::fs::PermissionsExt;
    use uuid::Uuid;

    #[test]
    fn naming_a_home_makes_nothing_and_creating_it_is_private() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let home = Home::at(dir.path().join("deep/home"));
        assert!(!home.root().exists());
        home.create().expect("created");
        home.create().expect("created twice");
        for folder in [home.root().to_owned(), home.keys(), home.blobs(), home.commons(), home.models(), home.locks()] {
            let mode = std::fs::metadata(&folder).expect("exists").permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{}", folder.display());
        }
        assert!(!home.journal().exists());
    }

    #[test]
    fn a_holder_lives_as_long_as_its_lock() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let home = Home::at(dir.path());
        home.create().expect("created");
        let holder = Uuid::from_u128(7);
        assert!(!home.is_alive(holder).expect("tested"));
        let lock = home.hold(holder).expect("held");
        assert!(home.is_alive(holder).expect("tested"));
        assert!(home.hold(holder).is_err());
        drop(lock);
        assert!(!home.is_alive(holder).expect("tested"));
        std::fs::write(home.locks().join(holder.to_string()), b"").expect("stale file");
        assert!(!home.is_alive(holder).expect("tested"));
        assert!(!home.locks().join(holder.to_string()).exists(), "the stale file is removed");
    }
}
