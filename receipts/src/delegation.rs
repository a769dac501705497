//! Delegations: one key's word that another may act for it, within limits.

use serde::{Deserialize, Serialize};

use crate::{
    canonical::NotCanonical,
    digest::{Digest, PublicKey},
    dsse::{DsseError, Envelope, IN_TOTO},
    integer::Decimal,
    keys::{SigningKey, key_id},
    statement::{Actor, STATEMENT, Statement},
    timestamp::{NotATime, format_millis, parse_millis},
};

/// The predicate type.
pub const PREDICATE: &str = "https://ii.example/pob/delegation/v1";

/// The role that is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DelegatedRole {
    /// Approvals and orders, from the root.
    Person,
    /// Planning and accepting, from the root.
    Principal,
    /// Work, from the principal.
    Associate,
}

/// The most a delegate may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct DelegatedBudget {
    /// Millionths of the currency.
    pub cost_micro: Decimal,
    /// Tokens.
    pub tokens: Decimal,
    /// Tool calls.
    pub tool_calls: Decimal,
}

/// A delegation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegation {
    /// Who gives.
    pub from: PublicKey,
    /// Who gets.
    pub to: PublicKey,
    /// What.
    pub role: DelegatedRole,
    /// Kinds of module; `*` for all.
    pub modules: Vec<String>,
    /// Tools; `*` for all.
    pub tools: Vec<String>,
    /// Limits.
    pub budget: DelegatedBudget,
    /// From when, in milliseconds since the Unix epoch.
    pub not_before_ms: u64,
    /// Until when.
    pub not_after_ms: u64,
    /// How many further delegations may hang under it.
    pub depth: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Predicate {
    budget: DelegatedBudget,
    depth: Decimal,
    from: Actor,
    modules: Vec<String>,
    not_after: String,
    not_before: String,
    role: DelegatedRole,
    to: Actor,
    tools: Vec<String>,
}

/// Why a delegation is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DelegationError {
    /// The envelope, or the signature of the key that gives.
    #[error(transparent)]
    Envelope(#[from] DsseError),
    /// The statement.
    #[error("delegation: {0}")]
    NotCanonical(#[from] NotCanonical),
    /// Not a delegation, or its values do not fit each other.
    #[error("not a delegation")]
    Shape,
    /// A time out of form.
    #[error(transparent)]
    Time(#[from] NotATime),
}

impl Delegation {
    /// Signs it. `key` is that of [`Delegation::from`].
    ///
    /// # Errors
    /// A time past the year 9999.
    pub fn sign(&self, key: &SigningKey) -> Result<Envelope, DelegationError> {
        let to = Actor { key: self.to, keyid: key_id(&self.to) };
        let subject = to.keyid;
        let predicate = Predicate {
            budget: self.budget,
            depth: Decimal(self.depth),
            from: Actor { key: self.from, keyid: key_id(&self.from) },
            modules: self.modules.clone(),
            not_after: format_millis(self.not_after_ms)?,
            not_before: format_millis(self.not_before_ms)?,
            role: self.role,
            to,
            tools: self.tools.clone(),
        };
        let payload = Statement::about("key", subject, PREDICATE, predicate).to_bytes()?;
        Ok(Envelope::sign(IN_TOTO, payload, &[key])?)
    }

    /// Verifies and reads a delegation file; gives its id too.
    ///
    /// # Errors
    /// [`DelegationError`].
    pub fn open(bytes: &[u8]) -> Result<(Self, Digest), DelegationError> {
        let envelope = Envelope::parse(bytes)?;
        let statement: Statement<Predicate> = Statement::parse(&envelope.payload)?;
        let predicate = statement.predicate;
        let subject: Vec<Digest> = statement.subject.iter().map(|subject| subject.digest.sha256).collect();
        let fits = envelope.payload_type == IN_TOTO
            && statement.statement_type == STATEMENT
            && statement.predicate_type == PREDICATE
            && subject == [predicate.to.keyid]
            && statement.subject.iter().all(|subject| subject.name == "key")
            && key_id(&predicate.to.key) == predicate.to.keyid
            && key_id(&predicate.from.key) == predicate.from.keyid
            && envelope.signatures.len() == 1;
        if !fits {
            return Err(DelegationError::Shape);
        }
        envelope.verified_by(&predicate.from.key)?;
        let delegation = Self {
            from: predicate.from.key,
            to: predicate.to.key,
            role: predicate.role,
            modules: predicate.modules,
            tools: predicate.tools,
            budget: predicate.budget,
            not_before_ms: parse_millis(&predicate.not_before)?,
            not_after_ms: parse_millis(&predicate.not_after)?,
            depth: predicate.depth.0,
        };
        Ok((delegation, envelope.id()))
    }
}
