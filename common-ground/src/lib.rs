//! The words and the rules of a run: ids, commands, facts, actions, state machines, authority, budgets and ports.
//!
//! Facts come in through [`apply()`]; [`decide()`] says which facts a command makes; [`wants()`] says what is outstanding.
//! Replay calls only [`apply()`].
//!
//! **Invariant:** pure. No clock, file, network, thread, randomness or async runtime; time, ids and keys arrive inside
//! commands. Replaying the same facts gives the same state.

mod apply;
mod decide;
mod wants;

pub mod action;
pub mod approval;
pub mod budget;
pub mod chain;
pub mod citation;
pub mod command;
pub mod criterion;
pub mod deliverable;
pub mod fact;
pub mod fork;
pub mod grant;
pub mod guardian;
pub mod id;
pub mod module;
pub mod picture;
pub mod port;
pub mod record;
pub mod refusal;
pub mod repeat;
pub mod report;
pub mod role;
pub mod run;
pub mod word;

pub use action::Action;
pub use apply::{Impossible, apply};
pub use command::{Command, Ctx};
pub use decide::decide;
pub use fact::Fact;
pub use id::{ApprovalId, AttemptNumber, Epoch, Millis, ModuleId, RunId, StepIndex};
/// The two words of receipts that facts are written in, for those who read facts and nothing else of receipts.
pub use receipts::{Digest, PublicKey};
pub use refusal::Refusal;
pub use run::{Run, State};
pub use wants::wants;
