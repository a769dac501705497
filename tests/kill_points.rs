//! `ii commons add` and `ii run` killed before each single change that a file system keeps: each flush, each name given, taken or changed.
//!
//! **Invariant:** whoever looks after the kill sees the revision before or the one after, whole; the next `add` makes the one after,
//! with one receipt a revision, and leaves nothing behind that an undisturbed one would not.
//! **Invariant:** a run that is on record goes on to the answer that it would have given, with one receipt a module; of one that is not,
//! or that had not begun, there is nothing to go on with.
#![cfg(target_os = "linux")]

mod common;

use std::{
    collections::BTreeSet,
    fs,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use common::{Place, code, engine::skipped, stderr, stdout, until};
use serde_json::Value;

/// More changes than these in one `add` would say that something else is counted.
const MOST: usize = 400;

/// The library that kills; none where there is no C compiler.
fn killer(folder: &Path) -> Option<PathBuf> {
    let library = folder.join("kill_points.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kill_points.c");
    match Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).args([source, "-ldl"]).output() {
        Ok(built) => {
            assert!(built.status.success(), "{}", stderr(&built));
            Some(library)
        }
        Err(error) => {
            skipped("kills at each change of a file system", &error.to_string());
            None
        }
    }
}

/// The program with another home.
fn command(place: &Place, home: &Path, words: &[&str]) -> Command {
    let mut command = place.command(Path::new(env!("CARGO_BIN_EXE_ii")), words);
    command.env("II_HOME", home);
    command
}

fn ii(place: &Place, home: &Path, words: &[&str]) -> Output {
    command(place, home, words).output().expect("ii runs")
}

fn told(place: &Place, home: &Path, words: &[&str]) -> Value {
    let output = ii(place, home, &[words, &["--json"]].concat());
    assert_eq!(code(&output), 0, "{words:?}: {}", stderr(&output));
    common::json(&output)
}

/// What is in a collection, as whoever searches it has it; nothing where there is none.
fn documents(place: &Place, home: &Path, docs: &str) -> BTreeSet<String> {
    let shown = ii(place, home, &["commons", "show", docs, "--json"]);
    if code(&shown) != 0 {
        assert_eq!(code(&shown), 2, "{}", stderr(&shown));
        return BTreeSet::new();
    }
    assert_eq!(told(place, home, &["commons", "verify", docs])["verified"], true);
    let shown = common::json(&shown);
    let rows = shown["documents"].as_array().expect("documents").iter();
    rows.map(|row| format!("{} {}", row["path"], row["digest"])).collect()
}

/// Every file of a home's commons, without what each opening makes anew. Of a revision's root, which has times in it, only that it
/// is there.
fn files(home: &Path) -> BTreeSet<String> {
    fn walk(folder: &Path, root: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, root, found);
            } else {
                let name = path.strip_prefix(root).expect("within").display().to_string();
                let root_of =
                    |part: &str| part.split_once('-').map(|(revision, root)| (revision.to_owned(), root.len()));
                let part = |part: &str| match root_of(part) {
                    Some((revision, 16)) => format!("{revision}-root"),
                    Some((revision, 22)) if part.ends_with(".jsonl") => format!("{revision}-root.jsonl"),
                    Some(_) | None => part.to_owned(),
                };
                found.insert(name.split('/').map(part).collect::<Vec<_>>().join("/"));
            }
        }
    }
    let mut found = BTreeSet::new();
    walk(&home.join("commons"), home, &mut found);
    // Segments of an index have names drawn by chance.
    let by_chance = |path: &String| path.contains("/words-");
    let sides = |path: &String| path.ends_with("-wal") || path.ends_with("-shm");
    found.retain(|path| !by_chance(path) && !sides(path));
    found
}

