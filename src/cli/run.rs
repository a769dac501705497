//! `ii run`: a question and a folder of documents become a checked report.

use std::{
    io::{IsTerminal, Read},
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use agent_runtime::{driver::Start, ids, journal::Journal, models::RoleModels};
use common_ground::{
    RunId,
    budget::Amount,
    criterion::Criterion,
    grant::{Grant, Policy},
    guardian::RequiredVerdict,
    port::{index::Index, tool::Tool},
    run::{Asks, Models, Task},
};
use receipts::Digest;

use super::{
    Program,
    driving::{self, With, close, go},
};
use crate::{
    config::Config,
    exit::{Exit, Failure},
    guidance, hands, permissions, pictures,
    progress::Progress,
    wiring::{self, Sources},
};

/// ISO 4217 for where no currency is involved.
const NO_CURRENCY: &str = "XXX";
/// Longest question, in bytes. More belongs into a document.
pub(super) const LONGEST_QUESTION: usize = 64 * 1024;

/// Arguments of `ii run`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The question; `-` reads it from stdin.
    question: String,
    /// Folder of documents (.md, .txt, .html) that the answer comes from.
    #[arg(long, value_name = "DIR")]
    docs: Option<PathBuf>,
    /// A collection by its name or the beginning of it, as it is; instead of a folder. Several answer together.
    #[arg(long, value_name = "NAME", conflicts_with = "docs")]
    collection: Vec<String>,
    /// A picture that belongs to the question (PNG, JPEG, GIF, WebP), for a model that sees. Can be given more than once.
    #[arg(long, value_name = "FILE")]
    picture: Vec<PathBuf>,
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
    /// Most money of the run, in currency units, such as 2.50.
    #[arg(long, value_name = "AMOUNT")]
    budget_cost: Option<String>,
    /// Wall time in seconds after which the run pauses.
    #[arg(long, value_name = "SECONDS")]
    wall: Option<u64>,
    /// What must hold of every module's answer, in words; the Verifier's model judges it. Can be given more than once.
    #[arg(long, value_name = "RUBRIC")]
    judge: Vec<String>,
    /// Offer a tool to the models beside those of the commons; `ii tools list` shows them. Can be given more than once.
    #[arg(long, value_name = "NAME")]
    tool: Vec<String>,
    /// Let tools do this without asking, such as read:DIR, write:DIR, net:HOST, run:process. Can be given more than once.
    #[arg(long, value_name = "PERMISSION")]
    allow: Vec<String>,
    /// The most a single call may use, such as wall_ms=60000 or memory_bytes=268435456. Can be given more than once.
    #[arg(long, value_name = "NAME=NUMBER")]
    limit: Vec<String>,
    /// Let questions wait for `ii approvals answer`, also without a terminal.
    #[arg(long)]
    ask: bool,
    /// Show the plan and wait: `ii runs resume` lets it go on, `ii runs cancel` ends it.
    #[arg(long)]
    plan: bool,
}

impl Args {
    fn flags(&self) -> Vec<(&'static str, String)> {
        let mut flags = Vec::new();
        let list = |items: &[String]| (!items.is_empty()).then(|| items.join("\n"));
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
        flag("budget.cost", self.budget_cost.clone());
        flag("budget.wall_seconds", self.wall.map(|n| n.to_string()));
        flag("tools.offer", list(&self.tool));
        flag("permissions.limits", list(&self.limit));
        flags
    }
}

