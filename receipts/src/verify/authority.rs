//! The chain of authority: a trusted root gave to the principal, the principal to the associate.

use super::{Code, Files, OpenDelegation, claims::Claims};
use crate::{
    delegation::{DelegatedRole, Delegation},
    digest::{Digest, PublicKey},
};

pub(super) fn check(claims: &Claims<'_>, files: &Files<'_>, open: &OpenDelegation<'_>) -> Result<(), Code> {
    let actors = claims.actors;
    let (root, principal, associate) = (&actors.root.key, &actors.principal.key, &actors.associate.key);
    let upper =
        Wanted { from: root, to: principal, role: DelegatedRole::Principal, id: actors.principal.delegation, depth: 1 };
    let lower = Wanted {
        from: principal,
        to: associate,
        role: DelegatedRole::Associate,
        id: actors.associate.delegation,
        depth: 0,
    };
    if files.delegations.len() > 2 {
        return Err(Code::UnknownFile);
    }
    let file = |number: u64| files.delegations.get(&number).ok_or(Code::MissingDelegation);
    let given = link(claims, &upper, file(0)?, open)?;
    let passed_on = link(claims, &lower, file(1)?, open)?;
    if passed_on.depth >= given.depth {
        return Err(Code::DelegationDepth);
    }
    // Kinds, budget and time of both are held against the work itself; which tools it used is not in the open.
    let has = |tool: &String| given.tools.iter().any(|all| all == "*" || all == tool);
    if passed_on.tools.iter().all(has) { Ok(()) } else { Err(Code::DelegationTools) }
}

struct Wanted<'a> {
    from: &'a PublicKey,
    to: &'a PublicKey,
    role: DelegatedRole,
    id: Digest,
    depth: u64,
}

fn link(claims: &Claims<'_>, wanted: &Wanted<'_>, bytes: &[u8], open: &OpenDelegation<'_>) -> Result<Delegation, Code> {
    let (given, id) = open(bytes).map_err(|_refused| Code::Delegation)?;
    let ensure = |holds: bool, code: Code| if holds { Ok(()) } else { Err(code) };
    ensure(id == wanted.id, Code::DelegationId)?;
    let chained = given.from == *wanted.from && given.to == *wanted.to && given.role == wanted.role;
    ensure(chained, Code::DelegationChain)?;
    ensure(given.depth >= wanted.depth, Code::DelegationDepth)?;
    let (start, end) = claims.times()?;
    ensure(given.not_before_ms <= start && end <= given.not_after_ms, Code::DelegationTime)?;
    let covered = given.modules.iter().any(|kind| kind == "*" || kind == claims.kind);
    ensure(covered, Code::DelegationModule)?;
    let used = claims.used;
    let within = used.tokens <= given.budget.tokens.0
        && used.tool_calls <= given.budget.tool_calls.0
        && used.cost_micro <= given.budget.cost_micro.0;
    ensure(within, Code::DelegationBudget)?;
    Ok(given)
}
