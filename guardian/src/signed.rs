//! What charters and orders have in common as files: an in-toto statement in a DSSE envelope, signed by every key that the
//! text names, as the delegations of `receipts` are.
//!
//! **Invariant:** what is read is what was verified, and it has one spelling.

use std::collections::BTreeSet;

use common_ground::guardian::{Defect, Presented, Signed};
use receipts::{
    Digest, PublicKey,
    canonical::NotCanonical,
    dsse::{Envelope, IN_TOTO},
    keys::key_id,
    statement::{STATEMENT, Statement},
    timestamp::NotATime,
};
use serde::{Serialize, de::DeserializeOwned};

/// Largest file that is read, in bytes.
pub(crate) const LARGEST: usize = 64 * 1024;
/// Most keys that sign one file.
const MOST_SIGNERS: usize = 32;

/// Why a text cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unwritable {
    /// A time past the year 9999.
    #[error(transparent)]
    Time(#[from] NotATime),
    /// No signer is named, or more than can be.
    #[error("a charter or an order names one to {MOST_SIGNERS} signers")]
    Signers,
    /// A value does not encode.
    #[error(transparent)]
    NotCanonical(#[from] NotCanonical),
}

/// A statement's payload, to be signed by each of the keys it names.
pub(crate) fn payload<P: Serialize>(
    name: &str,
    subject: Digest,
    predicate_type: &str,
    predicate: P,
    signers: usize,
) -> Result<Vec<u8>, Unwritable> {
    if signers == 0 || signers > MOST_SIGNERS {
        return Err(Unwritable::Signers);
    }
    Ok(Statement::about(name, subject, predicate_type, predicate).to_bytes()?)
}

/// One kind of file.
pub(crate) trait Form: Serialize + DeserializeOwned {
    /// What is read out of it.
    type Terms;
    /// Its predicate type.
    const PREDICATE: &'static str;
    /// The subject's name.
    const SUBJECT: &'static str;

    /// Keys that must have signed, in order.
    fn signers(&self) -> &[PublicKey];

    /// Its values, and the digest that its subject must have; none where they do not fit each other.
    fn terms(self) -> Option<(Self::Terms, Digest)>;
}

/// Reads a file and verifies every signature.
pub(crate) fn open<F: Form>(bytes: &[u8]) -> Presented<F::Terms> {
    let envelope = Digest::of(bytes);
    let read = (bytes.len() <= LARGEST).then(|| Envelope::parse(bytes).ok()).flatten();
    let Some(read) = read else { return Presented { id: envelope, envelope, said: Err(Defect::Malformed) } };
    Presented { id: read.id(), envelope, said: said::<F>(&read) }
}

fn said<F: Form>(envelope: &Envelope) -> Result<Signed<F::Terms>, Defect> {
    let statement: Statement<F> = Statement::parse(&envelope.payload).map_err(|_other| Defect::Malformed)?;
    let [subject] = statement.subject.as_slice() else { return Err(Defect::Malformed) };
    let (named, about) = (subject.name.clone(), subject.digest.sha256);
    let by: BTreeSet<PublicKey> = statement.predicate.signers().iter().copied().collect();
    let fits = envelope.payload_type == IN_TOTO
        && statement.statement_type == STATEMENT
        && statement.predicate_type == F::PREDICATE
        && named == F::SUBJECT
        && !by.is_empty()
        && by.len() <= MOST_SIGNERS
        && by.iter().eq(statement.predicate.signers());
    let (terms, subject) = statement.predicate.terms().filter(|_| fits).ok_or(Defect::Malformed)?;
    if subject != about {
        return Err(Defect::Malformed);
    }
    let signed = envelope.signatures.len() == by.len() && by.iter().all(|key| envelope.verified_by(key).is_ok());
    if signed { Ok(Signed { terms, by }) } else { Err(Defect::BadSignature) }
}

/// The signatures of both files, when they are on one text: how several people sign one order, each at their own place.
pub fn join(one: &[u8], other: &[u8]) -> Option<Vec<u8>> {
    let (mut one, other) = (Envelope::parse(one).ok()?, Envelope::parse(other).ok()?);
    if (&one.payload_type, &one.payload) != (&other.payload_type, &other.payload) {
        return None;
    }
    let known: BTreeSet<Digest> = one.signatures.iter().map(|signature| signature.keyid).collect();
    one.signatures.extend(other.signatures.into_iter().filter(|signature| !known.contains(&signature.keyid)));
    one.signatures.sort_by_key(|signature| signature.keyid);
    one.to_bytes().ok()
}

/// Which of the keys that the text names have not signed yet; none for bytes that are no envelope.
pub(crate) fn missing<F: Form>(bytes: &[u8]) -> Option<Vec<PublicKey>> {
    let envelope = Envelope::parse(bytes).ok()?;
    let statement: Statement<F> = Statement::parse(&envelope.payload).ok()?;
    let signed: BTreeSet<Digest> = envelope.signatures.iter().map(|signature| signature.keyid).collect();
    let open = statement.predicate.signers().iter().filter(|key| !signed.contains(&key_id(key)));
    Some(open.copied().collect())
}
