//! A walk beneath an open folder, bounded in time, entries, depth and answer. Links are shown and never followed.

use std::{
    ffi::OsString,
    path::Path,
    time::{Duration, Instant},
};

use cap_std::fs::{Dir, FileType};
use common_ground::{port::tool::ToolError, record::Limit};

use super::place::{Place, failed, is_plain};
use crate::hand::Work;

/// Most entries looked at in one call.
const MOST_SEEN: usize = 100_000;
/// Most lines of answer.
const MOST_FOUND: usize = 1_000;
/// Deepest folder looked into.
pub(super) const DEEPEST: usize = 64;

/// An entry of the walk.
pub(super) struct Seen<'a> {
    /// The open folder that holds it.
    pub folder: &'a Dir,
    /// Where it is beneath the folder that the walk began in.
    pub path: &'a Path,
    /// What it is.
    pub kind: FileType,
}

/// What stands behind a name.
pub(super) fn mark(kind: FileType) -> &'static str {
    if kind.is_dir() {
        "/"
    } else if kind.is_symlink() {
        " (a link, not followed)"
    } else {
        ""
    }
}

/// Shows each entry beneath a place, by name, down to a depth; gives the lines that `show` gave or pushed.
pub(super) fn walk(
    tool: &str,
    place: &Place,
    work: &Work,
    deepest: usize,
    mut show: impl FnMut(&Seen<'_>, &mut Found) -> Option<String>,
) -> Result<Vec<u8>, ToolError> {
    let folder = place.root.open_dir(place.relative()).map_err(|error| failed(tool, &place.shown, &error))?;
    let until = Instant::now() + Duration::from_millis(work.limits().wall_ms);
    let mut found = Found { lines: Vec::new(), seen: 0, left_out: 0, unreadable: 0, until, late: false };
    found.beneath(&folder, Path::new(""), deepest, &mut show);
    if found.late {
        work.passed(Limit::Wall);
    }
    Ok(found.text().into_bytes())
}

/// What a walk has found so far.
#[derive(Debug)]
pub(super) struct Found {
    lines: Vec<String>,
    seen: usize,
    left_out: usize,
    unreadable: usize,
    until: Instant,
    late: bool,
}

impl Found {
    /// A line of the answer.
    pub fn push(&mut self, line: String) {
        if self.lines.len() < MOST_FOUND { self.lines.push(line) } else { self.left_out += 1 }
    }

    /// Something could not be read.
    pub fn unreadable(&mut self) {
        self.unreadable += 1;
    }

    /// Whether to look no further.
    fn is_over(&mut self) -> bool {
        self.late |= Instant::now() > self.until;
        self.late || self.seen >= MOST_SEEN
    }

    fn beneath(
        &mut self,
        folder: &Dir,
        beneath: &Path,
        levels: usize,
        show: &mut dyn FnMut(&Seen<'_>, &mut Self) -> Option<String>,
    ) {
        for (name, kind) in self.entries(folder) {
            if self.is_over() {
                return;
            }
            self.seen += 1;
            let path = beneath.join(&name);
            if let Some(line) = show(&Seen { folder, path: &path, kind }, self) {
                self.push(line);
            }
            if kind.is_dir() && levels > 1 && is_plain(Path::new(&name)) {
                match folder.open_dir(&name) {
                    Ok(inner) => self.beneath(&inner, &path, levels - 1, show),
                    Err(_closed) => self.unreadable(),
                }
            }
        }
    }

    /// The entries of a folder in the order of their names.
    fn entries(&mut self, folder: &Dir) -> Vec<(OsString, FileType)> {
        let Ok(entries) = folder.entries() else {
            self.unreadable();
            return Vec::new();
        };
        let mut named = Vec::new();
        for entry in entries {
            match entry.and_then(|entry| Ok((entry.file_name(), entry.file_type()?))) {
                Ok(entry) => named.push(entry),
                Err(_gone) => self.unreadable(),
            }
        }
        named.sort_by(|one, two| one.0.cmp(&two.0));
        named
    }

    fn text(mut self) -> String {
        if self.left_out > 0 {
            self.lines.push(format!("[{} more left out]", self.left_out));
        }
        if self.late {
            self.lines.push("[the time was used up before all was looked at]".to_owned());
        }
        if self.seen >= MOST_SEEN {
            self.lines.push(format!("[only the first {MOST_SEEN} entries were looked at]"));
        }
        if self.unreadable > 0 {
            self.lines.push(format!("[{} could not be read]", self.unreadable));
        }
        if self.lines.is_empty() {
            self.lines.push("[nothing]".to_owned());
        }
        self.lines.join("\n")
    }
}
