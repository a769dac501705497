//! The adapter for Chat Completions against the real llama-server, with a tiny model of random weights: the contract, and
//! tool calls that parse, every one: 200, or `II_TEST_CALLS=1000`.
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
    Ok((prefix.join("llama-server"), model))
}

async fn start(program: &Path, model: &Path) -> Running {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let child = Command::new(program)
        .arg("--model")
        .arg(model)
        .args(["--host", "127.0.0.1", "--port", &port.to_string(), "--jinja", "--no-webui", "--threads", "1"])
        .args(["--parallel", &SLOTS.to_string(), "--ctx-size", &(WINDOW * u64::from(SLOTS)).to_string()])
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
    let running = start(&program, &gguf).await;
    let mut model = OpenAi::new(settings(running.port)).expect("a model");
    model.ask_window().await.expect("it tells");
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

/// Tool calls that must parse, each of them: `II_TEST_CALLS`, or as many as take a minute or so.
fn calls() -> usize {
    std::env::var("II_TEST_CALLS").ok().and_then(|text| text.parse().ok()).unwrap_or(200)
}
