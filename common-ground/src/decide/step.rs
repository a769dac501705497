//! Starting and finishing calls: granted, affordable, in order, and never made twice.

use receipts::Digest;

use crate::{
    budget::Amount,
    command::Ctx,
    fact::Fact,
    id::StepIndex,
    module::{CallKind, Owner, Step, StepState},
    refusal::Refusal,
    run::{Phase, Run},
};

/// A call about to be made.
pub(super) struct Starting<'a> {
    pub owner: Owner,
    pub step: StepIndex,
    pub call: &'a CallKind,
    pub request: Digest,
    pub reserve: Amount,
}

/// The steps of an owner whose lease, if it needs one, is the latest.
fn steps(run: &Run, owner: Owner) -> Result<&[Step], Refusal> {
    match owner {
        Owner::Role { role } => Ok(run.role_steps.get(&role).map_or(&[], Vec::as_slice)),
        Owner::Attempt { module, attempt, epoch } => {
            let lease = super::leased(run, module, epoch)?;
            if lease.attempt != attempt {
                return Err(Refusal::Stale { module, epoch });
            }
            Ok(super::module(run, module)?.attempt().map_or(&[], |open| open.steps.as_slice()))
        }
    }
}

pub(super) fn start(run: &Run, ctx: &Ctx, starting: &Starting<'_>) -> Result<Vec<Fact>, Refusal> {
    super::at_work(run)?;
    let steps = steps(run, starting.owner)?;
    let index = starting.step.0 as usize;
    if let Some(recorded) = steps.get(index) {
        return again(starting, recorded);
    }
    if index != steps.len() {
        return Err(Refusal::WrongStep { step: starting.step });
    }
    granted(run, starting)?;
    if run.task.wall_ms > 0 && ctx.at.since(run.opened) > run.task.wall_ms {
        return Err(Refusal::OutOfTime);
    }
    let mut room = run.account.room();
    if let Owner::Attempt { module, .. } = starting.owner {
        room = super::module(run, module)?.account.room().clamp_to(room);
    }
    if !starting.reserve.fits(room) {
        return Err(Refusal::OverBudget { need: starting.reserve, room });
    }
    Ok(vec![Fact::StepStarted {
        owner: starting.owner,
        step: starting.step,
        call: starting.call.clone(),
        request: starting.request,
        reserved: starting.reserve,
    }])
}

/// A recorded step asked for again: only one in doubt, unchanged and idempotent, is made again.
fn again(starting: &Starting<'_>, recorded: &Step) -> Result<Vec<Fact>, Refusal> {
    let step = starting.step;
    if recorded.request != starting.request || recorded.call != *starting.call {
        return Err(Refusal::Diverged { step });
    }
    match (&recorded.state, &recorded.call) {
        (StepState::Finished { .. }, _) => Err(Refusal::WrongStep { step }),
        (StepState::Started, CallKind::Tool { idempotent: false, .. }) => Err(Refusal::InDoubt { step }),
        (StepState::Started, CallKind::Tool { idempotent: true, .. } | CallKind::Model { .. }) => {
            Ok(vec![Fact::StepRetried { owner: starting.owner, step }])
        }
    }
}

fn granted(run: &Run, starting: &Starting<'_>) -> Result<(), Refusal> {
    match (starting.call, starting.owner) {
        (CallKind::Model { model }, _) if *model != run.task.model => Err(Refusal::NotGranted { name: model.clone() }),
        (CallKind::Model { .. }, _) => Ok(()),
        (CallKind::Tool { tool, .. }, Owner::Attempt { module, .. })
            if super::module(run, module)?.spec.tools.contains(tool) =>
        {
            Ok(())
        }
        (CallKind::Tool { tool, .. }, _) => Err(Refusal::NotGranted { name: tool.clone() }),
    }
}

/// The step must be started and not finished; `fact` is what is then recorded. A paused run still takes the results of
/// calls under way; one that is over has settled them.
pub(super) fn finish(run: &Run, owner: Owner, step: StepIndex, fact: Fact) -> Result<Vec<Fact>, Refusal> {
    if matches!(run.phase, Phase::Closed { .. }) {
        return Err(Refusal::NotOpen);
    }
    match steps(run, owner)?.get(step.0 as usize).map(|recorded| &recorded.state) {
        Some(StepState::Started) => Ok(vec![fact]),
        Some(StepState::Finished { .. }) | None => Err(Refusal::WrongStep { step }),
    }
}
