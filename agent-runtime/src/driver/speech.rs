//! What a model says while it still says it, for whoever watches.
//!
//! **Invariant:** nothing of it is recorded, logged or acted on: what counts is the whole answer, which is on disk before
//! anybody hears that it is whole.
//! **Invariant:** each call of which something was said ends in a fact, or in [`Said::Nothing`] when it came to nothing.

use std::sync::Arc;

use common_ground::{
    StepIndex,
    module::{CallOutcome, Owner},
    port::model::{Model, ModelError, ModelEvent, ModelRequest, ModelUsage, Reply},
};
use futures_util::StreamExt;

use super::Answer;
use crate::roles::draft::Draft;

/// Hears what models say as they say it. It must take it at once and wait for nobody.
pub type Listener = Arc<dyn Fn(Spoken<'_>) + Send + Sync>;

/// Something said in a call that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spoken<'a> {
    /// Whose call it is.
    pub owner: Owner,
    /// Which step.
    pub step: StepIndex,
    /// What is said.
    pub said: Said<'a>,
}

/// What is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said<'a> {
    /// More words, as the model wrote them: a terminal must not obey them.
    More(&'a str),
    /// What was said so far is no answer: the call failed or was stopped.
    Nothing,
}

/// A call's voice. When it is dropped before its answer is whole, it takes back what it said.
pub(super) struct Voice<'a> {
    listener: Option<&'a Listener>,
    owner: Owner,
    step: StepIndex,
    draft: Draft,
    /// JSON has its readable part inside.
    json: bool,
    said: bool,
    whole: bool,
}

impl<'a> Voice<'a> {
    pub fn new(listener: Option<&'a Listener>, owner: Owner, step: StepIndex, reply: &Reply) -> Self {
        let json = match reply {
            Reply::Json { .. } => true,
            Reply::Calls | Reply::Text => false,
        };
        Self { listener, owner, step, draft: Draft::default(), json, said: false, whole: false }
    }

    fn hear(&mut self, event: &ModelEvent) {
        if self.listener.is_none() {
            return;
        }
        match event {
            ModelEvent::Text(more) if self.json => {
                let readable = self.draft.more(0, more);
                self.say(&readable);
            }
            ModelEvent::Text(more) => self.say(more),
            ModelEvent::Draft { call, more } => {
                // What stands beside the calls is apart from what stands in them.
                let apart = self.said && !self.draft.has_spoken();
                let readable = self.draft.more(*call, more);
                if apart && !readable.is_empty() {
                    self.say("\n");
                }
                self.say(&readable);
            }
            ModelEvent::Thinking(_) | ModelEvent::Call(_) | ModelEvent::Done(_) => {}
        }
    }

    fn say(&mut self, more: &str) {
        if let Some(listener) = self.listener.filter(|_| !more.is_empty()) {
            self.said = true;
            listener(Spoken { owner: self.owner, step: self.step, said: Said::More(more) });
        }
    }
}

impl Drop for Voice<'_> {
    fn drop(&mut self) {
        if let Some(listener) = self.listener.filter(|_| self.said && !self.whole) {
            listener(Spoken { owner: self.owner, step: self.step, said: Said::Nothing });
        }
    }
}

/// Reads a stream to its end, saying what comes. A stream that breaks off is an error, never half an answer.
async fn collect(
    model: &dyn Model,
    request: &ModelRequest,
    mut voice: Voice<'_>,
) -> Result<(Answer, ModelUsage), ModelError> {
    let mut stream = model.complete(request);
    let mut text = String::new();
    let mut calls = Vec::new();
    while let Some(event) = stream.next().await {
        let event = event?;
        voice.hear(&event);
        match event {
            ModelEvent::Text(more) => text.push_str(&more),
            ModelEvent::Thinking(_) | ModelEvent::Draft { .. } => {}
            ModelEvent::Call(call) => calls.push(call),
            ModelEvent::Done(usage) => {
                voice.whole = true;
                return Ok((Answer::Said { text, calls }, usage));
            }
        }
    }
    Err(ModelError::Broken { model: request.model.clone(), reason: "the answer broke off".to_owned() })
}

