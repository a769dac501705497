//! What the adapter for Chat Completions adds to a remote call: 64 streams at once, half of them by a bare HTTP client that
//! reads the same bytes from the same server at the same time; and whether memory stays flat over 10,000 calls.
//!
//! The server paces itself as a model does: 20 ms to the first piece, then one every 4 ms. `cargo bench -p agent-runtime
//! --bench remote` prints the figures of docs/BENCHMARKS.md.

#[allow(dead_code, reason = "shared with the adapter's tests")]
#[path = "../tests/server/mod.rs"]
mod server;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use agent_runtime::models::openai::{Dialect, MaxTokensField, OpenAi, OpenAiSettings, ToolChoice};
use common_ground::{
    port::model::{Model, ModelEvent, ModelRequest, Price, Reply, Turn},
    role::Role,
};
use futures_util::StreamExt;
use serde_json::json;
use server::{Server, Step, chunked, delta, events, finish, usage};

const STREAMS: usize = 64;
const PIECES: usize = 32;
const ROUNDS: usize = 24;

fn paced() -> Vec<Step> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let frame = |text: String| Step::Send(format!("{:x}\r\n{text}\r\n", text.len()).into_bytes());
    let mut steps = vec![Step::Send(head.into()), Step::Wait(Duration::from_millis(20))];
    for _ in 0..PIECES {
        steps.push(frame(format!("data: {}\n\n", delta(json!({"content": " word"})))));
        steps.push(Step::Wait(Duration::from_millis(4)));
    }
    let Step::Send(mut last) = frame(events(&[finish("stop"), usage(50, PIECES as u64)])) else { return Vec::new() };
    last.extend_from_slice(b"0\r\n\r\n");
    steps.push(Step::Send(last));
    steps
}

fn settings(server: &Server) -> OpenAiSettings {
    OpenAiSettings {
        id: "near:small".to_owned(),
        provider: "near".to_owned(),
        name: "small".to_owned(),
        base_url: server.base_url(),
        dialect: Dialect::Compatible,
        key: Some("key".into()),
        key_variable: None,
        headers: Vec::new(),
        retries: 0,
        retry_time: Duration::from_secs(1),
        idle: Duration::from_secs(60),
        window: Some(100_000),
        sees: None,
        price: Price::default(),
        ca_file: None,
        max_tokens_field: MaxTokensField::MaxTokens,
        tool_choice: ToolChoice::Required,
    }
}

fn request(number: usize) -> ModelRequest {
    ModelRequest {
        model: "near:small".to_owned(),
        role: Role::Associate,
        turns: vec![
            Turn::Rules { text: "You look things up. ".repeat(50) },
            Turn::Task { text: format!("Number {number}: {}", "some context of a task. ".repeat(100)) },
        ],
        tools: Vec::new(),
        reply: Reply::Text,
        max_tokens: 1000,
    }
}

async fn ours(model: Arc<OpenAi>, number: usize) -> Duration {
    let request = request(number);
    let began = Instant::now();
    let mut stream = model.complete(&request);
    let mut done = false;
    while let Some(event) = stream.next().await {
        done |= matches!(event.expect("an answer"), ModelEvent::Done(_));
    }
    assert!(done);
    began.elapsed()
}

async fn bare(client: reqwest::Client, url: String, body: String) -> Duration {
    let began = Instant::now();
    let sent = client.post(url).header("content-type", "application/json").body(body).send();
    let mut pieces = sent.await.expect("an answer").bytes_stream();
    let mut read = 0;
    while let Some(piece) = pieces.next().await {
        read += piece.expect("a piece").len();
    }
    assert!(read > 1000);
    began.elapsed()
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Resident memory of this process in KiB.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line");
    line.split_whitespace().nth(1).and_then(|text| text.parse().ok()).expect("a number")
}

async fn overhead() {
    let server = Server::start_keeping(0, |_| paced()).await;
    let model = Arc::new(OpenAi::new(settings(&server)).expect("a model"));
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let url = format!("{}/chat/completions", server.base_url());
    // The bare client sends as many bytes, made beforehand.
    let body = json!({"model": "small", "stream": true, "messages": [{"role": "user", "content": "x".repeat(3600)}]})
        .to_string();
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        // Both at the same time, stream by stream, so that what else the machine does hits both alike.
        let calls: Vec<_> = (0..STREAMS / 2)
            .map(|n| {
                let theirs = tokio::spawn(bare(client.clone(), url.clone(), body.clone()));
                (theirs, tokio::spawn(ours(Arc::clone(&model), round * STREAMS + n)))
            })
            .collect();
        for (theirs, own) in calls {
            without.push(theirs.await.expect("a call"));
            with.push(own.await.expect("a call"));
        }
        if round == 0 {
            // Connections are made in the first round.
            with.clear();
            without.clear();
        }
    }
    let (with, without, calls) = (median(&mut with), median(&mut without), with.len());
    let added = with.as_secs_f64() - without.as_secs_f64();
    println!("{STREAMS} streams at once, {calls} calls each, {PIECES} pieces a call");
    println!("p50 bare client   {:8.2} ms", without.as_secs_f64() * 1e3);
    println!("p50 adapter       {:8.2} ms", with.as_secs_f64() * 1e3);
    println!("p50 added         {:8.2} ms", added * 1e3);
}

async fn memory() {
    let answer = chunked(&events(&[delta(json!({"content": "words"})), finish("stop"), usage(50, 3)]));
    let server = Server::start_keeping(0, move |_| answer.clone()).await;
    let model = Arc::new(OpenAi::new(settings(&server)).expect("a model"));
    let mut after = Vec::new();
    let began = Instant::now();
    for batch in 0..10_000_usize.div_ceil(STREAMS) {
        let calls: Vec<_> = (0..STREAMS).map(|n| tokio::spawn(ours(Arc::clone(&model), batch * STREAMS + n))).collect();
        for call in calls {
            call.await.expect("a call");
        }
        let made = (batch + 1) * STREAMS;
        if [1_000, 5_000, 10_000].iter().any(|mark| (made - STREAMS..made).contains(&(mark - 1))) {
            after.push((made, resident_kib()));
        }
    }
    println!("{:.0} unpaced calls a second", 10_000.0 / began.elapsed().as_secs_f64());
    for (made, kib) in after {
        println!("resident after {made:6} calls: {kib} KiB");
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        memory().await;
        overhead().await;
    });
}
