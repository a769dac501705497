//! The log of an ingest against the receipt that is of it: every document, line by line.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use receipts::{
    BenefitClass,
    bundle::Bundle,
    curation::LogError,
    verify::{NO_LOG, Verification},
};
use serde_json::{Value, json};

use crate::{
    curations::{self, LogFault},
    exit::{Exit, Failure, chain},
};

/// What a log comes to.
pub(super) struct Checked {
    log: PathBuf,
    found: Result<(String, BTreeMap<String, u64>), LogFault>,
}

/// Checks a log against the one of these receipts that it is of.
///
/// # Errors
/// A log that cannot be read, receipts that are of no ingest.
pub(super) fn check(
    bundles: &BTreeMap<String, Bundle>,
    found: &mut BTreeMap<String, Verification>,
    log: &Path,
) -> Result<Checked, Failure> {
    let mut last = None;
    for (name, one) in found.iter_mut() {
        let curated = one.class == Some(BenefitClass::DataCuration) && one.outcome.is_valid();
        let Some(bundle) = bundles.get(name).filter(|_| curated) else { continue };
        match curations::check(bundle, log) {
            Ok(log_found) => {
                one.not_made.retain(|check| *check != NO_LOG);
                one.made.push("every line of the log gives its leaf, and all of them lead from the corpus before to the one after");
                let counts = log_found.counts.into_iter().map(|(word, count)| (word, count.0)).collect();
                return Ok(Checked { log: log.to_owned(), found: Ok((name.clone(), counts)) });
            }
            Err(LogFault::Read(error)) => {
                let what = format!("cannot read {}: {error}", log.display());
                return Err(Failure::new(Exit::Usage, what, "name the log of an ingest with --log"));
            }
            // Of several receipts the log is of one: what stands in the way there is what matters.
            Err(LogFault::Log(LogError::OtherIngest)) if last.is_some() => {}
            Err(fault) => last = Some(fault),
        }
    }
    match last {
        Some(fault) => Ok(Checked { log: log.to_owned(), found: Err(fault) }),
        None => {
            let what = "no receipt here is of an ingest and holds";
            Err(Failure::new(Exit::Verification, what, "leave --log out for other receipts"))
        }
    }
}

impl Checked {
    /// Whether it bears a receipt out.
    pub(super) fn holds(&self) -> bool {
        self.found.is_ok()
    }

    /// For people.
    pub(super) fn line(&self) -> String {
        match &self.found {
            Ok((name, counts)) => {
                let words: Vec<String> = counts.iter().map(|(word, count)| format!("{count} {word}")).collect();
                format!("LOG HOLDS  {name}: every document of {} ({})", self.log.display(), words.join(", "))
            }
            Err(fault) => format!("LOG DOES NOT HOLD  {}: {}", self.log.display(), chain(fault)),
        }
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        match &self.found {
            Ok((name, counts)) => json!({"file": self.log, "holds": true, "module": name, "counts": counts}),
            Err(fault) => json!({"file": self.log, "holds": false, "why": chain(fault)}),
        }
    }
}
