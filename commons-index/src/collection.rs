//! One collection, open at one revision.
//!
//! **Invariant:** what it answers changes only through its own `ingest`, which takes it by exclusive reference; shared
//! readers stay at their revision.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use receipts::Digest;

use crate::{
    audit::{self, Audit, Auditor},
    bundle::node_of,
    changes::{self, Changes},
    corpus::CorpusRow,
    drawing,
    embed::Meaning,
    error::{IngestError, StoreError, from_io},
    ingest::{self, Caller, Ingested, Place, Stock},
    intake::{Given, Input},
    limits::Limits,
    metadata::Declared,
    scan,
    store::{self, Kept, Live, NoVectors, Postgres, PostgresVectors, Records, Revision},
    transforms,
    words::{self, Words},
};

/// A collection of a folder's documents, open at one revision.
pub struct Collection {
    home: PathBuf,
    folder: Option<PathBuf>,
    collection: String,
    pub(crate) store: PathBuf,
    node: String,
    pub(crate) limits: Limits,
    declared: Option<Declared>,
    pub(crate) records: Records,
    pub(crate) at: Option<(Revision, Words)>,
    pub(crate) meaning: Meaning,
    /// Whose it is, where that is on record.
    kept: Option<Kept>,
}

/// What an ingest leaves beside its collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CurationFiles {
    /// What was done to each document, a line each.
    pub log: PathBuf,
    /// The folder that is for its receipt.
    pub receipt: PathBuf,
}

/// The name of a folder's collection: 16 hex of a digest of its canonical path, so that the name tells no path.
pub fn collection_of(folder: &Path) -> Result<String, StoreError> {
    let canonical = canonical(folder)?;
    Ok(Digest::of(canonical.as_os_str().as_encoded_bytes()).to_string()[..16].to_owned())
}

/// The name of a folder's collection in a database, which keeps those of several nodes: 16 hex of a digest of both.
pub fn collection_in(node: &str, folder: &Path) -> Result<String, StoreError> {
    let canonical = canonical(folder)?;
    let both = [node.as_bytes(), b"\n", canonical.as_os_str().as_encoded_bytes()].concat();
    Ok(Digest::of(&both).to_string()[..16].to_owned())
}

/// A collection of the node with this verifier key.
fn kept_by(vkey: &str, collection: &str) -> Kept {
    Kept { origin: format!("{}/corpus/{collection}", node_of(vkey)), vkey: vkey.to_owned() }
}

pub(crate) fn is_name(collection: &str) -> bool {
    collection.len() == 16 && collection.bytes().all(|b| b.is_ascii_hexdigit())
}

fn canonical(folder: &Path) -> Result<PathBuf, StoreError> {
    match fs::canonicalize(folder) {
        Ok(path) if path.is_dir() => Ok(path),
        Ok(_file) => Err(StoreError::NotAFolder { path: folder.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(StoreError::NoSuchFolder { path: folder.to_owned() })
        }
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            Err(StoreError::NotAFolder { path: folder.to_owned() })
        }
        Err(error) => Err(from_io(folder, &error)),
    }
}

