//! `ii commons stats`: how large collections are.

use std::collections::BTreeMap;

use commons_index::{SearchedIn, SpaceUse};
use serde_json::{Value, json};

use super::{named, places};
use crate::{
    cli::{Program, print_json},
    exit::{Exit, Failure},
    failures::from_store,
    show::searched_in,
};

pub(super) async fn run(program: &Program, wanted: Option<&str>) -> Result<Exit, Failure> {
    let mut rows = Vec::new();
    let commons = places(program).await?;
    for name in named(&commons, wanted).await? {
        let index = commons.named(&name).await?;
        let mut kinds: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for document in index.documents().await.map_err(|error| from_store(&error))? {
            let (count, bytes) = kinds.entry(document.media).or_default();
            (*count, *bytes) = (*count + 1, *bytes + document.bytes);
        }
        let (_, passages) = index.counts();
        let (records, words) = index.bytes_on_disk();
        let spaces = index.spaces().await.map_err(|error| from_store(&error))?;
        if !program.json {
            println!("{name}: {passages} passages; on disk: records {records} bytes, word index {words} bytes");
            for (kind, (count, bytes)) in &kinds {
                println!("  {kind:<16} {count:>7} documents  {bytes:>12} bytes");
            }
            for space in &spaces {
                let SpaceUse { model, dimensions, passages, bytes, searched, .. } = space;
                let place = match searched {
                    SearchedIn::Home => format!("{bytes} bytes in this home"),
                    SearchedIn::Database => "searched in the database".to_owned(),
                };
                println!("  vectors by {model}: {passages} passages of {dimensions} numbers, {place}");
            }
        }
        let kinds =
            kinds.iter().map(|(kind, (count, bytes))| json!({"media": kind, "documents": count, "bytes": bytes}));
        rows.push(json!({"collection": name, "passages": passages, "kinds": kinds.collect::<Vec<_>>(),
            "records_bytes": records, "words_bytes": words, "vectors": spaces.iter().map(told).collect::<Vec<_>>()}));
    }
    if program.json {
        print_json(&json!({ "collections": rows }));
    }
    Ok(Exit::Completed)
}

fn told(space: &SpaceUse) -> Value {
    json!({"model": space.model, "space": space.space, "dimensions": space.dimensions, "passages": space.passages,
        "bytes": space.bytes, "searched": searched_in(space.searched)})
}
