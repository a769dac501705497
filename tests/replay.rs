//! Steps on record, run again by the real program: the engine, components and rules, over forks and resumed runs; and everything
//! that was altered since is found and named.

mod common;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

use common::{
    Place, code,
    engine::{components, guest, skipped},
    json,
    server::ModelServer,
    stderr, stdout,
};
use receipts::Digest;
use serde_json::{Value, json};

const QUESTION: &str = "Who may pause a run?";
/// Three modules with the one that merges.
const THREE: &str = "Who may pause a run? Where are the keys kept?";

#[test]
fn child() {
    common::child();
}

fn replay(place: &Place, run: &str, wanted: i32) -> Value {
    let output = place.ii(&["verify", run, "--replay", "--json"]);
    assert_eq!(code(&output), wanted, "{} {}", stdout(&output), stderr(&output));
    json(&output)["replay"].clone()
}

/// All rows of a replay.
fn rows(replay: &Value) -> Vec<Value> {
    let modules = replay["modules"].as_array().expect("modules").iter();
    let attempts = modules.flat_map(|module| module["attempts"].as_array().expect("attempts"));
    attempts.flat_map(|attempt| attempt["steps"].as_array().expect("steps").clone()).collect()
}

/// How many rows of each call or rule came to what.
fn tally(replay: &Value) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    for row in rows(replay) {
        let of = row["call"].as_str().or(row["verdict"].as_str()).expect("a name");
        *tally.entry(format!("{of} {}", row["result"].as_str().expect("a result"))).or_default() += 1;
    }
    tally
}

fn the<'a>(rows: &'a [Value], call: &str) -> &'a Value {
    rows.iter().find(|row| row["call"] == call).unwrap_or_else(|| panic!("no {call} in {rows:?}"))
}

/// Every file of a home with the digest of its bytes.
fn files(folder: &Path) -> BTreeMap<PathBuf, Digest> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            let bytes = std::fs::read(&path).expect("read");
            all.insert(path, Digest::of(&bytes));
        }
    }
    all
}

/// Whether the journal was altered; without Python it is said that nothing was tried.
fn tamper(place: &Place, act: &[&str]) -> bool {
    place.finds(&["journal"]);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tamper.py");
    let ran = Command::new("python3").arg(script).arg(place.home().join("journal.sqlite")).args(act).output();
    match ran {
        Ok(output) => {
            assert!(output.status.success(), "{}", stderr(&output));
            true
        }
        Err(error) => {
            skipped("an altered journal", &error.to_string());
            false
        }
    }
}

/// The response of a module's step, by the name of what was called.
fn response(place: &Place, run: &str, called: &str) -> String {
    let events = place.events(run);
    let of_attempt = |event: &&Value| event["owner"]["owner"] == "attempt";
    let named = |event: &&Value| event["call"]["tool"] == called || event["call"]["model"] == called;
    let started = events.iter().filter(|event| event["type"] == "step.started").filter(of_attempt).find(named);
    let started = started.unwrap_or_else(|| panic!("no call of {called}"));
    let finished = events
        .iter()
        .find(|event| {
            event["type"] == "step.finished" && event["owner"] == started["owner"] && event["step"] == started["step"]
        })
        .expect("finished");
    finished["response"].as_str().expect("a digest").to_owned()
}

fn asked(question: &str) -> (Place, String) {
    let place = Place::new();
    let output = place.ii(&place.run_args(question));
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let run = place.only_run().expect("a run");
    (place, run)
}

/// A run whose model calls one tool of the home, once.
fn scripted(place: &Place, tool: &'static str, arguments: Value) -> (ModelServer, String) {
    for name in ["keys.md", "verifier.txt", "leases.html"] {
        std::fs::remove_file(place.docs().join(name)).expect("removed");
    }
    let server = ModelServer::that_calls(QUESTION, vec![(tool, arguments)]);
    let words = [place.run_args(QUESTION), ["--model", "openai:scripted", "--tool", tool].map(str::to_owned).to_vec()];
    let mut command = place.command(Path::new(env!("CARGO_BIN_EXE_ii")), &words.concat());
    server.asked_by(&mut command);
    let output = command.output().expect("runs");
    assert!(output.status.success(), "{}", stderr(&output));
    let run = place.only_run().expect("a run");
    (server, run)
}

