//! The Chrome DevTools Protocol over a pipe.
//!
//! A pipe and no port: whoever reaches a debugging port reads every file its browser may read, and with the pipe the browser
//! ends by itself when this program does, however it does. The libraries for the protocol know ports only.
//!
//! **Invariant:** what a page does is answered here without waiting for anybody: dialogs are dismissed, downloads are not
//! begun, and requests that are not of the web are failed.

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json, value::RawValue};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::{ChildStdin, ChildStdout},
    sync::{mpsc, oneshot},
    task::AbortHandle,
};

/// Longest message from the browser; a page can make its own description as long as it likes.
const LONGEST: u64 = 64 << 20;
/// Longest wait for one answer.
const ANSWER: Duration = Duration::from_secs(30);
/// Most of what a page did that is told one by one.
const MOST_TOLD: usize = 16;

/// Why the browser did not do what it was told.
#[derive(Debug, thiserror::Error)]
pub(super) enum CdpError {
    /// It is gone, or it said more than it may.
    #[error("the browser has ended")]
    Gone,
    /// It does not answer.
    #[error("the browser did not answer {0} in {ANSWER:?}")]
    Silent(&'static str),
    /// It refused.
    #[error("{method}: {message}")]
    Said {
        /// What it was told.
        method: &'static str,
        /// In its words.
        message: String,
    },
    /// Its answer is not what the protocol says.
    #[error("the answer to {method} is not understood: {source}")]
    Shape {
        /// What it was told.
        method: &'static str,
        /// Where it differs.
        source: serde_json::Error,
    },
}

/// What a page did since it was last asked.
#[derive(Debug)]
pub(super) struct Seen {
    /// Whether the main frame loads.
    pub loading: bool,
    /// When that last changed.
    pub changed: Instant,
    /// What to tell the model.
    pub told: Vec<String>,
    /// Pages that it opened.
    pub opened: Vec<String>,
    /// Whether its process died.
    pub crashed: bool,
    /// Its main frame.
    pub frame: String,
}

impl Seen {
    fn tell(&mut self, what: String) {
        if self.told.len() < MOST_TOLD {
            self.told.push(what);
        }
    }
}

type Waiting = HashMap<u64, oneshot::Sender<Result<Box<RawValue>, String>>>;

#[derive(Debug)]
struct Shared {
    next: AtomicU64,
    write: mpsc::UnboundedSender<Vec<u8>>,
    // Each lock is held for one entry or one event, never while anything is awaited. None once the browser is gone.
    waiting: Mutex<Option<Waiting>>,
    seen: Mutex<Seen>,
    credential: (String, String),
}

/// One end of the pipe.
#[derive(Debug)]
pub(super) struct Cdp {
    shared: Arc<Shared>,
    tasks: [AbortHandle; 2],
}

impl Drop for Cdp {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// One message, as far as every message is alike.
#[derive(Deserialize)]
struct Message<'a> {
    id: Option<u64>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    error: Option<Complaint>,
    method: Option<String>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    #[serde(rename = "sessionId")]
    session: Option<String>,
}

#[derive(Deserialize)]
struct Complaint {
    message: String,
}

#[derive(Serialize)]
struct Told<'a, P> {
    id: u64,
    method: &'a str,
    params: P,
    #[serde(rename = "sessionId", skip_serializing_if = "Option::is_none")]
    session: Option<&'a str>,
}

impl Cdp {
    /// Speaks over a browser's pipe; `credential` is for its proxy.
    pub fn new(to: ChildStdin, from: ChildStdout, credential: (String, String)) -> Self {
        let (write, read) = mpsc::unbounded_channel();
        let seen = Seen {
            loading: false,
            changed: Instant::now(),
            told: Vec::new(),
            opened: Vec::new(),
            crashed: false,
            frame: String::new(),
        };
        let shared = Arc::new(Shared {
            next: AtomicU64::new(1),
            write,
            waiting: Mutex::new(Some(HashMap::new())),
            seen: Mutex::new(seen),
            credential,
        });
        let writing = tokio::spawn(write_all(to, read)).abort_handle();
        let reading = tokio::spawn(read_all(from, Arc::clone(&shared))).abort_handle();
        Self { shared, tasks: [writing, reading] }
    }

