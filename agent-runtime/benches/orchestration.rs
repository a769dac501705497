//! Whole runs beside the disk's floor: a fan-out of 1,000 modules with a join, a chain of 200, a step of 4 KiB, going on
//! after a kill, seal and verify. Prints Markdown rows. `cargo bench -p agent-runtime --bench orchestration`.
//!
//! Each module has its full life and a sealed receipt; the model does nothing but plan and hand in.

use std::{
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use agent_runtime::{
    clock::Clock,
    driver::{End, Parts, Patience, RUN_LEASE_MS, Readers, Start, drive},
    home::Home,
    ids,
    journal::{Journal, Store},
    models::RoleModels,
    signer::{Signer, SignerPlan, read_bundle},
};
use common_ground::{
    RunId,
    budget::Amount,
    criterion::Criterion,
    grant::{Grant, Item, Policy},
    port::{
        BoxFuture,
        model::{Call, Model, ModelError, ModelEvent, ModelRequest, ModelStream, ModelUsage, Price, Turn},
        tool::{Called, Tool, ToolCall, ToolError, ToolSpec},
    },
    role::Role,
    run::{Asks, Models, Outcome, Task},
};
use receipts::{
    Digest,
    verify::{TrustOrigin, verify},
};
use serde_json::json;
use sqlx::{
    ConnectOptions,
    sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous},
};
use tokio::sync::Notify;
use uuid::Uuid;

/// Shape of the graph of modules.
#[derive(Clone, Copy)]
enum Shape {
    /// All side by side, and one that joins them.
    FanOut(usize),
    /// Each after the one before.
    Chain(usize),
}

/// A model that plans the shape and then makes `calls` tool calls a module before it hands in nothing.
struct NoOp {
    shape: Shape,
    calls: usize,
}

impl NoOp {
    fn act(&self, request: &ModelRequest) -> (String, serde_json::Value) {
        if request.role == Role::Principal {
            return ("plan".to_owned(), self.plan());
        }
        let made = request.turns.iter().filter(|turn| matches!(turn, Turn::Tool { .. })).count();
        if made < self.calls {
            return ("commons_search".to_owned(), json!({"query": made.to_string()}));
        }
        ("submit".to_owned(), json!({"question": "q", "claims": [], "also": []}))
    }

    fn plan(&self) -> serde_json::Value {
        let module = |number: usize, kind: &str, inputs: Vec<String>| json!({"name": number.to_string(), "kind": kind, "question": "q", "inputs": inputs});
        let modules: Vec<_> = match self.shape {
            Shape::FanOut(count) => {
                let leaves = (0..count).map(|number| module(number, "answer", Vec::new()));
                leaves.chain([module(count, "merge", (0..count).map(|n| n.to_string()).collect())]).collect()
            }
            Shape::Chain(count) => (0..count)
                .map(|number| {
                    module(number, "answer", number.checked_sub(1).map(|n| n.to_string()).into_iter().collect())
                })
                .collect(),
        };
        json!({"reason": {"reason": "given"}, "modules": modules})
    }
}

impl Model for NoOp {
    fn id(&self) -> &str {
        "no-op"
    }

    fn is_language_model(&self) -> bool {
        false
    }

    fn window(&self) -> Option<u64> {
        None
    }

    fn price(&self) -> Price {
        Price::default()
    }

    fn count_tokens<'a>(&'a self, _request: &'a ModelRequest) -> BoxFuture<'a, Result<u64, ModelError>> {
        Box::pin(async { Ok(0) })
    }

    fn complete<'a>(&'a self, request: &'a ModelRequest) -> ModelStream<'a> {
        let (tool, arguments) = self.act(request);
        let id = request.turns.len().to_string();
        let call = ModelEvent::Call(Call { id, tool, arguments: arguments.to_string() });
        Box::pin(futures_util::stream::iter([Ok(call), Ok(ModelEvent::Done(ModelUsage::default()))]))
    }
}

/// A tool that answers 4 KiB which do not compress well.
struct Answers {
    spec: ToolSpec,
}

impl Tool for Answers {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn needs(&self, _arguments: &str) -> Result<Vec<Item>, ToolError> {
        Ok(Vec::new())
    }

