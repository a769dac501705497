//! What happened. Facts are never changed or taken back; their JSON form is the journal's and the event stream's.

use receipts::{Digest, PublicKey};
use serde::{Deserialize, Serialize};

use crate::{
    approval::{Answer, Question},
    budget::{Amount, BudgetPart},
    criterion::Verdict,
    fork::{Beginning, Origin},
    guardian::{Act, Charter, CharterRefusal, OrderRefusal},
    id::{ApprovalId, AttemptNumber, Epoch, Millis, ModuleId, RunId, StepIndex},
    module::{CallKind, CallOutcome, Compaction, EndReason, ModuleSpec, Owner, Usage},
    record::Traced,
    refusal::Refusal,
    role::Roster,
    run::{Outcome, PauseReason, PlanReason, Task},
};

/// One thing that happened in a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
#[allow(missing_docs, reason = "field names are the words of PRODUCT.md; each variant says what happened")]
pub enum Fact {
    /// The Partner opened a run.
    #[serde(rename = "run.opened")]
    RunOpened { run: RunId, task: Box<Task>, roster: Box<Roster> },
    /// The person began a run from another, as that was at one of its places. It stands still at first.
    #[serde(rename = "run.forked")]
    RunForked { run: RunId, from: Origin, begins: Box<Beginning> },
    /// The Principal made a plan, and why it is so.
    #[serde(rename = "plan.recorded")]
    PlanRecorded { plan: PlanReason, modules: u32 },
    /// A module of the plan.
    #[serde(rename = "module.proposed")]
    ModuleProposed { module: ModuleId, spec: ModuleSpec },
    /// An Associate holds the module.
    #[serde(rename = "attempt.leased")]
    AttemptLeased { module: ModuleId, attempt: AttemptNumber, epoch: Epoch, associate: PublicKey, until: Millis },
    /// The lease goes on.
    #[serde(rename = "lease.renewed")]
    LeaseRenewed { module: ModuleId, epoch: Epoch, until: Millis },
    /// The lease ended without a submission; the attempt goes on under the next epoch.
    #[serde(rename = "lease.lost")]
    LeaseLost { module: ModuleId, attempt: AttemptNumber, epoch: Epoch },
    /// A call is about to be made.
    #[serde(rename = "step.started")]
    StepStarted { owner: Owner, step: StepIndex, call: CallKind, request: Digest, reserved: Amount },
    /// A call that was in doubt is about to be made again with the same key.
    #[serde(rename = "step.retried")]
    StepRetried { owner: Owner, step: StepIndex },
    /// A call has its result on record.
    #[serde(rename = "step.finished")]
    StepFinished {
        owner: Owner,
        step: StepIndex,
        outcome: CallOutcome,
        response: Digest,
        usage: Usage,
        /// What a tool call left behind; none for a model's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        traced: Option<Traced>,
    },
    /// A conversation was made to fit its model's window before this step.
    #[serde(rename = "context.compacted")]
    ContextCompacted { owner: Owner, step: StepIndex, compaction: Compaction },
    /// Four fifths of a part of the budget are spent, or set aside for calls under way.
    #[serde(rename = "budget.warned")]
    BudgetWarned { part: BudgetPart, spent: u64, limit: u64 },
    /// The person allowed the run more.
    #[serde(rename = "budget.raised")]
    BudgetRaised { limit: Amount, wall_ms: u64 },
    /// A deliverable was submitted.
    #[serde(rename = "module.submitted")]
    ModuleSubmitted { module: ModuleId, attempt: AttemptNumber, deliverable: Digest },
    /// The Verifier found on every criterion.
    #[serde(rename = "module.judged")]
    ModuleJudged {
        module: ModuleId,
        attempt: AttemptNumber,
        deliverable: Digest,
        by: PublicKey,
        verdicts: Vec<Verdict>,
    },
    /// The module is accepted and its receipt sealed. Ends the attempt.
    #[serde(rename = "module.accepted")]
    ModuleAccepted { module: ModuleId, attempt: AttemptNumber, deliverable: Digest, receipt: Digest },
    /// The attempt ended without acceptance.
    #[serde(rename = "attempt.ended")]
    AttemptEnded { module: ModuleId, attempt: AttemptNumber, end: EndReason },
    /// All attempts used up: a dead letter.
    #[serde(rename = "module.failed")]
    ModuleFailed { module: ModuleId, end: EndReason },
    /// Given up, by order or because an input will never come.
    #[serde(rename = "module.cancelled")]
    ModuleCancelled { module: ModuleId },
    /// Waits for the person.
    #[serde(rename = "module.blocked")]
    ModuleBlocked {
        module: ModuleId,
        attempt: AttemptNumber,
        epoch: Epoch,
        approval: ApprovalId,
        question: Box<Question>,
    },
    /// The person answered.
    #[serde(rename = "approval.answered")]
    ApprovalAnswered { approval: ApprovalId, answer: Answer, by: PublicKey },
    /// The person said something to a module while it worked.
    #[serde(rename = "module.told")]
    ModuleTold { module: ModuleId, text: Digest, by: PublicKey },
    /// What the person said was put into an attempt's conversation before this step.
    #[serde(rename = "words.heard")]
    WordsHeard { owner: Owner, step: StepIndex, words: Vec<Digest> },
    /// Held.
    #[serde(rename = "module.paused")]
    ModulePaused { module: ModuleId, reason: PauseReason },
    /// Let go on.
    #[serde(rename = "module.resumed")]
    ModuleResumed { module: ModuleId },
    /// The run stands still; every lease is given up.
    #[serde(rename = "run.paused")]
    RunPaused { run: RunId, reason: PauseReason },
    /// The run goes on.
    #[serde(rename = "run.resumed")]
    RunResumed { run: RunId },
    /// A command was refused for want of authority.
    #[serde(rename = "command.refused")]
    CommandRefused { by: PublicKey, command: String, refusal: Refusal },
    /// A guardian's charter holds in this run from now on.
    #[serde(rename = "charter.registered")]
    CharterRegistered { charter: Digest, envelope: Digest, terms: Box<Charter>, by: Vec<PublicKey> },
    /// A charter was refused; the one before it stays.
    #[serde(rename = "charter.refused")]
    CharterRefused { charter: Digest, by: Vec<PublicKey>, why: CharterRefusal },
    /// An order was carried out; what it did follows.
    #[serde(rename = "order.executed")]
    OrderExecuted {
        order: Digest,
        envelope: Digest,
        charter: Digest,
        act: Act,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        module: Option<ModuleId>,
        by: Vec<PublicKey>,
        /// The rule of the standing order that it was carried out under, if it was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        standing: Option<String>,
        /// When the pause that it made ends by itself, if it does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Millis>,
    },
    /// An order was refused.
    #[serde(rename = "order.refused")]
    OrderRefused {
        order: Digest,
        envelope: Digest,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        act: Option<Act>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        module: Option<ModuleId>,
        by: Vec<PublicKey>,
        why: OrderRefusal,
    },
    /// The run is over.
    #[serde(rename = "run.closed")]
    RunClosed { run: RunId, outcome: Outcome, report: Option<Digest> },
}

