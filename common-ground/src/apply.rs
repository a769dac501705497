//! What a fact changes.
//!
//! **Invariant:** [`apply`] is the only code that changes a [`State`], in replay as in life.

mod forked;
mod obeyed;

use crate::{
    approval::Approval,
    budget::{Account, Amount},
    criterion::Verdict,
    fact::Fact,
    guardian::{Act, OrderLeaf, Registered},
    id::{AttemptNumber, Epoch, Millis, ModuleId},
    module::{
        Attempt, AttemptEnd, EndReason, Judgement, Lease, Life, Module, ModuleSpec, Owner, Step, StepState, Turn,
    },
    run::{Outcome, PauseReason, Phase, Run, State, Task},
    word::{Heard, Word},
};

/// A fact that cannot have happened in this state: the journal was tampered with, or the program is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("fact {fact} does not fit the state: {why}")]
pub struct Impossible {
    /// The fact's name.
    pub fact: String,
    /// What does not fit.
    pub why: &'static str,
}

type Applied = Result<(), &'static str>;

/// Applies one fact that happened at `at`.
pub fn apply(state: &mut State, at: Millis, fact: &Fact) -> Result<(), Impossible> {
    let applied = match (&mut *state, fact) {
        (State::Unopened, Fact::RunOpened { run, task, roster }) => {
            *state = State::Run(Box::new(opened(*run, task, roster, at)));
            Ok(())
        }
        (State::Unopened, Fact::RunForked { run, from, begins }) => {
            forked::begun(*run, at, *from, begins).map(|run| *state = State::Run(Box::new(run)))
        }
        (State::Run(run), _) => applied(run, at, fact),
        (State::Unopened, _) => Err("the run was not opened"),
    };
    applied.map_err(|why| Impossible { fact: format!("{fact:?}").chars().take(80).collect(), why })
}

fn opened(id: crate::id::RunId, task: &Task, roster: &crate::role::Roster, at: Millis) -> Run {
    Run {
        id,
        task: task.clone(),
        roster: roster.clone(),
        origin: None,
        opened: at,
        phase: Phase::Open,
        account: Account::new(task.limit),
        wall_ms: task.wall_ms,
        warned: Default::default(),
        plan: Vec::new(),
        modules: Default::default(),
        order: Vec::new(),
        role_steps: Default::default(),
        approvals: Default::default(),
        charters: Default::default(),
        orders: Default::default(),
        quarantined: Default::default(),
        held_until: None,
        draining: false,
        dependents: Default::default(),
        ready: Default::default(),
        leased: Default::default(),
        submitted: Default::default(),
        judged: Default::default(),
        free: roster.associates.iter().copied().collect(),
        live: 0,
        announced: 0,
        latest: 0,
    }
}

