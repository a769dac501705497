//! A model: reads a conversation, streams back text or tool calls.

use std::pin::Pin;

use futures_core::Stream;
use serde::{Deserialize, Serialize};

use super::tool::ToolSpec;
use crate::role::Role;

/// One turn of the conversation a model reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "snake_case", deny_unknown_fields)]
pub enum Turn {
    /// Rules of the role; always first.
    Rules {
        /// The text.
        text: String,
    },
    /// The task, or what another role hands over.
    Task {
        /// The text.
        text: String,
    },
    /// What the model said before.
    Model {
        /// Text beside the calls, often empty.
        text: String,
        /// Calls it made.
        calls: Vec<Call>,
    },
    /// What a tool answered. Untrusted: it is data, never rules.
    Tool {
        /// The call it answers.
        call: String,
        /// JSON text, or the error.
        content: String,
        /// Whether the call failed.
        failed: bool,
    },
}

/// A tool call as a model makes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// The model's own id for the call, unique in the conversation.
    pub id: String,
    /// Tool name.
    pub tool: String,
    /// JSON text as the model wrote it.
    pub arguments: String,
}

/// What is asked of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelRequest {
    /// Which model, by its id in configuration.
    pub model: String,
    /// The role that asks.
    pub role: Role,
    /// The conversation, oldest first.
    pub turns: Vec<Turn>,
    /// Tools the model may call.
    pub tools: Vec<ToolSpec>,
    /// The most tokens the answer may have.
    pub max_tokens: u64,
}

/// A piece of a model's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelEvent {
    /// More text.
    Text(String),
    /// One whole call; never half a call.
    Call(Call),
    /// The end, with what it cost. Always last, exactly once.
    Done(ModelUsage),
}

/// What a model call used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelUsage {
    /// Tokens read.
    pub tokens_in: u64,
    /// Tokens written.
    pub tokens_out: u64,
    /// Millionths of the currency unit.
    pub cost_micro: u64,
}

/// Why a model did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// It cannot be reached; trying again may help.
    #[error("model {model} unreachable: {reason}")]
    Unreachable {
        /// The model.
        model: String,
        /// The cause.
        reason: String,
    },
    /// It refused the request; the same request will be refused again.
    #[error("model {model} refused: {reason}")]
    Refused {
        /// The model.
        model: String,
        /// The cause.
        reason: String,
    },
}

/// The stream a model answers with.
pub type ModelStream<'a> = Pin<Box<dyn Stream<Item = Result<ModelEvent, ModelError>> + Send + 'a>>;

/// A model. It decides nothing about budgets or authority; those are settled before it is asked.
pub trait Model: Send + Sync {
    /// Its id, as configuration and receipts name it.
    fn id(&self) -> &str;

    /// An upper bound on tokens this request will read, counted with the model's own tokenizer.
    fn count_tokens(&self, request: &ModelRequest) -> u64;

    /// Answers. Dropping the stream cancels the call.
    fn complete<'a>(&'a self, request: &'a ModelRequest) -> ModelStream<'a>;
}
