//! Which project files the person trusts: by path and content, so that a changed file must be trusted anew.

use std::{fs, path::Path};

use receipts::Digest;

use super::{failure, places::PROJECT_FILE};
use crate::exit::{Exit, Failure};

/// One line a trusted file: digest, a space, path.
const LIST: &str = "trusted-projects";

fn line(file: &Path) -> Result<String, Failure> {
    let cannot =
        |error: std::io::Error| failure(format!("cannot read {}: {error}", file.display()), "make it readable");
    let path = file.canonicalize().map_err(cannot)?;
    let digest = Digest::of(&fs::read(&path).map_err(cannot)?);
    Ok(format!("{digest} {}", path.display()))
}

/// Whether this project file, as it is now, was trusted.
///
/// # Errors
/// When the file or the list cannot be read.
pub fn is_trusted(home: &Path, file: &Path) -> Result<bool, Failure> {
    let list = home.join(LIST);
    let known = match fs::read_to_string(&list) {
        Ok(known) => known,
        Err(error) if super::layers::is_absent(&error) => return Ok(false),
        Err(error) => return Err(failure(format!("cannot read {}: {error}", list.display()), "make it readable")),
    };
    let wanted = line(file)?;
    Ok(known.lines().any(|known| known == wanted))
}

/// Trusts the project in `folder` as it is now.
///
/// # Errors
/// When there is no project file, or the list cannot be written.
pub fn trust(home: &Path, folder: &Path) -> Result<(), Failure> {
    let file = folder.join(PROJECT_FILE);
    if !file.is_file() {
        let what = format!("{} has no {PROJECT_FILE}", folder.display());
        return Err(Failure::new(Exit::Usage, what, "name a folder that has one"));
    }
    if is_trusted(home, &file)? {
        return Ok(());
    }
    let list = home.join(LIST);
    let cannot = |error: std::io::Error| {
        let what = format!("cannot write {}: {error}", list.display());
        Failure::new(Exit::Storage, what, "make the home writable or set II_HOME")
    };
    fs::create_dir_all(home).map_err(cannot)?;
    let mut text = match fs::read_to_string(&list) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(cannot(error)),
    };
    text.push_str(&line(&file)?);
    text.push('\n');
    let next = list.with_extension("new");
    fs::write(&next, text).and_then(|()| fs::rename(&next, &list)).map_err(cannot)
}
