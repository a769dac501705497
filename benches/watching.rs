//! How soon a watch says what concerns it, and how soon a run stands still for it: the real program, a run at a time, with the
//! journal, the sentinel's process and the standing order between. `cargo bench --bench watching`.

#[allow(dead_code)]
#[path = "../tests/common/server.rs"]
mod server;

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::mpsc::{Receiver, channel},
    thread::{sleep, spawn},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};
use server::{ModelServer, Says, offers};

const ROUNDS: usize = 100;
const PATIENCE: Duration = Duration::from_secs(60);

fn ii(home: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ii"));
    command.args(words).env("II_HOME", home).stdin(Stdio::null());
    command
}

fn done(mut command: Command) -> Output {
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// What the watch says, with when it came, in milliseconds since 1970.
fn lines(watch: &mut Child) -> Receiver<(f64, Value)> {
    let out = BufReader::new(watch.stdout.take().expect("stdout"));
    let (says, said) = channel();
    spawn(move || {
        for line in out.lines() {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64() * 1e3;
            let brief = serde_json::from_str(&line.expect("a line")).expect("JSON");
            if says.send((now, brief)).is_err() {
                return;
            }
        }
    });
    said
}

/// When the run stood still, in milliseconds since 1970.
fn paused(home: &Path, run: &str) -> f64 {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        let shown = of(&done(ii(home, &["runs", "show", run, "--json"])));
        let events = shown["events"].as_array().expect("events");
        if let Some(pause) = events.iter().find(|event| event["type"] == "run.paused") {
            return pause["at_ms"].as_f64().expect("a time");
        }
        sleep(Duration::from_millis(20));
    }
    let shown = done(ii(home, &["runs", "show", run]));
    panic!("run {run} does not stand still: {}", String::from_utf8_lossy(&shown.stdout));
}

/// Times of `sync_data` after a short line, in milliseconds: what the disk takes of each step.
fn disk(folder: &Path) -> Vec<f64> {
    let mut file = File::create(folder.join("line")).expect("a file");
    let mut once = || {
        let began = Instant::now();
        file.write_all(&[b'x'; 300]).and_then(|()| file.sync_data()).expect("written");
        began.elapsed().as_secs_f64() * 1e3
    };
    (0..ROUNDS).map(|_| once()).collect()
}

fn row(what: &str, mut times: Vec<f64>) {
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share).round() as usize];
    println!("| {what} | {:.0} ms | {:.0} ms | {:.0} ms |", at(0.5), at(0.99), at(1.0));
}

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let (home, docs) = (folder.path().join("home"), folder.path().join("docs"));
    fs::create_dir(&docs).expect("docs");
    fs::write(docs.join("rules.md"), "# Rules\n\nA person may pause a run at any time.\n").expect("a document");
    let docs = docs.display().to_string();
    done(ii(&home, &["run", "Who may pause a run?", "--docs", &docs]));
    done(ii(&home, &["guardian", "charters", "make", "warden", "--standing", "loops=60", "--rule", "loops=1"]));
    // What the first run came to is of no interest.
    done(ii(&home, &["guardian", "watch", "--once"]));
    // Slow enough that the run is still under way when it is to stand still.
    let server = ModelServer::start(|request, number| {
        if offers(request, "plan") {
            let module = json!({ "name": "one", "kind": "answer", "question": "Who?", "inputs": [] });
            return Says::call("plan", json!({ "reason": { "reason": "single" }, "modules": [module] }));
        }
        sleep(Duration::from_millis(300));
        Says::call("commons_search", json!({ "query": format!("who may pause {number}") }))
    });
    let mut watch =
        ii(&home, &["guardian", "watch", "--act", "--json"]).stdout(Stdio::piped()).spawn().expect("started");
    let said = lines(&mut watch);
    let (mut concerns, mut pauses) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let mut asked = ii(&home, &["run", "Who may pause a run?", "--docs", &docs, "--model", "openai:scripted"]);
        asked.env("OPENAI_BASE_URL", &server.url).env("OPENAI_API_KEY", "sk").env("NO_PROXY", "127.0.0.1");
        let mut running = asked.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started");
        let (now, brief) = said.recv_timeout(PATIENCE).expect("it is concerned");
        let concern = &brief["concern"];
        let at = concern["at"].as_f64().expect("a time");
        concerns.push(now - at);
        pauses.push(paused(&home, concern["run"].as_str().expect("a run")) - at);
        running.kill().and_then(|()| running.wait()).expect("ended");
        // What it said of this run beside the first is of no interest.
        while said.recv_timeout(Duration::from_millis(100)).is_ok() {}
    }
    watch.kill().and_then(|()| watch.wait()).expect("ended");
    println!("| from a fact, {ROUNDS} runs | p50 | p99 | most |\n|---|---|---|---|");
    row("one line on disk, the floor of each step", disk(folder.path()));
    row("until the watch has kept what it found and says it (aim p99 50 ms)", concerns);
    row("until the run stands still by a standing order (aim 1 s)", pauses);
}
