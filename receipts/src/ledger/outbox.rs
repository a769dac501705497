//! What becomes of a receipt on its way to a ledger, and when it is tried again: the rules of the outbox.
//!
//! **Invariant:** `logged` is said only of what was proved to lie under a head that was taken, `credited` only of what lies
//! under a block that was taken. In a chain, `logged` is said of what is in a block, `credited` of what is as deep as was wanted.
//! **Invariant:** only answers about the receipt itself end its way; a ledger that cannot be reached never does.

use serde::{Deserialize, Serialize};

use super::rpc::{LedgerError, Submitted};
use crate::{bitcoin::hash::BlockHash, digest::Digest, integer::Decimal};

/// Where a sealed receipt is on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case", tag = "state")]
pub enum State {
    /// To be handed in, or handed in without an answer.
    Queued,
    /// The ledger says that it has it.
    Acknowledged {
        /// At which index of its log.
        index: Decimal,
    },
    /// Proved to lie under a head that was taken.
    Included {
        /// Its index.
        index: Decimal,
        /// Size of that head.
        size: Decimal,
    },
    /// Proved to lie under a block that was taken.
    Final {
        /// Its index.
        index: Decimal,
        /// Height of that block.
        height: Decimal,
    },
    /// In a batch whose transaction was signed and perhaps sent; no block has it.
    InFlight {
        /// Root of the batch.
        root: Digest,
        /// Its index in the batch.
        index: Decimal,
    },
    /// Proved to lie in a block of the chain.
    Mined {
        /// Root of the batch.
        root: Digest,
        /// Its index in the batch.
        index: Decimal,
        /// Height of the block.
        height: Decimal,
        /// The block.
        block: BlockHash,
    },
    /// Proved to lie in a block of the chain, under as many as were wanted.
    Buried {
        /// Root of the batch.
        root: Digest,
        /// Its index in the batch.
        index: Decimal,
        /// Height of the block.
        height: Decimal,
        /// The block.
        block: BlockHash,
        /// The block that made it final.
        last: BlockHash,
    },
    /// The ledger does not take it, for good.
    Refused {
        /// Why: a code of `docs/RECEIPT-FORMAT.md`, or `network` or `protocol`.
        code: String,
    },
    /// Another receipt was credited for the same work.
    Conflict {
        /// Which.
        credited: Digest,
    },
}

/// What a person is told of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Signed, and nobody else has it.
    Sealed,
    /// In a ledger's log or a block of a chain, proved.
    Logged,
    /// Under a certified block, or deep in a chain, proved.
    Credited,
    /// Not taken, for good.
    Refused,
    /// Another receipt has its place, for good.
    Conflict,
}

impl Standing {
    /// Every one.
    pub const ALL: [Self; 5] = [Self::Sealed, Self::Logged, Self::Credited, Self::Refused, Self::Conflict];

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sealed => "sealed",
            Self::Logged => "logged",
            Self::Credited => "credited",
            Self::Refused => "refused",
            Self::Conflict => "conflict",
        }
    }
}

impl State {
    /// No more than is shown to be true: an acknowledgement alone is the ledger's word.
    pub fn standing(&self) -> Standing {
        match self {
            Self::Queued | Self::Acknowledged { .. } | Self::InFlight { .. } => Standing::Sealed,
            Self::Included { .. } | Self::Mined { .. } => Standing::Logged,
            Self::Final { .. } | Self::Buried { .. } => Standing::Credited,
            Self::Refused { .. } => Standing::Refused,
            Self::Conflict { .. } => Standing::Conflict,
        }
    }

    /// What an answer to `submit` makes of a queued receipt; none when it stays queued.
    pub fn answered(answer: &Submitted) -> Option<Self> {
        match answer {
            Submitted::Acknowledged(acknowledged) => Some(Self::Acknowledged { index: acknowledged.index }),
            Submitted::Error(error) => Self::refused(error),
        }
    }

    /// What an error about this one receipt makes of it; none when it may pass.
    pub fn refused(error: &LedgerError) -> Option<Self> {
        match error {
            LedgerError::Conflict { credited, .. } => Some(Self::Conflict { credited: *credited }),
            LedgerError::Refused { code } | LedgerError::Unauthorised { code } => {
                Some(Self::Refused { code: code.clone() })
            }
            LedgerError::WrongNetwork { .. } => Some(Self::Refused { code: "network".to_owned() }),
            LedgerError::Protocol { .. } => Some(Self::Refused { code: "protocol".to_owned() }),
            LedgerError::Transient { .. } | LedgerError::Busy { .. } | LedgerError::Absent { .. } => None,
        }
    }
}

