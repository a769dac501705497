//! The commands with a node in place of a ledger: what a person types and reads, and what strangers check afterwards.

use std::{
    path::Path,
    process::{Command, Output},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    common::{Place, SIX_MODULES, engine::skipped, json as read, stderr, stdout},
    node::{DEPTH, Node},
};

/// `ii` with the node's credentials in its settings.
fn ii(place: &Place, node: &Node, arguments: &[&str]) -> Output {
    command(place, node, arguments).output().expect("runs")
}

fn command(place: &Place, node: &Node, arguments: &[&str]) -> Command {
    let mut command = place.command(Path::new(env!("CARGO_BIN_EXE_ii")), arguments);
    command.env("II_LEDGER", node.url()).env("II_LEDGER_CREDENTIALS", node.cookie());
    command
}

fn column(found: &Value, name: &str) -> Vec<String> {
    let rows = found["receipts"].as_array().expect("rows");
    rows.iter().map(|row| row[name].as_str().expect("a word").to_owned()).collect()
}

fn standings(place: &Place) -> Vec<String> {
    column(&read(&place.ii(&["receipts", "status", "--json"])), "standing")
}

fn results(place: &Place, what: &[&str]) -> Vec<String> {
    column(&read(&place.ii(&[&["verify", "--json"], what].concat())), "result")
}

/// Hands in what there is without waiting for blocks.
fn submit(place: &Place, node: &Node) -> Output {
    ii(place, node, &["receipts", "submit", "--wait", "0"])
}

fn words(output: &Output) -> String {
    format!("{}{}", stdout(output), stderr(output))
}

#[test]
fn a_run_anchors_its_receipts_and_says_no_more_of_them_than_the_blocks_show() {
    let Some(node) = Node::start("the commands with a chain") else { return };
    let place = Place::new();
    let run_args = place.run_args(SIX_MODULES);
    let run_args: Vec<&str> = run_args.iter().map(String::as_str).collect();
    let ran = ii(&place, &node, &run_args);
    assert_eq!(ran.status.code(), Some(0), "{}", words(&ran));
    let run = place.only_run().expect("a run");
    // Nothing is waited for, and what is left undone is done now.
    let sent = submit(&place, &node);
    assert_eq!(sent.status.code(), Some(9), "{}", words(&sent));
    assert!(stderr(&sent).contains("6 blocks make it so"), "{}", words(&sent));
    assert_eq!(standings(&place), ["sealed"; 6]);
    assert_eq!(node.fees().len(), 1, "a run has one batch");
    assert!(words(&place.ii(&["receipts", "status", &run])).contains("no block has yet"));
    assert_eq!(results(&place, &[&run]), ["VALID-UNANCHORED"; 6]);
    node.mine(2);
    submit(&place, &node);
    assert_eq!(standings(&place), ["logged"; 6]);
    let shown = words(&place.ii(&["receipts", "status", &run]));
    assert!(shown.contains("chain 0f9188f1") && shown.contains("in block 109, 2 of 6 blocks deep"), "{shown}");
    assert_eq!(results(&place, &[&run]), ["VALID-UNANCHORED"; 6]);
    assert!(words(&place.ii(&["verify", &run])).contains("fewer blocks after it than are wanted"));
    node.mine(DEPTH - 2);
    let done = submit(&place, &node);
    assert_eq!(done.status.code(), Some(0), "{}", words(&done));
    assert_eq!(standings(&place), ["credited"; 6]);
    assert_eq!(results(&place, &[&run]), ["VALID"; 6]);
    assert_eq!(place.ii(&["verify", &run, "--strict"]).status.code(), Some(0));
    let secret = std::fs::read_to_string(node.cookie()).expect("read");
    let (_, secret) = secret.split_once(':').expect("a password");
    for said in [&ran, &sent, &done, &place.ii(&["receipts", "status", "--json"]), &place.ii(&["config", "show"])] {
        assert!(!words(said).contains(secret));
    }
    strangers_check(&place, &run);
}

