//! What the end-to-end tests share: homes, documents, the real program, and the program with another wiring.
//!
//! A test binary runs itself again as a child that is the whole program with one part exchanged ([`child`]), so the program
//! carries no hook for tests.
#![allow(dead_code, reason = "each test binary uses its own part of this")]

pub mod engine;
pub mod server;
#[cfg(target_os = "linux")]
pub mod small_disk;
pub mod terminal;
pub mod watched;

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use agent_runtime::{
    clock::Clock,
    journal::faults::{Fault, FaultyStore},
    models::{RoleModels, extractive::Extractive},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use common_ground::grant::Item;
use common_ground::id::{AttemptNumber, ModuleId, RunId};
use common_ground::port::{
    BoxFuture,
    model::{Call, Model, ModelError, ModelEvent, ModelRequest, ModelStream, Price},
    tool::{Called, Tool, ToolCall, ToolError, ToolSpec},
};
use futures_util::StreamExt;
use ii::wiring::Wiring;
use tempfile::TempDir;

/// Patience with a loaded machine, not a measurement.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "waited in vain for {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// How the child is wired, in the environment.
const WIRING: &str = "II_TEST_WIRING";

/// A home and documents of a test. When the test is over, a guardian looks at the home's runs.
pub struct Place {
    pub folder: TempDir,
    /// Rules that the test gives something to find.
    finds: Mutex<BTreeSet<&'static str>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        watched::show(self, &self.finds.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Five questions: six modules with the one that merges.
pub const SIX_MODULES: &str = "Who may pause a run? What must be true before a module is accepted? Where are the keys kept? \
     What does the verifier read? When is a lease lost?";

impl Place {
    pub fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().expect("a folder"), finds: Mutex::default() };
        for (name, text) in [
            (
                "rules.md",
                "# Rules\n\nA person may pause a run at any time.\n\nBefore a module is accepted, every criterion must pass.\n",
            ),
            ("keys.md", "# Keys\n\nThe keys are kept in the folder keys of the home, mode 0600.\n"),
            ("verifier.txt", "The verifier reads every source anew. The verifier never sees the worker's reasoning.\n"),
            ("leases.html", "<title>Leases</title><p>A lease is lost when its holder is silent past its term.</p>"),
        ] {
            fs::create_dir_all(place.docs()).expect("docs");
            fs::write(place.docs().join(name), text).expect("a document");
        }
        place
    }

    /// Says that something happens here on purpose that these rules speak of.
    pub fn finds(&self, rules: &[&'static str]) {
        self.finds.lock().expect("not poisoned").extend(rules);
    }

    pub fn docs(&self) -> PathBuf {
        self.folder.path().join("docs")
    }

    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    pub fn run_args(&self, question: &str) -> Vec<String> {
        vec!["run".to_owned(), question.to_owned(), "--docs".to_owned(), self.docs().display().to_string()]
    }

    /// The real program.
    pub fn ii(&self, arguments: &[impl AsRef<str>]) -> Output {
        self.command(Path::new(env!("CARGO_BIN_EXE_ii")), arguments).output().expect("ii runs")
    }

    pub fn command(&self, program: &Path, arguments: &[impl AsRef<str>]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments.iter().map(AsRef::as_ref))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("II_HOME", self.home())
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }

    /// The program with another wiring.
    pub fn child(&self, wiring: &str, arguments: &[impl AsRef<str>]) -> Command {
        let own = std::env::current_exe().expect("a test binary");
        let words: Vec<&str> = arguments.iter().map(AsRef::as_ref).collect();
        let mut command = self.command(&own, &["--exact", "child", "--nocapture", "--test-threads=1"]);
        command.env(WIRING, wiring).env("II_TEST_ARGUMENTS", words.join("\n"));
        command
    }

    /// The only run of the home.
    pub fn only_run(&self) -> Option<String> {
        let listed = json(&self.ii(&["runs", "list", "--json"]));
        let rows = listed.as_array().expect("an array");
        assert!(rows.len() <= 1, "{rows:?}");
        rows.first().map(|row| row["id"].as_str().expect("an id").to_owned())
    }

    /// The run's events as `runs show` has them.
    pub fn events(&self, run: &str) -> Vec<serde_json::Value> {
        json(&self.ii(&["runs", "show", run, "--json"]))["events"].as_array().expect("events").clone()
    }
}

