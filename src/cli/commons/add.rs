//! `ii commons add`: a folder of documents into its collection; the conversation does the same.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use agent_runtime::signer::Signer;
use commons_index::{
    Collection, Declared, Embedded, Ingested, LinkKind, Metadata, SkipReason, Skipped, Vectored, language,
};
use receipts::Digest;
use serde_json::{Value, json};

use super::pages;
use crate::{
    cli::{Program, print_json, runs},
    config::Config,
    curations,
    exit::{Exit, Failure},
    failures::{from_journal, from_vectors},
    progress::Progress,
    show,
    wiring::{self, Stock},
};

/// What a person says of all documents of a folder. It is kept: an `add` that says nothing goes by what was said last.
#[derive(Debug, clap::Args)]
pub struct Said {
    /// Their licence.
    #[arg(long)]
    licence: Option<String>,
    /// Their language, as `en` or `de-AT`.
    #[arg(long)]
    language: Option<String>,
    /// Where they come from; behind a `/` at its end goes each document's path.
    #[arg(long)]
    source: Option<String>,
    /// Where JSON records keep something: `text=body`, `id=meta.key`. Of id, title, text, source, licence, language, date, revision.
    #[arg(long = "field", value_name = "WHAT=MEMBER")]
    fields: Vec<String>,
}

impl Said {
    /// As the index takes it; none when nothing is said.
    fn declared(&self) -> Result<Option<Declared>, Failure> {
        let wrong = |what: String, hint: &str| Failure::new(Exit::Usage, what, hint);
        let mut declared = Declared::default();
        for field in &self.fields {
            let set = field.split_once('=').is_some_and(|(what, member)| declared.fields.set(what, member));
            if !set {
                return Err(wrong(format!("no field {field}"), "write it as `text=body`"));
            }
        }
        let tag = self.language.as_deref().map(|tag| {
            language(tag).ok_or_else(|| wrong(format!("{tag} is no language"), "write it as `en` or `de-AT`"))
        });
        let (licence, source) = (self.licence.clone(), self.source.clone());
        declared.metadata = Metadata { licence, source, language: tag.transpose()?, ..Metadata::default() };
        Ok(Some(declared).filter(|declared| *declared != Declared::default()))
    }
}

pub(super) async fn run(
    program: &Program,
    folder: Option<PathBuf>,
    urls: Option<PathBuf>,
    model: Option<String>,
    said: &Said,
) -> Result<Exit, Failure> {
    let declared = said.declared()?;
    let (folder, urls) = (folder.as_deref(), urls.unwrap_or_default());
    let from = folder.map_or(Origin::List(&urls), Origin::Folder);
    let flags: Vec<_> = model.into_iter().map(|model| ("embeddings.model", model)).collect();
    let (config, _) = program.settings(&flags)?;
    let progress = Progress::new(program.json);
    let taken = take(program, &config, from, declared, &progress).await;
    progress.clear();
    let taken = taken?;
    if program.json {
        print_json(&taken.json());
        return Ok(Exit::Completed);
    }
    taken.by_the_way().iter().for_each(|line| eprintln!("ii: {line}"));
    taken.lines().iter().for_each(|line| println!("{line}"));
    Ok(Exit::Completed)
}