fn applied(run: &mut Run, at: Millis, fact: &Fact) -> Applied {
    let late = matches!(fact, Fact::CommandRefused { .. } | Fact::OrderRefused { .. } | Fact::CharterRefused { .. });
    if matches!(run.phase, Phase::Closed { .. }) && !late {
        return Err("the run was over");
    }
    match fact {
        Fact::RunOpened { .. } | Fact::RunForked { .. } => Err("the run was opened before"),
        Fact::PlanRecorded { plan, modules } => {
            run.plan.push(plan.clone());
            run.latest = *modules as usize;
            run.announced += run.latest;
            Ok(())
        }
        Fact::ModuleProposed { module, spec } => proposed(run, *module, spec),
        Fact::AttemptLeased { module, attempt, epoch, associate, until } => {
            let lease = Lease { attempt: *attempt, epoch: *epoch, associate: *associate, until: *until };
            leased(run, at, *module, lease)
        }
        Fact::LeaseRenewed { module, epoch, until } => renewed(run, *module, *epoch, *until),
        Fact::LeaseLost { module, .. } => lost(run, *module),
        Fact::StepStarted { owner, call, request, reserved, .. } => {
            let step = Step { call: call.clone(), request: *request, reserved: *reserved, state: StepState::Started };
            started(run, *owner, step)
        }
        Fact::StepRetried { .. } | Fact::CommandRefused { .. } | Fact::CharterRefused { .. } => Ok(()),
        Fact::CharterRegistered { charter, terms, .. } => {
            run.charters.insert(terms.guardian, Registered { id: *charter, terms: (**terms).clone() });
            Ok(())
        }
        Fact::OrderExecuted { order: id, act, module, by, until, .. } => {
            obeyed::leaf(
                run,
                *module,
                &OrderLeaf { order: *id, act: Some(act.kind()), by: by.first().copied(), refused: None },
            );
            obeyed::executed(run, at, *id, act, module.is_none().then_some(*until).flatten())
        }
        Fact::OrderRefused { order: id, act, module, by, why, .. } => {
            let act = act.as_ref().map(Act::kind);
            obeyed::leaf(run, *module, &OrderLeaf { order: *id, act, by: by.first().copied(), refused: Some(*why) });
            Ok(())
        }
        Fact::StepFinished { owner, step, outcome, response, usage, traced } => {
            let state = StepState::Finished { outcome: *outcome, response: *response, usage: *usage, traced: *traced };
            finished(run, *owner, step.0 as usize, state)
        }
        Fact::ContextCompacted { owner, step, compaction } => {
            let (module, number, _) = owner.attempt().ok_or("no attempt was compacted")?;
            attempt(run, module, number)?.compactions.push((*step, *compaction));
            Ok(())
        }
        Fact::BudgetWarned { part, .. } => {
            run.warned.insert(*part);
            Ok(())
        }
        Fact::BudgetRaised { limit, wall_ms } => {
            raised(run, *limit, *wall_ms);
            Ok(())
        }
        Fact::ModuleSubmitted { module, deliverable, .. } => submitted(run, *module, *deliverable),
        Fact::ModuleJudged { module, by, verdicts, .. } => judged(run, at, *module, *by, verdicts),
        Fact::ModuleAccepted { module, receipt, .. } => accepted(run, at, *module, *receipt),
        Fact::AttemptEnded { module, attempt, end } => ended(run, at, *module, *attempt, end),
        Fact::ModuleFailed { module, end } => over(run, *module, Life::Failed { reason: end.clone() }),
        Fact::ModuleCancelled { module } => over(run, *module, Life::Cancelled),
        Fact::ModuleBlocked { module, attempt, epoch, approval, question } => {
            let turn = Turn { attempt: *attempt, epoch: epoch.next() };
            run.approvals.insert(*approval, Approval { module: *module, question: (**question).clone(), answer: None });
            change(run, *module, |_| Ok(Life::Blocked { turn, approval: *approval }))
        }
        Fact::ApprovalAnswered { approval, answer, .. } => {
            let entry = run.approvals.get_mut(approval).ok_or("no such approval")?;
            entry.answer = Some(answer.clone());
            let module = entry.module;
            change(run, module, |life| Ok(unblocked(life)))
        }
        Fact::ModuleTold { module, text, by } => told(run, *module, Word { text: *text, by: *by }),
        Fact::WordsHeard { owner, step, words } => {
            let Some((module, number, _)) = owner.attempt() else { return Err("no attempt hears this") };
            attempt(run, module, number)?.heard.push(Heard { step: *step, words: words.clone() });
            Ok(())
        }
        Fact::ModulePaused { module, .. } => change(run, *module, |life| Ok(paused(life))),
        Fact::ModuleResumed { module } => change(run, *module, |life| match life {
            Life::Paused { back } => Ok(*back),
            _other => Err("the module was not paused"),
        }),
        Fact::RunPaused { reason, .. } => run_paused(run, *reason),
        Fact::RunResumed { .. } => {
            run.phase = Phase::Open;
            run.held_until = None;
            run.draining = false;
            Ok(())
        }
        Fact::RunClosed { outcome, report, .. } => {
            closed(run, *outcome, *report);
            Ok(())
        }
    }
}

/// What calls of roles without a result had set aside is booked as spent: they may have happened.
fn closed(run: &mut Run, outcome: Outcome, report: Option<receipts::Digest>) {
    let account = &mut run.account;
    unsettled(run.role_steps.values().flatten()).for_each(|reserved| account.settle(reserved, reserved));
    run.phase = Phase::Closed { outcome, report };
}

