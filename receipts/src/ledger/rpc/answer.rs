//! What a ledger answers, and how an answer is written and read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::error::{LedgerError, ProtocolFault, protocol};
use crate::{
    digest::{Digest, PublicKey},
    integer::Decimal,
    ledger::block::CertifiedBlock,
};

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
