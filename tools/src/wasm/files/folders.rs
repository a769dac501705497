//! What a guest has open, by the numbers it knows it by.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Weak},
};

use common_ground::{
    grant::{Access, Limits},
    record::{Change, Limit},
};
use wasmtime_wasi::{FsPerms, OpenMode, filesystem::Dir};

use super::{changes::Changes, quota::Quota};
use crate::wasm::{limits::Passed, places::Open};

/// Listings at once: each holds all names of a folder.
const MOST_LISTINGS: usize = 16;

/// The folders of a guest and what it has done with them.
pub(in crate::wasm) struct Folders {
    places: Vec<(Dir, Folder)>,
    known: BTreeMap<u32, Folder>,
    /// A stream keeps its file open after the guest has let go of the descriptor: only the file itself knows.
    files: Vec<Weak<std::fs::File>>,
    listings: BTreeSet<u32>,
    most_files: usize,
    pub(super) quota: Arc<Quota>,
    pub(super) changes: Changes,
}

/// A folder that is open.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    /// Where it is.
    pub path: String,
    /// What may be done in it.
    pub access: Access,
    /// The only names there are in it.
    pub names: Option<BTreeMap<String, Access>>,
}

impl Folder {
    /// A path in it, as people read it.
    pub fn shown(&self, path: &str) -> String {
        let mut parts: Vec<&str> = self.path.split('/').filter(|part| !part.is_empty()).collect();
        for part in path.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        format!("/{}", parts.join("/"))
    }

    /// Whether a path in it may be used so; links and `..` are for whoever opens it.
    pub fn allows(&self, path: &str, access: Access) -> bool {
        let had = match &self.names {
            None => Some(self.access),
            Some(names) => names.get(path).copied(),
        };
        had.is_some_and(|had| had >= access)
    }
}

impl Folders {
    /// The folders a guest starts with.
    pub fn new(open: Vec<Open>, limits: Limits) -> Self {
        let places = open.into_iter().map(|Open { folder, path, access, names }| {
            let (perms, mode) = match access {
                Access::Read => (FsPerms::ReadOnly, OpenMode::READ),
                Access::Write => (FsPerms::ReadWrite, OpenMode::READ | OpenMode::WRITE),
            };
            (Dir::new(folder, perms, mode, false), Folder { path, access, names })
        });
        Self {
            places: places.collect(),
            known: BTreeMap::new(),
            files: Vec::new(),
            listings: BTreeSet::new(),
            most_files: usize::try_from(limits.open_files).unwrap_or(usize::MAX),
            quota: Arc::new(Quota::new(limits)),
            changes: Changes::default(),
        }
    }

    /// The files that were changed, and what they held.
    pub async fn changes(self) -> Vec<(Change, Option<Vec<u8>>)> {
        self.changes.after().await
    }

    pub(super) fn places(&self) -> Vec<(Dir, Folder)> {
        self.places.clone()
    }

    /// The folder behind a number; none behind a file's.
    pub(super) fn folder(&self, number: u32) -> Option<&Folder> {
        self.known.get(&number)
    }

    pub(super) fn opened_folder(&mut self, number: u32, folder: Folder) {
        self.known.insert(number, folder);
    }

    pub(super) fn opened(&mut self, file: &Arc<std::fs::File>) {
        self.files.push(Arc::downgrade(file));
    }

    pub(super) fn closed(&mut self, number: u32) {
        self.known.remove(&number);
    }

    /// Whether one more may be opened.
    pub(super) fn room(&mut self) -> Result<(), Passed> {
        if self.files.len() >= self.most_files {
            self.files.retain(|file| file.strong_count() > 0);
        }
        if self.files.len() >= self.most_files { Err(Passed(Limit::OpenFiles)) } else { Ok(()) }
    }

    pub(super) fn listing(&mut self, number: u32) {
        self.listings.insert(number);
    }

    pub(super) fn listed(&mut self, number: u32) {
        self.listings.remove(&number);
    }

    pub(super) fn room_to_list(&self) -> Result<(), Passed> {
        if self.listings.len() >= MOST_LISTINGS { Err(Passed(Limit::OpenFiles)) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Access, BTreeMap, Folder};

    #[test]
    fn names_and_access() {
        let open = Folder { path: "/a".to_owned(), access: Access::Read, names: None };
        assert!(open.allows("x/y", Access::Read) && !open.allows("x", Access::Write));
        let names = BTreeMap::from([("r".to_owned(), Access::Read), ("w".to_owned(), Access::Write)]);
        let named = Folder { path: "/a".to_owned(), access: Access::Write, names: Some(names) };
        for (path, access, may) in [
            ("r", Access::Read, true),
            ("r", Access::Write, false),
            ("w", Access::Write, true),
            ("w", Access::Read, true),
            ("x", Access::Read, false),
            (".", Access::Read, false),
            ("./r", Access::Read, false),
            ("r/", Access::Read, false),
            ("x/../r", Access::Read, false),
        ] {
            assert_eq!(named.allows(path, access), may, "{path}");
        }
        assert_eq!(open.shown("b/../c/./d"), "/a/c/d");
        assert_eq!(open.shown("../../../e"), "/e");
    }
}
