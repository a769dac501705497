//! What guardians keep in the home: charters, the places up to which they have looked, what they found.
//!
//! **Invariant:** what was found is on disk before the place behind it is: a watch that dies looks again, and forgets nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, BufRead, BufReader, ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use agent_runtime::{driver::Readers, home::Home};
use common_ground::{RunId, chain::Head, guardian::Charter};
use guardian::{Concern, advice::Advice, charter, order};
use receipts::Digest;
use serde::{Deserialize, Serialize};

use crate::exit::{Exit, Failure};

/// How this program reads charters and orders.
pub fn readers() -> Readers {
    Readers { charter: charter::open, order: order::open }
}

pub(crate) fn cannot(path: &Path) -> impl Fn(io::Error) -> Failure {
    let path = path.display().to_string();
    move |error| Failure::new(Exit::Storage, format!("{path}: {error}"), "make the home readable and writable")
}

/// A charter of the home whose signatures verify.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Its file's name without the ending.
    pub name: String,
    /// Its id.
    pub id: Digest,
    /// What it says.
    pub terms: Charter,
    /// The file.
    pub file: String,
}

fn charters_folder(home: &Home) -> PathBuf {
    home.guardian().join("charters")
}

/// Files of the folder of charters, by name, with their texts; none where there is no folder.
fn files(home: &Home) -> Result<Vec<(PathBuf, String)>, Failure> {
    let folder = charters_folder(home);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(cannot(&folder)(error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(cannot(&folder))?.path();
        if path.extension().is_some_and(|ending| ending == "json") {
            let text = fs::read_to_string(&path).map_err(cannot(&path))?;
            files.push((path, text));
        }
    }
    files.sort();
    Ok(files)
}

/// Every charter file as it is: the core refuses what is no good, on record.
///
/// # Errors
/// Files that cannot be read.
pub fn charter_files(home: &Home) -> Result<Vec<String>, Failure> {
    Ok(files(home)?.into_iter().map(|(_, text)| text).collect())
}

/// The charters whose signatures verify, and the names of files that are none.
///
/// # Errors
/// Files that cannot be read.
pub fn charters(home: &Home) -> Result<(Vec<Kept>, Vec<String>), Failure> {
    let (mut kept, mut bad) = (Vec::new(), Vec::new());
    for (path, file) in files(home)? {
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let presented = charter::open(file.as_bytes());
        match presented.said {
            Ok(signed) => kept.push(Kept { name, id: presented.id, terms: signed.terms, file }),
            Err(_defect) => bad.push(name),
        }
    }
    Ok((kept, bad))
}

/// Keeps a charter under a name, in place of any other of that name.
///
/// # Errors
/// A file that cannot be written.
pub fn keep_charter(home: &Home, name: &str, bytes: &[u8]) -> Result<PathBuf, Failure> {
    let folder = charters_folder(home);
    make(&folder)?;
    let path = folder.join(format!("{name}.json"));
    replace(&path, bytes)?;
    Ok(path)
}

fn make(folder: &Path) -> Result<(), Failure> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(cannot(folder))
}

/// Writes a file whole or not at all.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let next = path.with_extension("new");
    let write = || {
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&next)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&next, path)
    };
    write().map_err(cannot(path))
}

/// A place as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The run.
    pub run: RunId,
    /// Its head there.
    pub head: Head,
}

/// The notebook of the one watch of a home.
#[derive(Debug)]
pub struct Notebook {
    folder: PathBuf,
    concerns: File,
    known: BTreeSet<Digest>,
    places: BTreeMap<RunId, Head>,
    _lock: File,
}

