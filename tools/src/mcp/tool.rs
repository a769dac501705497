//! A tool of a server, and the server behind all its tools while they are offered.
//!
//! **Invariant:** once a server said that its tools changed, or lists others when it is started anew, no further call is made.
//! **Invariant:** one call at a time: what a server does, it does for the call that is under way.
//! **Invariant:** a call that is given up is taken back, and a server that does not answer after that is ended.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use common_ground::{
    grant::{Item, Tier},
    port::{
        BoxFuture,
        tool::{ToolError, ToolSpec},
    },
    record::{Exit, Limit},
};
use receipts::Digest;
use rmcp::model::JsonObject;
use serde_json::Value;
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
};

use super::{
    connection::{Connection, Unanswered},
    content,
    listing::{Fit, Listing},
    open::Client,
    server::Server,
    signs::Fault,
};
use crate::{
    arguments::refuse,
    hand::{Hand, Work},
};

/// A server with approved tools.
#[derive(Debug)]
pub(super) struct Live {
    client: Client,
    server: Server,
    /// The digest of what was approved.
    pinned: Digest,
    /// The place of the one call.
    place: Arc<Semaphore>,
    // Held to take something out or put it in.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    connection: Option<Connection>,
    /// Why no further call is made.
    distrust: Option<String>,
}

/// A tool of a server.
#[derive(Debug)]
pub struct McpTool {
    live: Arc<Live>,
    fit: Fit,
}

