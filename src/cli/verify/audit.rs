//! What receipts show against what a beacon draws of them: every entry, named where it does not hold.

use std::collections::BTreeMap;

use receipts::{
    Beacon, BenefitClass,
    audit::{Audited, audit, chance},
    verify::Verification,
};
use serde_json::{Value, json};

use super::Case;
use crate::exit::{Exit, Failure};

/// The shares of bad entries that the chance of finding one is told for, in percent.
const SHARES: [u32; 2] = [10, 1];

/// What the audits of all receipts came to.
pub(super) struct Audits {
    beacon: Beacon,
    count: u32,
    /// By module, with the size of its tree; none for a receipt whose own signatures or head do not hold.
    found: BTreeMap<String, Option<(u64, Audited)>>,
}

/// Draws from each receipt of a module, and holds what it shows against that.
///
/// # Errors
/// Receipts that are of no module.
pub(super) fn check(
    case: &Case,
    found: &mut BTreeMap<String, Verification>,
    beacon: Beacon,
    count: u32,
) -> Result<Audits, Failure> {
    let mut audits = BTreeMap::new();
    for (name, one) in
        found.iter_mut().filter(|(name, one)| case.asks(name) && one.class != Some(BenefitClass::DataCuration))
    {
        let (Some(bundle), Some(head)) = (case.bundles.get(name), one.head.as_ref()) else {
            audits.insert(name.clone(), None);
            continue;
        };
        let audited = audit(bundle, head, &beacon, count);
        let size = head.size;
        if one.outcome.is_valid() && audited.faults.is_empty() {
            one.made.push("the entries that the beacon draws are shown, and no others");
            one.not_made
                .push("that nobody knew the beacon before this was accepted, and that what the entries say is right");
        }
        audits.insert(name.clone(), Some((size, audited)));
    }
    if audits.is_empty() {
        let what = "no receipt here is of a module";
        return Err(Failure::new(Exit::Verification, what, "leave --audit out for receipts of ingests"));
    }
    Ok(Audits { beacon, count, found: audits })
}

impl Audits {
    /// Whether every receipt shows what was drawn.
    pub(super) fn hold(&self) -> bool {
        self.found.values().all(|one| one.as_ref().is_some_and(|(_size, audited)| audited.faults.is_empty()))
    }

    /// For people.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("audit by beacon {}", self.beacon)];
        for (name, one) in &self.found {
            match one {
                Some((size, audited)) if audited.faults.is_empty() => {
                    let forms: Vec<String> = audited.forms.iter().map(ToString::to_string).collect();
                    let distinct = audited.distinct().len();
                    let drawn = audited.drawn.len();
                    lines.push(format!(
                        "AUDIT HOLDS  {name}: {drawn} draws of {size} entries, {distinct} distinct, as {}",
                        forms.join(" and ")
                    ));
                }
                Some((_size, audited)) => {
                    lines.extend(audited.faults.iter().map(|fault| format!("AUDIT DOES NOT HOLD  {name}: {fault}")));
                }
                None => {
                    lines.push(format!("AUDIT DOES NOT HOLD  {name}: nothing is drawn of a receipt that does not hold"))
                }
            }
        }
        let chances = SHARES.map(|share| format!("{} % when {share} % are bad", percent(share, self.count)));
        lines.push(format!("{} draws meet a bad entry with {}", self.count, chances.join(", with ")));
        lines
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let modules = self.found.iter().map(|(name, one)| {
            let Some((size, audited)) = one else {
                return json!({"module": name, "holds": false, "faults": ["the receipt does not hold"]});
            };
            let forms: Vec<String> = audited.forms.iter().map(ToString::to_string).collect();
            let faults: Vec<String> = audited.faults.iter().map(ToString::to_string).collect();
            json!({"module": name, "holds": faults.is_empty(), "size": size.to_string(), "drawn": audited.drawn,
                "forms": forms, "faults": faults})
        });
        let chances: BTreeMap<String, u32> =
            SHARES.iter().map(|share| (share.to_string(), percent(*share, self.count))).collect();
        json!({"beacon": self.beacon, "count": self.count, "chance_percent_by_bad_percent": chances,
            "modules": modules.collect::<Vec<_>>()})
    }
}

/// The chance, in whole percent, that so many draws meet a bad entry when `share` percent are bad.
fn percent(share: u32, count: u32) -> u32 {
    (100.0 * chance(f64::from(share) / 100.0, count)).round() as u32
}
