//! The command line as a contract: exit codes, one-line errors, JSON shapes, and that bad input loses nothing.

mod common;

use std::{
    fs,
    io::Write,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process::{Command, Output, Stdio},
};

use common::{Place, SIX_MODULES, code, json, stderr, stdout};
use serde_json::Value;

const QUESTION: &str = "Who may pause a run?";

/// The one line on stderr that an error is, without progress lines.
fn error_line(output: &Output) -> String {
    let text = stderr(output);
    let last = text.lines().last().unwrap_or_default().to_owned();
    assert!(last.starts_with("ii: ") && last.contains("; "), "no error with a fix: {text:?}");
    last
}

fn refused(output: &Output, expected: i32, says: &str) {
    assert_eq!(code(output), expected, "{}", stderr(output));
    let line = error_line(output);
    assert!(line.contains(says), "{line:?} does not name {says:?}");
    assert!(output.stdout.is_empty(), "{}", stdout(output));
}

fn events(output: &Output) -> Vec<Value> {
    stdout(output).lines().map(|line| serde_json::from_str(line).expect("one JSON object a line")).collect()
}

/// A place with one closed run.
fn ran() -> (Place, String) {
    let place = Place::new();
    let output = place.ii(&place.run_args(QUESTION));
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let run = place.only_run().expect("a run");
    (place, run)
}