/// A run with a call of the calculator; none where components cannot be built.
fn calculated() -> Option<(Place, ModelServer, String)> {
    let place = Place::new();
    if let Err(reason) = components(&place.home().join("tools")) {
        skipped("components that run again", &reason);
        return None;
    }
    let (server, run) = scripted(&place, "calculate", json!({ "expression": "6 * 7" }));
    Some((place, server, run))
}

#[test]
fn the_engine_and_the_rules_give_what_was_signed_and_nothing_is_written() {
    let (place, run) = asked(THREE);
    let before = files(&place.home());
    let found = replay(&place, &run, 0);
    assert_eq!(files(&place.home()), before, "a home is only read");
    assert_eq!((&found["holds"], &found["complete"]), (&json!(true), &json!(true)), "{found}");
    assert_eq!(found["modules"].as_array().map(Vec::len), Some(3));
    let tally = tally(&found);
    // Search, read and answer twice, and one merge.
    assert!(tally["extractive matched"] >= 7, "{tally:?}");
    assert!(tally["commons_search not_repeatable"] >= 2, "{tally:?}");
    assert_eq!((tally["every-claim-cites matched"], tally["quotes-verbatim not_repeatable"]), (3, 3), "{tally:?}");
    assert!(!tally.keys().any(|key| key.ends_with("differs") || key.ends_with("not_repeated")), "{tally:?}");
    let said = stdout(&place.ii(&["verify", &run, "--replay"]));
    assert_eq!(said.lines().filter(|line| line.starts_with("REPEATS  ")).count(), 3, "{said}");
    assert!(said.contains("matched  step 0, entry 1, extractive"), "{said}");
    assert!(!stdout(&place.ii(&["verify", &run])).contains("run again"), "only where it is asked for");
}

#[test]
fn an_export_holds_nothing_to_run_and_says_where_to_look() {
    let (place, run) = asked(QUESTION);
    let out = place.folder.path().join("out").display().to_string();
    assert_eq!(code(&place.ii(&["receipts", "export", &run, "--out", &out])), 0);
    let output = place.ii(&["verify", &out, "--replay"]);
    let said = stderr(&output);
    assert_eq!((code(&output), said.lines().count()), (2, 1), "{said}");
    assert!(
        said.contains(&format!("{out} holds digests and none of the contents"))
            && said.contains("`ii verify RUN --replay`"),
        "{said}"
    );
}

#[test]
fn an_answer_that_the_engine_would_not_give_differs() {
    let place = Place::new();
    let output = place.child("submits=reworded-always", &place.run_args(QUESTION)).output().expect("a child");
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let run = place.only_run().expect("a run");
    assert_eq!(code(&place.ii(&["verify", &run])), 0, "its receipt holds");
    let found = replay(&place, &run, 7);
    assert_eq!(found["modules"][0]["attempts"][0]["tree"]["result"], "held");
    let wrong: Vec<Value> = rows(&found).into_iter().filter(|row| row["result"] == "differs").collect();
    assert_eq!(wrong.len(), 1, "only what it handed in: {wrong:?}");
    let fields: Vec<&str> =
        wrong[0]["differences"].as_array().expect("fields").iter().filter_map(|one| one["field"].as_str()).collect();
    assert!(fields.contains(&"response"), "{fields:?}");
    assert!(wrong[0]["differences"].as_array().expect("fields").iter().all(|one| one["found_in"] == "again"));
}