impl Fact {
    /// The attempt whose stream the fact belongs to, when it is not the run's own.
    pub fn attempt(&self) -> Option<(ModuleId, AttemptNumber, Epoch)> {
        match self {
            Self::StepStarted { owner, .. }
            | Self::StepRetried { owner, .. }
            | Self::StepFinished { owner, .. }
            | Self::ContextCompacted { owner, .. }
            | Self::WordsHeard { owner, .. } => owner.attempt(),
            Self::AttemptLeased { module, attempt, epoch, .. } => Some((*module, *attempt, *epoch)),
            Self::BudgetWarned { .. }
            | Self::BudgetRaised { .. }
            | Self::RunOpened { .. }
            | Self::RunForked { .. }
            | Self::PlanRecorded { .. }
            | Self::ModuleProposed { .. }
            | Self::LeaseRenewed { .. }
            | Self::LeaseLost { .. }
            | Self::ModuleSubmitted { .. }
            | Self::ModuleJudged { .. }
            | Self::ModuleAccepted { .. }
            | Self::AttemptEnded { .. }
            | Self::ModuleFailed { .. }
            | Self::ModuleCancelled { .. }
            | Self::ModuleBlocked { .. }
            | Self::ApprovalAnswered { .. }
            | Self::ModuleTold { .. }
            | Self::ModulePaused { .. }
            | Self::ModuleResumed { .. }
            | Self::RunPaused { .. }
            | Self::RunResumed { .. }
            | Self::CommandRefused { .. }
            | Self::CharterRegistered { .. }
            | Self::CharterRefused { .. }
            | Self::OrderExecuted { .. }
            | Self::OrderRefused { .. }
            | Self::RunClosed { .. } => None,
        }
    }
}
