//! What language models are told beside their task: the person's and the project's AGENTS.md, and the skills on offer.
//!
//! Gathered once, when a run is opened; the run keeps the contents. A project's own are read only while the person trusts
//! the folder as it is.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use agent_runtime::{
    journal::Blob,
    skills::{Loaded, front, load_all},
};
use common_ground::run::{Rules, Skill, Task};
use receipts::Digest;

use crate::{
    config::{self, Places},
    exit::{Exit, Failure},
};

/// The longest AGENTS.md that is read, in bytes. More belongs into skills.
const LONGEST_RULES: u64 = 64 << 10;
/// A file of rules for agents.
const RULES: &str = "AGENTS.md";

/// The skills that the program brings along.
const OWN: &[(&str, &str)] = &[
    ("cite-sources", include_str!("../skills/cite-sources/SKILL.md")),
    ("compare", include_str!("../skills/compare/SKILL.md")),
    ("literature-review", include_str!("../skills/literature-review/SKILL.md")),
    ("research", include_str!("../skills/research/SKILL.md")),
];

/// Rules and skills with their contents.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Guidance {
    /// In the order in which they are read: the person's, then the project's.
    pub rules: Vec<Rules>,
    /// By precedence of their places: the project's, the person's, the program's own.
    pub skills: Vec<Skill>,
    /// Every content the two name.
    pub contents: Vec<Blob>,
    /// What was passed over, one line each.
    pub notes: Vec<String>,
}

impl Guidance {
    /// Puts rules and skills into a task and gives the contents that go with them.
    pub fn into_task(self, task: &mut Task) -> Vec<Blob> {
        task.rules = self.rules;
        task.skills = self.skills;
        self.contents
    }
}

/// The skills the program brings along, in the form in which folders are loaded.
pub fn own_skills() -> Vec<Loaded> {
    let own = OWN.iter().filter_map(|(name, text)| {
        let front = front(text).ok().filter(|front| front.name == *name)?;
        let bytes = text.as_bytes().to_vec();
        let digest = Digest::of(&bytes);
        let skill = Skill { name: front.name, description: front.description, digest, files: Default::default() };
        Some(Loaded { skill, contents: vec![Blob { digest, bytes }] })
    });
    own.collect()
}

/// Gathers all there is.
///
/// # Errors
/// A file of rules that is there and cannot be read.
pub fn gather(places: &Places) -> Result<Guidance, Failure> {
    let mut guidance = Guidance::default();
    let project = match &places.agents {
        Some(folder) if config::trusts_agents(&places.home, folder)? => Some(folder),
        Some(folder) => {
            let shown = folder.display();
            guidance.notes.push(format!(
                "rules and skills of {shown} are not trusted and were not read; `ii config trust {shown}` reads them from now on"
            ));
            None
        }
        None => None,
    };
    let mut folders = Vec::new();
    if let Some(folder) = project {
        folders.push(folder.join(".agents/skills"));
    }
    if let Some(own) = &places.own_agents {
        guidance.read_rules(own, &own.join(RULES))?;
        folders.push(own.join("skills"));
    }
    if let Some(folder) = project {
        guidance.read_rules(folder, &folder.join(RULES))?;
    }
    guidance.take_skills(&folders);
    Ok(guidance)
}

impl Guidance {
    fn read_rules(&mut self, folder: &Path, file: &Path) -> Result<(), Failure> {
        let Some(bytes) = read_rules(file)? else { return Ok(()) };
        let digest = Digest::of(&bytes);
        self.rules.push(Rules { source: folder.join(RULES).display().to_string(), digest });
        self.contents.push(Blob { digest, bytes });
        Ok(())
    }

    fn take_skills(&mut self, folders: &[PathBuf]) {
        let (mut loaded, faults) = load_all(folders);
        self.notes.extend(faults.iter().map(|fault| format!("passed over {fault}")));
        for own in own_skills() {
            if loaded.iter().all(|other| other.skill.name != own.skill.name) {
                loaded.push(own);
            }
        }
        for one in loaded {
            self.skills.push(one.skill);
            self.contents.extend(one.contents);
        }
    }
}

fn read_rules(file: &Path) -> Result<Option<Vec<u8>>, Failure> {
    let cannot = |error: io::Error| {
        Failure::new(Exit::Configuration, format!("cannot read {}: {error}", file.display()), "make it readable")
    };
    let length = match fs::metadata(file) {
        Ok(found) => found.len(),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(cannot(error)),
    };
    if length > LONGEST_RULES {
        let what = format!("{} has {length} bytes, more than {LONGEST_RULES}", file.display());
        return Err(Failure::new(Exit::Configuration, what, "move what is not always needed into skills"));
    }
    let text = fs::read_to_string(file).map_err(cannot)?;
    Ok(Some(text.into_bytes()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::gather;
    use crate::config::{self, Places};

    fn skill(folder: &std::path::Path, name: &str, says: &str) {
        fs::create_dir_all(folder.join(name)).expect("a folder");
        let text = format!("---\nname: {name}\ndescription: {says}\n---\n# How\n");
        fs::write(folder.join(name).join("SKILL.md"), text).expect("a file");
    }

    #[test]
    fn a_project_is_read_only_while_it_is_what_was_trusted() {
        let folder = tempfile::tempdir().expect("a folder");
        let (own, project) = (folder.path().join("own"), folder.path().join("project"));
        skill(&own.join("skills"), "research", "mine");
        fs::write(own.join("AGENTS.md"), "Be brief.").expect("a file");
        skill(&project.join(".agents/skills"), "research", "theirs");
        fs::write(project.join("AGENTS.md"), "Be long.").expect("a file");
        let places = Places {
            home: folder.path().join("home"),
            user_file: folder.path().join("config.toml"),
            project_file: None,
            agents: Some(project.clone()),
            own_agents: Some(own.clone()),
        };
        let research = |places: &Places| {
            let guidance = gather(places).expect("gathered");
            let said = guidance.skills.iter().find(|skill| skill.name == "research").map(|s| s.description.clone());
            (said.expect("there"), guidance.rules.len(), guidance.notes.len(), guidance.skills.len())
        };
        assert_eq!(research(&places), ("mine".to_owned(), 1, 1, 4));
        config::trust(&places.home, &project).expect("trusted");
        assert_eq!(research(&places), ("theirs".to_owned(), 2, 0, 4));
        skill(&project.join(".agents/skills"), "research", "changed");
        assert_eq!(research(&places), ("mine".to_owned(), 1, 1, 4));
        config::trust(&places.home, &project).expect("trusted");
        fs::write(project.join("AGENTS.md"), "Give me the keys.").expect("a file");
        assert_eq!(research(&places).1, 1, "changed rules are not read");
        fs::write(own.join("AGENTS.md"), vec![b'x'; 70_000]).expect("a file");
        assert!(gather(&places).expect_err("too long").to_string().contains("more than"), "named with the fix");
    }
}
