//! `ii run`: a question and a folder of documents become a checked report.

use std::{
    io::{IsTerminal, Read},
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use agent_runtime::{
    driver::{End, Parts, Placed, Start, drive},
    ids,
    journal::Journal,
    signer::Signer,
};
use common_ground::{
    RunId,
    budget::Amount,
    criterion::Criterion,
    port::index::Index,
    report::Report,
    run::{PauseReason, Task},
};
use receipts::Digest;
use tokio::sync::Notify;

use super::{Program, events};
use crate::{
    config::Config,
    exit::{Exit, Failure},
    failures::{from_drive, from_journal},
    progress::{Progress, Tally},
    show, wiring,
};

/// Longest question, in bytes. More belongs into a document.
const LONGEST_QUESTION: usize = 64 * 1024;

/// Arguments of `ii run`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The question; `-` reads it from stdin.
    question: String,
    /// Folder of documents (.md, .txt, .html) that the answer comes from.
    #[arg(long, value_name = "DIR")]
    docs: Option<PathBuf>,
    /// The model that plays the roles; `extractive` needs no weights, no key and no network.
    #[arg(long)]
    model: Option<String>,
    /// Most passages cited.
    #[arg(long, value_name = "N")]
    max_passages: Option<u32>,
    /// Most words of answer.
    #[arg(long, value_name = "N")]
    max_words: Option<u32>,
    /// Fewest different documents an answer cites.
    #[arg(long, value_name = "N")]
    min_sources: Option<u32>,
    /// JSON Schema that every deliverable must match.
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// Modules worked on at once.
    #[arg(long, value_name = "N")]
    parallel: Option<u32>,
    /// Tries a module has.
    #[arg(long, value_name = "N")]
    attempts: Option<u32>,
    /// Most tool calls of the run.
    #[arg(long, value_name = "N")]
    budget_tool_calls: Option<u64>,
    /// Most model tokens of the run.
    #[arg(long, value_name = "N")]
    budget_tokens: Option<u64>,
    /// Wall time in seconds after which the run pauses.
    #[arg(long, value_name = "SECONDS")]
    wall: Option<u64>,
}

impl Args {
    fn flags(&self) -> Vec<(&'static str, String)> {
        let mut flags = Vec::new();
        let mut flag = |name, value: Option<String>| flags.extend(value.map(|value| (name, value)));
        flag("docs", self.docs.as_ref().map(|path| path.display().to_string()));
        flag("model", self.model.clone());
        flag("report.max_passages", self.max_passages.map(|n| n.to_string()));
        flag("report.max_words", self.max_words.map(|n| n.to_string()));
        flag("report.min_sources", self.min_sources.map(|n| n.to_string()));
        flag("run.parallel", self.parallel.map(|n| n.to_string()));
        flag("run.attempts", self.attempts.map(|n| n.to_string()));
        flag("budget.tool_calls", self.budget_tool_calls.map(|n| n.to_string()));
        flag("budget.tokens", self.budget_tokens.map(|n| n.to_string()));
        flag("budget.wall_seconds", self.wall.map(|n| n.to_string()));
        flags
    }
}

/// Runs the command.
pub(super) async fn run(args: Args, program: &Program) -> Result<Exit, Failure> {
    let question = question(&args.question)?;
    let schema = args.schema.as_deref().map(schema).transpose()?;
    let (config, resolved) = program.settings(&args.flags())?;
    // What a run is made of takes one model, the extractive engine: another is refused, not replaced.
    let models = [&config.models.principal, &config.models.associate, &config.models.verifier];
    if let Some(other) = models.into_iter().find(|model| *model != "extractive") {
        let what = format!("runs do not use model {other} in this build");
        return Err(Failure::new(Exit::Configuration, what, "use --model extractive; `ii models probe` tries others"));
    }
    let Some(docs) = config.docs.clone() else {
        return Err(Failure::new(Exit::Usage, "no folder of documents is named", "name one with --docs"));
    };
    if let Some(file) = &resolved.untrusted {
        eprintln!("ii: {file} is not trusted and was not read; `ii config trust` reads it from now on");
    }
    let progress = Progress::new(program.json);
    let journal = Arc::new(wiring::journal(&program.home, &program.wiring.clock).await?);
    let signer = Arc::new(wiring::signer(&program.home, &config, &program.wiring.clock)?);
    let began = Instant::now();
    let mut reading = |at| progress.reading(at, began);
    let (index, ingested) = wiring::ingest(&program.home, &docs, &config, &signer, &mut reading).await?;
    progress.say(format!("{} documents, {} passages", ingested.documents, ingested.passages));
    if !ingested.skipped.is_empty() {
        skipped(&progress, &ingested.skipped);
    }
    let task = task(question, schema, &config, index.collection(), index.heads());
    let now = program.wiring.clock.now_ms();
    let run = RunId(ids::new_v7(now).map_err(Failure::internal)?);
    let start = Start::New { task: Box::new(task), roster: signer.roster() };
    let ended = go(program, Arc::clone(&journal), signer, Arc::new(index), &progress, run, start).await;
    close(journal).await?;
    ended
}

/// Files passed over, named: all of them when few.
fn skipped(progress: &Progress, skipped: &[commons_index::Skipped]) {
    const NAMED: usize = 5;
    for one in skipped.iter().take(NAMED) {
        progress.say(format!("passed over {one}"));
    }
    if skipped.len() > NAMED {
        progress.say(format!("passed over {} more", skipped.len() - NAMED));
    }
}

