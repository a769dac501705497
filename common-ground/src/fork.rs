//! A run begun from another at one of its places: what it takes over from there, and where it comes from.
//!
//! Accepted modules are taken over as they are, with their deliverables, receipts and the steps that led to them. Everything
//! else of the plan is taken over as it was asked, and is worked anew: what was begun, sent back, held, given up or failed.
//! It takes over no spending, no answers of the person and no leases, for those were the other run's; what an order forbade
//! there stays forbidden.
//!
//! **Invariant:** a plan is taken over whole or not at all: where the place lies within a plan that is being written down,
//! the fork begins before that plan.

use std::collections::BTreeSet;

use receipts::Digest;
use serde::{Deserialize, Serialize};

use crate::{
    budget::Amount,
    guardian::Suspect,
    id::{Millis, ModuleId, RunId},
    module::{AttemptEnd, Judgement, Lease, Life, Module, ModuleSpec, Step},
    role::Roster,
    run::{PlanReason, Run, Task},
};

/// Where a run comes from: another run, as it was at one of its places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// The run.
    pub run: RunId,
    /// The last fact of it that counts, from 1.
    pub place: u64,
    /// That fact's link in the chain of the run, which no other history of it has.
    pub link: Digest,
}

/// What a fork begins with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Beginning {
    /// What was asked, with what orders forbade since.
    pub task: Task,
    /// Who plays which role from now on.
    pub roster: Roster,
    /// The most it may use: what the other run was allowed there, with nothing used yet.
    pub limit: Amount,
    /// Wall time in milliseconds since the fork; 0 for none.
    pub wall_ms: u64,
    /// Why the plan is as it is; empty where there was none, and the plan is made anew.
    pub plan: Vec<PlanReason>,
    /// The modules in the order of the plan.
    pub modules: Vec<Taken>,
    /// What is used no more, by order.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub quarantined: BTreeSet<Suspect>,
}

/// A module of the other run's plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Taken {
    /// Which; it keeps its id.
    pub module: ModuleId,
    /// What is asked of it.
    pub spec: ModuleSpec,
    /// What was accepted; none where it is worked anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<Box<Kept>>,
}

/// What was accepted of a module, and stays so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// The run that accepted it and sealed its receipt: the other one, or one that it was itself forked from.
    pub run: RunId,
    /// Under which lease it was made there.
    pub lease: Lease,
    /// When that attempt began.
    pub started: Millis,
    /// When it was accepted.
    pub accepted: Millis,
    /// What was accepted.
    pub deliverable: Digest,
    /// Its receipt.
    pub receipt: Digest,
    /// The steps that led to it, for modules that read them; not the Verifier's.
    pub steps: Vec<Step>,
    /// What the Verifier found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judgement: Option<Judgement>,
}

impl Beginning {
    /// What a fork of `run`, as it stands, begins with.
    pub fn of(run: &Run, roster: &Roster) -> Self {
        let plan = if run.is_plan_whole() { run.plan.len() } else { run.plan.len().saturating_sub(1) };
        let taken = |id: &ModuleId| {
            let module = run.modules.get(id)?;
            Some(Taken { module: *id, spec: module.spec.clone(), kept: kept(run, module).map(Box::new) })
        };
        Self {
            task: run.task.clone(),
            roster: roster.clone(),
            limit: run.account.limit(),
            wall_ms: run.wall_ms,
            plan: run.plan.iter().take(plan).cloned().collect(),
            modules: run.whole().iter().filter_map(taken).collect(),
            quarantined: run.quarantined.keys().cloned().collect(),
        }
    }

    /// Modules that stay accepted.
    pub fn kept(&self) -> usize {
        self.modules.iter().filter(|taken| taken.kept.is_some()).count()
    }
}

fn kept(run: &Run, module: &Module) -> Option<Kept> {
    let Life::Accepted { lease, deliverable, receipt } = &module.life else { return None };
    let attempt = module.attempt()?;
    let AttemptEnd::Accepted { at } = attempt.end else { return None };
    let worked = attempt.submitted_after.map_or(attempt.steps.len(), |steps| steps as usize);
    Some(Kept {
        run: module.kept_from.unwrap_or(run.id),
        lease: *lease,
        started: attempt.started,
        accepted: at,
        deliverable: *deliverable,
        receipt: *receipt,
        steps: attempt.steps.iter().take(worked).cloned().collect(),
        judgement: attempt.judgement.clone(),
    })
}