/// Every lease is given up: same attempt, next epoch.
fn run_paused(run: &mut Run, reason: PauseReason) -> Applied {
    let leased: Vec<ModuleId> = run.leased.keys().copied().collect();
    for id in leased {
        lost(run, id)?;
    }
    run.phase = Phase::Paused { reason };
    Ok(())
}

/// Moves a module to its next state and keeps the run's sets in step with it.
fn change(run: &mut Run, id: ModuleId, next: impl FnOnce(Life) -> Result<Life, &'static str>) -> Applied {
    let module = run.modules.get_mut(&id).ok_or("no such module")?;
    let before = std::mem::replace(&mut module.life, Life::Cancelled);
    if before.is_over() {
        module.life = before;
        return Err("the module was over");
    }
    unlist(run, id, &before);
    let after = next(before)?;
    match &after {
        Life::Ready(_) => {
            run.ready.insert(id);
        }
        Life::Leased(lease) => {
            run.leased.insert(id, lease.epoch);
            run.free.remove(&lease.associate);
        }
        Life::Submitted { .. } => {
            run.submitted.insert(id);
        }
        Life::Judged { .. } => {
            run.judged.insert(id);
        }
        Life::Proposed | Life::Blocked { .. } | Life::Paused { .. } => {}
        Life::Accepted { .. } | Life::Cancelled | Life::Failed { .. } => run.live -= 1,
    }
    if let Some(module) = run.modules.get_mut(&id) {
        module.life = after;
    }
    Ok(())
}

fn unlist(run: &mut Run, id: ModuleId, before: &Life) {
    run.ready.remove(&id);
    run.submitted.remove(&id);
    run.judged.remove(&id);
    run.leased.remove(&id);
    if let Life::Leased(lease) = before {
        run.free.insert(lease.associate);
    }
}

fn proposed(run: &mut Run, id: ModuleId, spec: &ModuleSpec) -> Applied {
    if run.modules.contains_key(&id) {
        return Err("the module was proposed before");
    }
    let mut missing = 0;
    for input in &spec.inputs {
        let source = run.modules.get(&input.module).ok_or("an input is unknown")?;
        if !matches!(source.life, Life::Accepted { .. }) {
            missing += 1;
        }
        run.dependents.entry(input.module).or_default().push(id);
    }
    let limit = allowed(spec.limit, run.task.limit, run.account.limit());
    let life = if missing == 0 { Life::Ready(FIRST) } else { Life::Proposed };
    if missing == 0 {
        run.ready.insert(id);
    }
    let grant = run.task.grant.meet(&spec.grant);
    let account = Account::new(limit);
    let (attempts, words, kept_from) = (Vec::new(), Vec::new(), None);
    let module = Module { spec: spec.clone(), life, attempts, account, grant, words, kept_from, missing };
    run.modules.insert(id, module);
    run.order.push(id);
    run.live += 1;
    Ok(())
}

/// What a module's first lease has.
const FIRST: Turn = Turn { attempt: AttemptNumber(1), epoch: Epoch(1) };

fn leased(run: &mut Run, at: Millis, id: ModuleId, lease: Lease) -> Applied {
    change(run, id, |life| match life {
        Life::Ready(turn) if turn.attempt == lease.attempt && turn.epoch <= lease.epoch => Ok(Life::Leased(lease)),
        _other => Err("the module was not ready for this lease"),
    })?;
    let module = run.modules.get_mut(&id).ok_or("no such module")?;
    match module.attempts.last_mut() {
        Some(attempt) if attempt.number == lease.attempt => attempt.lease = lease,
        _earlier => module.attempts.push(Attempt {
            number: lease.attempt,
            started: at,
            lease,
            steps: Vec::new(),
            deliverable: None,
            submitted_after: None,
            compactions: Vec::new(),
            orders: Vec::new(),
            heard: Vec::new(),
            judgement: None,
            end: AttemptEnd::Open,
        }),
    }
    Ok(())
}

