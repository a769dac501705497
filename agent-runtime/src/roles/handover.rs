//! What an Associate is told: its rules, and the task with what is handed over, each source within its share of the window.
//!
//! **Invariant:** a source that does not fit its share is refused, never cut; a transcript first gives up its tool results.

use common_ground::{
    deliverable::Deliverable,
    guardian::Suspect,
    module::{CallKind, Handover, Input, Life, ModuleKind, Step, StepState, WorkError},
    port::model::{Call, ModelRequest, Reply, Turn},
    role::Role,
    run::{Rules, Run, Task},
};
use receipts::Digest;

use super::{context::shown, passages::Passages, prompts::ASSOCIATE, talk::WorkTask};
use crate::{
    driver::{Answer, Desk, Stop},
    skills,
};

/// An accepted module that another one takes as input.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub question: String,
    pub deliverable: Digest,
    pub handover: Handover,
    /// Per cent of the reader's window.
    pub share: u32,
    /// The steps of the attempt that was accepted, without the Verifier's.
    pub steps: Vec<Step>,
}

impl Source {
    /// What an input hands over, once its module is accepted.
    pub fn of(run: &Run, input: &Input) -> Option<Self> {
        let source = run.modules.get(&input.module)?;
        let Life::Accepted { deliverable, .. } = &source.life else { return None };
        let attempt = source.attempt()?;
        let worked = attempt.submitted_after.map_or(attempt.steps.len(), |steps| steps as usize);
        Some(Self {
            question: source.spec.question.clone(),
            deliverable: *deliverable,
            handover: input.handover,
            share: input.share,
            steps: attempt.steps.iter().take(worked).cloned().collect(),
        })
    }
}

/// The role's rules, then the person's and the project's, then the skills there are.
pub(super) async fn rules(desk: &Desk, task: &Task) -> Result<String, Stop> {
    let mut text = ASSOCIATE.text.to_owned();
    for rules in &task.rules {
        text.push_str(&own_rules(desk, rules).await?);
    }
    let catalogue =
        skills::catalogue(task.skills.iter().filter(|skill| !desk.hides(&Suspect::Skill(skill.name.clone()))));
    if !catalogue.is_empty() {
        text.push('\n');
        text.push_str(&catalogue);
    }
    Ok(text)
}

/// A file of rules under a heading that names where it stands.
pub(super) async fn own_rules(desk: &Desk, rules: &Rules) -> Result<String, Stop> {
    let bytes = desk.content(rules.digest).await?.ok_or(Stop::Content(rules.digest))?;
    let own = String::from_utf8(bytes).map_err(|_binary| Stop::Content(rules.digest))?;
    Ok(format!("\n# Rules of {}\n\n{}\n", rules.source, own.trim()))
}

/// The task in words. Passages that are handed over get their names.
pub(super) async fn task(
    desk: &Desk,
    work: &WorkTask,
    sources: &[Source],
    passages: &mut Passages,
) -> Result<Result<String, WorkError>, Stop> {
    let mut text = format!("Question: {}\n", work.question);
    text.push_str(match work.kind {
        ModuleKind::Answer => "Answer it from the documents.\n",
        ModuleKind::Merge => "Join what is handed over into one answer. Search only for what is missing in it.\n",
    });
    text.push_str(&format!(
        "At most {} words in all claims together, at most {} different passages cited",
        work.max_words, work.max_passages
    ));
    if work.min_sources > 1 {
        text.push_str(&format!(", from at least {} different documents", work.min_sources));
    }
    text.push_str(".\n");
    if !work.findings.is_empty() {
        text.push_str("An earlier answer was sent back:\n");
        work.findings.iter().for_each(|finding| text.push_str(&format!("- {finding}\n")));
    }
    for (source, input) in sources.iter().zip(&work.inputs) {
        let words = match handed(desk, source, &input.deliverable, passages).await? {
            Ok(words) => words,
            Err(error) => return Ok(Err(error)),
        };
        text.push_str(&format!("\nHanded over, on: {}\n{words}", source.question));
    }
    Ok(Ok(text))
}

async fn handed(
    desk: &Desk,
    source: &Source,
    deliverable: &Deliverable,
    passages: &mut Passages,
) -> Result<Result<String, WorkError>, Stop> {
    let conclusions = passages.hand_over(deliverable);
    let share = desk.model().window().map(|window| window.saturating_mul(source.share.into()) / 100);
    let mut forms = vec![conclusions];
    if source.handover == Handover::Transcript {
        let turns = transcript(desk, &source.steps).await?;
        let full: String = turns.iter().map(shown).collect();
        let brief: String = turns.iter().map(|turn| shown(&without_result(turn))).collect();
        let conclusions = forms.remove(0);
        forms.extend([full, brief].map(|steps| format!("{conclusions}What was done:\n{steps}")));
    }
    let Some(share) = share else { return Ok(Ok(forms.remove(0))) };
    let mut need = 0;
    for form in forms {
        need = tokens(desk, &form).await?;
        if need <= share {
            return Ok(Ok(form));
        }
    }
    Ok(Err(WorkError::Context { need, window: share }))
}

async fn tokens(desk: &Desk, text: &str) -> Result<u64, Stop> {
    let request = ModelRequest {
        model: desk.model().id().to_owned(),
        role: Role::Associate,
        turns: vec![Turn::Task { text: text.to_owned() }],
        tools: Vec::new(),
        reply: Reply::Text,
        max_tokens: 1,
    };
    desk.count(&request).await
}

/// The steps as turns, from their recorded answers.
async fn transcript(desk: &Desk, steps: &[Step]) -> Result<Vec<Turn>, Stop> {
    let mut turns = Vec::with_capacity(steps.len());
    for step in steps {
        let StepState::Finished { response, .. } = &step.state else { continue };
        let bytes = desk.content(*response).await?.ok_or(Stop::Content(*response))?;
        match &step.call {
            CallKind::Model { .. } => match serde_json::from_slice(&bytes) {
                Ok(Answer::Said { text, calls }) => turns.push(Turn::Model { text, calls }),
                Ok(Answer::Failed { .. }) => {}
                Err(_other) => return Err(Stop::Content(*response)),
            },
            CallKind::Tool { .. } => {
                let content = String::from_utf8_lossy(&bytes).into_owned();
                turns.push(Turn::Tool { call: String::new(), content, failed: false });
            }
        }
    }
    Ok(turns)
}

fn without_result(turn: &Turn) -> Turn {
    match turn {
        Turn::Tool { call, content, failed } => {
            let digest = Digest::of(content.as_bytes());
            let content = format!("({} bytes, sha256 {digest})", content.len());
            Turn::Tool { call: call.clone(), content, failed: *failed }
        }
        Turn::Model { text, calls } => {
            let calls: Vec<Call> = calls.clone();
            Turn::Model { text: text.clone(), calls }
        }
        other @ (Turn::Rules { .. } | Turn::Task { .. } | Turn::Pictures { .. }) => other.clone(),
    }
}
