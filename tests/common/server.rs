//! A model server on loopback that speaks Chat Completions over HTTP/1.1 and answers by a script: a function of the request
//! and of how many came before it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::Duration,
};

use serde_json::{Value, json};

/// What the server answers with.
#[derive(Debug, Clone)]
pub enum Says {
    /// Calls of tools, with text beside them.
    Calls(&'static str, Vec<(String, Value)>),
    /// Calls whose arguments are this very text.
    Raw(Vec<(String, String)>),
    /// Words.
    Text(String),
    /// Words that are cut off at the limit.
    Cut(String),
    /// Another status, without retrying headers.
    Status(u16, &'static str),
    /// Nothing for this long, then the end of the connection.
    Hang(Duration),
    /// What the test says, as it says it.
    Live(Live),
    /// Half an answer, then the end of the connection.
    Half,
}

/// An answer that is sent piece by piece, each when the test says so.
#[derive(Debug, Clone)]
pub struct Live(Arc<Mutex<Receiver<Piece>>>);

/// A piece of it.
#[derive(Debug, Clone)]
pub enum Piece {
    /// Words beside the calls.
    Words(String),
    /// More of the arguments of a call of `submit`.
    Submit(String),
    /// The answer is whole.
    End,
    /// The connection ends in the midst of it.
    Break,
}

impl Live {
    /// An answer, and what says its pieces; several answers may take theirs from one.
    pub fn new() -> (Self, Sender<Piece>) {
        let (says, said) = channel();
        (Self(Arc::new(Mutex::new(said))), says)
    }

    /// Whether the connection goes on.
    fn answer(&self, connection: &mut TcpStream) -> bool {
        let said = self.0.lock().expect("not poisoned");
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
        drop(connection.write_all(head.as_bytes()));
        let delta = |delta: Value| json!([{ "index": 0, "delta": delta, "finish_reason": null }]);
        let mut calls = false;
        while let Ok(piece) = said.recv_timeout(Duration::from_secs(60)) {
            match piece {
                Piece::Words(words) => send(connection, delta(json!({ "content": words })), Value::Null),
                Piece::Submit(arguments) => {
                    let name = if calls { Value::Null } else { json!("submit") };
                    calls = true;
                    let function = json!({ "name": name, "arguments": arguments });
                    let call = json!({ "index": 0, "id": "a", "type": "function", "function": function });
                    send(connection, delta(json!({ "tool_calls": [call] })), Value::Null);
                }
                Piece::End => {
                    let finish = if calls { "tool_calls" } else { "stop" };
                    let used = json!({ "prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18 });
                    send(connection, json!([{ "index": 0, "delta": {}, "finish_reason": finish }]), used);
                    drop(connection.write_all(b"data: [DONE]\n\n"));
                    return false;
                }
                Piece::Break => return false,
            }
        }
        false
    }
}

/// One chunk of an answer that is said live.
fn send(connection: &mut TcpStream, choices: Value, usage: Value) {
    let chunk = json!({ "id": "x", "object": "chat.completion.chunk", "created": 1, "model": "scripted",
        "choices": choices, "usage": usage });
    drop(connection.write_all(format!("data: {chunk}\n\n").as_bytes()));
}

impl Says {
    pub fn call(tool: &str, arguments: Value) -> Self {
        Self::Calls("", vec![(tool.to_owned(), arguments)])
    }
}

/// What a model cites from the documents of a test, word for word.
pub const QUOTE: &str = "A person may pause a run at any time.";

type Script = dyn Fn(&Value, usize) -> Says + Send + Sync;

/// The server; it ends with the test.
pub struct ModelServer {
    pub url: String,
    requests: Arc<Mutex<Vec<Value>>>,
}

impl ModelServer {
    pub fn start(script: impl Fn(&Value, usize) -> Says + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/v1", listener.local_addr().expect("an address"));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let script: Arc<Script> = Arc::new(script);
        let (kept, count) = (Arc::clone(&requests), Arc::new(AtomicUsize::new(0)));
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let (script, kept, count) = (Arc::clone(&script), Arc::clone(&kept), Arc::clone(&count));
                thread::spawn(move || serve(connection, &*script, &kept, &count));
            }
        });
        Self { url, requests }
    }

    /// A model that plans one module, searches, makes these calls one after another, and answers from the passage about
    /// pausing, which is the first where it is the only one.
    pub fn that_calls(question: &'static str, calls: Vec<(&'static str, Value)>) -> Self {
        Self::start(move |request, _| {
            if offers(request, "plan") {
                let module = json!({ "name": "one", "kind": "answer", "question": question, "inputs": [] });
                return Says::call("plan", json!({ "reason": { "reason": "single" }, "modules": [module] }));
            }
            match rounds(request).checked_sub(1).map(|made| calls.get(made)) {
                None => Says::call("commons_search", json!({ "query": "who may pause a run" })),
                Some(Some((tool, arguments))) => Says::call(tool, arguments.clone()),
                Some(None) => {
                    let citation = json!({ "passage": "p1", "quote": QUOTE });
                    Says::call("submit", json!({ "claims": [{ "text": "A person may.", "citations": [citation] }] }))
                }
            }
        })
    }

    /// Makes a program ask this server, as `--model openai:scripted`.
    pub fn asked_by<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("OPENAI_BASE_URL", &self.url).env("OPENAI_API_KEY", "sk-test").env("NO_PROXY", "127.0.0.1")
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Value> {
        self.requests.lock().expect("not poisoned").clone()
    }
}

