//! What an order sets aside in a run under way: a tool is not called, a skill not read, a model not asked, and each is on record.

mod common;

use std::{
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::sleep,
    time::{Duration, Instant},
};

use common::{
    Place, code, json,
    server::{ModelServer, QUOTE, Says, last, offers, rounds, rules},
    stderr, stdout, until,
};
use serde_json::{Value, json};

#[test]
fn child() {
    common::child();
}

const QUESTION: &str = "Who may pause a run?";

fn plan() -> Says {
    let module = json!({ "name": "one", "kind": "answer", "question": QUESTION, "inputs": [] });
    Says::call("plan", json!({ "reason": { "reason": "single" }, "modules": [module] }))
}

fn submit(said: &str) -> Says {
    let at = said.find(" · rules.md").unwrap_or_else(|| panic!("not found in {said}"));
    let name = said[..at].rsplit(|c: char| !c.is_ascii_alphanumeric()).next().expect("a name");
    let claim = json!({ "text": "A person may.", "citations": [{ "passage": name, "quote": QUOTE }] });
    Says::call("submit", json!({ "claims": [claim] }))
}

/// A run whose Associate is held at its first answer until the order is carried out.
struct Held {
    place: Place,
    server: ModelServer,
    child: Option<Child>,
    goes_on: Arc<AtomicBool>,
    run: String,
}

impl Held {
    fn new(works: impl Fn(&Value) -> Says + Send + Sync + 'static) -> Self {
        let place = Place::new();
        let first = place.ii(&place.run_args(QUESTION));
        assert_eq!(code(&first), 0, "{}", stderr(&first));
        let first = place.only_run().expect("a run");
        let made = place.ii(&["guardian", "charters", "make", "warden"]);
        assert_eq!(code(&made), 0, "{}", stderr(&made));
        let goes_on = Arc::new(AtomicBool::new(false));
        let open = Arc::clone(&goes_on);
        let server = ModelServer::start(move |request, _| {
            if offers(request, "plan") {
                return plan();
            }
            let begun = Instant::now();
            while !open.load(Ordering::SeqCst) && begun.elapsed() < Duration::from_secs(120) {
                sleep(Duration::from_millis(5));
            }
            works(request)
        });
        let docs = place.docs().display().to_string();
        let words = ["run", QUESTION, "--docs", &docs, "--model", "openai:scripted"];
        let mut command = Self::command(&place, &server, &words);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
        let run = until("the Associate's question", || {
            let rows = json(&place.ii(&["runs", "list", "--json"]));
            let ids = rows.as_array()?.iter().filter_map(|row| row["id"].as_str().map(str::to_owned));
            let run = ids.into_iter().find(|id| *id != first)?;
            server.requests().iter().any(|request| !offers(request, "plan")).then_some(run)
        });
        Self { place, server, child: Some(child), goes_on, run }
    }

    fn command(place: &Place, server: &ModelServer, words: &[&str]) -> Command {
        let mut command = place.command(std::path::Path::new(env!("CARGO_BIN_EXE_ii")), words);
        server.asked_by(&mut command);
        command
    }

    fn order(&self, what: &[&str]) {
        let ordered = self.place.ii(&[&["guardian", "order", "quarantine", &self.run], what].concat());
        assert_eq!(code(&ordered), 0, "{}", stderr(&ordered));
        self.goes_on.store(true, Ordering::SeqCst);
    }

    /// The run's exit code, stdout and stderr.
    fn end(&mut self) -> (i32, String, String) {
        let output = self.child.take().expect("once").wait_with_output().expect("ended");
        (code(&output), stdout(&output), stderr(&output))
    }

    /// Calls of tools that began: their names and whether they were refused.
    fn calls(&self) -> Vec<(String, bool)> {
        let begun = self.place.events(&self.run).into_iter().filter(|event| event["type"] == "step.started");
        let tool = |event: Value| {
            let call = &event["call"];
            Some((call["tool"].as_str()?.to_owned(), call["refused"] == true))
        };
        begun.filter_map(tool).collect()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            drop(child.kill());
            drop(child.wait());
        }
    }
}

