//! What calls of a run may do, gathered from settings, flags and the person's answers for good.
//!
//! **Invariant:** the home is never within reach of a tool, whatever is granted: keys lie there.

use std::{
    collections::BTreeSet,
    fs::OpenOptions,
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use agent_runtime::home::Home;
use common_ground::grant::{Grant, Item, Limits, Policy};

use crate::{
    config::{Config, environment},
    exit::{Exit, Failure},
};

/// The grant and the rules that a run is opened with.
///
/// # Errors
/// A home whose file of lasting answers cannot be read.
pub fn gather(home: &Home, config: &Config) -> Result<(Grant, Policy), Failure> {
    let grant = Grant { limits: config.limits, ..Grant::of(config.allow.iter().cloned()) };
    let mut deny: BTreeSet<Item> = config.deny.iter().cloned().collect();
    for root in [home.root().to_owned(), real(home.root())] {
        deny.insert(Item::read(&root.display().to_string()).map_err(Failure::internal)?);
    }
    Ok((grant, Policy { deny, ask: config.ask.iter().cloned().collect(), always: always(home)? }))
}

/// What the person allowed for good: one item a line.
///
/// # Errors
/// A file that cannot be read, or a line that is no item.
pub fn always(home: &Home) -> Result<BTreeSet<Item>, Failure> {
    let path = file(home);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) => {
            return Err(Failure::new(Exit::Storage, format!("{}: {error}", path.display()), "make it readable"));
        }
    };
    let lines = text.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| {
            line.parse().map_err(|error| {
                Failure::new(Exit::Configuration, format!("{}: {error}", path.display()), "delete that line")
            })
        })
        .collect()
}

/// Adds what the person allowed for good.
///
/// # Errors
/// A file that cannot be written.
pub fn remember<'a>(home: &Home, items: impl IntoIterator<Item = &'a Item>) -> Result<(), Failure> {
    let path = file(home);
    let known = always(home)?;
    let new: String = items.into_iter().filter(|item| !known.contains(item)).map(|item| format!("{item}\n")).collect();
    let written = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| file.write_all(new.as_bytes()).and_then(|()| file.sync_all()));
    written.map_err(|error| Failure::new(Exit::Storage, format!("{}: {error}", path.display()), "make it writable"))
}

fn file(home: &Home) -> PathBuf {
    home.root().join("always")
}

/// An item as the person writes it: paths may be relative to the working folder and begin with `~/`, and are made the place
/// that they really are.
///
/// # Errors
/// What is no item, in one line.
pub fn item(text: &str, here: &Path, user: Option<&Path>) -> Result<Item, String> {
    let placed = |kind: &str, path: &str| {
        let path = match (path.strip_prefix("~/"), user) {
            (Some(rest), Some(user)) => user.join(rest),
            (Some(_), None) | (None, _) => here.join(path),
        };
        format!("{kind}:{}", real(&path).display())
    };
    let text = match text.split_once(':') {
        Some((kind @ ("read" | "write"), path)) if !path.is_empty() => placed(kind, path),
        Some(_) | None => text.to_owned(),
    };
    text.parse().map_err(|error: common_ground::grant::BadItem| error.to_string())
}

/// Items given by settings.
///
/// # Errors
/// What is no item, in one line.
pub fn settings<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Vec<Item>, String> {
    let here = std::env::current_dir().unwrap_or_default();
    let user = environment("HOME").map(PathBuf::from);
    texts.into_iter().map(|text| item(text, &here, user.as_deref())).collect()
}

/// Items given by a flag of the command line.
///
/// # Errors
/// A text that is none, with the flag's form.
pub fn flags(flag: &str, texts: &[String]) -> Result<Vec<Item>, Failure> {
    let here = std::env::current_dir().map_err(Failure::internal)?;
    let user = environment("HOME").map(PathBuf::from);
    let read = |text: &String| item(text, &here, user.as_deref());
    let fix = format!("write it as {flag} read:DIR, {flag} net:HOST or {flag} run:process");
    texts.iter().map(read).collect::<Result<_, _>>().map_err(|what| Failure::new(Exit::Usage, what, fix))
}

/// The usual limits of a call, with others for those that are named: `NAME=NUMBER` each.
///
/// # Errors
/// A text that is no limit, and what limits there are.
pub fn limits<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Limits, String> {
    limits_over(Limits::USUAL, texts)
}

/// The same over other limits than the usual ones.
///
/// # Errors
/// The same.
pub fn limits_over<'a>(limits: Limits, texts: impl IntoIterator<Item = &'a str>) -> Result<Limits, String> {
    texts.into_iter().try_fold(limits, |limits, text| {
        let changed = text.split_once('=').and_then(|(name, number)| limits.with(name, number.parse().ok()?));
        changed.ok_or_else(|| {
            let known = Limits::USUAL.rows().map(|(name, _)| name).join(", ");
            format!("`{text}` is no limit; write NAME=NUMBER with one of {known}")
        })
    })
}

/// The path without symbolic links, as far as it exists.
fn real(path: &Path) -> PathBuf {
    let mut missing = Vec::new();
    let mut at = path.to_owned();
    loop {
        match (at.canonicalize(), at.file_name().map(std::ffi::OsStr::to_owned)) {
            (Ok(found), _) => return missing.iter().rev().fold(found, |path, name| path.join(name)),
            (Err(_absent), Some(name)) if at.pop() => missing.push(name),
            (Err(_absent), _) => return path.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use agent_runtime::home::Home;
    use common_ground::grant::Limits;

    use super::{always, item, limits, remember};

    #[test]
    fn paths_are_made_real_and_the_rest_is_as_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let here = folder.path().canonicalize().expect("real");
        std::fs::create_dir(here.join("data")).expect("made");
        std::os::unix::fs::symlink(here.join("data"), here.join("link")).expect("linked");
        let shown = |text: &str| item(text, &here, Some(&here.join("data"))).map(|item| item.to_string());
        let data = here.join("data").display().to_string();
        assert_eq!(shown("read:data"), Ok(format!("read:{data}")));
        assert_eq!(shown("write:link/new/file"), Ok(format!("write:{data}/new/file")));
        assert_eq!(shown("read:~/x"), Ok(format!("read:{data}/x")));
        assert_eq!(shown("net:example.org"), Ok("net:https://example.org:443".to_owned()));
        assert!(shown("read:").is_err() && shown("walk:data").is_err());
    }

    #[test]
    fn a_limit_is_a_name_and_a_number() {
        let some = limits(["wall_ms=5", "open_files=7"]).expect("limits");
        assert_eq!(some, Limits { wall_ms: 5, open_files: 7, ..Limits::USUAL });
        for wrong in ["wall_ms", "wall_ms=", "wall_ms=-1", "wall=1", "=1", ""] {
            let why = limits([wrong]).expect_err(wrong);
            assert!(why.contains("no limit") && why.contains("memory_bytes"), "{why}");
        }
    }

    #[test]
    fn what_was_allowed_for_good_is_kept_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = Home::at(folder.path());
        let one = "run:process=git status".parse().expect("an item");
        assert!(always(&home).expect("read").is_empty());
        remember(&home, [&one]).expect("kept");
        remember(&home, [&one]).expect("kept");
        assert_eq!(always(&home).expect("read"), [one].into());
        assert_eq!(std::fs::read_to_string(folder.path().join("always")).expect("text").lines().count(), 1);
    }
}
