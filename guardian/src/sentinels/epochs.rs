//! Stale epochs: something written under a lease that a later one had ended.

use common_ground::{Epoch, Fact, ModuleId};

use super::{About, Bounded, Rule, With};
use crate::concern::{Finding, Severity};

/// Modules remembered.
const MOST: usize = 4096;

/// See the file.
pub struct Epochs {
    highest: Bounded<ModuleId, (Epoch, u64)>,
}

impl Default for Epochs {
    fn default() -> Self {
        Self { highest: Bounded::new(MOST) }
    }
}

impl Rule for Epochs {
    const ABOUT: About = About {
        name: "epochs",
        threshold: 1,
        speaks: "a fact of an attempt carries an epoch at least this far below its module's highest, or a lease one that was given before",
    };

    fn assess(&mut self, with: &With<'_>) -> Vec<Finding> {
        let (module, epoch, is_lease) = match (with.seen.fact, with.seen.fact.attempt()) {
            (Fact::AttemptLeased { module, epoch, .. }, _) => (*module, *epoch, true),
            (Fact::LeaseRenewed { module, epoch, .. } | Fact::LeaseLost { module, epoch, .. }, _) => {
                (*module, *epoch, false)
            }
            (_, Some((module, _, epoch))) => (module, epoch, false),
            (_, None) => return Vec::new(),
        };
        let known = self.highest.get(&module).copied();
        if known.is_none_or(|(highest, _)| highest < epoch) {
            self.highest.insert(module, (epoch, with.seen.seq));
        }
        let Some((highest, seq)) = known else { return Vec::new() };
        let behind = highest.0.saturating_sub(epoch.0);
        let given_twice = is_lease && highest == epoch;
        if behind < with.threshold && !given_twice {
            return Vec::new();
        }
        vec![Finding {
            severity: Severity::Critical,
            module: Some(module),
            evidence: vec![seq],
            subject: super::subject(&[module.0.as_bytes(), &epoch.0.to_be_bytes()]),
            found: format!("something was written under epoch {} after epoch {} had begun", epoch.0, highest.0),
        }]
    }
}
