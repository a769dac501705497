//! The fence: a call under a lease that somebody else has taken over since is refused, whatever its caller believes.
//!
//! **Invariant:** once a call under an epoch was let through, none under an older epoch of that module is, in any process
//! that shares the folder.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
};

use common_ground::{
    id::{Epoch, RunId},
    port::tool::StepKey,
};

/// The highest epochs seen, one small file a module.
#[derive(Debug, Clone)]
pub(crate) struct Fence {
    folder: PathBuf,
}

/// Forgets the leases of a run that is deleted, in the folder of a fence.
///
/// # Errors
/// The folder cannot be read, or a file in it not be removed.
pub fn forget(folder: &Path, run: RunId) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    let of_run = format!("{run}-");
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(&of_run) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Why a call is not let through.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fenced {
    /// A newer lease has called.
    #[error("lease epoch {0:?} is stale: a call was made under {1:?}")]
    Stale(Epoch, Epoch),
    /// The fence cannot be read or written, so nobody can tell.
    #[error("the fence at {0} cannot be read or written: {1}")]
    Broken(PathBuf, #[source] io::Error),
}

impl Fence {
    /// The fence in a folder, which is made when it is first needed.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Lets a call through, or refuses it. Touches a file; not for long on an async thread, but short enough.
    pub fn pass(&self, key: StepKey) -> Result<(), Fenced> {
        let path = self.folder.join(format!("{}-{}", key.run, key.module));
        let Epoch(mine) = key.epoch;
        let highest = self.raise(&path, mine).map_err(|error| Fenced::Broken(path, error))?;
        if highest > mine { Err(Fenced::Stale(key.epoch, Epoch(highest))) } else { Ok(()) }
    }

    /// The highest epoch, this one counted.
    fn raise(&self, path: &Path, mine: u64) -> io::Result<u64> {
        let mut file = self.open(path)?;
        // Released with the file. Every holder reads, writes eight bytes and leaves.
        file.lock()?;
        let mut bytes = [0; 8];
        let known = match file.read_exact(&mut bytes) {
            Ok(()) => u64::from_be_bytes(bytes),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
            Err(error) => return Err(error),
        };
        if mine > known {
            file.rewind()?;
            file.write_all(&mine.to_be_bytes())?;
        }
        Ok(known.max(mine))
    }

    /// The file of a module. Its folder is made only where it is missing: to try each time costs more than all the rest.
    fn open(&self, path: &Path) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        match options.open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(&self.folder)?;
                options.open(path)
            }
            opened => opened,
        }
    }
}

#[cfg(test)]
mod tests {
    use common_ground::id::{AttemptNumber, Epoch, ModuleId, RunId, StepIndex};

    use super::{Fence, Fenced, StepKey};

    #[test]
    fn a_stale_epoch_does_not_pass_in_any_process() {
        let folder = tempfile::tempdir().expect("a folder");
        let key = |epoch| StepKey {
            run: RunId(uuid::Uuid::nil()),
            module: ModuleId(uuid::Uuid::nil()),
            attempt: AttemptNumber(1),
            epoch: Epoch(epoch),
            step: StepIndex(0),
        };
        // The folder is not there yet.
        let place = folder.path().join("in/fence");
        let (one, other) = (Fence::new(place.clone()), Fence::new(place));
        for (fence, epoch, passes) in
            [(&one, 1, true), (&one, 1, true), (&other, 3, true), (&one, 2, false), (&one, 3, true)]
        {
            match fence.pass(key(epoch)) {
                Ok(()) => assert!(passes, "{epoch}"),
                Err(Fenced::Stale(..)) => assert!(!passes, "{epoch}"),
                Err(broken @ Fenced::Broken(..)) => panic!("{broken}"),
            }
        }
    }
}
