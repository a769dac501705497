//! What guardians found, and orders that the person signs from the eyes: the ways of `ii guardian briefs` and `order`.

use common_ground::{ModuleId, RunId, guardian::Act};
use guardian::{
    adviser::{self, brief},
    concern,
};
use tui::{
    Event,
    brief::{Brief, Severity},
    event::TellTone,
};

use super::{asks::Shared, looks};
use crate::{cli::guardian::order, guardians};

/// Tells what was found so far, of every run of the home.
pub(super) fn briefs(shared: &Shared<'_>) {
    match guardians::concerns(&shared.program.home) {
        Ok(concerns) => shared.tell(Event::Briefs(concerns.into_iter().map(|one| for_eyes(brief(one))).collect())),
        Err(failure) => {
            shared.tell(Event::Briefs(Vec::new()));
            shared.fail(&failure);
        }
    }
}

fn for_eyes(brief: adviser::Brief) -> Brief {
    let concern = brief.concern;
    Brief {
        run: concern.run,
        module: concern.module,
        severity: match concern.severity {
            concern::Severity::Notice => Severity::Notice,
            concern::Severity::Warning => Severity::Warning,
            concern::Severity::Critical => Severity::Critical,
        },
        rule: concern.rule,
        found: concern.found,
        evidence: concern.evidence,
        next: brief.next,
        options: brief.options.into_iter().map(|choice| (choice.what, choice.command)).collect(),
    }
}

/// Has one thing done by an order that the person signs here.
pub(super) async fn ordered(shared: Shared<'_>, run: RunId, module: Option<ModuleId>, act: Act) {
    let name = act.kind().name();
    let done = order::give(shared.program, run, module, act).await;
    // What came of it is in the run's facts, and a run that is at work here tells them itself.
    if let Err(failure) = looks::catch_up(&shared, run).await {
        shared.fail(&failure);
    }
    match done {
        Ok(()) => shared.say(TellTone::Good, vec![format!("the order was carried out: {name}")]),
        Err(failure) => shared.fail(&failure),
    }
}