fn serve(mut connection: TcpStream, script: &Script, kept: &Mutex<Vec<Value>>, count: &AtomicUsize) {
    let mut reader = BufReader::new(connection.try_clone().expect("a second handle"));
    while let Some((path, body)) = request(&mut reader) {
        if !path.ends_with("/chat/completions") {
            write(&mut connection, "404 Not Found", "application/json", b"{\"error\":{\"message\":\"no such path\"}}");
            continue;
        }
        let body: Value = serde_json::from_slice(&body).expect("a request is JSON");
        kept.lock().expect("not poisoned").push(body.clone());
        let says = script(&body, count.fetch_add(1, Ordering::SeqCst));
        if !answer(&mut connection, &body, &says) {
            return;
        }
    }
}

fn request(reader: &mut BufReader<TcpStream>) -> Option<(String, Vec<u8>)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((path, body))
}

fn write(connection: &mut TcpStream, status: &str, kind: &str, body: &[u8]) {
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n", body.len());
    drop(connection.write_all(head.as_bytes()).and_then(|()| connection.write_all(body)));
}

/// Whether the connection goes on.
fn answer(connection: &mut TcpStream, request: &Value, says: &Says) -> bool {
    let (text, calls, finish) = match says {
        Says::Calls(text, calls) => {
            let calls = calls.iter().map(|(tool, arguments)| (tool.clone(), arguments.to_string())).collect();
            ((*text).to_owned(), calls, "tool_calls")
        }
        Says::Raw(calls) => (String::new(), calls.clone(), "tool_calls"),
        Says::Text(text) => (text.clone(), Vec::new(), "stop"),
        Says::Cut(text) => (text.clone(), Vec::new(), "length"),
        Says::Status(status, message) => {
            let body = json!({ "error": { "message": message, "type": "test", "code": null } }).to_string();
            write(connection, &format!("{status} Said"), "application/json", body.as_bytes());
            return true;
        }
        Says::Hang(time) => {
            thread::sleep(*time);
            return false;
        }
        Says::Live(live) => return live.answer(connection),
        Says::Half => {
            let chunk = json!({ "id": "x", "object": "chat.completion.chunk", "created": 1, "model": request["model"],
                "choices": [{ "index": 0, "delta": { "tool_calls": [{ "index": 0, "id": "a", "type": "function",
                    "function": { "name": "commons_search", "arguments": "{\"query\":\"ha" } }] }, "finish_reason": null }] });
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
            drop(connection.write_all(format!("{head}data: {chunk}\n\n").as_bytes()));
            return false;
        }
    };
    let mut stream = String::new();
    let mut chunk = |choices: Value, usage: Value| {
        let one = json!({ "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": request["model"],
            "choices": choices, "usage": usage });
        stream.push_str(&format!("data: {one}\n\n"));
    };
    let delta = |delta: Value| json!([{ "index": 0, "delta": delta, "finish_reason": null }]);
    chunk(delta(json!({ "role": "assistant", "content": text })), Value::Null);
    for ((tool, arguments), index) in calls.iter().zip(0..) {
        let call = |function: Value| {
            delta(json!({ "tool_calls": [{ "index": index, "id": format!("call-{index}"),
            "type": "function", "function": function }] }))
        };
        let half = arguments.char_indices().nth(arguments.chars().count() / 2).map_or(0, |(at, _)| at);
        chunk(call(json!({ "name": tool, "arguments": &arguments[..half] })), Value::Null);
        let rest = json!([{ "index": 0, "finish_reason": null, "delta": { "tool_calls": [{ "index": index,
            "function": { "arguments": &arguments[half..] } }] } }]);
        chunk(rest, Value::Null);
    }
    chunk(json!([{ "index": 0, "delta": {}, "finish_reason": finish }]), Value::Null);
    let read = request["messages"].to_string().len() / 4;
    let wrote = (text.len() + calls.iter().map(|(_, arguments)| arguments.len()).sum::<usize>()) / 4 + 1;
    chunk(json!([]), json!({ "prompt_tokens": read, "completion_tokens": wrote, "total_tokens": read + wrote }));
    stream.push_str("data: [DONE]\n\n");
    write(connection, "200 OK", "text/event-stream", stream.as_bytes());
    true
}

/// Whether a tool is offered.
pub fn offers(request: &Value, tool: &str) -> bool {
    request["tools"].as_array().into_iter().flatten().any(|one| one["function"]["name"] == tool)
}

/// How many answers of the model the conversation has.
pub fn rounds(request: &Value) -> usize {
    messages(request).filter(|message| message["role"] == "assistant").count()
}

/// The first thing the model was told after its rules.
pub fn task(request: &Value) -> String {
    messages(request).find(|message| message["role"] == "user").map(words).unwrap_or_default()
}

/// The rules.
pub fn rules(request: &Value) -> String {
    messages(request).find(|message| message["role"] == "system").map(words).unwrap_or_default()
}

/// The last thing the model was told.
pub fn last(request: &Value) -> String {
    messages(request).last().map(words).unwrap_or_default()
}

fn messages(request: &Value) -> impl Iterator<Item = &Value> {
    request["messages"].as_array().into_iter().flatten()
}

fn words(message: &Value) -> String {
    match &message["content"] {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        _none => String::new(),
    }
}
