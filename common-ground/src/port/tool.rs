//! A tool: something an Associate may call when its module was granted it.

use receipts::Digest;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::BoxFuture;
use crate::{
    grant::{Grant, Item, Tier},
    id::{AttemptNumber, Epoch, ModuleId, RunId, StepIndex},
    record::{Allowed, Denial, Exit, Record, Spent},
};

/// What a tool is, in the words a model reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolSpec {
    /// Unique name, `[a-z][a-z0-9_-]*`.
    pub name: String,
    /// What it does and when to use it.
    pub description: String,
    /// JSON Schema of its arguments, as canonical JSON text.
    pub arguments: String,
    /// Whether a call that may have happened can be made again without a second effect.
    pub idempotent: bool,
}

impl ToolSpec {
    /// SHA-256 over name, description and schema: a tool whose words changed is another tool.
    pub fn digest(&self) -> Digest {
        let mut bytes = Vec::new();
        for part in [&self.name, &self.description, &self.arguments] {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        Digest::of(&bytes)
    }
}

/// Which step asks. Every call carries its lease epoch, so that a tool with effects can refuse a stale one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepKey {
    /// The run.
    pub run: RunId,
    /// The module.
    pub module: ModuleId,
    /// Which try.
    pub attempt: AttemptNumber,
    /// The lease's fencing number.
    pub epoch: Epoch,
    /// Which step of the attempt. Run, module, attempt and step together are the idempotency key.
    pub step: StepIndex,
}

impl StepKey {
    /// Of no run: a call that somebody makes by itself, and what is tried without one.
    pub const NONE: Self = Self {
        run: RunId(Uuid::nil()),
        module: ModuleId(Uuid::nil()),
        attempt: AttemptNumber(1),
        epoch: Epoch(1),
        step: StepIndex(0),
    };
}

/// How a call ended when it ended at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ToolError {
    /// The arguments do not fit the schema or make no sense; the model may repair them.
    #[error("bad arguments for {tool}: {reason}")]
    BadArguments {
        /// The tool.
        tool: String,
        /// What is wrong, for the model to read.
        reason: String,
    },
    /// It may not: no grant covers what it would do, or a rule forbids it.
    #[error("{tool} may not: {reason}")]
    Refused {
        /// The tool.
        tool: String,
        /// What would be done, and which rule decided.
        reason: String,
    },
    /// The tool did its part and failed; the model may go on otherwise.
    #[error("{tool} failed: {reason}")]
    Failed {
        /// The tool.
        tool: String,
        /// What failed.
        reason: String,
    },
}

/// A call as it is made.
#[derive(Clone, Copy, Debug)]
pub struct ToolCall<'a> {
    /// For which step.
    pub key: StepKey,
    /// All it may do; what it needs was decided on and is covered.
    pub grant: &'a Grant,
    /// What it needs and what allowed each.
    pub allowed: &'a [Allowed],
    /// JSON text that need not fit the schema: the tool checks it.
    pub arguments: &'a str,
}

/// A call as it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Called {
    /// What the model reads.
    pub answer: Result<String, ToolError>,
    /// What it leaves behind.
    pub record: Record,
    /// What the record names by digest and the journal keeps: whole outputs, files before they were changed.
    pub contents: Vec<Vec<u8>>,
}

impl Called {
    /// A call that was not made; `exit` says whether it was refused or nobody could be asked.
    pub fn refused(spec: &ToolSpec, call: ToolCall<'_>, denials: Vec<Denial>, exit: Exit) -> Self {
        let reasons: Vec<String> = denials.iter().map(|one| format!("{}: {}", one.what, one.why)).collect();
        let error = ToolError::Refused { tool: spec.name.clone(), reason: reasons.join("; ") };
        let mut called = Self::builtin(spec, call, Err(error));
        called.record.refusals = denials;
        called.record.exit = exit;
        called
    }

    /// The call of a tool of this program that touches nothing but what the run itself has.
    pub fn builtin(spec: &ToolSpec, call: ToolCall<'_>, answer: Result<String, ToolError>) -> Self {
        let output = match &answer {
            Ok(text) => text.clone(),
            Err(error) => error.to_string(),
        };
        let record = Record {
            tool: spec.digest(),
            grant: call.grant.digest(),
            tier: Tier::Builtin,
            held: Vec::new(),
            epoch: call.key.epoch,
            input: Digest::of(call.arguments.as_bytes()),
            output: Digest::of(output.as_bytes()),
            output_bytes: output.len() as u64,
            truncated: false,
            allowed: call.allowed.to_vec(),
            egress: Vec::new(),
            refusals: Vec::new(),
            changes: Vec::new(),
            spent: Spent::default(),
            exit: if answer.is_ok() { Exit::Done } else { Exit::Failed },
        };
        Self { answer, record, contents: Vec::new() }
    }
}

/// A tool. An idempotent one gives the same text for the same arguments on the same data.
pub trait Tool: Send + Sync {
    /// What it is.
    fn spec(&self) -> &ToolSpec;

    /// What exactly a call with these arguments would do; each is decided on before the call is made. Nothing, for a tool
    /// that only looks at what the run itself has.
    ///
    /// # Errors
    /// [`ToolError::BadArguments`] for arguments that mean nothing.
    fn needs(&self, arguments: &str) -> Result<Vec<Item>, ToolError>;

    /// Makes the call.
    fn call<'a>(&'a self, call: ToolCall<'a>) -> BoxFuture<'a, Called>;

    /// An attempt is over, and no call of it comes any more: what was kept for its next call can go.
    fn over(&self, _run: RunId, _module: ModuleId, _attempt: AttemptNumber) {}
}
