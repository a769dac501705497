//! `ii commons diff`: what lies between two revisions of a collection.

use serde_json::json;

use super::places;
use crate::{
    cli::{Program, print_json},
    exit::{Exit, Failure},
    failures::from_store,
    show,
};

pub(super) async fn run(program: &Program, wanted: &str, from: u64, to: Option<u64>) -> Result<Exit, Failure> {
    let commons = places(program).await?;
    let index = commons.named(&commons.find(wanted).await?).await?;
    let changes = index.changes(from, to).await.map_err(|error| from_store(&error))?;
    if program.json {
        let head = |one: &commons_index::Revision| {
            json!({"revision": one.number, "size": one.size, "root": one.root,
                "checkpoint": String::from_utf8_lossy(&one.checkpoint)})
        };
        let entries = changes.entries.iter().map(|row| {
            json!({"op": row.op.word(), "path": row.path, "document": row.document, "bytes": row.bytes,
                "media": row.media})
        });
        print_json(&json!({"from": changes.from.as_ref().map(head), "to": head(&changes.to),
            "entries": entries.collect::<Vec<_>>(), "consistency": changes.proof}));
        return Ok(Exit::Completed);
    }
    for row in &changes.entries {
        println!("{:<8} {}  {}", row.op.word(), show::plain(&row.path), row.document);
    }
    let from = changes.from.as_ref().map_or(0, |from| from.number);
    println!(
        "{} entries from revision {from} to {}; the later corpus begins with all of the earlier one (proved)",
        changes.entries.len(),
        changes.to.number
    );
    Ok(Exit::Completed)
}
