//! What orders change: what is held, forbidden, quarantined or drained, and whose traces they stand in.

use receipts::Digest;

use crate::{
    guardian::{Act, OrderLeaf},
    id::{Millis, ModuleId},
    module::AttemptEnd,
    run::Run,
};

/// What only the state keeps of an order; facts of their own say the rest.
pub(super) fn executed(run: &mut Run, at: Millis, order: Digest, act: &Act, until: Option<Millis>) -> super::Applied {
    if !run.orders.insert(order) {
        return Err("the order was carried out before");
    }
    match act {
        Act::Pause { .. } => run.held_until = until,
        Act::Revoke { item } => {
            run.task.permissions.deny.insert(item.clone());
        }
        Act::Quarantine(what) => {
            run.quarantined.entry(what.clone()).or_insert(at);
        }
        Act::Drain => run.draining = true,
        Act::Resume | Act::Cancel | Act::Answer { .. } => {}
    }
    Ok(())
}

/// An order stands in the trace of every open attempt that it concerns.
pub(super) fn leaf(run: &mut Run, module: Option<ModuleId>, leaf: &OrderLeaf) {
    let concerned = run.modules.iter_mut().filter(|(id, _)| module.is_none_or(|only| only == **id));
    for attempt in concerned.filter_map(|(_, module)| module.attempts.last_mut()) {
        if attempt.end == AttemptEnd::Open {
            attempt.orders.push(leaf.clone());
        }
    }
}
