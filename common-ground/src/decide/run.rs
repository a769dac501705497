//! Opening, pausing, resuming, cancelling and closing, for runs and modules.

use std::collections::BTreeSet;

use receipts::Digest;

use crate::{
    approval::{Answer, Approval, Question},
    budget::Amount,
    command::Ctx,
    fact::Fact,
    fork::{Beginning, Origin},
    id::{ApprovalId, ModuleId, RunId},
    module::{AttemptEnd, EndReason, Life},
    refusal::{Refusal, Wanted},
    role::{Role, Roster},
    run::{Outcome, PauseReason, Phase, Run, Task},
};

pub(super) fn open(run: RunId, task: &Task, roster: &Roster, ctx: &Ctx) -> Result<Vec<Fact>, Refusal> {
    if let Some(key) = roster.shared_key() {
        return Err(Refusal::SharedKey { key });
    }
    if !roster.holds(ctx.by, Role::Partner) {
        return Err(Refusal::NotAllowed { role: Role::Partner });
    }
    Ok(vec![Fact::RunOpened { run, task: Box::new(task.clone()), roster: Box::new(roster.clone()) }])
}

/// A fork is the person's alone: it is allowed as much again as the run that it comes from was.
pub(super) fn fork(
    run: RunId,
    roster: &Roster,
    of: &Run,
    (place, link): (u64, Digest),
    ctx: &Ctx,
) -> Result<Vec<Fact>, Refusal> {
    if let Some(key) = roster.shared_key() {
        return Err(Refusal::SharedKey { key });
    }
    if !roster.holds(ctx.by, Role::Person) {
        return Err(Refusal::NotAllowed { role: Role::Person });
    }
    if run == of.id {
        return Err(Refusal::AlreadyOpen);
    }
    let from = Origin { run: of.id, place, link };
    Ok(vec![Fact::RunForked { run, from, begins: Box::new(Beginning::of(of, roster)) }])
}

pub(super) fn answer(run: &Run, id: ApprovalId, answer: &Answer, ctx: &Ctx) -> Result<Vec<Fact>, Refusal> {
    let waits = |approval: &Approval| {
        let live = run.modules.get(&approval.module).is_some_and(|module| !module.life.is_over());
        live && approval.answer.is_none()
    };
    match run.approvals.get(&id) {
        Some(approval) if waits(approval) && !approval.question.takes(answer) => {
            Err(Refusal::WrongAnswer { approval: id })
        }
        Some(approval) if waits(approval) => {
            let mut facts = vec![Fact::ApprovalAnswered { approval: id, answer: answer.clone(), by: ctx.by }];
            // A module that must not begin is given up.
            if let (Question::Verdict { .. }, Answer::Deny) = (&approval.question, answer) {
                facts.extend(cancel_module(run, approval.module)?);
            }
            Ok(facts)
        }
        Some(_) | None => Err(Refusal::NoApproval { approval: id }),
    }
}

pub(super) fn pause_module(run: &Run, id: ModuleId, reason: PauseReason) -> Result<Vec<Fact>, Refusal> {
    let life = &super::module(run, id)?.life;
    if life.is_over() || matches!(life, Life::Paused { .. }) {
        return Err(Refusal::NotNow { module: id, wanted: Wanted::Live });
    }
    Ok(vec![Fact::ModulePaused { module: id, reason }])
}

pub(super) fn resume_module(run: &Run, id: ModuleId) -> Result<Vec<Fact>, Refusal> {
    match &super::module(run, id)?.life {
        Life::Paused { .. } => Ok(vec![Fact::ModuleResumed { module: id }]),
        _not_paused => Err(Refusal::NotNow { module: id, wanted: Wanted::Paused }),
    }
}

pub(super) fn cancel_module(run: &Run, id: ModuleId) -> Result<Vec<Fact>, Refusal> {
    if super::module(run, id)?.life.is_over() {
        return Err(Refusal::NotNow { module: id, wanted: Wanted::Live });
    }
    let mut facts = cancelled(run, id);
    facts.extend(cancel_dependents(run, id));
    Ok(facts)
}

