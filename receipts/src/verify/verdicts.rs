//! Acceptance: a trusted verifier, not the worker, found every criterion to hold of this deliverable.

use std::collections::BTreeSet;

use super::{Believed, Code, Files, claims::Claims};
use crate::{
    digest::{Digest, PublicKey},
    dsse::Envelope,
    statement::VerdictRef,
    trust::TrustedRole,
    verdict::{Found, property},
};

struct Statement {
    envelope: Envelope,
    id: Digest,
    found: Found,
    /// Whose signature on it is checked already: one statement serves many criteria.
    signer: Option<PublicKey>,
}

pub(super) fn check(claims: &Claims<'_>, files: &Files<'_>, trust: &Believed<'_>) -> Result<(), Code> {
    references(claims)?;
    let mut statements = Vec::new();
    let mut ids = BTreeSet::new();
    for ((number, bytes), wanted) in files.verdicts.iter().zip(0_u64..) {
        if *number != wanted {
            return Err(Code::MissingVerdict);
        }
        let envelope = Envelope::parse(bytes).map_err(|_spelling| Code::Verdict)?;
        let found = Found::parse(&envelope).map_err(|_shape| Code::Verdict)?;
        let id = envelope.id();
        if !ids.insert(id) {
            return Err(Code::UnknownFile);
        }
        statements.push(Statement { envelope, id, found, signer: None });
    }
    if statements.is_empty() {
        return Err(Code::MissingVerdict);
    }
    for verdict in claims.verdicts {
        one(claims, verdict, &mut statements, trust)?;
    }
    // A statement that no verdict names was slipped in.
    if statements.iter().all(|statement| statement.signer.is_some()) { Ok(()) } else { Err(Code::VerdictId) }
}

/// What the receipt itself says of the verdicts.
pub(super) fn references(claims: &Claims<'_>) -> Result<(), Code> {
    let ensure = |holds: bool, code: Code| if holds { Ok(()) } else { Err(code) };
    let first = claims.verdicts.first().ok_or(Code::NoVerdict)?;
    let mut criteria = BTreeSet::new();
    for verdict in claims.verdicts {
        ensure(criteria.insert(property(&verdict.criterion)), Code::VerdictTwice)?;
        ensure(verdict.passed, Code::VerdictFailed)?;
        ensure(verdict.by != claims.actors.associate.key, Code::SelfJudged)?;
        ensure(verdict.deliverable == first.deliverable, Code::VerdictDeliverable)?;
    }
    Ok(())
}

fn one(
    claims: &Claims<'_>,
    verdict: &VerdictRef,
    statements: &mut [Statement],
    trust: &Believed<'_>,
) -> Result<(), Code> {
    let ensure = |holds: bool, code: Code| if holds { Ok(()) } else { Err(code) };
    ensure(trust.has(TrustedRole::Verifier, &verdict.by), Code::VerifierUntrusted)?;
    let named = statements.iter_mut().find(|statement| statement.id == verdict.statement);
    let Statement { envelope, found, signer, .. } = named.ok_or(Code::VerdictId)?;
    if *signer != Some(verdict.by) {
        envelope.verified_by(&verdict.by).map_err(|_bad| Code::VerdictSignature)?;
        *signer = Some(verdict.by);
    }
    ensure(found.is_by(&verdict.by), Code::VerdictSignature)?;
    ensure(found.deliverable == verdict.deliverable, Code::VerdictDeliverable)?;
    ensure(found.holds(&verdict.criterion), Code::VerdictProperty)?;
    ensure(found.policies == [claims.policy.digest], Code::VerdictPolicy)?;
    let (start, end) = claims.times()?;
    ensure(start <= found.at_ms && found.at_ms <= end, Code::VerdictTime)
}
