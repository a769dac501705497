//! Adding modules to the plan.

use std::collections::BTreeSet;

use crate::{
    fact::Fact,
    id::ModuleId,
    module::{Life, ModuleSpec},
    refusal::Refusal,
    run::{PauseReason, PlanReason, Run},
};

/// Inputs may only name modules proposed before, so the graph can have no cycle, and none that was given up, so that no
/// module waits for ever.
pub(super) fn propose(run: &Run, plan: &PlanReason, modules: &[(ModuleId, ModuleSpec)]) -> Result<Vec<Fact>, Refusal> {
    super::at_work(run)?;
    if modules.is_empty() {
        return Err(Refusal::EmptyPlan);
    }
    let mut known: BTreeSet<ModuleId> = BTreeSet::new();
    let mut facts = Vec::with_capacity(modules.len() + 1);
    let count = u32::try_from(modules.len()).unwrap_or(u32::MAX);
    facts.push(Fact::PlanRecorded { plan: plan.clone(), modules: count });
    for (id, spec) in modules {
        if run.modules.contains_key(id) || known.contains(id) {
            return Err(Refusal::Repeated { module: *id });
        }
        let mut share = 0_u32;
        let mut seen = BTreeSet::new();
        for input in &spec.inputs {
            let earlier = run.modules.get(&input.module);
            let given_up = |life: &Life| matches!(life, Life::Cancelled | Life::Failed { .. });
            let can_come = known.contains(&input.module) || earlier.is_some_and(|module| !given_up(&module.life));
            if !can_come || !seen.insert(input.module) {
                return Err(Refusal::BadInput { module: *id, input: input.module });
            }
            share = share.saturating_add(input.share);
        }
        if share > 100 {
            return Err(Refusal::Overshared { module: *id, share });
        }
        if spec.criteria.is_empty() {
            return Err(Refusal::NoCriteria { module: *id });
        }
        known.insert(*id);
        facts.push(Fact::ModuleProposed { module: *id, spec: spec.clone() });
    }
    if run.task.approve_plan && run.plan.is_empty() {
        facts.push(Fact::RunPaused { run: run.id, reason: PauseReason::Approval });
    }
    Ok(facts)
}
