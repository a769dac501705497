//! The files a guest changes: what each held is kept before it is opened for writing, and what it holds when the call is over.
//!
//! **Invariant:** a file too large to be kept is not opened for writing.

use std::{
    collections::BTreeMap,
    io::{self, Read},
    sync::Arc,
};

use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use common_ground::record::Change;

use crate::files::{LARGEST, NONBLOCK, change};

/// Most bytes that are kept of all files together.
const MOST_KEPT: u64 = 64 << 20;
/// Most that is read of a file afterwards.
const MOST_AFTER: u64 = 256 << 20;

/// Files as they were.
#[derive(Debug, Default)]
pub(super) struct Changes {
    files: BTreeMap<String, Before>,
    kept: u64,
}

#[derive(Debug)]
struct Before {
    folder: Arc<std::fs::File>,
    path: String,
    bytes: Option<Vec<u8>>,
}

impl Changes {
    /// Whether a file is kept already.
    pub fn knows(&self, shown: &str) -> bool {
        self.files.contains_key(shown)
    }

    /// Keeps what a file holds now. False where it is too large.
    pub async fn keep(&mut self, folder: Arc<std::fs::File>, path: String, shown: String) -> io::Result<bool> {
        let most = LARGEST.min(MOST_KEPT - self.kept);
        let (from, name) = (Arc::clone(&folder), path.clone());
        let bytes =
            tokio::task::spawn_blocking(move || bytes(&from, &name, most)).await.map_err(io::Error::other)??;
        let length = bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
        if length > most {
            return Ok(false);
        }
        self.kept += length;
        self.files.insert(shown, Before { folder, path, bytes });
        Ok(true)
    }

    /// What has become of them.
    pub async fn after(self) -> Vec<(Change, Option<Vec<u8>>)> {
        if self.files.is_empty() {
            return Vec::new();
        }
        let compare = move || {
            let changed = self.files.into_iter().filter_map(|(shown, Before { folder, path, bytes: before })| {
                // What cannot be read any more is gone, as far as anybody can tell.
                let after = bytes(&folder, &path, MOST_AFTER).unwrap_or(None);
                (before != after).then(|| (change(&shown, before.as_deref(), after.as_deref()), before))
            });
            changed.collect()
        };
        tokio::task::spawn_blocking(compare).await.unwrap_or_default()
    }
}

/// At most one byte more than `most` of a plain file; none where there is no file.
fn bytes(folder: &std::fs::File, path: &str, most: u64) -> io::Result<Option<Vec<u8>>> {
    let folder = Dir::from_std_file(folder.try_clone()?);
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(NONBLOCK);
    let file = match folder.open_with(path, &options) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if !file.metadata()?.is_file() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}
