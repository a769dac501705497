//! Acceptance: a trusted verifier, not the worker, found every criterion to hold of this deliverable.

use std::collections::BTreeSet;

use super::{Code, Files, receipt::times};
use crate::{
    digest::Digest,
    dsse::Envelope,
    statement::{Predicate, VerdictRef},
    trust::{Trust, TrustedRole},
    verdict::Found,
};

pub(super) fn check(predicate: &Predicate, files: &Files<'_>, trust: &Trust) -> Result<(), Code> {
    if predicate.verdicts.is_empty() {
        return Err(Code::NoVerdict);
    }
    let mut statements: Vec<(Envelope, Digest, Found)> = Vec::new();
    for bytes in files.verdicts.values() {
        let envelope = Envelope::parse(bytes).map_err(|_spelling| Code::Verdict)?;
        let found = Found::parse(&envelope).map_err(|_shape| Code::Verdict)?;
        let id = envelope.id();
        statements.push((envelope, id, found));
    }
    if statements.is_empty() {
        return Err(Code::MissingVerdict);
    }
    let mut criteria = BTreeSet::new();
    for verdict in &predicate.verdicts {
        if !criteria.insert(&verdict.criterion) {
            return Err(Code::VerdictTwice);
        }
        one(predicate, verdict, &statements, trust)?;
    }
    // A statement that no verdict names was slipped in.
    let named = |id: &Digest| predicate.verdicts.iter().any(|verdict| verdict.statement == *id);
    if statements.iter().all(|(_, id, _)| named(id)) { Ok(()) } else { Err(Code::VerdictId) }
}

fn one(
    predicate: &Predicate,
    verdict: &VerdictRef,
    statements: &[(Envelope, Digest, Found)],
    trust: &Trust,
) -> Result<(), Code> {
    let ensure = |holds: bool, code: Code| if holds { Ok(()) } else { Err(code) };
    ensure(verdict.passed, Code::VerdictFailed)?;
    ensure(verdict.by != predicate.actors.associate.key, Code::SelfJudged)?;
    ensure(trust.has(TrustedRole::Verifier, &verdict.by), Code::VerifierUntrusted)?;
    let named = statements.iter().find(|(_, id, _)| *id == verdict.statement);
    let (envelope, _, found) = named.ok_or(Code::VerdictId)?;
    envelope.verified_by(&verdict.by).map_err(|_bad| Code::VerdictSignature)?;
    ensure(found.is_by(&verdict.by), Code::VerdictSignature)?;
    ensure(found.deliverable == verdict.deliverable, Code::VerdictDeliverable)?;
    ensure(found.holds(&verdict.criterion), Code::VerdictProperty)?;
    ensure(found.policies == [predicate.policy.digest], Code::VerdictPolicy)?;
    let (start, end) = times(predicate)?;
    ensure(start <= found.at_ms && found.at_ms <= end, Code::VerdictTime)
}
