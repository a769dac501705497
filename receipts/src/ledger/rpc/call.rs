//! What a ledger may be asked, and how a request is written and read.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::error::{LedgerError, ProtocolFault, protocol};
use crate::{digest::Digest, integer::Decimal, ledger::submission::Submission};

/// What may be asked. The names of the methods are those of the variants in snake case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Who the ledger is.
    Info,
    /// Hands in one receipt.
    Submit(Box<Submission>),
    /// Hands in up to [`MOST_IN_BATCH`](super::MOST_IN_BATCH); each has its own answer.
    SubmitBatch(SubmitBatch),
    /// How far a receipt has come.
    Status(OfReceipt),
    /// The evidence that a receipt is in the log.
    Proof(ProofAt),
    /// The published head.
    Checkpoint,
    /// That one head is the beginning of another.
    Consistency(Between),
    /// What was credited for a nullifier, and what was not.
    ByNullifier(OfNullifier),
    /// Waits for a larger published head.
    Watch(WatchFrom),
    /// A block with its certificate.
    Block(AtHeight),
    /// Receipts by class of benefit.
    Counts,
    /// Makes a fault, where the ledger was started with faults.
    Fault(Fault),
}

wire!(
    /// Parameters of `submit_batch`.
    SubmitBatch {
        /// What is handed in.
        submissions: Vec<Submission>,
    }
);
wire!(
    /// Parameters of `status`.
    OfReceipt {
        /// Id of the receipt.
        receipt: Digest,
    }
);
wire!(
    /// Parameters of `proof`.
    ProofAt {
        /// Id of the receipt.
        receipt: Digest,
        /// The block whose head the proof shall lead to; the published head without it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        height: Option<Decimal>,
    }
);
wire!(
    /// Parameters of `consistency`.
    Between {
        /// Size of the older head.
        old: Decimal,
        /// Size of the newer head; the published one without it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        new: Option<Decimal>,
    }
);
wire!(
    /// Parameters of `by_nullifier`.
    OfNullifier {
        /// The nullifier.
        nullifier: Digest,
    }
);
wire!(
    /// Parameters of `watch`.
    WatchFrom {
        /// The size that the asker has.
        size: Decimal,
        /// How long to wait for a larger one, in milliseconds, [`MOST_WAIT_MS`](super::MOST_WAIT_MS) at most.
        wait_ms: Decimal,
    }
);
wire!(
    /// Parameters of `block`.
    AtHeight {
        /// The height; the last block without it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        height: Option<Decimal>,
    }
);

/// A fault to make: what a client must survive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case", tag = "kind")]
pub enum Fault {
    /// The next answers are worked out and not sent: the connection closes.
    DropAnswers {
        /// How many.
        count: Decimal,
    },
    /// The next answers come late.
    Delay {
        /// How many.
        count: Decimal,
        /// By how many milliseconds.
        ms: Decimal,
    },
    /// The head is replaced by one of the same size over other entries, signed by the log's key.
    Equivocate,
    /// The log is cut to its first entries, as after a backup was put back.
    Rollback {
        /// How many stay.
        size: Decimal,
    },
    /// The last blocks are taken back; others come in their place. The log keeps its entries.
    Reorg {
        /// How many.
        depth: Decimal,
    },
    /// The clock of blocks runs before or behind.
    Clock {
        /// By how many seconds, with `-` for behind.
        seconds: String,
    },
    /// The program kills itself at a named point, as `kill -9` does.
    Die {
        /// `before_commit`, `after_commit`, `before_publish` or `after_publish`.
        point: DyingPoint,
    },
    /// No more faults. What was cut or forged stays so in the log's history; a forged head is taken back.
    Heal,
}

/// Where a ledger may be made to die.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DyingPoint {
    /// Entries are written, and not committed.
    BeforeCommit,
    /// Entries are committed, and nobody was told.
    AfterCommit,
    /// A head is cosigned, and not published.
    BeforePublish,
    /// A block is published, and nobody was told.
    AfterPublish,
}

fn parameters<T: DeserializeOwned>(method: &str, params: Value) -> Result<T, LedgerError> {
    let wrong = |error: serde_json::Error| protocol(ProtocolFault::Parameters, format!("{method}: {error}"));
    serde_json::from_value(params).map_err(wrong)
}

