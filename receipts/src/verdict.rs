//! The Verifier's word on a deliverable: an in-toto Simple Verification Result (SVR v0.2).
//!
//! One statement a module; its properties are the criteria that hold, so what does not hold cannot be read out of it.

use serde::{Deserialize, Serialize};

use crate::{
    canonical::NotCanonical,
    digest::{Digest, PublicKey},
    dsse::{Envelope, IN_TOTO},
    keys::{SigningKey, key_id},
    statement::{STATEMENT, Sha256Digest, Statement},
    timestamp::{NotATime, format_millis, parse_millis},
};

/// in-toto's predicate type.
pub const PREDICATE: &str = "https://in-toto.io/attestation/svr/v0.2";
/// What every property begins with.
const PREFIX: &str = "II_";

/// A verification result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerificationResult {
    /// The key that found.
    pub verifier: PublicKey,
    /// Commitment to the deliverable.
    pub deliverable: Digest,
    /// The policy that was applied.
    pub policy: Digest,
    /// Names of the criteria that hold, in the module's order.
    pub criteria: Vec<String>,
    /// When it was found.
    pub at_ms: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Verifier {
    id: String,
    policies: Vec<PolicyRef>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyRef {
    digest: Sha256Digest,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Predicate {
    properties: Vec<String>,
    time_created: String,
    verifier: Verifier,
}

/// Why a verification result cannot be written or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerdictError {
    /// The statement.
    #[error("verdict: {0}")]
    NotCanonical(#[from] NotCanonical),
    /// A time out of form.
    #[error(transparent)]
    Time(#[from] NotATime),
    /// Not a verification result of ours.
    #[error("not a verification result")]
    Shape,
}

/// The verifier's identity as a URI: its key's id.
pub(crate) fn uri(key: &PublicKey) -> Result<String, NotCanonical> {
    Ok(format!("urn:ii:key:{}", key_id(key)))
}

/// A criterion's name as a property. Two names may become one.
pub(crate) fn property(criterion: &str) -> String {
    format!("{PREFIX}{}", criterion.replace('-', "_").to_ascii_uppercase())
}

impl VerificationResult {
    /// Signs it. `key` is the verifier's.
    ///
    /// # Errors
    /// A time past the year 9999.
    pub fn sign(&self, key: &SigningKey) -> Result<Envelope, VerdictError> {
        let predicate = Predicate {
            properties: self.criteria.iter().map(|criterion| property(criterion)).collect(),
            time_created: format_millis(self.at_ms)?,
            verifier: Verifier {
                id: uri(&self.verifier)?,
                policies: vec![PolicyRef { digest: Sha256Digest { sha256: self.policy } }],
            },
        };
        let payload = Statement::about("deliverable", self.deliverable, PREDICATE, predicate).to_bytes()?;
        Ok(Envelope::sign(IN_TOTO, payload, &[key])?)
    }
}

/// A verification result as it was read, its signature not yet checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub verifier: String,
    pub deliverable: Digest,
    pub policies: Vec<Digest>,
    pub properties: Vec<String>,
    pub at_ms: u64,
}

impl Found {
    pub fn parse(envelope: &Envelope) -> Result<Self, VerdictError> {
        let statement: Statement<Predicate> = Statement::parse(&envelope.payload)?;
        let [subject] = statement.subject.as_slice() else { return Err(VerdictError::Shape) };
        let fits = envelope.payload_type == IN_TOTO
            && statement.statement_type == STATEMENT
            && statement.predicate_type == PREDICATE
            && subject.name == "deliverable"
            && envelope.signatures.len() == 1;
        if !fits {
            return Err(VerdictError::Shape);
        }
        let predicate = statement.predicate;
        Ok(Self {
            verifier: predicate.verifier.id,
            deliverable: subject.digest.sha256,
            policies: predicate.verifier.policies.iter().map(|policy| policy.digest.sha256).collect(),
            properties: predicate.properties,
            at_ms: parse_millis(&predicate.time_created)?,
        })
    }

    /// Whether it names this verifier.
    pub fn is_by(&self, key: &PublicKey) -> bool {
        uri(key).is_ok_and(|uri| uri == self.verifier)
    }

    /// Whether it lists this criterion as holding.
    pub fn holds(&self, criterion: &str) -> bool {
        self.properties.contains(&property(criterion))
    }
}
