//! The receipt itself: its signatures, its tree head, and fields that must fit each other.

use std::collections::BTreeSet;

use serde::{Serialize, de::DeserializeOwned};

use super::{
    Believed, Code,
    claims::{Claiming, Claims},
};
use crate::{
    canonical::{NotCanonical, parse_canonical},
    checkpoint::Checkpoint,
    class::BenefitClass,
    curation,
    digest::{Digest, PublicKey},
    dsse::{Envelope, IN_TOTO},
    entry::COUNTED,
    keys::key_id,
    note::log_name,
    nullifier::nullifier,
    statement::{Predicate, SPEC, STATEMENT, Statement, Subject, TimeSpan},
    timestamp::parse_millis,
    trust::TrustedRole,
};

/// The envelope of a receipt, and the class whose predicate its payload names: what to read it as, and no more.
pub(super) fn envelope(bytes: &[u8]) -> Result<(Envelope, BenefitClass), Code> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Named {
        predicate_type: String,
    }
    let envelope = Envelope::parse(bytes).map_err(|_spelling| Code::Noncanonical)?;
    if envelope.payload_type != IN_TOTO {
        return Err(Code::PayloadType);
    }
    if envelope.signatures.len() != 2 {
        return Err(Code::SignatureCount);
    }
    let curated = serde_json::from_slice::<Named>(&envelope.payload)
        .is_ok_and(|named| named.predicate_type == curation::PREDICATE);
    Ok((envelope, if curated { BenefitClass::DataCuration } else { BenefitClass::AgentOrchestration }))
}

/// Opens the receipt. The two keys are named inside, so the payload is read to know whom to ask, and nothing of it is
/// used before both signatures verified.
pub(super) fn open<P: Claiming + Serialize + DeserializeOwned>(
    envelope: &Envelope,
    trust: &Believed<'_>,
) -> Result<Statement<P>, Code> {
    let statement: Statement<P> = Statement::parse(&envelope.payload).map_err(|error| match error {
        // What is canonical JSON lacks or has a field; the rest is spelled wrongly.
        NotCanonical::NotJson { .. } if parse_canonical(&envelope.payload).is_ok() => Code::Shape,
        NotCanonical::NotJson { .. }
        | NotCanonical::NotUtf8
        | NotCanonical::DuplicateName { .. }
        | NotCanonical::Number
        | NotCanonical::Spelling => Code::Noncanonical,
    })?;
    let claims = statement.predicate.claims();
    let actors = claims.actors;
    let is = |key: &PublicKey, id: &Digest| key_id(key) == *id;
    if !is(&actors.associate.key, &actors.associate.keyid) {
        return Err(Code::AssociateKeyId);
    }
    if !is(&actors.node.key, &actors.node.keyid) {
        return Err(Code::NodeKeyId);
    }
    envelope.verified_by(&actors.associate.key).map_err(|_bad| Code::AssociateSignature)?;
    envelope.verified_by(&actors.node.key).map_err(|_bad| Code::NodeSignature)?;
    if !is(&actors.principal.key, &actors.principal.keyid) {
        return Err(Code::PrincipalKeyId);
    }
    if !is(&actors.root.key, &actors.root.keyid) {
        return Err(Code::RootKeyId);
    }
    if !trust.has(TrustedRole::Root, &actors.root.key) {
        return Err(Code::RootUntrusted);
    }
    if !trust.has(TrustedRole::Node, &actors.node.key) {
        return Err(Code::NodeUntrusted);
    }
    if statement.statement_type != STATEMENT {
        return Err(Code::StatementType);
    }
    if statement.predicate_type != claims.predicate_type {
        return Err(Code::PredicateType);
    }
    Ok(statement)
}

/// Opens the tree head and compares it with what the statement says of it.
pub(super) fn checkpoint(
    claims: &Claims<'_>,
    subject: &[Subject],
    text: &str,
    trust: &Believed<'_>,
) -> Result<Checkpoint, Code> {
    let log = trust.log_key().ok_or(Code::LogUntrusted)?;
    if log_name(&log) != claims.actors.node.log_origin {
        return Err(Code::LogUntrusted);
    }
    apart(claims, &log)?;
    let head = Checkpoint::open(text, &log).map_err(|_refused| Code::Checkpoint)?;
    // One subject and no more: a reader that takes any subject must not find another thing to be attested.
    let [Subject { digest, name }] = subject else { return Err(Code::Subject) };
    if name != "anchor-set" || digest.sha256 != Digest::of(head.body().as_bytes()) {
        return Err(Code::Subject);
    }
    let set = claims.anchor_set;
    if set.origin != head.origin || claims.origin.as_ref() != Some(&set.origin) {
        return Err(Code::Origin);
    }
    if set.size.0 != head.size {
        return Err(Code::Size);
    }
    if set.root != head.root {
        return Err(Code::Root);
    }
    if set.hash != "sha256" || set.leaf != claims.leaf {
        return Err(Code::TreeKind);
    }
    Ok(head)
}

