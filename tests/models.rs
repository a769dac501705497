//! `ii models` as a contract, with the real program and a model server on loopback: what is listed, tried and measured,
//! how a fault ends, and that nobody's secrets are shown.

mod common;
#[allow(dead_code, reason = "shared with the adapter's own tests")]
#[path = "../agent-runtime/tests/server/mod.rs"]
mod server;

use std::{fs, path::Path, process::Output};

use common::{Place, code, json, stderr, stdout};
use serde_json::Value;
use server::{Server, Step, scripted_model, status, stream};

const KEY: &str = "sk-very-secret-0123456789";

/// A home whose configuration has the provider `near`.
fn place(base_url: &str, more: &str) -> Place {
    let place = Place::new();
    fs::create_dir_all(place.home()).expect("home");
    let text = format!(
        "[providers.near]\nbase_url = \"{base_url}\"\nenv_key = \"NEAR_KEY\"\nretries = 0\n{more}\n\
         [providers.near.headers]\nX-Team = \"blue-secret\"\n"
    );
    fs::write(place.home().join("config.toml"), text).expect("a file");
    place
}

fn ii(place: &Place, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = place.command(Path::new(env!("CARGO_BIN_EXE_ii")), arguments);
    command.env("NEAR_KEY", KEY).envs(environment.iter().copied());
    let output = command.output().expect("ii runs");
    let all = format!("{}{}", stdout(&output), stderr(&output));
    for secret in [KEY, "blue-secret", "SECRETBODY"] {
        assert!(!all.contains(secret), "{arguments:?} shows {secret}: {all}");
    }
    output
}

/// The one line of a failure.
fn failed(output: &Output, expected: i32) -> String {
    assert_eq!(code(output), expected, "{}{}", stdout(output), stderr(output));
    let text = if output.stderr.is_empty() { stdout(output) } else { stderr(output) };
    assert!(text.contains("; "), "no fix: {text}");
    text
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}

fn serve(
    runtime: &tokio::runtime::Runtime,
    handler: impl Fn(&server::Seen) -> Vec<Step> + Send + Sync + 'static,
) -> Server {
    runtime.block_on(Server::start(handler))
}

#[test]
fn the_list_shows_what_there_is_and_what_is_missing() {
    let place = place("http://near.example/v1", "");
    fs::create_dir_all(place.home().join("models")).expect("a folder");
    fs::write(place.home().join("models/tiny.gguf"), "").expect("a file");
    fs::write(place.home().join("models/notes.txt"), "").expect("a file");
    let shown = ii(&place, &["models", "list"], &[]);
    let text = stdout(&shown);
    assert_eq!(code(&shown), 0, "{}", stderr(&shown));
    for line in [
        "chosen       principal extractive, associate extractive, verifier extractive",
        "provider     near: http://near.example/v1, key in NEAR_KEY",
        "provider     openai: https://api.openai.com/v1, OPENAI_API_KEY is not set",
        "file         llama:tiny.gguf",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line:?} is not in {text}");
    }
    assert!(!text.contains("notes.txt"));
    let listed = json(&ii(&place, &["models", "list", "--json"], &[("OPENAI_API_KEY", "x")]));
    let openai = listed["providers"].as_array().and_then(|all| all.iter().find(|row| row["name"] == "openai")).cloned();
    assert_eq!(openai.map(|row| row["key_set"].clone()), Some(Value::Bool(true)));
    assert_eq!(listed["files"], serde_json::json!(["llama:tiny.gguf"]));
    let settings = stdout(&ii(&place, &["config", "show"], &[]));
    assert!(settings.contains("providers.near.headers.X-Team = (set)  # user file"), "{settings}");
}

