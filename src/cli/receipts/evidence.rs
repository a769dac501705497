//! `ii receipts evidence`: what a ledger signed and contradicted itself by, as files that anybody checks offline.

use std::{fs, path::PathBuf};

use agent_runtime::publisher::{Contradiction, Pinned};
use receipts::ledger::evidence::Evidence;
use serde_json::json;

use super::{
    super::{Program, print_json, runs, verify::EVIDENCE},
    export::{unwritable, write},
};
use crate::{
    exit::{Exit, Failure},
    failures::from_journal,
};

/// Arguments of `ii receipts evidence`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder, which is made where it is not there.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Runs the command.
pub(super) async fn run(args: Args, program: &Program) -> Result<Exit, Failure> {
    let lift = |error| from_journal(&error);
    let (mut bodies, mut ledger) = (Vec::new(), None);
    if let Some(reader) = runs::reader(program) {
        bodies = reader.contradictions().await.map_err(lift)?;
        ledger = reader.ledger().await.map_err(lift)?;
    }
    let pinned = ledger.and_then(|row| serde_json::from_slice::<Pinned>(&row.pinned).ok());
    let mut files = Vec::new();
    for (number, body) in (1..).zip(&bodies) {
        let evidence = pinned.as_ref().and_then(|pinned| evidence(body, pinned));
        // Another ledger may be pinned since: its keys prove nothing about the one before.
        let Some(evidence) = evidence.filter(|evidence| evidence.check(None).is_ok()) else {
            let what = format!("contradiction {number} does not verify by the keys of the pinned ledger");
            return Err(Failure::new(Exit::Ledger, what, "`ii receipts status --json` shows it as it was kept"));
        };
        files
            .push((args.out.join(format!("{EVIDENCE}{number}.json")), evidence.to_bytes().map_err(Failure::internal)?));
    }
    if !files.is_empty() {
        fs::create_dir_all(&args.out).map_err(|error| unwritable(&args.out, &error))?;
    }
    for (path, bytes) in &files {
        write(path, bytes)?;
    }
    if program.json {
        print_json(&json!({"files": files.iter().map(|(path, _bytes)| path).collect::<Vec<_>>()}));
    } else if files.is_empty() {
        eprintln!("ii: no evidence: the ledger did not contradict itself");
    } else {
        let out = args.out.display();
        eprintln!("ii: {} pieces of evidence in {out}; check each with `ii verify FILE`", files.len());
    }
    Ok(Exit::Completed)
}

fn evidence(body: &[u8], pinned: &Pinned) -> Option<Evidence> {
    let ledger = &pinned.ledger;
    Some(match serde_json::from_slice(body).ok()? {
        Contradiction::Heads { one, other } => Evidence::of_heads(one, other, ledger.vkey.clone()),
        Contradiction::Blocks { one, other } => Evidence::of_blocks(*one, *other, ledger.validators.clone()),
    })
}
