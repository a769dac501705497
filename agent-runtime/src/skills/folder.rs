//! Skills from folders on disk.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use common_ground::run::Skill;
use receipts::Digest;

use super::front::front;
use crate::journal::Blob;

/// The longest file of a skill that is read, in bytes.
const LONGEST_FILE: u64 = 256 << 10;
/// Most files of a skill beside SKILL.md.
const MOST_FILES: usize = 64;

/// A skill with the contents it names.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// What goes into the task.
    pub skill: Skill,
    /// The bytes of SKILL.md and of its further files.
    pub contents: Vec<Blob>,
}

/// Why a folder is no skill.
#[derive(Debug, thiserror::Error)]
#[error("skill {}: {why}", folder.display())]
pub struct SkillFault {
    /// The folder.
    pub folder: PathBuf,
    /// What is wrong.
    pub why: String,
}

/// Reads one skill: SKILL.md and the folder's further files of text.
///
/// # Errors
/// [`SkillFault`] for a folder without a readable SKILL.md in form, or with too much in it.
pub fn load(folder: &Path) -> Result<Loaded, SkillFault> {
    let fault = |why: String| SkillFault { folder: folder.to_owned(), why };
    let text = read(&folder.join("SKILL.md")).map_err(|error| fault(format!("SKILL.md: {error}")))?;
    let front = front(&text).map_err(fault)?;
    if folder.file_name().is_none_or(|name| name != front.name.as_str()) {
        return Err(fault(format!("its front matter names it {}", front.name)));
    }
    let mut names = Vec::new();
    list(folder, "", &mut names).map_err(|error| fault(error.to_string()))?;
    names.retain(|name| name != "SKILL.md");
    if names.len() > MOST_FILES {
        return Err(fault(format!("{} files, more than {MOST_FILES}", names.len())));
    }
    let mut contents = vec![blob(text)];
    let digest = contents[0].digest;
    let mut files = BTreeMap::new();
    for name in names {
        let text = read(&folder.join(&name)).map_err(|error| fault(format!("{name}: {error}")))?;
        let content = blob(text);
        files.insert(name, content.digest);
        contents.push(content);
    }
    Ok(Loaded { skill: Skill { name: front.name, description: front.description, digest, files }, contents })
}

/// Every skill in the folders, those of earlier folders first and in the place of later ones of the same name. What is no
/// skill is named and passed over; a folder that is not there has none.
pub fn load_all(folders: &[PathBuf]) -> (Vec<Loaded>, Vec<SkillFault>) {
    let mut loaded: Vec<Loaded> = Vec::new();
    let mut faults = Vec::new();
    for folder in folders {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        let mut skills: Vec<PathBuf> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
        skills.retain(|path| path.is_dir());
        skills.sort();
        for path in skills {
            match load(&path) {
                Ok(one) if loaded.iter().any(|earlier| earlier.skill.name == one.skill.name) => {}
                Ok(one) => loaded.push(one),
                Err(fault) => faults.push(fault),
            }
        }
    }
    (loaded, faults)
}

fn blob(text: String) -> Blob {
    let bytes = text.into_bytes();
    Blob { digest: Digest::of(&bytes), bytes }
}

fn read(path: &Path) -> io::Result<String> {
    let length = fs::metadata(path)?.len();
    if length > LONGEST_FILE {
        return Err(io::Error::other(format!("{length} bytes, more than {LONGEST_FILE}")));
    }
    fs::read_to_string(path)
}

/// Files below `folder` by path with `/`, links not followed.
fn list(folder: &Path, below: &str, names: &mut Vec<String>) -> io::Result<()> {
    let mut entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let Ok(name) = entry.file_name().into_string() else {
            return Err(io::Error::other("a file name is not UTF-8"));
        };
        let path = if below.is_empty() { name } else { format!("{below}/{name}") };
        let kind = entry.file_type()?;
        if kind.is_dir() {
            list(&entry.path(), &path, names)?;
        } else if kind.is_file() {
            names.push(path);
        }
        if names.len() > MOST_FILES + 1 {
            return Ok(());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{load, load_all};

    fn skill(folder: &std::path::Path, name: &str, says: &str) {
        fs::create_dir_all(folder.join(name).join("data")).expect("a folder");
        let text = format!("---\nname: {name}\ndescription: {says}\n---\n# How\n");
        fs::write(folder.join(name).join("SKILL.md"), text).expect("a file");
        fs::write(folder.join(name).join("data/table.csv"), says).expect("a file");
    }

    #[test]
    fn an_earlier_folder_stands_in_the_place_of_a_later_one_and_faults_are_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let (mine, theirs) = (folder.path().join("mine"), folder.path().join("theirs"));
        skill(&mine, "one", "mine");
        skill(&theirs, "one", "theirs");
        skill(&theirs, "two", "theirs");
        fs::create_dir_all(theirs.join("none")).expect("a folder");
        fs::rename(theirs.join("two"), theirs.join("renamed")).expect("renamed");
        skill(&theirs, "three", "theirs");
        let (loaded, faults) = load_all(&[mine.clone(), folder.path().join("absent"), theirs]);
        let said: Vec<_> = loaded.iter().map(|one| (&*one.skill.name, &*one.skill.description)).collect();
        assert_eq!(said, [("one", "mine"), ("three", "theirs")]);
        assert_eq!(loaded[0].contents.len(), 2);
        assert_eq!(loaded[0].skill.files.keys().collect::<Vec<_>>(), ["data/table.csv"]);
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert!(faults[0].contains("none: SKILL.md") && faults[1].contains("names it two"), "{faults:?}");
        fs::write(mine.join("one/big.txt"), vec![b'x'; (256 << 10) + 1]).expect("a file");
        assert!(load(&mine.join("one")).expect_err("too long").why.contains("big.txt"));
    }
}
