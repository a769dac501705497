//! What an Associate does with each answer of its model.
//!
//! The extractive engine makes no mistakes of form and is taken at its word. A language model's calls are checked before
//! anything is called; what is wrong is shown to it. A call made before is not made again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use common_ground::{
    deliverable::Deliverable,
    guardian::Suspect,
    module::WorkError,
    port::{
        model::{Call, ModelError, Turn},
        tool::{Tool, ToolSpec},
    },
};

use super::{
    acts,
    associate::{Job, fatal},
    claims::Claims,
    faults::{Faults, check, printed},
    passages::Passages,
    talk::{SUBMIT, WorkTask},
};
use crate::{
    ask_person,
    driver::{Desk, Stop, ToolAnswer},
    skills,
};

/// What follows from an answer.
pub(super) enum Heard {
    /// The conversation goes on with these turns.
    Turns(Vec<Turn>),
    /// Something was handed in.
    Deliverable(Deliverable),
    /// The attempt is over.
    GaveUp(WorkError),
}

/// One attempt's conversation, beside its turns.
pub(super) struct Conversation {
    pub task: WorkTask,
    /// What the model may call.
    pub offered: Vec<ToolSpec>,
    pub passages: Passages,
    language: bool,
    granted: Vec<Arc<dyn Tool>>,
    /// Calls that brought something, by tool and arguments.
    made: BTreeSet<(String, String)>,
    faults: Faults,
    /// Whether a tool brought anything, or something was handed over.
    evidence: bool,
    ids: usize,
    /// What the person said meanwhile.
    words: Vec<String>,
}

impl Conversation {
    pub fn new(desk: &Desk, job: &Job, task: WorkTask) -> Self {
        let kept = job.spec.tools.iter().filter(|name| !desk.hides(&Suspect::Tool((*name).clone())));
        let granted: Vec<Arc<dyn Tool>> = kept.filter_map(|name| desk.tool(name).cloned()).collect();
        let language = desk.model().is_language_model();
        let own = granted.iter().map(|tool| if language { Passages::offer(tool.spec()) } else { tool.spec().clone() });
        let submit = if language { acts::submit_claims() } else { acts::submit() };
        Self {
            offered: own.chain([submit]).collect(),
            evidence: !task.inputs.is_empty(),
            task,
            passages: Passages::default(),
            language,
            granted,
            made: BTreeSet::new(),
            faults: Faults::default(),
            ids: 0,
            words: Vec::new(),
        }
    }

    /// What goes with a summary of old turns: the names that can still be cited, and what the person said.
    pub fn reminder(&self) -> String {
        let words: String = self.words.iter().map(|words| format!("{}\n", said(words))).collect();
        if self.passages.len() == 0 { words } else { format!("{words}Passages by name:\n{}", self.passages.list()) }
    }

    /// Turns that put what the person says into the conversation.
    pub fn told(&mut self, words: Vec<String>) -> Vec<Turn> {
        let turns = words.iter().map(|words| Turn::Task { text: said(words) }).collect();
        self.words.extend(words);
        turns
    }

    /// Earlier answers were left out: what brought them may be called again.
    pub fn forgot(&mut self) {
        self.made.clear();
    }

    /// There was no whole answer.
    pub fn unheard(&mut self, error: ModelError) -> Result<Heard, Stop> {
        if let (Some(error), _) | (None, Some(error)) = (fatal(&error), self.taken_at_its_word(&error)) {
            return Ok(Heard::GaveUp(error));
        }
        let words = match &error {
            ModelError::Cut { limit, .. } => {
                format!("Your last answer was cut off at {limit} tokens and did not count. Answer more briefly.")
            }
            _broken => "Your last answer did not arrive whole and did not count. Answer again.".to_owned(),
        };
        Ok(match self.faults.add(error.to_string()) {
            Ok(_shown) => Heard::Turns(vec![Turn::Task { text: words }]),
            Err(error) => Heard::GaveUp(error),
        })
    }

    fn taken_at_its_word(&self, error: &ModelError) -> Option<WorkError> {
        (!self.language).then(|| WorkError::Model { detail: error.to_string() })
    }

    /// An answer.
    pub async fn hear(&mut self, desk: &mut Desk, text: String, calls: Vec<Call>) -> Result<Heard, Stop> {
        let (text, calls) = match calls.is_empty().then(|| printed(&text, &self.offered, "printed")).flatten() {
            Some(call) if self.language => (String::new(), vec![call]),
            Some(_) | None => (text, calls),
        };
        if calls.is_empty() {
            return Ok(self.no_call(text));
        }
        let calls = if self.language { self.with_ids(calls) } else { calls };
        if let Some(call) = calls.iter().find(|call| call.tool == SUBMIT) {
            return Ok(match self.handed_in(call) {
                Ok(deliverable) => Heard::Deliverable(deliverable),
                Err(why) if self.language => self.shown(text, &calls, &why),
                Err(why) => Heard::GaveUp(WorkError::Protocol { detail: format!("submit: {why}") }),
            });
        }
        self.call(desk, text, calls).await
    }

    fn no_call(&mut self, text: String) -> Heard {
        let what = if text.trim().is_empty() {
            "the model gave an empty answer"
        } else {
            "the model neither called a tool nor handed in"
        };
        if !self.language {
            return Heard::GaveUp(WorkError::Protocol { detail: what.to_owned() });
        }
        match self.faults.add(what.to_owned()) {
            Ok(_shown) => {
                let note = "Nothing was called. Call a tool, or hand in by calling submit; calls printed as text, or \
                    with words around them, are not read."
                    .to_owned();
                let said = (!text.trim().is_empty()).then_some(Turn::Model { text, calls: Vec::new() });
                Heard::Turns(said.into_iter().chain([Turn::Task { text: note }]).collect())
            }
            Err(error) => Heard::GaveUp(error),
        }
    }

