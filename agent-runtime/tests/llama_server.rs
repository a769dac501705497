//! The adapter for Chat Completions against the real llama-server, with a tiny model of random weights: the contract, and
//! tool calls that parse, every one: 200, or `II_TEST_CALLS=1000`. And a reranker, which is the same there and in this process.
//!
//! llama-server and the Python packages that write the model are fetched on first use. Where that cannot be done the test
//! says so and passes; under `CI` it fails.

mod contract;

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use agent_runtime::models::openai::{Dialect, MaxTokensField, OpenAi, OpenAiSettings, ToolChoice};
use common_ground::port::model::{Model, Price, Reply};

const SLOTS: u32 = 4;
const WINDOW: u64 = 4096;

struct Running {
    child: Child,
    port: u16,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait()) {
            eprintln!("llama-server does not end: {error}");
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
}

fn ran(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned();
    if output.status.success() { Ok(()) } else { Err(format!("{command:?}: {said}")) }
}

/// llama-server and a tiny model, made where they are missing.
fn prepare() -> Result<(PathBuf, PathBuf), String> {
    let target = root().join("target");
    let prefix = target.join("peers/llama");
    ran(Command::new(root().join("scripts/llama-server.sh")).arg(&prefix))?;
    let server = prefix.join("llama-server");
    let python = target.join("tmp/gguf-venv/bin/python");
    if ran(Command::new(&python).args(["-c", "import gguf, numpy"])).is_err() {
        ran(Command::new("python3").arg("-m").arg("venv").arg(target.join("tmp/gguf-venv")))?;
        ran(Command::new(&python).args(["-m", "pip", "install", "--quiet", "gguf", "numpy"]))?;
    }
    // Most models that call tools carry a template like this one; without one llama-server leaves the tools out.
    let template = root().join("agent-runtime/tests/golden/tools.jinja");
    let model = target.join("tmp/wire.gguf");
    std::fs::create_dir_all(target.join("tmp")).map_err(|error| error.to_string())?;
    ran(Command::new(&python).arg(root().join("scripts/gguf.py")).arg(&model).arg("--template").arg(template))?;
    Ok((server, model))
}

