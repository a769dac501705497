//! Runs begun from others, by the real program: at each place, over kills, and after the other run is gone.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{Place, code, json, stderr, stdout};
use serde_json::Value;

/// Three modules with the one that merges.
const ASKED: &str = "Who may pause a run? Where are the keys kept?";

#[test]
fn child() {
    common::child();
}

/// A run that came to its end, and its report.
fn recorded(place: &Place) -> (String, String) {
    let output = place.ii(&place.run_args(ASKED));
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    (place.only_run().expect("a run"), stdout(&output))
}

/// The id of a fork of the run at a place.
fn forked(place: &Place, run: &str, at: usize) -> String {
    let output = place.ii(&["runs", "fork", run, "--at", &at.to_string()]);
    assert_eq!(code(&output), 0, "at {at}: {}", stderr(&output));
    stdout(&output).trim().to_owned()
}

fn receipts(place: &Place, run: &str) -> BTreeMap<String, Value> {
    let verified = place.ii(&["verify", run, "--json"]);
    assert_eq!(code(&verified), 0, "{}", stdout(&verified));
    let rows = json(&verified)["receipts"].as_array().expect("receipts").clone();
    rows.into_iter().map(|row| (row["module"].as_str().expect("a module").to_owned(), row)).collect()
}

#[test]
fn a_fork_at_each_place_goes_on_to_the_same_report_and_verifies() {
    let place = Place::new();
    let (run, report) = recorded(&place);
    let events = place.events(&run);
    let first = receipts(&place, &run);
    assert_eq!(first.len(), 3);
    let mut nullifiers: BTreeSet<String> = first.values().map(|one| one["nullifier"].to_string()).collect();
    for at in 1..=events.len() {
        let fork = forked(&place, &run, at);
        let accepted: BTreeSet<String> = events[..at]
            .iter()
            .filter(|event| event["type"] == "module.accepted")
            .map(|event| event["module"].as_str().expect("a module").to_owned())
            .collect();
        let shown = json(&place.ii(&["runs", "show", &fork, "--json"]));
        assert_eq!((shown["state"].as_str(), shown["from"]["place"].as_u64()), (Some("paused"), Some(at as u64)));
        assert_eq!(shown["from"]["run"], run.as_str());
        let resumed = place.ii(&["runs", "resume", &fork]);
        assert_eq!(code(&resumed), 0, "at {at}: {}", stderr(&resumed));
        assert_eq!(stdout(&resumed), report, "at {at}");
        // What was accepted keeps its receipt and is not worked again; every other receipt is a new one.
        let own = place.events(&fork);
        for (module, receipt) in receipts(&place, &fork) {
            let leased = |event: &&Value| event["type"] == "attempt.leased" && event["module"] == module.as_str();
            let worked = own.iter().filter(leased).count();
            if accepted.contains(&module) {
                assert_eq!((worked, &receipt), (0, &first[&module]), "at {at}");
            } else {
                assert!(worked > 0, "at {at}");
                assert!(nullifiers.insert(receipt["nullifier"].to_string()), "at {at}: a nullifier twice");
            }
        }
        let verified = place.ii(&["verify", &fork]);
        assert!(stdout(&verified).contains(&format!("forked from run {run} at place {at}, as the record")));
    }
    assert_eq!(place.events(&run), events, "the other run is untouched");
    // Forked from before each was accepted, again and again: each benefit is claimed once.
    let status = json(&place.ii(&["receipts", "status", "--json"]));
    let claimed: Vec<(&Value, &Value)> =
        status["receipts"].as_array().expect("receipts").iter().map(|row| (&row["run"], &row["module"])).collect();
    let known: BTreeSet<&str> = claimed.iter().filter_map(|(_, module)| module.as_str()).collect();
    assert!(first.keys().all(|module| known.contains(module.as_str())));
    assert_eq!(claimed.len(), known.len(), "{claimed:?}");
}

#[test]
fn a_kill_leaves_the_whole_fork_or_nothing_of_it() {
    let place = Place::new();
    let (run, report) = recorded(&place);
    let before = place.events(&run);
    for (fault, whole) in [("kill-before=1", false), ("kill-after=1", true)] {
        let output = place.child(fault, &["runs", "fork", &run, "--at", "9"]).output().expect("a child");
        assert_eq!(output.status.code(), None, "killed: {}", stderr(&output));
        let listed = json(&place.ii(&["runs", "list", "--json"]));
        let newest = listed[0]["id"].as_str().expect("an id").to_owned();
        let facts = listed[0]["facts"].as_u64();
        assert_eq!(facts, Some(u64::from(whole)), "{fault}");
        assert_eq!(place.events(&newest).len(), usize::from(whole), "{fault}");
        let resumed = place.ii(&["runs", "resume", &newest]);
        assert_eq!(code(&resumed), if whole { 0 } else { 2 }, "{fault}: {}", stderr(&resumed));
        if whole {
            assert_eq!(stdout(&resumed), report);
            assert_eq!(receipts(&place, &newest).len(), 3);
        }
        assert_eq!(place.events(&run), before);
        assert_eq!(code(&place.ii(&["doctor"])), 0);
    }
}

#[test]
fn a_fork_needs_nothing_of_the_run_that_it_comes_from() {
    let place = Place::new();
    let (run, report) = recorded(&place);
    let events = place.events(&run);
    let merged = events.iter().rposition(|event| event["type"] == "module.accepted").expect("accepted");
    let fork = forked(&place, &run, merged);
    let forks_fork = forked(&place, &fork, 1);
    assert_eq!(code(&place.ii(&["runs", "delete", &run, "--yes"])), 0);
    for one in [fork, forks_fork] {
        let resumed = place.ii(&["runs", "resume", &one]);
        assert_eq!((code(&resumed), stdout(&resumed)), (0, report.clone()), "{}", stderr(&resumed));
        assert_eq!(receipts(&place, &one).len(), 3, "with those that the other run sealed");
        let shown = stdout(&place.ii(&["runs", "show", &one]));
        assert!(shown.contains("from     run "), "{shown}");
        let out = place.folder.path().join(&one).display().to_string();
        assert_eq!(code(&place.ii(&["receipts", "export", &one, "--out", &out])), 0);
        assert_eq!(code(&place.ii(&["verify", &out])), 0, "no parent is missing");
    }
}

#[test]
fn what_is_no_place_is_refused_in_one_line() {
    let place = Place::new();
    let (run, _) = recorded(&place);
    let facts = place.events(&run).len();
    for at in ["0".to_owned(), (facts + 1).to_string()] {
        let output = place.ii(&["runs", "fork", &run, "--at", &at]);
        assert_eq!(code(&output), 2);
        let said = stderr(&output);
        assert!(said.contains(&format!("has {facts} facts and no place {at}")) && said.lines().count() == 1, "{said}");
        assert!(said.contains(&format!("1 to {facts}")), "{said}");
    }
    assert_eq!(place.only_run(), Some(run), "and no run was begun");
    assert_eq!(code(&place.ii(&["runs", "fork", "nothing"])), 2);
}
