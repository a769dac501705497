//! The program from outside: how long a command takes beside the smallest program there is. `cargo bench --bench program`.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

const ROUNDS: usize = 50;

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e3
}

/// Median wall time of a program in milliseconds; its output is thrown away.
fn time(program: &str, arguments: &[&str], home: &Path) -> f64 {
    let once = || {
        let began = Instant::now();
        let status = Command::new(program)
            .args(arguments)
            .env("II_HOME", home)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("it runs");
        assert!(status.success(), "{program} {arguments:?}");
        began.elapsed()
    };
    median((0..ROUNDS).map(|_| once()).collect())
}

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let (home, docs) = (folder.path().join("home"), folder.path().join("docs"));
    fs::create_dir(&docs).expect("docs");
    fs::write(docs.join("rules.md"), "# Rules\n\nA person may pause a run at any time.\n").expect("a document");
    let ii = env!("CARGO_BIN_EXE_ii");
    let docs = docs.display().to_string();
    let ask = ["run", "Who may pause a run?", "--docs", &docs];
    time(ii, &ask, &home);
    let listed = Command::new(ii).args(["runs", "list", "--json"]).env("II_HOME", &home).output().expect("ii");
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    let run = listed[0]["id"].as_str().expect("an id").to_owned();
    let floor = time("true", &[], &home);
    println!("| what | median | beside `true` |\n|---|---|---|");
    println!("| `true`: start and end of a process | {floor:.1} ms | |");
    for (name, arguments) in [
        ("`ii --version` (aim 10 ms)", vec!["--version"]),
        ("`ii runs resume` of a closed run", vec!["runs", "resume", &run]),
        ("`ii verify RUN`", vec!["verify", &run]),
        ("`ii run` on one document, with keys, index and journal at hand", ask.to_vec()),
    ] {
        let took = time(ii, &arguments, &home);
        println!("| {name} | {took:.1} ms | {:.1} times |", took / floor);
    }
}