/// Runs the command.
pub(super) async fn run(args: Args, program: &Program) -> Result<Exit, Failure> {
    let question = question(&args.question)?;
    let schema = args.schema.as_deref().map(schema).transpose()?;
    let (mut config, resolved) = program.settings(&args.flags())?;
    config.allow.extend(permissions::flags("--allow", &args.allow)?);
    let sources = Sources::of(args.collection, &config)?;
    if let Some(file) = &resolved.untrusted {
        eprintln!("ii: {file} is not trusted and was not read; `ii config trust` reads it from now on");
    }
    let progress = Progress::new(program.json);
    let asks = if args.ask || driving::has_person(program) { Asks::Person } else { Asks::Nobody };
    let pictures = pictures::read(&args.picture)?;
    let asked = Asked { question, pictures, schema, sources, judge: args.judge, asks, approve_plan: args.plan };
    let models = cast(program, &config, &asked).await?;
    let journal = Arc::new(wiring::journal(&program.home, &program.wiring.clock).await?);
    let (with, run, start) = prepare(program, &config, asked, models, Arc::clone(&journal), &progress).await?;
    let ended = go(program, with, &progress, run, start).await;
    close(journal).await?;
    ended
}

/// What is asked, and how.
pub(super) struct Asked {
    pub question: String,
    /// What belongs to it for models that see.
    pub pictures: Vec<pictures::Given>,
    /// JSON Schema that every deliverable must match, as JSON text.
    pub schema: Option<String>,
    pub sources: Sources,
    /// What must hold in words.
    pub judge: Vec<String>,
    /// Who answers questions on the way.
    pub asks: Asks,
    /// Whether the plan waits for the person.
    pub approve_plan: bool,
}

/// The models of the settings, which must be able to do what is asked.
pub(super) async fn cast(program: &Program, config: &Config, asked: &Asked) -> Result<RoleModels, Failure> {
    let models = (program.wiring.models)(&program.home, config, &config.models).await?;
    if !asked.judge.is_empty() && !models.verifier.is_language_model() {
        let what = format!("the Verifier's model {} cannot judge a rubric", models.verifier.id());
        return Err(Failure::new(Exit::Usage, what, "name a language model with --model, or leave out --judge"));
    }
    if !asked.pictures.is_empty() && !models.associate.sees() {
        let id = models.associate.id();
        let fix = match id.split_once(':') {
            Some((provider, _)) if config.providers.contains_key(provider) => {
                format!(
                    "name one that does with --model, or say sees = \"yes\" under [providers.{provider}] if it does"
                )
            }
            _local => "name a model of a server with --model: `ii models list` shows those there are".to_owned(),
        };
        return Err(Failure::new(Exit::Usage, format!("the model {id} sees no pictures"), fix));
    }
    Ok(models)
}