/// No key does two jobs. The associate as its own verifier has a code of its own.
pub(super) fn apart(claims: &Claims<'_>, log: &PublicKey) -> Result<(), Code> {
    let actors = claims.actors;
    let keys = [*log, actors.node.key, actors.principal.key, actors.root.key];
    let distinct = BTreeSet::from(keys).len() == keys.len() && !keys.contains(&actors.associate.key);
    let judges = claims.verdicts.iter().all(|verdict| !keys.contains(&verdict.by));
    if distinct && judges { Ok(()) } else { Err(Code::SharedKey) }
}

/// The origin of a module's tree.
pub(super) fn origin(predicate: &Predicate) -> String {
    let module = &predicate.module;
    let node = &predicate.actors.node.log_origin;
    format!("{node}/trace/{}/{}/{}", module.run_id, module.module_id, module.attempt.0)
}

/// Fields that must have one value, or fit each other.
pub(super) fn fields(predicate: &Predicate, network: &Digest) -> Result<(), Code> {
    let ensure = |holds: bool, code: Code| if holds { Ok(()) } else { Err(code) };
    ensure(predicate.spec == SPEC, Code::Spec)?;
    ensure(predicate.benefit_class == BenefitClass::AgentOrchestration, Code::BenefitClass)?;
    ensure(predicate.status == "completed", Code::Status)?;
    ensure(predicate.network == *network, Code::Network)?;
    ensure(predicate.counts.keys().map(String::as_str).eq(COUNTED), Code::CountKinds)?;
    let sum = predicate.counts.values().try_fold(2_u64, |sum, count| sum.checked_add(count.0));
    ensure(sum == Some(predicate.anchor_set.size.0), Code::CountSum)?;
    let count = |kind: &str| predicate.counts.get(kind).map_or(0, |count| count.0);
    ensure(count("output") == 1, Code::Output)?;
    let module = &predicate.module;
    let own = nullifier(&predicate.network, &predicate.actors.root.key, module.run_id, module.module_id);
    ensure(predicate.nullifier == own, Code::Nullifier)?;
    let sorted = predicate.parents.windows(2).all(|pair| pair[0].receipt < pair[1].receipt);
    ensure(sorted, Code::Parents)?;
    let heads = predicate.corpora.iter().all(|head| head.size.0 > 0 && head.origin.contains("/corpus/"));
    let corpora: BTreeSet<&str> = predicate.corpora.iter().map(|head| head.origin.as_str()).collect();
    ensure(heads && corpora.len() == predicate.corpora.len(), Code::Corpora)?;
    let mut before = 0;
    for earlier in &predicate.earlier {
        let number = earlier.attempt.0;
        let known = matches!(earlier.outcome.as_str(), "rework" | "failed" | "cancelled");
        ensure(number > before && number < module.attempt.0 && earlier.size.0 >= 2 && known, Code::Earlier)?;
        before = number;
    }
    ensure(predicate.earlier.len() as u64 + 1 == module.attempt.0, Code::Earlier)?;
    ensure(predicate.policy.decision == "allow", Code::Policy)?;
    ensure(predicate.skills.iter().all(|skill| !skill.name.is_empty()), Code::Skills)?;
    let models: BTreeSet<&Digest> = predicate.models.iter().map(|model| &model.commitment).collect();
    let provided = predicate.models.iter().all(|model| !model.provider.is_empty());
    let called = predicate.models.len() as u64 <= count("model_call");
    ensure(provided && called && models.len() == predicate.models.len(), Code::Models)?;
    let currency = &predicate.usage.currency;
    ensure(currency.len() == 3 && currency.bytes().all(|byte| byte.is_ascii_uppercase()), Code::Currency)?;
    let (start, end) = times(&predicate.time)?;
    ensure(start <= end, Code::Time)?;
    let usage = &predicate.usage;
    ensure(usage.tool_calls.0 <= count("tool_call") && usage.wall_ms.0 <= end - start, Code::Usage)?;
    ensure(predicate.non_claims == predicate.actors.custody.non_claims(), Code::NonClaims)
}

/// Start and end of the attempt in milliseconds since the Unix epoch.
pub(super) fn times(time: &TimeSpan) -> Result<(u64, u64), Code> {
    let read = |text: &str| parse_millis(text).map_err(|_form| Code::Time);
    Ok((read(&time.start)?, read(&time.end)?))
}
