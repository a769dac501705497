//! Which project files the person trusts: by path and content, so that a changed file must be trusted anew.

use std::{fs, path::Path};

use agent_runtime::skills::load_all;
use common_ground::run::Skill;
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
    let wanted = line(file)?;
    Ok(listed(home)?.lines().any(|known| known == wanted))
}

/// Whether the rules and skills for agents in `folder`, as they are now, were trusted.
///
/// # Errors
/// When they or the list cannot be read.
pub fn trusts_agents(home: &Path, folder: &Path) -> Result<bool, Failure> {
    let wanted = agents_line(folder)?;
    Ok(listed(home)?.lines().any(|known| Some(known) == wanted.as_deref()))
}

/// One digest over AGENTS.md and every skill; none where there is neither.
fn agents_line(folder: &Path) -> Result<Option<String>, Failure> {
    let cannot =
        |error: std::io::Error| failure(format!("cannot read {}: {error}", folder.display()), "make it readable");
    let path = folder.canonicalize().map_err(cannot)?;
    let rules = match fs::read(path.join("AGENTS.md")) {
        Ok(bytes) => Some(Digest::of(&bytes)),
        Err(error) if super::layers::is_absent(&error) => None,
        Err(error) => return Err(cannot(error)),
    };
    let (skills, _passed_over) = load_all(&[path.join(".agents/skills")]);
    if rules.is_none() && skills.is_empty() {
        return Ok(None);
    }
    let skills: Vec<&Skill> = skills.iter().map(|loaded| &loaded.skill).collect();
    let all = serde_json::to_vec(&(rules, skills)).map_err(Failure::internal)?;
    Ok(Some(format!("{} {}", Digest::of(&all), path.display())))
}

/// The list as it is; empty where there is none yet.
fn listed(home: &Path) -> Result<String, Failure> {
    let list = home.join(LIST);
    match fs::read_to_string(&list) {
        Ok(known) => Ok(known),
        Err(error) if super::layers::is_absent(&error) => Ok(String::new()),
        Err(error) => Err(failure(format!("cannot read {}: {error}", list.display()), "make it readable")),
    }
}

/// Trusts the project in `folder` as it is now: its settings, rules and skills.
///
/// # Errors
/// When there is nothing of that, or the list cannot be written.
pub fn trust(home: &Path, folder: &Path) -> Result<(), Failure> {
    let file = folder.join(PROJECT_FILE);
    let mut lines: Vec<String> = Vec::new();
    if file.is_file() {
        lines.push(line(&file)?);
    }
    if folder.is_dir() {
        lines.extend(agents_line(folder)?);
    }
    if lines.is_empty() {
        let what = format!("{} has no {PROJECT_FILE}, AGENTS.md or .agents/skills", folder.display());
        return Err(Failure::new(Exit::Usage, what, "name a folder that has one of them"));
    }
    let known = listed(home)?;
    lines.retain(|line| !known.lines().any(|one| one == line));
    if lines.is_empty() {
        return Ok(());
    }
    let list = home.join(LIST);
    let cannot = |error: std::io::Error| {
        let what = format!("cannot write {}: {error}", list.display());
        Failure::new(Exit::Storage, what, "make the home writable or set II_HOME")
    };
    fs::create_dir_all(home).map_err(cannot)?;
    let mut text = known;
    for line in lines {
        text.push_str(&line);
        text.push('\n');
    }
    let next = list.with_extension("new");
    fs::write(&next, text).and_then(|()| fs::rename(&next, &list)).map_err(cannot)
}
