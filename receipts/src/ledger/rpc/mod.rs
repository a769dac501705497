//! The remote procedures of a ledger: JSON-RPC 2.0, parameters by name, integers as decimal text.
//!
//! **Invariant:** client and ledger read and write the same types, and what one writes the other reads.
//! **Invariant:** an answer never says more than what is durable: `acknowledged` is in the log, `included` under a published
//! checkpoint, `final` under a certified block.

/// A structure of the wire: no other fields, names in camel case.
macro_rules! wire {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, rename_all = "camelCase")]
        pub struct $name { $($(#[$field_doc])* pub $field: $type,)* }
    };
}

mod answer;
mod call;
mod error;

pub use answer::{
    Acknowledgement, Consistency, Counts, Credited, Heads, Info, Proof, Status, Submitted, answer, read_answer,
};
pub use call::{
    AtHeight, Between, Call, DyingPoint, Fault, OfNullifier, OfReceipt, ProofAt, Request, SubmitBatch, WatchFrom,
};
pub use error::{LedgerError, ProtocolFault};

/// The most submissions of one `submit_batch`.
pub const MOST_IN_BATCH: usize = 256;
/// The most bytes of one request's body: a full batch of receipts of usual size.
pub const MOST_BYTES: usize = 8 << 20;
/// The longest that `watch` waits, in milliseconds.
pub const MOST_WAIT_MS: u64 = 30_000;