/// The names of all collections of a home, in order.
///
/// # Errors
/// The folder of collections cannot be read.
pub fn collections(home: &Path) -> Result<Vec<String>, StoreError> {
    let place = home.join("commons");
    let entries = match fs::read_dir(&place) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|error| from_io(&place, &error))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| from_io(&place, &error))?;
        if store::is_collection(&entry.path()) {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

impl Collection {
    /// Opens the collection of `folder` at its latest revision, creating an empty one. `node` is the log key's name, which
    /// heads the corpus origin. Reads no document.
    pub async fn open(home: &Path, folder: &Path, node: &str, limits: Limits) -> Result<Self, StoreError> {
        let canonical = canonical(folder)?;
        let collection = collection_of(&canonical)?;
        let store = home.join("commons").join(&collection);
        fs::create_dir_all(&store).map_err(|error| from_io(&store, &error))?;
        Self::at(home, Some(canonical), collection, node, limits).await
    }

    /// Opens a collection by its name, for a run whose folder may be gone. It can be searched and read, not ingested.
    pub async fn open_collection(home: &Path, collection: &str, node: &str) -> Result<Self, StoreError> {
        if !is_name(collection) || !store::is_collection(&home.join("commons").join(collection)) {
            return Err(StoreError::NoSuchCollection { home: home.to_owned(), collection: collection.to_owned() });
        }
        Self::at(home, None, collection.to_owned(), node, Limits::default()).await
    }

    /// Opens or begins the collection of `folder` that this node keeps in a database. What is drawn from it for searches lies
    /// in the home. The same folder of another node is another collection. `vkey` is the verifier key of the node's log.
    pub async fn open_in(
        server: &Postgres,
        home: &Path,
        folder: &Path,
        vkey: &str,
        limits: Limits,
    ) -> Result<Self, StoreError> {
        let canonical = canonical(folder)?;
        let collection = collection_in(node_of(vkey), &canonical)?;
        let store = server.folder(home, &collection);
        if server.known(&collection, &store).await?.is_none() {
            server.begin(&collection, &kept_by(vkey, &collection), Some(&canonical)).await?;
        }
        Self::known_in(server, home, Some(canonical), &collection, limits).await
    }

    /// Opens a collection of a database by its name, whoever keeps it. It can be searched and read, not ingested.
    pub async fn open_collection_in(server: &Postgres, home: &Path, collection: &str) -> Result<Self, StoreError> {
        Self::known_in(server, home, None, collection, Limits::default()).await
    }

    async fn known_in(
        server: &Postgres,
        home: &Path,
        folder: Option<PathBuf>,
        collection: &str,
        limits: Limits,
    ) -> Result<Self, StoreError> {
        let none = || StoreError::NoSuchCollection { home: server.at().to_owned(), collection: collection.to_owned() };
        // The name becomes a folder's.
        if !is_name(collection) {
            return Err(none());
        }
        let store = server.folder(home, collection);
        let records = server.known(collection, &store).await?.ok_or_else(none)?;
        fs::create_dir_all(&store).map_err(|error| from_io(&store, &error))?;
        let home = fs::canonicalize(home).map_err(|error| from_io(home, &error))?;
        let (collection, node) = (collection.to_owned(), records.node().to_owned());
        let records = Records::Postgres(records);
        let at = open_latest(&records, &store).await?;
        let kept = records.reading(|mut on| async move { on.kept().await }).await?;
        let (declared, meaning) = (None, Meaning::None);
        Ok(Self { home, folder, collection, store, node, limits, declared, records, at, meaning, kept })
    }

    async fn at(
        home: &Path,
        folder: Option<PathBuf>,
        collection: String,
        node: &str,
        limits: Limits,
    ) -> Result<Self, StoreError> {
        let home = fs::canonicalize(home).map_err(|error| from_io(home, &error))?;
        let store = home.join("commons").join(&collection);
        let records = Records::open(&store).await?;
        if let Some(folder) = &folder {
            // Looked at first: whoever only opens it does not wait for somebody who writes.
            if records.reading(|mut on| async move { on.folder().await }).await?.is_none() {
                let mut on = records.write().await?;
                on.keep_folder(folder).await?;
                on.commit().await?;
            }
        }
        let at = open_latest(&records, &store).await?;
        let kept = records.reading(|mut on| async move { on.kept().await }).await?;
        let meaning = Meaning::None;
        Ok(Self {
            home,
            folder,
            collection,
            store,
            node: node.to_owned(),
            limits,
            declared: None,
            records,
            at,
            meaning,
            kept,
        })
    }

    /// Opens the collection of what a caller gives under a name, creating an empty one. It has no folder; [`Self::add`]
    /// fills it.
    pub async fn open_list(home: &Path, name: &str, node: &str, limits: Limits) -> Result<Self, StoreError> {
        let collection = Digest::of(format!("list\0{name}").as_bytes()).to_string()[..16].to_owned();
        let store = home.join("commons").join(&collection);
        fs::create_dir_all(&store).map_err(|error| from_io(&store, &error))?;
        Self::at(home, None, collection, node, limits).await
    }

    /// The same in a database: the same name of another node is another collection.
    pub async fn open_list_in(
        server: &Postgres,
        home: &Path,
        name: &str,
        vkey: &str,
        limits: Limits,
    ) -> Result<Self, StoreError> {
        let of = format!("{}\nlist\0{name}", node_of(vkey));
        let collection = Digest::of(of.as_bytes()).to_string()[..16].to_owned();
        let store = server.folder(home, &collection);
        if server.known(&collection, &store).await?.is_none() {
            server.begin(&collection, &kept_by(vkey, &collection), None).await?;
        }
        Self::known_in(server, home, None, &collection, limits).await
    }

    /// Says what is to be known of all documents from the next ingest on, and how records are read. Kept with the
    /// collection: an ingest of which nothing is said goes by what was said last.
    pub fn declare(&mut self, declared: Declared) {
        self.declared = Some(declared);
    }

    /// Brings the collection up to the folder as it is now, and this index to the new revision.
    ///
    /// # Errors
    /// The folder is gone or has nothing readable, the caller's randomness or signature failed, or the store did. What was
    /// written before is kept unseen, and the next ingest goes on with it.
    pub async fn ingest(&mut self, caller: Caller<'_>) -> Result<Ingested, IngestError> {
        let Some(folder) = &self.folder else {
            return Err(IngestError::WithoutFolder { collection: self.collection.clone() });
        };
        let folder = canonical(folder)?;
        let (at, home, limit) = (folder.clone(), self.home.clone(), self.limits.file_bytes);
        let found = ingest::blocking(&folder, move || scan::scan(&at, &home, limit)).await?;
        let stock = Stock {
            files: found.candidates.len() as u64,
            bytes: found.candidates.iter().map(|candidate| candidate.bytes).sum(),
            skipped: found.skipped,
            input: Input::Files(folder.clone(), found.candidates),
        };
        self.bring(&folder, stock, caller).await
    }

    /// Adds what the caller gives, or replaces what stands under the same paths; takes nothing away.
    ///
    /// # Errors
    /// As [`Self::ingest`].
    pub async fn add(
        &mut self,
        given: Box<dyn Iterator<Item = Given> + Send>,
        caller: Caller<'_>,
    ) -> Result<Ingested, IngestError> {
        let stock = Stock { input: Input::Given(given), skipped: Vec::new(), files: 0, bytes: 0 };
        self.bring(&self.store.clone(), stock, caller).await
    }

    async fn bring(&mut self, folder: &Path, stock: Stock, mut caller: Caller<'_>) -> Result<Ingested, IngestError> {
        let (origin, declared) = (self.origin(), self.declared.take());
        let place = Place {
            folder,
            collection: &self.store,
            origin: &origin,
            limits: self.limits,
            declared: declared.as_ref(),
        };
        let ingested = ingest::run(&self.records, &place, stock, &mut caller).await?;
        self.at = open_latest(&self.records, &self.store).await?;
        self.meaning = self.meaning_now().await?;
        Ok(ingested)
    }

    /// The collection's name.
    pub fn collection(&self) -> &str {
        &self.collection
    }

    /// `<node>/corpus/<collection>`, by the node and the name of where it began.
    pub fn origin(&self) -> String {
        self.kept
            .as_ref()
            .map_or_else(|| format!("{}/corpus/{}", self.node, self.collection), |kept| kept.origin.clone())
    }

    /// Whose it is, where that is on record: of another node always, and in a database.
    pub fn kept(&self) -> Option<&Kept> {
        self.kept.as_ref()
    }

    pub(crate) fn is_of(&self, node: &str) -> bool {
        self.node == node
    }

    /// Documents and passages at this revision.
    pub fn counts(&self) -> (u64, u64) {
        self.at.as_ref().map_or((0, 0), |(revision, _words)| (revision.documents, revision.passages))
    }

    /// The signed head as the caller's signer gave it at this revision's ingest.
    pub fn checkpoint(&self) -> Option<&[u8]> {
        self.at.as_ref().map(|(revision, _words)| revision.checkpoint.as_slice())
    }

    /// The folder that the collection is of, where it is known.
    pub async fn folder(&self) -> Result<Option<String>, StoreError> {
        self.records.reading(|mut on| async move { on.folder().await }).await
    }

    /// Documents at this revision, in byte order of their paths.
    pub async fn documents(&self) -> Result<Vec<Live>, StoreError> {
        let revision = self.revision();
        self.records.reading(|mut on| async move { on.live(revision).await }).await
    }

    /// Paths of all documents at this revision that have a text: a hit shows the first of them.
    pub async fn paths(&self, text: Digest) -> Result<Vec<String>, StoreError> {
        let revision = self.revision();
        self.records.reading(|mut on| async move { on.paths(text, revision).await }).await
    }

    /// The number of the revision that is open; 0 before the first.
    fn revision(&self) -> i64 {
        self.at.as_ref().map_or(0, |(revision, _words)| revision.number)
    }

    /// All revisions, oldest first.
    pub async fn revisions(&self) -> Result<Vec<Revision>, StoreError> {
        self.records.reading(|mut on| async move { on.revisions().await }).await
    }

    /// Reckons the whole collection anew, under its signed heads.
    pub async fn audit(&self, auditor: Auditor<'_>) -> Result<Audit, StoreError> {
        audit::run(&self.records, &self.origin(), auditor).await
    }

    /// What came between two revisions: 0 is the empty collection, none the latest.
    pub async fn changes(&self, from: u64, to: Option<u64>) -> Result<Changes, StoreError> {
        changes::between(&self.records, from, to).await
    }

    /// Where this home keeps the log and the receipt of the ingest that led to a revision. Those of an ingest elsewhere are
    /// not there.
    pub fn curation_of(&self, revision: &Revision) -> CurationFiles {
        CurationFiles {
            log: transforms::log(&self.store, revision.number, &revision.root),
            receipt: transforms::receipt(&self.store, revision.number, &revision.root),
        }
    }

    /// Bytes that the collection takes on disk: records, word index.
    pub fn bytes_on_disk(&self) -> (u64, u64) {
        let size = |path: &Path| fs::metadata(path).map_or(0, |about| about.len());
        let words = self.at.iter().map(|(revision, _words)| words::folder(&self.store, revision.number));
        let files = words.filter_map(|folder| fs::read_dir(folder).ok()).flatten().filter_map(Result::ok);
        (self.records.bytes_on_disk(), files.map(|file| size(&file.path())).sum())
    }

    /// The vectors of this revision, where a database keeps them.
    pub fn vectors(&self) -> Result<PostgresVectors, NoVectors> {
        self.records.vectors(self.at.as_ref().map_or(0, |(revision, _words)| revision.number))
    }

    /// Entries of the corpus at this revision, in order.
    pub async fn corpus(&self) -> Result<Vec<CorpusRow>, StoreError> {
        let size = self.at.as_ref().map_or(0, |(revision, _words)| revision.size);
        let rows = self.records.reading(|mut on| async move { on.corpus(0, size).await }).await?;
        Ok(rows.into_iter().map(|(row, _leaf)| row).collect())
    }
}

/// The latest revision with its word index, drawn again where that is missing, damaged or of another corpus.
async fn open_latest(records: &Records, store: &Path) -> Result<Option<(Revision, Words)>, StoreError> {
    let Some(revision) = records.reading(|mut on| async move { on.latest().await }).await? else {
        return Ok(None);
    };
    if let Ok(words) = drawing::open(store, &revision).await {
        return Ok(Some((revision, words)));
    }
    // Under the lock the latest revision stands still: another program may have just ingested or repaired.
    let mut lock = records.draw().await?;
    let revision = lock.latest().await?.unwrap_or(revision);
    let words = match drawing::open(store, &revision).await {
        Ok(words) => words,
        Err(_damaged) => {
            drawing::draw(&mut lock, store, &revision, None).await?;
            drawing::open(store, &revision).await?
        }
    };
    Ok(Some((revision, words)))
}
