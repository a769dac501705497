//! A desk: where a role makes its calls, one step each, recorded before and after.
//!
//! A result is handed to the driver together with what follows from it (the next calls, or the submission), so a step
//! costs one durable write. A call whose result is on record is answered from the record.
//!
//! **Invariant:** a call is made only after the fact that it starts is on disk.
//! **Invariant:** a call with a result on record is never made again.

use std::{sync::Arc, time::Duration};

use common_ground::{
    Command, Refusal, RunId, StepIndex,
    budget::Amount,
    grant::Grant,
    guardian::Suspect,
    module::{CallKind, CallOutcome, Compaction, Owner, Step, StepState, Usage},
    port::{
        model::{Call, Model, ModelError, ModelRequest},
        tool::{Called, StepKey, Tool, ToolCall, ToolError, ToolSpec},
    },
    record::{Exit, Limit, Traced},
    role::Role,
};
use futures_util::future::join_all;
use receipts::{Digest, PublicKey};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    event::Ask,
    permits::{Permit, Permits},
    speech::{Listener, Voice, answered, worst},
    words::{Ear, Said},
};
use crate::{
    ask_person,
    clock::Clock,
    journal::{Blob, JournalError, Store},
    models::RoleModels,
};

/// Why a role's work ended before it handed in.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    /// The core refused: the lease is gone, the budget used up, the call not granted.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The driver is gone.
    #[error("the driver ended")]
    Gone,
    /// Storage failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A recorded content is missing or is not what was recorded.
    #[error("the record of step {0:?} cannot be read")]
    Record(StepIndex),
    /// A recorded content is missing or is not what was recorded.
    #[error("content {0} cannot be read")]
    Content(Digest),
    /// A value could not be encoded.
    #[error("encoding failed")]
    Encoding(#[source] serde_json::Error),
    /// The operating system gave no randomness.
    #[error("no randomness: {0}")]
    Entropy(getrandom::Error),
    /// The model cannot be reached, or refuses whatever it is asked.
    #[error(transparent)]
    Model(ModelError),
    /// The person is asked; the work goes on with the answer.
    #[error("a question waits for the person")]
    Waits,
}

/// A model's whole answer, as it is recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// It answered.
    Said {
        /// Text beside the calls.
        text: String,
        /// Calls it makes.
        calls: Vec<Call>,
    },
    /// It did not answer.
    Failed {
        /// Why.
        error: ModelError,
    },
}

/// A tool's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolAnswer {
    /// Text, or the error to read.
    pub content: String,
    /// Whether the call failed.
    pub failed: bool,
}

/// Longest time one call may take before it counts as failed.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For one tool call, beyond the wall time that its grant gives it.
    pub tool: Duration,
    /// For one model answer.
    pub model: Duration,
}

/// Everything calls are made with.
#[derive(Clone)]
pub(super) struct Room {
    pub run: RunId,
    pub store: Arc<dyn Store>,
    pub models: RoleModels,
    pub tools: Arc<[Arc<dyn Tool>]>,
    pub clock: Clock,
    pub patience: Patience,
    pub post: mpsc::Sender<Ask>,
    /// Who hears models while they speak.
    pub listener: Option<Listener>,
    /// What the person said to modules so far.
    pub said: watch::Receiver<Said>,
}

/// A role at work under one owner.
pub(crate) struct Desk {
    room: Room,
    model: Arc<dyn Model>,
    owner: Owner,
    by: PublicKey,
    recorded: Vec<Step>,
    next: u32,
    waiting: Vec<Command>,
    contents: Vec<Blob>,
    permits: Permits,
    /// What hears the person; none where nobody is spoken to.
    ear: Option<Ear>,
}

/// A call about to be made.
struct Intent {
    call: CallKind,
    request: Digest,
    reserve: Amount,
}

/// Where one call of a turn gets its answer from.
enum Place {
    Record(Digest),
    Live,
}

impl Desk {
    /// A desk for `owner`, whose steps begin at `first` of the `recorded` ones.
    pub(super) fn new(
        room: Room,
        owner: Owner,
        by: PublicKey,
        recorded: Vec<Step>,
        first: u32,
        permits: Permits,
    ) -> Self {
        let role = match owner {
            Owner::Role { role } => role,
            Owner::Attempt { .. } => Role::Associate,
            Owner::Verifier { .. } => Role::Verifier,
        };
        let model = Arc::clone(room.models.of(role));
        let (waiting, contents) = (Vec::new(), Vec::new());
        Self { room, model, owner, by, recorded, next: first, waiting, contents, permits, ear: None }
    }

    /// The same, hearing what the person says to its module.
    pub(super) fn with(self, ear: Ear) -> Self {
        Self { ear: Some(ear), ..self }
    }

