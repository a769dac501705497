//! `ii commons add`: a folder of documents into its collection.

use std::{path::Path, time::Instant};

use commons_index::{LinkKind, SkipReason};
use serde_json::json;

use crate::{
    cli::{Program, print_json},
    exit::{Exit, Failure},
    progress::Progress,
    show, wiring,
};

pub(super) async fn run(program: &Program, folder: &Path) -> Result<Exit, Failure> {
    let (config, _) = program.settings(&[])?;
    let progress = Progress::new(program.json);
    let signer = wiring::signer(&program.home, &config, &program.wiring.clock)?;
    let began = Instant::now();
    let mut reading = |at| progress.reading(at, began);
    let (index, done) = wiring::ingest(&program.home, folder, &config, &signer, &mut reading).await?;
    progress.clear();
    if program.json {
        let skipped = done.skipped.iter().map(|one| json!({"path": one.path, "reason": one.reason.to_string()}));
        print_json(&json!({"collection": index.collection(), "added": done.added, "replaced": done.replaced,
            "removed": done.removed, "unchanged": done.unchanged, "documents": done.documents,
            "passages": done.passages, "skipped": skipped.collect::<Vec<_>>()}));
        return Ok(Exit::Completed);
    }
    for one in done.skipped.iter().filter(|one| is_worth_a_line(&one.reason)) {
        eprintln!("ii: left out: {}", show::plain(&one.to_string()));
    }
    println!(
        "{}: {} added, {} replaced, {} removed, {} unchanged; {} documents, {} passages",
        index.collection(),
        done.added,
        done.replaced,
        done.removed,
        done.unchanged,
        done.documents,
        done.passages
    );
    Ok(Exit::Completed)
}

/// A link to what is in the folder anyway is no loss.
fn is_worth_a_line(reason: &SkipReason) -> bool {
    !matches!(reason, SkipReason::Link(LinkKind::Inside | LinkKind::Loop))
}
