//! Sealing a curation: a log that was read back becomes a receipt and the files that stand beside it.
//!
//! **Invariant:** a pure function: the same input and keys give the same bytes.
//! **Invariant:** never makes a receipt that every verifier would refuse.

use super::{
    CRITERION, CollectionChange, CurationPredicate, PREDICATE, Reckoned, SPEC,
    log::Head,
    statement::{non_claims, origin},
};
use crate::{
    checkpoint::Checkpoint,
    class::BenefitClass,
    digest::{Digest, PublicKey},
    dsse::{Envelope, IN_TOTO},
    integer::Decimal,
    nullifier::curation_nullifier,
    seal::{SealError, SealKeys, Sealed, actors},
    statement::{AnchorSet, Custody, Policy, Statement, TimeSpan, VerdictRef},
    timestamp::format_millis,
    tlog_proof::TlogProof,
    verdict::VerificationResult,
    verify::{Code, curation_refused_by_all},
};

/// What a receipt says beyond its log.
#[derive(Clone, Copy, Debug)]
pub struct CurationInput {
    /// The ledger network.
    pub network: Digest,
    /// Root of authority.
    pub root: PublicKey,
    /// The principal and its delegation's id.
    pub principal: (PublicKey, Digest),
    /// Id of the associate's delegation.
    pub associate_delegation: Digest,
    /// When the verifier had read the log to its end, in milliseconds since the Unix epoch.
    pub judged_ms: u64,
    /// How keys are kept.
    pub custody: Custody,
}

/// Seals what was reckoned of a log, which must be bound to the key of the associate that signs.
///
/// # Errors
/// [`SealError`].
pub fn seal(input: &CurationInput, log: &Reckoned, keys: &SealKeys<'_>) -> Result<Sealed, SealError> {
    let header = &log.header;
    let refused = |code| SealError::Refused { code };
    let origin = origin(&header.collection, header.revision.0).ok_or(refused(Code::Collection))?;
    let checkpoint = Checkpoint { origin, size: log.size, root: log.root };
    let note = checkpoint.sign(keys.log);
    let deliverable = log.start.record.fields.get("after").copied().ok_or(refused(Code::Entry0))?;
    let found = VerificationResult {
        verifier: keys.verifier.public(),
        deliverable,
        policy: header.policy(),
        criteria: vec![CRITERION.to_owned()],
        at_ms: input.judged_ms,
    };
    let verdict = found.sign(keys.verifier)?;
    let nullifier = curation_nullifier(&input.network, &input.root, &header.before());
    let predicate = CurationPredicate {
        actors: actors(input.root, input.principal, input.associate_delegation, input.custody, keys),
        anchor_set: AnchorSet {
            hash: "sha256".to_owned(),
            leaf: "transform".to_owned(),
            origin: checkpoint.origin.clone(),
            root: checkpoint.root,
            size: Decimal(checkpoint.size),
        },
        benefit_class: BenefitClass::DataCuration,
        collection: CollectionChange {
            after: header.after,
            before: Head { root: header.before.root, size: header.before.size },
            origin: header.collection.clone(),
            revision: header.revision,
        },
        counts: log.counts.clone(),
        network: input.network,
        non_claims: non_claims(input.custody),
        nullifier,
        policy: Policy { decision: "allow".to_owned(), digest: header.policy() },
        spec: SPEC.to_owned(),
        status: "completed".to_owned(),
        time: TimeSpan { end: format_millis(input.judged_ms)?, start: format_millis(header.began.0)? },
        verdicts: vec![VerdictRef {
            by: keys.verifier.public(),
            criterion: CRITERION.to_owned(),
            deliverable,
            passed: true,
            statement: verdict.id(),
        }],
    };
    curation_refused_by_all(&predicate, &input.network, &keys.log.public(), input.judged_ms).map_err(refused)?;
    let subject = Digest::of(checkpoint.body().as_bytes());
    let payload = Statement::about("anchor-set", subject, PREDICATE, predicate).to_bytes()?;
    let receipt = Envelope::sign(IN_TOTO, payload, &[keys.associate, keys.node])?;
    let extra = log.start.to_extra()?;
    let disclosure = TlogProof { extra: Some(extra), index: 0, hashes: log.proof.clone(), checkpoint: note.clone() };
    Ok(Sealed {
        receipt: receipt.to_bytes()?,
        receipt_id: receipt.id(),
        checkpoint: note,
        verdict: verdict.to_bytes()?,
        disclosure: disclosure.to_text(),
        nullifier,
        root: checkpoint.root,
        size: checkpoint.size,
    })
}
