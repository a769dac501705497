//! How many others, whom the checker trusts, say that they verified a receipt.

use std::collections::BTreeMap;

use receipts::{
    countersignature::{Counted, counted},
    verify::{NOT_COUNTED, Verification},
};
use serde_json::{Value, json};

use super::Case;

/// The counter-signatures of each receipt.
pub(super) struct Countersigned {
    needed: usize,
    found: BTreeMap<String, Counted>,
}

/// Counts those of each receipt that is asked about, at `now_ms`.
pub(super) fn check(
    case: &Case,
    found: &mut BTreeMap<String, Verification>,
    needed: usize,
    now_ms: u64,
) -> Countersigned {
    let mut all = BTreeMap::new();
    for (name, one) in found.iter_mut().filter(|(name, _)| case.asks(name)) {
        let (Some(bundle), Some(receipt)) = (case.bundles.get(name), one.receipt) else {
            all.insert(name.clone(), Counted::default());
            continue;
        };
        let counted = counted(bundle, &receipt, &case.trust, now_ms);
        one.not_made.retain(|check| *check != NOT_COUNTED);
        if one.outcome.is_valid() && counted.by.len() >= needed {
            one.made.push("as many trusted others as are wanted counter-signed it");
        }
        all.insert(name.clone(), counted);
    }
    Countersigned { needed, found: all }
}

impl Countersigned {
    /// Whether each receipt has as many as are wanted.
    pub(super) fn hold(&self) -> bool {
        self.found.values().all(|counted| counted.by.len() >= self.needed)
    }

    /// For people.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (name, counted) in &self.found {
            let enough = if counted.by.len() >= self.needed { "COUNTERSIGNED" } else { "NOT COUNTERSIGNED" };
            lines.push(format!("{enough}  {name}: by {} of the {} wanted", counted.by.len(), self.needed));
            lines.extend(counted.by.iter().map(|one| format!("  counts   {} found {}", one.signer, one.result)));
            lines.extend(counted.refused.iter().map(|(file, why)| format!("  REFUSED  {file}: {why}")));
        }
        lines
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let modules = self.found.iter().map(|(name, counted)| {
            let by = counted.by.iter().map(|one| json!({"key": one.signer, "result": one.result}));
            let refused = counted.refused.iter().map(|(file, why)| json!({"file": file, "why": why.to_string()}));
            json!({"module": name, "holds": counted.by.len() >= self.needed, "by": by.collect::<Vec<_>>(),
                "refused": refused.collect::<Vec<_>>()})
        });
        json!({"wanted": self.needed, "modules": modules.collect::<Vec<_>>()})
    }
}
