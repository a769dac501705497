//! The command line: one command, one file, all with the same parts: `Args`, then `run`.
//!
//! Results go to stdout, everything else to stderr. With `--json`, stdout holds JSON only.

mod approvals;
mod backup;
mod commons;
mod completions;
mod config;
mod doctor;
mod driving;
mod events;
mod eyes;
mod guardian;
mod journal;
mod keys;
mod mcp;
mod models;
mod receipts;
mod restore;
mod run;
mod runs;
mod search;
mod tools;
mod verify;

use std::{ffi::OsString, path::Path};

use agent_runtime::home::Home;
use tracing_subscriber::{layer::SubscriberExt, util::SubscriberInitExt};

use clap::{Parser, Subcommand, error::ErrorKind};

use crate::{
    config::{Config, Places, Resolved, resolve},
    exit::{Exit, Failure},
    wiring::Wiring,
};

/// An open agent that a person owns: answers from your documents, checked by another than the worker, with receipts a
/// stranger can verify. No telemetry.
#[derive(Debug, Parser)]
#[command(name = "ii", version, max_term_width = 100, arg_required_else_help = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
    /// Print JSON on stdout.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Talk with your agent in the terminal; `ii` alone opens it too.
    Eyes(eyes::Args),
    /// Answer a question from a folder of documents.
    Run(Box<run::Args>),
    /// Verify the receipts of a run, a receipt file, or an exported folder.
    Verify(verify::Args),
    /// List, show, resume, fork, cancel or delete runs; say something to a module.
    #[command(subcommand)]
    Runs(runs::Args),
    /// Find passages in a folder of documents.
    Search(search::Args),
    /// Add, search, list, show, verify and compare collections of documents.
    #[command(subcommand)]
    Commons(commons::Args),
    /// Serve run, status, search and verify to other agents, over the Model Context Protocol on stdin and stdout.
    Mcp(mcp::Args),
    /// List, show and call tools.
    #[command(subcommand)]
    Tools(tools::Args),
    /// List and answer the questions that wait for you.
    #[command(subcommand)]
    Approvals(approvals::Args),
    /// Watch runs, read briefs, sign orders and charters.
    #[command(subcommand)]
    Guardian(guardian::Args),
    /// Follow the journal as lines.
    #[command(subcommand)]
    Journal(journal::Args),
    /// Export the receipts of a run.
    #[command(subcommand)]
    Receipts(receipts::Args),
    /// List, back up, rotate or revoke keys.
    #[command(subcommand)]
    Keys(keys::Args),
    /// List, try and measure models.
    #[command(subcommand)]
    Models(models::Args),
    /// Show settings and where they came from; trust a project's settings.
    #[command(subcommand)]
    Config(config::Args),
    /// Print what bash, zsh or fish loads to complete commands.
    Completions(completions::Args),
    /// Write a copy of the journal to a file, also while runs go on.
    Backup(backup::Args),
    /// Make an empty home from a backup.
    Restore(restore::Args),
    /// Check the home without changing it, and name what is wrong.
    Doctor(doctor::Args),
}

/// What every command gets.
pub(crate) struct Program {
    pub wiring: Wiring,
    pub places: Places,
    pub home: Home,
    pub json: bool,
}

impl Program {
    /// Settings with this command's flags on top.
    fn settings(&self, flags: &[(&'static str, String)]) -> Result<(Config, Resolved), Failure> {
        let resolved = resolve(&self.places, |name| std::env::var(name).ok(), flags)?;
        let config = Config::from_resolved(&resolved)?;
        Ok((config, resolved))
    }
}

/// Runs the program to its end.
pub fn main(arguments: impl IntoIterator<Item = OsString>, wiring: Wiring) -> Exit {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let parsed = if eyes::opens(&arguments) {
        CommandLine { command: Command::Eyes(eyes::Args::default()), json: false }
    } else {
        match CommandLine::try_parse_from(arguments) {
            Ok(parsed) => parsed,
            Err(error) => return explain(&error),
        }
    };
    log_if_asked();
    match dispatch(parsed, wiring) {
        Ok(exit) => exit,
        Err(failure) => {
            eprintln!("ii: {failure}");
            failure.exit
        }
    }
}

/// Help and version as they are; mistakes as one line.
fn explain(error: &clap::Error) -> Exit {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            print!("{error}");
            Exit::Completed
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            eprint!("{error}");
            Exit::Usage
        }
        _mistake => {
            let text = error.to_string();
            let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            let first = lines.next().unwrap_or_default().trim_start_matches("error: ");
            let more: Vec<&str> =
                lines.take_while(|line| !line.starts_with("Usage") && !line.starts_with("For more")).collect();
            let first = first.trim_end_matches(':');
            let what = if more.is_empty() { first.to_owned() } else { format!("{first}: {}", more.join(" ")) };
            eprintln!("ii: {what}; see `ii --help`");
            Exit::Usage
        }
    }
}

