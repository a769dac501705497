//! What a fork begins as: the state that its first fact makes, out of that fact alone.

use crate::{
    fork::{Beginning, Kept, Origin},
    id::{Millis, RunId},
    module::{Attempt, AttemptEnd, Life},
    run::{PauseReason, Phase, Run},
};

/// The run stands still until the person lets it go on.
pub(super) fn begun(id: RunId, at: Millis, origin: Origin, begins: &Beginning) -> Result<Run, &'static str> {
    let mut run = super::opened(id, &begins.task, &begins.roster, at);
    run.origin = Some(origin);
    run.phase = Phase::Paused { reason: PauseReason::Interrupt };
    run.account.set_limit(begins.limit);
    run.wall_ms = begins.wall_ms;
    run.plan.clone_from(&begins.plan);
    run.quarantined = begins.quarantined.iter().map(|what| (what.clone(), at)).collect();
    for taken in &begins.modules {
        super::proposed(&mut run, taken.module, &taken.spec)?;
        if let Some(kept) = &taken.kept {
            keep(&mut run, taken.module, kept)?;
        }
    }
    run.announced = run.order.len();
    Ok(run)
}

/// Makes a module accepted as it was in the other run. Nothing of it is booked here: it was paid there.
fn keep(run: &mut Run, id: crate::id::ModuleId, kept: &Kept) -> super::Applied {
    let module = run.modules.get_mut(&id).ok_or("no such module")?;
    if module.missing > 0 {
        return Err("it was accepted before what it needs");
    }
    module.kept_from = Some(kept.run);
    module.attempts.push(Attempt {
        number: kept.lease.attempt,
        started: kept.started,
        lease: kept.lease,
        steps: kept.steps.clone(),
        deliverable: Some(kept.deliverable),
        submitted_after: u32::try_from(kept.steps.len()).ok(),
        compactions: Vec::new(),
        orders: Vec::new(),
        heard: Vec::new(),
        judgement: kept.judgement.clone(),
        end: AttemptEnd::Accepted { at: kept.accepted },
    });
    super::change(run, id, |_ready| {
        Ok(Life::Accepted { lease: kept.lease, deliverable: kept.deliverable, receipt: kept.receipt })
    })
}
