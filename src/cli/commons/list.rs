//! `ii commons list`: which collections there are.

use serde_json::json;

use super::{folder, named, places};
use crate::{
    cli::{Program, print_json},
    exit::{Exit, Failure},
    show,
};

pub(super) async fn run(program: &Program) -> Result<Exit, Failure> {
    let mut rows = Vec::new();
    let commons = places(program).await?;
    for name in named(&commons, None).await? {
        let index = commons.named(&name).await?;
        let (documents, passages) = index.counts();
        let folder = folder(&index).await?;
        if !program.json {
            let of = folder.as_deref().map_or_else(|| format!("as {}", show::plain(&index.origin())), show::plain);
            println!("{name}  {documents:>7} documents  {passages:>8} passages  {of}");
        }
        rows.push(json!({"collection": name, "folder": folder, "documents": documents, "passages": passages,
            "heads": common_ground::port::index::Index::heads(&index)}));
    }
    if program.json {
        print_json(&json!({ "collections": rows }));
    } else if rows.is_empty() {
        eprintln!("ii: there is none; `ii commons add DIR` begins one");
    }
    Ok(Exit::Completed)
}
