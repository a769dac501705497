//! Acceptance can fail: what a lying Associate hands in is refused, sent back, and named.

mod common;

use common::{Place, code, json, stderr};

#[test]
fn child() {
    common::child();
}

const QUESTION: &str = "Who may pause a run?";

fn ended(place: &Place) -> Vec<String> {
    let run = place.only_run().expect("a run");
    let ends = place.events(&run).into_iter().filter(|event| event["type"] == "attempt.ended");
    ends.map(|event| event["end"]["findings"][0].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_lie_is_sent_back_and_the_next_attempt_accepted() {
    for (lie, more, finding) in [
        ("misquote", vec![], "quotes-verbatim"),
        ("wrong-digest", vec![], "quotes-verbatim"),
        ("wrong-document", vec![], "quotes-verbatim"),
        ("no-citation", vec![], "every-claim-cites"),
        ("same-source-twice", vec!["--min-sources", "2"], "minimum-sources"),
    ] {
        let place = Place::new();
        let mut arguments = place.run_args("What must be true of the keys, the lease and the verifier of a run?");
        arguments.extend(more.into_iter().map(str::to_owned));
        let output = place.child(&format!("submits={lie}"), &arguments).output().expect("a child");
        assert_eq!(code(&output), 0, "{lie}: {}", stderr(&output));
        let ends = ended(&place);
        assert_eq!(ends.len(), 1, "{lie}: {ends:?}");
        assert!(ends[0].starts_with(finding), "{lie}: {ends:?}");
        let run = place.only_run().expect("a run");
        let verified = place.ii(&["verify", &run, "--json"]);
        assert_eq!(code(&verified), 0, "{lie}: a receipt with an earlier attempt verifies");
    }
}

#[test]
fn a_worker_that_never_stops_lying_is_a_dead_letter() {
    for (lie, outcome) in [("misquote-always", "not_accepted"), ("garbage-always", "failed")] {
        let place = Place::new();
        let mut arguments = place.run_args(QUESTION);
        arguments.push("--json".to_owned());
        let output = place.child(&format!("submits={lie}"), &arguments).output().expect("a child");
        assert_eq!(code(&output), 1, "{lie}: {}", stderr(&output));
        let run = place.only_run().expect("a run");
        let events = place.events(&run);
        let last = events.last().expect("events");
        assert_eq!((&last["type"], &last["outcome"]), (&"run.closed".into(), &outcome.into()));
        assert_eq!(last["report"]["gaps"].as_array().map(Vec::len), Some(1));
        assert_eq!(events.iter().filter(|event| event["type"] == "attempt.ended").count(), 3);
        assert!(!events.iter().any(|event| event["type"] == "module.accepted"));
        let verified = place.ii(&["verify", &run]);
        assert_eq!(code(&verified), 2, "no receipt without acceptance");
    }
}

/// What a tool keeps for an attempt's next call can go.
#[test]
fn every_tool_is_told_once_of_each_attempt_that_is_over() {
    let place = Place::new();
    let file = place.folder.path().join("told");
    let wiring = format!("submits=misquote-always;tells={}", file.display());
    let output = place.child(&wiring, &place.run_args(QUESTION)).output().expect("a child");
    assert_eq!(code(&output), 1, "{}", stderr(&output));
    let run = place.only_run().expect("a run");
    let told = std::fs::read_to_string(file).expect("told");
    let mut lines: Vec<&str> = told.lines().collect();
    lines.sort_unstable();
    let mut tools: Vec<&str> = lines.iter().filter_map(|line| line.split(' ').next()).collect();
    tools.dedup();
    assert!(tools.contains(&"commons_search") && tools.contains(&"write"), "{tools:?}");
    let of = |tool: &&str| (1..=3).map(|attempt| format!("{tool} {run} {attempt}")).collect::<Vec<_>>();
    let wanted: Vec<String> = tools.iter().flat_map(of).collect();
    assert_eq!(lines, wanted);
}

#[test]
fn a_deliverable_must_match_the_schema_that_was_asked() {
    let place = Place::new();
    let schema = place.folder.path().join("schema.json");
    for (text, expected) in [(r#"{"required":["claims"]}"#, 0), (r#"{"required":["verdict"]}"#, 1)] {
        std::fs::write(&schema, text).expect("a schema");
        let mut arguments = place.run_args(QUESTION);
        arguments.extend(["--schema".to_owned(), schema.display().to_string()]);
        let output = place.ii(&arguments);
        assert_eq!(code(&output), expected, "{}", stderr(&output));
    }
    let runs = json(&place.ii(&["runs", "list", "--json"]));
    assert_eq!(runs[0]["outcome"], "not_accepted");
    assert_eq!(runs[1]["outcome"], "completed");
}
