//! Charters and orders: whether their signatures are good for what they ask, and what follows.
//!
//! Every order leaves a fact, carried out or refused. Who hands it in does not matter: its authority is in its signatures.

use std::collections::BTreeSet;

use receipts::PublicKey;

use crate::{
    approval::{Answer, Question},
    command::Ctx,
    fact::Fact,
    guardian::{
        Act, ActKind, Charter, CharterRefusal, Defect, Order, OrderRefusal, Presented, Registered, Says, Scope, Signed,
        Suspect,
    },
    id::{Millis, ModuleId},
    module::Life,
    refusal::Refusal,
    run::{PauseReason, Phase, Run},
};

fn in_time(at: Millis, not_before: Millis, not_after: Millis) -> bool {
    not_before <= at && at <= not_after
}

fn covers(scope: &Scope, run: &Run) -> bool {
    match scope {
        Scope::Every => true,
        Scope::Collection { name } => *name == run.task.collection || run.task.further.contains(name),
        Scope::One { run: one } => *one == run.id,
    }
}

/// Registers a charter, or says why not. One that is registered already makes no fact.
pub(super) fn charter(run: &Run, presented: &Presented<Charter>, ctx: &Ctx) -> Result<Vec<Fact>, Refusal> {
    let Presented { id, envelope, said } = presented;
    let refused = |by: &BTreeSet<PublicKey>, why| {
        Ok(vec![Fact::CharterRefused { charter: *id, by: by.iter().copied().collect(), why }])
    };
    let signed = match said {
        Ok(signed) => signed,
        Err(Defect::Malformed) => return refused(&BTreeSet::new(), CharterRefusal::Malformed),
        Err(Defect::BadSignature) => return refused(&BTreeSet::new(), CharterRefusal::BadSignature),
    };
    if run.charters.get(&signed.terms.guardian).is_some_and(|known| known.id == *id) {
        return Ok(Vec::new());
    }
    if let Some(why) = unfit(run, signed, ctx) {
        return refused(&signed.by, why);
    }
    Ok(vec![Fact::CharterRegistered {
        charter: *id,
        envelope: *envelope,
        terms: Box::new(signed.terms.clone()),
        by: signed.by.iter().copied().collect(),
    }])
}

/// Why a charter cannot be registered.
fn unfit(run: &Run, signed: &Signed<Charter>, ctx: &Ctx) -> Option<CharterRefusal> {
    let Signed { terms, by } = signed;
    if let Phase::Closed { .. } = run.phase {
        return Some(CharterRefusal::Over);
    }
    if by.contains(&terms.guardian) {
        return Some(CharterRefusal::SelfSigned);
    }
    if !by.contains(&run.roster.person) {
        return Some(CharterRefusal::Unauthorised);
    }
    let works = |key: &PublicKey| {
        let roster = &run.roster;
        [roster.principal, roster.verifier, roster.node].contains(key) || roster.associates.contains(key)
    };
    let shared = terms.guardian == run.roster.person || terms.persons.contains(&terms.guardian);
    if shared || works(&terms.guardian) || terms.persons.iter().any(works) {
        return Some(CharterRefusal::SharedKey);
    }
    if !in_time(ctx.at, terms.not_before, terms.not_after) {
        return Some(CharterRefusal::Expired);
    }
    if !covers(&terms.scope, run) {
        return Some(CharterRefusal::WrongScope);
    }
    if terms.quorum == 0 || terms.quorum as usize > terms.persons.len() {
        return Some(CharterRefusal::Quorum);
    }
    let known = run.charters.get(&terms.guardian);
    known.is_some_and(|known| known.terms.version >= terms.version).then_some(CharterRefusal::Superseded)
}

/// Carries an order out, or says why not.
pub(super) fn order(run: &Run, presented: &Presented<Order>, ctx: &Ctx) -> Vec<Fact> {
    let Presented { id, envelope, said } = presented;
    let (by, act, module) = match said {
        Ok(signed) => (signed.by.iter().copied().collect(), Some(signed.terms.act.clone()), signed.terms.module),
        Err(_unread) => (Vec::new(), None, None),
    };
    let refused = |why| {
        vec![Fact::OrderRefused { order: *id, envelope: *envelope, act: act.clone(), module, by: by.clone(), why }]
    };
    let signed = match said {
        Ok(signed) => signed,
        Err(Defect::Malformed) => return refused(OrderRefusal::Malformed),
        Err(Defect::BadSignature) => return refused(OrderRefusal::BadSignature),
    };
    if run.orders.contains(id) {
        return refused(OrderRefusal::Replayed);
    }
    let done = authorised(run, signed, ctx).and_then(|standing| Ok((standing, consequences(run, &signed.terms, ctx)?)));
    let (standing, follows) = match done {
        Ok(done) => done,
        Err(why) => return refused(why),
    };
    let until = match signed.terms.act {
        Act::Pause { most_ms } => most_ms.map(|most| ctx.at.plus(most)),
        Act::Resume | Act::Cancel | Act::Revoke { .. } | Act::Quarantine(_) | Act::Drain | Act::Answer { .. } => None,
    };
    let mut facts = vec![Fact::OrderExecuted {
        order: *id,
        envelope: *envelope,
        charter: signed.terms.charter,
        act: signed.terms.act.clone(),
        module,
        by,
        standing,
        until,
    }];
    facts.extend(follows);
    facts
}

