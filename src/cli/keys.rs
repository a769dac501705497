//! `ii keys`: the identities of this home.

use std::path::PathBuf;

use agent_runtime::signer::{self, KeyRow, Old, SignerPlan};
use common_ground::run::Phase;
use serde_json::json;

use super::{Program, print_json, runs};
use crate::{
    exit::{Exit, Failure},
    failures::{from_journal, from_signer},
};

/// Subcommands of `ii keys`.
#[derive(Debug, clap::Subcommand)]
pub enum Args {
    /// List keys by name, id and public key.
    List,
    /// Copy all keys into a new folder.
    Backup {
        /// The folder to make.
        dir: PathBuf,
    },
    /// Put a new key in place of one; what the old one signed stays good.
    Rotate {
        /// person, principal, verifier, node or associate-N.
        name: String,
    },
    /// Put a new key in place of one that leaked; what the old one signed is no longer believed.
    Revoke {
        /// person, principal, verifier, node or associate-N.
        name: String,
    },
}

/// Runs the command.
pub(super) async fn run(args: Args, program: &Program) -> Result<Exit, Failure> {
    match args {
        Args::List => list(program),
        Args::Backup { dir } => {
            let copied = signer::backup(&program.home, &dir).map_err(|error| from_signer(&error))?;
            eprintln!("ii: {} files copied to {}; keep them where only you can read them", copied.len(), dir.display());
            Ok(Exit::Completed)
        }
        Args::Rotate { name } => {
            all_over(program).await?;
            renew(program, &name, Old::Retired)
        }
        Args::Revoke { name } => renew(program, &name, Old::Revoked),
    }
}

/// A run that is not over still needs its keys: refuses to replace one under it. A revocation cannot wait.
async fn all_over(program: &Program) -> Result<(), Failure> {
    let Some(reader) = runs::reader(program) else { return Ok(()) };
    for row in reader.runs().await.map_err(|error| from_journal(&error))? {
        let (_, state) = runs::load(&reader, row.run).await?;
        if state.run().is_some_and(|run| !matches!(run.phase, Phase::Closed { .. })) {
            let what = format!("run {} is not over and needs its keys", row.run);
            return Err(Failure::new(Exit::Usage, what, "resume or cancel it first"));
        }
    }
    Ok(())
}

fn row_json(row: &KeyRow) -> serde_json::Value {
    json!({"name": row.name, "keyid": row.keyid, "public": row.public, "here": row.here})
}

fn list(program: &Program) -> Result<Exit, Failure> {
    let rows = signer::list(&program.home).map_err(|error| from_signer(&error))?;
    if program.json {
        print_json(&rows.iter().map(row_json).collect());
        return Ok(Exit::Completed);
    }
    if rows.is_empty() {
        eprintln!("ii: no keys yet; the first run makes them");
    }
    for row in rows {
        println!("{:<12} {} {}{}", row.name, row.keyid, row.public, if row.here { "" } else { "  (kept elsewhere)" });
    }
    Ok(Exit::Completed)
}

fn renew(program: &Program, name: &str, old: Old) -> Result<Exit, Failure> {
    let (config, _) = program.settings(&[])?;
    let plan = SignerPlan { root: config.root_key, associates: config.parallel, network: config.network };
    let now = program.wiring.clock.now_ms();
    let row = signer::renew(&program.home, &plan, name, old, now).map_err(|error| from_signer(&error))?;
    if program.json {
        print_json(&row_json(&row));
    } else {
        eprintln!("ii: {name} is now {}", row.keyid);
    }
    Ok(Exit::Completed)
}
