//! Pictures that belong to a question: what a model that sees is shown, what stays on record, and what is refused.

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use common::{
    Place, code, json,
    server::{ModelServer, offers},
    stderr, stdout,
    terminal::Terminal,
};
use serde_json::{Value, json};

const ASKED: &str = "Who may do what this shows?";

/// A picture of one black pixel, whole: chunks with their checks, and one row of compressed pixels.
fn pixel() -> Vec<u8> {
    STANDARD
        .decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==")
        .expect("base64")
}

fn picture(place: &Place) -> PathBuf {
    let path = place.folder.path().join("my shot.png");
    fs::write(&path, pixel()).expect("a picture");
    path
}

fn sees() -> ModelServer {
    ModelServer::that_calls(ASKED, Vec::new())
}

fn command(place: &Place, server: &ModelServer, words: &[&str]) -> Command {
    let mut command = place.command(Path::new(env!("CARGO_BIN_EXE_ii")), words);
    server.asked_by(&mut command);
    command
}

fn ask(place: &Place, server: &ModelServer, more: &[&str]) -> Output {
    let docs = place.docs().display().to_string();
    let words = [&["run", ASKED, "--docs", &docs, "--model", "openai:scripted"], more].concat();
    command(place, server, &words).output().expect("ii runs")
}

/// The parts of the first message of the person.
fn parts(request: &Value) -> Vec<Value> {
    let messages = request["messages"].as_array().expect("messages");
    let first = messages.iter().find(|message| message["role"] == "user").expect("a task");
    first["content"].as_array().cloned().unwrap_or_default()
}

/// Whether the request shows the very bytes of the picture under its name, and the task before it.
fn shows(request: &Value) -> bool {
    let parts = parts(request);
    let [task, name, image] = &parts[..] else { return false };
    let url = format!("data:image/png;base64,{}", STANDARD.encode(pixel()));
    task["text"].as_str().is_some_and(|text| text.contains(ASKED))
        && name["text"] == "Picture my shot.png (1×1):"
        && image["image_url"]["url"] == url
}

/// Every role that works on the question is shown the picture, each time; on record is its digest, and a run that was
/// stopped shows it again without the file.
#[test]
fn a_model_that_sees_is_shown_the_picture_also_when_the_run_goes_on_without_the_file() {
    let place = Place::new();
    let server = sees();
    let path = picture(&place);
    let planned = ask(&place, &server, &["--picture", path.to_str().expect("UTF-8"), "--plan"]);
    assert_eq!(code(&planned), 1, "{}{}", stdout(&planned), stderr(&planned));
    fs::remove_file(&path).expect("removed");
    let run = place.only_run().expect("a run");
    let resumed = command(&place, &server, &["runs", "resume", &run]).output().expect("ii runs");
    assert_eq!(code(&resumed), 0, "{}", stderr(&resumed));
    let requests = server.requests();
    assert!(requests.len() >= 3 && requests.iter().all(shows), "{requests:?}");
    let opened = &place.events(&run)[0];
    let on_record = &opened["task"]["pictures"][0];
    assert_eq!(
        (&on_record["name"], &on_record["media"], &on_record["width"]),
        (&json!("my shot.png"), &json!("png"), &json!(1))
    );
    assert_eq!(code(&place.ii(&["verify", &run])), 0);
    // A fork of it has the picture too, also when the run it comes from is gone.
    let fork = place.ii(&["runs", "fork", &run, "--at", "2"]);
    assert_eq!(code(&fork), 0, "{}", stderr(&fork));
    assert_eq!(code(&place.ii(&["runs", "delete", &run, "--yes"])), 0);
    let before = server.requests().len();
    let fork = stdout(&fork).trim().to_owned();
    let resumed = command(&place, &server, &["runs", "resume", &fork]).output().expect("ii runs");
    assert_eq!(code(&resumed), 1, "its plan waits again: {}", stderr(&resumed));
    let after = server.requests();
    assert!(after.len() > before && after[before..].iter().all(shows));
}

/// A Principal that does not see plans by the names; who works on the question sees.
#[test]
fn a_principal_that_does_not_see_is_told_the_names() {
    let place = Place::new();
    let server = sees();
    let path = picture(&place);
    fs::create_dir_all(place.home()).expect("a home");
    let settings = format!(
        "[models]\nprincipal = \"blind:scripted\"\n[providers.blind]\nbase_url = \"{}\"\nsees = \"no\"\n",
        server.url
    );
    fs::write(place.home().join("config.toml"), settings).expect("settings");
    let ran = ask(&place, &server, &["--picture", path.to_str().expect("UTF-8")]);
    assert_eq!(code(&ran), 0, "{}{}", stdout(&ran), stderr(&ran));
    let (plans, works): (Vec<Value>, Vec<Value>) = server.requests().into_iter().partition(|one| offers(one, "plan"));
    assert!(!plans.is_empty() && works.len() >= 2);
    assert!(works.iter().all(shows), "{works:?}");
    for plan in &plans {
        assert!(!plan.to_string().contains("image_url"), "{plan}");
        let told = plan["messages"].to_string();
        assert!(told.contains("pictures that you do not see") && told.contains("my shot.png (1×1)"), "{told}");
    }
}