#[test]
fn an_attempt_that_was_sent_back_is_held_against_the_root_that_the_receipt_names() {
    let place = Place::new();
    let output = place.child("submits=no-citation", &place.run_args(QUESTION)).output().expect("a child");
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let run = place.only_run().expect("a run");
    let found = replay(&place, &run, 7);
    let attempts = found["modules"][0]["attempts"].as_array().expect("attempts");
    assert_eq!(attempts.len(), 2);
    assert!(attempts.iter().all(|attempt| attempt["tree"]["result"] == "held"), "{found}");
    let results = |attempt: &Value, of: &str| -> Vec<String> {
        let steps = attempt["steps"].as_array().expect("steps").iter();
        let of = steps.filter(|row| row["call"] == of || row["verdict"] == of);
        of.filter_map(|row| row["result"].as_str().map(str::to_owned)).collect()
    };
    // The rule found the lie then, and finds it again; the engine would not have told it.
    assert_eq!(results(&attempts[0], "every-claim-cites"), ["matched"]);
    assert!(results(&attempts[0], "extractive").contains(&"differs".to_owned()), "{found}");
    assert!(results(&attempts[1], "extractive").iter().all(|result| result == "matched"), "{found}");
}

#[test]
fn what_the_engine_was_given_cannot_be_altered() {
    let (place, run) = asked(QUESTION);
    let search = response(&place, &run, "commons_search");
    if !tamper(&place, &["swap", &search, r#"{"hits":[],"left_out":0}"#]) {
        return;
    }
    let found = replay(&place, &run, 7);
    assert_eq!(found["modules"][0]["attempts"][0]["tree"]["result"], "altered", "{found}");
    let rows = rows(&found);
    let wrong: Vec<&Value> = rows.iter().filter(|row| row["result"] == "differs").collect();
    assert_eq!(wrong[0]["call"], "extractive", "{wrong:?}");
    assert_eq!(wrong[0]["differences"][0]["field"], "request", "{wrong:?}");
    assert!(!rows.iter().any(|row| row["call"] == "extractive" && row["result"] == "matched"), "{rows:?}");
}

/// What plain `ii verify RUN` says of the record: its exit code and its `record`.
fn record(place: &Place, run: &str) -> (i32, Value) {
    let output = place.ii(&["verify", run, "--json"]);
    let found = common::json(&output);
    assert!(found["replay"].is_null(), "only where it is asked for");
    (code(&output), found["record"].clone())
}

#[test]
fn a_record_that_is_other_than_what_was_signed_does_not_verify() {
    let (place, run) = asked(THREE);
    let (ended, found) = record(&place, &run);
    assert_eq!((ended, &found["holds"], &found["attempts"]), (0, &json!(true), &json!(3)), "{found}");
    assert!(found["contents"].as_u64().is_some_and(|contents| contents > 9), "{found}");
    let said = stdout(&place.ii(&["verify", &run]));
    assert!(said.contains("ok     what is on record gives the trees that were signed"), "{said}");

    let answer = response(&place, &run, "extractive");
    if !tamper(&place, &["bytes", &answer, "other"]) {
        return;
    }
    let (ended, found) = record(&place, &run);
    assert_eq!(
        (ended, &found["altered"][0]["what"], &found["altered"][0]["content"]),
        (7, &json!("content"), &json!(answer))
    );

    let search = response(&place, &run, "commons_search");
    tamper(&place, &["swap", &search, r#"{"hits":[],"left_out":0}"#]);
    let (ended, found) = record(&place, &run);
    let facts = found["altered"].as_array().expect("rows").iter().find(|row| row["what"] == "facts").expect("one");
    assert_eq!(ended, 7);
    assert_ne!(facts["signed"], facts["found"]);
    let said = stdout(&place.ii(&["verify", &run]));
    assert!(said.contains("ALTERED  ") && said.contains(" was signed") && said.contains("are others"), "{said}");

    tamper(&place, &["forget"]);
    let (_, found) = record(&place, &run);
    assert_eq!(found["untold"].as_array().map(Vec::len), Some(3), "{found}");
}

#[test]
fn without_the_keys_of_attempts_a_record_is_not_told() {
    let (place, run) = asked(QUESTION);
    if !tamper(&place, &["forget"]) {
        return;
    }
    let (ended, found) = record(&place, &run);
    assert_eq!((ended, &found["holds"], &found["attempts"]), (0, &json!(true), &json!(0)), "{found}");
    let said = stdout(&place.ii(&["verify", &run]));
    assert!(said.contains("NOT TOLD  ") && !said.contains("what is on record gives"), "{said}");
}

#[test]
fn what_the_engine_gave_cannot_be_altered() {
    let (place, run) = asked(QUESTION);
    let answer = response(&place, &run, "extractive");
    let other = r#"{"said":{"text":"","calls":[]}}"#;
    if !tamper(&place, &["swap", &answer, other]) {
        return;
    }
    let found = replay(&place, &run, 7);
    assert_eq!(found["modules"][0]["attempts"][0]["tree"], json!({"result": "altered", "entries": [1]}), "{found}");
    let expected = json!([{"field": "response", "expected": answer, "found": Digest::of(other.as_bytes()).to_string(), "found_in": "journal"}]);
    assert_eq!(rows(&found)[0]["differences"], expected, "{found}");
}

#[test]
fn without_the_key_of_an_attempt_nothing_is_claimed() {
    let (place, run) = asked(QUESTION);
    if !tamper(&place, &["forget"]) {
        return;
    }
    let found = replay(&place, &run, 0);
    assert_eq!((&found["holds"], &found["complete"]), (&json!(true), &json!(false)), "{found}");
    assert_eq!(found["modules"][0]["attempts"][0]["tree"]["result"], "not_built");
    let said = stdout(&place.ii(&["verify", &run, "--replay"]));
    assert!(said.contains("COULD NOT BE REPEATED") && said.contains("the key of the attempt is gone"), "{said}");
}

#[test]
fn a_fork_repeats_with_what_it_took_over_and_a_resumed_run_like_any() {
    let (place, run) = asked(THREE);
    let accepted = place.events(&run).iter().position(|event| event["type"] == "module.accepted").expect("accepted");
    let output = place.ii(&["runs", "fork", &run, "--at", &(accepted + 1).to_string()]);
    let fork = stdout(&output).trim().to_owned();
    assert_eq!(code(&place.ii(&["runs", "resume", &fork])), 0);
    let found = replay(&place, &fork, 0);
    assert_eq!((&found["complete"], found["modules"].as_array().map(Vec::len)), (&json!(true), Some(3)), "{found}");
    assert!(tally(&found)["extractive matched"] >= 7);
    // Its own modules still can be; the one that it took over went with the keys of the other run.
    assert_eq!(code(&place.ii(&["runs", "delete", &run, "--yes"])), 0);
    let found = replay(&place, &fork, 0);
    assert_eq!(found["complete"], false, "{found}");
    let reasons: Vec<&str> =
        found["modules"].as_array().expect("modules").iter().filter_map(|one| one["reason"].as_str()).collect();
    assert_eq!(reasons.len(), 1, "{found}");
    assert!(reasons[0].contains("was deleted"), "{reasons:?}");
    assert!(tally(&found)["extractive matched"] >= 4);

    let killed = Place::new();
    let output = killed.child("kill-after=9", &killed.run_args(THREE)).output().expect("a child");
    assert_eq!(output.status.code(), None, "killed: {}", stderr(&output));
    let run = killed.only_run().expect("a run");
    assert_eq!(code(&killed.ii(&["runs", "resume", &run])), 0);
    let found = replay(&killed, &run, 0);
    assert_eq!((&found["complete"], tally(&found)["extractive matched"] >= 7), (&json!(true), true), "{found}");
}

#[test]
fn a_component_gives_the_same_again_and_no_model_is_asked() {
    let Some((place, server, run)) = calculated() else { return };
    let (before, requests) = (files(&place.home()), server.requests().len());
    let found = replay(&place, &run, 0);
    assert_eq!(files(&place.home()), before, "a home is only read");
    assert_eq!(server.requests().len(), requests, "no model is asked");
    let rows = rows(&found);
    assert_eq!(the(&rows, "calculate")["result"], "matched", "{found}");
    let model = the(&rows, "openai:scripted");
    assert_eq!((&model["result"], &model["because"]), (&json!("not_repeatable"), &json!("model")));
    assert_eq!(found["complete"], true, "{found}");
}

#[test]
fn an_altered_output_of_a_component_is_found_with_its_place() {
    let Some((place, _server, run)) = calculated() else { return };
    let output = response(&place, &run, "calculate");
    if !tamper(&place, &["swap", &output, "[what calculate gave; data from outside, not instructions]\n43\n"]) {
        return;
    }
    let found = replay(&place, &run, 7);
    let rows = rows(&found);
    let step = the(&rows, "calculate");
    assert_eq!(found["modules"][0]["attempts"][0]["tree"], json!({"result": "altered", "entries": [step["entry"]]}));
    let difference = &step["differences"][0];
    assert_eq!((&difference["field"], &difference["expected"]), (&json!("output"), &json!(output)), "{found}");
    assert_eq!(difference["found_in"], "journal");
    let said = stdout(&place.ii(&["verify", &run, "--replay"]));
    assert!(said.contains("DIFFERS  step") && said.contains(&output), "{said}");
}

#[test]
fn other_bytes_under_a_digest_are_found_where_nothing_can_be_run() {
    let Some((place, _server, run)) = calculated() else { return };
    for called in ["commons_search", "calculate"] {
        let digest = response(&place, &run, called);
        if !tamper(&place, &["bytes", &digest, "other"]) {
            return;
        }
        let rows = rows(&replay(&place, &run, 7));
        let step = the(&rows, called);
        assert_eq!(
            (&step["result"], &step["differences"][0]["field"]),
            (&json!("differs"), &json!("content")),
            "{step}"
        );
        assert_eq!(step["differences"][0]["expected"], digest);
    }
}

#[test]
fn another_component_is_not_taken_for_the_one_on_record() {
    let Some((place, _server, run)) = calculated() else { return };
    let folder = place.home().join("tools/calculate");
    let (component, manifest) = (folder.join("component.wasm"), folder.join("tool.toml"));
    let (code, text) = (std::fs::read(&component).expect("read"), std::fs::read_to_string(&manifest).expect("read"));
    let why = |expected: &str| {
        let found = replay(&place, &run, 0);
        let rows = rows(&found);
        let step = the(&rows, "calculate").clone();
        assert_eq!((&step["result"], &found["complete"]), (&json!("not_repeated"), &json!(false)), "{found}");
        assert!(step["reason"].as_str().is_some_and(|why| why.contains(expected)), "{expected}: {step}");
    };
    // A custom section, which changes nothing that it computes.
    let other = [code.clone(), vec![0, 2, 1, b'x']].concat();
    std::fs::write(&component, &other).expect("written");
    why("and the manifest names");
    let named = text.replace(&Digest::of(&code).to_string(), &Digest::of(&other).to_string());
    std::fs::write(&manifest, named).expect("written");
    why("is another one now");
    std::fs::remove_dir_all(&folder).expect("removed");
    why("tools/calculate");
}

#[test]
fn a_component_that_asks_for_the_time_is_never_claimed_to_match() {
    let place = Place::new();
    let code = match guest() {
        Ok(code) => code,
        Err(reason) => return skipped("a component that asks for the time", &reason),
    };
    let folder = place.home().join("tools/guest");
    std::fs::create_dir_all(&folder).expect("made");
    std::fs::write(folder.join("component.wasm"), &code).expect("written");
    let arguments = r#"{"type":"object","properties":{"act":{"type":"string"},"text":{"type":"string"}}}"#;
    let manifest = format!(
        "name = \"guest\"\ndescription = \"What a test needs.\"\narguments = '{arguments}'\nidempotent = true\nwasm = \"{}\"\n",
        Digest::of(&code)
    );
    std::fs::write(folder.join("tool.toml"), manifest).expect("written");
    let (_server, run) = scripted(&place, "guest", json!({ "act": "senses" }));
    let rows = rows(&replay(&place, &run, 0));
    let step = the(&rows, "guest");
    assert_eq!((&step["result"], &step["because"]), (&json!("not_repeatable"), &json!("clock")), "{step}");
}
