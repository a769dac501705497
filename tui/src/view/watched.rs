//! A run as it is watched: the state that its facts make, by the same rule that the program lives by.

use std::collections::BTreeMap;

use common_ground::{
    ApprovalId, Digest, Fact, Millis, ModuleId, PublicKey, Run, RunId, State, apply,
    approval::Approval,
    grant::{Access, Item},
    module::{CallKind, Life, Module, Step, StepState},
    report::Report,
    role::Roster,
    run::Phase,
};

use super::{Block, narrate};
use crate::{
    event::{Placed, ReceiptState, Work},
    theme::Tone,
};

/// A run that is watched.
#[derive(Clone, Debug, PartialEq)]
pub struct Watched {
    /// Which.
    pub run: RunId,
    /// What its facts make.
    pub state: State,
    /// The last fact.
    pub seq: u64,
    /// When it happened.
    pub at: Millis,
    /// After which fact each module was accepted, of those that this run accepted itself.
    pub accepted: BTreeMap<ModuleId, u64>,
    /// Its report, once it is closed.
    pub report: Option<Box<Report>>,
    /// Receipts that are further than sealed.
    pub further: BTreeMap<Digest, ReceiptState>,
    /// Why its record cannot be followed, where that is so.
    pub fault: Option<String>,
    /// Whether a program works on it.
    pub work: Work,
}

impl Watched {
    /// A run of which no fact is known yet.
    pub fn new(run: RunId) -> Self {
        Self {
            run,
            state: State::Unopened,
            seq: 0,
            at: Millis::default(),
            accepted: BTreeMap::new(),
            report: None,
            further: BTreeMap::new(),
            fault: None,
            work: Work::GoesOn,
        }
    }

    /// Takes the next fact, and gives what it means in words. A fact that was seen before says nothing, and so does one that
    /// does not follow: who tells the record tells what is between.
    pub fn take(&mut self, placed: &Placed) -> Vec<Block> {
        if placed.seq != self.seq + 1 || self.fault.is_some() {
            return Vec::new();
        }
        self.seq = placed.seq;
        self.at = placed.at;
        if let Err(impossible) = apply(&mut self.state, placed.at, &placed.fact) {
            let text = format!("the record of this run cannot be followed: {impossible}; `ii doctor` looks into it");
            self.fault = Some(text.clone());
            return vec![Block::line(Tone::Bad, '!', text)];
        }
        if let (Fact::RunClosed { .. }, Some(report)) = (&placed.fact, &placed.report) {
            self.report = Some(report.clone());
        }
        if let Fact::ModuleAccepted { module, .. } = &placed.fact {
            self.accepted.insert(*module, placed.seq);
        }
        self.work = match &placed.fact {
            Fact::RunForked { .. } | Fact::RunClosed { .. } | Fact::RunPaused { .. } => Work::Rests,
            Fact::RunOpened { .. } | Fact::RunResumed { .. } => Work::GoesOn,
            _other => self.work,
        };
        let Some(run) = self.state.run() else { return Vec::new() };
        narrate::blocks(run, placed)
    }

    /// The run, once it is open.
    pub fn run(&self) -> Option<&Run> {
        self.state.run()
    }

    /// Its modules in the order of the plan, numbered from 1.
    pub fn modules(&self) -> impl Iterator<Item = (usize, ModuleId, &Module)> {
        let run = self.state.run();
        let order = run.map(|run| run.order.as_slice()).unwrap_or_default();
        (1..).zip(order).filter_map(move |(number, id)| Some((number, *id, run?.modules.get(id)?)))
    }

    /// Questions that wait, oldest first.
    pub fn waiting(&self) -> Vec<(ApprovalId, &Approval)> {
        let Some(run) = self.state.run() else { return Vec::new() };
        if matches!(run.phase, Phase::Closed { .. }) {
            return Vec::new();
        }
        let open = run.approvals.iter().filter(|(_, approval)| approval.answer.is_none());
        open.map(|(id, approval)| (*id, approval)).collect()
    }

    /// Whether a program works on it.
    pub fn goes_on(&self) -> bool {
        self.work == Work::GoesOn && matches!(self.state.run().map(|run| &run.phase), Some(Phase::Open))
    }

    /// How far a receipt is.
    pub fn receipt(&self, receipt: Digest) -> ReceiptState {
        self.further.get(&receipt).copied().unwrap_or_default()
    }

    /// Modules accepted, and all there are.
    pub fn done(&self) -> (usize, usize) {
        let accepted = self.modules().filter(|(_, _, module)| matches!(module.life, Life::Accepted { .. })).count();
        (accepted, self.modules().count())
    }

    /// Milliseconds from the opening to the last fact, or to now while it goes on.
    pub fn age(&self, now: Millis) -> u64 {
        let Some(run) = self.state.run() else { return 0 };
        let end = if self.goes_on() { now.max(self.at) } else { self.at };
        end.since(run.opened)
    }
}

/// Whether a call is over that might write: only of those the record can tell of changed files.
pub fn changing(step: &Step) -> bool {
    let writes = |need: &Item| matches!(need, Item::Path { access: Access::Write, .. });
    let might = matches!(&step.call, CallKind::Tool { needs, .. } if needs.iter().any(writes));
    might && matches!(step.state, StepState::Finished { traced: Some(_), .. })
}

/// Whether a module has such a call.
pub fn may_have_changed(module: &Module) -> bool {
    module.attempts.iter().any(|attempt| attempt.steps.iter().any(changing))
}

/// Who acts under a key, in words.
pub fn who(roster: &Roster, key: PublicKey) -> String {
    if key == roster.person {
        "you".to_owned()
    } else if key == roster.principal {
        "Principal".to_owned()
    } else if key == roster.verifier {
        "Verifier".to_owned()
    } else if key == roster.node {
        "node".to_owned()
    } else {
        let place = roster.associates.iter().position(|associate| *associate == key);
        place.map_or_else(|| "unknown key".to_owned(), |place| format!("Associate {}", place + 1))
    }
}
