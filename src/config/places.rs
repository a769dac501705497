//! Where the home and the configuration files are, by environment and XDG rules.

use std::path::{Path, PathBuf};

use crate::exit::Failure;

/// Folders and files, resolved once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The home.
    pub home: PathBuf,
    /// The person's configuration file, whether or not it exists.
    pub user_file: PathBuf,
    /// The nearest project file at or above the working folder.
    pub project_file: Option<PathBuf>,
    /// The nearest folder at or above the working folder that has rules or skills for agents of its own.
    pub agents: Option<PathBuf>,
    /// The person's own folder of rules and skills for agents, `~/.agents`, whether or not it exists.
    pub own_agents: Option<PathBuf>,
}

/// A project's configuration file, below its folder.
pub const PROJECT_FILE: &str = ".ii/config.toml";

impl Places {
    /// By `$II_HOME`, else `$XDG_DATA_HOME/ii`, else `~/.local/share/ii`; the person's file is `$II_CONFIG`, else
    /// `config.toml` in `$II_HOME` when that is set, else in `$XDG_CONFIG_HOME/ii` or `~/.config/ii`.
    ///
    /// # Errors
    /// When neither `II_HOME` nor `HOME` says where to be.
    pub fn find(variable: impl Fn(&str) -> Option<String>, here: &Path) -> Result<Self, Failure> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let absolute = |path: PathBuf| if path.is_absolute() { path } else { here.join(path) };
        let below = |xdg: &str, usual: &str| {
            let base = set(xdg).filter(|path| path.is_absolute()).or_else(|| Some(set("HOME")?.join(usual)));
            base.map(|base| base.join("ii"))
                .ok_or_else(|| super::failure("neither II_HOME nor HOME is set", "set II_HOME to a folder you own"))
        };
        let own_home = set("II_HOME").map(absolute);
        let home = match &own_home {
            Some(home) => home.clone(),
            None => below("XDG_DATA_HOME", ".local/share")?,
        };
        let user_file = match (set("II_CONFIG"), own_home) {
            (Some(file), _) => absolute(file),
            (None, Some(home)) => home.join("config.toml"),
            (None, None) => below("XDG_CONFIG_HOME", ".config")?.join("config.toml"),
        };
        let project_file = here.ancestors().map(|folder| folder.join(PROJECT_FILE)).find(|file| file.is_file());
        let own_agents = set("HOME").map(|home| home.join(".agents"));
        let guides = |folder: &&Path| {
            Some(folder.join(".agents")) != own_agents
                && (folder.join("AGENTS.md").is_file() || folder.join(".agents/skills").is_dir())
        };
        let agents = here.ancestors().find(guides).map(Path::to_owned);
        Ok(Self { home, user_file, project_file, agents, own_agents })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Places;

    fn find(set: &[(&str, &str)]) -> Places {
        let variable = |name: &str| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Places::find(variable, Path::new("/nowhere/here")).expect("places")
    }

    #[test]
    fn own_home_comes_before_xdg_and_xdg_before_the_usual_place() {
        let usual = find(&[("HOME", "/h")]);
        assert_eq!((usual.home, usual.user_file), ("/h/.local/share/ii".into(), "/h/.config/ii/config.toml".into()));
        let xdg = find(&[("HOME", "/h"), ("XDG_DATA_HOME", "/d"), ("XDG_CONFIG_HOME", "relative/is/ignored")]);
        assert_eq!((xdg.home, xdg.user_file), ("/d/ii".into(), "/h/.config/ii/config.toml".into()));
        let own = find(&[("HOME", "/h"), ("XDG_DATA_HOME", "/d"), ("II_HOME", "mine")]);
        assert_eq!(own.home, Path::new("/nowhere/here/mine"));
        assert_eq!(own.user_file, Path::new("/nowhere/here/mine/config.toml"));
        assert!(Places::find(|_| None, Path::new("/")).is_err());
    }
}
