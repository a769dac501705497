//! `ii search`: passages of a folder of documents for plain words.

use std::{path::PathBuf, sync::Arc, time::Instant};

use common_ground::port::index::{By, Filter, Hit, Index, IndexError, Passage, Search};
use commons_index::{Collection, Vectored};
use serde_json::{Value, json};

use super::{Program, print_json};
use crate::{
    exit::{Exit, Failure},
    progress::Progress,
    show,
    wiring::{self, Sources},
};

/// Arguments of `ii search`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Plain words.
    query: String,
    /// Folder of documents.
    #[arg(long, value_name = "DIR")]
    docs: Option<PathBuf>,
    /// A collection by its name or the beginning of it, as it is; instead of a folder. Several are searched together.
    #[arg(long, value_name = "NAME", conflicts_with = "docs")]
    collection: Vec<String>,
    /// Most passages.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=50))]
    limit: u32,
    /// What passages are ranked by.
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = Ranked::Best)]
    by: Ranked,
    /// Search again so many times with what was found, for passages that the words do not name.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=3))]
    hops: u32,
    /// Most passages of one document.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=50))]
    per_document: Option<u32>,
    /// Show so many passages before and after each one in its document.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=3))]
    beside: u32,
    /// Show what each score is made of.
    #[arg(long)]
    explain: bool,
    #[command(flatten)]
    only: Only,
}

/// What passages are ranked by.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Ranked {
    /// Words and vectors together where the collection has vectors, else words.
    Best,
    /// Words alone.
    Words,
    /// Vectors alone.
    Vectors,
}

/// Which documents are looked at; of an option given several times one has to fit.
#[derive(Debug, clap::Args)]
struct Only {
    /// Only documents whose path or source begins so.
    #[arg(long = "source", value_name = "BEGINNING")]
    sources: Vec<String>,
    /// Only documents under this licence.
    #[arg(long = "licence", value_name = "NAME")]
    licences: Vec<String>,
    /// Only documents in this language, such as en or de-AT.
    #[arg(long = "language", value_name = "TAG")]
    languages: Vec<String>,
    /// Only documents of this date or later: YYYY, YYYY-MM or YYYY-MM-DD.
    #[arg(long, value_name = "DATE")]
    since: Option<String>,
    /// Only documents of this date or earlier.
    #[arg(long, value_name = "DATE")]
    until: Option<String>,
}

impl Only {
    fn filter(self) -> Filter {
        let Self { sources, licences, languages, since, until } = self;
        Filter { sources, licences, languages, since, until, collections: Vec::new() }
    }
}

/// Runs the command.
pub(super) async fn run(args: Args, program: &Program) -> Result<Exit, Failure> {
    let docs = args.docs.as_ref().map(|path| path.display().to_string());
    let flags = docs.map(|docs| vec![("docs", docs)]).unwrap_or_default();
    let (config, _) = program.settings(&flags)?;
    let sources = Sources::of(args.collection, &config)?;
    if args.query.trim().is_empty() {
        return Err(Failure::new(Exit::Usage, "the query has no words", "ii search \"plain words\" --docs DIR"));
    }
    let progress = Progress::new(program.json);
    let signer = Arc::new(wiring::signer(&program.home, &config, &program.wiring.clock)?);
    let began = Instant::now();
    let mut reading = |at| progress.reading(at, began);
    let (mut index, _skipped) =
        sources.open(&program.home, &config, (&signer, &program.wiring.clock), &mut reading).await?;
    let began = Instant::now();
    let said = wiring::few_vectors(&mut index, &mut |at| progress.embedding(at, began)).await?;
    progress.clear();
    if let Some(said) = said.filter(|_| !program.json) {
        eprintln!("ii: {said}");
    }
    let by = match args.by {
        Ranked::Best => By::Best,
        Ranked::Words => By::Words,
        Ranked::Vectors => By::Vectors,
    };
    let (hops, per_document, filter) = (args.hops, args.per_document, args.only.filter());
    let search = Search { query: args.query, limit: args.limit, by, filter, hops, per_document };
    let vectored: Vec<Vectored> = index.collections().iter().map(Collection::vectored).collect();
    let index: Arc<dyn Index> = match by {
        By::Best => wiring::answering(index, &program.home, &config).await?,
        By::Words | By::Vectors => Arc::new(index),
    };
    let hits = index.search(&search).await.map_err(|error| from_index(&error))?;
    let mut rows = Vec::new();
    for hit in &hits {
        let beside = match args.beside {
            0 => Vec::new(),
            most => index.beside(&hit.passage.id, most).await.map_err(|error| from_index(&error))?,
        };
        rows.push((hit, beside));
    }
    if program.json {
        let rows: Vec<_> = rows.iter().map(|(hit, beside)| row(hit, beside)).collect();
        print_json(&json!({ "hits": rows }));
        return Ok(Exit::Completed);
    }
    for one in vectored.into_iter().filter(|_one| args.explain && by != By::Words) {
        if let Vectored::Ready { model, searched } = one {
            println!("vectors by {}, searched in the {}", show::plain(&model), show::searched_in(searched));
        }
    }
    for ((hit, beside), number) in rows.iter().zip(1..) {
        let (passage, start) = (&hit.passage, hit.passage.id.span.start);
        println!("[{number}] {}", place(passage));
        for before in beside.iter().filter(|other| other.id.span.start < start) {
            println!("    … {}", show::squeezed(&before.content));
        }
        println!("    {}", show::squeezed(&passage.content));
        for after in beside.iter().filter(|other| other.id.span.start > start) {
            println!("    … {}", show::squeezed(&after.content));
        }
        if args.explain {
            println!("    {}", explained(hit, &hits));
        }
    }
    if hits.is_empty() {
        eprintln!("ii: nothing was found");
    }
    Ok(Exit::Completed)
}