#[test]
fn a_skill_is_read_no_more_and_the_work_goes_on_without_it() {
    let mut held = Held::new(|request| match rounds(request) {
        0 => Says::call("skill_read", json!({ "name": "compare" })),
        1 => Says::call("skill_read", json!({ "name": "research" })),
        2 => Says::call("commons_search", json!({ "query": QUESTION })),
        _ => submit(&last(request)),
    });
    held.order(&["--skill", "compare"]);
    let (ended, report, said) = held.end();
    assert_eq!(ended, 0, "{said}");
    assert!(report.contains("A person may."), "{report}");
    let call = |tool: &str, refused| (tool.to_owned(), refused);
    assert_eq!(
        held.calls(),
        [call("skill_read", true), call("skill_read", false), call("commons_search", false)],
        "what was refused is on record as that"
    );
    let requests = held.server.requests();
    let answered = requests.iter().map(last).find(|said| said.contains("quarantined")).expect("it is told");
    assert!(answered.contains("skill compare"), "{answered}");
    let verified = held.place.ii(&["verify", &held.run]);
    assert_eq!(code(&verified), 0, "{}", stderr(&verified));
}

#[test]
fn a_tool_is_called_no_more_and_later_attempts_are_not_offered_it() {
    let mut held = Held::new(|request| match rounds(request) {
        0 => Says::call("commons_search", json!({ "query": QUESTION })),
        _ => Says::Text("Nothing can be found.".to_owned()),
    });
    held.order(&["commons_search"]);
    let (ended, _, said) = held.end();
    assert_ne!(ended, 0, "without its tool there is no answer");
    assert!(!said.contains("internal"), "{said}");
    assert_eq!(held.calls(), [("commons_search".to_owned(), true)]);
    let requests = held.server.requests();
    let offered: Vec<bool> = requests
        .iter()
        .filter(|request| !offers(request, "plan") && rounds(request) == 0)
        .map(|request| offers(request, "commons_search"))
        .collect();
    assert_eq!(offered.first(), Some(&true));
    assert_eq!(offered.last(), Some(&false), "an attempt that begins after the order has no such tool");
}

#[test]
fn a_skill_set_aside_is_not_in_the_catalogue_of_later_attempts() {
    let mut held = Held::new(|_| Says::Text("I will not.".to_owned()));
    held.order(&["--skill", "compare"]);
    let (ended, ..) = held.end();
    assert_ne!(ended, 0);
    let requests = held.server.requests();
    let listed: Vec<bool> = requests
        .iter()
        .filter(|request| !offers(request, "plan") && rounds(request) == 0)
        .map(|request| rules(request).contains("- compare: "))
        .collect();
    assert_eq!((listed.first(), listed.last()), (Some(&true), Some(&false)));
}

#[test]
fn a_run_whose_model_is_set_aside_stands_still_for_good() {
    let mut held = Held::new(|request| match rounds(request) {
        0 => Says::call("commons_search", json!({ "query": QUESTION })),
        _ => submit(&last(request)),
    });
    held.order(&["--model", "openai:scripted"]);
    let (ended, _, said) = held.end();
    assert_eq!(ended, 6, "{said}");
    assert!(said.contains("a guardian ordered it"), "{said}");
    let before = held.server.requests().len();
    let resumed = Held::command(&held.place, &held.server, &["runs", "resume", &held.run]).output().expect("ii runs");
    assert_ne!(code(&resumed), 0);
    assert!(stderr(&resumed).contains("the model openai:scripted is quarantined by an order"), "{}", stderr(&resumed));
    assert_eq!(held.server.requests().len(), before, "it was asked");
    let cancelled = held.place.ii(&["runs", "cancel", &held.run]);
    assert_eq!(code(&cancelled), 0, "{}", stderr(&cancelled));
}
