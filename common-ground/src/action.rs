//! What is outstanding: the shell does these and reports back by commands.

use receipts::{Digest, PublicKey};

use crate::{
    id::{Millis, ModuleId},
    module::Lease,
};

/// Something the core waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The Principal should plan.
    Plan,
    /// This free Associate should claim this module.
    Claim {
        /// Which module.
        module: ModuleId,
        /// Who is free.
        associate: PublicKey,
    },
    /// The Associate should work.
    Work {
        /// Which module.
        module: ModuleId,
        /// Under which lease.
        lease: Lease,
    },
    /// The Verifier should find on the deliverable.
    Verify {
        /// Which module.
        module: ModuleId,
        /// Under which lease it was made.
        lease: Lease,
        /// What to look at.
        deliverable: Digest,
    },
    /// The Principal should have the receipt sealed and accept.
    Seal {
        /// Which module.
        module: ModuleId,
        /// Under which lease it was made.
        lease: Lease,
    },
    /// The Partner should make the report and close.
    Report,
    /// The node should let a drained run stand still.
    Stand,
    /// Look again at this moment.
    WakeAt(Millis),
}
