//! What an attempt of the extractive engine asked and with what tools were called, built again from the record alone.
//!
//! Requests are not kept, only their digests: an attempt that goes on builds them again, and so does this. What comes out is
//! held against the digest on record by whoever asks, so a wrong guess here is never taken for a match.

use common_ground::{
    AttemptNumber, ModuleId, Run,
    deliverable::Deliverable,
    guardian::Suspect,
    module::{Attempt, CallKind, CallOutcome, Step, StepState},
    port::{
        model::{Call, ModelError, ModelRequest},
        tool::ToolSpec,
    },
};
use receipts::Digest;

use super::{
    acts,
    associate::{Job, first, plainly},
    conversation::{not_granted, one_spelling, turns},
    faults::printed,
    talk::{SUBMIT, WorkInput},
};
use crate::{
    driver::{Answer, ToolAnswer, request_digest},
    models::extractive,
};

/// A request that a step of an attempt was asked with.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Which step.
    pub step: usize,
    /// The request.
    pub request: ModelRequest,
}

/// Why no further request can be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unbuilt {
    /// The words of a granted tool, which are part of each request, are not at hand.
    #[error("the words of the tool {0}, which stand in the request, are not at hand")]
    Words(String),
    /// A content is missing or is not what was recorded.
    #[error("content {0}, which stands in the request, cannot be read")]
    Content(Digest),
    /// The steps on record do not follow from the answers before them.
    #[error("step {0} does not follow from the answers before it")]
    Order(usize),
    /// The facts name no such attempt.
    #[error("the facts name no such attempt")]
    Facts,
}

/// What a past attempt is read from.
pub struct Past<'a> {
    /// The run that made it.
    pub run: &'a Run,
    /// The module.
    pub module: ModuleId,
    /// Which try.
    pub attempt: AttemptNumber,
    /// Contents on record, as far as they are there and are what was recorded.
    pub contents: &'a dyn Fn(Digest) -> Option<Vec<u8>>,
    /// The words of a tool, where they are at hand.
    pub words: &'a dyn Fn(&str) -> Option<ToolSpec>,
}

