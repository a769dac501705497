//! `ii restore`: an empty home from a backup.

use std::path::PathBuf;

use agent_runtime::journal::Journal;

use super::Program;
use crate::{
    exit::{Exit, Failure},
    failures::from_journal,
};

/// Arguments of `ii restore`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A file that `ii backup` wrote.
    file: PathBuf,
}

/// Runs the command.
pub(super) async fn run(args: Args, program: &Program) -> Result<Exit, Failure> {
    if !args.file.is_file() {
        let what = format!("no such file: {}", args.file.display());
        return Err(Failure::new(Exit::Usage, what, "name a file that `ii backup` wrote"));
    }
    Journal::restore(&program.home, &args.file).await.map_err(|error| from_journal(&error))?;
    eprintln!("ii: {} restored; put its keys/ back too before going on with a run", program.home.root().display());
    Ok(Exit::Completed)
}
