//! A home, a folder of real files, and a caller whose randomness is a counter, for the tests of this crate.

#![allow(dead_code, reason = "each test program uses a part")]

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use common_ground::port::index::{Hit, Index, Search};
use commons_index::{Caller, Collection, IngestError, Ingested, Limits};
use tempfile::TempDir;

pub struct Commons {
    pub root: TempDir,
    pub home: PathBuf,
    pub folder: PathBuf,
}

impl Commons {
    pub fn new(files: &[(&str, &str)]) -> Self {
        let root = tempfile::tempdir().expect("a temporary folder");
        let (home, folder) = (root.path().join("home"), root.path().join("folder"));
        fs::create_dir_all(&home).expect("home");
        fs::create_dir_all(&folder).expect("folder");
        let commons = Self { root, home, folder };
        for (path, content) in files {
            commons.write(path, content.as_bytes());
        }
        commons
    }

    pub fn write(&self, path: &str, content: &[u8]) {
        let path = self.folder.join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        fs::write(path, content).expect("a file");
    }

    pub async fn open(&self) -> Collection {
        Collection::open(&self.home, &self.folder, "ii-0123456789abcdef", Limits::default()).await.expect("opens")
    }

    /// Opened and ingested.
    pub async fn index(&self) -> Collection {
        let mut index = self.open().await;
        ingest(&mut index).await.expect("ingests");
        index
    }

    pub fn store(&self, index: &Collection) -> PathBuf {
        self.home.join("commons").join(index.collection())
    }
}

/// Ingests with salts 1, 2, 3, … and a signature that is the body itself.
pub async fn ingest(index: &mut Collection) -> Result<Ingested, IngestError> {
    let mut next = 0;
    let mut entropy = move |salt: &mut [u8]| -> io::Result<()> {
        next = u8::wrapping_add(next, 1);
        salt.fill(next);
        Ok(())
    };
    let mut sign = |body: &[u8]| Ok(body.to_vec());
    let mut progress = |_progress| {};
    index.ingest(Caller { entropy: &mut entropy, sign: &mut sign, progress: &mut progress }).await
}

pub async fn search(index: &dyn Index, query: &str) -> Vec<Hit> {
    let search = Search { query: query.to_owned(), limit: 10 };
    index.search(&search).await.expect("searches")
}

pub async fn paths(index: &dyn Index, query: &str) -> Vec<String> {
    search(index, query).await.into_iter().map(|hit| hit.passage.path).collect()
}

pub fn remove(path: &Path) {
    fs::remove_file(path).expect("removed");
}
