//! The folders a guest finds open: those that its needs name, opened beneath the item of the grant that covers each.
//!
//! **Invariant:** where a need names a file, its folder is open for that name and no other.

use std::{collections::BTreeMap, path::Path};

use common_ground::{
    grant::{Access, Item},
    port::tool::ToolError,
};

use crate::{
    files::{Place, failed},
    hand::Work,
};

/// A folder that is open when a guest starts.
#[derive(Debug)]
pub(super) struct Open {
    /// The folder.
    pub folder: std::fs::File,
    /// Its path, on this machine as in the guest.
    pub path: String,
    /// What may be done in it.
    pub access: Access,
    /// The only names in it that there are for the guest, where it was opened for files.
    pub names: Option<BTreeMap<String, Access>>,
}

/// Opens what a call needs.
pub(super) fn open(tool: &str, work: &Work, needs: &[Item]) -> Result<Vec<Open>, ToolError> {
    let mut places: Vec<Open> = Vec::new();
    for need in needs {
        let Item::Path { path, access } = need else { continue };
        let place = Place::open(tool, work, need)?;
        let wrong = |error: std::io::Error| failed(tool, path, &error);
        let is_folder = place.root.metadata(place.relative()).is_ok_and(|about| about.is_dir());
        let (at, name) = if is_folder {
            (place.relative(), None)
        } else {
            let name = place.beneath.file_name().and_then(|name| name.to_str());
            let name = name.ok_or_else(|| wrong(std::io::ErrorKind::NotADirectory.into()))?;
            let at = place.beneath.parent().filter(|at| !at.as_os_str().is_empty());
            (at.unwrap_or(Path::new(".")), Some(name.to_owned()))
        };
        let folder = place.root.open_dir(at).map_err(wrong)?.into_std_file();
        let Some(name) = name else {
            places.push(Open { folder, path: path.clone(), access: *access, names: None });
            continue;
        };
        let shown = path.rsplit_once('/').map_or("/", |(folder, _name)| if folder.is_empty() { "/" } else { folder });
        let known = places.iter_mut().find(|one| one.path == shown && one.names.is_some());
        match known {
            Some(known) => {
                known.access = known.access.max(*access);
                let names = known.names.get_or_insert_default();
                names.entry(name).and_modify(|had| *had = (*had).max(*access)).or_insert(*access);
            }
            None => {
                let names = Some(BTreeMap::from([(name, *access)]));
                places.push(Open { folder, path: shown.to_owned(), access: *access, names });
            }
        }
    }
    Ok(places)
}