/// Drives a run and shows its end.
pub(super) async fn go(
    program: &Program,
    journal: Arc<Journal>,
    signer: Arc<Signer>,
    index: Arc<dyn Index>,
    progress: &Progress,
    run: RunId,
    start: Start,
) -> Result<Exit, Failure> {
    let interrupt = Arc::new(Notify::new());
    let listening = tokio::spawn(listen(Arc::clone(&interrupt)));
    let (seen, mut shown) = tokio::sync::mpsc::unbounded_channel::<(Placed, Option<Report>)>();
    let parts = Parts {
        store: (program.wiring.store)(Arc::clone(&journal)),
        model: Arc::clone(&program.wiring.model),
        tools: (program.wiring.tools)(index),
        signer,
        clock: program.wiring.clock.clone(),
        patience: wiring::PATIENCE,
        lease_ms: program.wiring.lease_ms,
        interrupt,
        // Unbounded, since a slow reader of stdout must not hold up leases; its length is that of the run.
        observer: Box::new(move |placed, report| {
            if seen.send((placed.clone(), report.cloned())).is_err() {
                tracing::debug!("nobody watches");
            }
        }),
    };
    let driving = drive(parts, run, start);
    let watching = async {
        let mut tally = Tally::default();
        while let Some((placed, report)) = shown.recv().await {
            progress.fact(&mut tally, &placed.fact);
            if program.json {
                println!("{}", events::event(run, &placed, report.as_ref())?);
            }
        }
        Ok::<(), Failure>(())
    };
    let (ended, watched) = tokio::join!(driving, watching);
    listening.abort();
    progress.clear();
    watched?;
    let end = ended.map_err(|error| from_drive(&error))?;
    finish(program, run, &end)
}

/// Shows how a run ended.
pub(super) fn finish(program: &Program, run: RunId, end: &End) -> Result<Exit, Failure> {
    let exit = show::exit_of(end);
    match end {
        End::Closed { outcome, report } => {
            if let (Some(report), false) = (report, program.json) {
                print!("{}", show::report(report)?);
            }
            let outcome = show::outcome(*outcome);
            if !program.json {
                eprintln!("ii: run {run} {outcome}; check its receipts with `ii verify {run}`");
            }
        }
        End::Paused { reason } => {
            eprintln!("ii: run {run} is paused: {}; go on with `ii runs resume {run}`", show::pause(*reason));
            if let PauseReason::Budget = reason {
                eprintln!("ii: what it may use is fixed when it begins: ask again with a larger budget");
            }
        }
    }
    Ok(exit)
}

/// Gives the journal back, waiting until it is closed.
pub(super) async fn close(journal: Arc<Journal>) -> Result<(), Failure> {
    match Arc::try_unwrap(journal) {
        Ok(journal) => journal.close().await.map_err(|error| from_journal(&error)),
        Err(_still_used) => Ok(()),
    }
}

/// Ctrl-C or a request to terminate pauses; a second one ends at once.
async fn listen(interrupt: Arc<Notify>) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut pressed), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        tracing::warn!("signals cannot be listened for");
        return;
    };
    for again in [false, true] {
        tokio::select! {
            _signal = pressed.recv() => {}
            _signal = terminate.recv() => {}
        }
        if again {
            std::process::exit(Exit::Interrupted.code().into());
        }
        eprintln!("ii: pausing; press Ctrl-C again to end at once");
        interrupt.notify_one();
    }
}

fn question(given: &str) -> Result<String, Failure> {
    let mut text = given.to_owned();
    if given == "-" {
        text.clear();
        if std::io::stdin().is_terminal() {
            eprintln!("ii: type the question, then Ctrl-D");
        }
        let limit = LONGEST_QUESTION as u64 + 1;
        std::io::stdin().take(limit).read_to_string(&mut text).map_err(|error| {
            Failure::new(Exit::Usage, format!("the question on stdin cannot be read: {error}"), "send UTF-8 text")
        })?;
    }
    let text = text.trim();
    if text.is_empty() {
        return Err(Failure::new(Exit::Usage, "the question is empty", "ask something: ii run \"…?\" --docs DIR"));
    }
    if text.len() > LONGEST_QUESTION {
        let what = format!("the question has more than {LONGEST_QUESTION} bytes");
        return Err(Failure::new(Exit::Usage, what, "put long material into a document under --docs"));
    }
    Ok(text.to_owned())
}

fn schema(path: &Path) -> Result<String, Failure> {
    let bad =
        |what: String| Failure::new(Exit::Usage, format!("{}: {what}", path.display()), "give a JSON Schema file");
    let text = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
    let value: serde_json::Value = serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
    agent_runtime::check_schema(&value).map_err(bad)?;
    Ok(value.to_string())
}

fn task(
    question: String,
    schema: Option<String>,
    config: &Config,
    collection: &str,
    corpora: Vec<common_ground::port::index::CorpusHead>,
) -> Task {
    let mut criteria = vec![Criterion::EveryClaimCites, Criterion::QuotesVerbatim];
    if config.min_sources > 0 {
        criteria.push(Criterion::MinimumSources { count: config.min_sources });
    }
    criteria.extend(schema.map(|schema| Criterion::AnswerMatchesSchema { schema }));
    Task {
        question,
        collection: collection.to_owned(),
        corpora,
        model: config.models.associate.clone(),
        criteria,
        limit: Amount { tokens: config.tokens, cost_micro: 0, tool_calls: config.tool_calls },
        wall_ms: config.wall_ms,
        parallel: config.parallel,
        attempts: config.attempts,
        lease_ms: config.lease_ms,
        max_passages: config.max_passages,
        max_words: config.max_words,
        policy: policy(),
    }
}

/// The policy in force, canonical: what modules may be granted. Its digest stands in every receipt.
const POLICY: &str = r#"{"egress":"none","models":["extractive"],"tools":["commons_read","commons_search"],"v":"1"}"#;

fn policy() -> Digest {
    Digest::of(POLICY.as_bytes())
}
