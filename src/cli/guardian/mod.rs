//! `ii guardian`: what watches the runs of this home, what it found, and the orders of people.

mod advising;
mod briefs;
mod charters;
mod deliver;
pub(super) mod order;
pub(super) mod sentinel;
mod status;
mod watch;

use common_ground::Millis;
use guardian::Concern;
use serde::{Deserialize, Serialize};

use super::Program;
use crate::{
    exit::{Exit, Failure},
    guardians::Place,
};

/// Subcommands of `ii guardian`.
#[derive(Debug, clap::Subcommand)]
pub enum Args {
    /// Show charters, how far the watch has looked, and what it found.
    Status,
    /// Watch the runs of this home; what is found is kept and shown.
    Watch(watch::Args),
    /// Be a sentinel: read `ii journal follow` on stdin, print concerns and places on stdout, touch nothing else.
    Sentinel(sentinel::Args),
    /// Show what was found, what would happen next, and what can be done.
    Briefs(briefs::Args),
    /// Have something done to a run, by an order that you sign.
    #[command(subcommand)]
    Order(order::Args),
    /// Make, list and register charters.
    #[command(subcommand)]
    Charters(charters::Args),
}

/// What a sentinel prints, one JSON object a line.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Said {
    /// What it found.
    Concern(Concern),
    /// The place it has reached in a run.
    Place(Place),
    /// It has looked at everything up to the time it was told.
    Clock(Millis),
}

/// Runs the command. The sentinel runs before there is a runtime.
pub(super) async fn run(args: Args, program: &Program) -> Result<Exit, Failure> {
    match args {
        Args::Status => status::run(program),
        Args::Watch(args) => watch::run(args, program).await,
        Args::Sentinel(args) => sentinel::run(&args),
        Args::Briefs(args) => briefs::run(args, program).await,
        Args::Order(args) => order::run(args, program).await,
        Args::Charters(args) => charters::run(args, program).await,
    }
}
