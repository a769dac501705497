//! Verifying receipts that rest on each other.
//!
//! **Invariant:** a parent counts only when its own receipt is here and valid, so a circle of receipts counts for nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::{Outcome, TrustOrigin, Verification, verify};
use crate::{bundle::Bundle, digest::Digest, trust::Trust};

/// Verifies each of these bundles, parents first.
pub fn verify_all(
    bundles: &BTreeMap<String, Bundle>,
    trust: &Trust,
    origin: TrustOrigin,
) -> BTreeMap<String, Verification> {
    let mut found = BTreeMap::new();
    let mut valid: BTreeSet<Digest> = BTreeSet::new();
    let mut waiting: BTreeMap<&String, &Bundle> = bundles.iter().collect();
    loop {
        let before = waiting.len();
        waiting.retain(|name, bundle| {
            let one = verify(bundle, trust, origin, &|parent| valid.contains(parent));
            if let Outcome::UnresolvedParent(_) = one.outcome {
                return true;
            }
            if one.outcome.is_valid() {
                valid.extend(one.receipt);
            }
            found.insert((*name).clone(), one);
            false
        });
        if waiting.len() == before {
            break;
        }
    }
    for (name, bundle) in waiting {
        found.insert(name.clone(), verify(bundle, trust, origin, &|parent| valid.contains(parent)));
    }
    found
}

/// Names whose nullifier stands on another receipt here too.
pub fn credited_twice(found: &BTreeMap<String, Verification>) -> Vec<String> {
    let mut first: BTreeMap<Digest, Option<Digest>> = BTreeMap::new();
    let mut twice = Vec::new();
    for (name, one) in found {
        let Some(nullifier) = one.nullifier else { continue };
        if first.insert(nullifier, one.receipt).is_some() {
            twice.push(name.clone());
        }
    }
    twice
}
