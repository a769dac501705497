//! Questions that only the person can answer, and the answers there are.

use serde::{Deserialize, Serialize};

use crate::{
    grant::{Basis, Item},
    id::{ModuleId, StepIndex},
};

/// What is asked, exactly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "asks", rename_all = "snake_case", deny_unknown_fields)]
pub enum Question {
    /// Whether a call may be made.
    Permission {
        /// The step it would be.
        step: StepIndex,
        /// The tool.
        tool: String,
        /// Its arguments, as they would be used.
        arguments: String,
        /// What it would do that needs the person, and why.
        needs: Vec<Needed>,
    },
    /// Something an Associate wants to know.
    Words {
        /// The step it would be.
        step: StepIndex,
        /// The question.
        text: String,
    },
    /// Whether a module may begin to use tools: a verdict that the task requires.
    Verdict {
        /// The step it would be.
        step: StepIndex,
        /// The tool that would be called first.
        tool: String,
        /// Its arguments, as they would be used.
        arguments: String,
    },
}

/// One thing that needs the person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Needed {
    /// What would be done.
    pub need: Item,
    /// Why the person is asked.
    pub basis: Basis,
}

/// What the person says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "says", rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// No.
    Deny,
    /// Yes, this call.
    Once,
    /// Yes, exactly this in this run, as often as it comes.
    Run,
    /// Yes, exactly this from now on.
    Always,
    /// An answer in words.
    Words {
        /// What was said.
        text: String,
    },
}

impl Question {
    /// Whether this can be an answer to it.
    pub fn takes(&self, answer: &Answer) -> bool {
        match (self, answer) {
            (Self::Permission { .. }, Answer::Deny | Answer::Once | Answer::Run | Answer::Always)
            | (Self::Words { .. }, Answer::Deny | Answer::Words { .. })
            | (Self::Verdict { .. }, Answer::Deny | Answer::Run) => true,
            (Self::Permission { .. }, Answer::Words { .. })
            | (Self::Words { .. }, Answer::Once | Answer::Run | Answer::Always)
            | (Self::Verdict { .. }, Answer::Once | Answer::Always | Answer::Words { .. }) => false,
        }
    }

    /// Which step it is about.
    pub fn step(&self) -> StepIndex {
        match self {
            Self::Permission { step, .. } | Self::Words { step, .. } | Self::Verdict { step, .. } => *step,
        }
    }
}

/// A question put to the person, with its answer once it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// The module that waits.
    pub module: ModuleId,
    /// What is asked.
    pub question: Question,
    /// What was said.
    pub answer: Option<Answer>,
}

impl Approval {
    /// What it allows a step of this module: for good or for the run any step, else its own.
    pub fn allows(&self, module: ModuleId, step: StepIndex) -> impl Iterator<Item = &Item> {
        let needs = match (&self.question, &self.answer) {
            (Question::Permission { needs, .. }, Some(Answer::Run | Answer::Always)) => needs.as_slice(),
            (Question::Permission { step: asked, needs, .. }, Some(Answer::Once))
                if self.module == module && *asked == step =>
            {
                needs.as_slice()
            }
            (Question::Permission { .. } | Question::Words { .. } | Question::Verdict { .. }, _) => &[],
        };
        needs.iter().map(|wanted| &wanted.need)
    }

    /// Whether it is the required verdict on this module, and what it says.
    pub fn verdict_on(&self, module: ModuleId) -> Option<&Answer> {
        match (&self.question, &self.answer) {
            (Question::Verdict { .. }, Some(answer)) if self.module == module => Some(answer),
            (Question::Verdict { .. } | Question::Permission { .. } | Question::Words { .. }, _) => None,
        }
    }
}
