//! What models are saying now. It counts for nothing: it goes when its step is on record, when the call comes to nothing, and
//! when the run stands still.
//!
//! **Invariant:** leaves nothing behind. What stays on the screen of a run is a function of its facts.

use common_ground::{Fact, ModuleId, StepIndex, module::Owner};

use crate::heard::{Before, MOST, Spoken, keep_end};

/// What one call says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Whose call it is.
    pub owner: Owner,
    /// Which step.
    pub step: StepIndex,
    /// The end of what it said, as the model wrote it: drawing makes it safe.
    pub text: String,
}

/// What is being said in a run, in the order in which it was begun.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drafts(Vec<Draft>);

impl Drafts {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Draft> {
        self.0.iter()
    }

    /// Those of one module.
    pub fn of(&self, id: ModuleId) -> impl Iterator<Item = &Draft> {
        self.0.iter().filter(move |draft| match draft.owner {
            Owner::Attempt { module, .. } | Owner::Verifier { module, .. } => module == id,
            Owner::Role { .. } => false,
        })
    }

    /// Adds what a call says.
    pub fn hear(&mut self, spoken: Spoken) {
        let Spoken { run: _, owner, step, before, more } = spoken;
        if before == Before::Goes {
            self.end(owner, step);
        }
        if more.is_empty() {
            return;
        }
        match self.0.iter_mut().find(|draft| (draft.owner, draft.step) == (owner, step)) {
            Some(draft) => {
                draft.text.push_str(&more);
                keep_end(&mut draft.text, MOST);
            }
            None => self.0.push(Draft { owner, step, text: more }),
        }
    }

    /// Takes away what a fact makes past.
    pub fn follow(&mut self, fact: &Fact) {
        match fact {
            Fact::StepFinished { owner, step, .. } | Fact::StepRetried { owner, step } => self.end(*owner, *step),
            Fact::RunPaused { .. } | Fact::RunClosed { .. } => self.clear(),
            _goes_on => {}
        }
    }

    /// Takes everything away.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    fn end(&mut self, owner: Owner, step: StepIndex) {
        self.0.retain(|draft| (draft.owner, draft.step) != (owner, step));
    }
}
