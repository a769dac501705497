//! A work-module: what is asked, its life, its attempts and their steps.

use receipts::{Digest, PublicKey};
use serde::{Deserialize, Serialize};

use crate::{
    budget::{Account, Amount},
    criterion::{Criterion, Verdict},
    grant::{Grant, Item},
    guardian::OrderLeaf,
    id::{ApprovalId, AttemptNumber, Epoch, Millis, ModuleId, RunId, StepIndex},
    record::Traced,
    role::Role,
    word::{Heard, Word},
};

/// What sort of work a module is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModuleKind {
    /// Finds an answer in the commons.
    Answer,
    /// Joins the deliverables of its inputs into one.
    Merge,
}

/// How much of an input's work its reader sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Handover {
    /// The accepted deliverable only.
    Conclusions,
    /// The deliverable and the steps that led to it.
    Transcript,
}

/// A module whose accepted deliverable is needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Which module.
    pub module: ModuleId,
    /// What is handed over.
    pub handover: Handover,
    /// Share of the reader's window, in per cent; the shares of one module add up to at most 100.
    pub share: u32,
}

/// What is asked of a module. Fixed once proposed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModuleSpec {
    /// The sort of work.
    pub kind: ModuleKind,
    /// The question, self-contained.
    pub question: String,
    /// Modules that must be accepted first.
    pub inputs: Vec<Input>,
    /// What must hold.
    pub criteria: Vec<Criterion>,
    /// Tools granted, by name; anything else is refused.
    pub tools: Vec<String>,
    /// The most it may use, clamped to what the run may.
    pub limit: Amount,
    /// What its calls may do, met with what the run's may.
    #[serde(default)]
    pub grant: Grant,
}

/// A lease: who works on which attempt, until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lease {
    /// Which try.
    pub attempt: AttemptNumber,
    /// Fencing number; grows with each lease of the module.
    pub epoch: Epoch,
    /// Who holds it.
    pub associate: PublicKey,
    /// When it ends unless renewed.
    pub until: Millis,
}

/// Where a module is in its life. What a state has, its variant carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Life {
    /// Waits for inputs to be accepted.
    Proposed,
    /// May be claimed.
    Ready(Turn),
    /// Worked on.
    Leased(Lease),
    /// Waits for the person; the lease was given up.
    Blocked {
        /// What goes on after the answer.
        turn: Turn,
        /// The question put.
        approval: ApprovalId,
    },
    /// A deliverable waits for the Verifier.
    Submitted {
        /// Under which lease.
        lease: Lease,
        /// What was submitted.
        deliverable: Digest,
    },
    /// Every criterion passed; waits for the receipt.
    Judged {
        /// Under which lease.
        lease: Lease,
        /// What was judged.
        deliverable: Digest,
    },
    /// Accepted, with its receipt.
    Accepted {
        /// Under which lease it was made.
        lease: Lease,
        /// What was accepted.
        deliverable: Digest,
        /// Receipt id.
        receipt: Digest,
    },
    /// Held by a person or a guardian.
    Paused {
        /// What it goes back to.
        back: Box<Life>,
    },
    /// Given up by order.
    Cancelled,
    /// All attempts used up: a dead letter.
    Failed {
        /// Why the last attempt ended.
        reason: EndReason,
    },
}

/// The attempt and epoch that the next lease will have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Which try.
    pub attempt: AttemptNumber,
    /// The epoch of the next lease.
    pub epoch: Epoch,
}

impl Life {
    /// Whether nothing can happen to the module any more.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Accepted { .. } | Self::Cancelled | Self::Failed { .. })
    }
}

/// Why an attempt ended without acceptance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case", deny_unknown_fields)]
pub enum EndReason {
    /// Criteria that did not pass.
    Rework {
        /// One line a failed criterion.
        findings: Vec<String>,
    },
    /// The worker could not go on.
    Failed {
        /// What stood in the way.
        error: WorkError,
    },
    /// Cancelled by order.
    Cancelled,
}

