//! Why a ledger does not do what it is asked.
//!
//! **Invariant:** each kind has a number of its own, and comes back from the wire as it was.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

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

pub(super) fn protocol(fault: ProtocolFault, reason: String) -> LedgerError {
    LedgerError::Protocol { fault, reason }
}