#[test]
fn questions_that_make_no_sense() {
    let place = Place::new();
    for empty in ["", "  \n\t "] {
        refused(&place.ii(&place.run_args(empty)), 2, "question is empty");
    }
    let mut child = place
        .command(Path::new(env!("CARGO_BIN_EXE_ii")), &place.run_args("-"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ii");
    let sent = child.stdin.take().expect("stdin").write_all(&b"why? ".repeat(2 << 20));
    assert!(sent.is_err() || sent.is_ok(), "the program may hang up early");
    refused(&child.wait_with_output().expect("ends"), 2, "65536 bytes");
    assert!(!place.home().join("journal.sqlite").exists(), "nothing was begun");
}

#[test]
fn folders_that_cannot_be_answered_from() {
    let place = Place::new();
    let with = |docs: &Path| place.ii(&["run", QUESTION, "--docs", &docs.display().to_string()]);
    refused(&with(&place.folder.path().join("nowhere")), 2, "nowhere");
    refused(&with(&place.docs().join("rules.md")), 2, "not a folder");
    refused(&place.ii(&["run", QUESTION]), 2, "--docs");
    let empty = place.folder.path().join("empty");
    fs::create_dir(&empty).expect("a folder");
    refused(&with(&empty), 2, "nothing readable");
    fs::write(empty.join("binary.md"), [0_u8, 159, 146, 150]).expect("a file");
    fs::write(empty.join("broken.pdf"), b"%PDF-1.4 and no more").expect("a file");
    fs::write(empty.join("photo.png"), b"\x89PNG").expect("a file");
    symlink(&empty, empty.join("loop")).expect("a link");
    fs::File::create(empty.join("huge.md")).and_then(|file| file.set_len(1 << 30)).expect("a sparse gigabyte");
    refused(&with(&empty), 2, "nothing readable");
    assert!(place.only_run().is_none(), "no run was begun");
}

#[test]
fn unreadable_documents_are_named_and_the_others_answer() {
    let place = Place::new();
    fs::write(place.docs().join("binary.md"), [0_u8, 1, 2]).expect("a file");
    fs::write(place.docs().join("broken.pdf"), b"%PDF-1.4 and no more").expect("a file");
    symlink(place.docs(), place.docs().join("loop")).expect("a link");
    fs::File::create(place.docs().join("huge.md")).and_then(|file| file.set_len(1 << 30)).expect("a sparse gigabyte");
    let output = place.ii(&place.run_args(QUESTION));
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    for name in ["binary.md", "broken.pdf", "loop", "huge.md"] {
        assert!(stderr(&output).contains(&format!("passed over {name}")), "{name}: {}", stderr(&output));
    }
    assert!(stdout(&output).contains("A person may pause a run at any time."));
}

#[test]
fn no_answer_is_a_completed_run_that_says_so() {
    let place = Place::new();
    for question in ["zyzzyva quux?", "¿?"] {
        let output = place.ii(&place.run_args(question));
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        assert!(stdout(&output).contains("No answer was found"), "{}", stdout(&output));
    }
}

#[test]
fn the_same_facts_give_the_same_report() {
    let (first, second) = (Place::new(), Place::new());
    let report = |place: &Place| stdout(&place.ii(&place.run_args(SIX_MODULES)));
    let text = report(&first);
    assert_eq!(text, report(&second));
    assert!(text.contains("No language model was used"));
    assert!(text.contains("rules.md, bytes "));
}

#[test]
fn events_go_from_the_first_fact_to_the_last_and_hold_the_report() {
    let place = Place::new();
    let mut arguments = place.run_args(QUESTION);
    arguments.push("--json".to_owned());
    let output = place.ii(&arguments);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let events = events(&output);
    assert_eq!(events[0]["type"], "run.opened");
    for (event, seq) in events.iter().zip(1..) {
        assert_eq!((&event["seq"], &event["v"]), (&seq.into(), &1.into()));
    }
    let last = events.last().expect("a last event");
    let run = place.only_run().expect("a run");
    assert_eq!(
        (&last["type"], &last["run"], &last["outcome"]),
        (&"run.closed".into(), &run.into(), &"completed".into())
    );
    assert_eq!(last["report"]["sections"][0]["claims"][0]["text"], "A person may pause a run at any time.");
    let known = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/EVENTS.md")).expect("the page");
    for event in &events {
        let name = format!("`{}`", event["type"].as_str().expect("a type"));
        assert!(known.contains(&name), "{name} is not in docs/EVENTS.md");
    }
}

#[test]
fn runs_are_listed_shown_resumed_and_deleted() {
    let fresh = Place::new();
    let none = fresh.ii(&["runs", "list", "--json"]);
    assert_eq!((code(&none), json(&none)), (0, serde_json::json!([])));
    assert!(!fresh.home().exists(), "looking makes no home");
    let (place, run) = ran();
    let report = stdout(&place.ii(&["runs", "resume", &run]));
    assert!(report.starts_with(QUESTION));
    assert_eq!(stdout(&place.ii(&["runs", "resume", &run[..30]])), report, "the beginning of an id will do");
    let again = place.ii(&place.run_args("Where are the keys kept?"));
    assert_eq!(code(&again), 0);
    let listed = json(&place.ii(&["runs", "list", "--json"]));
    assert_eq!(listed[0]["question"], "Where are the keys kept?", "newest first");
    assert_eq!(
        (&listed[1]["id"], &listed[1]["state"], &listed[1]["outcome"]),
        (&run.clone().into(), &"closed".into(), &"completed".into())
    );
    let shown = place.ii(&["runs", "show", &run]);
    assert!(stdout(&shown).contains("accepted"), "{}", stdout(&shown));
    refused(&place.ii(&["runs", "delete", &run]), 2, "--yes");
    assert_eq!(code(&place.ii(&["runs", "delete", &run, "--yes"])), 0);
    refused(&place.ii(&["runs", "show", &run]), 2, &run);
    refused(&place.ii(&["runs", "resume", "01a1fd4e-0000-7000-8000-000000000000"]), 2, "no run");
    assert_eq!(code(&place.ii(&["doctor"])), 0);
}

#[test]
fn an_exported_folder_verifies_without_a_home_and_not_when_changed() {
    let (place, run) = ran();
    let out = place.folder.path().join("out");
    let out_text = out.display().to_string();
    assert_eq!(code(&place.ii(&["receipts", "export", &run, "--out", &out_text])), 0);
    refused(&place.ii(&["receipts", "export", &run, "--out", &out_text]), 2, "not empty");
    let trust: Value = serde_json::from_slice(&fs::read(out.join("trust.json")).expect("trust.json")).expect("JSON");
    assert_eq!(trust["network"].as_str().map(str::len), Some(64));
    assert!(trust["log"]["vkey"].as_str().is_some_and(|vkey| vkey.split('+').count() >= 3));
    for role in ["root", "person", "principal", "associate", "verifier", "node"] {
        assert!(trust["keys"].as_array().expect("keys").iter().any(|key| key["role"] == role), "{role}");
    }
    let elsewhere = Place::new();
    let verify = |arguments: &[&str]| elsewhere.ii(&[&["verify"], arguments].concat());
    let own = verify(&[&out_text]);
    assert_eq!(code(&own), 0);
    assert!(stdout(&own).starts_with("VALID-SELFTRUST"), "{}", stdout(&own));
    let pinned = out.join("trust.json").display().to_string();
    let by_pin = verify(&[&out_text, "--trust", &pinned]);
    assert!(stdout(&by_pin).starts_with("VALID-UNANCHORED"), "{}", stdout(&by_pin));
    assert_eq!(code(&verify(&[&out_text, "--strict"])), 7);
    assert!(!elsewhere.home().exists(), "verifying a folder needs no home");
    let module = fs::read_dir(&out).expect("out").map(|e| e.expect("e").path()).find(|p| p.is_dir()).expect("a module");
    let receipt = module.join("receipt.intoto.json");
    assert_eq!(code(&verify(&[&receipt.display().to_string()])), 0);
    assert_eq!(code(&verify(&["nowhere/receipt.intoto.json"])), 2);
    let other_trust = {
        let (other, other_run) = ran();
        let other_out = other.folder.path().join("out");
        other.ii(&["receipts", "export", &other_run, "--out", &other_out.display().to_string()]);
        fs::read(other_out.join("trust.json")).expect("trust")
    };
    let other_path = place.folder.path().join("other-trust.json");
    fs::write(&other_path, other_trust).expect("a file");
    let wrong = verify(&[&out_text, "--trust", &other_path.display().to_string()]);
    assert_eq!(code(&wrong), 7);
    assert!(stdout(&wrong).contains("INVALID(root-untrusted)"), "{}", stdout(&wrong));
    let mut bytes = fs::read(&receipt).expect("a receipt");
    bytes[100] ^= 1;
    fs::write(&receipt, bytes).expect("written");
    for target in [&out_text, &receipt.display().to_string()] {
        let changed = verify(&[target]);
        assert_eq!(code(&changed), 7, "{}", stderr(&changed));
        assert!(stdout(&changed).contains("INVALID("), "{}", stdout(&changed));
    }
    fs::remove_file(&receipt).expect("removed");
    assert_eq!(code(&verify(&[&out_text])), 7, "a module without its receipt");
}

#[test]
fn a_receipt_whose_parent_is_missing_is_unresolved() {
    let place = Place::new();
    assert_eq!(code(&place.ii(&place.run_args(SIX_MODULES))), 0);
    let run = place.only_run().expect("a run");
    let out = place.folder.path().join("out");
    place.ii(&["receipts", "export", &run, "--out", &out.display().to_string()]);
    let found = json(&place.ii(&["verify", &out.display().to_string(), "--json"]));
    let rows = found["receipts"].as_array().expect("receipts");
    let leaf = rows.iter().find(|row| row["parents"].as_array().is_some_and(Vec::is_empty)).expect("a leaf");
    fs::remove_dir_all(out.join(leaf["module"].as_str().expect("a name"))).expect("removed");
    let missing = place.ii(&["verify", &out.display().to_string()]);
    assert_eq!(code(&missing), 7);
    assert!(stdout(&missing).contains("UNRESOLVED-PARENT"), "{}", stdout(&missing));
}

#[test]
fn a_tampered_journal_is_named_with_exit_8() {
    let (place, run) = ran();
    place.finds(&["journal"]);
    let journal = place.home().join("journal.sqlite");
    let mut bytes = fs::read(&journal).expect("a journal");
    let needle = b"module.judged";
    let at = bytes.windows(needle.len()).position(|window| window == needle).expect("a fact in the clear");
    bytes[at] ^= 1;
    fs::write(&journal, bytes).expect("written");
    for arguments in [vec!["runs", "show", &run], vec!["runs", "resume", &run]] {
        refused(&place.ii(&arguments), 8, "damaged");
    }
    let doctor = place.ii(&["doctor"]);
    assert_eq!(code(&doctor), 8, "{}", stdout(&doctor));
    assert!(stdout(&doctor).contains("FAULT  journal"), "{}", stdout(&doctor));
}

#[test]
fn a_home_that_cannot_be_written_is_named_with_exit_8() {
    let place = Place::new();
    fs::write(place.home(), b"a file, no folder").expect("a file");
    refused(&place.ii(&place.run_args(QUESTION)), 8, "home");
}

/// Mounts a memory file system for as long as the value lives; `None` where that is not allowed.
struct Mounted(std::path::PathBuf);

impl Mounted {
    fn at(path: &Path, options: &str) -> Option<Self> {
        fs::create_dir_all(path).expect("a folder");
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "ii-test"])
            .arg(path)
            .stderr(Stdio::null())
            .status();
        done.is_ok_and(|status| status.success()).then(|| Self(path.to_owned()))
    }

    fn remount(&self, options: &str) {
        let status = Command::new("mount").args(["-o", &format!("remount,{options}")]).arg(&self.0).status();
        assert!(status.expect("mount").success());
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let status = Command::new("umount").arg("-l").arg(&self.0).status();
        assert!(status.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

#[test]
fn a_read_only_home_is_named_with_exit_8() {
    let place = Place::new();
    let home = place.home();
    let mounted = Mounted::at(&home, "size=1m,ro,mode=700");
    if mounted.is_none() {
        println!(
            "skipped: a read-only file system: mounting one needs root; a home without write permission stands in"
        );
        fs::set_permissions(&home, fs::Permissions::from_mode(0o500)).expect("mode");
    }
    refused(&place.ii(&place.run_args(QUESTION)), 8, "home");
    if mounted.is_none() {
        fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).expect("mode");
    }
}

#[test]
fn a_full_disk_is_exit_8_and_the_run_goes_on_when_there_is_room() {
    let place = Place::new();
    let Some(mounted) = Mounted::at(&place.home(), "size=16m,mode=700") else {
        println!("skipped: a full disk: mounting a small file system needs root");
        return;
    };
    let first = place.ii(&place.run_args(QUESTION));
    assert_eq!(code(&first), 0, "{}", stderr(&first));
    let filler = place.home().join("filler");
    let filled = fs::File::create(&filler).expect("a file").write_all(&vec![1; 32 << 20]);
    assert!(filled.is_err(), "the disk is full");
    let full = place.ii(&place.run_args("Where are the keys kept?"));
    refused(&full, 8, "no space left");
    mounted.remount("size=64m");
    let again = place.ii(&place.run_args("Where are the keys kept?"));
    assert_eq!(code(&again), 0, "{}", stderr(&again));
    assert_eq!(code(&place.ii(&["doctor"])), 0);
}

#[test]
fn a_budget_that_is_used_up_pauses_with_exit_5() {
    let place = Place::new();
    let mut arguments = place.run_args(QUESTION);
    arguments.extend(["--budget-tool-calls".to_owned(), "1".to_owned(), "--json".to_owned()]);
    let output = place.ii(&arguments);
    assert_eq!(code(&output), 5, "{}", stderr(&output));
    let events = events(&output);
    let last = events.last().expect("a last event");
    assert_eq!((&last["type"], &last["reason"]), (&"run.paused".into(), &"budget".into()));
    let started =
        events.iter().filter(|event| event["type"] == "step.started" && event["call"]["call"] == "tool").count();
    assert!(started <= 1, "{started} tool calls were begun");
}

#[test]
fn mistakes_on_the_command_line_and_in_files() {
    let place = Place::new();
    for (arguments, says) in [
        (vec!["run"], "QUESTION"),
        (vec!["rum"], "rum"),
        (vec!["run", QUESTION, "--dosc", "x"], "--dosc"),
        (vec!["run", QUESTION, "--max-words", "many"], "many"),
        (vec!["runs", "show"], "RUN"),
    ] {
        let output = place.ii(&arguments);
        assert_eq!(code(&output), 2, "{arguments:?}");
        let text = stderr(&output);
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains(says), "{text}");
    }
    let mut arguments = place.run_args(QUESTION);
    arguments.extend(["--model".to_owned(), "gpt".to_owned()]);
    refused(&place.ii(&arguments), 3, "model is `gpt` (flag)");
    fs::create_dir_all(place.home()).expect("home");
    fs::write(place.home().join("config.toml"), "[report]\nmax_word = 3\n").expect("a file");
    refused(&place.ii(&place.run_args(QUESTION)), 3, "report.max_words");
    assert_eq!(code(&place.ii(&["doctor"])), 3);
    fs::write(place.home().join("config.toml"), "docs = \"docs\"\n").expect("a file");
    let shown = place.ii(&["config", "show"]);
    assert!(stdout(&shown).contains("docs = docs  # user file"), "{}", stdout(&shown));
    assert_eq!(code(&place.ii(&["run", QUESTION])), 0, "the folder comes from the file");
}

#[test]
fn keys_open_to_others_are_refused_and_doctor_names_the_fix() {
    let (place, _) = ran();
    let key = place.home().join("keys/node.pem");
    assert_eq!(fs::metadata(&key).expect("a key").permissions().mode() & 0o777, 0o600);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("mode");
    refused(&place.ii(&place.run_args(QUESTION)), 3, "chmod 600");
    let doctor = place.ii(&["doctor", "--json"]);
    assert_eq!(code(&doctor), 3);
    assert_eq!(json(&doctor)["ok"], false);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("mode");
    assert_eq!(code(&place.ii(&["doctor"])), 0);
}

#[test]
fn rotated_keys_leave_old_receipts_good_and_revoked_ones_do_not() {
    let (place, run) = ran();
    for name in ["node", "verifier", "associate-0", "principal", "person"] {
        assert_eq!(code(&place.ii(&["keys", "rotate", name])), 0, "{name}");
        assert_eq!(code(&place.ii(&["verify", &run])), 0, "after rotating {name}");
    }
    assert_eq!(code(&place.ii(&place.run_args("Where are the keys kept?"))), 0);
    for row in json(&place.ii(&["runs", "list", "--json"])).as_array().expect("runs") {
        assert_eq!(code(&place.ii(&["verify", row["id"].as_str().expect("an id")])), 0);
    }
    let newest = json(&place.ii(&["runs", "list", "--json"]))[0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(code(&place.ii(&["keys", "revoke", "verifier"])), 0);
    let revoked = place.ii(&["verify", &newest]);
    assert_eq!(code(&revoked), 7);
    assert!(stdout(&revoked).contains("INVALID(verifier-untrusted)"), "{}", stdout(&revoked));
    refused(&place.ii(&["keys", "rotate", "root"]), 3, "no key root");
}

#[test]
fn a_run_that_is_not_over_keeps_its_keys() {
    let place = Place::new();
    let mut arguments = place.run_args(QUESTION);
    arguments.extend(["--budget-tool-calls".to_owned(), "1".to_owned()]);
    assert_eq!(code(&place.ii(&arguments)), 5);
    let run = place.only_run().expect("a run");
    refused(&place.ii(&["keys", "rotate", "node"]), 2, &run);
    assert_eq!(code(&place.ii(&["runs", "cancel", &run])), 0);
    assert_eq!(code(&place.ii(&["keys", "rotate", "node"])), 0);
}

#[test]
fn a_root_key_can_live_elsewhere() {
    let (place, run) = ran();
    let away = place.folder.path().join("usb");
    fs::create_dir(&away).expect("a folder");
    fs::rename(place.home().join("keys/root.pem"), away.join("root.pem")).expect("moved");
    assert_eq!(code(&place.ii(&place.run_args(QUESTION))), 0, "delegations still hold");
    assert_eq!(code(&place.ii(&["verify", &run])), 0);
    refused(&place.ii(&["keys", "revoke", "node"]), 3, "root key");
    let there = format!("[keys]\nroot = \"{}\"\n", away.join("root.pem").display());
    fs::write(place.home().join("config.toml"), there).expect("a file");
    assert_eq!(code(&place.ii(&["keys", "revoke", "node"])), 0);
}

#[test]
fn a_backup_and_its_keys_make_the_home_again() {
    let (place, run) = ran();
    let path = |name: &str| place.folder.path().join(name).display().to_string();
    assert_eq!(code(&place.ii(&["backup", &path("copy")])), 0);
    refused(&place.ii(&["backup", &path("copy")]), 2, "exists");
    assert_eq!(code(&place.ii(&["keys", "backup", &path("keys")])), 0);
    let again = Place::new();
    fs::create_dir(again.home()).expect("home");
    fs::rename(path("keys"), again.home().join("keys")).expect("moved");
    assert_eq!(code(&again.ii(&["restore", &path("copy")])), 0);
    refused(&again.ii(&["restore", &path("copy")]), 2, "already has a journal");
    assert_eq!(code(&again.ii(&["verify", &run])), 0);
    assert_eq!(stdout(&again.ii(&["runs", "resume", &run])), stdout(&place.ii(&["runs", "resume", &run])));
    refused(&again.ii(&["restore", &path("nothing")]), 2, "nothing");
}