    /// What the person said that goes into the conversation before the next step. What is heard for the first time goes to
    /// disk with that step.
    pub async fn words(&mut self) -> Result<Vec<String>, Stop> {
        let (step, begun) = (StepIndex(self.next), self.recorded.len() > self.next as usize);
        let Some(ear) = &mut self.ear else { return Ok(Vec::new()) };
        let mut words = ear.recorded(step);
        let fresh = if begun { Vec::new() } else { ear.fresh() };
        if !fresh.is_empty() {
            self.waiting.push(Command::Hear { owner: self.owner, step, words: fresh.clone() });
        }
        words.extend(fresh);
        let mut texts = Vec::with_capacity(words.len());
        for digest in words {
            let bytes = self.content(digest).await?.ok_or(Stop::Content(digest))?;
            texts.push(String::from_utf8(bytes).map_err(|_binary| Stop::Content(digest))?);
        }
        Ok(texts)
    }

    /// The model asked here.
    pub fn model(&self) -> &dyn Model {
        &*self.model
    }

    /// Whether those who do the work read language.
    pub fn associates_speak(&self) -> bool {
        self.room.models.associate.is_language_model()
    }

    /// Tokens that a request will read, at most.
    pub async fn count(&self, request: &ModelRequest) -> Result<u64, Stop> {
        self.model.count_tokens(request).await.map_err(Stop::Model)
    }

    /// Says that the conversation was made to fit before the next step; goes to disk with that step.
    pub fn compacted(&mut self, compaction: Compaction) {
        self.waiting.push(Command::Compact { owner: self.owner, step: StepIndex(self.next), compaction });
    }

    /// Whether it was set aside before this work began, so that it is not offered.
    pub fn hides(&self, what: &Suspect) -> bool {
        self.permits.hides(what)
    }

    /// The words of a granted tool, when this program has it.
    pub fn tool(&self, name: &str) -> Option<&Arc<dyn Tool>> {
        self.room.tools.iter().find(|tool| tool.spec().name == name)
    }

    /// A content on record.
    pub async fn content(&self, digest: Digest) -> Result<Option<Vec<u8>>, Stop> {
        Ok(self.room.store.blob(digest).await?)
    }

    /// A call of the model. One that could not be reached or refused before, which is on record, is asked anew as another
    /// step; one that is so now stops the work, and the driver pauses the run.
    pub async fn ask(&mut self, request: &ModelRequest) -> Result<Answer, Stop> {
        loop {
            let (answer, live) = self.ask_once(request).await?;
            match answer {
                Answer::Failed { error: error @ (ModelError::Unreachable { .. } | ModelError::Refused { .. }) } => {
                    if live {
                        self.flush().await?;
                        return Err(Stop::Model(error));
                    }
                }
                answer => return Ok(answer),
            }
        }
    }

    /// The answer, and whether it came from the model just now.
    async fn ask_once(&mut self, request: &ModelRequest) -> Result<(Answer, bool), Stop> {
        let bytes = serde_json::to_vec(request).map_err(Stop::Encoding)?;
        let model = Arc::clone(&self.model);
        let tokens_in = self.count(request).await?;
        let worst = worst(request, tokens_in);
        let intent = Intent {
            call: CallKind::Model { model: request.model.clone() },
            request: Digest::of(&bytes),
            reserve: Amount {
                tokens: tokens_in.saturating_add(request.max_tokens),
                cost_micro: model.price().worst_micro(tokens_in, request.max_tokens),
                tool_calls: 0,
            },
        };
        let first = self.next;
        let places = self.start(vec![intent]).await?;
        let Some(Place::Live) = places.first() else {
            return Ok((self.recorded_answer(&places, first).await?, false));
        };
        let before = self.room.clock.now_ms();
        let voice = Voice::new(self.room.listener.as_ref(), self.owner, StepIndex(first), &request.reply);
        let asked = tokio::time::timeout(self.room.patience.model, answered(&*model, request, voice, worst)).await;
        let (answer, used) = match asked {
            Ok(asked) => asked,
            Err(_elapsed) => {
                let reason = format!("no answer in {:?}", self.room.patience.model);
                (Answer::Failed { error: ModelError::Broken { model: request.model.clone(), reason } }, worst)
            }
        };
        let usage = Usage {
            tokens_in: used.tokens_in,
            tokens_out: used.tokens_out,
            cost_micro: model.price().cost_micro(used),
            tool_calls: 0,
            wall_ms: self.room.clock.now_ms().saturating_sub(before),
        };
        let outcome = answer.outcome();
        let bytes = serde_json::to_vec(&answer).map_err(Stop::Encoding)?;
        self.finish(first, outcome, bytes, usage, None);
        Ok((answer, true))
    }