/// The rule of the standing order that it is carried out under, if it is; or what its signatures are not good for.
fn authorised(run: &Run, signed: &Signed<Order>, ctx: &Ctx) -> Result<Option<String>, OrderRefusal> {
    let Signed { terms: order, by } = signed;
    let unknown = |module: ModuleId| !run.modules.contains_key(&module);
    if order.run != run.id || order.module.is_some_and(unknown) {
        return Err(OrderRefusal::WrongTarget);
    }
    let charter = registered(run, order).ok_or(OrderRefusal::NoCharter)?;
    if !in_time(ctx.at, charter.terms.not_before, charter.terms.not_after) {
        return Err(OrderRefusal::CharterExpired);
    }
    if ctx.at > order.not_after {
        return Err(OrderRefusal::Expired);
    }
    if ctx.at < order.not_before {
        return Err(OrderRefusal::NotYet);
    }
    let kind = order.act.kind();
    if by.iter().all(|key| *key == charter.terms.guardian) {
        return standing(&charter.terms, order);
    }
    if by.iter().any(|key| !charter.terms.persons.contains(key)) {
        return Err(OrderRefusal::Unauthorised);
    }
    if !charter.terms.acts.contains(&kind) {
        return Err(OrderRefusal::WrongScope);
    }
    let have = u32::try_from(by.len()).unwrap_or(u32::MAX);
    let need = if charter.terms.critical.contains(&kind) { charter.terms.quorum } else { 1 };
    if have < need { Err(OrderRefusal::TooFew { have, need }) } else { Ok(None) }
}

fn registered<'r>(run: &'r Run, order: &Order) -> Option<&'r Registered> {
    run.charters.values().find(|charter| charter.id == order.charter)
}

/// A guardian's own signature is good for a pause that ends in time, for a rule of which its charter says so.
fn standing(charter: &Charter, order: &Order) -> Result<Option<String>, OrderRefusal> {
    let rule = order.rule.as_ref();
    let said = charter.standing.iter().find(|standing| Some(&standing.rule) == rule);
    let (Some(said), Act::Pause { most_ms }) = (said, &order.act) else { return Err(OrderRefusal::SelfSigned) };
    if !charter.acts.contains(&ActKind::Pause) {
        return Err(OrderRefusal::WrongScope);
    }
    match most_ms {
        Some(most) if *most <= said.most_ms => Ok(Some(said.rule.clone())),
        Some(_) | None => Err(OrderRefusal::WrongScope),
    }
}

/// What follows from an order that may be carried out: the same facts as from a person's own command.
fn consequences(run: &Run, order: &Order, ctx: &Ctx) -> Result<Vec<Fact>, OrderRefusal> {
    let follows = match (&order.act, order.module) {
        (Act::Pause { .. }, None) => super::run::pause(run, PauseReason::Guardian),
        (Act::Pause { .. }, Some(module)) => super::run::pause_module(run, module, PauseReason::Guardian),
        (Act::Resume, None) => super::run::resume(run),
        (Act::Resume, Some(module)) => super::run::resume_module(run, module),
        (Act::Cancel, None) => super::run::cancel(run),
        (Act::Cancel, Some(module)) => super::run::cancel_module(run, module),
        (Act::Revoke { .. }, None) => return live(run).map(|()| given_up(run)),
        (Act::Quarantine(what), None) => return live(run).map(|()| quarantined(run, what)),
        (Act::Drain, None) => return live(run).map(|()| Vec::new()),
        (Act::Answer { approval, says }, _) => return answered(run, *approval, *says, order.module, ctx),
        (Act::Revoke { .. } | Act::Quarantine(_) | Act::Drain, Some(_)) => return Err(OrderRefusal::WrongTarget),
    };
    follows.map_err(|_refusal| OrderRefusal::NotNow)
}

fn live(run: &Run) -> Result<(), OrderRefusal> {
    match run.phase {
        Phase::Open | Phase::Paused { .. } => Ok(()),
        Phase::Closed { .. } => Err(OrderRefusal::NotNow),
    }
}

/// Leases end, so that what goes on goes on without what was taken: calls under way end with their leases.
fn given_up(run: &Run) -> Vec<Fact> {
    let leases = run.leased.keys().filter_map(|id| match run.modules.get(id).map(|module| &module.life) {
        Some(Life::Leased(lease)) => Some(Fact::LeaseLost { module: *id, attempt: lease.attempt, epoch: lease.epoch }),
        Some(_) | None => None,
    });
    leases.collect()
}

/// What no role can go on without lets the run stand still.
fn quarantined(run: &Run, what: &Suspect) -> Vec<Fact> {
    let mut facts = given_up(run);
    if run.task.models.names(what) && matches!(run.phase, Phase::Open) {
        facts.push(Fact::RunPaused { run: run.id, reason: PauseReason::Guardian });
    }
    facts
}

/// An order answers permissions and required verdicts; what is asked in words only the person answers.
fn answered(
    run: &Run,
    id: crate::id::ApprovalId,
    says: Says,
    module: Option<ModuleId>,
    ctx: &Ctx,
) -> Result<Vec<Fact>, OrderRefusal> {
    let approval = run.approvals.get(&id).ok_or(OrderRefusal::WrongTarget)?;
    let answer = match (&approval.question, says) {
        (Question::Words { .. }, _) => return Err(OrderRefusal::WrongTarget),
        (Question::Permission { .. } | Question::Verdict { .. }, Says::No) => Answer::Deny,
        (Question::Permission { .. }, Says::Yes) => Answer::Once,
        (Question::Verdict { .. }, Says::Yes) => Answer::Run,
    };
    if module.is_some_and(|module| module != approval.module) {
        return Err(OrderRefusal::WrongTarget);
    }
    super::run::answer(run, id, &answer, ctx).map_err(|_refusal| OrderRefusal::NotNow)
}
