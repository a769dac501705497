//! A real HTTP/1.1 server on loopback whose answers are bytes: whole, slow, cut anywhere, or none. It keeps what it was sent.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Method and target, such as `POST /v1/chat/completions`.
    pub line: String,
    /// Headers by lower-case name.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: String,
    /// How many requests came before.
    pub number: usize,
}

impl Seen {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("the body is JSON")
    }
}

/// A part of an answer.
#[derive(Debug, Clone)]
pub enum Step {
    /// Bytes as they go over the wire.
    Send(Vec<u8>),
    /// Silence.
    Wait(Duration),
    /// The connection is closed.
    Close,
}

type Handler = dyn Fn(&Seen) -> Vec<Step> + Send + Sync;

/// A server; it ends when dropped.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    accepting: AbortHandle,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Server {
    /// Listens on a free port of loopback.
    pub async fn start(handler: impl Fn(&Seen) -> Vec<Step> + Send + Sync + 'static) -> Self {
        Self::start_keeping(usize::MAX, handler).await
    }

    /// The same, but keeps no more than so many requests: for measurements of memory.
    pub async fn start_keeping(most: usize, handler: impl Fn(&Seen) -> Vec<Step> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let count = Arc::new(AtomicUsize::new(0));
        let (kept, handler): (_, Arc<Handler>) = (Arc::clone(&seen), Arc::new(handler));
        let accepting = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let keeper = Keeper { kept: Arc::clone(&kept), most, count: Arc::clone(&count) };
                tokio::spawn(serve(connection, keeper, Arc::clone(&handler)));
            }
        });
        Self { address, seen, accepting: accepting.abort_handle() }
    }

    /// The base URL of its Chat Completions.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// What came until now.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("nobody panicked").clone()
    }
}

/// Counts requests and keeps the first of them.
struct Keeper {
    kept: Arc<Mutex<Vec<Seen>>>,
    most: usize,
    count: Arc<AtomicUsize>,
}

impl Keeper {
    fn keep(&self, line: String, headers: BTreeMap<String, String>, body: String) -> Seen {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let seen = Seen { line, headers, body, number };
        if number < self.most {
            self.kept.lock().expect("nobody panicked").push(seen.clone());
        }
        seen
    }
}

async fn serve(mut connection: TcpStream, keeper: Keeper, handler: Arc<Handler>) {
    connection.set_nodelay(true).expect("no delay");
    let mut buffer = Vec::new();
    while let Some(seen) = read(&mut connection, &mut buffer, &keeper).await {
        for step in handler(&seen) {
            let sent = match step {
                Step::Send(bytes) => connection.write_all(&bytes).await,
                Step::Wait(time) => {
                    tokio::time::sleep(time).await;
                    Ok(())
                }
                Step::Close => return,
            };
            if sent.is_err() {
                return;
            }
        }
    }
}

async fn read(connection: &mut TcpStream, buffer: &mut Vec<u8>, keeper: &Keeper) -> Option<Seen> {
    let head = loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if connection.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8_lossy(&buffer[..head]).into_owned();
    let mut lines = text.lines();
    let line = lines.next()?.trim_end_matches(" HTTP/1.1").to_owned();
    let headers: BTreeMap<String, String> =
        lines.filter_map(|line| line.split_once(": ")).map(|(k, v)| (k.to_lowercase(), v.to_owned())).collect();
    let length = headers.get("content-length").and_then(|text| text.parse().ok()).unwrap_or(0_usize);
    while buffer.len() < head + 4 + length {
        if connection.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    let body = String::from_utf8_lossy(&buffer[head + 4..head + 4 + length]).into_owned();
    buffer.drain(..head + 4 + length);
    Some(keeper.keep(line, headers, body))
}

/// An answer with this status, further header lines and body, whole.
pub fn status(status: u16, headers: &str, body: &str) -> Vec<Step> {
    let length = body.len();
    let kind = if body.starts_with('{') { "content-type: application/json\r\n" } else { "" };
    let text = format!("HTTP/1.1 {status} Said\r\n{kind}{headers}content-length: {length}\r\n\r\n{body}");
    vec![Step::Send(text.into_bytes())]
}

/// The head of a stream of events whose end is the end of the connection.
pub const STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

/// These bytes as a stream of events, then the end of the connection.
pub fn stream(bytes: impl Into<Vec<u8>>) -> Vec<Step> {
    vec![Step::Send(STREAM.into()), Step::Send(bytes.into()), Step::Close]
}

/// Chunks as events, with `[DONE]` last.
pub fn events(chunks: &[Value]) -> String {
    let mut text: String = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
    text.push_str("data: [DONE]\n\n");
    text
}

/// These bytes as a stream that keeps the connection.
pub fn chunked(bytes: &str) -> Vec<Step> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    vec![Step::Send(format!("{head}{:x}\r\n{bytes}\r\n0\r\n\r\n", bytes.len()).into_bytes())]
}

