//! Why a command was not carried out.

use receipts::PublicKey;
use serde::{Deserialize, Serialize};

use crate::{
    budget::Amount,
    guardian::Suspect,
    id::{ApprovalId, Epoch, ModuleId, StepIndex},
    role::Role,
};

/// Why a command was not carried out. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "refused", rename_all = "snake_case", deny_unknown_fields)]
#[allow(missing_docs, reason = "fields are named in the messages")]
pub enum Refusal {
    /// The key does not hold the role.
    #[error("only the {role:?} may do this")]
    NotAllowed { role: Role },
    /// One key was given two jobs.
    #[error("key {key} stands for two roles")]
    SharedKey { key: PublicKey },
    /// There is a run already, or none yet.
    #[error("the run is not open")]
    NotOpen,
    /// The stream already has a run.
    #[error("the run was opened before")]
    AlreadyOpen,
    /// No such module.
    #[error("no module {module}")]
    NoModule { module: ModuleId },
    /// A module names an input twice, or one that does not exist, comes later or was given up.
    #[error("module {module} takes {input} as input, which is no earlier module that can be accepted")]
    BadInput { module: ModuleId, input: ModuleId },
    /// The plan proposes an id that is in use.
    #[error("module {module} was proposed before")]
    Repeated { module: ModuleId },
    /// A plan without modules.
    #[error("the plan has no modules")]
    EmptyPlan,
    /// The shares of the window pass 100 per cent.
    #[error("module {module} shares out {share} per cent of its window")]
    Overshared { module: ModuleId, share: u32 },
    /// A module without criteria could never be refused.
    #[error("module {module} has no acceptance criterion")]
    NoCriteria { module: ModuleId },
    /// The module is not in a state in which this can happen.
    #[error("module {module} is not {wanted}")]
    NotNow { module: ModuleId, wanted: Wanted },
    /// The lease is not the latest.
    #[error("lease epoch {epoch:?} of module {module} is stale")]
    Stale { module: ModuleId, epoch: Epoch },
    /// No slot is free, or the Associate is busy.
    #[error("associate {associate} has no free slot")]
    NoSlot { associate: PublicKey },
    /// A tool or model that was not granted.
    #[error("{name} was not granted")]
    NotGranted { name: String },
    /// An order says that it is used no more.
    #[error("the {what} is quarantined by an order")]
    Quarantined { what: Suspect },
    /// The task requires a verdict before the module's first tool call.
    #[error("module {module} waits for its verdict")]
    NoVerdict { module: ModuleId },
    /// A lapsed pause is lifted before its end, or there is none; or a run that is not drained would stand.
    #[error("it is not time for this")]
    NotYet,
    /// The reservation does not fit.
    #[error("the budget has {room:?} left and the call needs {need:?}")]
    OverBudget { need: Amount, room: Amount },
    /// An answer without evidence: no tool brought anything and nothing was handed over.
    #[error("module {module} brings no evidence: no tool call of this attempt succeeded")]
    NoEvidence { module: ModuleId },
    /// The run's wall time is used up.
    #[error("the run's time is used up")]
    OutOfTime,
    /// Steps are numbered in order, one start and one finish each.
    #[error("step {step:?} is not the one expected")]
    WrongStep { step: StepIndex },
    /// The call in doubt must not be repeated.
    #[error("step {step:?} is in doubt and must not be repeated")]
    InDoubt { step: StepIndex },
    /// A repeated call differs from the recorded one.
    #[error("step {step:?} was recorded with another request")]
    Diverged { step: StepIndex },
    /// The verdicts do not cover each criterion once, in order.
    #[error("module {module} has {criteria} criteria and got other verdicts")]
    BadVerdicts { module: ModuleId, criteria: u32 },
    /// Verdicts on something else than what was submitted.
    #[error("the verdicts are on another deliverable of module {module}")]
    OtherDeliverable { module: ModuleId },
    /// No such question, or it has its answer.
    #[error("no open approval {approval}")]
    NoApproval { approval: ApprovalId },
    /// A permission answered in words, or the other way round.
    #[error("this is no answer to approval {approval}")]
    WrongAnswer { approval: ApprovalId },
    /// The id of the question is in use.
    #[error("approval {approval} was asked for before")]
    AskedBefore { approval: ApprovalId },
    /// Words that the person did not say to the module, or not in this order, or that it heard before.
    #[error("module {module} was not told these words")]
    NotSaid { module: ModuleId },
    /// Closing as completed while modules are missing, or the other way round.
    #[error("the modules do not bear out this outcome")]
    WrongOutcome,
}

/// The state that was wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "states are described at `Life`")]
pub enum Wanted {
    Ready,
    Leased,
    Submitted,
    Judged,
    Live,
    Paused,
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ready => "ready",
            Self::Leased => "leased",
            Self::Submitted => "submitted",
            Self::Judged => "judged",
            Self::Live => "live",
            Self::Paused => "paused",
        })
    }
}
