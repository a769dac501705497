//! The built-in engine for a machine with no weights and no key: it plans by the question's grammar, searches and reads
//! through the tools it is given, and answers with quoted sentences. It is no language model and says so.
//!
//! A pure function of the conversation: it holds no index, no state, no clock and no randomness, so the same
//! conversation gets the same answer, and every search it makes is a step on record. Its rules are made for English and
//! degrade to plain word search in other languages.
//!
//! **Invariant:** what it quotes is cut from what `commons_read` answered, byte for byte.

mod answer;
mod conversation;
mod hop;
mod merge;
mod names;
mod plan;
mod pool;
mod question;
mod rank;
mod words;

use common_ground::{
    module::ModuleKind,
    port::{
        BoxFuture,
        model::{Call, Model, ModelError, ModelEvent, ModelRequest, ModelStream, ModelUsage, Price, Turn},
    },
    role::Role,
};
use futures_util::stream;

use crate::roles::talk::{PLAN, PlanTask, SUBMIT, WorkTask};
use conversation::Conversation;
use pool::Pool;
use question::Question;

/// The engine.
#[derive(Debug, Clone, Copy, Default)]
pub struct Extractive;

/// Its id, in configuration, reports and receipts.
pub const ID: &str = "extractive";

impl Extractive {
    /// The engine; there is nothing to load.
    pub fn new() -> Self {
        Self
    }
}

/// An act: a tool and its arguments.
pub(crate) type Act = (&'static str, String);

/// What it does next.
fn next(request: &ModelRequest) -> Result<Vec<Act>, String> {
    let task = request.turns.iter().find_map(|turn| match turn {
        Turn::Task { text } => Some(text),
        Turn::Rules { .. } | Turn::Pictures { .. } | Turn::Model { .. } | Turn::Tool { .. } => None,
    });
    let task = task.ok_or("no task was given")?;
    match request.role {
        Role::Principal => {
            let task: PlanTask = serde_json::from_str(task).map_err(|error| error.to_string())?;
            let plan = plan::plan(&task.question, task.max_modules);
            Ok(vec![(PLAN, serde_json::to_string(&plan).map_err(|error| error.to_string())?)])
        }
        Role::Associate => {
            let task: WorkTask = serde_json::from_str(task).map_err(|error| error.to_string())?;
            let conversation = Conversation::read(&request.turns);
            match task.kind {
                ModuleKind::Answer => work(&task, &conversation),
                ModuleKind::Merge => submit(&merge::merge(&task)),
            }
        }
        Role::Person | Role::Partner | Role::Verifier | Role::Node => {
            Err(format!("{:?} has no task for it", request.role))
        }
    }
}

/// Search, follow what was found, read, answer.
fn work(task: &WorkTask, conversation: &Conversation) -> Result<Vec<Act>, String> {
    let question = Question::new(&task.question);
    if conversation.searches.is_empty() {
        return Ok(hop::first(&task.question, &question));
    }
    if conversation.read {
        return submit(&answer::answer(task, conversation));
    }
    let pool = Pool::new(&question, conversation);
    if conversation.rounds == 1 {
        let further = hop::further(&question, &pool, conversation.searches.len());
        if !further.is_empty() {
            return Ok(further);
        }
    }
    let chosen = rank::choose(&question, &pool, task.max_passages);
    if chosen.is_empty() { submit(&answer::answer(task, conversation)) } else { Ok(vec![rank::read(&chosen)?]) }
}

fn submit(deliverable: &common_ground::deliverable::Deliverable) -> Result<Vec<Act>, String> {
    Ok(vec![(SUBMIT, serde_json::to_string(deliverable).map_err(|error| error.to_string())?)])
}

/// Words between white space: the engine's tokens.
fn tokens(request: &ModelRequest) -> u64 {
    let words = |text: &str| text.split_whitespace().count() as u64;
    request
        .turns
        .iter()
        .map(|turn| match turn {
            Turn::Rules { text } | Turn::Task { text } => words(text),
            Turn::Model { text, calls } => words(text) + calls.iter().map(|call| words(&call.arguments)).sum::<u64>(),
            Turn::Tool { content, .. } => words(content),
            Turn::Pictures { .. } => 0,
        })
        .sum()
}

impl Model for Extractive {
    fn id(&self) -> &str {
        ID
    }

    fn is_language_model(&self) -> bool {
        false
    }

    fn window(&self) -> Option<u64> {
        None
    }

    fn price(&self) -> Price {
        Price::default()
    }

    fn count_tokens<'a>(&'a self, request: &'a ModelRequest) -> BoxFuture<'a, Result<u64, ModelError>> {
        Box::pin(async move { Ok(tokens(request)) })
    }

    fn complete<'a>(&'a self, request: &'a ModelRequest) -> ModelStream<'a> {
        let events = match next(request) {
            Ok(acts) => {
                let said = request.turns.iter().filter(|turn| matches!(turn, Turn::Model { .. })).count();
                let usage = ModelUsage {
                    tokens_in: tokens(request),
                    tokens_out: acts.iter().map(|(_, arguments)| arguments.split_whitespace().count() as u64).sum(),
                    ..ModelUsage::default()
                };
                let calls = acts.into_iter().enumerate().map(|(number, (tool, arguments))| {
                    let id = format!("{said}-{number}");
                    Ok(ModelEvent::Call(Call { id, tool: tool.to_owned(), arguments }))
                });
                calls.chain([Ok(ModelEvent::Done(usage))]).collect::<Vec<_>>()
            }
            Err(reason) => vec![Err(ModelError::Refused { model: ID.to_owned(), reason })],
        };
        Box::pin(stream::iter(events))
    }
}
