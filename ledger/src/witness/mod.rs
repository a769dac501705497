//! A witness: it cosigns heads of the logs it watches, each only when the one before is its beginning.
//!
//! **Invariant:** the head is on disk before its cosignature leaves.
//! **Invariant:** one request at a time is judged and recorded, so that no two can pass each other.

mod duty;
mod store;

use std::sync::Arc;

use common_ground::Millis;
use hyper::{Method, StatusCode};
use receipts::witness::{AddCheckpoint, Refusal, WatchedLog};
use tokio::sync::{mpsc, oneshot};

pub use duty::{Duty, DutyError, OffDuty};
pub use store::{SeenHeads, WitnessStoreError};

use crate::{
    http::{Answer, Asked, Site},
    keys::WitnessKey,
};

/// Requests that wait to be judged.
const QUEUE: usize = 64;

type Verdict = Result<String, Refused>;

/// Why there is no cosignature.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Rule(#[from] Refusal),
    #[error(transparent)]
    Duty(#[from] OffDuty),
    #[error("{0}; ask again later")]
    Storage(#[from] WitnessStoreError),
}

/// A witness that answers.
pub struct Witness {
    judge: mpsc::Sender<(AddCheckpoint, oneshot::Sender<Verdict>)>,
    /// Its own verifier key and those of the logs, for who asks by GET.
    about: String,
}

/// The one task that judges, records and signs.
struct Judge {
    key: Arc<WitnessKey>,
    logs: Vec<WatchedLog>,
    /// The guardian's charter, where the witness is one.
    duty: Option<Duty>,
    seen: SeenHeads,
}

impl Witness {
    /// A witness of these logs, and the task that judges; the task ends when the witness is gone.
    pub fn start(
        key: Arc<WitnessKey>,
        logs: Vec<WatchedLog>,
        duty: Option<Duty>,
        seen: SeenHeads,
    ) -> (Self, tokio::task::JoinHandle<Result<(), WitnessStoreError>>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let names = logs.iter().map(|log| log.origin.as_str()).collect::<Vec<_>>().join("\n");
        let about = format!("{}\n\n{names}", key.cosigner().vkey());
        let task = tokio::spawn(Judge { key, logs, duty, seen }.work(receiver));
        (Self { judge: sender, about }, task)
    }

    async fn add_checkpoint(&self, body: &[u8]) -> Answer {
        let request = std::str::from_utf8(body).ok().and_then(AddCheckpoint::parse);
        let Some(request) = request else { return refuse(&Refusal::Malformed) };
        let (sender, verdict) = oneshot::channel();
        let sent = self.judge.send((request, sender)).await.is_ok();
        match if sent { verdict.await.ok() } else { None } {
            Some(Ok(line)) => Answer::Content {
                status: StatusCode::OK,
                content: "text/plain; charset=utf-8",
                body: line.into_bytes(),
            },
            Some(Err(Refused::Rule(refusal))) => refuse(&refusal),
            Some(Err(error @ Refused::Duty(_))) => Answer::text(StatusCode::FORBIDDEN, &error.to_string()),
            Some(Err(error @ Refused::Storage(_))) => Answer::text(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
            None => Answer::text(StatusCode::SERVICE_UNAVAILABLE, "the witness is stopping"),
        }
    }
}

fn refuse(refusal: &Refusal) -> Answer {
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST);
    match refusal {
        Refusal::Conflict { size } => {
            Answer::Content { status, content: "text/x.tlog.size", body: format!("{size}\n").into_bytes() }
        }
        Refusal::Malformed
        | Refusal::UnknownOrigin { .. }
        | Refusal::Unsigned { .. }
        | Refusal::Order { .. }
        | Refusal::Proof => Answer::text(status, &refusal.to_string()),
    }
}

impl Judge {
    async fn work(
        mut self,
        mut requests: mpsc::Receiver<(AddCheckpoint, oneshot::Sender<Verdict>)>,
    ) -> Result<(), WitnessStoreError> {
        while let Some((request, answer)) = requests.recv().await {
            let verdict = self.judge(&request).await;
            // Who asked may be gone; the head is recorded all the same, and asking again finds it.
            drop(answer.send(verdict));
        }
        self.seen.close().await
    }

    async fn judge(&mut self, request: &AddCheckpoint) -> Verdict {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        if let Some(duty) = &self.duty {
            duty.allows(request.origin(), Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX)))?;
        }
        let log = self.logs.iter().find(|log| log.origin == request.origin());
        let last = match log {
            Some(log) => self.seen.last(&log.origin).await?,
            None => None,
        };
        let head = request.judge(log, last.as_ref())?;
        self.seen.record(&head).await?;
        Ok(self.key.cosign(&head.body(), since.as_secs()))
    }
}

impl Site for Witness {
    async fn answer(&self, asked: Asked) -> Answer {
        match (asked.method, asked.path.as_str()) {
            (Method::POST, "/add-checkpoint") => self.add_checkpoint(&asked.body).await,
            (Method::GET, "/") => Answer::text(StatusCode::OK, &self.about),
            _other => Answer::text(StatusCode::NOT_FOUND, "POST /add-checkpoint"),
        }
    }
}
