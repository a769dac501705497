//! `ii config`: what is set, by whom, and whose project files are read.

use std::path::PathBuf;

use serde_json::json;
use tui::event::SettingLine;

use super::{Program, print_json};
use crate::{
    config::{self, Resolved, SETTINGS},
    exit::{Exit, Failure},
};

/// Subcommands of `ii config`.
#[derive(Debug, clap::Subcommand)]
pub enum Args {
    /// Show every setting, its value and where it came from.
    Show,
    /// Read a project's settings, rules and skills from now on, until they change.
    Trust {
        /// The project's folder.
        dir: PathBuf,
    },
}

/// Runs the command.
pub(super) fn run(args: Args, program: &Program) -> Result<Exit, Failure> {
    match args {
        Args::Show => show(program),
        Args::Trust { dir } => {
            config::trust(&program.places.home, &dir)?;
            eprintln!("ii: settings, rules and skills of {} are trusted until they change", dir.display());
            Ok(Exit::Completed)
        }
    }
}

/// A value in one line, without its password: the items of a list stand a line each.
fn line(value: &str) -> String {
    config::shown(value).replace('\n', ", ")
}

fn show(program: &Program) -> Result<Exit, Failure> {
    let (_, resolved) = program.settings(&[])?;
    if program.json {
        let settings = resolved.rows().map(|(name, value, from)| (name.to_owned(), value, from));
        let rows: Vec<_> = settings
            .chain(resolved.providers.rows())
            .chain(resolved.servers.rows())
            .map(|(name, value, from)| json!({"name": name, "value": config::shown(value), "from": from.to_string()}))
            .collect();
        print_json(&json!({"home": program.places.home, "settings": rows, "untrusted": resolved.untrusted}));
        return Ok(Exit::Completed);
    }
    lines(program, &resolved).iter().for_each(|line| println!("{line}"));
    if let Some(file) = &resolved.untrusted {
        eprintln!("ii: {file} is not trusted and was not read; `ii config trust` reads it from now on");
    }
    Ok(Exit::Completed)
}

/// Every setting with its value and where that came from, for people.
fn lines(program: &Program, resolved: &Resolved) -> Vec<String> {
    let rows = rows(program, resolved);
    let one = |row: &SettingLine| match row.from.as_str() {
        "" => format!("{} = {}", row.name, row.value),
        from => format!("{} = {}  # {from}", row.name, row.value),
    };
    rows.iter().map(one).collect()
}

/// Every setting as the eyes show it: value, where that came from, what it is, and how it is changed.
pub(super) fn rows(program: &Program, resolved: &Resolved) -> Vec<SettingLine> {
    let own = program.places.user_file.display();
    let home = SettingLine {
        name: "home".to_owned(),
        value: program.places.home.display().to_string(),
        from: String::new(),
        about: "the folder that everything is kept in".to_owned(),
        change: vec!["the variable II_HOME names another".to_owned()],
    };
    let mut rows = vec![home];
    for (name, value, from) in resolved.rows() {
        let setting = SETTINGS.iter().find(|setting| setting.name == name);
        let value = if value.is_empty() { "(none)".to_owned() } else { line(value) };
        let mut change = vec![format!("`{name}` in {own}, for good")];
        if let Some(setting) = setting {
            let whose = if setting.project { "" } else { "; a project's file may not set it" };
            change.push(format!("the variable {}, for one start: it wins over files{whose}", setting.variable));
        }
        change.extend(of_conversation(name).map(str::to_owned));
        let about = setting.map(|setting| setting.about.to_owned()).unwrap_or_default();
        rows.push(SettingLine { name: name.to_owned(), value, from: from.to_string(), about, change });
    }
    for (name, value, from) in resolved.providers.rows().chain(resolved.servers.rows()) {
        let table = name.rsplit_once('.').map_or("", |(table, _)| table);
        let change = vec![format!("`{name}` in {own}: the table [{table}]")];
        let (value, from) = (line(value), from.to_string());
        rows.push(SettingLine { name, value, from, about: String::new(), change });
    }
    rows
}

/// What changes a setting in the conversation, for as long as that lasts.
fn of_conversation(name: &str) -> Option<&'static str> {
    match name {
        "docs" => Some("/docs FOLDER, for this conversation"),
        "model" => Some("/model NAME, for this conversation"),
        _only_at_the_start => None,
    }
}