/// A hit in JSON; what stands beside it only where that is asked for and there is some.
fn row(hit: &Hit, beside: &[Passage]) -> Value {
    let passage = &hit.passage;
    let mut row = json!({"passage": passage.id, "document": passage.document, "path": passage.path,
        "title": passage.title, "headings": passage.headings, "content": passage.content,
        "score_milli": hit.score_milli, "why": hit.why});
    if let Some(collection) = &passage.collection {
        row["collection"] = json!(collection);
    }
    if !beside.is_empty() {
        let beside = beside.iter().map(|other| json!({"passage": other.id, "content": other.content}));
        row["beside"] = beside.collect();
    }
    row
}

/// Where a passage stands.
fn place(passage: &Passage) -> String {
    let collection = passage.collection.as_ref().map(|name| format!("{name}:")).unwrap_or_default();
    let span = passage.id.span;
    format!("{collection}{}, bytes {}–{}", show::plain(&passage.path), span.start, span.end)
}

/// What a score is made of, in one line.
fn explained(hit: &Hit, hits: &[Hit]) -> String {
    let why = hit.why.unwrap_or_default();
    let words =
        why.words_milli.map_or("none of the words".to_owned(), |milli| format!("words {:.3}", milli as f64 / 1e3));
    let vectors =
        why.vectors_micro.map_or("no vectors".to_owned(), |micro| format!("vectors {:.4}", micro as f64 / 1e6));
    let through = why.through.map(|id| match hits.iter().zip(1..).find(|(other, _)| other.passage.id == id) {
        Some((_other, number)) => format!(", through [{number}]"),
        None => format!(", through text {}, bytes {}–{}", id.text, id.span.start, id.span.end),
    });
    let through = through.unwrap_or_default();
    let judged =
        why.relevance_micro.map(|micro| format!(", relevance {:.4}", f64::from(micro) / 1e6)).unwrap_or_default();
    format!("score {:.3}: {words}, {vectors}{judged}{through}", hit.score_milli as f64 / 1e3)
}

fn from_index(error: &IndexError) -> Failure {
    let what = error.to_string();
    match error {
        IndexError::NoVectors { .. } => Failure::new(
            Exit::Usage,
            what,
            "`ii commons add DIR --embeddings MODEL` makes them, `make models` fetches a model; or leave out --by",
        ),
        IndexError::BadDate { .. } => Failure::new(Exit::Usage, what, "such as --since 2024-05"),
        IndexError::Unavailable { .. } => Failure::new(Exit::Model, what, "--by words searches without vectors"),
        IndexError::UnknownText { .. } | IndexError::BadSpan { .. } | IndexError::Damaged { .. } => {
            Failure::internal(what)
        }
    }
}