impl Notebook {
    /// Opens it; there is one writer.
    ///
    /// # Errors
    /// Another watch has it, or files that cannot be read or written.
    pub fn open(home: &Home) -> Result<Self, Failure> {
        let folder = home.guardian();
        make(&folder)?;
        let path = folder.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(cannot(&path))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => {
                Failure::new(Exit::Usage, "another `ii guardian watch` looks after this home", "end it first")
            }
            TryLockError::Error(error) => cannot(&path)(error),
        })?;
        let known = concerns(home)?.into_iter().map(|concern| concern.id).collect();
        let path = folder.join("concerns.jsonl");
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path).map_err(cannot(&path))?;
        end_line(&path, &file)?;
        Ok(Self { places: places(home)?, folder, concerns: file, known, _lock: lock })
    }

    /// The places reached.
    pub fn places(&self) -> &BTreeMap<RunId, Head> {
        &self.places
    }

    /// Makes what was found durable; gives the concerns that are new. The places behind it are for [`Notebook::remember`], later.
    ///
    /// # Errors
    /// Files that cannot be written.
    pub fn keep(&mut self, found: Vec<Concern>) -> Result<Vec<Concern>, Failure> {
        let new: Vec<Concern> = found.into_iter().filter(|concern| self.known.insert(concern.id)).collect();
        let path = self.folder.join("concerns.jsonl");
        if !new.is_empty() {
            let mut text = String::new();
            for concern in &new {
                text.push_str(&serde_json::to_string(concern).map_err(Failure::internal)?);
                text.push('\n');
            }
            self.concerns.write_all(text.as_bytes()).and_then(|()| self.concerns.sync_data()).map_err(cannot(&path))?;
        }
        Ok(new)
    }

    /// Makes places durable, once what was found before them is.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn remember(&mut self, places: &[Place]) -> Result<(), Failure> {
        if places.is_empty() {
            return Ok(());
        }
        self.places.extend(places.iter().map(|place| (place.run, place.head)));
        let all: Vec<Place> = self.places.iter().map(|(run, head)| Place { run: *run, head: *head }).collect();
        replace(&self.folder.join("places.json"), &serde_json::to_vec(&all).map_err(Failure::internal)?)
    }
}

/// A watch that died in the middle of a line left half of it: the next line begins on its own.
fn end_line(path: &Path, file: &File) -> Result<(), Failure> {
    let text = fs::read(path).map_err(cannot(path))?;
    if text.last().is_some_and(|last| *last != b'\n') {
        let mut file = file;
        file.write_all(b"\n").map_err(cannot(path))?;
    }
    Ok(())
}

/// The places that the last watch reached.
///
/// # Errors
/// A file that cannot be read or is none.
pub fn places(home: &Home) -> Result<BTreeMap<RunId, Head>, Failure> {
    let path = home.guardian().join("places.json");
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(cannot(&path)(error)),
    };
    let places: Vec<Place> = serde_json::from_slice(&bytes).map_err(|error| {
        Failure::new(Exit::Storage, format!("{}: {error}", path.display()), "delete it: everything is looked at anew")
    })?;
    Ok(places.into_iter().map(|place| (place.run, place.head)).collect())
}

/// What a model said on a concern.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Advised {
    concern: Digest,
    advice: Advice,
}

/// Where advice is kept: by concern, the latest of a model last.
fn advice_file(home: &Home) -> PathBuf {
    home.guardian().join("advice.jsonl")
}

/// What the model `by` said on concerns before.
///
/// # Errors
/// A file that cannot be read.
pub fn advice(home: &Home, by: &str) -> Result<BTreeMap<Digest, Advice>, Failure> {
    let said = lines::<Advised>(&advice_file(home))?.into_iter().filter(|one| one.advice.by == by);
    Ok(said.map(|one| (one.concern, one.advice)).collect())
}

/// Keeps what a model said on a concern, so that it is not asked again.
///
/// # Errors
/// A file that cannot be written.
pub fn keep_advice(home: &Home, concern: Digest, advice: &Advice) -> Result<(), Failure> {
    make(&home.guardian())?;
    let path = advice_file(home);
    let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path).map_err(cannot(&path))?;
    end_line(&path, &file)?;
    let line = serde_json::to_string(&Advised { concern, advice: advice.clone() }).map_err(Failure::internal)?;
    file.write_all(format!("{line}\n").as_bytes()).and_then(|()| file.sync_data()).map_err(cannot(&path))
}

/// What was found so far, oldest first. Half a line, which a watch that died may leave, is none.
///
/// # Errors
/// A file that cannot be read.
pub fn concerns(home: &Home) -> Result<Vec<Concern>, Failure> {
    lines(&home.guardian().join("concerns.jsonl"))
}

/// The lines of a file that are whole; none where there is no file.
fn lines<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Vec<T>, Failure> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(cannot(path)(error)),
    };
    let mut read = Vec::new();
    for line in BufReader::new(file).lines() {
        if let Ok(one) = serde_json::from_str(&line.map_err(cannot(path))?) {
            read.push(one);
        }
    }
    Ok(read)
}