    /// Tool calls of one turn, made side by side, answered in order. What only the person can allow is asked first: the work
    /// stops there and comes here again when there is an answer.
    pub async fn use_tools(&mut self, calls: &[(Arc<dyn Tool>, String)]) -> Result<Vec<ToolAnswer>, Stop> {
        let Owner::Attempt { module, attempt, epoch } = self.owner else { return Ok(Vec::new()) };
        let first = self.next;
        let mut ready = Vec::with_capacity(calls.len());
        for ((tool, arguments), step) in calls.iter().zip(first..) {
            let key = StepKey { run: self.room.run, module, attempt, epoch, step: StepIndex(step) };
            match self.permit(key, &**tool, arguments) {
                Permit::Ask { approval, question } => {
                    self.hand_in(Command::Ask { module, epoch, approval, question }, Vec::new()).await?;
                    return Err(Stop::Waits);
                }
                permit => ready.push((key, tool, arguments.as_str(), permit)),
            }
        }
        let places = self
            .start(ready.iter().map(|(_, tool, arguments, permit)| intent_of(tool.spec(), arguments, permit)).collect())
            .await?;
        let room = self.room.clone();
        let live = ready.iter().zip(&places).map(|((key, tool, arguments, permit), place)| {
            made(&room, *key, (&***tool, *arguments), permit, matches!(place, Place::Live))
        });
        let mut answers = Vec::with_capacity(calls.len());
        for ((made, place), step) in join_all(live).await.into_iter().zip(&places).zip(first..) {
            let answer = match made {
                Some((called, wall_ms)) => self.called(step, called, wall_ms)?,
                None => self.tool_record(place, step).await?,
            };
            answers.push(answer);
        }
        Ok(answers)
    }

    /// What is to be done about a call. One that is on record is answered from there.
    fn permit(&self, key: StepKey, tool: &dyn Tool, arguments: &str) -> Permit {
        let recorded = self.recorded.get(key.step.0 as usize);
        if recorded.is_some_and(|step| matches!(step.state, StepState::Finished { .. })) {
            return Permit::recorded();
        }
        if let Some(wait) = self.permits.verdict(key, &tool.spec().name, arguments) {
            return wait;
        }
        if let Some(refusal) = self.permits.quarantined(&tool.spec().name, arguments) {
            return refusal;
        }
        if tool.spec().name == ask_person::NAME
            && let Ok(question) = ask_person::question(arguments)
        {
            return self.permits.words(key, ask_person::NAME, question);
        }
        match tool.needs(arguments) {
            Ok(needs) => self.permits.decide(key, tool.spec(), arguments, needs),
            // The tool says itself what is wrong with its arguments.
            Err(_bad) => Permit::recorded(),
        }
    }

    /// Hands a call's end over, with all that it leaves behind.
    fn called(&mut self, step: u32, called: Called, wall_ms: u64) -> Result<ToolAnswer, Stop> {
        let kept = called.record.kept().map_err(Stop::Encoding)?;
        let answer = match called.answer {
            Ok(content) => ToolAnswer { content, failed: false },
            Err(error) => ToolAnswer { content: error.to_string(), failed: true },
        };
        let outcome = if answer.failed { CallOutcome::Failed } else { CallOutcome::Done };
        let usage = Usage { tool_calls: 1, wall_ms, ..Usage::default() };
        let bytes = answer.content.clone().into_bytes();
        self.contents.push(Blob { digest: kept.traced.record, bytes: kept.bytes });
        self.contents.extend(called.contents.into_iter().map(|bytes| Blob { digest: Digest::of(&bytes), bytes }));
        self.finish(step, outcome, bytes, usage, Some(kept.traced));
        Ok(answer)
    }

    /// Hands in what closes this work, with everything not yet handed in, and waits until it is on disk.
    pub async fn hand_in(&mut self, last: Command, contents: Vec<Blob>) -> Result<(), Stop> {
        self.waiting.push(last);
        self.contents.extend(contents);
        self.flush().await
    }

    fn finish(&mut self, step: u32, outcome: CallOutcome, bytes: Vec<u8>, usage: Usage, traced: Option<Traced>) {
        let response = Digest::of(&bytes);
        let step = StepIndex(step);
        self.waiting.push(Command::FinishStep { owner: self.owner, step, outcome, response, usage, traced });
        self.contents.push(Blob { digest: response, bytes });
    }

    /// Records that calls begin, unless their results are on record.
    async fn start(&mut self, intents: Vec<Intent>) -> Result<Vec<Place>, Stop> {
        let mut places = Vec::with_capacity(intents.len());
        let mut live = false;
        for intent in intents {
            let step = StepIndex(self.next);
            let recorded = self.recorded.get(self.next as usize);
            self.next += 1;
            match recorded.map(|recorded| (&recorded.state, recorded.request == intent.request)) {
                Some((StepState::Finished { response, .. }, true)) => places.push(Place::Record(*response)),
                Some((StepState::Finished { .. }, false)) => return Err(Refusal::Diverged { step }.into()),
                Some((StepState::Started, _)) | None => {
                    let Intent { call, request, reserve } = intent;
                    self.waiting.push(Command::StartStep { owner: self.owner, step, call, request, reserve });
                    places.push(Place::Live);
                    live = true;
                }
            }
        }
        if live {
            self.flush().await?;
        }
        Ok(places)
    }