/// What a test child is: the program, when the environment says how it is wired; nothing else.
pub fn child() {
    let Ok(wiring) = std::env::var(WIRING) else { return };
    let arguments = std::env::var("II_TEST_ARGUMENTS").expect("arguments");
    let arguments = std::iter::once("ii").chain(arguments.split('\n')).map(Into::into);
    std::process::exit(ii::cli::main(arguments, wired(&wiring)).code().into());
}

/// The program with all that is named, `;` between.
fn wired(text: &str) -> Wiring {
    let mut wiring = Wiring::real();
    text.split(';').for_each(|one| exchange(&mut wiring, one));
    wiring
}

fn exchange(wiring: &mut Wiring, text: &str) {
    let (name, value) = text.split_once('=').expect("name=value");
    let number = || value.parse::<u64>().expect("a number");
    let fault = match name {
        "kill-before" => Some(Fault::KillBefore(number())),
        "kill-after" => Some(Fault::KillAfter(number())),
        "error-but-done" => Some(Fault::ErrorButDone(number())),
        "full" => Some(Fault::Full(number())),
        _no_fault => None,
    };
    if let Some(fault) = fault {
        wiring.store = Arc::new(move |journal| Arc::new(FaultyStore::new(journal, vec![fault])));
        return;
    }
    match name {
        "hour-ahead-kill-after" => {
            let fault = Fault::KillAfter(number());
            wiring.store = Arc::new(move |journal| Arc::new(FaultyStore::new(journal, vec![fault])));
            let system = Clock::system();
            wiring.clock = Clock::from_fn(move || system.now_ms() + 3_600_000);
        }
        "slow" => {
            let pause = Duration::from_millis(number());
            wiring.tools = Arc::new(move |index, home, config| {
                Box::pin(async move {
                    let slow = |inner| -> Arc<dyn Tool> { Arc::new(Slow { inner, pause }) };
                    Ok(ii::hands::all(index, home, config).await?.into_iter().map(slow).collect())
                })
            });
        }
        "lease" => wiring.lease_ms = number(),
        "tells" => {
            let file = PathBuf::from(value);
            wiring.tools = Arc::new(move |index, home, config| {
                let file = file.clone();
                Box::pin(async move {
                    // The slow one around it hands on what it is told.
                    let telling = |inner| -> Arc<dyn Tool> {
                        let inner = Arc::new(Telling { inner, file: file.clone() });
                        Arc::new(Slow { inner, pause: Duration::ZERO })
                    };
                    Ok(ii::hands::all(index, home, config).await?.into_iter().map(telling).collect())
                })
            });
        }
        "submits" => {
            let lie = value.to_owned();
            wiring.models = Arc::new(move |_, _, _| {
                let model = Arc::new(Scripted { lie: lie.clone() });
                Box::pin(async { Ok(RoleModels::one(model)) })
            });
        }
        other => panic!("no wiring {other}"),
    }
}

/// A tool that takes its time.
struct Slow {
    inner: Arc<dyn Tool>,
    pause: Duration,
}

impl Tool for Slow {
    fn spec(&self) -> &ToolSpec {
        self.inner.spec()
    }

    fn needs(&self, arguments: &str) -> Result<Vec<Item>, ToolError> {
        self.inner.needs(arguments)
    }

    fn call<'a>(&'a self, call: ToolCall<'a>) -> BoxFuture<'a, Called> {
        Box::pin(async move {
            tokio::time::sleep(self.pause).await;
            self.inner.call(call).await
        })
    }