/// An answer as it goes on record, whole or failed, with what it used; `worst` is the most that it can have used.
pub(super) async fn answered(
    model: &dyn Model,
    request: &ModelRequest,
    voice: Voice<'_>,
    worst: ModelUsage,
) -> (Answer, ModelUsage) {
    match collect(model, request, voice).await {
        Ok(answer) => answer,
        Err(error) => {
            let used = used_by_failed(&error, worst);
            (Answer::Failed { error }, used)
        }
    }
}

impl Answer {
    /// How the call ended.
    pub fn outcome(&self) -> CallOutcome {
        match self {
            Self::Said { .. } => CallOutcome::Done,
            Self::Failed { .. } => CallOutcome::Failed,
        }
    }
}

/// The most that a request can use.
pub(super) fn worst(request: &ModelRequest, tokens_in: u64) -> ModelUsage {
    ModelUsage { tokens_in, tokens_out: request.max_tokens, ..ModelUsage::default() }
}

/// A request to a model and its answer, of no run and with nobody who listens: what goes on record of it.
///
/// # Errors
/// The model's, where it cannot count.
pub async fn ask_alone(model: &dyn Model, request: &ModelRequest) -> Result<(Answer, ModelUsage), ModelError> {
    let worst = worst(request, model.count_tokens(request).await?);
    let owner = Owner::Role { role: request.role };
    let voice = Voice::new(None, owner, StepIndex(0), &request.reply);
    Ok(answered(model, request, voice, worst).await)
}

/// What a call without an answer is booked at: nothing when the model did not take the request, else the worst case,
/// since the provider may charge for it.
fn used_by_failed(error: &ModelError, worst: ModelUsage) -> ModelUsage {
    match error {
        ModelError::Unreachable { .. } | ModelError::Refused { .. } | ModelError::TooLarge { .. } => {
            ModelUsage::default()
        }
        ModelError::Cut { .. } | ModelError::Broken { .. } => worst,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use common_ground::{
        StepIndex,
        module::Owner,
        port::model::{ModelEvent, Reply},
        role::Role,
    };

    use super::{Listener, Said, Voice};

    fn heard(reply: &Reply, events: &[ModelEvent], whole: bool) -> String {
        let kept = Arc::new(Mutex::new(String::new()));
        let keeps = Arc::clone(&kept);
        let listener: Listener = Arc::new(move |spoken| {
            let mut kept = keeps.lock().expect("not poisoned");
            match spoken.said {
                Said::More(more) => kept.push_str(more),
                Said::Nothing => *kept += "<taken back>",
            }
        });
        let mut voice = Voice::new(Some(&listener), Owner::Role { role: Role::Principal }, StepIndex(3), reply);
        events.iter().for_each(|event| voice.hear(event));
        voice.whole = whole;
        drop(voice);
        drop(listener);
        Arc::into_inner(kept).expect("the voice is gone").into_inner().expect("not poisoned")
    }

    fn text(more: &str) -> ModelEvent {
        ModelEvent::Text(more.to_owned())
    }

    fn draft(more: &str) -> ModelEvent {
        ModelEvent::Draft { call: 0, more: more.to_owned() }
    }

    #[test]
    fn words_are_said_as_they_come_and_taken_back_when_they_come_to_nothing() {
        let claims = [text("I hand in."), draft(r#"{"claims":[{"text":"The ti"#), draft(r#"de is high."#)];
        assert_eq!(heard(&Reply::Calls, &claims, true), "I hand in.\nThe tide is high.");
        assert_eq!(heard(&Reply::Calls, &claims, false), "I hand in.\nThe tide is high.<taken back>");
        let verdict = Reply::Json { name: "verdict".to_owned(), schema: "{}".to_owned() };
        assert_eq!(
            heard(&verdict, &[text(r#"{"reasons":"It ho"#), text(r#"lds.","passed":true}"#)], true),
            "It holds."
        );
        // Thoughts are nobody's to hear, and of what was never said nothing is taken back.
        assert_eq!(heard(&Reply::Text, &[ModelEvent::Thinking("hm".to_owned())], false), "");
    }
}