fn renewed(run: &mut Run, id: ModuleId, epoch: Epoch, until: Millis) -> Applied {
    let module = run.modules.get_mut(&id).ok_or("no such module")?;
    match (&mut module.life, module.attempts.last_mut()) {
        (Life::Leased(lease), Some(attempt)) if lease.epoch == epoch => {
            lease.until = until;
            attempt.lease = *lease;
            Ok(())
        }
        _other => Err("no such lease"),
    }
}

fn next_epoch(lease: Lease) -> Turn {
    Turn { attempt: lease.attempt, epoch: lease.epoch.next() }
}

fn lost(run: &mut Run, id: ModuleId) -> Applied {
    change(run, id, |life| match life {
        Life::Leased(lease) => Ok(Life::Ready(next_epoch(lease))),
        _other => Err("the module was not leased"),
    })
}

fn unblocked(life: Life) -> Life {
    match life {
        Life::Blocked { turn, .. } => Life::Ready(turn),
        Life::Paused { back } => Life::Paused { back: Box::new(unblocked(*back)) },
        other => other,
    }
}

fn paused(life: Life) -> Life {
    let back = match life {
        Life::Leased(lease) => Life::Ready(next_epoch(lease)),
        other => other,
    };
    Life::Paused { back: Box::new(back) }
}

/// The accounts that a call of this owner is booked on: the run's, and the module's.
fn book(run: &mut Run, owner: Owner, booking: impl Fn(&mut Account)) {
    booking(&mut run.account);
    if let Some((module, ..)) = owner.attempt()
        && let Some(module) = run.modules.get_mut(&module)
    {
        booking(&mut module.account);
    }
}

fn steps(run: &mut Run, owner: Owner) -> Result<&mut Vec<Step>, &'static str> {
    match owner {
        Owner::Role { role } => Ok(run.role_steps.entry(role).or_default()),
        Owner::Attempt { module, attempt: number, .. } | Owner::Verifier { module, attempt: number, .. } => {
            Ok(&mut attempt(run, module, number)?.steps)
        }
    }
}

/// The latest attempt of a module, when it has this number.
fn attempt(run: &mut Run, module: ModuleId, number: AttemptNumber) -> Result<&mut Attempt, &'static str> {
    let module = run.modules.get_mut(&module).ok_or("no such module")?;
    module.attempts.last_mut().filter(|open| open.number == number).ok_or("no such attempt")
}

/// What a module may use: its own limit, or all that the run may use now where its own was no less than the run's first.
fn allowed(own: Amount, first: Amount, now: Amount) -> Amount {
    let part = |own: u64, first: u64, now: u64| if own >= first { now } else { own };
    Amount {
        tokens: part(own.tokens, first.tokens, now.tokens),
        cost_micro: part(own.cost_micro, first.cost_micro, now.cost_micro),
        tool_calls: part(own.tool_calls, first.tool_calls, now.tool_calls),
    }
}

fn raised(run: &mut Run, limit: Amount, wall_ms: u64) {
    let first = run.task.limit;
    for module in run.modules.values_mut() {
        module.account.set_limit(allowed(module.spec.limit, first, limit));
    }
    run.account.set_limit(limit);
    run.wall_ms = wall_ms;
    run.warned.clear();
}

fn started(run: &mut Run, owner: Owner, step: Step) -> Applied {
    let reserved = step.reserved;
    steps(run, owner)?.push(step);
    book(run, owner, |account| account.reserve(reserved));
    Ok(())
}

fn finished(run: &mut Run, owner: Owner, index: usize, state: StepState) -> Applied {
    let StepState::Finished { usage, .. } = &state else { return Err("not a result") };
    let used = usage.amount();
    let step = steps(run, owner)?.get_mut(index).ok_or("no such step")?;
    if step.state != StepState::Started {
        return Err("the step was finished before");
    }
    step.state = state;
    let reserved = step.reserved;
    book(run, owner, |account| account.settle(reserved, used));
    Ok(())
}

