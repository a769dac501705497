//! Taking, keeping and losing leases.

use crate::{
    command::Ctx,
    fact::Fact,
    id::{Epoch, ModuleId},
    module::Life,
    refusal::{Refusal, Wanted},
    run::Run,
};

pub(super) fn claim(run: &Run, id: ModuleId, ctx: &Ctx) -> Result<Vec<Fact>, Refusal> {
    super::at_work(run)?;
    let module = super::module(run, id)?;
    if run.draining {
        return Err(Refusal::NoSlot { associate: ctx.by });
    }
    let Life::Ready(turn) = &module.life else {
        return Err(Refusal::NotNow { module: id, wanted: Wanted::Ready });
    };
    if !run.free.contains(&ctx.by) || run.leased.len() >= run.task.parallel as usize {
        return Err(Refusal::NoSlot { associate: ctx.by });
    }
    Ok(vec![Fact::AttemptLeased {
        module: id,
        attempt: turn.attempt,
        epoch: turn.epoch,
        associate: ctx.by,
        until: ctx.at.plus(run.task.lease_ms),
    }])
}

pub(super) fn renew(run: &Run, id: ModuleId, epoch: Epoch, ctx: &Ctx) -> Result<Vec<Fact>, Refusal> {
    super::leased(run, id, epoch)?;
    Ok(vec![Fact::LeaseRenewed { module: id, epoch, until: ctx.at.plus(run.task.lease_ms) }])
}

/// Leases past their end, or all of them when the process that worked under them is gone.
pub(super) fn reclaim(run: &Run, holder_gone: bool, ctx: &Ctx) -> Result<Vec<Fact>, Refusal> {
    let mut facts = Vec::new();
    for id in run.leased.keys() {
        if let Life::Leased(lease) = &super::module(run, *id)?.life
            && (holder_gone || lease.until <= ctx.at)
        {
            facts.push(Fact::LeaseLost { module: *id, attempt: lease.attempt, epoch: lease.epoch });
        }
    }
    Ok(facts)
}