/// Elsewhere, without the home or the node.
fn strangers_check(place: &Place, run: &str) {
    let out = place.folder.path().join("receipts");
    let folder = out.to_str().expect("text");
    assert_eq!(place.ii(&["receipts", "export", run, "--out", folder]).status.code(), Some(0));
    let elsewhere = Place::new();
    assert_eq!(results(&elsewhere, &[folder]), ["VALID-SELFTRUST"; 6]);
    let pinned = place.folder.path().join("pinned.json");
    std::fs::copy(out.join("trust.json"), &pinned).expect("copied");
    let trusting = [folder, "--trust", pinned.to_str().expect("text")];
    assert_eq!(results(&elsewhere, &trusting), ["VALID"; 6]);
    let foreign = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/foreign/anchor.py");
    match Command::new("python3").arg(foreign).arg(&out).output() {
        Ok(checked) => {
            assert!(checked.status.success(), "{}", words(&checked));
            assert_eq!(stdout(&checked).lines().count(), 6);
        }
        Err(error) => skipped("anchors checked by Python", &error.to_string()),
    }
    // Who knows none of the blocks, and who wants more work than a test has.
    let mut trust: Value = serde_json::from_slice(&std::fs::read(&pinned).expect("read")).expect("JSON");
    let mut with = |name: &str, value: Value| {
        trust["chain"][name] = value;
        std::fs::write(&pinned, trust.to_string()).expect("written");
        results(&elsewhere, &trusting)
    };
    assert_eq!(with("blocks", json!([])), ["VALID-UNWITNESSED"; 6]);
    assert_eq!(with("depth", json!("7")), ["VALID-UNANCHORED"; 6]);
    assert_eq!(with("easiest", json!(format!("00000000ffff{}", "0".repeat(52)))), ["INVALID(ledger-work)"; 6]);
    std::fs::copy(out.join("trust.json"), &pinned).expect("copied");
    // Each receipt has its own place, for both checkers.
    let modules: Vec<_> =
        std::fs::read_dir(&out).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    let modules: Vec<_> = modules.into_iter().filter(|path| path.is_dir()).collect();
    std::fs::copy(modules[0].join("ledger-anchor.json"), modules[1].join("ledger-anchor.json")).expect("copied");
    let found = results(&elsewhere, &trusting);
    assert!(found.contains(&"INVALID(ledger-anchor)".to_owned()), "{found:?}");
    if let Ok(checked) = Command::new("python3").arg(foreign).arg(&out).output() {
        assert!(!checked.status.success(), "{}", words(&checked));
    }
}

#[test]
fn killed_at_any_moment_it_anchors_each_receipt_once() {
    let Some(node) = Node::start("anchoring that is killed") else { return };
    let place = Place::new();
    assert_eq!(place.ii(&place.run_args(SIX_MODULES)).status.code(), Some(0));
    for turn in 0..10 {
        let mut watch = command(&place, &node, &["receipts", "watch"]).spawn().expect("starts");
        std::thread::sleep(Duration::from_millis(turn * 20));
        watch.kill().expect("SIGKILL");
        watch.wait().expect("is gone");
    }
    submit(&place, &node);
    node.mine(1);
    assert_eq!(node.fees(), Vec::<u64>::new(), "one transaction in all");
    for _block in 0..DEPTH {
        submit(&place, &node);
        node.mine(1);
    }
    assert_eq!(submit(&place, &node).status.code(), Some(0));
    assert_eq!(standings(&place), ["credited"; 6]);
    let ways = read(&place.ii(&["receipts", "status", "--json"]))["receipts"].clone();
    let blocks: std::collections::BTreeSet<String> =
        ways.as_array().expect("rows").iter().map(|row| row["way"]["block"].to_string()).collect();
    assert_eq!(blocks.len(), 1);
}

#[test]
fn what_stands_in_the_way_is_said_with_its_mend_and_without_the_password() {
    let Some(node) = Node::start("what stands in the way of an anchor") else { return };
    let place = Place::new();
    assert_eq!(place.ii(&place.run_args("Who may pause a run?")).status.code(), Some(0));
    let said = |settings: &[(&str, &str)], arguments: &[&str]| {
        let mut command = command(&place, &node, arguments);
        for (name, value) in settings {
            command.env(name, value);
        }
        let ran = command.output().expect("runs");
        (ran.status.code(), words(&ran))
    };
    let submit = ["receipts", "submit", "--wait", "0"];
    let wrong = place.folder.path().join("wrong");
    std::fs::write(&wrong, "me:secret-words").expect("written");
    let wrong = wrong.to_str().expect("text");
    let none = place.folder.path().join("none");
    let genesis = "0".repeat(64);
    for (settings, exit, what) in [
        (vec![("II_LEDGER_CREDENTIALS", wrong)], 9, "ledger.credentials, such as the node's .cookie"),
        (vec![("II_LEDGER_CREDENTIALS", none.to_str().expect("text"))], 9, "see that the node runs"),
        (vec![("II_LEDGER_GENESIS", genesis.as_str())], 9, "begins with block 0f9188f1"),
        (vec![("II_LEDGER_GENESIS", "main")], 3, "64 lower-case hex"),
        (vec![("II_LEDGER_DEPTH", "0")], 3, "ledger.depth"),
        (vec![("II_LEDGER", "bitcoin+http://me:secret-words@127.0.0.1:1/")], 3, "ledger.credentials names"),
        (vec![("II_LEDGER", "bitcoin+http://node.example:8332/")], 3, "in the clear"),
    ] {
        let (code, text) = said(&settings, &submit);
        assert_eq!(code, Some(exit), "{settings:?}: {text}");
        assert!(text.contains(what) && !text.contains("secret-words"), "{settings:?}: {text}");
    }
    let (code, text) = said(&[], &["receipts", "submit", "--ledger", "bitcoin+http://me:secret-words@127.0.0.1:1/"]);
    assert!(code == Some(2) && !text.contains("secret-words"), "{text}");
    node.order("spend", json!({}));
    let (code, text) = said(&[], &submit);
    assert!(code == Some(9) && text.contains("no coin of"), "{text}");
    node.order("fund", json!({}));
    let (code, text) = said(&[], &submit);
    assert!(code == Some(9) && text.contains("receipts are not credited yet"), "{text}");
}