    /// What the page did; the caller may change it.
    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the browser to do something, and waits for its answer.
    pub async fn call<R: DeserializeOwned>(
        &self,
        session: Option<&str>,
        method: &'static str,
        params: impl Serialize,
    ) -> Result<R, CdpError> {
        let (answer, answered) = oneshot::channel();
        let id = self.shared.next.fetch_add(1, Ordering::Relaxed);
        {
            let mut waiting = self.shared.waiting();
            waiting.as_mut().ok_or(CdpError::Gone)?.insert(id, answer);
        }
        self.shared.tell(id, session, method, params).map_err(|source| CdpError::Shape { method, source })?;
        match tokio::time::timeout(ANSWER, answered).await {
            Ok(Ok(Ok(result))) => {
                serde_json::from_str(result.get()).map_err(|source| CdpError::Shape { method, source })
            }
            Ok(Ok(Err(message))) => Err(CdpError::Said { method, message }),
            Ok(Err(_dropped)) => Err(CdpError::Gone),
            Err(_elapsed) => Err(CdpError::Silent(method)),
        }
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Option<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(
        &self,
        id: u64,
        session: Option<&str>,
        method: &str,
        params: impl Serialize,
    ) -> Result<(), serde_json::Error> {
        let mut message = serde_json::to_vec(&Told { id, method, params, session })?;
        message.push(0);
        // A writer that is gone is noticed by the reader, which ends all waiting.
        self.write.send(message).unwrap_or_default();
        Ok(())
    }

    /// Answers an event; the browser's own answer to that is of no interest.
    fn reply(&self, session: Option<&str>, method: &str, params: Value) {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        // A value of ours is always JSON.
        self.tell(id, session, method, params).unwrap_or_default();
    }

    fn heard(&self, bytes: &[u8]) {
        let Ok(message) = serde_json::from_slice::<Message<'_>>(bytes) else { return };
        match (message.id, message.method) {
            (Some(id), _) => {
                let waiter = self.waiting().as_mut().and_then(|waiting| waiting.remove(&id));
                let answer = match (message.error, message.result) {
                    (Some(error), _) => Err(error.message),
                    (None, result) => Ok(result.unwrap_or(RawValue::NULL).to_owned()),
                };
                // Nobody waits for answers to replies, or for what was given up.
                if let Some(waiter) = waiter {
                    waiter.send(answer).unwrap_or_default();
                }
            }
            (None, Some(method)) => {
                let params = message.params.map_or(Ok(Value::Null), |params| serde_json::from_str(params.get()));
                self.event(&method, message.session.as_deref(), &params.unwrap_or_default());
            }
            (None, None) => {}
        }
    }

    fn event(&self, method: &str, session: Option<&str>, params: &Value) {
        let text = |name: &str| params[name].as_str().unwrap_or_default().to_owned();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match method {
            "Page.frameStartedNavigating" | "Page.frameStartedLoading" | "Page.frameStoppedLoading"
                if params["frameId"] == seen.frame.as_str() =>
            {
                seen.loading = method != "Page.frameStoppedLoading";
                seen.changed = Instant::now();
            }
            "Page.javascriptDialogOpening" => {
                let kind = text("type");
                seen.tell(format!("a dialog was dismissed ({kind}): {:?}", shortened(&text("message"))));
                // Staying for fear of losing what was typed is a person's business.
                self.reply(session, "Page.handleJavaScriptDialog", json!({"accept": kind == "beforeunload"}));
            }
            "Browser.downloadWillBegin" => {
                let name = shortened(&text("suggestedFilename"));
                seen.tell(format!("a download was refused: {name:?} from {}", shortened(&text("url"))));
            }
            "Target.targetCreated" => {
                let info = &params["targetInfo"];
                let id = info["targetId"].as_str().unwrap_or_default();
                if info["type"] == "page" && info["openerId"].is_string() && seen.opened.len() < MOST_TOLD {
                    seen.opened.push(id.to_owned());
                }
            }
            "Inspector.targetCrashed" => seen.crashed = true,
            "Fetch.requestPaused" => {
                let url = params["request"]["url"].as_str().unwrap_or_default();
                let is_web = ["http:", "https:", "data:", "blob:"].iter().any(|scheme| url.starts_with(scheme));
                let request = &params["requestId"];
                if is_web {
                    self.reply(session, "Fetch.continueRequest", json!({"requestId": request}));
                } else {
                    seen.tell(format!("not of the web, and refused: {}", shortened(url)));
                    let failed = json!({"requestId": request, "errorReason": "AccessDenied"});
                    self.reply(session, "Fetch.failRequest", failed);
                }
            }
            "Fetch.authRequired" => {
                let answer = if params["authChallenge"]["source"] == "Proxy" {
                    let (user, password) = &self.credential;
                    json!({"response": "ProvideCredentials", "username": user, "password": password})
                } else {
                    json!({"response": "CancelAuth"})
                };
                let answer = json!({"requestId": params["requestId"], "authChallengeResponse": answer});
                self.reply(session, "Fetch.continueWithAuth", answer);
            }
            _others => {}
        }
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(200).collect()
}

async fn write_all(mut to: ChildStdin, mut messages: mpsc::UnboundedReceiver<Vec<u8>>) -> io::Result<()> {
    while let Some(message) = messages.recv().await {
        to.write_all(&message).await?;
    }
    Ok(())
}

async fn read_all(from: ChildStdout, shared: Arc<Shared>) {
    let mut from = BufReader::new(from);
    let mut message = Vec::new();
    loop {
        message.clear();
        let read = (&mut from).take(LONGEST).read_until(0, &mut message).await;
        if !matches!(read, Ok(1..)) || message.pop() != Some(0) {
            break;
        }
        shared.heard(&message);
    }
    // Who waits learns of the end by the loss of the other half.
    *shared.waiting() = None;
}
