//! `ii receipts`: receipts as files that other tools check, and their way to a ledger.

mod countersign;
mod disclose;
mod evidence;
mod export;
mod status;
mod submit;

use super::Program;
use crate::exit::{Exit, Failure};

/// Subcommands of `ii receipts`.
#[derive(Debug, clap::Subcommand)]
pub enum Args {
    /// Write the receipts of a run into a folder, one folder a module, and `trust.json`.
    Export(export::Args),
    /// Write the receipts of a run with the entries that a later beacon draws, so that somebody else can look at them.
    Disclose(disclose::Args),
    /// Verify receipts of others, and say so beside them with a key of your own.
    Countersign(countersign::Args),
    /// Write what a ledger contradicted itself by into files that anybody can check.
    Evidence(evidence::Args),
    /// Show where receipts are: sealed here, logged by a ledger, credited there.
    Status(status::Args),
    /// Hand receipts in, and wait until the ledger has credited them.
    Submit(submit::SubmitArgs),
    /// Go on handing in receipts and following the ledger until interrupted.
    Watch(submit::WatchArgs),
}

/// Runs the command.
pub(super) async fn run(args: Args, program: &Program) -> Result<Exit, Failure> {
    match args {
        Args::Export(args) => export::run(args, program).await,
        Args::Disclose(args) => disclose::run(args, program).await,
        Args::Countersign(args) => countersign::run(args, program).await,
        Args::Evidence(args) => evidence::run(args, program).await,
        Args::Status(args) => status::run(args, program).await,
        Args::Submit(args) => submit::submit(args, program).await,
        Args::Watch(args) => submit::watch(args, program).await,
    }
}