/// Where documents are taken from.
#[derive(Clone, Copy)]
pub(in crate::cli) enum Origin<'a> {
    /// A folder.
    Folder(&'a Path),
    /// Pages of a file of addresses.
    List(&'a Path),
}

/// What taking documents in came to.
pub(in crate::cli) struct Taken {
    index: Collection,
    done: Ingested,
    embedded: Embedded,
    /// Revisions that were sealed now, with their receipts.
    sealed: Vec<(i64, Digest)>,
    /// Pages that did not come.
    left_out: Vec<Skipped>,
}

/// Brings a collection up to its documents: taken in, sealed, and with vectors where the settings name a model. One that is
/// stopped on the way goes on where it was, the next time.
pub(in crate::cli) async fn take(
    program: &Program,
    config: &Config,
    from: Origin<'_>,
    declared: Option<Declared>,
    progress: &Progress,
) -> Result<Taken, Failure> {
    let signer = wiring::signer(&program.home, config, &program.wiring.clock)?;
    let by = (&signer, &program.wiring.clock);
    let began = Instant::now();
    let mut reading = |at| progress.reading(at, began);
    let (home, mut left_out) = (&program.home, Vec::new());
    let (mut index, done) = match from {
        Origin::Folder(folder) => {
            let stock = Stock::Folder(folder);
            wiring::ingest(home, stock, config, by, declared, &mut reading).await?
        }
        Origin::List(list) => {
            let pages = pages::start(home, config, pages::list(list)?, progress.clone())?;
            let name = list.canonicalize().unwrap_or_else(|_unreadable| list.to_owned()).display().to_string();
            let stock = Stock::List(&name, pages.given);
            let taken = wiring::ingest(home, stock, config, by, declared, &mut reading).await;
            left_out = pages.left_out.await.map_err(Failure::internal)?;
            taken.map_err(|failure| none_came(failure, &left_out))?
        }
    };
    let sealed = sealed(program, &index, &signer).await;
    let began = Instant::now();
    let embedded = index.embed(&mut |at| progress.embedding(at, began)).await;
    let embedded = embedded.map_err(|error| from_vectors(&error))?;
    Ok(Taken { index, done, embedded, sealed: sealed?, left_out })
}

/// Seals what is not sealed yet of a collection, and queues what is not queued yet for the ledger: also what a killed program left so.
pub(super) async fn sealed(
    program: &Program,
    index: &Collection,
    signer: &Signer,
) -> Result<Vec<(i64, Digest)>, Failure> {
    let sealed = curations::seal(index, signer, &program.wiring.clock).await?;
    if curations::waits(index, runs::reader(program).as_ref()).await? {
        let journal = wiring::journal(&program.home, &program.wiring.clock).await?;
        let queued = curations::queue(index, &journal).await;
        journal.close().await.map_err(|error| from_journal(&error))?;
        queued?;
    }
    Ok(sealed)
}

impl Taken {
    fn passed_over(&self) -> impl Iterator<Item = &Skipped> {
        self.left_out.iter().chain(&self.done.skipped)
    }

    fn json(&self) -> Value {
        let (index, done, embedded) = (&self.index, &self.done, &self.embedded);
        let skipped = self.passed_over().map(|one| json!({"path": one.path, "reason": one.reason.to_string()}));
        json!({"collection": index.collection(), "added": done.added, "replaced": done.replaced,
            "removed": done.removed, "unchanged": done.unchanged, "documents": done.documents,
            "duplicates": done.duplicates, "resumed": done.resumed, "passages": done.passages, "vectors": embedded.vectors,
            "embedded": embedded.made, "receipts": self.sealed.iter().map(receipt).collect::<Vec<_>>(),
            "skipped": skipped.collect::<Vec<_>>()})
    }

    /// What is worth knowing beside what it came to, a line each.
    pub(in crate::cli) fn by_the_way(&self) -> Vec<String> {
        let worth = self.passed_over().filter(|one| is_worth_a_line(&one.reason));
        let mut lines: Vec<String> = worth.map(|one| format!("left out: {}", show::plain(&one.to_string()))).collect();
        if self.done.resumed > 0 {
            let resumed = self.done.resumed;
            lines.push(format!("{resumed} of them were written by an ingest before this one that ended early"));
        }
        if self.done.duplicates > 0 {
            lines.push(format!("{} have the text of another one and are searched as that", self.done.duplicates));
        }
        lines
    }

    /// What it came to, and the receipts of it, a line each.
    pub(in crate::cli) fn lines(&self) -> Vec<String> {
        let done = &self.done;
        let vectors = match self.index.vectored() {
            Vectored::NoModel => "no vectors (no embeddings.model is set)".to_owned(),
            Vectored::Missing { model, passages } => format!("{passages} without a vector by {model}"),
            Vectored::Ready { model, .. } => format!("{} vectors by {model}", self.embedded.vectors),
        };
        let came_to = format!(
            "{}: {} added, {} replaced, {} removed, {} unchanged; {} documents, {} passages, {vectors}",
            self.index.collection(),
            done.added,
            done.replaced,
            done.removed,
            done.unchanged,
            done.documents,
            done.passages
        );
        let receipts =
            self.sealed.iter().map(|(revision, receipt)| format!("receipt {receipt} of revision {revision}"));
        [came_to].into_iter().chain(receipts).collect()
    }
}

fn receipt((revision, receipt): &(i64, Digest)) -> Value {
    json!({"revision": revision, "receipt": receipt})
}

/// Where no page came there was nothing to read, and why it did not come is the reason.
fn none_came(failure: Failure, left_out: &[Skipped]) -> Failure {
    match left_out.first() {
        Some(first) if failure.exit == Exit::Usage => {
            let what = format!("no page could be taken in; the first: {}", show::plain(&first.to_string()));
            Failure::new(Exit::Usage, what, "mend the list, or try again later")
        }
        Some(_) | None => failure,
    }
}

/// A link to what is in the folder anyway is no loss.
fn is_worth_a_line(reason: &SkipReason) -> bool {
    !matches!(reason, SkipReason::Link(LinkKind::Inside | LinkKind::Loop))
}