/// The shortest span of the first pause, in milliseconds.
const FIRST_MS: u64 = 250;
/// The longest span of a pause, in milliseconds.
const LONGEST_MS: u64 = 300_000;

/// How long to wait after so many failures in a row, in milliseconds: anything up to a span that doubles from 250 ms to 5
/// minutes, so that clients of a ledger that comes back do not come together. There is no last try.
pub fn pause_ms(failures: u32, random: u64) -> u64 {
    let span = FIRST_MS.checked_shl(failures.saturating_sub(1)).filter(|span| *span >= FIRST_MS);
    random % (span.unwrap_or(LONGEST_MS).min(LONGEST_MS) + 1)
}

#[cfg(test)]
mod tests {
    use super::{Standing, State, pause_ms};
    use crate::{
        bitcoin::hash::BlockHash,
        digest::Digest,
        integer::Decimal,
        ledger::rpc::{Acknowledgement, LedgerError, ProtocolFault, Submitted},
    };

    #[test]
    fn only_answers_about_the_receipt_end_its_way() {
        let (one, credited) = (Digest([1; 32]), Digest([2; 32]));
        let acknowledged =
            Submitted::Acknowledged(Acknowledgement { receipt: one, nullifier: one, index: Decimal(3), known: true });
        assert_eq!(State::answered(&acknowledged), Some(State::Acknowledged { index: Decimal(3) }));
        let answered = |error: LedgerError| State::answered(&Submitted::Error(error));
        assert_eq!(answered(LedgerError::Transient { reason: String::new() }), None);
        assert_eq!(answered(LedgerError::Busy { retry_after_ms: 1 }), None);
        assert_eq!(answered(LedgerError::Absent { what: String::new() }), None);
        let conflict = LedgerError::Conflict { nullifier: one, credited };
        assert_eq!(answered(conflict), Some(State::Conflict { credited }));
        let refused = |code: &str| Some(State::Refused { code: code.to_owned() });
        assert_eq!(answered(LedgerError::Refused { code: "entry0".to_owned() }), refused("entry0"));
        assert_eq!(
            answered(LedgerError::Unauthorised { code: "root-untrusted".to_owned() }),
            refused("root-untrusted")
        );
        assert_eq!(answered(LedgerError::WrongNetwork { expected: one }), refused("network"));
        let protocol = LedgerError::Protocol { fault: ProtocolFault::Parse, reason: String::new() };
        assert_eq!(answered(protocol), refused("protocol"));
    }

    #[test]
    fn no_more_is_said_than_is_shown() {
        let at = Decimal(1);
        let said = |state: State| state.standing();
        assert_eq!(said(State::Queued), Standing::Sealed);
        assert_eq!(said(State::Acknowledged { index: at }), Standing::Sealed, "the ledger's word alone");
        assert_eq!(said(State::Included { index: at, size: at }), Standing::Logged);
        assert_eq!(said(State::Final { index: at, height: at }), Standing::Credited);
        let (root, index, height, block) = (Digest([1; 32]), at, at, BlockHash([2; 32]));
        assert_eq!(said(State::InFlight { root, index }), Standing::Sealed, "a node's mempool forgets");
        assert_eq!(said(State::Mined { root, index, height, block }), Standing::Logged);
        assert_eq!(said(State::Buried { root, index, height, block, last: block }), Standing::Credited);
    }

    #[test]
    fn states_come_back_from_their_text() {
        let at = Decimal(u64::MAX);
        for state in [
            State::Queued,
            State::Acknowledged { index: at },
            State::Included { index: at, size: at },
            State::Final { index: at, height: at },
            State::InFlight { root: Digest([1; 32]), index: at },
            State::Mined { root: Digest([1; 32]), index: at, height: at, block: BlockHash([2; 32]) },
            State::Buried {
                root: Digest([1; 32]),
                index: at,
                height: at,
                block: BlockHash([2; 32]),
                last: BlockHash([3; 32]),
            },
            State::Refused { code: "x".to_owned() },
            State::Conflict { credited: Digest([1; 32]) },
        ] {
            let text = serde_json::to_string(&state).expect("JSON");
            assert_eq!(serde_json::from_str::<State>(&text).expect("reads"), state, "{text}");
        }
    }

    #[test]
    fn pauses_spread_over_a_span_that_grows_to_five_minutes_and_no_further() {
        for (failures, span) in [(0, 250), (1, 250), (2, 500), (6, 8_000), (11, 256_000), (12, 300_000), (90, 300_000)]
        {
            assert_eq!(pause_ms(failures, span), span, "{failures}");
            assert_eq!(pause_ms(failures, span + 1), 0, "{failures}");
            assert_eq!(pause_ms(failures, 0), 0);
        }
        assert!(pause_ms(u32::MAX, u64::MAX) <= 300_000);
    }
}