impl Live {
    pub fn tools(client: Client, server: Server, listing: Listing, connection: Connection) -> Vec<McpTool> {
        let state = State { connection: Some(connection), distrust: None };
        let (pinned, place) = (listing.digest(), Arc::new(Semaphore::new(1)));
        let live = Arc::new(Self { client, server, pinned, place, state: Mutex::new(state) });
        listing.fit.into_iter().map(|fit| McpTool { live: Arc::clone(&live), fit }).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn distrust(&self, why: String) -> Unanswered {
        Unanswered::Refused(self.state().distrust.get_or_insert(why).clone())
    }

    /// The connection for a call, made anew where the last one is over.
    async fn connection(self: &Arc<Self>) -> Result<Taken, Unanswered> {
        // The semaphore is never closed; without a place there would be no call.
        let Ok(place) = Arc::clone(&self.place).acquire_owned().await else {
            return Err(Unanswered::Refused("the server is not offered any more".to_owned()));
        };
        let kept = {
            let mut state = self.state();
            if let Some(why) = &state.distrust {
                return Err(Unanswered::Refused(why.clone()));
            }
            state.connection.take()
        };
        if kept.as_ref().is_some_and(Connection::has_changed) {
            return Err(self.distrust(format!("the server {} said that its tools changed", self.server.name())));
        }
        let connection = match kept {
            Some(connection) if !connection.is_over() => connection,
            Some(_) | None => {
                let opened = Connection::open(&self.client, &self.server).await.map_err(Unanswered::Fault)?;
                let (connection, listing) = opened;
                if listing.digest() != self.pinned {
                    let name = self.server.name();
                    return Err(
                        self.distrust(format!("the server {name}, started anew, lists other tools than before"))
                    );
                }
                connection
            }
        };
        Ok(Taken { live: Arc::clone(self), connection: Some(connection), place: Some(place) })
    }
}

/// A connection at work. Dropped before its call is over, its server has to show that it is well.
struct Taken {
    live: Arc<Live>,
    // None only after it was put back.
    connection: Option<Connection>,
    place: Option<OwnedSemaphorePermit>,
}

impl Taken {
    /// Puts it back for the next call.
    fn put_back(mut self) {
        if let Some(connection) = self.connection.take() {
            self.live.state().connection = Some(connection);
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let (Some(connection), place) = (self.connection.take(), self.place.take()) else { return };
        // Without a runtime, or with nobody left to call it, the server ends here.
        let Ok(runtime) = Handle::try_current() else { return };
        let live = Arc::downgrade(&self.live);
        runtime.spawn(async move {
            // The library told the server by now that nobody waits for its answer.
            if !connection.is_over()
                && connection.is_well().await
                && let Some(live) = live.upgrade()
            {
                live.state().connection = Some(connection);
            }
            drop(place);
        });
    }
}

impl McpTool {
    async fn call(&self, work: &Work, arguments: JsonObject) -> Result<Vec<u8>, ToolError> {
        let failed = |reason: String| ToolError::Failed { tool: self.fit.spec.name.clone(), reason };
        let name = self.live.server.name();
        let (began, wall) = (Instant::now(), Duration::from_millis(work.limits().wall_ms));
        let called = tokio::time::timeout(wall, async {
            let mut taken = self.live.connection().await?;
            let Some(connection) = taken.connection.as_mut() else {
                return Err(Unanswered::Refused("the server is not offered any more".to_owned()));
            };
            let answer = connection.call(work, &self.fit.own, arguments).await;
            match &answer {
                // With the connection goes the server.
                Err(Unanswered::Fault(_)) => taken.connection = None,
                Ok(_) | Err(Unanswered::Refused(_) | Unanswered::Failed(_)) => taken.put_back(),
            }
            answer
        });
        match called.await {
            Ok(Ok(result)) => {
                let (text, has_failed) = content::read(result);
                if has_failed { Err(failed(String::from_utf8_lossy(&text).into_owned())) } else { Ok(text) }
            }
            Ok(Err(Unanswered::Failed(reason))) => Err(failed(reason)),
            Ok(Err(Unanswered::Refused(reason))) => {
                work.refused(format!("{} {}", name, self.fit.own), reason.as_str());
                work.ended(Exit::Refused);
                Err(ToolError::Refused { tool: self.fit.spec.name.clone(), reason })
            }
            Ok(Err(Unanswered::Fault(fault))) => {
                match &fault {
                    Fault::Limit(limit) => work.passed(*limit),
                    Fault::TooLong | Fault::Flood => work.passed(Limit::Output),
                    Fault::Unstarted(_) => work.ended(Exit::Refused),
                    Fault::Ended(_)
                    | Fault::Garbage(_)
                    | Fault::Stray(_)
                    | Fault::Unread(_)
                    | Fault::Silent(_)
                    | Fault::Protocol(_)
                    | Fault::TooManyTools => {}
                }
                Err(failed(format!("the server {name}: {fault}")))
            }
            Err(_elapsed) => {
                work.passed(Limit::Wall);
                Err(failed(format!("the server {name}: {}", Fault::Silent(began.elapsed().as_millis()))))
            }
        }
    }

    fn parsed(&self, text: &str) -> Result<JsonObject, ToolError> {
        let bad = |why: String| refuse(&self.fit.spec.name, why);
        let value: Value = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
        if let Some(error) = self.fit.schema.iter_errors(&value).next() {
            let place = error.instance_path().to_string();
            return Err(bad(if place.is_empty() { error.to_string() } else { format!("{place}: {error}") }));
        }
        match value {
            Value::Object(fields) => Ok(fields),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                Err(bad("arguments are one JSON object".to_owned()))
            }
        }
    }
}

impl Hand for McpTool {
    fn spec(&self) -> &ToolSpec {
        &self.fit.spec
    }

    fn tier(&self) -> Tier {
        Tier::Mcp
    }

    /// What was approved: with another command or other words of any of its server's tools it is another tool.
    fn code(&self) -> Option<Digest> {
        Some(self.live.pinned)
    }

    fn needs(&self, arguments: &str) -> Result<Vec<Item>, ToolError> {
        self.parsed(arguments)?;
        Ok(self.live.server.needs(&self.fit.own))
    }

    fn run<'a>(&'a self, work: &'a Work, arguments: &'a str) -> BoxFuture<'a, Result<Vec<u8>, ToolError>> {
        Box::pin(async move {
            let arguments = self.parsed(arguments)?;
            self.call(work, arguments).await
        })
    }
}