    /// Ids that a model left out or used before are replaced, so that each answer belongs to one call.
    fn with_ids(&mut self, calls: Vec<Call>) -> Vec<Call> {
        let renamed = calls.into_iter().map(|call| {
            self.ids += 1;
            Call { id: format!("call_{}", self.ids), ..call }
        });
        renamed.collect()
    }

    fn handed_in(&self, call: &Call) -> Result<Deliverable, String> {
        if !self.language {
            return serde_json::from_str(&call.arguments).map_err(|error| error.to_string());
        }
        check(call, &self.offered)?;
        if !self.evidence {
            return Err("nothing was searched or read yet; an answer needs evidence".to_owned());
        }
        let claims: Claims = serde_json::from_str(&call.arguments).map_err(|error| error.to_string())?;
        claims.deliverable(&self.task, &self.passages)
    }

    /// A fault of the whole turn, as the answer to each of its calls.
    fn shown(&mut self, text: String, calls: &[Call], why: &str) -> Heard {
        match self.faults.add(format!("submit: {why}")) {
            Ok(_shown) => {
                let answer = |call: &Call| Turn::Tool {
                    call: call.id.clone(),
                    content: if call.tool == SUBMIT { why.to_owned() } else { "not called beside submit".to_owned() },
                    failed: true,
                };
                let said = Turn::Model { text, calls: calls.to_vec() };
                Heard::Turns(std::iter::once(said).chain(calls.iter().map(answer)).collect())
            }
            Err(error) => Heard::GaveUp(error),
        }
    }

    /// Makes the calls that are in order and answers the others with what is wrong.
    async fn call(&mut self, desk: &mut Desk, text: String, calls: Vec<Call>) -> Result<Heard, Stop> {
        let mut live: Vec<(Arc<dyn Tool>, String)> = Vec::new();
        let mut asked = BTreeMap::new();
        let mut wrong = BTreeMap::new();
        for (call, place) in calls.iter().zip(0_usize..) {
            match self.ready(call, &live) {
                Ok(ready) => {
                    asked.insert(place, live.len());
                    live.push(ready);
                }
                Err(why) => {
                    wrong.insert(place, why);
                }
            }
        }
        if self.language {
            let all_wrong = live.is_empty().then(|| wrong.values().next().cloned()).flatten();
            match all_wrong.map(|why| self.faults.add(why)) {
                Some(Err(error)) => return Ok(Heard::GaveUp(error)),
                Some(Ok(_shown)) => {}
                None => self.faults.clear(),
            }
        }
        let answers = desk.use_tools(&live).await?;
        let mut heard = Vec::with_capacity(calls.len());
        for (call, place) in calls.iter().zip(0_usize..) {
            heard.push(
                match (asked.get(&place).and_then(|at| Some((answers.get(*at)?, live.get(*at)?))), wrong.remove(&place))
                {
                    (Some((answer, (_, arguments))), _) => self.took(call, arguments, answer),
                    (None, why) => ToolAnswer { content: why.unwrap_or_default(), failed: true },
                },
            );
        }
        Ok(Heard::Turns(turns(text, calls, heard)))
    }

    /// The tool and the arguments it is called with.
    fn ready(&self, call: &Call, live: &[(Arc<dyn Tool>, String)]) -> Result<(Arc<dyn Tool>, String), String> {
        let tool = self.granted.iter().find(|tool| tool.spec().name == call.tool);
        if !self.language {
            let tool = tool.ok_or_else(|| not_granted(&call.tool))?;
            return Ok((Arc::clone(tool), call.arguments.clone()));
        }
        check(call, &self.offered)?;
        let tool = tool.ok_or_else(|| not_granted(&call.tool))?;
        let arguments = one_spelling(&self.passages.arguments(&call.tool, &call.arguments)?);
        let before = self.made.contains(&(call.tool.clone(), arguments.clone()));
        if before || live.iter().any(|(other, same)| other.spec().name == call.tool && *same == arguments) {
            return Err(format!("you made this call of {} before; its answer stands above", call.tool));
        }
        Ok((Arc::clone(tool), arguments))
    }

    /// A tool's answer as the model reads it.
    fn took(&mut self, call: &Call, arguments: &str, answer: &ToolAnswer) -> ToolAnswer {
        if !self.language || answer.failed {
            return answer.clone();
        }
        self.made.insert((call.tool.clone(), arguments.to_owned()));
        self.evidence |= call.tool != skills::READ && call.tool != ask_person::NAME;
        ToolAnswer { content: self.passages.read(&call.tool, &answer.content), failed: false }
    }
}

/// What a model said and what its calls brought, as the conversation goes on with it.
pub(super) fn turns(text: String, calls: Vec<Call>, answers: Vec<ToolAnswer>) -> Vec<Turn> {
    let brought = calls.iter().zip(answers).map(|(call, answer)| Turn::Tool {
        call: call.id.clone(),
        content: answer.content,
        failed: answer.failed,
    });
    let brought: Vec<Turn> = brought.collect();
    std::iter::once(Turn::Model { text, calls }).chain(brought).collect()
}

pub(super) fn not_granted(tool: &str) -> String {
    format!("{tool} was not granted")
}

/// What the person says, so that the model knows who speaks.
fn said(words: &str) -> String {
    format!("The person you work for says to you now: {words}")
}

/// The same arguments in one spelling, so that repeated calls are seen.
pub(super) fn one_spelling(arguments: &str) -> String {
    serde_json::from_str::<serde_json::Value>(arguments)
        .map_or_else(|_not_json| arguments.to_owned(), |value| value.to_string())
}