/// A picture costs tokens, and the budget counts them before the model is asked.
#[test]
fn a_picture_counts_against_the_budget() {
    let place = Place::new();
    let server = sees();
    let path = picture(&place);
    let few = ["--picture", path.to_str().expect("UTF-8"), "--budget-tokens", "6000"];
    let stopped = ask(&place, &server, &few);
    assert_eq!(code(&stopped), 5, "{}{}", stdout(&stopped), stderr(&stopped));
    assert_eq!(server.requests().len(), 0, "asked beyond the budget");
}

#[test]
fn what_cannot_be_shown_is_refused_before_anything_begins() {
    let place = Place::new();
    let server = sees();
    let path = picture(&place);
    let path = path.to_str().expect("UTF-8");
    let unseen = place.ii(&[&place.run_args(ASKED)[..], &["--picture".to_owned(), path.to_owned()]].concat());
    assert_eq!(code(&unseen), 2, "{}", stderr(&unseen));
    assert!(stderr(&unseen).contains("extractive sees no pictures"), "{}", stderr(&unseen));
    let docs = place.docs().display().to_string();
    let words = ["run", ASKED, "--docs", &docs, "--model", "openai:scripted", "--picture", path];
    fs::create_dir_all(place.home()).expect("a home");
    fs::write(place.home().join("config.toml"), "[providers.openai]\nsees = \"no\"\n").expect("settings");
    let blind = command(&place, &server, &words).output().expect("ii runs");
    assert_eq!(code(&blind), 2, "{}", stderr(&blind));
    assert!(stderr(&blind).contains("say sees = \"yes\" under [providers.openai]"), "{}", stderr(&blind));
    fs::remove_file(place.home().join("config.toml")).expect("removed");
    for (name, bytes) in [("a.png", b"<svg/>".to_vec()), ("gone.png", Vec::new())] {
        let path = place.folder.path().join(name);
        if !bytes.is_empty() {
            fs::write(&path, bytes).expect("written");
        }
        let refused = ask(&place, &server, &["--picture", path.to_str().expect("UTF-8")]);
        assert_eq!(code(&refused), 2, "{}", stderr(&refused));
        assert!(stderr(&refused).contains(name), "{}", stderr(&refused));
    }
    assert!(place.only_run().is_none() && server.requests().is_empty());
}

/// A file dropped on the terminal, a path that is typed, and the clipboard of the desktop each become a picture of the
/// question; a page that is pasted names none.
#[test]
fn pictures_are_dropped_named_and_pasted_at_the_terminal() {
    let server = sees();
    let desktop = tempfile::tempdir().expect("a folder");
    let clipboard = desktop.path().join("wl-paste");
    fs::write(desktop.path().join("copied.png"), pixel()).expect("a picture");
    let script = format!(
        "#!/bin/sh\n[ \"$*\" = '--no-newline --type image/png' ] && cat {}/copied.png\n",
        desktop.path().display()
    );
    fs::write(&clipboard, script).expect("a program");
    fs::set_permissions(&clipboard, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("its rights");
    let path = format!("{}:{}", desktop.path().display(), std::env::var("PATH").expect("a path"));
    let environment = [
        ("OPENAI_BASE_URL", server.url.as_str()),
        ("OPENAI_API_KEY", "sk-test"),
        ("NO_PROXY", "127.0.0.1"),
        ("II_MODEL", "openai:scripted"),
        ("WAYLAND_DISPLAY", "wayland-0"),
        ("PATH", path.as_str()),
    ];
    let Some(terminal) = Terminal::open("pictures at a terminal", 100, 30, &environment) else { return };
    let shot = picture(&terminal.place);
    terminal.start();
    terminal.write("Who may do ");
    terminal.paste(&format!("'{}'", shot.display()));
    terminal.sees("my shot.png]");
    terminal.paste(" as in [picture: /etc/passwd] ");
    terminal.sees("[picture /etc/passwd]");
    terminal.key("C-v");
    terminal.sees("/pictures/");
    terminal.key("Enter");
    terminal.sees("completed in");
    let shown: Vec<Vec<Value>> = server.requests().iter().map(parts).collect();
    let url = format!("data:image/png;base64,{}", STANDARD.encode(pixel()));
    for parts in &shown {
        let images: Vec<&Value> = parts.iter().filter_map(|part| part["image_url"].get("url")).collect();
        assert!(images.len() == 2 && images.iter().all(|image| **image == url), "{parts:?}");
    }
    terminal.enter("/picture /nowhere/a.png");
    terminal.sees("[picture: /nowhere/a.png]");
    terminal.key("Enter");
    terminal.sees("the picture /nowhere/a.png");
    let runs = json(&terminal.place.ii(&["runs", "list", "--json"]));
    let question = runs[0]["question"].as_str().expect("a question").to_owned();
    assert!(question.starts_with("Who may do [picture my shot.png] as in [picture /etc/passwd]"), "{question}");
}
