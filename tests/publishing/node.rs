//! A Bitcoin node as a program of its own, which does what a test says.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use agent_runtime::publisher::{ChainWay, PublishError, Publisher, Way};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use receipts::ledger::outbox::State;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    common::engine::skipped,
    world::{PATIENCE, Sealed},
};

/// How many blocks make a receipt final here.
pub const DEPTH: u64 = 6;

/// Where bcoin is loaded from; none where it cannot be had.
fn bcoin(what: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let script = root.join("scripts/bcoin.sh");
    let ran = Command::new(script).arg(root.join("target/peers/bcoin")).output().expect("bash");
    if ran.status.success() {
        return Some(PathBuf::from(String::from_utf8_lossy(&ran.stdout).trim()));
    }
    let why = String::from_utf8_lossy(&ran.stderr).lines().last().unwrap_or_default().to_owned();
    skipped(what, &why);
    None
}

/// Two nodes in one process, killed when they go out of sight.
pub struct Node {
    folder: TempDir,
    bcoin: PathBuf,
    child: Option<Child>,
    /// Without the mark of a node.
    address: String,
}

impl Node {
    pub fn start(what: &str) -> Option<Self> {
        let bcoin = bcoin(what)?;
        let folder = tempfile::tempdir().expect("a folder");
        let mut node = Self { folder, bcoin, child: None, address: "127.0.0.1:0".to_owned() };
        node.again();
        Some(node)
    }

    /// Starts it where it was: with its blocks, and without its mempool.
    pub fn again(&mut self) {
        self.kill();
        let port = self.address.rsplit_once(':').expect("a port").1.to_owned();
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/publishing/nodes.cjs");
        let mut command = Command::new("node");
        command.arg(program).arg(&self.bcoin).arg(self.folder.path()).arg(port).env("NODE_BACKEND", "js");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let Ok(told) = serde_json::from_str::<Value>(&line) else {
            let mut words = String::new();
            child.stderr.take().expect("piped").read_to_string(&mut words).expect("words");
            panic!("{line}{words}");
        };
        let url = told["listening"].as_str().expect("an address");
        self.address = url.trim_start_matches("http://").to_owned();
        self.child = Some(child);
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may be gone already.
            drop(child.kill());
            child.wait().expect("is gone");
        }
    }

    pub fn url(&self) -> String {
        format!("bitcoin+http://{}/", self.address)
    }

    /// The file that its credentials are in.
    pub fn cookie(&self) -> PathBuf {
        self.folder.path().join(".cookie")
    }

    pub fn way(&self, home: &Sealed) -> Way {
        let chain = ChainWay { credentials: Some(self.cookie()), genesis: None, depth: DEPTH, most_rate: 50_000 };
        Way { url: Some(self.url()), chain, ..home.local_way() }
    }

    pub async fn publisher(&self, home: &Sealed) -> Publisher {
        home.open(self.way(home)).await.expect("opens")
    }

    /// Has the nodes do something; gives where they are then.
    pub fn order(&self, order: &str, what: Value) -> Value {
        let mut body = json!({"order": order});
        body.as_object_mut().expect("an object").extend(what.as_object().expect("an object").clone());
        post(&self.address, "/control", None, &body)
    }

    pub fn mine(&self, count: u64) {
        self.order("mine", json!({"count": count}));
    }

    pub fn reorg(&self, depth: u64) {
        self.order("reorg", json!({"depth": depth}));
    }

    pub fn fault(&self, fault: Value) {
        self.order("fault", fault);
    }

    /// What the transactions in its mempool pay.
    pub fn fees(&self) -> Vec<u64> {
        let told = self.order("heal", json!({}));
        told["fees"].as_array().expect("fees").iter().map(|fee| fee.as_u64().expect("satoshi")).collect()
    }

    /// How often the roots of all batches of a home are in the best chain.
    pub async fn anchored(&self, home: &Sealed) -> Vec<u64> {
        let mut roots = Vec::new();
        for state in home.states().await {
            if let State::InFlight { root, .. } | State::Mined { root, .. } | State::Buried { root, .. } = state
                && !roots.contains(&root)
            {
                roots.push(root);
            }
        }
        let count = |root| {
            let payload = format!("{}{root}", hex("PoB1"));
            self.order("count", json!({"payload": payload}))["count"].as_u64().expect("a number")
        };
        roots.into_iter().map(count).collect()
    }
}

/// Posts JSON by hand, and reads the object that comes back.
pub fn post(address: &str, path: &str, credentials: Option<&str>, body: &Value) -> Value {
    let body = body.to_string();
    let mut line = TcpStream::connect(address).expect("connects");
    let signed = credentials.map(|words| format!("authorization: Basic {}\r\n", STANDARD.encode(words)));
    let (signed, length) = (signed.unwrap_or_default(), body.len());
    let head =
        format!("POST {path} HTTP/1.1\r\nhost: node\r\nconnection: close\r\n{signed}content-length: {length}\r\n\r\n");
    line.write_all(format!("{head}{body}").as_bytes()).expect("sent");
    let mut answer = String::new();
    line.read_to_string(&mut answer).expect("an answer");
    let (_, told) = answer.split_once("\r\n\r\n").expect("a body");
    // It may come in one chunk, with its size before it.
    let told = told.trim_matches(|one: char| one != '{' && one != '}');
    serde_json::from_str(told).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Turns until one has nothing more to do.
pub async fn quiet(publisher: &mut Publisher) {
    let turning = async {
        loop {
            let turn = publisher.turn().await.expect("turns");
            if turn.answered + turn.proved == 0 {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, turning).await.expect("ends");
}

/// One turn, which fails for a reason that may pass.
pub async fn failing(publisher: &mut Publisher) -> PublishError {
    let error = publisher.turn().await.expect_err("fails");
    assert!(error.may_pass(), "{error}");
    error
}
