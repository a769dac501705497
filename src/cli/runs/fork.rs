//! `ii runs fork`: a run begun from another, as that was at one of its places. It stands still until it is resumed.

use std::sync::Arc;

use agent_runtime::{
    driver::{DriveError, Forked, fork},
    ids,
    journal::Journal,
};
use common_ground::RunId;
use serde_json::json;

use super::{
    super::{Program, driving, print_json},
    find,
};
use crate::{
    exit::{Exit, Failure},
    failures::from_drive,
    wiring,
};

/// Arguments of `ii runs fork`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run's id, or its beginning.
    run: String,
    /// The last fact of it that counts, from 1, as `seq` of its events; its last one without this.
    #[arg(long, value_name = "N")]
    at: Option<u64>,
}

/// Runs the command.
pub(super) async fn run(args: Args, program: &Program) -> Result<Exit, Failure> {
    let (_, of) = find(program, &args.run).await?;
    let journal = Arc::new(wiring::journal(&program.home, &program.wiring.clock).await?);
    let forked = begin(program, Arc::clone(&journal), of, args.at).await;
    driving::close(journal).await?;
    let forked = forked?;
    if program.json {
        print_json(&json!({"run": forked.run, "from": forked.origin, "kept": forked.kept, "anew": forked.anew}));
    } else {
        println!("{}", forked.run);
        eprintln!("ii: {}; go on with `ii runs resume {}`", words(&forked), forked.run);
    }
    Ok(Exit::Completed)
}

/// Forks a run.
pub(in crate::cli) async fn begin(
    program: &Program,
    journal: Arc<Journal>,
    of: RunId,
    place: Option<u64>,
) -> Result<Forked, Failure> {
    let (config, _) = program.settings(&[])?;
    let signer = wiring::signer(&program.home, &config, &program.wiring.clock)?;
    let now = program.wiring.clock.now_ms();
    let run = RunId(ids::new_v7(now).map_err(Failure::internal)?);
    let store = (program.wiring.store)(journal);
    match fork(&*store, run, (of, place), &signer.roster(), &program.wiring.clock).await {
        Err(error @ DriveError::NoPlace { facts, .. }) => {
            Err(Failure::new(Exit::Usage, error.to_string(), format!("name one from 1 to {facts} with --at")))
        }
        forked => forked.map_err(|error| from_drive(&error)),
    }
}

/// What a fork is, in words.
pub(in crate::cli) fn words(forked: &Forked) -> String {
    let Forked { origin, kept, anew, .. } = forked;
    let (stay, are) = (if *kept == 1 { "module stays" } else { "modules stay" }, if *anew == 1 { "is" } else { "are" });
    format!("run {} forked at place {}: {kept} {stay} accepted, {anew} {are} worked anew", origin.run, origin.place)
}
