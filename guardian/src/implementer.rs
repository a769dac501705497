//! The Implementer's part: which order a charter lets a guardian write by itself, for a concern.
//!
//! **Invariant:** nothing but a pause that ends; and nothing where the charter names no standing order for the rule. What it
//! writes is signed by the guardian's own key and judged by the core like any other.

use common_ground::{
    Millis,
    guardian::{Act, ActKind, Charter, Order},
};
use receipts::Digest;

use crate::concern::Concern;

/// How long a standing order is good for before somebody must have carried it out, in milliseconds.
const GOOD_FOR_MS: u64 = 60_000;

/// The order for a concern; none where the charter has none. The same concern gives the same order, so that it is carried out
/// once, however often the guardian restarts.
pub fn standing_order(id: Digest, charter: &Charter, concern: &Concern, now: Millis) -> Option<Order> {
    let standing = charter.standing.iter().find(|standing| standing.rule == concern.rule)?;
    if !charter.acts.contains(&ActKind::Pause) || now < charter.not_before || now > charter.not_after {
        return None;
    }
    // From the concern's own time, so that it is one order and not one for each moment it is written at.
    let until = concern.at.plus(GOOD_FOR_MS);
    if now > until {
        return None;
    }
    Some(Order {
        charter: id,
        act: Act::Pause { most_ms: Some(standing.most_ms) },
        run: concern.run,
        module: None,
        rule: Some(concern.rule.clone()),
        not_before: concern.at,
        not_after: until.min(charter.not_after),
        nonce: concern.id,
    })
}