/// The terminal fact of the open attempt, if there is one, then the module's own.
fn cancelled(run: &Run, id: ModuleId) -> Vec<Fact> {
    let mut facts = Vec::new();
    let open = run.modules.get(&id).and_then(|module| module.attempt()).filter(|a| a.end == AttemptEnd::Open);
    if let Some(attempt) = open {
        facts.push(Fact::AttemptEnded { module: id, attempt: attempt.number, end: EndReason::Cancelled });
    }
    facts.push(Fact::ModuleCancelled { module: id });
    facts
}

/// Cancels every live module that needs `id`, directly or not.
pub(super) fn cancel_dependents(run: &Run, id: ModuleId) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut seen = BTreeSet::new();
    let mut open = vec![id];
    while let Some(next) = open.pop() {
        for dependent in run.dependents.get(&next).into_iter().flatten() {
            let live = run.modules.get(dependent).is_some_and(|module| !module.life.is_over());
            if live && seen.insert(*dependent) {
                facts.extend(cancelled(run, *dependent));
                open.push(*dependent);
            }
        }
    }
    facts
}

pub(super) fn pause(run: &Run, reason: PauseReason) -> Result<Vec<Fact>, Refusal> {
    super::at_work(run)?;
    Ok(vec![Fact::RunPaused { run: run.id, reason }])
}

pub(super) fn resume(run: &Run) -> Result<Vec<Fact>, Refusal> {
    match run.phase {
        Phase::Paused { .. } => match run.quarantined.keys().find(|what| run.task.models.names(what)) {
            Some(what) => Err(Refusal::Quarantined { what: what.clone() }),
            None => Ok(vec![Fact::RunResumed { run: run.id }]),
        },
        Phase::Open | Phase::Closed { .. } => Err(Refusal::NotOpen),
    }
}

/// A larger budget; never a smaller one.
pub(super) fn raise(run: &Run, limit: Amount, wall_ms: u64) -> Result<Vec<Fact>, Refusal> {
    if matches!(run.phase, Phase::Closed { .. }) {
        return Err(Refusal::NotOpen);
    }
    let limit = limit.largest(run.account.limit());
    let wall_ms = if wall_ms == 0 || run.wall_ms == 0 { 0 } else { wall_ms.max(run.wall_ms) };
    if limit == run.account.limit() && wall_ms == run.wall_ms {
        return Ok(Vec::new());
    }
    Ok(vec![Fact::BudgetRaised { limit, wall_ms }])
}

pub(super) fn cancel(run: &Run) -> Result<Vec<Fact>, Refusal> {
    if matches!(run.phase, Phase::Closed { .. }) {
        return Err(Refusal::NotOpen);
    }
    let mut facts = Vec::new();
    for id in &run.order {
        if run.modules.get(id).is_some_and(|module| !module.life.is_over()) {
            facts.extend(cancelled(run, *id));
        }
    }
    facts.push(Fact::RunClosed { run: run.id, outcome: Outcome::Cancelled, report: None });
    Ok(facts)
}

/// A run ends as its modules bear out, and not before they are over.
pub(super) fn close(run: &Run, outcome: Outcome, report: Option<Digest>) -> Result<Vec<Fact>, Refusal> {
    super::at_work(run)?;
    let all_accepted =
        !run.modules.is_empty() && run.modules.values().all(|module| matches!(module.life, Life::Accepted { .. }));
    let borne_out = match outcome {
        Outcome::Completed => all_accepted && report.is_some(),
        Outcome::NotAccepted | Outcome::Failed | Outcome::Refused => run.live() == 0 && !all_accepted,
        Outcome::Cancelled => false,
    };
    if !borne_out {
        return Err(Refusal::WrongOutcome);
    }
    Ok(vec![Fact::RunClosed { run: run.id, outcome, report }])
}
