//! `ii runs`: what runs there are, and what becomes of them.

pub(super) mod fork;
pub(super) mod tell;

use std::{fs, io::ErrorKind, sync::Arc, time::Duration};

use agent_runtime::{
    driver::{DriveError, End, Message, Placed, Raise, Start, placed, replay},
    journal::{Journal, JournalError, Reader, RunRow},
};
use common_ground::{
    ModuleId, RunId,
    budget::Amount,
    module::{Life, Module},
    run::{Phase, Run, State},
};
use serde_json::json;

use super::{Program, driving, events, print_json};
use crate::{
    commons::Commons,
    config,
    exit::{Exit, Failure},
    failures::{from_drive, from_journal, no_run},
    hands,
    progress::Progress,
    show, wiring,
};

/// Subcommands of `ii runs`.
#[derive(Debug, clap::Subcommand)]
pub enum Args {
    /// List runs, newest first.
    List,
    /// Show one run: its modules, what it used, its report.
    Show {
        /// The run's id, or its beginning.
        run: String,
    },
    /// Go on with a paused or interrupted run; of a closed one, print the report.
    Resume {
        /// The run's id, or its beginning.
        run: String,
        /// Allow it this many model tokens in all.
        #[arg(long, value_name = "N")]
        budget_tokens: Option<u64>,
        /// Allow it this much money in all, in currency units.
        #[arg(long, value_name = "AMOUNT")]
        budget_cost: Option<String>,
        /// Allow it this many tool calls in all.
        #[arg(long, value_name = "N")]
        budget_tool_calls: Option<u64>,
        /// Allow it this many seconds since it was opened; 0 for no limit.
        #[arg(long, value_name = "SECONDS")]
        wall: Option<u64>,
    },
    /// Give a run up, also one that another program works on.
    Cancel {
        /// The run's id, or its beginning.
        run: String,
    },
    /// Begin a run from another, as that was at one of its places: what was accepted stays, the rest is worked anew.
    Fork(fork::Args),
    /// Say something to one module; it hears it before its next step.
    Tell(tell::Args),
    /// Delete a run: its facts, its contents, and the keys without which its receipts disclose nothing more.
    Delete {
        /// The run's id, or its beginning.
        run: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

/// Runs the command.
pub(super) async fn run(args: Args, program: &Program) -> Result<Exit, Failure> {
    match args {
        Args::List => list(program).await,
        Args::Show { run } => show(program, &run).await,
        Args::Resume { run, budget_tokens, budget_cost, budget_tool_calls, wall } => {
            let cost = budget_cost.as_deref().map(config::micro).transpose()?;
            resume(program, &run, More { tokens: budget_tokens, cost, tool_calls: budget_tool_calls, wall }).await
        }
        Args::Cancel { run } => cancel(program, &run).await,
        Args::Fork(args) => fork::run(args, program).await,
        Args::Tell(args) => tell::run(args, program).await,
        Args::Delete { run, yes } => delete(program, &run, yes).await,
    }
}

/// A reader of the home's journal; none when there is no journal yet.
pub(super) fn reader(program: &Program) -> Option<Reader> {
    // A home that is closed to this user is no home without runs: opening the journal then says what is wrong.
    let none = fs::metadata(program.home.journal()).is_err_and(|error| error.kind() == ErrorKind::NotFound);
    (!none).then(|| Reader::at(program.home.clone()))
}

/// The run of this id, or the only one that begins so.
pub(super) async fn find(program: &Program, text: &str) -> Result<(Reader, RunId), Failure> {
    let Some(reader) = reader(program) else { return Err(no_run(text)) };
    let rows = reader.runs().await.map_err(|error| from_journal(&error))?;
    let mut fitting = rows.iter().filter(|row| !text.is_empty() && row.run.to_string().starts_with(text));
    match (fitting.next(), fitting.next()) {
        (Some(row), None) => Ok((reader, row.run)),
        (Some(_), Some(_)) => {
            Err(Failure::new(Exit::Usage, format!("more than one run begins with {text}"), "give more of its id"))
        }
        (None, _) => Err(no_run(text)),
    }
}

/// A run's facts and the state they make.
pub(super) async fn load(reader: &Reader, id: RunId) -> Result<(Vec<Placed>, State), Failure> {
    let recorded = reader.load(id).await.map_err(|error| from_journal(&error))?;
    let state = replay(&recorded).map_err(|error| from_drive(&error))?;
    let facts: Result<Vec<Placed>, DriveError> = recorded.iter().map(placed).collect();
    Ok((facts.map_err(|error| from_drive(&error))?, state))
}

/// A run's state and outcome in one word each.
pub(super) fn words(row: &RunRow, state: &State, alive: bool) -> (&'static str, Option<&'static str>) {
    match state.run().map(|run| &run.phase) {
        None => ("empty", None),
        Some(Phase::Open) if row.lease.is_some() && alive => ("running", None),
        Some(Phase::Open) => ("interrupted", None),
        Some(Phase::Paused { .. }) => ("paused", None),
        Some(Phase::Closed { outcome, .. }) => ("closed", Some(show::outcome(*outcome))),
    }
}

pub(super) fn alive(program: &Program, row: &RunRow) -> Result<bool, Failure> {
    let Some(holding) = row.lease else { return Ok(false) };
    program.home.is_alive(holding.holder).map_err(|error| {
        let what = format!("cannot look into {}: {error}", program.home.locks().display());
        Failure::new(Exit::Storage, what, "make it readable")
    })
}

async fn list(program: &Program) -> Result<Exit, Failure> {
    let mut listed = Vec::new();
    if let Some(reader) = reader(program) {
        for row in reader.runs().await.map_err(|error| from_journal(&error))? {
            let (_, state) = load(&reader, row.run).await?;
            let (word, outcome) = words(&row, &state, alive(program, &row)?);
            let question = state.run().map(|run| run.task.question.clone());
            listed.push((row, word, outcome, question));
        }
    }
    if program.json {
        let rows: Vec<_> = listed
            .iter()
            .map(|(row, state, outcome, question)| {
                json!({"id": row.run, "state": state, "outcome": outcome, "question": question,
                    "created_ms": row.created_ms, "facts": row.head_seq})
            })
            .collect();
        print_json(&json!(rows));
        return Ok(Exit::Completed);
    }
    if listed.is_empty() {
        eprintln!("ii: no runs yet; begin with `ii run \"…?\" --docs DIR`");
    }
    for (row, state, outcome, question) in listed {
        let question: String = question.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
        let question = show::plain(&question.chars().take(72).collect::<String>());
        println!("{}  {:<12} {}", row.run, outcome.unwrap_or(state), question);
    }
    Ok(Exit::Completed)
}

async fn show(program: &Program, text: &str) -> Result<Exit, Failure> {
    let (reader, id) = find(program, text).await?;
    let (facts, state) = load(&reader, id).await?;
    let row = reader.run(id).await.map_err(|error| from_journal(&error))?.ok_or_else(|| no_run(text))?;
    let (word, outcome) = words(&row, &state, alive(program, &row)?);
    let Some(run) = state.run() else {
        if program.json {
            print_json(&json!({"id": id, "state": word, "outcome": outcome, "question": null, "from": null,
                "modules": [], "report": null, "events": []}));
        } else {
            println!("run {id}: nothing recorded");
        }
        return Ok(Exit::Completed);
    };
    let end = end_of(&reader, run).await?;
    let report = end.as_ref().and_then(|end| match end {
        End::Closed { report, .. } => report.as_ref(),
        End::Paused { .. } => None,
    });
    let ways = reader.outbox_of(Some(id)).await.map_err(|error| from_journal(&error))?;
    let standing = |module: ModuleId| {
        ways.iter().find(|way| way.of.module() == Some(module)).map(|way| way.state.standing().as_str())
    };
    if program.json {
        let modules = run.order.iter().filter_map(|id| Some(module_json(*id, run.modules.get(id)?, standing(*id))));
        let modules: Vec<_> = modules.collect();
        let events: Result<Vec<_>, Failure> = facts.iter().map(|fact| events::event(id, fact, report)).collect();
        print_json(&json!({"id": id, "state": word, "outcome": outcome, "question": run.task.question,
            "from": run.origin, "spent": run.account.spent(), "limit": run.account.limit(), "modules": modules, "report": report,
            "events": events?}));
        return Ok(Exit::Completed);
    }
    println!("run      {id}");
    println!("state    {}", outcome.unwrap_or(word));
    println!("question {}", show::plain(&run.task.question));
    if let Some(origin) = &run.origin {
        println!("from     run {} at place {}", origin.run, origin.place);
    }
    let spent = run.account.spent();
    println!("used     {} tokens, {} tool calls, {}", spent.tokens, spent.tool_calls, cost(run));
    for reason in &run.plan {
        println!("plan     {reason:?}");
    }
    for id in &run.order {
        if let Some(module) = run.modules.get(id) {
            println!(
                "module   {id}  {:<10} attempt {}  {:<8} {}",
                life(&module.life),
                module.attempts.len(),
                standing(*id).unwrap_or_default(),
                show::plain(&module.spec.question)
            );
        }
    }
    if let Some(report) = report {
        println!();
        print!("{}", show::report(report)?);
    }
    Ok(Exit::Completed)
}

/// What was spent, in the run's currency.
fn cost(run: &Run) -> String {
    let spent = show::money(run.account.spent().cost_micro);
    if run.task.currency == "XXX" { spent } else { format!("{spent} {}", run.task.currency) }
}

/// `standing` says where its receipt is, once it has one.
fn module_json(id: ModuleId, module: &Module, standing: Option<&str>) -> serde_json::Value {
    let receipt = match &module.life {
        Life::Accepted { receipt, .. } => Some(receipt),
        _no_receipt => None,
    };
    json!({"id": id, "state": life(&module.life), "question": module.spec.question, "kind": module.spec.kind,
        "inputs": module.spec.inputs, "attempts": module.attempts.len(), "receipt": receipt, "standing": standing,
        "kept_from": module.kept_from})
}

fn life(life: &Life) -> &'static str {
    match life {
        Life::Proposed => "proposed",
        Life::Ready(_) => "ready",
        Life::Leased(_) => "leased",
        Life::Blocked { .. } => "blocked",
        Life::Submitted { .. } => "submitted",
        Life::Judged { .. } => "judged",
        Life::Accepted { .. } => "accepted",
        Life::Paused { .. } => "paused",
        Life::Cancelled => "cancelled",
        Life::Failed { .. } => "failed",
    }
}

/// The end of a closed run, from the record.
pub(super) async fn end_of(reader: &Reader, run: &Run) -> Result<Option<End>, Failure> {
    let Phase::Closed { outcome, report } = &run.phase else { return Ok(None) };
    let report = match report {
        None => None,
        Some(digest) => {
            let bytes = reader.blob(*digest).await.map_err(|error| from_journal(&error))?;
            let read = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
            Some(read.ok_or_else(|| from_drive(&DriveError::Content(*digest)))?)
        }
    };
    Ok(Some(End::Closed { outcome: *outcome, report }))
}

/// What a run is allowed from now on, where something was said.
struct More {
    tokens: Option<u64>,
    cost: Option<u64>,
    tool_calls: Option<u64>,
    wall: Option<u64>,
}

impl More {
    fn raise(&self, run: &Run) -> Option<Raise> {
        let Self { tokens, cost, tool_calls, wall } = self;
        tokens.or(*cost).or(*tool_calls).or(*wall)?;
        let now = run.account.limit();
        let limit = Amount {
            tokens: tokens.unwrap_or(now.tokens),
            cost_micro: cost.unwrap_or(now.cost_micro),
            tool_calls: tool_calls.unwrap_or(now.tool_calls),
        };
        Some(Raise { limit, wall_ms: wall.map_or(run.wall_ms, |seconds| seconds.saturating_mul(1000)) })
    }
}

async fn resume(program: &Program, text: &str, more: More) -> Result<Exit, Failure> {
    let (reader, id) = find(program, text).await?;
    let (facts, state) = load(&reader, id).await?;
    let Some(run) = state.run() else { return Err(from_drive(&DriveError::NothingRecorded)) };
    if let Some(end) = end_of(&reader, run).await? {
        if program.json
            && let (Some(last), End::Closed { report, .. }) = (facts.last(), &end)
        {
            println!("{}", events::event(id, last, report.as_ref())?);
        }
        return driving::finish(program, id, &end);
    }
    let journal = Arc::new(wiring::journal(&program.home, &program.wiring.clock).await?);
    let progress = Progress::new(program.json);
    let with = go_on_with(program, run, Arc::clone(&journal)).await?;
    let ended = driving::go(program, with, &progress, id, Start::Resume { raise: more.raise(run) }).await;
    driving::close(journal).await?;
    ended
}

/// What a run on record goes on with: its own models, its own collection as it is, its own tools.
pub(super) async fn go_on_with(program: &Program, run: &Run, journal: Arc<Journal>) -> Result<driving::With, Failure> {
    let (mut config, _) = program.settings(&[("run.parallel", run.task.parallel.to_string())])?;
    config.tools.clone_from(&run.task.tools);
    let models = (program.wiring.models)(&program.home, &config, &run.task.models).await?;
    let signer = Arc::new(wiring::signer(&program.home, &config, &program.wiring.clock)?);
    let commons = Commons::open(&program.home, &config, &signer).await?;
    let names = std::iter::once(&run.task.collection).chain(&run.task.further);
    let index = wiring::together(&commons, names, &program.home, &config).await?;
    let index = wiring::answering(index, &program.home, &config).await?;
    let tools = (program.wiring.tools)(index, &program.home, &config).await?;
    hands::sweep(&config).await;
    Ok(driving::With { journal, signer, tools, models })
}

/// How long another program may take to act on a message before we say that it does not.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

async fn cancel(program: &Program, text: &str) -> Result<Exit, Failure> {
    let (reader, id) = find(program, text).await?;
    let (_, state) = load(&reader, id).await?;
    if let Some(Phase::Closed { outcome, .. }) = state.run().map(|run| &run.phase) {
        eprintln!("ii: run {id} is over already: {}", show::outcome(*outcome));
        return Ok(Exit::Completed);
    }
    let journal = wiring::journal(&program.home, &program.wiring.clock).await?;
    let done = give_up(program, &journal, id).await;
    journal.close().await.map_err(|error| from_journal(&error))?;
    done?;
    eprintln!("ii: run {id} cancelled");
    Ok(Exit::Completed)
}

/// Gives a run up, by word to the program that works on it where there is one.
pub(super) async fn give_up(program: &Program, journal: &Journal, id: RunId) -> Result<(), Failure> {
    match agent_runtime::driver::cancel(journal, id, &program.wiring.clock).await {
        Err(DriveError::Journal(JournalError::Held { .. })) => ask_holder(journal, id).await,
        other => other.map_err(|error| from_drive(&error)),
    }
}

/// Leaves a message for the program that holds the run, and waits until it has acted.
async fn ask_holder(journal: &Journal, id: RunId) -> Result<(), Failure> {
    journal
        .send(id, Message::Cancel.to_bytes().map_err(Failure::internal)?)
        .await
        .map_err(|error| from_journal(&error))?;
    let until = tokio::time::Instant::now() + ANSWER_WITHIN;
    while tokio::time::Instant::now() < until {
        let (_, state) = load(journal.reader(), id).await?;
        if matches!(state.run().map(|run| &run.phase), Some(Phase::Closed { .. })) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let what = format!("the program that works on run {id} does not answer");
    Err(Failure::new(Exit::NotCompleted, what, "end it, then cancel again; the message stays for whoever goes on"))
}

async fn delete(program: &Program, text: &str, yes: bool) -> Result<Exit, Failure> {
    let (_, id) = find(program, text).await?;
    if !yes {
        let what = format!("run {id} would be deleted for good, receipts and keys with it");
        return Err(Failure::new(Exit::Usage, what, "export what you want to keep, then add --yes"));
    }
    let journal = wiring::journal(&program.home, &program.wiring.clock).await?;
    let deleted = journal.delete(id, program.wiring.clock.now_ms()).await;
    journal.close().await.map_err(|error| from_journal(&error))?;
    deleted.map_err(|error| from_journal(&error))?;
    tools::fence::forget(&program.home.fence(), id).map_err(|error| {
        let what = format!("the leases of run {id} in {} are not removed: {error}", program.home.fence().display());
        Failure::new(Exit::Storage, what, "remove the files of that name")
    })?;
    eprintln!("ii: run {id} deleted");
    Ok(Exit::Completed)
}
