//! The commands: what a person types and reads.

use std::time::Duration;

use receipts::ledger::rpc::{Call, Counts, Fault};

#[cfg(target_os = "linux")]
use crate::common::small_disk::{complaints, on_small_disk};
use crate::{
    common::{Place, SIX_MODULES, json, stdout, terminal::Terminal, until},
    world::Ledger,
};

/// Where the home's receipts are, by standing.
fn standings(place: &Place) -> Vec<String> {
    let status = json(&place.ii(&["receipts", "status", "--json"]));
    let rows = status["receipts"].as_array().expect("rows").clone();
    rows.iter().map(|row| row["standing"].as_str().expect("a word").to_owned()).collect()
}

fn words(output: &std::process::Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_run_hands_its_receipts_in_by_itself_where_the_settings_name_a_ledger() {
    let (place, ledger) = (Place::new(), Ledger::start(&[]));
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_ii"));
    let mut command = place.command(program, &place.run_args(SIX_MODULES));
    let ran = command.env("II_LEDGER", &ledger.url).output().expect("runs");
    assert_eq!(ran.status.code(), Some(0), "{}", words(&ran));
    // The run waits no longer than a few seconds for its ledger; what it left is handed in now.
    let submitted = place.ii(&["receipts", "submit"]);
    assert_eq!(submitted.status.code(), Some(0), "{}", words(&submitted));
    assert_eq!(standings(&place), ["credited"; 6]);
    let run = place.only_run().expect("a run");
    let shown = words(&place.ii(&["receipts", "status", &run]));
    assert!(shown.contains("credited") && shown.contains("at 0, block "), "{shown}");
    let shown = words(&place.ii(&["runs", "show", &run]));
    assert_eq!(
        shown.lines().filter(|line| line.starts_with("module") && line.contains(" credited ")).count(),
        6,
        "{shown}"
    );
}

#[test]
fn what_a_witnessed_ledger_credited_verifies_as_valid_anywhere_and_a_changed_proof_does_not() {
    let (place, (ledger, _witness)) = (Place::new(), Ledger::witnessed(&[]));
    let ran = place.ii(&place.run_args(SIX_MODULES));
    assert_eq!(ran.status.code(), Some(0), "{}", words(&ran));
    let run = place.only_run().expect("a run");
    let results = |what: &[&str]| -> Vec<String> {
        let found = json(&place.ii(&[&["verify", "--json"], what].concat()));
        let rows = found["receipts"].as_array().expect("rows").clone();
        rows.iter().map(|row| row["result"].as_str().expect("a result").to_owned()).collect()
    };
    assert_eq!(results(&[&run]), ["VALID-UNANCHORED"; 6]);
    let submitted = place.ii(&["receipts", "submit", "--ledger", &ledger.url]);
    assert_eq!(submitted.status.code(), Some(0), "{}", words(&submitted));
    assert_eq!(results(&[&run]), ["VALID"; 6]);
    assert_eq!(place.ii(&["verify", &run, "--strict"]).status.code(), Some(0));
    // Elsewhere, with the keys that a stranger pinned before.
    let out = place.folder.path().join("receipts");
    let out = out.to_str().expect("text");
    assert_eq!(place.ii(&["receipts", "export", &run, "--out", out]).status.code(), Some(0));
    assert_eq!(results(&[out]), ["VALID-SELFTRUST"; 6]);
    let pinned = place.folder.path().join("pinned.json");
    std::fs::copy(format!("{out}/trust.json"), &pinned).expect("copied");
    let pinned = pinned.to_str().expect("text");
    assert_eq!(results(&[out, "--trust", pinned]), ["VALID"; 6]);
    // Each receipt has its own place.
    let entries = std::fs::read_dir(out).expect("a folder").map(|entry| entry.expect("an entry").path());
    let modules: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    std::fs::copy(modules[0].join("ledger.tlog-proof"), modules[1].join("ledger.tlog-proof")).expect("copied");
    let found = results(&[out, "--trust", pinned]);
    assert!(found.contains(&"INVALID(ledger-proof)".to_owned()), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_ledger_contradicted_itself_by_is_proved_to_anybody_offline() {
    let (place, ledger) = (Place::new(), Ledger::start(&["--faults"]));
    let evidence = place.folder.path().join("evidence");
    let file = evidence.join("equivocation-1.json");
    let (folder, file) = (evidence.to_str().expect("text"), file.to_str().expect("text"));
    assert_eq!(place.ii(&place.run_args(SIX_MODULES)).status.code(), Some(0));
    let submit = ["receipts", "submit", "--ledger", &ledger.url, "--wait", "20"];
    assert_eq!(place.ii(&submit).status.code(), Some(0));
    let none = place.ii(&["receipts", "evidence", "--out", folder]);
    assert!(none.status.success() && !evidence.exists(), "{}", words(&none));
    ledger.fault(Fault::Equivocate).await;
    let caught = place.ii(&["receipts", "submit", "--wait", "1"]);
    assert_eq!(caught.status.code(), Some(9), "{}", words(&caught));
    let written = place.ii(&["receipts", "evidence", "--out", folder]);
    assert!(written.status.success(), "{}", words(&written));
    let run = place.only_run().expect("a run");
    let out = place.folder.path().join("receipts");
    let out = out.to_str().expect("text");
    assert!(place.ii(&["receipts", "export", &run, "--out", out]).status.success());
    // Elsewhere, with the ledger stopped.
    drop(ledger);
    let elsewhere = Place::new();
    let trust = format!("{out}/trust.json");
    for trusted in [&[][..], &["--trust", &trust]] {
        let proved = elsewhere.ii(&[&["verify", file], trusted].concat());
        assert_eq!(proved.status.code(), Some(0), "{}", words(&proved));
        let said = stdout(&proved);
        assert!(said.starts_with("PROVED") && said.contains("size 6, root ") && said.contains("signed both"), "{said}");
    }
    let strangers = Place::new();
    assert_eq!(strangers.ii(&strangers.run_args(SIX_MODULES)).status.code(), Some(0));
    let other = strangers.folder.path().join("receipts");
    let other = other.to_str().expect("text");
    let run = strangers.only_run().expect("a run");
    assert!(strangers.ii(&["receipts", "export", &run, "--out", other]).status.success());
    let refused = elsewhere.ii(&["verify", file, "--trust", &format!("{other}/trust.json")]);
    assert_eq!(refused.status.code(), Some(7), "{}", words(&refused));
    assert!(stdout(&refused).contains("INVALID(no-evidence)"), "{}", stdout(&refused));
}

#[test]
fn without_a_ledger_a_run_completes_and_its_receipts_wait() {
    let place = Place::new();
    let mut ledger = Ledger::start(&[]);
    ledger.kill();
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_ii"));
    let mut command = place.command(program, &place.run_args("Who may pause a run?"));
    let ran = command.env("II_LEDGER", &ledger.url).output().expect("runs");
    assert_eq!(ran.status.code(), Some(0), "{}", words(&ran));
    assert!(words(&ran).contains("receipts wait"), "{}", words(&ran));
    assert_eq!(standings(&place), ["sealed"]);
    let refused = place.ii(&["receipts", "submit", "--ledger", &ledger.url, "--wait", "1"]);
    assert_eq!(refused.status.code(), Some(9), "{}", words(&refused));
    let line = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(line.lines().last().is_some_and(|line| line.contains("does not answer")), "{line}");
    assert_eq!(standings(&place), ["sealed"]);
    ledger.again();
    let done = place.ii(&["receipts", "submit", "--ledger", &ledger.url, "--json"]);
    assert_eq!(done.status.code(), Some(0), "{}", words(&done));
    assert_eq!(json(&done)["credited"], 1);
    assert_eq!(standings(&place), ["credited"]);
    // Pinned, it needs no name any more. A run that names none hands nothing in, pinned or not.
    assert_eq!(place.ii(&["receipts", "submit"]).status.code(), Some(0));
    assert_eq!(place.ii(&place.run_args("Where are the keys kept?")).status.code(), Some(0));
    assert_eq!(standings(&place), ["credited", "sealed"]);
}

#[test]
fn what_makes_no_sense_is_refused_in_one_line() {
    let place = Place::new();
    for (arguments, exit, what) in [
        (vec!["receipts", "submit"], 2, "no ledger is named"),
        (vec!["receipts", "submit", "--ledger", "ledger.example"], 2, "no http"),
        (vec!["receipts", "watch", "--ledger", "http://127.0.0.1:1"], 9, "does not answer"),
        (vec!["receipts", "status", "nothing"], 2, "no run nothing"),
    ] {
        let refused = place.ii(&arguments);
        assert_eq!(refused.status.code(), Some(exit), "{arguments:?}: {}", words(&refused));
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(said.lines().count() == 1 && said.contains(what) && said.contains("; "), "{arguments:?}: {said}");
    }
    assert_eq!(place.ii(&["receipts", "status"]).status.code(), Some(0));
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_ii"));
    for (value, what) in [("http://me:secret@ledger.example", "a password"), ("nowhere", "nowhere")] {
        let mut command = place.command(program, &["receipts", "submit"]);
        let refused = command.env("II_LEDGER", value).output().expect("runs");
        assert_eq!(refused.status.code(), Some(3), "{}", words(&refused));
        assert!(words(&refused).contains(what) && !words(&refused).contains("secret"), "{}", words(&refused));
    }
}

#[test]
fn a_watch_hands_in_what_comes_until_it_is_stopped() {
    use nix::{
        sys::signal::{Signal, kill},
        unistd::Pid,
    };
    let (place, ledger) = (Place::new(), Ledger::start(&[]));
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_ii"));
    let mut watch = place.command(program, &["receipts", "watch", "--ledger", &ledger.url]).spawn().expect("starts");
    let ran = place.ii(&place.run_args("Who may pause a run?"));
    assert_eq!(ran.status.code(), Some(0), "{}", words(&ran));
    let began = std::time::Instant::now();
    while standings(&place) != ["credited"] {
        assert!(began.elapsed() < crate::world::PATIENCE, "never credited");
        std::thread::sleep(Duration::from_millis(50));
    }
    // Beside it another publisher is told so.
    let second = place.ii(&["receipts", "submit"]);
    assert_eq!(second.status.code(), Some(1), "{}", words(&second));
    kill(Pid::from_raw(i32::try_from(watch.id()).expect("a pid")), Signal::SIGTERM).expect("SIGTERM");
    assert_eq!(watch.wait().expect("ends").code(), Some(0));
}

/// The second class of benefit goes the same way: an ingest's receipt waits from when it is sealed, is credited once, and what the
/// ledger proved of it goes along.
#[tokio::test(flavor = "multi_thread")]
async fn receipts_of_ingests_are_credited_and_proved_like_those_of_modules() {
    let (place, (ledger, _witness)) = (Place::new(), Ledger::witnessed(&[]));
    let docs = place.docs().display().to_string();
    let receipts = |words: &[&str]| {
        let shown = json(&place.ii(&[&["commons", "receipts", &docs, "--json"], words].concat()));
        let rows = shown["receipts"].as_array().expect("rows").clone();
        rows.iter().map(|row| format!("{} {}", row["standing"], row["result"]).replace('"', "")).collect::<Vec<_>>()
    };
    assert_eq!(place.ii(&["commons", "add", &docs]).status.code(), Some(0));
    assert_eq!(receipts(&[]), ["sealed VALID-UNANCHORED"]);
    std::fs::write(place.docs().join("more.md"), "# More\n\nMore words.\n").expect("written");
    assert_eq!(place.ii(&["commons", "add", &docs]).status.code(), Some(0));
    assert_eq!(place.ii(&place.run_args("Who may pause a run?")).status.code(), Some(0));
    let submitted = place.ii(&["receipts", "submit", "--ledger", &ledger.url]);
    assert_eq!(submitted.status.code(), Some(0), "{}", words(&submitted));
    assert_eq!(standings(&place), ["credited"; 3]);
    assert_eq!(receipts(&[]), ["credited VALID"; 2]);
    let shown = words(&place.ii(&["receipts", "status"]));
    assert!(shown.contains("credited ingest ") && shown.contains(", revision 2  at "), "{shown}");
    let run = place.only_run().expect("a run");
    assert!(!words(&place.ii(&["receipts", "status", &run])).contains("ingest"));
    // The ledger counts by class; asked again, it credits nothing twice.
    assert_eq!(place.ii(&["receipts", "submit"]).status.code(), Some(0));
    let counts: Counts = ledger.client().ask(&Call::Counts).await.expect("counts");
    let counts = serde_json::to_value(counts).expect("JSON");
    let credited = |class: &str| counts["classes"][class].as_str().map(str::to_owned);
    assert_eq!(
        (credited("Data-Curation").as_deref(), credited("Agent-Orchestration").as_deref()),
        (Some("2"), Some("1")),
        "{counts}"
    );
    // A stranger has the proof with the receipt.
    let out = place.folder.path().join("handed-on");
    let out = out.to_str().expect("text");
    assert_eq!(place.ii(&["commons", "receipts", &docs, "--out", out]).status.code(), Some(0));
    let pinned = place.folder.path().join("pinned.json");
    std::fs::copy(format!("{out}/trust.json"), &pinned).expect("copied");
    let verified = place.ii(&["verify", out, "--trust", pinned.to_str().expect("text"), "--strict"]);
    assert_eq!(verified.status.code(), Some(0), "{}", words(&verified));
}

#[test]
fn a_second_receipt_for_one_growth_of_a_collection_names_the_first() {
    let place = Place::new();
    let docs = place.docs().display().to_string();
    assert_eq!(place.ii(&["commons", "add", &docs]).status.code(), Some(0));
    let of = |place: &Place| json(&place.ii(&["commons", "receipts", &docs, "--json"]))["receipts"][0].clone();
    let first = of(&place);
    assert_eq!((&first["standing"], &first["claimed_by"]), (&"sealed".into(), &serde_json::Value::Null));
    std::fs::remove_dir_all(place.home().join("commons")).expect("removed");
    assert_eq!(place.ii(&["commons", "add", &docs]).status.code(), Some(0));
    let second = of(&place);
    assert_ne!(second["receipt"], first["receipt"]);
    assert_eq!((&second["standing"], &second["claimed_by"]), (&"conflict".into(), &first["receipt"]));
    let said = words(&place.ii(&["commons", "receipts", &docs]));
    assert!(said.contains("claims the same growth and stands before it"), "{said}");
    assert_eq!(standings(&place), ["sealed"], "one waits for a ledger");
}

/// A receipt that was sealed and not queued, as by a program that was killed between the two, is handed in by the next who asks.
#[test]
fn a_receipt_of_an_ingest_that_was_not_queued_is_found() {
    let (place, ledger) = (Place::new(), Ledger::start(&[]));
    let docs = place.docs().display().to_string();
    assert_eq!(place.ii(&["commons", "add", &docs]).status.code(), Some(0));
    for name in ["journal.sqlite", "journal.sqlite-wal", "journal.sqlite-shm"] {
        drop(std::fs::remove_file(place.home().join(name)));
    }
    assert_eq!(standings(&place), [""; 0]);
    let broken = place.home().join("commons/0123456789abcdef");
    std::fs::create_dir_all(&broken).expect("a folder");
    std::fs::write(broken.join("records.sqlite"), "no records").expect("written");
    let submitted = place.ii(&["receipts", "submit", "--ledger", &ledger.url]);
    assert_eq!(submitted.status.code(), Some(0), "{}", words(&submitted));
    assert!(words(&submitted).contains("collection 0123456789abcdef are not handed in: "), "{}", words(&submitted));
    assert_eq!(standings(&place), ["credited"]);
}

/// The home that was lost had gone on after its backup, and what it did then was credited. The home made from the backup does the
/// same work again, and does not make its node one that signed two things for one work.
#[tokio::test]
async fn a_home_made_from_a_backup_hands_in_nothing_for_work_that_was_credited() {
    let (place, ledger) = (Place::new(), Ledger::start(&[]));
    let mut child = place.child("slow=20000", &place.run_args(SIX_MODULES)).spawn().expect("a child");
    until("the plan", || place.only_run().filter(|run| place.events(run).len() > 10));
    child.kill().expect("SIGKILL");
    child.wait().expect("is gone");
    let run = place.only_run().expect("a run");
    let path = |name: &str| place.folder.path().join(name).display().to_string();
    for taken in [&["backup", &path("copy")][..], &["keys", "backup", &path("keys")]] {
        assert_eq!(place.ii(taken).status.code(), Some(0));
    }
    let copy = |from: &std::path::Path, to: &str| {
        let copied = std::process::Command::new("cp").arg("-r").arg(from).arg(to).status().expect("cp");
        assert!(copied.success());
    };
    copy(&place.home().join("commons"), &path("commons"));
    let goes_on = |place: &Place| {
        let resumed = until("the lease to run out", || {
            let resumed = place.ii(&["runs", "resume", &run]);
            (!words(&resumed).contains("another program")).then_some(resumed)
        });
        assert_eq!(resumed.status.code(), Some(0), "{}", words(&resumed));
        let submitted = place.ii(&["receipts", "submit", "--ledger", &ledger.url, "--json"]);
        (submitted.status.code(), json(&submitted))
    };
    let (ended, submitted) = goes_on(&place);
    assert_eq!((ended, &submitted["credited"]), (Some(0), &6.into()));

    let again = Place::new();
    // The documents are where the run has them from.
    std::fs::create_dir(again.home()).expect("home");
    for kept in ["keys", "commons"] {
        std::fs::rename(path(kept), again.home().join(kept)).expect("moved");
    }
    assert_eq!(again.ii(&["restore", &path("copy")]).status.code(), Some(0));
    let (ended, submitted) = goes_on(&again);
    assert_eq!((ended, &submitted["credited"], &submitted["conflict"]), (Some(9), &0.into(), &6.into()), "{submitted}");
    assert_eq!(standings(&again), ["conflict"; 6]);
    let counts: Counts = ledger.client().ask(&Call::Counts).await.expect("answers");
    assert_eq!((counts.size.0, counts.conflicts.0), (6, 0), "nobody can show that this node signed twice");
}

#[test]
fn killed_at_any_moment_it_credits_each_receipt_once() {
    let (place, ledger) = (Place::new(), Ledger::start(&[]));
    let ran = place.ii(&place.run_args(SIX_MODULES));
    assert_eq!(ran.status.code(), Some(0), "{}", words(&ran));
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_ii"));
    for turn in 0..12 {
        let mut submit = place.command(program, &["receipts", "submit", "--ledger", &ledger.url]);
        let mut submit = submit.spawn().expect("starts");
        std::thread::sleep(Duration::from_millis(turn * 15));
        submit.kill().expect("SIGKILL");
        submit.wait().expect("is gone");
    }
    let done = place.ii(&["receipts", "submit", "--ledger", &ledger.url, "--json"]);
    assert_eq!(done.status.code(), Some(0), "{}", words(&done));
    let done = json(&done);
    assert_eq!((&done["credited"], &done["refused"], &done["conflict"]), (&6.into(), &0.into(), &0.into()));
}

#[test]
fn the_conversation_shows_what_the_ledger_credited() {
    let ledger = Ledger::start(&[]);
    let what = "receipts at a ledger, in the conversation";
    let Some(terminal) = Terminal::open(what, 100, 30, &[("II_LEDGER", &ledger.url)]) else { return };
    terminal.start();
    terminal.enter("Who may pause a run?");
    terminal.sees("completed in");
    terminal.key("F4");
    let shown = terminal.until("word of the ledger", |screen| screen.contains("credited"));
    assert!(shown.contains("Trust"), "{shown}");
    terminal.back();
    assert_eq!(standings(&terminal.place), ["credited"]);
}

#[cfg(target_os = "linux")]
#[test]
fn receipts_that_find_no_room_for_their_proofs_are_credited_where_there_is_some() {
    let (place, ledger) = (Place::new(), Ledger::start(&[]));
    let script = r#"
        says 0 "$ii" run "Who may pause a run?" --docs "$docs"
        for left in 0 24 64 160; do
          cat /dev/zero >"$home/filler" 2>/dev/null
          truncate -s -${left}K "$home/filler"
          "$ii" receipts submit --ledger "$url" 2>&1; came=$?
          case $came in 0|8) echo "came $came" ;; *) echo "exit code $came"; exit 99 ;; esac
          rm "$home/filler"
        done
        says 0 "$ii" receipts submit --ledger "$url"
        says 0 "$ii" receipts status
    "#;
    let what = "a full disk while receipts are handed in";
    let Some(ran) = on_small_disk(what, &place, 8, &[("url", &ledger.url)], script) else { return };
    let text = stdout(&ran);
    assert!(text.contains("came 8") && text.contains("1 credited"), "{text}");
    assert!(complaints(&ran).iter().all(|line| line.contains("no space left")), "{text}");
}
