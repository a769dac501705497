//! What is on the screen, as data. Facts and keys go in through [`crate::update()`]; drawing only reads.
//!
//! **Invariant:** what is shown of a run is a function of its facts: the same facts, live or from the record, one by one or
//! at once, give the same view. What models are saying now stands beside it until a fact says how it ended.

mod drafts;
mod narrate;
mod watched;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use common_ground::{
    ApprovalId, Digest, Millis, ModuleId, approval::Approval, citation::Citation, record::Change, report::Report,
};

pub use drafts::{Draft, Drafts};
pub use narrate::{asked, ended, name as module_name};
pub use watched::{Watched, changing, may_have_changed, who};

use crate::{
    brief::Brief,
    composer::Composer,
    event::{Around, Hit, Looking, RunLine, Setup, Size, Told},
    keys::Keys,
    theme::{Theme, Tone},
};

/// Everything on the screen.
#[derive(Clone, Debug)]
pub struct View {
    /// Size of the terminal.
    pub size: Size,
    /// Colours.
    pub theme: Theme,
    /// Keys.
    pub keys: Keys,
    /// The clock when something last depended on it.
    pub at: Millis,
    /// Whether the person looks.
    pub looking: Looking,
    /// What the program is set to; none until it is ready.
    pub setup: Option<Setup>,
    /// What is being written.
    pub composer: Composer,
    /// Which proposal under the composer is chosen.
    pub proposal: usize,
    /// The conversation, oldest first. Only grows.
    pub blocks: Vec<Block>,
    /// The run in view.
    pub watched: Option<Watched>,
    /// What models of that run are saying now.
    pub drafts: Drafts,
    /// What the program does for the person now.
    pub work: Working,
    /// How far the folder that is taken in is, where one is.
    pub adding: Option<String>,
    /// What the person sent while a run went on.
    pub queue: VecDeque<String>,
    /// Questions that were answered here and whose answers are not on record yet.
    pub sent: BTreeSet<ApprovalId>,
    /// What lies over the conversation.
    pub pane: Pane,
    /// Contents that were fetched, by digest.
    pub contents: BTreeMap<Digest, Result<String, String>>,
    /// What calls changed, by the digest of their record.
    pub changes: BTreeMap<Digest, Vec<Change>>,
    /// Contents that were asked for.
    pub asked: BTreeSet<Digest>,
    /// Cited passages that were opened.
    pub passages: BTreeMap<Citation, Result<Around, String>>,
    /// What the last search found.
    pub found: Option<(String, Result<Vec<Hit>, String>)>,
    /// The runs there are.
    pub runs: Option<Vec<RunLine>>,
    /// What guardians found, of every run; none until it was asked for.
    pub found_by_guardians: Option<Vec<Brief>>,
    /// Names that `@` finds; none until they were asked for.
    pub names: Option<Vec<String>>,
    /// How often each command was used here.
    pub used: BTreeMap<&'static str, u32>,
    /// How often the person was called while away.
    pub calls: u32,
    /// Whether the next [`crate::keys::Action::Stop`] leaves.
    pub leaving: Leaving,
    /// How often the person asked for everything anew.
    pub redraws: u32,
}

/// How near the end is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Leaving {
    /// Not.
    #[default]
    No,
    /// Once more, and it ends.
    Asked,
    /// It ends.
    Now,
}

/// What the program does for the person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Working {
    /// Nothing.
    #[default]
    Resting,
    /// Gets a run ready: reads the folder, makes the models.
    Preparing {
        /// What was asked.
        question: String,
        /// How far it is.
        words: String,
    },
    /// Drives a run.
    Driving,
    /// Drives a run, and was told to stop.
    Stopping,
}

/// A piece of the conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// What the person asked.
    Asked(String),
    /// One thing that happened.
    Line {
        /// How it is meant.
        tone: Tone,
        /// Its mark.
        mark: char,
        /// What.
        text: String,
    },
    /// The end of a run.
    Answer(Box<Report>),
    /// Something told.
    Told(Told),
}

impl Block {
    /// One thing that happened.
    pub fn line(tone: Tone, mark: char, text: impl Into<String>) -> Self {
        Self::Line { tone, mark, text: text.into() }
    }
}