    fn call<'a>(&'a self, call: ToolCall<'a>) -> BoxFuture<'a, Called> {
        let key = call.key;
        let mut text = String::with_capacity(4096);
        let seed = [key.module.0.as_bytes().as_slice(), &key.step.0.to_be_bytes()].concat();
        for number in 0_u64..64 {
            text.push_str(&Digest::of(&[seed.as_slice(), &number.to_be_bytes()].concat()).to_string());
        }
        Box::pin(async move { Called::builtin(&self.spec, call, Ok(text)) })
    }
}

fn task(parallel: u32) -> Task {
    Task {
        question: "no question".to_owned(),
        collection: "none".to_owned(),
        further: Vec::new(),
        corpora: Vec::new(),
        models: Models::one("no-op"),
        criteria: vec![Criterion::EveryClaimCites],
        limit: Amount::UNLIMITED,
        currency: "XXX".to_owned(),
        wall_ms: 0,
        approve_plan: false,
        parallel,
        attempts: 1,
        lease_ms: 600_000,
        max_passages: 10,
        max_words: 60,
        policy: Digest::of(b"policy"),
        rules: Vec::new(),
        skills: Vec::new(),
        pictures: Vec::new(),
        tools: Vec::new(),
        grant: Grant::default(),
        permissions: Policy::default(),
        asks: Asks::Nobody,
        verdict: common_ground::guardian::RequiredVerdict::None,
    }
}

/// One run in a home of its own; gives how long the drive took.
async fn run(home: &Path, shape: Shape, calls: usize, parallel: u32) -> (Duration, RunId) {
    let home = Home::at(home);
    let clock = Clock::system();
    let plan = SignerPlan { root: None, associates: parallel, network: Digest::of(b"ii dev network 1") };
    let signer = Arc::new(Signer::open(&home, &plan, clock.now_ms()).expect("a signer"));
    let holder = ids::new_v7(clock.now_ms()).expect("an id");
    let journal = Arc::new(Journal::open(home, holder).await.expect("a journal"));
    let id = RunId(ids::new_v7(clock.now_ms()).expect("an id"));
    let spec = ToolSpec {
        name: "commons_search".to_owned(),
        description: "answers".to_owned(),
        arguments: "{}".to_owned(),
        idempotent: true,
    };
    let parts = Parts {
        store: Arc::clone(&journal) as Arc<dyn Store>,
        models: RoleModels::one(Arc::new(NoOp { shape, calls })),
        tools: vec![Arc::new(Answers { spec })],
        signer: Arc::clone(&signer),
        clock,
        patience: Patience { tool: Duration::from_secs(60), model: Duration::from_secs(60) },
        lease_ms: RUN_LEASE_MS,
        readers: Readers::none(),
        charters: Vec::new(),
        interrupt: Arc::new(Notify::new()),
        observer: Box::new(|_, _| {}),
        listener: None,
    };
    let start = Start::New { task: Box::new(task(parallel)), roster: signer.roster(), contents: Vec::new() };
    let began = Instant::now();
    let end = tokio::spawn(drive(parts, id, start)).await.expect("a task").expect("an end");
    let took = began.elapsed();
    assert!(matches!(end, End::Closed { outcome: Outcome::Completed, .. }), "{end:?}");
    Arc::try_unwrap(journal).expect("nobody else").close().await.expect("closed");
    (took, id)
}

/// Median time of one durable row in bare SQLite with the journal's settings: the floor everything stands on.
async fn floor(folder: &Path) -> Duration {
    let mut connection: SqliteConnection = SqliteConnectOptions::new()
        .filename(folder.join("bare.sqlite"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .connect()
        .await
        .expect("connected");
    sqlx::raw_sql("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, body BLOB)")
        .execute(&mut connection)
        .await
        .expect("a table");
    let mut times = Vec::new();
    for _ in 0..500 {
        let began = Instant::now();
        sqlx::query("INSERT INTO t (body) VALUES (?)")
            .bind(vec![1_u8; 180])
            .execute(&mut connection)
            .await
            .expect("a row");
        times.push(began.elapsed());
    }
    median(times)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn row(what: &str, value: &str, aim: &str) {
    println!("| {what} | {value} | {aim} |");
}

fn folder_bytes(folder: &Path) -> u64 {
    std::fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .map(|path| if path.is_dir() { folder_bytes(&path) } else { path.metadata().map_or(0, |m| m.len()) })
        .sum()
}

/// Most memory this process ever had, in MiB.
fn peak_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("a peak");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).expect("a number") / 1024.0
}

const FAN_OUT: usize = 1_000;
const CHAIN: usize = 200;
const ROUNDS: usize = 5;
const PARALLEL: u32 = 64;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    if std::env::args().any(|argument| argument == "--peak") {
        let folder = tempfile::tempdir().expect("a folder");
        run(folder.path(), Shape::FanOut(FAN_OUT), 0, PARALLEL).await;
        println!("{:.0}", peak_mib());
        return;
    }
    tokio::spawn(measure()).await.expect("measured");
}

