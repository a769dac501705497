//! A tool: something an Associate may call when its module was granted it.

use receipts::Digest;
use serde::{Deserialize, Serialize};

use super::BoxFuture;
use crate::id::{AttemptNumber, Epoch, ModuleId, RunId, StepIndex};

/// What a tool is, in the words a model reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolSpec {
    /// Unique name, `[a-z][a-z0-9_]*`.
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
    /// The tool did its part and failed; the model may go on otherwise.
    #[error("{tool} failed: {reason}")]
    Failed {
        /// The tool.
        tool: String,
        /// What failed.
        reason: String,
    },
}

/// A tool. `call` returns JSON text; the same arguments on the same data give the same text.
pub trait Tool: Send + Sync {
    /// What it is.
    fn spec(&self) -> &ToolSpec;

    /// Makes the call. `arguments` is JSON text that need not fit the schema: the tool checks it.
    fn call<'a>(&'a self, key: StepKey, arguments: &'a str) -> BoxFuture<'a, Result<String, ToolError>>;
}