/// What lies over the conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Pane {
    /// Nothing.
    #[default]
    Conversation,
    /// The keys.
    Help {
        /// First line shown.
        top: usize,
    },
    /// The modules.
    Plan {
        /// How they are laid out.
        layout: Layout,
        /// Which one stands out, in the order of the plan.
        chosen: usize,
    },
    /// One module.
    Module {
        /// Which.
        module: ModuleId,
        /// First line shown.
        top: usize,
    },
    /// What one module changed.
    Changes {
        /// Which.
        module: ModuleId,
        /// First line shown.
        top: usize,
    },
    /// Questions that wait.
    Approvals {
        /// Which one stands out.
        chosen: usize,
        /// An answer in words, on its way.
        words: String,
    },
    /// Costs, models, tiers, receipts.
    Trust {
        /// First line shown.
        top: usize,
    },
    /// Search.
    Commons {
        /// What is looked for.
        query: String,
        /// Which passage stands out.
        chosen: usize,
    },
    /// What guardians found of the run in view.
    Briefs {
        /// Which one stands out.
        chosen: usize,
    },
    /// What can be ordered.
    Orders {
        /// On which brief; on the run where there is none.
        brief: Option<Box<Brief>>,
        /// Which one stands out.
        chosen: usize,
    },
    /// Settings.
    Settings {
        /// Which one stands out.
        chosen: usize,
    },
    /// The runs there are.
    Runs {
        /// Which one stands out.
        chosen: usize,
    },
    /// Sources of the answer.
    Sources {
        /// Which one stands out.
        chosen: usize,
    },
}

/// How the plan is laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// By what needs what.
    #[default]
    Tree,
    /// By where each is.
    Board,
}

impl View {
    /// An empty conversation.
    pub fn new(size: Size, theme: Theme, keys: Keys) -> Self {
        Self {
            size,
            theme,
            keys,
            at: Millis::default(),
            looking: Looking::Here,
            setup: None,
            composer: Composer::default(),
            proposal: 0,
            blocks: Vec::new(),
            watched: None,
            drafts: Drafts::default(),
            work: Working::Resting,
            adding: None,
            queue: VecDeque::new(),
            sent: BTreeSet::new(),
            pane: Pane::Conversation,
            contents: BTreeMap::new(),
            changes: BTreeMap::new(),
            asked: BTreeSet::new(),
            passages: BTreeMap::new(),
            found: None,
            runs: None,
            found_by_guardians: None,
            names: None,
            used: BTreeMap::new(),
            calls: 0,
            leaving: Leaving::No,
            redraws: 0,
        }
    }

    /// Questions of the run in view that wait for an answer, oldest first.
    pub fn waiting(&self) -> Vec<(ApprovalId, &Approval)> {
        let mut waiting = self.watched.as_ref().map(Watched::waiting).unwrap_or_default();
        waiting.retain(|(id, _)| !self.sent.contains(id));
        waiting
    }

    /// What guardians found of the run in view, the latest first.
    pub fn briefs(&self) -> Vec<&Brief> {
        let run = self.watched.as_ref().map(|watched| watched.run);
        let all = self.found_by_guardians.iter().flatten().rev();
        all.filter(|brief| Some(brief.run) == run).collect()
    }

    /// Whether something on the screen depends on the clock.
    pub fn ticks(&self) -> bool {
        match &self.work {
            Working::Driving | Working::Stopping => true,
            Working::Resting | Working::Preparing { .. } => self.watched.as_ref().is_some_and(Watched::goes_on),
        }
    }

    /// Whether a run goes on here or is made ready.
    pub fn is_busy(&self) -> bool {
        !matches!(self.work, Working::Resting)
    }

    /// Adds to the conversation.
    pub fn say(&mut self, block: Block) {
        self.blocks.push(block);
    }

    /// Calls the person, where they look elsewhere.
    pub fn call(&mut self) {
        if self.looking == Looking::Away {
            self.calls += 1;
        }
    }

    /// The report of the run in view.
    pub fn report(&self) -> Option<&Report> {
        self.watched.as_ref()?.report.as_deref()
    }
}