/// What can stop a worker, by class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "class", rename_all = "snake_case", deny_unknown_fields)]
pub enum WorkError {
    /// The model could not be reached or refused.
    Model {
        /// What it said.
        detail: String,
    },
    /// The model broke the protocol: no call, an unknown tool, arguments that do not parse.
    Protocol {
        /// What was broken.
        detail: String,
    },
    /// A step without a result that must not be made twice.
    InDoubt {
        /// Which step.
        step: StepIndex,
    },
    /// What must be read does not fit the model's window, and nothing more may be left out.
    Context {
        /// Tokens needed.
        need: u64,
        /// Tokens there are.
        window: u64,
    },
    /// What the journal keeps could not be read.
    Storage {
        /// What failed.
        detail: String,
    },
}

impl std::fmt::Display for WorkError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Model { detail } | Self::Protocol { detail } | Self::Storage { detail } => f.write_str(detail),
            Self::InDoubt { step } => write!(f, "step {} may have happened and must not be repeated", step.0),
            Self::Context { need, window } => {
                write!(f, "what must be read needs {need} tokens and the model's window has {window}")
            }
        }
    }
}

/// What a step calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "snake_case", deny_unknown_fields)]
pub enum CallKind {
    /// A model.
    Model {
        /// Its id.
        model: String,
    },
    /// A tool.
    Tool {
        /// Its name.
        tool: String,
        /// Digest of its words and schema.
        tool_digest: Digest,
        /// Whether it may be called again when in doubt.
        idempotent: bool,
        /// What exactly it does; empty where it only looks at what the run has, and where it was refused and not made.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        needs: Vec<Item>,
        /// It is on record and not made: something that it would do, or the tool itself, is not allowed.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        refused: bool,
    },
}

/// What a finished call used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// Tokens read.
    pub tokens_in: u64,
    /// Tokens written.
    pub tokens_out: u64,
    /// Millionths of the currency unit.
    pub cost_micro: u64,
    /// Tool calls.
    pub tool_calls: u64,
    /// Wall time in milliseconds.
    pub wall_ms: u64,
}

impl Usage {
    /// What counts against a budget.
    pub fn amount(&self) -> Amount {
        Amount {
            tokens: self.tokens_in.saturating_add(self.tokens_out),
            cost_micro: self.cost_micro,
            tool_calls: self.tool_calls,
        }
    }

    /// Sum of two usages.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            tokens_in: self.tokens_in.saturating_add(other.tokens_in),
            tokens_out: self.tokens_out.saturating_add(other.tokens_out),
            cost_micro: self.cost_micro.saturating_add(other.cost_micro),
            tool_calls: self.tool_calls.saturating_add(other.tool_calls),
            wall_ms: self.wall_ms.saturating_add(other.wall_ms),
        }
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallOutcome {
    /// It answered.
    Done,
    /// It answered with an error.
    Failed,
}

/// Whether a step has its result on record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case", deny_unknown_fields)]
pub enum StepState {
    /// Started, no result: under way, or in doubt after a crash.
    Started,
    /// The result is on record; the call is never made again.
    Finished {
        /// How it ended.
        outcome: CallOutcome,
        /// SHA-256 of the recorded response.
        response: Digest,
        /// What it used.
        usage: Usage,
        /// What a tool call left behind.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        traced: Option<Traced>,
    },
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What was called.
    pub call: CallKind,
    /// SHA-256 of the request.
    pub request: Digest,
    /// What was set aside for it.
    pub reserved: Amount,
    /// Where it stands.
    pub state: StepState,
}

/// Whose step it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "owner", rename_all = "snake_case", deny_unknown_fields)]
pub enum Owner {
    /// A role at the level of the run: the Principal planning.
    Role {
        /// Which role.
        role: Role,
    },
    /// An attempt.
    Attempt {
        /// The module.
        module: ModuleId,
        /// Which try.
        attempt: AttemptNumber,
        /// Under which lease epoch.
        epoch: Epoch,
    },
    /// The Verifier at work on an attempt's deliverable; its calls stand in that attempt's trace.
    Verifier {
        /// The module.
        module: ModuleId,
        /// Which try.
        attempt: AttemptNumber,
        /// Under which lease epoch the deliverable was made.
        epoch: Epoch,
    },
}

