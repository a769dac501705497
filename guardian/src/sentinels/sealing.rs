//! Receipts that contradict each other or the facts: one receipt for two modules, two receipts for one, a run closed as
//! completed though a module was never accepted.

use common_ground::{Fact, ModuleId, run::Outcome};
use receipts::Digest;

use super::{About, Bounded, Rule, With, asked, kept};
use crate::concern::{Finding, Severity};

/// Modules and receipts remembered.
const MOST: usize = 16_384;

/// See the file.
pub struct Sealing {
    open: Bounded<ModuleId, u64>,
    accepted: Bounded<ModuleId, u64>,
    receipts: Bounded<Digest, (ModuleId, u64)>,
    forgot: bool,
}

impl Default for Sealing {
    fn default() -> Self {
        let (open, accepted) = (Bounded::new(MOST), Bounded::new(MOST));
        Self { open, accepted, receipts: Bounded::new(MOST), forgot: false }
    }
}

fn finding(module: Option<ModuleId>, evidence: Vec<u64>, subject: &[u8], found: &str) -> Vec<Finding> {
    let subject = super::subject(&[subject, found.as_bytes()]);
    vec![Finding { severity: Severity::Critical, module, evidence, subject, found: found.to_owned() }]
}

impl Rule for Sealing {
    const ABOUT: About = About {
        name: "sealing",
        threshold: 1,
        speaks: "a receipt stands for two modules, a module was accepted more often than this, or a run was closed as completed with a module that never was",
    };

    fn assess(&mut self, with: &With<'_>) -> Vec<Finding> {
        let seq = with.seen.seq;
        match with.seen.fact {
            Fact::ModuleProposed { .. } | Fact::RunForked { .. } => {
                for (module, _) in asked(with.seen.fact) {
                    self.forgot |= self.open.len() == MOST;
                    self.open.insert(module, seq);
                }
                for (module, receipt) in kept(with.seen.fact) {
                    self.accepted.insert(module, seq);
                    self.receipts.insert(receipt, (module, seq));
                }
                Vec::new()
            }
            Fact::ModuleAccepted { module, receipt, .. } => {
                self.open.remove(module);
                if let Some(first) = self.accepted.insert(*module, seq) {
                    return finding(Some(*module), vec![first], module.0.as_bytes(), "a module was accepted twice");
                }
                match self.receipts.insert(*receipt, (*module, seq)) {
                    Some((_, first)) => {
                        finding(Some(*module), vec![first], &receipt.0, "one receipt stands for two modules")
                    }
                    None => Vec::new(),
                }
            }
            Fact::RunClosed { outcome: Outcome::Completed, .. } if self.open.len() > 0 && !self.forgot => {
                let places = self.open.values().copied().collect();
                finding(
                    None,
                    places,
                    b"closed",
                    "the run was closed as completed with modules that were never accepted",
                )
            }
            _other => Vec::new(),
        }
    }
}