async fn start(program: &Path, model: &Path, more: &[&str]) -> Running {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let child = Command::new(program)
        .arg("--model")
        .arg(model)
        .args(["--host", "127.0.0.1", "--port", &port.to_string(), "--jinja", "--no-webui", "--threads", "1"])
        // Random weights write anything: some of it its own parser fails on, with error 500. What it writes is the same each time.
        .args(["--parallel", &SLOTS.to_string(), "--seed", "1"])
        .args(more)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("llama-server starts");
    let mut running = Running { child, port };
    for _ in 0..600 {
        if let Ok(Some(status)) = running.child.try_wait() {
            panic!("llama-server ended: {status}");
        }
        if is_ready(port).await {
            return running;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("llama-server is not ready after a minute");
}

/// Whether it says that it is ready.
async fn is_ready(port: u16) -> bool {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let Ok(mut connection) = tokio::net::TcpStream::connect(("127.0.0.1", port)).await else { return false };
    let ask = b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let mut text = String::new();
    connection.write_all(ask).await.is_ok()
        && connection.read_to_string(&mut text).await.is_ok()
        && text.starts_with("HTTP/1.1 200")
}

fn settings(port: u16) -> OpenAiSettings {
    OpenAiSettings {
        id: "llama-server:tiny".to_owned(),
        provider: "llama-server".to_owned(),
        name: "tiny".to_owned(),
        base_url: format!("http://127.0.0.1:{port}/v1"),
        dialect: Dialect::LlamaServer,
        key: None,
        key_variable: None,
        headers: Vec::new(),
        retries: 2,
        retry_time: Duration::from_secs(30),
        idle: Duration::from_secs(120),
        window: None,
        sees: None,
        price: Price::default(),
        ca_file: None,
        max_tokens_field: MaxTokensField::MaxTokens,
        tool_choice: ToolChoice::Schema,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_llama_server_keeps_the_contract_and_its_calls_parse() {
    let (program, gguf) = match prepare() {
        Ok(paths) => paths,
        Err(reason) if std::env::var_os("CI").is_none() => {
            println!("skipped: the contract on a real llama-server: {reason}");
            return;
        }
        Err(reason) => panic!("{reason}"),
    };
    let running = start(&program, &gguf, &["--ctx-size", &(WINDOW * u64::from(SLOTS)).to_string()]).await;
    let mut model = OpenAi::new(settings(running.port)).expect("a model");
    model.ask_server().await.expect("it tells");
    assert_eq!(model.window(), Some(WINDOW), "the window of a slot, not of the server");
    let model: Arc<dyn Model> = Arc::new(model);
    contract::holds(Arc::clone(&model)).await;

    let calls = calls();
    let (asked, good) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let workers: Vec<_> = (0..SLOTS)
        .map(|_| {
            let (model, asked, good) = (Arc::clone(&model), Arc::clone(&asked), Arc::clone(&good));
            tokio::spawn(async move {
                loop {
                    let number = asked.fetch_add(1, Ordering::Relaxed);
                    if number >= calls {
                        return;
                    }
                    let task = format!("Look up number {number}.");
                    let request = contract::request(&*model, &task, Reply::Calls, 256);
                    let whole =
                        contract::answer(&*model, &request).await.unwrap_or_else(|error| panic!("{number}: {error}"));
                    contract::called(&whole, &request.tools);
                    good.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.expect("every call parses");
    }
    assert_eq!(good.load(Ordering::Relaxed), calls);
}

/// llama-server and a reranker, made where they are missing. It has learnt nothing: that both reckon alike is what is looked at.
#[cfg(feature = "llama")]
fn prepare_judge() -> Result<(PathBuf, PathBuf), String> {
    let target = root().join("target");
    let (prefix, models) = (target.join("peers/llama"), target.join("models"));
    ran(Command::new(root().join("scripts/llama-server.sh")).arg(&prefix))?;
    ran(Command::new(root().join("scripts/models.sh")).arg(&models).arg("--judge"))?;
    Ok((prefix.join("llama-server"), models.join("judge-of-nothing.gguf")))
}

#[cfg(feature = "llama")]
#[tokio::test(flavor = "multi_thread")]
async fn a_reranker_judges_here_as_llama_server_does() {
    use agent_runtime::models::{
        llama::{LlamaEmbedder, LlamaEmbedderSettings, LlamaReranker, LlamaRerankerSettings},
        openai::OpenAiReranker,
    };
    use common_ground::port::{embedder::Prefixes, reranker::Reranker};

    let (program, gguf) = match prepare_judge() {
        Ok(paths) => paths,
        Err(reason) if std::env::var_os("CI").is_none() => {
            println!("skipped: a reranker on a real llama-server: {reason}");
            return;
        }
        Err(reason) => panic!("{reason}"),
    };
    let running = start(&program, &gguf, &["--reranking", "--ctx-size", "2048"]).await;
    let settings = OpenAiSettings { id: "llama-server:judge".to_owned(), ..settings(running.port) };
    let there = OpenAiReranker::new(OpenAi::new(settings).expect("a model"));
    let settings = LlamaRerankerSettings { id: "llama:judge".to_owned(), path: gguf.clone(), threads: Some(1) };
    let here = LlamaReranker::load(settings).expect("a reranker");
    let texts: Vec<String> = [
        "The harbour pilot boards every ship before it enters the river.".to_owned(),
        "Yeast turns sugar into alcohol and carbon dioxide.".to_owned(),
        "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich — naïve café, 東京!".to_owned(),
        "A word [SEP] that is a mark elsewhere. ".repeat(20),
        "x".to_owned(),
    ]
    .to_vec();
    for query in ["Who boards a ship?", "fermentation"] {
        let (here, there) = (here.relevance(query, &texts).await, there.relevance(query, &texts).await);
        let (here, there) = (here.expect("judged"), there.expect("judged"));
        assert_eq!((here.len(), there.len()), (texts.len(), texts.len()));
        for (text, (one, other)) in here.iter().zip(&there).enumerate() {
            assert!(one.abs_diff(*other) < 3_000, "{query}, text {text}: {one} here, {other} there");
        }
        let apart = here.iter().max().zip(here.iter().min()).map(|(most, least)| most - least);
        assert!(apart.is_some_and(|apart| apart > 20_000), "they are told apart: {here:?}");
    }
    // Neither is longer than is read, and no text is.
    let long = vec!["word ".repeat(3_000)];
    assert_eq!(here.relevance(&"why ".repeat(3_000), &long).await.expect("judged").len(), 1);
    assert!(here.relevance("why", &[]).await.expect("nothing to do").is_empty());
    let settings = LlamaEmbedderSettings {
        id: "llama:judge".to_owned(),
        path: gguf,
        threads: Some(1),
        prefixes: Prefixes::default(),
    };
    let refused = LlamaEmbedder::load(settings).expect_err("a reranker makes no vectors");
    assert!(refused.to_string().contains("take an embedding model"), "{refused}");
    let path = root().join("target/models/all-minilm-l6-v2.gguf");
    let settings = LlamaRerankerSettings { id: "llama:minilm".to_owned(), path, threads: Some(1) };
    let refused = LlamaReranker::load(settings).expect_err("an embedding model judges nothing");
    assert!(refused.to_string().contains("take a reranker"), "{refused}");
}

/// Tool calls that must parse, each of them: `II_TEST_CALLS`, or as many as take a minute or so.
fn calls() -> usize {
    std::env::var("II_TEST_CALLS").ok().and_then(|text| text.parse().ok()).unwrap_or(200)
}