fn submitted(run: &mut Run, id: ModuleId, deliverable: receipts::Digest) -> Applied {
    change(run, id, |life| match life {
        Life::Leased(lease) => Ok(Life::Submitted { lease, deliverable }),
        _other => Err("the module was not leased"),
    })?;
    let attempt = open_attempt(run, id)?;
    attempt.deliverable = Some(deliverable);
    attempt.submitted_after = u32::try_from(attempt.steps.len()).ok();
    Ok(())
}

fn open_attempt(run: &mut Run, id: ModuleId) -> Result<&mut Attempt, &'static str> {
    let module = run.modules.get_mut(&id).ok_or("no such module")?;
    module.attempts.last_mut().filter(|attempt| attempt.end == AttemptEnd::Open).ok_or("no open attempt")
}

fn judged(run: &mut Run, at: Millis, id: ModuleId, by: receipts::PublicKey, verdicts: &[Verdict]) -> Applied {
    open_attempt(run, id)?.judgement = Some(Judgement { by, at, verdicts: verdicts.to_vec() });
    if verdicts.iter().all(|verdict| verdict.passed) {
        change(run, id, |life| match life {
            Life::Submitted { lease, deliverable } => Ok(Life::Judged { lease, deliverable }),
            _other => Err("the module was not submitted"),
        })
    } else {
        Ok(())
    }
}

fn accepted(run: &mut Run, at: Millis, id: ModuleId, receipt: receipts::Digest) -> Applied {
    change(run, id, |life| match life {
        Life::Judged { lease, deliverable } => Ok(Life::Accepted { lease, deliverable, receipt }),
        _other => Err("the module was not judged"),
    })?;
    settle(run, id)?;
    open_attempt(run, id)?.end = AttemptEnd::Accepted { at };
    let dependents = run.dependents.get(&id).cloned().unwrap_or_default();
    for dependent in dependents {
        let module = run.modules.get_mut(&dependent).ok_or("no such dependent")?;
        module.missing -= 1;
        if module.missing == 0 && !module.life.is_over() {
            change(run, dependent, |life| Ok(ready(life)))?;
        }
    }
    Ok(())
}

fn ready(life: Life) -> Life {
    match life {
        Life::Proposed => Life::Ready(FIRST),
        Life::Paused { back } => Life::Paused { back: Box::new(ready(*back)) },
        other => other,
    }
}

/// What calls without a result have set aside.
fn unsettled<'a>(steps: impl Iterator<Item = &'a Step>) -> impl Iterator<Item = Amount> {
    steps.filter(|step| step.state == StepState::Started).map(|step| step.reserved)
}

/// Books what the open attempt's unfinished calls had set aside as spent: they may have happened.
fn settle(run: &mut Run, id: ModuleId) -> Applied {
    let module = run.modules.get_mut(&id).ok_or("no such module")?;
    let attempt = module.attempts.last().ok_or("no attempt")?;
    for reserved in unsettled(attempt.steps.iter()) {
        module.account.settle(reserved, reserved);
        run.account.settle(reserved, reserved);
    }
    Ok(())
}

/// Ends the open attempt.
fn ended(run: &mut Run, at: Millis, id: ModuleId, number: AttemptNumber, reason: &EndReason) -> Applied {
    let attempt = open_attempt(run, id)?;
    if attempt.number != number {
        return Err("another attempt is open");
    }
    attempt.end = AttemptEnd::Ended { at, reason: reason.clone() };
    let lease = attempt.lease;
    settle(run, id)?;
    let turn = Turn { attempt: AttemptNumber(number.0 + 1), epoch: lease.epoch.next() };
    change(run, id, |life| match life {
        Life::Paused { .. } => Ok(Life::Paused { back: Box::new(Life::Ready(turn)) }),
        _working => Ok(Life::Ready(turn)),
    })
}

fn told(run: &mut Run, id: ModuleId, word: Word) -> Applied {
    let module = run.modules.get_mut(&id).ok_or("no such module")?;
    if module.life.is_over() {
        return Err("the module was over");
    }
    module.words.push(word);
    Ok(())
}

fn over(run: &mut Run, id: ModuleId, end: Life) -> Applied {
    change(run, id, |_| Ok(end))
}
