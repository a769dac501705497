//! `ii mcp` with a client that is not ours: PyPI's `mcp`, fetched on first use. Where that cannot be done the test says so
//! and passes; under `CI` it fails.

mod common;

use std::{
    path::Path,
    process::{Command, Stdio},
};

use common::Place;
use serde_json::Value;

fn ran(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned();
    if output.status.success() { Ok(()) } else { Err(format!("{command:?}: {said}")) }
}

/// A Python with the package.
fn python() -> Result<std::path::PathBuf, String> {
    let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tmp/mcp-venv");
    let python = venv.join("bin/python");
    if ran(Command::new(&python).args(["-c", "import mcp"])).is_err() {
        ran(Command::new("python3").arg("-m").arg("venv").arg(&venv))?;
        ran(Command::new(&python).args(["-m", "pip", "install", "--quiet", "mcp"]))?;
    }
    Ok(python)
}

#[test]
fn another_agents_client_asks_searches_and_verifies() {
    let python = match python() {
        Ok(python) => python,
        Err(reason) if std::env::var_os("CI").is_none() => {
            println!("skipped: ii mcp with PyPI's client: {reason}");
            return;
        }
        Err(reason) => panic!("{reason}"),
    };
    let place = Place::new();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mcp_client.py");
    let words = [script.display().to_string(), env!("CARGO_BIN_EXE_ii").to_owned(), place.docs().display().to_string()];
    let output = place.command(&python, &words).output().expect("python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(said["tools"], serde_json::json!(["run", "status", "search", "verify"]));
    let text = |name: &str| said[name]["text"].as_str().expect("text").to_owned();
    let parsed =
        |name: &str| -> Value { serde_json::from_str(&text(name)).unwrap_or_else(|_| panic!("{}", text(name))) };
    let closed = parsed("run");
    assert_eq!((&closed["type"], &closed["outcome"]), (&"run.closed".into(), &"completed".into()));
    assert!(closed["report"].to_string().contains("A person may pause a run at any time."), "{closed}");
    assert_eq!(parsed("status").as_array().map(Vec::len), Some(1));
    assert_eq!(parsed("one")["id"], closed["run"]);
    assert!(parsed("search")["hits"][0]["content"].to_string().contains("pause a run"), "{}", text("search"));
    assert!(said["verify"]["error"] == false && text("verify").contains("true"), "{}", text("verify"));
    // A text that looks like a flag is a question.
    assert!(!text("flag").contains("passwd"), "{}", text("flag"));
    assert_eq!(parsed("flag")["type"], "run.closed", "{}", text("flag"));
    for (mistake, says) in
        [("unknown", "there is no tool delete"), ("missing", "verify needs run"), ("nothing", "no run no-such-run")]
    {
        assert!(said[mistake]["error"] == true && text(mistake).contains(says), "{mistake}: {}", text(mistake));
    }
}