/// A request: what is asked, and the id under which it is answered; without one there is no answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// What the asker calls it: a text or a number.
    pub id: Option<Value>,
    /// What is asked.
    pub call: Call,
}

impl Call {
    /// Name and parameters.
    fn parts(&self) -> (&'static str, Value) {
        match self {
            Self::Info => ("info", json!({})),
            Self::Submit(submission) => ("submit", json!(submission)),
            Self::SubmitBatch(batch) => ("submit_batch", json!(batch)),
            Self::Status(of) => ("status", json!(of)),
            Self::Proof(at) => ("proof", json!(at)),
            Self::Checkpoint => ("checkpoint", json!({})),
            Self::Consistency(between) => ("consistency", json!(between)),
            Self::ByNullifier(of) => ("by_nullifier", json!(of)),
            Self::Watch(from) => ("watch", json!(from)),
            Self::Block(at) => ("block", json!(at)),
            Self::Counts => ("counts", json!({})),
            Self::Fault(fault) => ("fault", json!(fault)),
        }
    }

    /// The request, as it is sent.
    pub fn to_json(&self, id: u64) -> String {
        let (method, params) = self.parts();
        json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string()
    }

    fn read(method: &str, params: Value) -> Result<Self, LedgerError> {
        let none = |call: Self, params: Value| match params {
            Value::Object(fields) if fields.is_empty() => Ok(call),
            _more => Err(protocol(ProtocolFault::Parameters, format!("{method} takes no parameters"))),
        };
        match method {
            "info" => none(Self::Info, params),
            "checkpoint" => none(Self::Checkpoint, params),
            "counts" => none(Self::Counts, params),
            "submit" => parameters(method, params).map(Self::Submit),
            "submit_batch" => parameters(method, params).map(Self::SubmitBatch),
            "status" => parameters(method, params).map(Self::Status),
            "proof" => parameters(method, params).map(Self::Proof),
            "consistency" => parameters(method, params).map(Self::Consistency),
            "by_nullifier" => parameters(method, params).map(Self::ByNullifier),
            "watch" => parameters(method, params).map(Self::Watch),
            "block" => parameters(method, params).map(Self::Block),
            "fault" => parameters(method, params).map(Self::Fault),
            other => Err(protocol(ProtocolFault::Method, format!("there is no method `{other}`"))),
        }
    }
}

impl Request {
    /// Reads one request from what a body holds. The error comes with the id to answer it under.
    ///
    /// # Errors
    /// [`LedgerError::Protocol`].
    pub fn read(value: Value) -> Result<Self, (Value, LedgerError)> {
        let refuse = |id: &Option<Value>, fault, reason: &str| {
            (id.clone().unwrap_or(Value::Null), protocol(fault, reason.to_owned()))
        };
        let Value::Object(mut fields) = value else {
            return Err(refuse(&None, ProtocolFault::Request, "a request is an object"));
        };
        let id = fields.remove("id");
        if !matches!(id, None | Some(Value::String(_) | Value::Number(_) | Value::Null)) {
            return Err(refuse(&None, ProtocolFault::Request, "the id is a text or a number"));
        }
        if fields.remove("jsonrpc") != Some(json!("2.0")) {
            return Err(refuse(&id, ProtocolFault::Request, "`jsonrpc` is `\"2.0\"`"));
        }
        let Some(Value::String(method)) = fields.remove("method") else {
            return Err(refuse(&id, ProtocolFault::Request, "`method` is a text"));
        };
        let params = fields.remove("params").unwrap_or_else(|| json!({}));
        if let Some(name) = fields.keys().next() {
            return Err(refuse(&id, ProtocolFault::Request, &format!("a request has no `{name}`")));
        }
        if !params.is_object() {
            return Err(refuse(&id, ProtocolFault::Parameters, "parameters are given by name"));
        }
        match Call::read(&method, params) {
            Ok(call) => Ok(Self { id, call }),
            Err(error) => Err((id.unwrap_or(Value::Null), error)),
        }
    }
}