/// Gets a run ready to be driven: brings the documents up to date, makes the tools, writes down the task.
pub(super) async fn prepare(
    program: &Program,
    config: &Config,
    asked: Asked,
    models: RoleModels,
    journal: Arc<Journal>,
    progress: &Progress,
) -> Result<(With, RunId, Start), Failure> {
    let signer = Arc::new(wiring::signer(&program.home, config, &program.wiring.clock)?);
    let began = Instant::now();
    let mut reading = |at| progress.reading(at, began);
    let (mut index, passed_over) =
        asked.sources.open(&program.home, config, (&signer, &program.wiring.clock), &mut reading).await?;
    let began = Instant::now();
    if let Some(said) = wiring::few_vectors(&mut index, &mut |at| progress.embedding(at, began)).await? {
        progress.say(said);
    }
    let (documents, passages) = index.counts();
    progress.say(format!("{documents} documents, {passages} passages"));
    if !passed_over.is_empty() {
        skipped(progress, &passed_over);
    }
    let collections: Vec<String> = index.collections().iter().map(|one| one.collection().to_owned()).collect();
    let heads = index.heads();
    let index = wiring::answering(index, &program.home, config).await?;
    let tools = (program.wiring.tools)(index, &program.home, config).await?;
    offered(&config.tools, &tools)?;
    hands::sweep(config).await;
    let (grant, permissions) = permissions::gather(&program.home, config)?;
    let mut task = task(asked.question, asked.schema, config, collections, heads, &models.ids());
    (task.grant, task.permissions) = (grant, permissions);
    task.tools.clone_from(&config.tools);
    task.verdict = config.verdict;
    task.asks = asked.asks;
    task.policy = policy(&task)?;
    task.criteria.extend(asked.judge.into_iter().map(|rubric| Criterion::Judged { rubric }));
    task.approve_plan = asked.approve_plan;
    if !models.have_prices() {
        NO_CURRENCY.clone_into(&mut task.currency);
    }
    let contents = if models.associate.is_language_model() {
        let guidance = guidance::gather(&program.places)?;
        guidance.notes.iter().for_each(|note| progress.say(note));
        guidance.into_task(&mut task)
    } else {
        Vec::new()
    };
    let mut contents = contents;
    for given in asked.pictures {
        task.pictures.push(given.picture);
        contents.push(given.content);
    }
    let now = program.wiring.clock.now_ms();
    let run = RunId(ids::new_v7(now).map_err(Failure::internal)?);
    let start = Start::New { task: Box::new(task), roster: signer.roster(), contents };
    Ok((With { journal, signer, tools, models }, run, start))
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
    collections: Vec<String>,
    corpora: Vec<common_ground::port::index::CorpusHead>,
    models: &Models,
) -> Task {
    let mut criteria = vec![Criterion::EveryClaimCites, Criterion::QuotesVerbatim];
    if config.min_sources > 0 {
        criteria.push(Criterion::MinimumSources { count: config.min_sources });
    }
    criteria.extend(schema.map(|schema| Criterion::AnswerMatchesSchema { schema }));
    let mut collections = collections.into_iter();
    let collection = collections.next().unwrap_or_default();
    Task {
        question,
        collection,
        further: collections.collect(),
        corpora,
        models: models.clone(),
        criteria,
        limit: Amount { tokens: config.tokens, cost_micro: config.cost_micro, tool_calls: config.tool_calls },
        currency: config.currency.clone(),
        wall_ms: config.wall_ms,
        approve_plan: false,
        parallel: config.parallel,
        attempts: config.attempts,
        lease_ms: config.lease_ms,
        max_passages: config.max_passages,
        max_words: config.max_words,
        policy: Digest::of(b""),
        rules: Vec::new(),
        skills: Vec::new(),
        pictures: Vec::new(),
        tools: Vec::new(),
        grant: Grant::default(),
        permissions: Policy::default(),
        asks: Asks::Nobody,
        verdict: RequiredVerdict::None,
    }
}

/// SHA-256 of the policy in force: what modules may be granted, and the person's rules. It stands in every receipt.
fn policy(task: &Task) -> Result<Digest, Failure> {
    let mut names = task.models.distinct();
    names.sort_unstable();
    let local = |id: &&str| **id == *"extractive" || id.starts_with("llama:");
    let egress = if names.iter().all(local) { "none" } else { "models" };
    let mut tools: Vec<&str> =
        ["commons_read", "commons_search"].into_iter().chain(task.tools.iter().map(String::as_str)).collect();
    tools.sort_unstable();
    let Policy { deny, ask, always } = &task.permissions;
    let mut policy = serde_json::json!({
        "always": always, "ask": ask, "deny": deny, "egress": egress, "grant": task.grant.digest(), "models": names,
        "tools": tools, "v": "2",
    });
    if task.verdict == RequiredVerdict::Tools {
        policy["verdict"] = "tools".into();
    }
    Ok(Digest::of(&receipts::canonical::canonical(&policy).map_err(Failure::internal)?))
}

/// Refuses tools that this program does not have.
fn offered(names: &[String], tools: &[Arc<dyn Tool>]) -> Result<(), Failure> {
    let known = |name: &str| name == "ask_person" || tools.iter().any(|tool| tool.spec().name == name);
    match names.iter().find(|name| !known(name)) {
        None => Ok(()),
        Some(name) => {
            let what = format!("there is no tool `{name}` here");
            Err(Failure::new(Exit::Usage, what, "`ii tools list` shows those there are"))
        }
    }
}