async fn measure() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut floors, mut fans, mut chains, mut steps) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    // Interleaved, so that a slow moment of the disk falls on all alike.
    for round in 0..ROUNDS {
        floors.push(floor(folder.path()).await);
        let home = |name: &str| folder.path().join(format!("{name}-{round}"));
        fans.push(run(&home("fan"), Shape::FanOut(FAN_OUT), 0, PARALLEL).await.0);
        chains.push(run(&home("chain"), Shape::Chain(CHAIN), 0, 1).await.0);
        steps.push(run(&home("steps"), Shape::Chain(20), 20, 1).await.0);
    }
    let floor = median(floors);
    let (fan, chain, steps) = (median(fans), median(chains), median(steps));
    println!("| what | measured | aim |\n|---|---|---|");
    row("floor: one durable row in bare SQLite", &format!("{:.2} ms", ms(floor)), "");
    let per = ms(chain) / CHAIN as f64;
    row("fan-out and join of 1,000 modules, each with a receipt", &format!("{:.2} s", fan.as_secs_f64()), "0.25 s");
    let own = std::env::current_exe().expect("this program");
    let peak = Command::new(own).arg("--peak").output().expect("a child");
    row("peak memory of that", &format!("{} MiB", String::from_utf8_lossy(&peak.stdout).trim()), "60 MiB");
    row(
        "a module with receipt in a chain of 200",
        &format!("{per:.2} ms = {:.1} floor commits", per / ms(floor)),
        "4.5 floor commits",
    );
    // A chain of 20 modules with 20 tool calls each: 21 model calls and 20 tool calls a module.
    let step = (ms(steps) - 20.0 * per).max(0.0) / (20.0 * 40.0);
    row(
        "a durable step (model or tool call)",
        &format!("{step:.2} ms = {:.1} floor commits", step / ms(floor)),
        "2 floor commits",
    );
    let (long, _) = run(&folder.path().join("long"), Shape::Chain(2_000), 2, 1).await;
    let (short, _) = run(&folder.path().join("short"), Shape::Chain(200), 2, 1).await;
    let ratio = (long.as_secs_f64() / 2_000.0) / (short.as_secs_f64() / 200.0);
    row("10,000 steps in one run beside 1,000, per step", &format!("{ratio:.2} times"), "flat");
    let disk = folder.path().join("disk");
    run(&disk, Shape::Chain(10), 30, 1).await;
    let true_bytes = 10 * 30 * 4096;
    let stored = folder_bytes(&disk);
    row(
        "bytes on disk beside the true bytes, 4 KiB a step",
        &format!("{:.2} times", stored as f64 / f64::from(true_bytes)),
        "1.5 times",
    );
    receipts(&folder.path().join("fan-0")).await;
}

/// Verifies every receipt of a fan-out and prints the time of one.
async fn receipts(home: &Path) {
    let home = Home::at(home);
    let plan = SignerPlan { root: None, associates: PARALLEL, network: Digest::of(b"ii dev network 1") };
    let trust = Signer::open(&home, &plan, Clock::system().now_ms()).expect("a signer").trust().expect("trust");
    let journal = Journal::open(home, Uuid::from_u128(9)).await.expect("a journal");
    let runs = journal.reader().runs().await.expect("runs");
    let rows = journal.reader().receipts(runs[0].run).await.expect("receipts");
    let bundles: Vec<_> = rows.iter().map(|row| read_bundle(&row.bundle).expect("a bundle")).collect();
    let began = Instant::now();
    for bundle in &bundles {
        let found = verify(bundle, &trust, TrustOrigin::Pinned, &|_| true);
        assert!(found.outcome.is_valid(), "{found:?}");
    }
    let each = began.elapsed() / u32::try_from(bundles.len()).expect("few");
    row("verify one of those receipts, nothing known before", &format!("{:.0} µs", each.as_secs_f64() * 1e6), "300 µs");
    journal.close().await.expect("closed");
}
