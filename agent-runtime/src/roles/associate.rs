//! The Associate works: it asks a model, makes the calls the model wants, and hands in.
//!
//! **Invariant:** what a model does wrong is shown to it at most twice in a row; then the attempt fails with that reason.

use common_ground::{
    AttemptNumber, Command, Epoch, ModuleId, Run,
    criterion::Criterion,
    deliverable::Deliverable,
    module::{AttemptEnd, EndReason, ModuleKind, ModuleSpec, WorkError},
    port::{
        model::{ModelError, ModelRequest, Reply, Turn},
        tool::ToolSpec,
    },
    refusal::Refusal,
    role::Role,
    run::Task,
};
use receipts::Digest;

use super::{
    context::{self, Unfit},
    conversation::{Conversation, Heard},
    handover::{self, Source},
    pictures,
    prompts::ASSOCIATE,
    talk::{WorkInput, WorkTask},
};
use crate::{
    driver::{Answer, Desk, Stop},
    journal::Blob,
};

/// Model turns after which an attempt that has not handed in is over.
const MOST_TURNS: usize = 32;
const ANSWER_TOKENS: u64 = 4096;

/// One attempt's task, as the state has it.
pub(crate) struct Job {
    pub module: ModuleId,
    pub epoch: Epoch,
    pub spec: ModuleSpec,
    pub task: Task,
    /// Accepted modules it takes as input.
    pub sources: Vec<Source>,
    /// Why the last attempt was sent back.
    pub findings: Vec<String>,
}

impl Job {
    /// The task of an attempt, as the run has it.
    pub fn of(run: &Run, module: ModuleId, number: AttemptNumber, epoch: Epoch) -> Option<Self> {
        let of = run.modules.get(&module)?;
        let before = of.attempts.iter().rev().filter(|attempt| attempt.number < number);
        let findings = before.into_iter().find_map(|attempt| match &attempt.end {
            AttemptEnd::Ended { reason: EndReason::Rework { findings }, .. } => Some(findings.clone()),
            _not_sent_back => None,
        });
        Some(Self {
            module,
            epoch,
            spec: of.spec.clone(),
            task: run.task.clone(),
            sources: of.spec.inputs.iter().filter_map(|input| Source::of(run, input)).collect(),
            findings: findings.unwrap_or_default(),
        })
    }

    /// The task as a model is given it, with the deliverables of its sources.
    pub fn with(&self, inputs: Vec<WorkInput>) -> WorkTask {
        WorkTask {
            kind: self.spec.kind,
            question: self.spec.question.clone(),
            inputs,
            max_passages: self.task.max_passages,
            max_words: self.task.max_words,
            min_sources: min_sources(&self.spec),
            findings: self.findings.clone(),
        }
    }
}

/// The first request: rules, the task, and what may be called.
pub(super) fn first(
    (model, window): (&str, Option<u64>),
    (rules, task): (String, String),
    tools: Vec<ToolSpec>,
) -> ModelRequest {
    ModelRequest {
        model: model.to_owned(),
        role: Role::Associate,
        turns: vec![Turn::Rules { text: rules }, Turn::Task { text: task }],
        tools,
        reply: Reply::Calls,
        max_tokens: context::answer_tokens(window, ANSWER_TOKENS),
    }
}

/// The rules and the task of the engine that is no language model.
///
/// # Errors
/// None in practice.
pub(super) fn plainly(task: &WorkTask) -> Result<(String, String), serde_json::Error> {
    Ok((ASSOCIATE.text.to_owned(), serde_json::to_string(task)?))
}

/// How a conversation ended.
enum End {
    Deliverable(Deliverable),
    GaveUp(WorkError),
}

/// Works until a deliverable is handed in or the attempt is given up.
pub(crate) async fn work(mut desk: Desk, job: Job) -> Result<(), Stop> {
    let Job { module, epoch, .. } = job;
    match converse(&mut desk, &job).await? {
        End::Deliverable(deliverable) => {
            let bytes = serde_json::to_vec(&deliverable).map_err(Stop::Encoding)?;
            let digest = Digest::of(&bytes);
            let command = Command::Submit { module, epoch, deliverable: digest };
            desk.hand_in(command, vec![Blob { digest, bytes }]).await
        }
        End::GaveUp(error) => desk.hand_in(Command::GiveUp { module, epoch, error }, Vec::new()).await,
    }
}

