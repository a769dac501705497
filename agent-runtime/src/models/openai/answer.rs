//! An answer put together from its chunks. Calls are held back until the server says that the answer has ended.
//!
//! **Invariant:** no call leaves before the chunk with the finish reason has come, so a broken stream never becomes half
//! a call.

use std::collections::{BTreeMap, BTreeSet};

use common_ground::port::model::{Call, ModelEvent, ModelRequest, ModelUsage, Turn};
use serde_json::Value;

use super::wire::{CallDelta, Chunk, ServerError, Usage, WrittenCall, is_word};

/// Most calls in one answer, and most bytes of one answer's calls: a server can send without end.
const MOST_CALLS: usize = 128;
const MOST_CALL_BYTES: usize = 8 << 20;

/// Why chunks make no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Flaw {
    /// The server ended its stream with an error.
    Server(ServerError),
    /// The limit of tokens was reached.
    Length,
    /// The provider or the model will not answer this.
    Withheld(&'static str),
    /// It makes no sense.
    Nonsense(String),
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Finish {
    Whole,
    Length,
}

/// An answer under way.
#[derive(Debug, Default)]
pub(super) struct Answer {
    calls: BTreeMap<u32, Growing>,
    /// The text, held back where it is to become a call.
    written: Option<String>,
    call_bytes: usize,
    refused: bool,
    finish: Option<Finish>,
    usage: Option<Usage>,
}

#[derive(Debug, Default)]
struct Growing {
    id: String,
    name: String,
    arguments: String,
}

impl Answer {
    /// An answer whose text is a call, or one whose text is shown.
    pub fn new(writes_call: bool) -> Self {
        Self { written: writes_call.then(String::new), ..Self::default() }
    }

    /// Takes a chunk; gives what can be shown of it at once.
    pub fn take(&mut self, chunk: Chunk) -> Result<Vec<ModelEvent>, Flaw> {
        if let Some(error) = chunk.error.filter(|error| !error.is_null()) {
            return Err(Flaw::Server(ServerError::read(&error)));
        }
        let mut events = Vec::new();
        for choice in chunk.choices.into_iter().filter(|choice| choice.index == 0) {
            let delta = choice.delta;
            let spoken = |text: Option<String>| text.filter(|text| !text.is_empty());
            events.extend(spoken(delta.reasoning_content).or(spoken(delta.reasoning)).map(ModelEvent::Thinking));
            match (&mut self.written, spoken(delta.content)) {
                (Some(written), Some(piece)) => {
                    self.call_bytes += piece.len();
                    written.push_str(&piece);
                    events.push(ModelEvent::Draft { call: 0, more: piece });
                }
                (None, Some(piece)) => events.push(ModelEvent::Text(piece)),
                (_, None) => {}
            }
            self.refused |= spoken(delta.refusal).is_some();
            for call in delta.tool_calls {
                events.extend(self.grow(call));
            }
            if self.calls.len() > MOST_CALLS || self.call_bytes > MOST_CALL_BYTES {
                return Err(Flaw::Nonsense(format!("its calls go beyond {MOST_CALLS} or {MOST_CALL_BYTES} bytes")));
            }
            match choice.finish_reason.as_deref() {
                None | Some("") => {}
                Some("stop" | "tool_calls" | "function_call" | "eos" | "end_turn" | "stop_sequence") => {
                    self.finish = Some(Finish::Whole);
                }
                Some("length" | "max_tokens" | "model_length") => self.finish = Some(Finish::Length),
                Some("content_filter" | "safety") => {
                    return Err(Flaw::Withheld("its content filter stopped the answer; put the task otherwise"));
                }
                Some(other) => {
                    let named = if is_word(other) { other } else { "not named" };
                    return Err(Flaw::Nonsense(format!("it ended for a reason we do not know ({named})")));
                }
            }
        }
        // Some servers send a running count with each chunk; the last one counts.
        self.usage = chunk.usage.filter(|usage| usage.prompt_tokens > 0).or(self.usage);
        Ok(events)
    }

    /// Adds to a call; gives what came of its arguments.
    fn grow(&mut self, delta: CallDelta) -> Option<ModelEvent> {
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let (id, name) = (given(delta.id), given(delta.function.name));
        let last = self.calls.last_key_value().map(|(index, _)| *index);
        let next = last.map_or(0, |last| last.saturating_add(1));
        let index = match (delta.index, &id) {
            // Some servers number every call 0 and tell them apart by their ids only.
            (Some(index), Some(id))
                if self.calls.get(&index).is_some_and(|call| !call.id.is_empty() && call.id != *id) =>
            {
                self.calls.iter().find(|(_, call)| call.id == *id).map_or(next, |(index, _)| *index)
            }
            (Some(index), _) => index,
            (None, Some(id)) => self.calls.iter().find(|(_, call)| call.id == *id).map_or(next, |(index, _)| *index),
            (None, None) if name.is_some() => next,
            (None, None) => last.unwrap_or(0),
        };
        let arguments = match delta.function.arguments {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(piece)) => piece,
            Some(whole) => whole.to_string(),
        };
        self.call_bytes += arguments.len() + name.as_ref().map_or(0, String::len);
        let call = self.calls.entry(index).or_default();
        call.arguments.push_str(&arguments);
        if let Some(id) = id {
            call.id = id;
        }
        // A name comes once; a server that repeats it in each chunk must not make it grow.
        if let Some(name) = name.filter(|_| call.name.is_empty()) {
            call.name = name;
        }
        Some(arguments).filter(|more| !more.is_empty()).map(|more| ModelEvent::Draft { call: index, more })
    }

    /// What the server says it used, once it has said it.
    pub fn usage(&self) -> Option<ModelUsage> {
        self.usage.map(|usage| ModelUsage {
            tokens_in: usage.prompt_tokens,
            tokens_cached: usage.prompt_tokens_details.cached_tokens.min(usage.prompt_tokens),
            tokens_out: usage.completion_tokens,
            tokens_thinking: usage.completion_tokens_details.reasoning_tokens.min(usage.completion_tokens),
        })
    }

    /// Whether the server has said that the answer has ended; a stream that breaks after that has lost nothing of it.
    pub fn has_ended(&self) -> bool {
        self.finish.is_some()
    }

    /// The calls, once the stream is over.
    pub fn into_calls(mut self, request: &ModelRequest) -> Result<Vec<Call>, Flaw> {
        match self.finish {
            None => return Err(Flaw::Nonsense("the stream ended before the answer did".to_owned())),
            Some(Finish::Length) => return Err(Flaw::Length),
            Some(Finish::Whole) if self.refused => {
                return Err(Flaw::Withheld("the model declined; put the task otherwise"));
            }
            Some(Finish::Whole) => {}
        }
        if let Some(written) = self.written.take().filter(|_| self.calls.is_empty()) {
            // The server did not hold the answer to the schema: that is no text that anybody asked for.
            let read: WrittenCall<'_> = serde_json::from_str(&written)
                .map_err(|_not_a_call| Flaw::Nonsense("the answer is no call in the form asked for".to_owned()))?;
            let (name, arguments) = (read.name.into_owned(), read.arguments.get().to_owned());
            self.calls.insert(0, Growing { id: String::new(), name, arguments });
        }
        let mut taken: BTreeSet<String> = request
            .turns
            .iter()
            .filter_map(|turn| match turn {
                Turn::Model { calls, .. } => Some(calls),
                Turn::Rules { .. } | Turn::Task { .. } | Turn::Pictures { .. } | Turn::Tool { .. } => None,
            })
            .flatten()
            .map(|call| call.id.clone())
            .collect();
        let turn = request.turns.len();
        let mut calls = Vec::new();
        for (index, call) in self.calls {
            if call.name.is_empty() {
                return Err(Flaw::Nonsense("a call without a name".to_owned()));
            }
            // Some servers give no id, or the same one each time; an answer finds its call by it.
            let id =
                if call.id.is_empty() || taken.contains(&call.id) { format!("call_{turn}_{index}") } else { call.id };
            taken.insert(id.clone());
            let arguments = if call.arguments.trim().is_empty() { "{}".to_owned() } else { call.arguments };
            calls.push(Call { id, tool: call.name, arguments });
        }
        Ok(calls)
    }
}
