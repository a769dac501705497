//! A path a call names, and the folder through which it is opened.

use std::{
    io::{self, Read as _},
    path::{Component, Path, PathBuf},
};

use cap_std::{
    ambient_authority,
    fs::{Dir, OpenOptions, OpenOptionsExt},
};
use common_ground::{
    grant::Item,
    port::tool::ToolError,
    record::{Change, Limit},
};
use receipts::Digest;
use similar::TextDiff;

use crate::hand::Work;

/// Largest file that is read or kept.
pub(crate) const LARGEST: u64 = 8 << 20;
/// Longest difference that is kept as text.
const LONGEST_DIFF: usize = 64 << 10;

/// A file or folder beneath what was granted.
#[derive(Debug)]
pub struct Place {
    /// The granted folder, or the folder of the granted file.
    pub root: Dir,
    /// Where beneath it; empty for the folder itself.
    pub beneath: PathBuf,
    /// The whole path, for people.
    pub shown: String,
}

/// A failure of the file system, which the model may go round.
pub(crate) fn failed(tool: &str, shown: &str, error: &io::Error) -> ToolError {
    ToolError::Failed { tool: tool.to_owned(), reason: format!("{shown}: {error}") }
}

impl Place {
    /// Opens the way to a path under the item of the grant that covers it.
    pub fn open(tool: &str, work: &Work, need: &Item) -> Result<Self, ToolError> {
        let (Item::Path { path, .. }, Some(Item::Path { path: granted, .. })) = (need, work.grant().covering(need))
        else {
            let reason = format!("{need}: no grant covers it");
            return Err(ToolError::Refused { tool: tool.to_owned(), reason });
        };
        let granted = Path::new(granted);
        let wrong = |error: io::Error| failed(tool, path, &error);
        // A granted file is opened through its folder, and must not be a link to another.
        let is_folder = std::fs::symlink_metadata(granted).map_err(wrong).map(|about| about.is_dir());
        let folder = match is_folder {
            Ok(true) => granted,
            Ok(false) | Err(_) => granted.parent().unwrap_or(granted),
        };
        let root = Dir::open_ambient_dir(folder, ambient_authority()).map_err(wrong)?;
        let beneath = Path::new(path).strip_prefix(folder).unwrap_or(Path::new("")).to_owned();
        Ok(Self { root, beneath, shown: path.clone() })
    }

    /// The path to open beneath the root; `.` for the root itself.
    pub fn relative(&self) -> &Path {
        if self.beneath.as_os_str().is_empty() { Path::new(".") } else { &self.beneath }
    }

    /// That there is nothing there.
    pub(super) fn missing(&self, tool: &str) -> ToolError {
        ToolError::Failed { tool: tool.to_owned(), reason: format!("{}: there is no such file", self.shown) }
    }

    /// The bytes of a plain file; none where there is no file.
    pub fn bytes(&self, tool: &str) -> Result<Option<Vec<u8>>, ToolError> {
        let wrong = |error: &io::Error| failed(tool, &self.shown, error);
        // A pipe or a device would be waited for; opened so, it answers at once.
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(NONBLOCK);
        let file = match self.root.open_with(self.relative(), &options) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(wrong(&error)),
        };
        let about = file.metadata().map_err(|error| wrong(&error))?;
        let reason = if about.is_dir() {
            "it is a folder".to_owned()
        } else if !about.is_file() {
            "it is no plain file".to_owned()
        } else if about.len() > LARGEST {
            format!("it has {} bytes; at most {LARGEST} are read", about.len())
        } else {
            let mut bytes = Vec::new();
            file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| wrong(&error))?;
            return Ok(Some(bytes));
        };
        Err(ToolError::Failed { tool: tool.to_owned(), reason: format!("{}: {reason}", self.shown) })
    }

    /// Puts bytes in the place of a file as one step, and notes the change.
    pub fn replace(&self, tool: &str, work: &Work, before: Option<Vec<u8>>, after: &[u8]) -> Result<Change, ToolError> {
        if after.len() as u64 > work.limits().written_bytes {
            work.passed(Limit::Written);
            let reason = format!("{} bytes; at most {} may be written", after.len(), work.limits().written_bytes);
            return Err(ToolError::Failed { tool: tool.to_owned(), reason });
        }
        let wrong = |error: io::Error| failed(tool, &self.shown, &error);
        let name = self.beneath.file_name().ok_or_else(|| wrong(io::ErrorKind::IsADirectory.into()))?;
        let folder = match self.beneath.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            Some(folder) => {
                self.root.create_dir_all(folder).map_err(wrong)?;
                self.root.open_dir(folder).map_err(wrong)?
            }
            None => self.root.try_clone().map_err(wrong)?,
        };
        let change = change(&self.shown, before.as_deref(), Some(after));
        put(&folder, name, after).map_err(wrong)?;
        work.changed(change.clone(), before);
        Ok(change)
    }
}

/// O_NONBLOCK of Linux and the BSDs.
#[cfg(target_os = "linux")]
pub(crate) const NONBLOCK: i32 = 0o4000;
#[cfg(not(target_os = "linux"))]
pub(crate) const NONBLOCK: i32 = 0x4;

/// A new file beside, then a rename: a reader sees the old bytes or the new ones. A link is replaced, never written through.
fn put(folder: &Dir, name: &std::ffi::OsStr, bytes: &[u8]) -> io::Result<()> {
    let mode =
        folder.symlink_metadata(name).ok().filter(cap_std::fs::Metadata::is_file).map(|about| about.permissions());
    let mut file = cap_tempfile::TempFile::new(folder)?;
    io::Write::write_all(&mut file, bytes)?;
    if let Some(mode) = mode {
        file.as_file().set_permissions(mode)?;
    }
    file.replace(name)
}

/// A file before and after, with the difference where both are text.
pub(crate) fn change(path: &str, before: Option<&[u8]>, after: Option<&[u8]>) -> Change {
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0')).map(str::to_owned);
    let diff = match (text(before.unwrap_or_default()), text(after.unwrap_or_default())) {
        (Some(old), Some(new)) => {
            let diff = TextDiff::from_lines(&old, &new).unified_diff().header(path, path).to_string();
            if diff.len() > LONGEST_DIFF { String::new() } else { diff }
        }
        (Some(_), None) | (None, _) => String::new(),
    };
    Change { path: path.to_owned(), before: before.map(Digest::of), after: after.map(Digest::of), diff }
}

/// The text of a file's bytes.
pub(super) fn text(tool: &str, shown: &str, bytes: Vec<u8>) -> Result<String, ToolError> {
    String::from_utf8(bytes).map_err(|error| {
        let reason = format!("{shown} is no text: byte {} is not UTF-8", error.utf8_error().valid_up_to());
        ToolError::Failed { tool: tool.to_owned(), reason }
    })
}

/// Whether a path has only plain parts.
pub(super) fn is_plain(path: &Path) -> bool {
    path.components().all(|part| matches!(part, Component::Normal(_)))
}
