//! The remote procedures of a ledger: JSON-RPC 2.0, parameters by name, integers as decimal text.
//!
//! **Invariant:** client and ledger read and write the same types, and what one writes the other reads.
//! **Invariant:** an answer never says more than what is durable: `acknowledged` is in the log, `included` under a published
//! checkpoint, `final` under a certified block.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{block::CertifiedBlock, submission::Submission};
use crate::{
    digest::{Digest, PublicKey},
    integer::Decimal,
};

/// The most submissions of one `submit_batch`.
pub const MOST_IN_BATCH: usize = 256;
/// The most bytes of one request's body: a full batch of receipts of usual size.
pub const MOST_BYTES: usize = 8 << 20;
/// The longest that `watch` waits, in milliseconds.
pub const MOST_WAIT_MS: u64 = 30_000;

/// What may be asked. The names of the methods are those of the variants in snake case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Who the ledger is.
    Info,
    /// Hands in one receipt.
    Submit(Box<Submission>),
    /// Hands in up to [`MOST_IN_BATCH`]; each has its own answer.
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

macro_rules! wire {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, rename_all = "camelCase")]
        pub struct $name { $($(#[$field_doc])* pub $field: $type,)* }
    };
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
        /// How long to wait for a larger one, in milliseconds, [`MOST_WAIT_MS`] at most.
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

wire!(
    /// Answer of `info`.
    Info {
        /// Program and version.
        program: String,
        /// The ledger network.
        network: Digest,
        /// Origin of the log, and name of its key.
        origin: String,
        /// Verifier key of the log.
        vkey: String,
        /// Who certifies blocks.
        validators: Vec<PublicKey>,
        /// How many of them make a block final.
        quorum: Decimal,
        /// Verifier keys of the witnesses that are asked.
        witnesses: Vec<String>,
        /// How many of them must cosign before a head is published.
        witness_quorum: Decimal,
        /// Entries under the published head.
        size: Decimal,
        /// Height of the last block; 0 when there is none.
        height: Decimal,
        /// Whether receipts of any root are taken.
        open: bool,
        /// Whether faults may be asked for.
        faults: bool,
    }
);
wire!(
    /// Answer of `submit`: the receipt is in the log, on disk.
    Acknowledgement {
        /// Id of the receipt.
        receipt: Digest,
        /// Its nullifier.
        nullifier: Digest,
        /// Its index in the log.
        index: Decimal,
        /// Whether it was there before.
        known: bool,
    }
);

/// One answer of `submit_batch`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Submitted {
    /// In the log.
    Acknowledged(Acknowledgement),
    /// Not in the log.
    Error(LedgerError),
}

/// Answer of `status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case", tag = "state")]
pub enum Status {
    /// Never handed in, or never admitted.
    Unknown,
    /// In the log.
    Acknowledged {
        /// Its index.
        index: Decimal,
    },
    /// Under a published checkpoint.
    Included {
        /// Its index.
        index: Decimal,
        /// Size of that checkpoint.
        size: Decimal,
    },
    /// Under a certified block.
    Final {
        /// Its index.
        index: Decimal,
        /// The first block that has it.
        height: Decimal,
    },
    /// Another receipt was credited for its nullifier; this never will be.
    Conflict {
        /// The nullifier.
        nullifier: Digest,
        /// The receipt that was credited.
        credited: Digest,
    },
}

wire!(
    /// Answer of `proof`.
    Proof {
        /// The entry, in lower-case hex.
        entry: String,
        /// A C2SP tlog-proof of it.
        proof: String,
        /// The block whose head the proof leads to, where one was asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        block: Option<CertifiedBlock>,
    }
);
wire!(
    /// Answer of `checkpoint` and `watch`.
    Heads {
        /// The published head, with its cosignatures.
        checkpoint: String,
        /// The last head of the log, which witnesses may not have seen.
        latest: String,
        /// Height of the last block; 0 when there is none.
        height: Decimal,
    }
);
wire!(
    /// Answer of `consistency`.
    Consistency {
        /// Size of the newer head.
        new: Decimal,
        /// The proof of RFC 9162.
        hashes: Vec<Digest>,
    }
);
wire!(
    /// Answer of `by_nullifier`.
    Credited {
        /// The receipt that was credited, and where.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        credited: Option<Acknowledgement>,
        /// All receipt files that carry the nullifier, the credited one first. More than one is evidence of equivocation.
        receipts: Vec<String>,
    }
);
wire!(
    /// Answer of `counts`.
    Counts {
        /// Entries under the published head.
        size: Decimal,
        /// Of them, by class; all classes always.
        classes: BTreeMap<String, Decimal>,
        /// Receipts kept as evidence that were not credited.
        conflicts: Decimal,
    }
);

/// What was wrong with a request itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProtocolFault {
    /// Not JSON.
    Parse,
    /// Not a request.
    Request,
    /// No such method.
    Method,
    /// Other parameters than the method has.
    Parameters,
}

