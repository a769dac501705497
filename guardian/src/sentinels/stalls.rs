//! A module that is kept and does not move: its lease is renewed, or nothing happens at all, and no call begins or ends; or
//! its lease is lost again and again.

use common_ground::{Fact, Millis, ModuleId};

use super::{About, Bounded, Rule, With};
use crate::{
    concern::{Finding, Severity},
    seen::try_of,
};

/// Modules at work that are remembered.
const MOST: usize = 1024;
/// Leases lost in a row, without a call that ended between them, that count as a stall too.
const LOST_IN_A_ROW: u32 = 3;

struct Moved {
    at: Millis,
    seq: u64,
    lost: u32,
    is_leased: bool,
}

/// See the file.
pub struct Stalls {
    modules: Bounded<ModuleId, Moved>,
    paused: bool,
}

impl Default for Stalls {
    fn default() -> Self {
        Self { modules: Bounded::new(MOST), paused: false }
    }
}

fn stall(module: ModuleId, moved: &Moved, now: Millis) -> Finding {
    Finding {
        severity: Severity::Warning,
        module: Some(module),
        evidence: vec![moved.seq],
        subject: super::subject(&[module.0.as_bytes(), &moved.seq.to_be_bytes()]),
        found: format!("no call began or ended for {} s under a lease that is kept", now.since(moved.at) / 1000),
    }
}

impl Stalls {
    fn moved(&mut self, module: ModuleId, with: &With<'_>, is_leased: bool) {
        let (at, seq) = (with.seen.at, with.seen.seq);
        *self.modules.entry(module, || Moved { at, seq, lost: 0, is_leased }) = Moved { at, seq, lost: 0, is_leased };
    }

    fn lost(&mut self, module: ModuleId, seq: u64) -> Vec<Finding> {
        let Some(moved) = self.modules.get_mut(&module) else { return Vec::new() };
        moved.lost += 1;
        moved.is_leased = false;
        if moved.lost < LOST_IN_A_ROW || self.paused {
            return Vec::new();
        }
        vec![Finding {
            severity: Severity::Warning,
            module: Some(module),
            evidence: vec![moved.seq, seq],
            subject: super::subject(&[b"lost", module.0.as_bytes(), &moved.seq.to_be_bytes()]),
            found: format!("its lease was lost {} times in a row without a call that ended", moved.lost),
        }]
    }
}

impl Rule for Stalls {
    const ABOUT: About = About {
        name: "stalls",
        threshold: 900_000,
        speaks: "a leased module had no call that began or ended for this many milliseconds, or lost its lease three times in a row",
    };

    fn assess(&mut self, with: &With<'_>) -> Vec<Finding> {
        match with.seen.fact {
            Fact::StepStarted { owner, .. } | Fact::StepRetried { owner, .. } | Fact::StepFinished { owner, .. } => {
                if let Some((module, _)) = try_of(*owner) {
                    self.moved(module, with, true);
                }
                Vec::new()
            }
            Fact::AttemptLeased { module, .. } => {
                // Taking a lease is a beginning, but not the end of a row of lost ones.
                let lost = self.modules.get(module).map_or(0, |moved| moved.lost);
                self.moved(*module, with, true);
                if let Some(moved) = self.modules.get_mut(module) {
                    moved.lost = lost;
                }
                Vec::new()
            }
            Fact::LeaseRenewed { module, .. } => {
                let now = with.seen.at;
                let still = self.modules.get(module).filter(|moved| now.since(moved.at) >= with.threshold);
                still.map(|moved| stall(*module, moved, now)).into_iter().collect()
            }
            Fact::LeaseLost { module, .. } => self.lost(*module, with.seen.seq),
            Fact::ModuleSubmitted { module, .. }
            | Fact::ModuleBlocked { module, .. }
            | Fact::ModulePaused { module, .. }
            | Fact::ModuleAccepted { module, .. }
            | Fact::ModuleFailed { module, .. }
            | Fact::ModuleCancelled { module }
            | Fact::AttemptEnded { module, .. } => {
                self.modules.remove(module);
                Vec::new()
            }
            Fact::RunPaused { .. } => {
                self.paused = true;
                self.modules.iter_mut().for_each(|(_, moved)| moved.is_leased = false);
                Vec::new()
            }
            Fact::RunResumed { .. } => {
                self.paused = false;
                Vec::new()
            }
            _other => Vec::new(),
        }
    }

    fn silence(&mut self, now: Millis, threshold: u64) -> Vec<Finding> {
        let still = self.modules.iter_mut().filter(|(_, moved)| moved.is_leased && now.since(moved.at) >= threshold);
        still.map(|(module, moved)| stall(*module, moved, now)).collect()
    }
}
