//! `ii commons add`: a folder of documents into its collection.

use std::{path::Path, time::Instant};

use commons_index::{LinkKind, SkipReason, Vectored};
use serde_json::json;

use crate::{
    cli::{Program, print_json},
    exit::{Exit, Failure},
    failures::from_vectors,
    progress::Progress,
    show, wiring,
};

pub(super) async fn run(program: &Program, folder: &Path, model: Option<String>) -> Result<Exit, Failure> {
    let flags: Vec<_> = model.into_iter().map(|model| ("embeddings.model", model)).collect();
    let (config, _) = program.settings(&flags)?;
    let progress = Progress::new(program.json);
    let signer = wiring::signer(&program.home, &config, &program.wiring.clock)?;
    let began = Instant::now();
    let mut reading = |at| progress.reading(at, began);
    let (mut index, done) = wiring::ingest(&program.home, folder, &config, &signer, &mut reading).await?;
    let began = Instant::now();
    let embedded = index.embed(&mut |at| progress.embedding(at, began)).await;
    progress.clear();
    let embedded = embedded.map_err(|error| from_vectors(&error))?;
    if program.json {
        let skipped = done.skipped.iter().map(|one| json!({"path": one.path, "reason": one.reason.to_string()}));
        print_json(&json!({"collection": index.collection(), "added": done.added, "replaced": done.replaced,
            "removed": done.removed, "unchanged": done.unchanged, "documents": done.documents,
            "passages": done.passages, "vectors": embedded.vectors, "embedded": embedded.made, "skipped": skipped.collect::<Vec<_>>()}));
        return Ok(Exit::Completed);
    }
    for one in done.skipped.iter().filter(|one| is_worth_a_line(&one.reason)) {
        eprintln!("ii: left out: {}", show::plain(&one.to_string()));
    }
    let vectors = match index.vectored() {
        Vectored::NoModel => "no vectors (no embeddings.model is set)".to_owned(),
        Vectored::Missing { model, passages } => format!("{passages} without a vector by {model}"),
        Vectored::Ready { model } => format!("{} vectors by {model}", embedded.vectors),
    };
    println!(
        "{}: {} added, {} replaced, {} removed, {} unchanged; {} documents, {} passages, {vectors}",
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
