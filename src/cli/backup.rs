//! `ii backup`: a copy of the journal in one file, also while runs go on. Keys are backed up by `ii keys backup`.

use std::path::PathBuf;

use super::Program;
use crate::{
    exit::{Exit, Failure},
    failures::from_journal,
    wiring,
};

/// Arguments of `ii backup`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file to write; it must not exist.
    file: PathBuf,
}

/// Runs the command.
pub(super) async fn run(args: Args, program: &Program) -> Result<Exit, Failure> {
    if args.file.exists() {
        let what = format!("{} exists", args.file.display());
        return Err(Failure::new(Exit::Usage, what, "name a new file"));
    }
    if !program.home.journal().is_file() {
        let what = format!("{} has no journal", program.home.root().display());
        return Err(Failure::new(Exit::Usage, what, "there is nothing to back up yet"));
    }
    let journal = wiring::journal(&program.home, &program.wiring.clock).await?;
    let done = journal.backup(&args.file).await;
    journal.close().await.map_err(|error| from_journal(&error))?;
    done.map_err(|error| from_journal(&error))?;
    eprintln!("ii: {} written; the keys are not in it: `ii keys backup DIR`", args.file.display());
    Ok(Exit::Completed)
}