#[test]
fn a_model_that_works_is_probed_measured_and_listed() {
    let runtime = runtime();
    let model = scripted_model(100_000);
    let server = serve(&runtime, move |seen| match seen.line.as_str() {
        "GET /v1/models" => status(200, "", r#"{"data":[{"id":"small"},{"id":"large"}]}"#),
        _ => model(seen),
    });
    let place = place(&server.base_url(), "window = 50000");
    let shown = ii(&place, &["models", "probe", "near:small"], &[]);
    assert_eq!(code(&shown), 0, "{}", stdout(&shown));
    let names: Vec<String> = stdout(&shown)
        .lines()
        .map(|line| line.chars().skip(7).take(14).collect::<String>().trim().to_owned())
        .collect();
    assert_eq!(names, ["reachable", "served", "window", "streaming", "speed", "tool calls", "JSON"]);
    let probed = json(&ii(&place, &["models", "probe", "near:small", "--json"], &[]));
    assert_eq!(probed["ok"], true, "{probed}");
    assert!(server.seen().iter().all(|seen| seen.headers["authorization"] == format!("Bearer {KEY}")));
    let measured = json(&ii(&place, &["models", "bench", "near:small", "--calls", "3", "--json"], &[]));
    assert_eq!(measured["calls"], 3);
    assert!(measured["latency_ms"]["p95"].as_u64() >= measured["latency_ms"]["p50"].as_u64(), "{measured}");
    assert!(measured["tokens_written"].as_u64() >= Some(3), "{measured}");
    let listed = json(&ii(&place, &["models", "list", "near", "--json"], &[]));
    assert_eq!(listed["models"], serde_json::json!(["near:small", "near:large"]));
    assert_eq!(code(&ii(&place, &["models", "probe", "extractive"], &[])), 0);
}

#[test]
fn a_model_that_does_not_work_says_why_and_what_to_do() {
    let runtime = runtime();
    let place = place("http://127.0.0.1:9/v1", "");
    let unset = ii(&place, &["models", "probe", "openai:gpt"], &[]);
    assert!(failed(&unset, 3).contains("set OPENAI_API_KEY"));
    assert!(failed(&ii(&place, &["models", "probe", "olama:x"], &[]), 3).contains("the nearest is `ollama`"));
    assert!(failed(&ii(&place, &["models", "probe", "gpt"], &[]), 2).contains("PROVIDER:NAME"));
    assert!(failed(&ii(&place, &["models", "probe", "near:small"], &[]), 4).contains("nothing listens at 127.0.0.1:9"));
    assert!(failed(&ii(&place, &["models", "bench", "extractive"], &[]), 2).contains("no language model"));
    assert!(failed(&ii(&place, &["models", "list", "near"], &[]), 4).contains("nothing listens"));
    let mut asked = place.run_args("Why?");
    asked.extend(["--model".to_owned(), "near:small".to_owned()]);
    let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
    assert!(failed(&ii(&place, &asked, &[]), 4).contains("near:small"), "a run never answers with another model");
    for (code, body, says) in [
        (401, r#"{"error":{"message":"SECRETBODY"}}"#, "set NEAR_KEY to a valid key"),
        (404, "SECRETBODY", "`ii models list near`"),
    ] {
        let server = serve(&runtime, move |_| status(code, "", body));
        let place = self::place(&server.base_url(), "");
        assert!(failed(&ii(&place, &["models", "probe", "near:small"], &[]), 4).contains(says));
        assert_eq!(server.seen().len(), 1, "it is not asked again");
    }
}

#[test]
fn the_log_at_its_finest_shows_nothing_of_what_is_carried() {
    let runtime = runtime();
    let bodies = ["data: SECRETBODY\n\n", "data: {\"choices\":[{\"delta\":{\"content\":[\"SECRETBODY\"]}}]}\n\n"];
    for body in bodies {
        let server = serve(&runtime, move |_| stream(body));
        let place = place(&server.base_url(), "");
        for level in ["trace", "async_openai=trace,hyper=trace,reqwest=trace"] {
            let probed = ii(&place, &["models", "probe", "near:small"], &[("II_LOG", level)]);
            assert_eq!(code(&probed), 4);
        }
    }
}

#[test]
fn proxies_are_used_and_one_that_wants_a_login_is_named() {
    let runtime = runtime();
    let proxy = serve(&runtime, |_| status(407, "proxy-authenticate: Basic\r\n", "SECRETBODY"));
    let address = format!("http://{}", proxy.address);
    for (base_url, variable, line) in [
        ("http://model.example/v1", "HTTP_PROXY", "POST http://model.example/v1/chat/completions"),
        ("https://model.example/v1", "HTTPS_PROXY", "CONNECT model.example:443"),
    ] {
        let place = place(base_url, "");
        let variable = variable.to_lowercase();
        let error = failed(&ii(&place, &["models", "probe", "near:small"], &[(&variable, &address)]), 4);
        assert!(error.contains("the proxy wants a login"), "{error}");
        assert_eq!(proxy.seen().last().map(|seen| seen.line.clone()), Some(line.to_owned()));
    }
    let before = proxy.seen().len();
    let server = serve(&runtime, scripted_model(100_000));
    let here = place(&server.base_url(), "");
    assert_eq!(code(&ii(&here, &["models", "probe", "near:small"], &[("http_proxy", &address)])), 0);
    let excepted = place("http://model.invalid/v1", "");
    let both = [("http_proxy", address.as_str()), ("no_proxy", "model.invalid")];
    let error = failed(&ii(&excepted, &["models", "probe", "near:small"], &both), 4);
    assert!(error.contains("cannot be looked up"), "{error}");
    assert_eq!(proxy.seen().len(), before, "neither this very machine nor what NO_PROXY names goes through a proxy");
}

#[test]
fn the_page_on_configuration_has_every_setting_and_field() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/CONFIG.md")).expect("the page");
    let shown = |value: &str| if value.is_empty() { "none".to_owned() } else { format!("`{value}`") };
    for setting in ii::config::SETTINGS {
        let project = if setting.project { "yes" } else { "no" };
        let row = format!(
            "| `{}` | `{}` | {} | {project} | {} |",
            setting.name,
            setting.variable,
            shown(setting.default),
            setting.about
        );
        assert!(page.lines().any(|line| line == row), "docs/CONFIG.md lacks: {row}");
    }
    for field in ii::config::FIELDS {
        let row = format!("| `{}` | {} | {} |", field.name, shown(field.default), field.about);
        assert!(page.lines().any(|line| line == row), "docs/CONFIG.md lacks: {row}");
    }
    for (field, about) in ii::config::SERVER_FIELDS {
        let row = format!("| `{field}` | {about} |");
        assert!(page.lines().any(|line| line == row), "docs/CONFIG.md lacks: {row}");
    }
    for (provider, fields) in ii::config::BUILT_IN {
        let url = fields.iter().find(|(field, _)| *field == "base_url").map_or("", |(_, url)| url);
        let differs: Vec<String> = fields[1..].iter().map(|(field, value)| format!("`{field} = {value}`")).collect();
        let row = format!("| `{provider}` | `{url}` | {} |", differs.join(", "));
        assert!(page.lines().any(|line| line == row), "docs/CONFIG.md lacks: {row}");
    }
}
