//! What is seen of a server while it is spoken to, whatever carries it: how much it sends, whether it answers what was asked,
//! what it asks for itself, and that its tools changed.
//!
//! **Invariant:** of one call at most [`MOST_BYTES`] and [`MOST_MESSAGES`] are read; a server that sends more is ended.
//! **Invariant:** an answer to a request that nobody made is no answer to any other.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use common_ground::record::{Exit, Limit};
use rmcp::{
    RoleClient,
    model::{ClientJsonRpcMessage, ServerJsonRpcMessage, ServerNotification, ServerRequest},
    transport::Transport,
};

use crate::clean::plain;

/// Longest message of a server, in bytes.
pub(super) const LONGEST_MESSAGE: usize = 8 << 20;
/// Most bytes of a server in one call, its notifications included.
pub(super) const MOST_BYTES: usize = 16 << 20;
/// Most messages of a server in one call.
pub(super) const MOST_MESSAGES: usize = 10_000;
/// How much of a server's standard error is kept.
const TAIL: usize = 2 << 10;

/// Why a server is not spoken to any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It could not be started with all that must stand around it.
    #[error("it was not started: {0}")]
    Unstarted(String),
    /// It ended.
    #[error("it ended: {0}")]
    Ended(String),
    /// It passed a limit and was ended.
    #[error("it passed its limit of {0:?} and was ended")]
    Limit(Limit),
    /// One of its messages is too long.
    #[error("it sent a message longer than {LONGEST_MESSAGE} bytes and was ended")]
    TooLong,
    /// It sends more than any call needs.
    #[error("it sent more than {MOST_BYTES} bytes or {MOST_MESSAGES} messages in one call and was ended")]
    Flood,
    /// What it sent is no message of the protocol.
    #[error("it sent what is no message of the protocol and was ended: {0}")]
    Garbage(String),
    /// It answered what nobody asked.
    #[error("it answered a request that was not made ({0}) and was ended")]
    Stray(String),
    /// It could not read a request.
    #[error("it could not read what it was sent and was ended: {0}")]
    Unread(String),
    /// It did not answer.
    #[error("it did not answer within {0} ms")]
    Silent(u128),
    /// It cannot be spoken to, in the words of the protocol's library or the dialler.
    #[error("{0}")]
    Protocol(String),
    /// It lists more tools than one server may have.
    #[error("it lists its tools in more pages or tools than one server may have")]
    TooManyTools,
}

#[derive(Debug, Default)]
struct Seen {
    fault: Option<Fault>,
    changed: bool,
    open: BTreeSet<String>,
    bytes: usize,
    messages: usize,
    asked_for: Vec<String>,
    tail: Vec<u8>,
}

/// What was seen. Shared by the connection and what carries it.
#[derive(Debug, Default)]
pub(super) struct Signs {
    // Held for a look or one entry; never while anything is awaited.
    seen: Mutex<Seen>,
}

impl Signs {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call begins: what it may send is counted anew.
    pub fn begin(&self) {
        let mut seen = self.seen();
        (seen.bytes, seen.messages) = (0, 0);
        seen.asked_for.clear();
    }

    /// Notes why it is over. The first word counts.
    pub fn fail(&self, fault: Fault) {
        self.seen().fault.get_or_insert(fault);
    }

    /// Why it is over, if it is.
    pub fn fault(&self) -> Option<Fault> {
        self.seen().fault.clone()
    }

    /// Whether it said that its tools changed.
    pub fn has_changed(&self) -> bool {
        self.seen().changed
    }

    /// What it asked this program for in this call.
    pub fn asked_for(&self) -> Vec<String> {
        self.seen().asked_for.clone()
    }

    /// Counts bytes.
    pub fn count(&self, bytes: usize) -> Result<(), Fault> {
        let mut seen = self.seen();
        seen.bytes = seen.bytes.saturating_add(bytes);
        if seen.bytes > MOST_BYTES { Err(Fault::Flood) } else { Ok(()) }
    }

    /// Keeps the end of what it says on standard error.
    pub fn complain(&self, bytes: &[u8]) {
        let mut seen = self.seen();
        seen.tail.extend_from_slice(bytes);
        let extra = seen.tail.len().saturating_sub(TAIL);
        seen.tail.drain(..extra);
    }

    /// The end of what it said on standard error, readable, as part of a sentence.
    pub fn tail(&self) -> String {
        let tail = plain(&String::from_utf8_lossy(&self.seen().tail));
        let tail = tail.trim();
        if tail.is_empty() { String::new() } else { format!("; its standard error ended with: {tail}") }
    }

    fn sent(&self, message: &ClientJsonRpcMessage) {
        if let ClientJsonRpcMessage::Request(request) = message {
            self.seen().open.insert(request.id.to_string());
        }
    }

    fn received(&self, message: &ServerJsonRpcMessage) -> Result<(), Fault> {
        let mut seen = self.seen();
        seen.messages += 1;
        if seen.messages > MOST_MESSAGES {
            return Err(Fault::Flood);
        }
        let mut answered = |id: String| if seen.open.remove(&id) { Ok(()) } else { Err(Fault::Stray(brief(&id))) };
        match message {
            ServerJsonRpcMessage::Response(response) => answered(response.id.to_string()),
            ServerJsonRpcMessage::Error(error) => match &error.id {
                Some(id) => answered(id.to_string()),
                None => Err(Fault::Unread(brief(&error.error.message))),
            },
            ServerJsonRpcMessage::Request(request) => {
                let what = match &request.request {
                    ServerRequest::PingRequest(_) => return Ok(()),
                    ServerRequest::CreateMessageRequest(_) => "sampling/createMessage".to_owned(),
                    ServerRequest::ListRootsRequest(_) => "roots/list".to_owned(),
                    ServerRequest::ElicitRequest(_) => "elicitation/create".to_owned(),
                    ServerRequest::CustomRequest(custom) => brief(&custom.method),
                    _newer => "something newer than this program".to_owned(),
                };
                seen.asked_for.push(what);
                Ok(())
            }
            ServerJsonRpcMessage::Notification(notification) => {
                if let ServerNotification::ToolListChangedNotification(_) = &notification.notification {
                    seen.changed = true;
                }
                Ok(())
            }
        }
    }
}

