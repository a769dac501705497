//! Starting and finishing calls: granted, affordable, in order, and never made twice.

use receipts::Digest;

use crate::{
    approval::Answer,
    budget::{Amount, BudgetPart},
    command::Ctx,
    fact::Fact,
    grant::{Decision, Item},
    guardian::{RequiredVerdict, Suspect},
    id::{Epoch, ModuleId, StepIndex},
    module::{CallKind, CallOutcome, Compaction, Lease, Life, Owner, Step, StepState, Usage},
    record::Traced,
    refusal::{Refusal, Wanted},
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

/// A call that ended.
pub(super) struct Finishing {
    pub owner: Owner,
    pub step: StepIndex,
    pub outcome: CallOutcome,
    pub response: Digest,
    pub usage: Usage,
    pub traced: Option<Traced>,
}

/// The steps of an owner whose lease, if it needs one, is the latest.
fn steps(run: &Run, owner: Owner) -> Result<&[Step], Refusal> {
    let (module, attempt, lease) = match owner {
        Owner::Role { role } => return Ok(run.role_steps.get(&role).map_or(&[], Vec::as_slice)),
        Owner::Attempt { module, attempt, epoch } => (module, attempt, super::leased(run, module, epoch)?),
        Owner::Verifier { module, attempt, epoch } => (module, attempt, examined(run, module, epoch)?),
    };
    if lease.attempt != attempt {
        return Err(Refusal::Stale { module, epoch: lease.epoch });
    }
    Ok(super::module(run, module)?.attempt().map_or(&[], |open| open.steps.as_slice()))
}

/// The lease under which the deliverable that waits for the Verifier was made.
fn examined(run: &Run, id: ModuleId, epoch: Epoch) -> Result<Lease, Refusal> {
    match &super::module(run, id)?.life {
        Life::Submitted { lease, .. } if lease.epoch == epoch => Ok(*lease),
        Life::Submitted { .. } => Err(Refusal::Stale { module: id, epoch }),
        _not_submitted => Err(Refusal::NotNow { module: id, wanted: Wanted::Submitted }),
    }
}

pub(super) fn start(run: &Run, ctx: &Ctx, starting: &Starting<'_>) -> Result<Vec<Fact>, Refusal> {
    super::at_work(run)?;
    let steps = steps(run, starting.owner)?;
    let index = starting.step.0 as usize;
    if let Some(recorded) = steps.get(index) {
        return again(run, starting, recorded);
    }
    if index != steps.len() {
        return Err(Refusal::WrongStep { step: starting.step });
    }
    granted(run, starting)?;
    if run.wall_ms > 0 && ctx.at.since(run.opened) > run.wall_ms {
        return Err(Refusal::OutOfTime);
    }
    let mut room = run.account.room();
    if let Some((module, ..)) = starting.owner.attempt() {
        room = super::module(run, module)?.account.room().clamp_to(room);
    }
    if !starting.reserve.fits(room) {
        return Err(Refusal::OverBudget { need: starting.reserve, room });
    }
    let mut facts = vec![Fact::StepStarted {
        owner: starting.owner,
        step: starting.step,
        call: starting.call.clone(),
        request: starting.request,
        reserved: starting.reserve,
    }];
    facts.extend(warnings(run, ctx, run.account.reserved().plus(starting.reserve)));
    Ok(facts)
}

/// Parts of the budget that run short when `more` is counted as spent, each said once.
fn warnings(run: &Run, ctx: &Ctx, more: Amount) -> Vec<Fact> {
    let wall = (run.wall_ms > 0).then(|| (BudgetPart::Wall, ctx.at.since(run.opened), run.wall_ms));
    let short = run
        .account
        .parts(more)
        .into_iter()
        .chain(wall)
        .filter(|(part, spent, limit)| BudgetPart::is_short(*spent, *limit) && !run.warned.contains(part));
    short.map(|(part, spent, limit)| Fact::BudgetWarned { part, spent, limit }).collect()
}

/// A recorded step asked for again: only one in doubt, unchanged and idempotent, is made again.
fn again(run: &Run, starting: &Starting<'_>, recorded: &Step) -> Result<Vec<Fact>, Refusal> {
    let step = starting.step;
    if recorded.request != starting.request || !is_again(&recorded.call, starting.call) {
        return Err(Refusal::Diverged { step });
    }
    in_use(run, starting.call)?;
    match (&recorded.state, &recorded.call) {
        (StepState::Finished { .. }, _) => Err(Refusal::WrongStep { step }),
        (StepState::Started, CallKind::Tool { idempotent: false, .. }) => Err(Refusal::InDoubt { step }),
        (StepState::Started, CallKind::Tool { idempotent: true, .. } | CallKind::Model { .. }) => {
            Ok(vec![Fact::StepRetried { owner: starting.owner, step }])
        }
    }
}

/// Whether `now` is the recorded call, or that call as it is refused by now.
fn is_again(recorded: &CallKind, now: &CallKind) -> bool {
    match (recorded, now) {
        (
            CallKind::Tool { tool, tool_digest, .. },
            CallKind::Tool { tool: same, tool_digest: unchanged, refused: true, .. },
        ) => tool == same && tool_digest == unchanged,
        (recorded, now) => recorded == now,
    }
}

/// Nothing that an order has set aside is used again.
fn in_use(run: &Run, call: &CallKind) -> Result<(), Refusal> {
    let what = match call {
        CallKind::Model { model } => Suspect::Model(model.clone()),
        CallKind::Tool { refused: true, .. } => return Ok(()),
        CallKind::Tool { tool, .. } => Suspect::Tool(tool.clone()),
    };
    if run.quarantined.contains_key(&what) { Err(Refusal::Quarantined { what }) } else { Ok(()) }
}

fn granted(run: &Run, starting: &Starting<'_>) -> Result<(), Refusal> {
    let models = &run.task.models;
    match (starting.call, starting.owner) {
        (CallKind::Model { model }, owner) => {
            let granted = match owner {
                Owner::Role { .. } => &models.principal,
                Owner::Attempt { .. } => &models.associate,
                Owner::Verifier { .. } => &models.verifier,
            };
            if model == granted { in_use(run, starting.call) } else { Err(Refusal::NotGranted { name: model.clone() }) }
        }
        (CallKind::Tool { tool, needs, refused, .. }, Owner::Attempt { module, .. })
            if super::module(run, module)?.spec.tools.contains(tool) =>
        {
            let verdict = run.task.verdict == RequiredVerdict::Tools;
            if verdict && !matches!(run.verdict(module), Some(Answer::Run)) {
                return Err(Refusal::NoVerdict { module });
            }
            if *refused {
                // What is not made needs nothing.
                return if needs.is_empty() { Ok(()) } else { Err(Refusal::NotGranted { name: tool.clone() }) };
            }
            in_use(run, starting.call)?;
            let grant = &super::module(run, module)?.grant;
            let approved = run.approved(module, starting.step);
            let allowed =
                |need: &&Item| matches!(run.task.permissions.decide(grant, &approved, need), Decision::Allow(_));
            match needs.iter().find(|need| !allowed(need)) {
                Some(need) => Err(Refusal::NotGranted { name: need.to_string() }),
                None => Ok(()),
            }
        }
        (CallKind::Tool { tool, .. }, _) => Err(Refusal::NotGranted { name: tool.clone() }),
    }
}

/// The step must be started and not finished. A paused run still takes the results of calls under way; one that is over
/// has settled them. A part of the budget that runs short is said once.
pub(super) fn finish(run: &Run, ctx: &Ctx, finishing: &Finishing) -> Result<Vec<Fact>, Refusal> {
    let Finishing { owner, step, outcome, response, usage, traced } = *finishing;
    if matches!(run.phase, Phase::Closed { .. }) {
        return Err(Refusal::NotOpen);
    }
    let recorded = steps(run, owner)?.get(step.0 as usize).filter(|recorded| recorded.state == StepState::Started);
    let Some(recorded) = recorded else { return Err(Refusal::WrongStep { step }) };
    if let (CallKind::Tool { tool, refused: true, .. }, CallOutcome::Done) = (&recorded.call, outcome) {
        return Err(Refusal::NotGranted { name: tool.clone() });
    }
    let mut facts = vec![Fact::StepFinished { owner, step, outcome, response, usage, traced }];
    facts.extend(warnings(run, ctx, usage.amount()));
    Ok(facts)
}

/// Said once a step, also when the conversation is replayed after a crash.
pub(super) fn compact(run: &Run, owner: Owner, step: StepIndex, compaction: Compaction) -> Result<Vec<Fact>, Refusal> {
    super::at_work(run)?;
    if step.0 as usize > steps(run, owner)?.len() {
        return Err(Refusal::WrongStep { step });
    }
    let (module, ..) = owner.attempt().ok_or(Refusal::WrongStep { step })?;
    let known =
        super::module(run, module)?.attempt().is_some_and(|open| open.compactions.contains(&(step, compaction)));
    if known { Ok(Vec::new()) } else { Ok(vec![Fact::ContextCompacted { owner, step, compaction }]) }
}