/// Why a ledger does not do what it is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(deny_unknown_fields, rename_all = "snake_case", rename_all_fields = "camelCase", tag = "kind")]
pub enum LedgerError {
    /// It may work later: storage, or a shutdown. Whether it was done is unknown.
    #[error("not now: {reason}; ask again later")]
    Transient {
        /// What happened.
        reason: String,
    },
    /// Too much at once. Nothing was done.
    #[error("busy; ask again in {retry_after_ms} ms")]
    Busy {
        /// How long to wait, in milliseconds.
        retry_after_ms: u64,
    },
    /// The nullifier is another receipt's, for good.
    #[error("nullifier {nullifier} was credited to receipt {credited}")]
    Conflict {
        /// The nullifier.
        nullifier: Digest,
        /// The receipt that was credited.
        credited: Digest,
    },
    /// The receipt does not verify, for good.
    #[error("the receipt does not verify: {code}")]
    Refused {
        /// A code of `docs/RECEIPT-FORMAT.md`.
        code: String,
    },
    /// Not a request that this ledger understands.
    #[error("{reason}")]
    Protocol {
        /// What is wrong with it.
        fault: ProtocolFault,
        /// In words.
        reason: String,
    },
    /// The keys are not among those whose receipts are taken here.
    #[error("not taken here: {code}")]
    Unauthorised {
        /// A code of `docs/RECEIPT-FORMAT.md`.
        code: String,
    },
    /// The receipt is for another network.
    #[error("this ledger is of network {expected}")]
    WrongNetwork {
        /// The network of this ledger.
        expected: Digest,
    },
    /// There is nothing of that name here: no such receipt, block or head.
    #[error("{what} is not here")]
    Absent {
        /// What was asked for.
        what: String,
    },
}

impl LedgerError {
    /// The number of the error in JSON-RPC.
    pub fn number(&self) -> i64 {
        match self {
            Self::Transient { .. } => -32_000,
            Self::Busy { .. } => -32_001,
            Self::Conflict { .. } => -32_002,
            Self::Refused { .. } => -32_003,
            Self::Unauthorised { .. } => -32_004,
            Self::WrongNetwork { .. } => -32_005,
            Self::Absent { .. } => -32_006,
            Self::Protocol { fault, .. } => match fault {
                ProtocolFault::Parse => -32_700,
                ProtocolFault::Request => -32_600,
                ProtocolFault::Method => -32_601,
                ProtocolFault::Parameters => -32_602,
            },
        }
    }

    /// Whether the same request may succeed another time.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Transient { .. } | Self::Busy { .. } | Self::Absent { .. } => true,
            Self::Conflict { .. }
            | Self::Refused { .. }
            | Self::Protocol { .. }
            | Self::Unauthorised { .. }
            | Self::WrongNetwork { .. } => false,
        }
    }
}

fn protocol(fault: ProtocolFault, reason: String) -> LedgerError {
    LedgerError::Protocol { fault, reason }
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

/// The answer to a request.
pub fn answer(id: &Value, result: Result<Value, LedgerError>) -> Value {
    match result {
        Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
        Err(error) => json!({
            "jsonrpc": "2.0", "id": id,
            "error": {"code": error.number(), "message": error.to_string(), "data": error},
        }),
    }
}

/// Reads the answer to a request.
///
/// # Errors
/// What the ledger refused it with; [`LedgerError::Protocol`] for what is no answer.
pub fn read_answer<T: DeserializeOwned>(body: &[u8]) -> Result<T, LedgerError> {
    #[derive(Deserialize)]
    struct Failure {
        data: LedgerError,
    }
    #[derive(Deserialize)]
    struct Answer<T> {
        result: Option<T>,
        error: Option<Failure>,
    }
    let wrong = |reason: String| protocol(ProtocolFault::Parse, format!("not an answer: {reason}"));
    let answer: Answer<T> = serde_json::from_slice(body).map_err(|error| wrong(error.to_string()))?;
    match (answer.result, answer.error) {
        (Some(result), None) => Ok(result),
        (None, Some(failure)) => Err(failure.data),
        (Some(_), Some(_)) | (None, None) => Err(wrong("neither result nor error".to_owned())),
    }
}