/// A chunk with this delta.
pub fn delta(delta: Value) -> Value {
    json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "served-1",
        "choices": [{"index": 0, "delta": delta, "finish_reason": null}]})
}

/// The chunk that ends an answer.
pub fn finish(reason: &str) -> Value {
    json!({"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
}

/// The chunk with the usage.
pub fn usage(read: u64, written: u64) -> Value {
    json!({"id": "c", "choices": [], "usage": {"prompt_tokens": read, "completion_tokens": written}})
}

/// A server that keeps the contract as a model would: it answers any schema with its least instance, counts a token per
/// word, and ends where its window or the limit is reached.
pub fn scripted_model(window: u64) -> impl Fn(&Seen) -> Vec<Step> + Send + Sync + 'static {
    move |seen| {
        if !seen.line.ends_with("/chat/completions") {
            return status(404, "", r#"{"error":{"message":"no such path","code":404}}"#);
        }
        let body = seen.json();
        let read = body["messages"].to_string().split_whitespace().count() as u64;
        let limit = ["max_tokens", "max_completion_tokens"].iter().find_map(|key| body[key].as_u64()).unwrap_or(16);
        if read + limit > window {
            return status(400, "", r#"{"error":{"message":"too long","code":"context_length_exceeded"}}"#);
        }
        let (pieces, reason): (Vec<Value>, _) = match (&body["tools"], &body["response_format"]) {
            (Value::Array(tools), _) => {
                assert_eq!(body["tool_choice"], "required");
                let function = &tools[tools.len() - 1]["function"];
                let arguments = least(&function["parameters"]).to_string();
                let (first, second) = arguments.split_at(arguments.len() / 2);
                let head = json!({"tool_calls": [{"index": 0, "id": format!("call_{}", seen.number), "type": "function",
                    "function": {"name": function["name"], "arguments": first}}]});
                let tail = json!({"tool_calls": [{"index": 0, "function": {"arguments": second}}]});
                (vec![head, tail], "tool_calls")
            }
            (_, Value::Object(format)) => {
                assert_eq!(format["type"], "json_schema");
                (vec![json!({"content": least(&format["json_schema"]["schema"]).to_string()})], "stop")
            }
            _ => (vec![json!({"content": "A few "}), json!({"content": "words."})], "stop"),
        };
        let written: u64 = pieces.iter().map(|piece| piece.to_string().len() as u64 / 40).sum::<u64>() + 1;
        let cut = written > limit;
        let mut chunks = vec![delta(json!({"role": "assistant", "content": null}))];
        chunks.extend(pieces.into_iter().map(delta));
        chunks.push(finish(if cut { "length" } else { reason }));
        chunks.push(usage(read, written.min(limit)));
        chunked(&events(&chunks))
    }
}

/// A value that fits a schema, as far as the tests' schemas go.
fn least(schema: &Value) -> Value {
    if let Some(values) = schema["enum"].as_array() {
        return values[0].clone();
    }
    match schema["type"].as_str() {
        Some("object") => {
            let properties = schema["properties"].as_object().expect("properties");
            Value::Object(properties.iter().map(|(name, schema)| (name.clone(), least(schema))).collect())
        }
        Some("boolean") => Value::Bool(true),
        Some("string") => Value::String("a".repeat(schema["minLength"].as_u64().unwrap_or(1) as usize)),
        other => panic!("no value for {other:?}"),
    }
}
