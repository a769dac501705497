//! `ii mcp` with a client that is not ours: PyPI's `mcp`, fetched on first use. Where that cannot be done the test says so
//! and passes; under `CI` it fails.

mod common;

use std::{
    path::Path,
    process::{Command, Stdio},
    sync::LazyLock,
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
    // Two tests that ask at once make one environment.
    static MADE: LazyLock<Result<std::path::PathBuf, String>> = LazyLock::new(environment);
    MADE.clone()
}

fn environment() -> Result<std::path::PathBuf, String> {
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

/// A server of PyPI's `mcp`, as settings have it, and the permissions that a call of it needs beside its own.
#[cfg(target_os = "linux")]
fn notes(python: &Path) -> (String, Vec<String>) {
    let found = Command::new(python).args(["-c", "import mcp; print(mcp.__path__[0])"]).output().expect("python runs");
    let package = std::path::PathBuf::from(String::from_utf8_lossy(&found.stdout).trim());
    let site = package.parent().expect("a folder").canonicalize().expect("real").display().to_string();
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/tests/mcp").canonicalize().expect("real");
    let may = vec![format!("read:{}", scripts.display()), format!("read:{site}")];
    let command = format!("[\"/usr/bin/python3\", \"{}/notes.py\", \"{site}\", \"stdio\"]", scripts.display());
    (format!("[mcp.notes]\ncommand = {command}\nmay = {may:?}\n"), may)
}

#[cfg(target_os = "linux")]
#[test]
fn a_server_is_approved_used_in_a_run_and_not_any_more_when_it_changes() {
    use common::{
        engine::skipped,
        server::{ModelServer, Says, offers, rounds},
    };
    use serde_json::json;

    let python = match python() {
        Ok(python) => python,
        Err(reason) => return skipped("an MCP server as tools", &reason),
    };
    let place = Place::new();
    let home = place.home();
    let (settings, may) = notes(&python);
    std::fs::create_dir_all(&home).expect("made");
    std::fs::write(home.join("config.toml"), &settings).expect("written");
    let said = |output: &std::process::Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let problems = || {
        let listed: Value = serde_json::from_slice(&place.ii(&["tools", "list", "--json"]).stdout).expect("JSON");
        listed["problems"].to_string()
    };
    assert!(problems().contains("MCP server notes: it is not approved"), "{}", problems());
    let asked = place.ii(&["tools", "approve", "notes"]);
    assert_eq!(asked.status.code(), Some(6), "{}", said(&asked));
    assert!(said(&asked).contains("notes.py") && said(&asked).contains("--yes"), "{}", said(&asked));
    assert!(!home.join("mcp/notes.json").exists(), "nothing is approved by being shown");
    let approved = place.ii(&["tools", "approve", "notes", "--yes", "--json"]);
    assert!(approved.status.success(), "{}", said(&approved));
    assert!(said(&approved).contains("Add two numbers."), "its tools are shown: {}", said(&approved));
    let told: Value = serde_json::from_slice(&approved.stdout).expect("JSON");
    assert!(told["tools"].as_u64().is_some_and(|count| count >= 6), "{told}");
    assert_eq!(problems(), "[]");

    let server = ModelServer::start(|request, _| {
        if offers(request, "plan") {
            let module = json!({ "name": "one", "kind": "answer", "question": "Who may pause a run?", "inputs": [] });
            return Says::call("plan", json!({ "reason": { "reason": "single" }, "modules": [module] }));
        }
        match rounds(request) {
            0 => Says::call("commons_search", json!({ "query": "who may pause a run" })),
            1 => Says::call("notes__add", json!({ "a": 20, "b": 22 })),
            _ => Says::Text("It is enough.".to_owned()),
        }
    });
    let docs = place.docs().display().to_string();
    let mut words =
        vec!["run", "Who may pause a run?", "--docs", &docs, "--model", "openai:scripted", "--attempts", "1"];
    words.extend(["--tool", "notes__add", "--allow", "run:mcp=notes add"]);
    words.extend(may.iter().flat_map(|may| ["--allow", may]));
    let run = || {
        let mut command = place.command(Path::new(env!("CARGO_BIN_EXE_ii")), &words);
        server.asked_by(&mut command);
        command.output().expect("runs")
    };
    let output = run();
    let read = server.requests().last().map(|request| request["messages"].to_string()).unwrap_or_default();
    assert!(read.contains("not instructions]\\n42"), "{} {read}", said(&output));
    let events = place.events(&place.only_run().expect("a run"));
    let tiers: Vec<&Value> =
        events.iter().map(|event| &event["traced"]["tier"]).filter(|tier| !tier.is_null()).collect();
    assert!(tiers.contains(&&json!("mcp")), "{tiers:?}");

    std::fs::write(home.join("config.toml"), settings.replace("\"stdio\"]", "\"stdio\", \"more\"]")).expect("written");
    assert!(problems().contains("its settings are not those that were approved"), "{}", problems());
    let output = run();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("notes__add"), "{}", said(&output));
    let none = place.ii(&["tools", "approve", "note"]);
    assert_eq!(none.status.code(), Some(2), "{}", said(&none));
    assert!(said(&none).contains("the nearest is `notes`"), "{}", said(&none));
}

/// A server whose list is another one at each start, by hand, since no honest one is so.
#[cfg(target_os = "linux")]
#[test]
fn a_server_that_changes_at_each_start_is_given_up() {
    const SERVER: &str = r#"
import json, os, sys
for line in sys.stdin:
    asked = json.loads(line)
    if asked.get("method") == "initialize":
        result = {"protocolVersion": asked["params"]["protocolVersion"], "capabilities": {"tools": {}},
                  "serverInfo": {"name": "fickle", "version": "1"}}
    elif asked.get("method") == "tools/list":
        result = {"tools": [{"name": "t" + os.urandom(4).hex(), "inputSchema": {"type": "object"}}]}
    else:
        continue
    print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}), flush=True)
"#;
    let place = Place::new();
    if !Path::new("/usr/bin/python3").exists() {
        return common::engine::skipped("a server that changes", "there is no /usr/bin/python3");
    }
    let script = place.folder.path().canonicalize().expect("real").join("fickle.py");
    std::fs::write(&script, SERVER).expect("written");
    std::fs::create_dir_all(place.home()).expect("made");
    let (at, may) = (script.display().to_string(), format!("read:{}", script.display()));
    let settings = format!("[mcp.fickle]\ncommand = [\"/usr/bin/python3\", {at:?}]\nmay = [{may:?}]\n");
    std::fs::write(place.home().join("config.toml"), settings).expect("written");
    let approved = place.ii(&["tools", "approve", "fickle", "--yes"]);
    let said = String::from_utf8_lossy(&approved.stderr).into_owned();
    assert_eq!(approved.status.code(), Some(1), "{said}");
    assert!(said.contains("fickle lists other tools each time"), "{said}");
    let listed = String::from_utf8_lossy(&place.ii(&["tools", "list", "--json"]).stdout).into_owned();
    assert!(!listed.contains("fickle__t"), "it is no tool: {listed}");
}
