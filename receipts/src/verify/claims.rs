//! What receipts of every class claim alike, whatever their predicate: what the checks of authority, findings and heads read.

use super::{Code, receipt::origin};
use crate::{
    class::BenefitClass,
    curation::{self, CurationPredicate},
    digest::Digest,
    statement::{Actors, AnchorSet, PREDICATE, Policy, Predicate, TimeSpan, VerdictRef},
};

/// What is claimed.
pub(super) struct Claims<'a> {
    pub class: BenefitClass,
    pub predicate_type: &'static str,
    pub actors: &'a Actors,
    pub anchor_set: &'a AnchorSet,
    /// The origin that the tree must have; none where what it is made of is none.
    pub origin: Option<String>,
    /// What the leaves of the tree are.
    pub leaf: &'static str,
    pub time: &'a TimeSpan,
    pub policy: &'a Policy,
    pub verdicts: &'a [VerdictRef],
    pub nullifier: Digest,
    /// The sort of work.
    pub kind: &'a str,
    pub used: Used,
}

/// What the work used of what was delegated.
#[derive(Clone, Copy, Default)]
pub(super) struct Used {
    pub tokens: u64,
    pub tool_calls: u64,
    pub cost_micro: u64,
}

impl Claims<'_> {
    /// Start and end of the work in milliseconds since the Unix epoch.
    pub fn times(&self) -> Result<(u64, u64), Code> {
        super::receipt::times(self.time)
    }
}

/// A predicate that claims a benefit.
pub(super) trait Claiming {
    /// What it claims.
    fn claims(&self) -> Claims<'_>;
}

impl Claiming for Predicate {
    fn claims(&self) -> Claims<'_> {
        let usage = &self.usage;
        Claims {
            class: BenefitClass::AgentOrchestration,
            predicate_type: PREDICATE,
            actors: &self.actors,
            anchor_set: &self.anchor_set,
            origin: Some(origin(self)),
            leaf: "trace",
            time: &self.time,
            policy: &self.policy,
            verdicts: &self.verdicts,
            nullifier: self.nullifier,
            kind: &self.module.kind,
            used: Used {
                tokens: usage.tokens_in.0.saturating_add(usage.tokens_out.0),
                tool_calls: usage.tool_calls.0,
                cost_micro: usage.cost_micro.0,
            },
        }
    }
}

impl Claiming for CurationPredicate {
    fn claims(&self) -> Claims<'_> {
        Claims {
            class: BenefitClass::DataCuration,
            predicate_type: curation::PREDICATE,
            actors: &self.actors,
            anchor_set: &self.anchor_set,
            origin: curation::origin(&self.collection.origin, self.collection.revision.0),
            leaf: "transform",
            time: &self.time,
            policy: &self.policy,
            verdicts: &self.verdicts,
            nullifier: self.nullifier,
            kind: curation::WORK,
            used: Used::default(),
        }
    }
}