impl Past<'_> {
    /// What the extractive engine was asked, step by step, as far as the record tells; and why not further.
    pub fn asked(&self) -> (Vec<Asked>, Option<Unbuilt>) {
        let mut asked = Vec::new();
        let end = self.build(&mut asked).err();
        (asked, end)
    }

    fn build(&self, asked: &mut Vec<Asked>) -> Result<(), Unbuilt> {
        let module = self.run.modules.get(&self.module).ok_or(Unbuilt::Facts)?;
        let attempt = module.attempts.iter().find(|attempt| attempt.number == self.attempt).ok_or(Unbuilt::Facts)?;
        let job = Job::of(self.run, self.module, attempt.number, attempt.lease.epoch).ok_or(Unbuilt::Facts)?;
        let granted = self.granted(&job, attempt)?;
        let tools = granted.iter().cloned().chain([acts::submit()]).collect();
        let words = plainly(&job.with(self.inputs(&job)?)).map_err(|_no_json| Unbuilt::Facts)?;
        let mut request = first((extractive::ID, None), words, tools);
        let worked = attempt.submitted_after.map_or(attempt.steps.len(), |steps| steps as usize);
        let mut steps = attempt.steps.iter().take(worked).enumerate();
        while let Some((place, step)) = steps.next() {
            let CallKind::Model { .. } = &step.call else { return Err(Unbuilt::Order(place)) };
            asked.push(Asked { step: place, request: request.clone() });
            // One in doubt is the last.
            let StepState::Finished { response, .. } = &step.state else { return Ok(()) };
            match self.answer(*response)? {
                Answer::Failed { error: ModelError::Unreachable { .. } | ModelError::Refused { .. } } => {}
                Answer::Failed { .. } => return Ok(()),
                Answer::Said { calls, .. } if calls.is_empty() || calls.iter().any(|call| call.tool == SUBMIT) => {
                    return Ok(());
                }
                Answer::Said { text, calls } => {
                    let mut answers = Vec::with_capacity(calls.len());
                    for call in &calls {
                        answers.push(if granted.iter().any(|spec| spec.name == call.tool) {
                            let Some((place, step)) = steps.next() else { return Ok(()) };
                            self.brought(place, step)?
                        } else {
                            ToolAnswer { content: not_granted(&call.tool), failed: true }
                        });
                    }
                    request.turns.extend(turns(text, calls, answers));
                }
            }
        }
        Ok(())
    }

    /// The words of the tools that the attempt was offered.
    fn granted(&self, job: &Job, attempt: &Attempt) -> Result<Vec<ToolSpec>, Unbuilt> {
        let hidden = |name: &str| {
            let since = self.run.quarantined.get(&Suspect::Tool(name.to_owned()));
            since.is_some_and(|since| *since < attempt.started)
        };
        let kept = job.spec.tools.iter().filter(|name| !hidden(name));
        kept.map(|name| (self.words)(name).ok_or_else(|| Unbuilt::Words(name.clone()))).collect()
    }

    fn inputs(&self, job: &Job) -> Result<Vec<WorkInput>, Unbuilt> {
        let input = |digest: Digest| -> Option<Deliverable> { serde_json::from_slice(&(self.contents)(digest)?).ok() };
        let inputs = job.sources.iter().map(|source| {
            let deliverable = input(source.deliverable).ok_or(Unbuilt::Content(source.deliverable))?;
            Ok(WorkInput { question: source.question.clone(), deliverable })
        });
        inputs.collect()
    }

    fn answer(&self, response: Digest) -> Result<Answer, Unbuilt> {
        let bytes = (self.contents)(response).ok_or(Unbuilt::Content(response))?;
        serde_json::from_slice(&bytes).map_err(|_no_answer| Unbuilt::Content(response))
    }

    fn brought(&self, place: usize, step: &Step) -> Result<ToolAnswer, Unbuilt> {
        match (&step.call, &step.state) {
            (CallKind::Tool { .. }, StepState::Finished { response, outcome, .. }) => {
                let bytes = (self.contents)(*response).ok_or(Unbuilt::Content(*response))?;
                let content = String::from_utf8(bytes).map_err(|_binary| Unbuilt::Content(*response))?;
                Ok(ToolAnswer { content, failed: *outcome == CallOutcome::Failed })
            }
            (CallKind::Tool { .. } | CallKind::Model { .. }, _) => Err(Unbuilt::Order(place)),
        }
    }

    /// The arguments that a tool's call was made with: what some answer of a model before it says, with the digest on record.
    pub fn arguments(&self, step: usize, spec: &ToolSpec) -> Option<String> {
        let module = self.run.modules.get(&self.module)?;
        let attempt = module.attempts.iter().find(|attempt| attempt.number == self.attempt)?;
        let wanted = attempt.steps.get(step)?.request;
        let before = attempt.steps.get(..step)?.iter().rev().filter_map(|step| match (&step.call, &step.state) {
            (CallKind::Model { .. }, StepState::Finished { response, .. }) => self.answer(*response).ok(),
            (CallKind::Model { .. } | CallKind::Tool { .. }, _) => None,
        });
        let said = before.flat_map(|answer| match answer {
            Answer::Said { text, calls } => {
                let printed = printed(&text, std::slice::from_ref(spec), "printed");
                calls.into_iter().chain(printed).filter(|call| call.tool == spec.name).collect()
            }
            Answer::Failed { .. } => Vec::new(),
        });
        // A language model's are brought into one spelling first.
        let spelled = |Call { arguments, .. }: Call| [one_spelling(&arguments), arguments];
        said.flat_map(spelled).find(|arguments| request_digest(&spec.name, arguments) == wanted)
    }
}