/// The beginning of a text, readable.
pub(super) fn brief(text: &str) -> String {
    let text: String = plain(text).chars().take(200).collect();
    text.replace('\n', " ")
}

/// How a process that ended is told of.
pub(super) fn ended(exit: Exit) -> Fault {
    match exit {
        Exit::Done => Fault::Ended("by itself".to_owned()),
        Exit::Code { code } => Fault::Ended(format!("with exit code {code}")),
        Exit::Signal { signal } => Fault::Ended(format!("by signal {signal}")),
        Exit::Limit { limit } => Fault::Limit(limit),
        Exit::Failed | Exit::Refused | Exit::Unasked | Exit::Trapped | Exit::Cancelled => {
            Fault::Ended(format!("{exit:?}"))
        }
    }
}

/// Whatever carries messages, watched.
pub(super) struct Watched<T> {
    inner: T,
    signs: Arc<Signs>,
}

impl<T> Watched<T> {
    pub fn new(inner: T, signs: &Arc<Signs>) -> Self {
        Self { inner, signs: Arc::clone(signs) }
    }
}

impl<T: Transport<RoleClient>> Transport<RoleClient> for Watched<T> {
    type Error = T::Error;

    fn send(&mut self, item: ClientJsonRpcMessage) -> impl Future<Output = Result<(), T::Error>> + Send + 'static {
        self.signs.sent(&item);
        self.inner.send(item)
    }

    async fn receive(&mut self) -> Option<ServerJsonRpcMessage> {
        let message = self.inner.receive().await?;
        match self.signs.received(&message) {
            Ok(()) => Some(message),
            // The end of what is received is the end of the connection.
            Err(fault) => {
                self.signs.fail(fault);
                None
            }
        }
    }

    async fn close(&mut self) -> Result<(), T::Error> {
        self.inner.close().await
    }
}

#[cfg(test)]
mod tests {
    use rmcp::model::{ClientJsonRpcMessage, ServerJsonRpcMessage};
    use serde_json::{Value, json};

    use super::{Fault, MOST_BYTES, MOST_MESSAGES, Signs, TAIL};

    fn from(signs: &Signs, message: Value) -> Result<(), Fault> {
        signs.received(&serde_json::from_value::<ServerJsonRpcMessage>(message).expect("a message"))
    }

    #[test]
    fn only_what_was_asked_is_answered() {
        let signs = Signs::default();
        let ask = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
        signs.sent(&serde_json::from_value::<ClientJsonRpcMessage>(ask).expect("a message"));
        let answer = json!({"jsonrpc": "2.0", "id": 1, "result": {"tools": []}});
        assert_eq!(from(&signs, answer.clone()), Ok(()));
        // Once.
        assert_eq!(from(&signs, answer), Err(Fault::Stray("1".to_owned())));
        let other = json!({"jsonrpc": "2.0", "id": "other", "result": {"tools": []}});
        assert_eq!(from(&signs, other), Err(Fault::Stray("other".to_owned())));
        let nobodys = json!({"jsonrpc": "2.0", "error": {"code": -32700, "message": "what?"}});
        assert_eq!(from(&signs, nobodys), Err(Fault::Unread("what?".to_owned())));
    }

    #[test]
    fn what_a_server_asks_for_is_seen() {
        let signs = Signs::default();
        for (method, params) in [
            ("ping", json!({})),
            ("sampling/createMessage", json!({"messages": [], "maxTokens": 1})),
            (
                "elicitation/create",
                json!({"message": "password?", "requestedSchema": {"type": "object", "properties": {}}}),
            ),
            ("roots/list", json!({})),
            ("other/thing", json!({})),
        ] {
            let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
            assert_eq!(from(&signs, request), Ok(()));
        }
        assert_eq!(signs.asked_for(), ["sampling/createMessage", "elicitation/create", "roots/list", "other/thing"]);
        assert!(!signs.has_changed());
        let changed = json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"});
        assert_eq!(from(&signs, changed), Ok(()));
        assert!(signs.has_changed());
    }

    #[test]
    fn a_flood_is_one_in_bytes_and_in_messages() {
        let signs = Signs::default();
        assert_eq!(signs.count(MOST_BYTES), Ok(()));
        assert_eq!(signs.count(1), Err(Fault::Flood));
        signs.begin();
        assert_eq!(signs.count(1), Ok(()));
        let note = json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": 1}});
        for _ in 0..MOST_MESSAGES {
            assert_eq!(from(&signs, note.clone()), Ok(()));
        }
        assert_eq!(from(&signs, note), Err(Fault::Flood));
    }

    #[test]
    fn of_standard_error_the_end_is_kept() {
        let signs = Signs::default();
        assert_eq!(signs.tail(), "");
        signs.complain(&vec![b'x'; 1 << 20]);
        signs.complain(b"\x1b[31mthe end\n");
        assert!(signs.tail().ends_with("xthe end") && signs.tail().len() < TAIL + 100, "{}", signs.tail().len());
    }
}
