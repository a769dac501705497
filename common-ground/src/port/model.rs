//! A model: reads a conversation, streams back text or tool calls.

use std::pin::Pin;

use futures_core::Stream;
use serde::{Deserialize, Serialize};

use super::{BoxFuture, tool::ToolSpec};
use crate::{picture::Picture, role::Role};

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
    /// Pictures of the task, in the order in which they were given; only for a model that sees.
    Pictures {
        /// Each with its bytes.
        pictures: Vec<Shown>,
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

/// A picture as a model is shown it. On record it is its digest: the bytes are a content of the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    /// What it is.
    pub picture: Picture,
    /// Its bytes.
    #[serde(skip)]
    pub bytes: Vec<u8>,
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

/// The form an answer must have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "form", rename_all = "snake_case", deny_unknown_fields)]
pub enum Reply {
    /// At least one call of the tools offered.
    Calls,
    /// Words only; no tool is offered.
    Text,
    /// One JSON value, as text, that fits a schema; no tool is offered.
    Json {
        /// What the value is, `[a-z][a-z0-9_]*`.
        name: String,
        /// JSON Schema as JSON text.
        schema: String,
    },
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
    /// Tools the model may call; none unless `reply` is [`Reply::Calls`].
    pub tools: Vec<ToolSpec>,
    /// The form the answer must have.
    pub reply: Reply,
    /// The most tokens the answer may have, thinking included. An answer that reaches it has failed.
    pub max_tokens: u64,
}

/// A piece of a model's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelEvent {
    /// More text.
    Text(String),
    /// More of what the model thinks before it answers. Shown at most; never recorded and never handed to anybody.
    Thinking(String),
    /// More of a call that is still being written, as JSON cut anywhere: its arguments, or the call around them. Shown at
    /// most; never recorded, never acted on. Where a model gives only whole calls there is none.
    Draft {
        /// Which call of the answer, from 0.
        call: u32,
        /// What comes next of it.
        more: String,
    },
    /// One whole call; never half a call. Its arguments are what the model wrote, not checked against any schema.
    Call(Call),
    /// The end, with what it used. Always last, exactly once.
    Done(ModelUsage),
}

/// Tokens a model call used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelUsage {
    /// Tokens read.
    pub tokens_in: u64,
    /// Those of `tokens_in` that were read from a cache.
    pub tokens_cached: u64,
    /// Tokens written, thinking included.
    pub tokens_out: u64,
    /// Those of `tokens_out` that were thinking.
    pub tokens_thinking: u64,
}

/// What tokens cost, in millionths of the currency unit per million tokens: 2.50 a million is 2,500,000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Tokens read.
    pub input: u64,
    /// Tokens read from a cache.
    pub cached: u64,
    /// Tokens written.
    pub output: u64,
}

impl Price {
    /// What a call cost, in millionths of the currency unit, rounded up.
    pub fn cost_micro(self, used: ModelUsage) -> u64 {
        let cached = used.tokens_cached.min(used.tokens_in);
        let parts = [(used.tokens_in - cached, self.input), (cached, self.cached), (used.tokens_out, self.output)];
        let sum: u128 = parts.iter().map(|(tokens, price)| u128::from(*tokens) * u128::from(*price)).sum();
        u64::try_from(sum.div_ceil(1_000_000)).unwrap_or(u64::MAX)
    }

    /// The most a call can cost that reads and writes no more than this: nothing counts as cached, unless that is dearer.
    pub fn worst_micro(self, tokens_in: u64, tokens_out: u64) -> u64 {
        let dearest = Self { input: self.input.max(self.cached), ..self };
        dearest.cost_micro(ModelUsage { tokens_in, tokens_out, ..ModelUsage::default() })
    }
}

/// Why a model did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "error", rename_all = "snake_case", deny_unknown_fields)]
pub enum ModelError {
    /// It cannot be reached or is overloaded, also after the adapter's own retries; later it may answer.
    #[error("model {model} cannot be reached: {reason}")]
    Unreachable {
        /// The model.
        model: String,
        /// The cause and, where it is known, the fix.
        reason: String,
    },
    /// It refused the request; the same request will be refused again.
    #[error("model {model} refused: {reason}")]
    Refused {
        /// The model.
        model: String,
        /// The cause and the fix.
        reason: String,
    },
    /// The request and its answer do not fit the window together.
    #[error("model {model} has a window of {window} tokens and this needs {need}")]
    TooLarge {
        /// The model.
        model: String,
        /// Tokens needed, as far as they are known.
        need: u64,
        /// Tokens there are; 0 where only the server knows.
        window: u64,
    },
    /// The answer reached the most tokens it may have before it ended.
    #[error("the answer of model {model} was cut off at {limit} tokens")]
    Cut {
        /// The model.
        model: String,
        /// The limit.
        limit: u64,
    },
    /// What came is no answer: garbage, half a stream, a call without a name.
    #[error("model {model} sent no whole answer: {reason}")]
    Broken {
        /// The model.
        model: String,
        /// What came instead.
        reason: String,
    },
}

/// The stream a model answers with. An error is its last item.
pub type ModelStream<'a> = Pin<Box<dyn Stream<Item = Result<ModelEvent, ModelError>> + Send + 'a>>;

/// A model. It decides nothing about budgets or authority; those are settled before it is asked.
pub trait Model: Send + Sync {
    /// Its id, as configuration and receipts name it.
    fn id(&self) -> &str;

    /// Whether it reads and writes language: rules, skills and rubrics mean nothing to one that does not.
    fn is_language_model(&self) -> bool;

    /// Whether it sees pictures; where not, a request has none.
    fn sees(&self) -> bool {
        false
    }

    /// Tokens that a request and its answer may have together; `None` where there is no limit or nobody can tell.
    fn window(&self) -> Option<u64>;

    /// What its tokens cost.
    fn price(&self) -> Price;

    /// An upper bound on the tokens this request will read, counted with the model's own tokenizer where there is one
    /// at hand. The same request always counts the same.
    ///
    /// # Errors
    /// [`ModelError::Unreachable`] where a server counts and cannot be reached.
    fn count_tokens<'a>(&'a self, request: &'a ModelRequest) -> BoxFuture<'a, Result<u64, ModelError>>;

    /// Answers. Dropping the stream cancels the call.
    fn complete<'a>(&'a self, request: &'a ModelRequest) -> ModelStream<'a>;
}

#[cfg(test)]
mod tests {
    use super::{ModelUsage, Price};

    #[test]
    fn costs_are_rounded_up_and_never_above_the_worst_case() {
        let price = Price { input: 2_500_000, cached: 1_250_000, output: 10_000_000 };
        let used = ModelUsage { tokens_in: 1001, tokens_cached: 1000, tokens_out: 3, tokens_thinking: 2 };
        // 1 × 2.5 + 1,000 × 1.25 + 3 × 10 = 1,282.5
        assert_eq!(price.cost_micro(used), 1283);
        assert!(price.worst_micro(1001, 3) >= price.cost_micro(used));
        let dear_cache = Price { cached: 5_000_000, ..price };
        assert!(dear_cache.worst_micro(1001, 3) >= dear_cache.cost_micro(used));
        assert_eq!(Price::default().worst_micro(u64::MAX, u64::MAX), 0);
        assert_eq!(Price { input: u64::MAX, ..price }.worst_micro(u64::MAX, 0), u64::MAX);
    }
}