async fn converse(desk: &mut Desk, job: &Job) -> Result<End, Stop> {
    let task = task(desk, job).await?;
    let mut talk = Conversation::new(desk, job, task);
    let mut request = match opening(desk, job, &mut talk).await? {
        Ok(request) => request,
        Err(error) => return Ok(End::GaveUp(error)),
    };
    let kept = request.turns.len();
    for _turn in 0..MOST_TURNS {
        if desk.model().is_language_model() {
            request.turns.extend(talk.told(desk.words().await?));
        }
        match context::fit(desk, &mut request, kept, &talk.reminder()).await {
            Ok(false) => {}
            Ok(true) => talk.forgot(),
            Err(Unfit::TooLarge(error)) => return Ok(End::GaveUp(error)),
            Err(Unfit::Stop(stop)) => return Err(stop),
        }
        let heard = match desk.ask(&request).await? {
            Answer::Said { text, calls } => talk.hear(desk, text, calls).await,
            Answer::Failed { error } => talk.unheard(error),
        };
        match heard {
            Ok(Heard::Turns(turns)) => request.turns.extend(turns),
            Ok(Heard::Deliverable(deliverable)) => return Ok(End::Deliverable(deliverable)),
            Ok(Heard::GaveUp(error)) => return Ok(End::GaveUp(error)),
            Err(Stop::Refused(Refusal::InDoubt { step })) => return Ok(End::GaveUp(WorkError::InDoubt { step })),
            Err(stop) => return Err(stop),
        }
    }
    Ok(End::GaveUp(WorkError::Protocol { detail: format!("{MOST_TURNS} turns without handing in") }))
}

/// The first request. A language model gets words; the extractive engine the task itself.
async fn opening(desk: &Desk, job: &Job, talk: &mut Conversation) -> Result<Result<ModelRequest, WorkError>, Stop> {
    let words = if desk.model().is_language_model() {
        let rules = handover::rules(desk, &job.task).await?;
        match handover::task(desk, &talk.task, &job.sources, &mut talk.passages).await? {
            Ok(task) => (rules, task),
            Err(error) => return Ok(Err(error)),
        }
    } else {
        plainly(&talk.task).map_err(Stop::Encoding)?
    };
    let mut request = first((desk.model().id(), desk.model().window()), words, talk.offered.clone());
    request.turns.extend(pictures::turn(desk, &job.task).await?);
    Ok(Ok(request))
}

async fn task(desk: &Desk, job: &Job) -> Result<WorkTask, Stop> {
    let mut inputs = Vec::with_capacity(job.sources.len());
    for source in &job.sources {
        let digest = source.deliverable;
        let bytes = desk.content(digest).await?.ok_or(Stop::Content(digest))?;
        let deliverable = serde_json::from_slice(&bytes).map_err(|_other| Stop::Content(digest))?;
        inputs.push(WorkInput { question: source.question.clone(), deliverable });
    }
    Ok(job.with(inputs))
}

fn min_sources(spec: &ModuleSpec) -> u32 {
    let counts = spec.criteria.iter().filter_map(|criterion| match criterion {
        Criterion::MinimumSources { count } => Some(*count),
        Criterion::EveryClaimCites
        | Criterion::QuotesVerbatim
        | Criterion::AnswerMatchesSchema { .. }
        | Criterion::Judged { .. } => None,
    });
    match spec.kind {
        ModuleKind::Answer | ModuleKind::Merge => counts.max().unwrap_or(0),
    }
}

/// Why a model's failure ends an attempt, when it does at once.
pub(super) fn fatal(error: &ModelError) -> Option<WorkError> {
    match error {
        ModelError::TooLarge { need, window, .. } => Some(WorkError::Context { need: *need, window: *window }),
        ModelError::Unreachable { .. } | ModelError::Refused { .. } => {
            Some(WorkError::Model { detail: error.to_string() })
        }
        ModelError::Cut { .. } | ModelError::Broken { .. } => None,
    }
}
