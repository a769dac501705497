//! A picture from the clipboard, by the program that the desktop has for it. It is kept in the home, so that the question
//! names a file like any other.

use std::{
    fs::{DirBuilder, OpenOptions, rename},
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::PathBuf,
    process::Stdio,
    time::Duration,
};

use tokio::{io::AsyncReadExt, process::Command};
use tui::{Event, pictures::mark};

use super::asks::Shared;
use crate::{
    config::environment,
    exit::{Exit, Failure},
    pictures,
};

/// How long a desktop may take to hand its clipboard over.
const PATIENCE: Duration = Duration::from_secs(5);
/// More than any picture that is taken.
const MOST: u64 = 6 << 20;

/// What asks for the picture, where this desktop has a clipboard: a program and its words.
fn asks() -> Option<(&'static str, &'static [&'static str])> {
    if cfg!(target_os = "macos") {
        Some(("pngpaste", &["-"]))
    } else if environment("WAYLAND_DISPLAY").is_some() {
        Some(("wl-paste", &["--no-newline", "--type", "image/png"]))
    } else if environment("DISPLAY").is_some() {
        Some(("xclip", &["-selection", "clipboard", "-target", "image/png", "-out"]))
    } else {
        None
    }
}

/// Puts the picture that the clipboard holds into what is being written.
pub(super) async fn paste(shared: Shared<'_>) {
    match picture(&shared).await {
        Ok(mark) => shared.tell(Event::Write(mark)),
        Err(failure) => shared.fail(&failure),
    }
}

async fn picture(shared: &Shared<'_>) -> Result<String, Failure> {
    const BY_FILE: &str = "name a file: /picture FILE";
    let (name, words) = asks().ok_or_else(|| Failure::new(Exit::Usage, "there is no clipboard here", BY_FILE))?;
    let bytes = match tokio::time::timeout(PATIENCE, output(name, words)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) if error.kind() == ErrorKind::NotFound => {
            let fix = format!("install it, or {BY_FILE}");
            return Err(Failure::new(Exit::Usage, format!("{name} is missing, which reads the clipboard"), fix));
        }
        Ok(Err(error)) => return Err(Failure::new(Exit::Usage, format!("{name}: {error}"), BY_FILE)),
        Err(_late) => return Err(Failure::new(Exit::Usage, format!("{name} does not answer"), BY_FILE)),
    };
    if bytes.is_empty() {
        return Err(Failure::new(Exit::Usage, "the clipboard holds no picture", "copy one, or name a file"));
    }
    let given = pictures::checked("of the clipboard", bytes)?;
    let path = keep(shared, &given)?;
    let unnamed = || Failure::new(Exit::Usage, format!("{} cannot be named here", path.display()), BY_FILE);
    path.to_str().and_then(mark).ok_or_else(unnamed)
}

/// What the program puts out, and no more than a picture may have.
async fn output(name: &str, words: &[&str]) -> std::io::Result<Vec<u8>> {
    let mut command = Command::new(name);
    let mut child = command
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let mut bytes = Vec::new();
    if let Some(out) = child.stdout.take() {
        out.take(MOST).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

/// The picture as a file of the home, under its digest.
fn keep(shared: &Shared<'_>, given: &pictures::Given) -> Result<PathBuf, Failure> {
    let folder = shared.program.home.root().join("pictures");
    let path = folder.join(format!("{}.png", given.picture.digest));
    // Under another name first: a file of this name is whole.
    let next = path.with_extension("new");
    let written = DirBuilder::new().recursive(true).mode(0o700).create(&folder).and_then(|()| {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&next)?;
        file.write_all(&given.content.bytes)?;
        rename(&next, &path)
    });
    written.map_err(|error| {
        Failure::new(Exit::Storage, format!("{}: {error}", path.display()), "make the home writable")
    })?;
    Ok(path)
}
