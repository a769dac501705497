//! `ii commons` through the real program: collections are added, listed, shown, compared and verified.

mod common;

use common::Place;
use serde_json::Value;

fn json(place: &Place, words: &[&str]) -> Value {
    let output = place.ii(&[words, &["--json"]].concat());
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{words:?}: {error}: {}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn a_collection_from_its_beginning_to_a_tampered_file() {
    let place = Place::new();
    let docs = place.docs().display().to_string();
    let none = place.ii(&["commons", "verify", &docs]);
    assert_eq!(none.status.code(), Some(2), "{}", String::from_utf8_lossy(&none.stderr));
    std::fs::write(place.docs().join("data.bin"), [0, 1]).expect("written");
    let added = json(&place, &["commons", "add", &docs]);
    assert_eq!((&added["added"], &added["documents"]), (&4.into(), &4.into()), "{added}");
    assert_eq!(added["skipped"][0]["path"], "data.bin");
    let name = added["collection"].as_str().expect("a name").to_owned();
    let listed = json(&place, &["commons", "list"]);
    assert_eq!(listed["collections"][0]["collection"], name.as_str());
    let folder = place.docs().canonicalize().expect("real").display().to_string();
    assert_eq!(listed["collections"][0]["folder"], folder.as_str());
    assert_eq!(listed["collections"][0]["heads"][0]["size"], 4);

    std::fs::write(place.docs().join("keys.md"), "# Keys\n\nThe keys moved.\n").expect("written");
    std::fs::remove_file(place.docs().join("rules.md")).expect("removed");
    let again = json(&place, &["commons", "add", &docs]);
    assert_eq!((&again["replaced"], &again["removed"], &again["unchanged"]), (&1.into(), &1.into(), &2.into()));
    let shown = json(&place, &["commons", "show", &name[..6]]);
    let paths: Vec<&str> =
        shown["documents"].as_array().expect("documents").iter().filter_map(|one| one["path"].as_str()).collect();
    assert_eq!(paths, ["keys.md", "leases.html", "verifier.txt"]);
    assert_eq!(shown["revisions"].as_array().map(Vec::len), Some(2));
    let diff = json(&place, &["commons", "diff", &docs, "1"]);
    let ops: Vec<String> = diff["entries"]
        .as_array()
        .expect("entries")
        .iter()
        .map(|one| format!("{} {}", one["op"].as_str().unwrap_or_default(), one["path"].as_str().unwrap_or_default()))
        .collect();
    assert_eq!(ops, ["replace keys.md", "remove rules.md"]);
    assert!(diff["consistency"].as_array().is_some_and(|proof| !proof.is_empty()), "{diff}");
    let found = json(&place, &["commons", "search", "keys moved", "--docs", &docs]);
    assert_eq!(found["hits"][0]["path"], "keys.md");
    let stats = json(&place, &["commons", "stats"]);
    assert_eq!(stats["collections"][0]["kinds"].as_array().map(Vec::len), Some(3), "{stats}");
    assert_eq!(stats["collections"][0]["vectors"], serde_json::json!([]), "{stats}");

    let verified = json(&place, &["commons", "verify"]);
    assert_eq!((&verified["verified"], &verified["collections"][0]["entries"]), (&true.into(), &6.into()));
    let records = place.home().join("commons").join(&name).join("records.sqlite");
    let script = "import sqlite3,sys; c=sqlite3.connect(sys.argv[1]); \
                  c.execute(\"UPDATE corpus SET path='other.md' WHERE path='rules.md'\"); c.commit()";
    let tampered = std::process::Command::new("python3").args(["-c", script]).arg(&records).status();
    if !tampered.is_ok_and(|status| status.success()) {
        println!("skipped: a tampered collection: python3 is missing");
        assert!(std::env::var_os("CI").is_none(), "CI has python3");
        return;
    }
    let output = place.ii(&["commons", "verify", &docs]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(7), "{said}");
    assert!(said.contains("other.md") && said.contains("NOT verified"), "{said}");
}

/// The embedding model that `make models` fetches, in this place's home.
#[cfg(feature = "llama")]
fn with_model(place: &Place) -> bool {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let fetched = std::process::Command::new(root.join("scripts/models.sh")).arg(root.join("target/models")).output();
    let said = match fetched {
        Ok(output) if output.status.success() => {
            let models = place.home().join("models");
            std::fs::create_dir_all(&models).expect("a folder of models");
            let name = "all-minilm-l6-v2.gguf";
            std::fs::copy(root.join("target/models").join(name), models.join(name)).expect("copied");
            return true;
        }
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    assert!(std::env::var_os("CI").is_none(), "no embedding model: {said}");
    println!("skipped: search by meaning through the program: {said}");
    false
}

#[cfg(feature = "llama")]
#[test]
fn what_no_word_finds_is_found_by_its_meaning_and_explained() {
    let place = Place::new();
    let docs = place.docs().display().to_string();
    let search = |more: &[&str]| {
        let words = [&["search", "large boat on the ocean", "--docs", &docs], more].concat();
        json(&place, &words)
    };
    std::fs::write(place.docs().join("vessel.md"), "# Vessels\n\nA freighter crosses the Atlantic.\n")
        .expect("written");
    std::fs::write(place.docs().join("old.md"), "---\ndate: 1999-05-01\nlicense: MIT\n---\n# Dough\n\nYeast rises.\n")
        .expect("written");
    let refused = place.ii(&["search", "boat", "--docs", &docs, "--by", "vectors"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("no embedding model is named") && said.contains("make models"), "{said}");
    assert_eq!(search(&["--by", "words"])["hits"].as_array().map(Vec::len), Some(0), "no word of it stands anywhere");
    if !with_model(&place) {
        return;
    }
    let model = "llama:all-minilm-l6-v2";
    let added = json(&place, &["commons", "add", &docs, "--embeddings", model]);
    assert_eq!((&added["vectors"], &added["embedded"]), (&added["passages"], &added["passages"]), "{added}");
    let again = json(&place, &["commons", "add", &docs, "--embeddings", model]);
    assert_eq!((&again["vectors"], &again["embedded"]), (&added["passages"], &0.into()), "made once");
    let settings = format!("[embeddings]\nmodel = \"{model}\"\n");
    std::fs::write(place.home().join("config.toml"), settings).expect("written");
    let found = search(&[]);
    assert_eq!(found["hits"][0]["path"], "vessel.md", "{found}");
    let why = &found["hits"][0]["why"];
    assert!(why["words_milli"].is_null() && why["vectors_micro"].as_i64().is_some_and(|near| near > 100_000), "{why}");
    let explained = place.ii(&["search", "large boat on the ocean", "--docs", &docs, "--explain", "--limit", "1"]);
    let said = String::from_utf8_lossy(&explained.stdout).into_owned();
    assert!(said.contains("none of the words, vectors 0."), "{said}");
    assert!(said.contains("vectors by llama:all-minilm-l6-v2, searched in the home"), "{said}");
    let stats = json(&place, &["commons", "stats"]);
    let space = &stats["collections"][0]["vectors"][0];
    assert_eq!((&space["passages"], &space["dimensions"]), (&added["passages"], &384.into()), "{stats}");
    assert_eq!((&space["model"], &space["searched"]), (&model.into(), &"home".into()), "{stats}");
    assert!(space["bytes"].as_u64() > space["passages"].as_u64().map(|count| count * 768), "{stats}");
    let old = search(&["--since", "1999", "--until", "1999-05", "--licence", "mit"]);
    let hits = old["hits"].as_array().expect("hits");
    assert!(!hits.is_empty() && hits.iter().all(|hit| hit["path"] == "old.md"), "{old}");
    let wrong = place.ii(&["search", "boat", "--docs", &docs, "--since", "May"]);
    assert_eq!(wrong.status.code(), Some(2), "{}", String::from_utf8_lossy(&wrong.stderr));
}

/// The server that `II_TEST_POSTGRES` names (`scripts/postgres.sh start`), if there is one.
fn server() -> Option<String> {
    let server = std::env::var("II_TEST_POSTGRES").ok();
    if server.is_none() {
        println!("skipped: collections in a database: II_TEST_POSTGRES names no server");
        assert!(std::env::var_os("CI").is_none(), "CI has a Postgres");
    }
    server
}

#[test]
fn a_database_keeps_what_is_taken_in_and_the_home_keeps_what_it_had() {
    let Some(server) = server() else { return };
    let place = Place::new();
    let docs = place.docs().display().to_string();
    let before = json(&place, &["commons", "add", &docs])["collection"].clone();
    let config = place.home().join("config.toml");
    let set = |url: &str| std::fs::write(&config, format!("[commons]\npostgres = \"{url}\"\n")).expect("written");
    set(&server);
    let added = json(&place, &["commons", "add", &docs]);
    assert_eq!(added["documents"], 4, "{added}");
    let name = added["collection"].as_str().expect("a name");
    assert_ne!(added["collection"], before);
    assert!(!place.home().join("commons").join(name).exists(), "its records are in the database");
    let listed = json(&place, &["commons", "list"]);
    let names: Vec<&str> =
        listed["collections"].as_array().expect("rows").iter().filter_map(|one| one["collection"].as_str()).collect();
    assert!(names.contains(&name) && names.contains(&before.as_str().expect("a name")), "{names:?}");
    // A folder's name means the collection it is taken into now.
    assert_eq!(json(&place, &["commons", "show", &docs])["collection"], name);
    let found = json(&place, &["search", "who may pause a run", "--docs", &docs]);
    assert_eq!(found["hits"][0]["path"], "rules.md");
    let verified = json(&place, &["commons", "verify", &docs]);
    assert_eq!((&verified["verified"], &verified["collections"][0]["entries"]), (&true.into(), &4.into()));
    let doctor = json(&place, &["doctor"]);
    let row = doctor["checks"].as_array().expect("rows").iter().find(|row| row["name"] == "database");
    assert!(row.is_some_and(|row| row["ok"] == true), "{doctor}");

    // A run is answered from it, and goes on with it where another program would.
    let asked = place.ii(&["run", "Who may pause a run?", "--docs", &docs]);
    assert_eq!(asked.status.code(), Some(0), "{}", String::from_utf8_lossy(&asked.stderr));
    let run = place.only_run().expect("a run");
    assert_eq!(place.ii(&["verify", &run]).status.code(), Some(0));

    for (url, code, says) in [
        ("postgres://me:hunter2@localhost/x", 3, "a password in it"),
        ("postgres://me@localhost/x?password=hunter2", 3, "a password in it"),
        ("me:hunter2@localhost", 3, "no URL of a database"),
        ("postgres://me@localhost:1/x", 8, "no connection to postgres://localhost:1/x"),
    ] {
        set(url);
        let refused = place.ii(&["commons", "list"]);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(code), "{url}: {said}");
        assert!(said.contains(says) && !said.contains("hunter2") && said.lines().count() == 1, "{url}: {said}");
    }
}
