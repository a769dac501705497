//! What does not fit a model's window is refused with its size and never cut: a first request, what is handed over, a
//! conversation whose summary does not help. Each ends the module with that reason, in the report.

mod common;

use std::process::Output;

use common::{
    Place,
    server::{ModelServer, QUOTE, Says, offers, rounds, task},
};
use serde_json::{Value, json};

const QUESTION: &str = "Who may pause a run?";

/// A place with one document and a provider `small` with a window beside `large`, which has none.
fn place(server: &ModelServer, window: u64) -> Place {
    let place = Place::new();
    for name in ["keys.md", "verifier.txt", "leases.html"] {
        std::fs::remove_file(place.docs().join(name)).expect("removed");
    }
    std::fs::create_dir_all(place.home()).expect("the home");
    let config = format!(
        "[models]\nassociate = \"small:m\"\n[run]\nattempts = 2\n[report]\nmax_words = 9000\n\
         [providers.small]\nbase_url = \"{0}\"\nwindow = {window}\n[providers.large]\nbase_url = \"{0}\"\n",
        server.url
    );
    std::fs::write(place.home().join("config.toml"), config).expect("a file");
    place
}

fn run(place: &Place) -> Output {
    let docs = place.docs().display().to_string();
    let words = ["run", QUESTION, "--docs", &docs, "--model", "large:m"];
    let mut command = place.command(std::path::Path::new(env!("CARGO_BIN_EXE_ii")), &words);
    command.env("NO_PROXY", "127.0.0.1").output().expect("ii runs")
}

fn planned(modules: &[Value]) -> Says {
    let reason = match modules {
        [_one] => json!({ "reason": "single" }),
        parts => json!({ "reason": "independent_parts", "parts": parts.len() }),
    };
    Says::call("plan", json!({ "reason": reason, "modules": modules }))
}

fn module(name: &str, question: &str) -> Value {
    json!({ "name": name, "kind": "answer", "question": question, "inputs": [] })
}

fn submit(text: &str, claims: usize) -> Says {
    let claim = |number| {
        let citation = json!({ "passage": "p1", "quote": QUOTE });
        json!({ "text": format!("{text} This is said for the time number {number}."), "citations": [citation] })
    };
    Says::call("submit", json!({ "claims": (0..claims).map(claim).collect::<Vec<_>>() }))
}

/// The run is not completed, and says the window in its report and what was needed.
#[track_caller]
fn refused(place: &Place, output: &Output, window: u64) {
    let said = format!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    assert_eq!(output.status.code(), Some(1), "{said}");
    let why = format!("tokens and the model's window has {window}");
    assert!(String::from_utf8_lossy(&output.stdout).contains(&why), "{said}");
    let run = place.only_run().expect("a run");
    let ends: Vec<Value> = place.events(&run).into_iter().filter(|event| event["type"] == "attempt.ended").collect();
    assert!(!ends.is_empty() && Value::from(ends.clone()).to_string().contains("\"context\""), "{ends:?}");
    let cut = |event: &Value| event["need"].as_u64().is_some_and(|need| need <= window);
    assert!(!ends.iter().any(cut), "what fits is not refused: {ends:?}");
}

#[test]
fn a_first_request_that_cannot_fit_is_never_sent() {
    let server = ModelServer::start(|request, _| {
        if offers(request, "plan") { planned(&[module("one", QUESTION)]) } else { Says::Text("Too late.".to_owned()) }
    });
    let place = place(&server, 600);
    let output = run(&place);
    refused(&place, &output, 600);
    assert_eq!(server.requests().len(), 1, "only the plan was asked for");
}

#[test]
fn what_is_handed_over_must_fit_its_share_of_the_window() {
    let server = ModelServer::start(|request, _| {
        if offers(request, "plan") {
            let parts = ["Who may pause a run?", "When may a run be paused?", "May a person pause a run?"];
            let mut modules: Vec<Value> =
                parts.iter().zip(["a", "b", "c"]).map(|(part, name)| module(name, part)).collect();
            modules.push(json!({ "name": "all", "kind": "merge", "question": QUESTION, "inputs": ["a", "b", "c"] }));
            let reason = json!({ "reason": "independent_parts", "parts": 3 });
            return Says::call("plan", json!({ "reason": reason, "modules": modules }));
        }
        match rounds(request) {
            0 => Says::call("commons_search", json!({ "query": "who may pause a run" })),
            _ if task(request).contains("When may a run be paused?") => {
                submit(&"A person may pause a run, whenever that person wants to. ".repeat(12), 12)
            }
            _ => submit("A person may.", 1),
        }
    });
    // A third of it is less than the long claim, and each module by itself has room enough.
    let window = 14_000;
    let place = place(&server, window);
    let output = run(&place);
    refused(&place, &output, window * 33 / 100);
    let merges = server.requests().iter().filter(|request| task(request).contains("Join what is handed over")).count();
    assert_eq!(merges, 0, "nothing was sent with a part left out");
}

#[test]
fn a_summary_that_is_as_long_as_what_it_sums_up_does_not_help() {
    let beside: &'static str = "I go on to search for it, since it was not found yet. ".repeat(40).leak();
    let server = ModelServer::start(move |request, _| {
        if offers(request, "plan") {
            return planned(&[module("one", QUESTION)]);
        }
        if !offers(request, "submit") {
            return Says::Text("It said that a person may pause a run at any time. ".repeat(400));
        }
        // What the model says beside its calls is not to be left out by a digest.
        let query = json!({ "query": format!("who may pause a run, for the time number {}", rounds(request)) });
        Says::Calls(beside, vec![("commons_search".to_owned(), query)])
    });
    let window = 12_000;
    let place = place(&server, window);
    let output = run(&place);
    refused(&place, &output, window);
    let run = place.only_run().expect("a run");
    let compacted = place.events(&run).into_iter().filter(|event| event["type"] == "context.compacted");
    let rules: Vec<Value> = compacted.map(|event| event["compaction"]["rule"].clone()).collect();
    assert!(rules.contains(&json!("summary")), "{rules:?}");
}