/// Spans of work on stderr when `II_LOG` asks, in tracing's filter form. Never prompts, outputs or secrets.
fn log_if_asked() {
    if let Ok(filter) = tracing_subscriber::EnvFilter::try_from_env("II_LOG") {
        let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
        let shown = tracing_subscriber::filter::filter_fn(|span| may_be_logged(span.target()));
        let log = tracing_subscriber::registry().with(filter).with(shown).with(lines);
        if let Err(error) = log.try_init() {
            eprintln!("ii: no log: {error}");
        }
    }
}

/// Whether what logs under this name keeps to that: async-openai logs pieces of answers that it cannot read, and the HTTP
/// libraries log headers at their finest levels.
fn may_be_logged(target: &str) -> bool {
    !["async_openai", "reqwest", "hyper", "hyper_util", "h2", "rustls"]
        .iter()
        .any(|silent| target.strip_prefix(silent).is_some_and(|rest| rest.is_empty() || rest.starts_with("::")))
}

fn dispatch(parsed: CommandLine, wiring: Wiring) -> Result<Exit, Failure> {
    // Before anything is opened: it shall have nothing.
    if let Command::Guardian(guardian::Args::Sentinel(args)) = &parsed.command {
        return guardian::sentinel::run(args);
    }
    if let Command::Completions(args) = &parsed.command {
        return Ok(completions::run(args, parsed.json));
    }
    let here = std::env::current_dir().map_err(|error| {
        Failure::new(Exit::Usage, format!("the working folder cannot be read: {error}"), "change to another folder")
    })?;
    let places = Places::find(|name| std::env::var(name).ok(), &here)?;
    let home = Home::at(places.home.clone());
    let program = Program { wiring, places, home, json: parsed.json };
    if let Command::Config(args) = parsed.command {
        return config::run(args, &program);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::internal(format!("no runtime: {error}")))?;
    let ended = runtime.block_on(async {
        match parsed.command {
            Command::Eyes(args) => eyes::run(args, &program).await,
            Command::Run(args) => run::run(*args, &program).await,
            Command::Verify(args) => verify::run(args, &program).await,
            Command::Runs(args) => runs::run(args, &program).await,
            Command::Search(args) => search::run(args, &program).await,
            Command::Commons(args) => commons::run(args, &program).await,
            Command::Mcp(args) => mcp::run(args, &program).await,
            Command::Tools(args) => tools::run(args, &program).await,
            Command::Approvals(args) => approvals::run(args, &program).await,
            Command::Guardian(args) => guardian::run(args, &program).await,
            Command::Journal(args) => journal::run(args, &program).await,
            Command::Receipts(args) => receipts::run(args, &program).await,
            Command::Keys(args) => keys::run(args, &program).await,
            Command::Models(args) => models::run(args, &program).await,
            Command::Config(args) => config::run(args, &program),
            Command::Completions(args) => Ok(completions::run(&args, program.json)),
            Command::Backup(args) => backup::run(args, &program).await,
            Command::Restore(args) => restore::run(args, &program).await,
            Command::Doctor(args) => doctor::run(args, &program).await,
        }
    });
    // With it go the last tools, which remove what they had.
    drop(runtime);
    crate::hands::settle();
    ended
}

/// Prints a JSON value as the whole of stdout.
fn print_json(value: &serde_json::Value) {
    println!("{value:#}");
}

/// A path for people.
fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::may_be_logged;

    #[test]
    fn libraries_that_log_what_they_carry_are_silent() {
        for (target, expected) in [
            ("async_openai::client", false),
            ("hyper_util::client::legacy::pool", false),
            ("reqwest", false),
            ("agent_runtime::models::openai::transport", true),
            ("hyperbole", true),
        ] {
            assert_eq!(may_be_logged(target), expected, "{target}");
        }
    }
}