    async fn flush(&mut self) -> Result<(), Stop> {
        let (answer, answered) = oneshot::channel();
        let commands = std::mem::take(&mut self.waiting);
        let blobs = std::mem::take(&mut self.contents);
        let ask = Ask { by: self.by, commands, blobs, answer };
        self.room.post.send(ask).await.map_err(|_closed| Stop::Gone)?;
        Ok(answered.await.map_err(|_closed| Stop::Gone)??)
    }

    async fn recorded_bytes(&self, response: Digest, step: u32) -> Result<Vec<u8>, Stop> {
        self.content(response).await?.ok_or(Stop::Record(StepIndex(step)))
    }

    async fn recorded_answer(&self, places: &[Place], step: u32) -> Result<Answer, Stop> {
        let Some(Place::Record(response)) = places.first() else { return Err(Stop::Record(StepIndex(step))) };
        let bytes = self.recorded_bytes(*response, step).await?;
        serde_json::from_slice(&bytes).map_err(|_other| Stop::Record(StepIndex(step)))
    }

    async fn tool_record(&self, place: &Place, step: u32) -> Result<ToolAnswer, Stop> {
        let Place::Record(response) = place else { return Err(Stop::Record(StepIndex(step))) };
        let bytes = self.recorded_bytes(*response, step).await?;
        let content = String::from_utf8(bytes).map_err(|_binary| Stop::Record(StepIndex(step)))?;
        let failed = self
            .recorded
            .get(step as usize)
            .is_some_and(|recorded| matches!(recorded.state, StepState::Finished { outcome: CallOutcome::Failed, .. }));
        Ok(ToolAnswer { content, failed })
    }
}

/// What a tool call's step is known by: SHA-256 of the tool's name, a newline and the arguments.
pub(crate) fn request_digest(tool: &str, arguments: &str) -> Digest {
    let mut request = Vec::with_capacity(tool.len() + arguments.len() + 1);
    request.extend_from_slice(tool.as_bytes());
    request.push(b'\n');
    request.extend_from_slice(arguments.as_bytes());
    Digest::of(&request)
}

fn intent_of(spec: &ToolSpec, arguments: &str, permit: &Permit) -> Intent {
    let needs = match permit {
        Permit::Call { allowed, .. } => allowed.iter().map(|one| one.need.clone()).collect(),
        Permit::Ask { .. } | Permit::Refuse { .. } | Permit::Said(_) => Vec::new(),
    };
    let (tool, tool_digest, idempotent) = (spec.name.clone(), spec.digest(), spec.idempotent);
    let refused = matches!(permit, Permit::Refuse { .. });
    Intent {
        call: CallKind::Tool { tool, tool_digest, idempotent, needs, refused },
        request: request_digest(&spec.name, arguments),
        reserve: Amount { tokens: 0, cost_micro: 0, tool_calls: 1 },
    }
}

/// The call, when it is to be made, with its wall time in milliseconds.
async fn made(
    room: &Room,
    key: StepKey,
    (tool, arguments): (&dyn Tool, &str),
    permit: &Permit,
    live: bool,
) -> Option<(Called, u64)> {
    if !live {
        return None;
    }
    let before = room.clock.now_ms();
    let nothing = Grant::default();
    let call = |grant, allowed| ToolCall { key, grant, allowed, arguments };
    let called = match permit {
        Permit::Call { grant, allowed } => {
            let call = call(&**grant, allowed.as_slice());
            let patience = room.patience.tool + Duration::from_millis(grant.limits.wall_ms);
            match tokio::time::timeout(patience, tool.call(call)).await {
                Ok(called) => called,
                Err(_elapsed) => {
                    let reason = format!("no answer in {patience:?}");
                    let error = ToolError::Failed { tool: tool.spec().name.clone(), reason };
                    let mut called = Called::builtin(tool.spec(), call, Err(error));
                    called.record.exit = Exit::Limit { limit: Limit::Wall };
                    called
                }
            }
        }
        Permit::Said(text) => Called::builtin(tool.spec(), call(&nothing, &[]), Ok(text.clone())),
        Permit::Refuse { denials, exit } => Called::refused(tool.spec(), call(&nothing, &[]), denials.clone(), *exit),
        // A question ends the turn before anything is made.
        Permit::Ask { .. } => Called::refused(tool.spec(), call(&nothing, &[]), Vec::new(), Exit::Refused),
    };
    Some((called, room.clock.now_ms().saturating_sub(before)))
}