/// Kills `ii commons add` before its first change, its second, and so on, each time beginning with this home.
fn killed_at_each_change(place: &Place, begin: &Path) {
    let Some(killer) = killer(place.folder.path()) else { return };
    let docs = place.docs().display().to_string();
    let copy = |name: String| {
        let home = place.folder.path().join(name);
        let copied = Command::new("cp").arg("-r").arg(begin).arg(&home).status().expect("cp");
        assert!(copied.success());
        home
    };
    let before = documents(place, begin, &docs);
    let undisturbed = copy("undisturbed".to_owned());
    told(place, &undisturbed, &["commons", "add", &docs]);
    let after = documents(place, &undisturbed, &docs);
    assert_ne!(before, after);
    let receipts = |home: &Path| {
        let found = told(place, home, &["commons", "receipts", &docs]);
        let rows = found["receipts"].as_array().expect("rows").clone();
        let of = |row: &Value| format!("{} {} {}", row["revision"], row["result"], row["standing"]);
        rows.iter().map(of).collect::<Vec<String>>()
    };
    let sealed = receipts(&undisturbed);
    let mut seen = BTreeSet::new();
    for at in 1..=MOST {
        let home = copy(format!("home-{at}"));
        let mut add = command(place, &home, &["commons", "add", &docs]);
        let ended = add.env("LD_PRELOAD", &killer).env("II_KILL_AT", at.to_string()).output().expect("ii starts");
        if ended.status.signal().is_none() {
            assert_eq!(code(&ended), 0, "{}", stderr(&ended));
            assert!(at > 20 && seen.len() == 2, "killed {at} times, and seen {seen:?}");
            return;
        }
        let found = documents(place, &home, &docs);
        assert!(found == before || found == after, "killed before change {at}: {found:?}");
        seen.insert(found == after);
        told(place, &home, &["commons", "add", &docs]);
        assert_eq!(documents(place, &home, &docs), after, "killed before change {at}");
        assert_eq!(receipts(&home), sealed, "killed before change {at}");
        let hits = told(place, &home, &["commons", "search", "keys moved", "--docs", &docs]);
        assert_eq!(hits["hits"][0]["path"], "keys.md", "killed before change {at}");
        assert_eq!(files(&home), files(&undisturbed), "killed before change {at}");
        fs::remove_dir_all(&home).expect("removed");
    }
    panic!("more than {MOST} changes");
}

#[test]
fn a_run_killed_at_each_change_goes_on_to_its_answer() {
    let place = Place::new();
    let Some(killer) = killer(place.folder.path()) else { return };
    let arguments = place.run_args("Where are the keys kept?");
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let expected = ii(&place, &place.folder.path().join("undisturbed"), &words);
    assert_eq!(code(&expected), 0, "{}", stderr(&expected));
    let status = told(&place, &place.folder.path().join("undisturbed"), &["receipts", "status"]);
    let waiting = status["receipts"].as_array().map(Vec::len);
    let mut resumed = 0;
    for at in 1..=MOST {
        let home = place.folder.path().join(format!("home-{at}"));
        let mut run = command(&place, &home, &words);
        let ended = run.env("LD_PRELOAD", &killer).env("II_KILL_AT", at.to_string()).output().expect("ii starts");
        let runs = told(&place, &home, &["runs", "list"]);
        let runs: Vec<&str> = runs.as_array().expect("rows").iter().filter_map(|row| row["id"].as_str()).collect();
        let Some(id) = runs.first().copied() else { continue };
        if ended.status.signal().is_none() {
            assert_eq!(code(&ended), 0, "{}", stderr(&ended));
            assert!(resumed > 20, "killed {at} times, of which {resumed} in a run on record");
            return;
        }
        let answered = until("the lease to run out", || {
            let answered = ii(&place, &home, &["runs", "resume", id]);
            (!stderr(&answered).contains("another program")).then_some(answered)
        });
        if stderr(&answered).contains("it was stopped before it began") {
            assert_eq!(code(&answered), 2);
            continue;
        }
        assert_eq!(code(&answered), 0, "killed before change {at}: {}", stderr(&answered));
        assert_eq!(stdout(&answered), stdout(&expected), "killed before change {at}");
        let verified = told(&place, &home, &["verify", id]);
        assert_eq!(verified["receipts"].as_array().map(Vec::len), Some(1), "killed before change {at}");
        assert_eq!(told(&place, &home, &["receipts", "status"])["receipts"].as_array().map(Vec::len), waiting);
        assert_eq!(code(&ii(&place, &home, &["doctor"])), 0, "killed before change {at}");
        resumed += 1;
        fs::remove_dir_all(&home).expect("removed");
    }
    panic!("more than {MOST} changes");
}

#[test]
fn the_first_ingest_killed_at_each_change_is_made_by_the_next() {
    let place = Place::new();
    fs::write(place.docs().join("keys.md"), "# Keys\n\nThe keys moved.\n").expect("written");
    fs::create_dir(place.home()).expect("a home");
    killed_at_each_change(&place, &place.home());
}

#[test]
fn a_collection_that_grows_killed_at_each_change_is_the_old_or_the_new_one() {
    let place = Place::new();
    let docs = place.docs().display().to_string();
    told(&place, &place.home(), &["commons", "add", &docs]);
    fs::write(place.docs().join("keys.md"), "# Keys\n\nThe keys moved.\n").expect("written");
    fs::write(place.docs().join("new.md"), "# New\n\nNobody read this before.\n").expect("written");
    fs::remove_file(place.docs().join("rules.md")).expect("removed");
    killed_at_each_change(&place, &place.home());
}