    fn over(&self, run: RunId, module: ModuleId, attempt: AttemptNumber) {
        self.inner.over(run, module, attempt);
    }
}

/// A tool that writes down of which attempts it was told that they are over, a line each.
struct Telling {
    inner: Arc<dyn Tool>,
    file: PathBuf,
}

impl Tool for Telling {
    fn spec(&self) -> &ToolSpec {
        self.inner.spec()
    }

    fn needs(&self, arguments: &str) -> Result<Vec<Item>, ToolError> {
        self.inner.needs(arguments)
    }

    fn call<'a>(&'a self, call: ToolCall<'a>) -> BoxFuture<'a, Called> {
        self.inner.call(call)
    }

    fn over(&self, run: RunId, _module: ModuleId, AttemptNumber(attempt): AttemptNumber) {
        let mut file = fs::OpenOptions::new().create(true).append(true).open(&self.file).expect("opened");
        file.write_all(format!("{} {run} {attempt}\n", self.spec().name).as_bytes()).expect("written");
    }
}

/// An Associate's model that lies in what it submits: always, or only in the first attempt.
struct Scripted {
    lie: String,
}

impl Scripted {
    fn tamper(&self, call: Call, first: bool) -> Call {
        let (lie, always) = self.lie.strip_suffix("-always").map_or((&*self.lie, false), |lie| (lie, true));
        if call.tool != "submit" || !(first || always) {
            return call;
        }
        let mut value: serde_json::Value = serde_json::from_str(&call.arguments).expect("a deliverable");
        let claim = &mut value["claims"][0];
        match lie {
            "misquote" => claim["citations"][0]["quote"] = "A person may never pause a run.".into(),
            "wrong-digest" => claim["citations"][0]["text"] = "0".repeat(64).into(),
            "wrong-document" => claim["citations"][0]["document"] = "0".repeat(64).into(),
            "reworded" => claim["text"] = "A person may do it.".into(),
            "no-citation" => claim["citations"] = serde_json::json!([]),
            "same-source-twice" => {
                let one = claim["citations"][0].clone();
                claim["citations"] = serde_json::json!([one.clone(), one]);
                let only = claim.clone();
                value["claims"] = serde_json::json!([only]);
            }
            "garbage" => return Call { arguments: "{\"claims\":3}".to_owned(), ..call },
            other => panic!("no lie {other}"),
        }
        Call { arguments: value.to_string(), ..call }
    }
}

impl Model for Scripted {
    fn id(&self) -> &str {
        "extractive"
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

    fn count_tokens<'a>(&'a self, request: &'a ModelRequest) -> BoxFuture<'a, Result<u64, ModelError>> {
        Extractive.count_tokens(request)
    }

    fn complete<'a>(&'a self, request: &'a ModelRequest) -> ModelStream<'a> {
        let first = request.turns.iter().any(|turn| format!("{turn:?}").contains("\\\"findings\\\":[]"));
        Box::pin(Extractive.complete(request).map(move |event| {
            event.map(|event| match event {
                ModelEvent::Call(call) => ModelEvent::Call(self.tamper(call, first)),
                other => other,
            })
        }))
    }
}

/// stdout as JSON.
pub fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

pub fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or_else(|| panic!("killed: {output:?}"))
}

/// Every receipt's statement in an exported folder.
pub fn receipts_in(folder: &Path) -> Vec<serde_json::Value> {
    let modules = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let statement = |module: PathBuf| {
        let envelope = fs::read(module.join("receipt.intoto.json")).expect("a receipt");
        let envelope: serde_json::Value = serde_json::from_slice(&envelope).expect("JSON");
        let payload = STANDARD.decode(envelope["payload"].as_str().expect("a payload")).expect("base64");
        serde_json::from_slice(&payload).expect("JSON")
    };
    modules.filter(|path| path.is_dir()).map(statement).collect()
}
