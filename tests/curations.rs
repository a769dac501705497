//! Receipts of ingests through the real program: made once, shown, handed on, verified by a stranger, and tampered with.

mod common;

use std::{fs, path::PathBuf};

use common::Place;
use serde_json::{Value, json};

fn json(place: &Place, words: &[&str]) -> Value {
    let output = place.ii(&[words, &["--json"]].concat());
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{words:?}: {error}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// What the program printed, and its exit code.
fn said(place: &Place, words: &[&str]) -> (Option<i32>, String) {
    let output = place.ii(words);
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

fn docs(place: &Place) -> String {
    place.docs().display().to_string()
}

/// The folders of receipts of the only collection.
fn sealed(place: &Place) -> Vec<PathBuf> {
    let collection = fs::read_dir(place.home().join("commons")).expect("commons").next().expect("one").expect("one");
    let entries =
        fs::read_dir(collection.path().join("curation")).expect("a folder").map(|one| one.expect("one").path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.join("receipt.intoto.json").is_file()).collect();
    folders.sort();
    folders
}

fn receipts(place: &Place) -> Vec<Value> {
    let shown = json(place, &["commons", "receipts", &docs(place)]);
    shown["receipts"].as_array().expect("receipts").clone()
}

#[test]
fn an_ingest_leaves_one_receipt_that_a_stranger_verifies_document_by_document() {
    let place = Place::new();
    fs::write(place.docs().join("caf.txt"), b"Le caf\xe9 est ferm\xe9 le dimanche, c'est tr\xe8s dommage.")
        .expect("written");
    fs::write(place.docs().join("data.bin"), [0, 1]).expect("written");
    let added = json(&place, &["commons", "add", &docs(&place), "--licence", "CC-BY-4.0"]);
    assert_eq!(added["receipts"].as_array().map(Vec::len), Some(1), "{added}");
    let unchanged = json(&place, &["commons", "add", &docs(&place)]);
    assert_eq!(unchanged["receipts"], json!([]), "an ingest that changed nothing gives no receipt");
    fs::write(place.docs().join("keys.md"), "# Keys\n\nThe keys moved.\n").expect("written");
    fs::remove_file(place.docs().join("rules.md")).expect("removed");
    json(&place, &["commons", "add", &docs(&place)]);

    let shown = receipts(&place);
    assert_eq!(shown.len(), 2, "{shown:?}");
    assert_eq!(shown[0]["receipt"], added["receipts"][0]["receipt"]);
    assert_eq!(shown[0]["counts"], json!({"added": "5", "changed": "0", "refused": "1", "removed": "0"}));
    assert_eq!(shown[1]["counts"], json!({"added": "0", "changed": "1", "refused": "1", "removed": "1"}));
    assert_eq!(shown[0]["after"], shown[1]["before"]);
    assert!(shown.iter().all(|one| one["result"] == "VALID-UNANCHORED"), "{shown:?}");
    let log = PathBuf::from(shown[0]["log"].as_str().expect("a path"));
    let lines = fs::read_to_string(&log).expect("a log");
    let line = lines.lines().find(|line| line.contains("caf.txt")).expect("a line");
    for known in ["windows-1252", "passages/1", "text/plain/2", "CC-BY-4.0"] {
        assert!(line.contains(known), "{known}: {line}");
    }

    let out = place.folder.path().join("out");
    let (out, trust) = (out.display().to_string(), out.join("trust.json").display().to_string());
    let exported = json(&place, &["commons", "receipts", &docs(&place), "--out", &out, "--document", "keys.md"]);
    assert_eq!((&exported["receipts"], &exported["disclosed"]), (&2.into(), &2.into()), "{exported}");
    let log = log.display().to_string();
    let (code, text) = said(&place, &["verify", &out, "--trust", &trust, "--log", &log]);
    assert!(code == Some(0) && text.contains("LOG HOLDS"), "{text}");
    let found = json(&place, &["verify", &out, "--trust", &trust]);
    for one in found["receipts"].as_array().expect("receipts") {
        assert_eq!((&one["class"], &one["result"]), (&"Data-Curation".into(), &"VALID-UNANCHORED".into()), "{one}");
    }

    let altered = place.folder.path().join("altered.jsonl");
    fs::write(&altered, lines.replacen("CC-BY-4.0", "CC-BY-3.0", 1)).expect("written");
    let (code, text) = said(&place, &["verify", &out, "--trust", &trust, "--log", &altered.display().to_string()]);
    assert!(
        code == Some(7) && text.contains("LOG DOES NOT HOLD") && text.contains("the tree over its lines"),
        "{text}"
    );
    let record = lines.replacen(r#""licence":"CC-BY-4.0""#, r#""licence":"CC-BY-3.0""#, 1);
    fs::write(&altered, record).expect("written");
    let (code, text) = said(&place, &["verify", &out, "--trust", &trust, "--log", &altered.display().to_string()]);
    assert!(code == Some(7) && text.contains("line 2 (caf.txt) was altered"), "{text}");

    let name =
        fs::read_dir(&out).expect("out").map(|one| one.expect("one").path()).find(|path| path.is_dir()).expect("one");
    let proof = fs::read_dir(&name).expect("files").map(|one| one.expect("one").path());
    let proof = proof.filter(|path| path.extension().is_some_and(|end| end == "tlog-proof")).max().expect("a proof");
    let text = fs::read_to_string(&proof).expect("text");
    fs::write(&proof, text.replacen("index ", "index 1", 1)).expect("written");
    let (code, text) = said(&place, &["verify", &out, "--trust", &trust]);
    assert!(code == Some(7) && text.contains("INVALID(disclosure"), "{text}");
}

#[test]
fn what_was_not_sealed_is_sealed_once_by_the_next_that_looks() {
    let place = Place::new();
    // On the way to something else an ingest leaves its log, and no receipt yet.
    json(&place, &["search", "keys", "--docs", &docs(&place)]);
    assert_eq!(sealed(&place).len(), 0);
    let added = json(&place, &["commons", "add", &docs(&place)]);
    assert_eq!((&added["added"], added["receipts"].as_array().map(Vec::len)), (&0.into(), Some(1)), "{added}");
    let [folder] = &sealed(&place)[..] else { panic!("one receipt") };
    let first = receipts(&place);

    // Killed before the receipt stood in its place: half of its files lie beside it.
    let half = folder.with_file_name(".sealing");
    fs::rename(folder, &half).expect("moved");
    fs::remove_file(half.join("receipt.intoto.json")).expect("removed");
    let commands: Vec<_> = (0..2)
        .map(|_| {
            let words = ["commons", "receipts", &docs(&place), "--json"];
            place
                .command(env!("CARGO_BIN_EXE_ii").as_ref(), &words)
                .stdout(std::process::Stdio::piped())
                .spawn()
                .expect("ii")
        })
        .collect();
    let shown: Vec<Value> = commands
        .into_iter()
        .map(|child| serde_json::from_slice(&child.wait_with_output().expect("ends").stdout).expect("JSON"))
        .collect();
    assert_eq!(shown[0]["receipts"], shown[1]["receipts"], "two programs at once make one receipt");
    assert_eq!(shown[0]["receipts"][0]["nullifier"], first[0]["nullifier"]);
    assert_eq!(sealed(&place).len(), 1);
    assert!(!half.exists());
    let again = json(&place, &["commons", "add", &docs(&place)]);
    assert_eq!((&again["receipts"], sealed(&place).len()), (&json!([]), 1));
}

#[test]
fn a_log_that_was_altered_before_it_was_sealed_gets_no_receipt() {
    let place = Place::new();
    json(&place, &["search", "keys", "--docs", &docs(&place)]);
    let collection = fs::read_dir(place.home().join("commons")).expect("commons").next().expect("one").expect("one");
    let curation = collection.path().join("curation");
    let log = fs::read_dir(&curation).expect("logs").map(|one| one.expect("one").path());
    let log = log.into_iter().find(|path| path.extension().is_some_and(|end| end == "jsonl")).expect("a log");
    let text = fs::read_to_string(&log).expect("text");
    fs::write(&log, text.replacen("keys.md", "kays.md", 1)).expect("written");
    let (code, text) = said(&place, &["commons", "add", &docs(&place)]);
    assert!(code == Some(7) && text.contains("gets no receipt") && text.contains("line 2 (kays.md)"), "{text}");
    assert_eq!(sealed(&place).len(), 0);
}
