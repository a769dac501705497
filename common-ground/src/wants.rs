//! What is outstanding in a state.

use crate::{
    action::Action,
    id::Millis,
    module::Life,
    run::{Phase, Run, State},
};

/// Everything the shell should have under way or should do now. Actions under way are named again each time; the shell
/// knows them by module and epoch.
pub fn wants(state: &State) -> Vec<Action> {
    let State::Run(run) = state else { return Vec::new() };
    match run.phase {
        Phase::Closed { .. } | Phase::Paused { .. } => Vec::new(),
        Phase::Open if run.plan.is_empty() => vec![Action::Plan],
        Phase::Open if run.live == 0 => vec![Action::Report],
        Phase::Open if run.is_drained() => vec![Action::Stand],
        Phase::Open => open(run),
    }
}

fn open(run: &Run) -> Vec<Action> {
    let mut actions = Vec::new();
    let mut wake: Option<Millis> = None;
    for id in &run.judged {
        if let Some(Life::Judged { lease, .. }) = run.modules.get(id).map(|module| &module.life) {
            actions.push(Action::Seal { module: *id, lease: *lease });
        }
    }
    for id in &run.submitted {
        if let Some(Life::Submitted { lease, deliverable }) = run.modules.get(id).map(|module| &module.life) {
            actions.push(Action::Verify { module: *id, lease: *lease, deliverable: *deliverable });
        }
    }
    for id in run.leased.keys() {
        if let Some(Life::Leased(lease)) = run.modules.get(id).map(|module| &module.life) {
            wake = Some(wake.map_or(lease.until, |earliest| earliest.min(lease.until)));
            actions.push(Action::Work { module: *id, lease: *lease });
        }
    }
    let slots = if run.draining { 0 } else { (run.task.parallel as usize).saturating_sub(run.leased.len()) };
    for (module, associate) in run.ready.iter().zip(&run.free).take(slots) {
        actions.push(Action::Claim { module: *module, associate: *associate });
    }
    actions.extend(wake.map(Action::WakeAt));
    actions
}
