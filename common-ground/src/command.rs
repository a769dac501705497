//! What is asked of a run, by whom and when.

use receipts::{Digest, PublicKey};

use crate::{
    approval::{Answer, Question},
    budget::Amount,
    criterion::Verdict,
    guardian::{Charter, Order, Presented},
    id::{ApprovalId, Epoch, Millis, ModuleId, RunId, StepIndex},
    module::{CallKind, CallOutcome, Compaction, ModuleSpec, Owner, Usage, WorkError},
    record::Traced,
    role::Roster,
    run::{Outcome, PauseReason, PlanReason, Run, Task},
};

/// Who asks, and when. Read from keys and clocks at the edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ctx {
    /// The clock.
    pub at: Millis,
    /// The key that asks.
    pub by: PublicKey,
}

/// A request. [`crate::decide()`] turns it into facts or refuses it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "field names are the words of PRODUCT.md; each variant says what is asked")]
pub enum Command {
    /// Partner: open a run.
    Open { run: RunId, task: Box<Task>, roster: Box<Roster> },
    /// Person: begin a run from another, which is given as it was at `place`, with that fact's link.
    Fork { run: RunId, roster: Box<Roster>, of: Box<Run>, place: u64, link: Digest },
    /// Principal: add modules to the plan. Inputs name modules of this or an earlier plan.
    Propose { plan: PlanReason, modules: Vec<(ModuleId, ModuleSpec)> },
    /// Associate: take the lease of a ready module.
    Claim { module: ModuleId },
    /// Node: the worker is alive.
    Renew { module: ModuleId, epoch: Epoch },
    /// Node: give up leases that are past their end; all of them when the last holder is gone.
    Reclaim { holder_gone: bool },
    /// Owner: about to call.
    StartStep { owner: Owner, step: StepIndex, call: CallKind, request: Digest, reserve: Amount },
    /// Owner: the call ended.
    FinishStep {
        owner: Owner,
        step: StepIndex,
        outcome: CallOutcome,
        response: Digest,
        usage: Usage,
        traced: Option<Traced>,
    },
    /// Owner: its conversation was made to fit before this step.
    Compact { owner: Owner, step: StepIndex, compaction: Compaction },
    /// Associate: hand in a deliverable.
    Submit { module: ModuleId, epoch: Epoch, deliverable: Digest },
    /// Associate: cannot go on.
    GiveUp { module: ModuleId, epoch: Epoch, error: WorkError },
    /// Associate: needs the person.
    Ask { module: ModuleId, epoch: Epoch, approval: ApprovalId, question: Box<Question> },
    /// Person: the answer.
    Answer { approval: ApprovalId, answer: Answer },
    /// Verifier: one verdict a criterion on this deliverable.
    Judge { module: ModuleId, epoch: Epoch, deliverable: Digest, verdicts: Vec<Verdict> },
    /// Principal: accept, with the sealed receipt's id.
    Accept { module: ModuleId, epoch: Epoch, receipt: Digest },
    /// Person: say something to a module.
    Tell { module: ModuleId, text: Digest },
    /// Associate: these words are in its conversation from this step on.
    Hear { owner: Owner, step: StepIndex, words: Vec<Digest> },
    /// Person: hold a module.
    PauseModule { module: ModuleId, reason: PauseReason },
    /// Person: let it go on.
    ResumeModule { module: ModuleId },
    /// Person: give a module up, and all that need it.
    CancelModule { module: ModuleId },
    /// Person, or the node for want of budget or of a model: stand still.
    Pause { reason: PauseReason },
    /// Person: go on.
    Resume,
    /// Person: allow the run more. Parts below what is allowed now stay as they are; 0 wall time is no limit.
    Raise { limit: Amount, wall_ms: u64 },
    /// Person: give the run up.
    Cancel,
    /// Partner: the report is made.
    Close { outcome: Outcome, report: Option<Digest> },
    /// Anybody: register a charter, which the person signed.
    Charter { charter: Box<Presented<Charter>> },
    /// Anybody: carry out an order, by the authority of its signatures.
    Order { order: Box<Presented<Order>> },
    /// Node: a drained run has nothing under way any more.
    Stand,
}

impl Command {
    /// Its name, for refusals on record.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Open { .. } => "open",
            Self::Fork { .. } => "fork",
            Self::Propose { .. } => "propose",
            Self::Claim { .. } => "claim",
            Self::Renew { .. } => "renew",
            Self::Reclaim { .. } => "reclaim",
            Self::StartStep { .. } => "start_step",
            Self::FinishStep { .. } => "finish_step",
            Self::Compact { .. } => "compact",
            Self::Submit { .. } => "submit",
            Self::GiveUp { .. } => "give_up",
            Self::Ask { .. } => "ask",
            Self::Answer { .. } => "answer",
            Self::Judge { .. } => "judge",
            Self::Accept { .. } => "accept",
            Self::Tell { .. } => "tell",
            Self::Hear { .. } => "hear",
            Self::PauseModule { .. } => "pause_module",
            Self::ResumeModule { .. } => "resume_module",
            Self::CancelModule { .. } => "cancel_module",
            Self::Pause { .. } => "pause",
            Self::Resume => "resume",
            Self::Raise { .. } => "raise",
            Self::Cancel => "cancel",
            Self::Close { .. } => "close",
            Self::Charter { .. } => "charter",
            Self::Order { .. } => "order",
            Self::Stand => "stand",
        }
    }
}
