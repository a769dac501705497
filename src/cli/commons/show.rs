//! `ii commons show`: a collection's documents and revisions.

use serde_json::json;

use super::{folder, places};
use crate::{
    cli::{Program, print_json},
    exit::{Exit, Failure},
    failures::from_store,
    show,
};

pub(super) async fn run(program: &Program, wanted: &str) -> Result<Exit, Failure> {
    let commons = places(program).await?;
    let name = commons.find(wanted).await?;
    let index = commons.named(&name).await?;
    let folder = folder(&index).await?;
    let documents = index.documents().await.map_err(|error| from_store(&error))?;
    let keeper = index.kept().map_or_else(|| commons.key().to_owned(), |kept| kept.vkey.clone());
    let revisions = index.revisions().await.map_err(|error| from_store(&error))?;
    if program.json {
        let documents = documents.iter().map(|one| {
            json!({"path": one.path, "title": one.title, "document": one.document, "bytes": one.bytes,
                "media": one.media, "source": one.metadata.source, "licence": one.metadata.licence,
                "revision": one.metadata.revision, "language": one.metadata.language, "date": one.metadata.date})
        });
        let revisions = revisions.iter().map(|one| {
            json!({"revision": one.number, "size": one.size, "root": one.root, "documents": one.documents,
                "passages": one.passages, "checkpoint": String::from_utf8_lossy(&one.checkpoint)})
        });
        print_json(&json!({"collection": name, "folder": folder, "origin": index.origin(), "keeper": keeper,
            "documents": documents.collect::<Vec<_>>(), "revisions": revisions.collect::<Vec<_>>()}));
        return Ok(Exit::Completed);
    }
    println!("{name}  {}", folder.as_deref().map_or("its folder is not known".to_owned(), show::plain));
    println!("  {}, kept under {}", show::plain(&index.origin()), show::plain(&keeper));
    for one in &documents {
        println!("  {:>10} bytes  {}  {}", one.bytes, show::plain(&one.path), show::squeezed(&one.title));
        let about = &one.metadata;
        let known = [&about.source, &about.licence, &about.revision, &about.language, &about.date];
        let known: Vec<String> = known.into_iter().flatten().map(|value| show::plain(value)).collect();
        if !known.is_empty() {
            println!("                    {}", known.join("; "));
        }
    }
    for one in &revisions {
        println!("revision {}: {} documents, {} entries, root {}", one.number, one.documents, one.size, one.root);
    }
    Ok(Exit::Completed)
}
