//! `ii search`: passages of a folder of documents for plain words.

use std::{path::PathBuf, sync::Arc, time::Instant};

use common_ground::port::index::{Index, Search};
use serde_json::json;

use super::{Program, print_json};
use crate::{
    exit::{Exit, Failure},
    progress::Progress,
    show, wiring,
};

/// Arguments of `ii search`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Plain words.
    query: String,
    /// Folder of documents.
    #[arg(long, value_name = "DIR")]
    docs: Option<PathBuf>,
    /// Most passages.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=50))]
    limit: u32,
}

/// Runs the command.
pub(super) async fn run(args: Args, program: &Program) -> Result<Exit, Failure> {
    let docs = args.docs.as_ref().map(|path| path.display().to_string());
    let flags = docs.map(|docs| vec![("docs", docs)]).unwrap_or_default();
    let (config, _) = program.settings(&flags)?;
    let Some(docs) = config.docs.clone() else {
        return Err(Failure::new(Exit::Usage, "no folder of documents is named", "name one with --docs"));
    };
    if args.query.trim().is_empty() {
        return Err(Failure::new(Exit::Usage, "the query has no words", "ii search \"plain words\" --docs DIR"));
    }
    let progress = Progress::new(program.json);
    let signer = Arc::new(wiring::signer(&program.home, &config, &program.wiring.clock)?);
    let began = Instant::now();
    let mut reading = |at| progress.reading(at, began);
    let (index, _) = wiring::ingest(&program.home, &docs, &config, &signer, None, &mut reading).await?;
    progress.clear();
    let search = Search { query: args.query, limit: args.limit };
    let hits = index.search(&search).await.map_err(Failure::internal)?;
    if program.json {
        let rows = hits.iter().map(|hit| {
            let passage = &hit.passage;
            json!({"passage": passage.id, "document": passage.document, "path": passage.path, "title": passage.title,
                "headings": passage.headings, "content": passage.content, "score_milli": hit.score_milli})
        });
        print_json(&json!({ "hits": rows.collect::<Vec<_>>() }));
        return Ok(Exit::Completed);
    }
    for (hit, number) in hits.iter().zip(1..) {
        let passage = &hit.passage;
        let span = passage.id.span;
        println!("[{number}] {}, bytes {}–{}", show::plain(&passage.path), span.start, span.end);
        println!("    {}", show::squeezed(&passage.content));
    }
    if hits.is_empty() {
        eprintln!("ii: nothing was found");
    }
    Ok(Exit::Completed)
}