impl Owner {
    /// The attempt whose trace the calls stand in.
    pub fn attempt(self) -> Option<(ModuleId, AttemptNumber, Epoch)> {
        match self {
            Self::Role { .. } => None,
            Self::Attempt { module, attempt, epoch } | Self::Verifier { module, attempt, epoch } => {
                Some((module, attempt, epoch))
            }
        }
    }
}

/// How a conversation was made to fit a model's window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CompactionRule {
    /// Old tool results gave way to their digests.
    Digests,
    /// Old turns gave way to a summary.
    Summary,
}

/// One time a conversation was made to fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compaction {
    /// By which rule.
    pub rule: CompactionRule,
    /// Turns replaced.
    pub turns: u32,
    /// Tokens the request had.
    pub before: u64,
    /// Tokens it has now.
    pub after: u64,
}

/// Findings of the Verifier on one deliverable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judgement {
    /// Who found.
    pub by: PublicKey,
    /// When.
    pub at: Millis,
    /// One verdict a criterion, in their order.
    pub verdicts: Vec<Verdict>,
}

/// How an attempt stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptEnd {
    /// Not over.
    Open,
    /// Accepted at this moment.
    Accepted {
        /// When.
        at: Millis,
    },
    /// Over without acceptance.
    Ended {
        /// When.
        at: Millis,
        /// Why.
        reason: EndReason,
    },
}

/// One try at a module, with everything its trace is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Counted from 1.
    pub number: AttemptNumber,
    /// When it was first leased.
    pub started: Millis,
    /// The latest lease.
    pub lease: Lease,
    /// Its calls in order.
    pub steps: Vec<Step>,
    /// What it submitted, if it did.
    pub deliverable: Option<Digest>,
    /// Steps made before it submitted; those after are the Verifier's.
    pub submitted_after: Option<u32>,
    /// When its conversations were made to fit, with the step that followed.
    pub compactions: Vec<(StepIndex, Compaction)>,
    /// Orders that concerned it while it was open.
    pub orders: Vec<OrderLeaf>,
    /// What the person said that it heard, in that order.
    pub heard: Vec<Heard>,
    /// What was found, if it was judged.
    pub judgement: Option<Judgement>,
    /// How it stands.
    pub end: AttemptEnd,
}

impl Attempt {
    /// What all finished steps used.
    pub fn usage(&self) -> Usage {
        self.steps.iter().fold(Usage::default(), |sum, step| match &step.state {
            StepState::Started => sum,
            StepState::Finished { usage, .. } => sum.plus(*usage),
        })
    }
}

/// A module: what is asked and all that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// What is asked.
    pub spec: ModuleSpec,
    /// Where it is.
    pub life: Life,
    /// Its tries, oldest first.
    pub attempts: Vec<Attempt>,
    /// Its money.
    pub account: Account,
    /// What its calls may do.
    pub grant: Grant,
    /// What the person said to it while it worked, oldest first.
    pub words: Vec<Word>,
    /// The run that accepted it, where this one is a fork that took it over so.
    pub kept_from: Option<RunId>,
    /// Inputs not accepted yet.
    pub(crate) missing: usize,
}

impl Module {
    /// The latest attempt.
    pub fn attempt(&self) -> Option<&Attempt> {
        self.attempts.last()
    }

    /// Words that the latest attempt has not heard, oldest first: each attempt hears all of them.
    pub fn unheard(&self) -> &[Word] {
        let heard = self.attempt().map_or(0, |attempt| attempt.heard.iter().map(|heard| heard.words.len()).sum());
        self.words.get(heard..).unwrap_or_default()
    }
}
