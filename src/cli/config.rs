//! `ii config`: what is set, by whom, and whose project files are read.

use std::path::PathBuf;

use serde_json::json;

use super::{Program, print_json};
use crate::{
    config::{self, Resolved},
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

/// A value in one line: the items of a list stand a line each.
fn line(value: &str) -> String {
    value.replace('\n', ", ")
}

fn show(program: &Program) -> Result<Exit, Failure> {
    let (_, resolved) = program.settings(&[])?;
    if program.json {
        let settings = resolved.rows().map(|(name, value, from)| (name.to_owned(), value, from));
        let rows: Vec<_> = settings
            .chain(resolved.providers.rows())
            .chain(resolved.servers.rows())
            .map(|(name, value, from)| json!({"name": name, "value": value, "from": from.to_string()}))
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
pub(super) fn lines(program: &Program, resolved: &Resolved) -> Vec<String> {
    let mut lines = vec![format!("home = {}", program.places.home.display())];
    for (name, value, from) in resolved.rows() {
        let value = if value.is_empty() { "(none)".to_owned() } else { line(value) };
        lines.push(format!("{name} = {value}  # {from}"));
    }
    for (name, value, from) in resolved.providers.rows().chain(resolved.servers.rows()) {
        lines.push(format!("{name} = {}  # {from}", line(value)));
    }
    lines
}
