//! Whom a verifier of receipts trusts: a network, keys by role, and a log.

use serde::{Deserialize, Serialize};

use crate::{
    bitcoin::anchor::TrustedChain,
    canonical::{NotCanonical, canonical},
    digest::{Digest, PublicKey},
    keys::key_id,
    ledger::trusted::{KeysError, TrustedLedger},
    note::parse_vkey,
};

/// A role in `trust.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrustedRole {
    /// The root of authority.
    Root,
    /// The person.
    Person,
    /// The principal.
    Principal,
    /// An associate.
    Associate,
    /// The verifier of deliverables.
    Verifier,
    /// The node.
    Node,
    /// Somebody else, who verifies receipts and counter-signs them.
    Countersigner,
}

/// A key and the role it is trusted in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustedKey {
    /// The role.
    pub role: TrustedRole,
    /// Id of the key.
    pub keyid: Digest,
    /// The key.
    pub public: PublicKey,
}

/// The log whose checkpoints are trusted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustedLog {
    /// Its verifier key in C2SP form.
    pub vkey: String,
}

/// Whom a verifier trusts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trust {
    /// The ledger network.
    pub network: Digest,
    /// Keys by role.
    pub keys: Vec<TrustedKey>,
    /// The log.
    pub log: TrustedLog,
    /// The ledger whose evidence counts, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ledger: Option<TrustedLedger>,
    /// The chain of Bitcoin's family whose blocks count, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<TrustedChain>,
}

/// Why a trust file makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// Not JSON of this shape.
    #[error("trust file: {reason}")]
    Shape {
        /// What the reader said.
        reason: String,
    },
    /// A key's id is not its own.
    #[error("trust file: {keyid} is not the id of key {public}")]
    KeyId {
        /// The id given.
        keyid: Digest,
        /// The key given.
        public: PublicKey,
    },
    /// The log's verifier key is malformed.
    #[error("trust file: `{vkey}` is no verifier key")]
    Log {
        /// The text given.
        vkey: String,
    },
    /// The ledger's keys do not fit each other.
    #[error("trust file: {0}")]
    Ledger(#[from] KeysError),
}

impl Trust {
    /// The file, canonical.
    ///
    /// # Errors
    /// None in practice.
    pub fn to_bytes(&self) -> Result<Vec<u8>, NotCanonical> {
        canonical(self)
    }

    /// Reads a file, in any JSON spelling: a person may have written it.
    ///
    /// # Errors
    /// [`TrustError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, TrustError> {
        let shape = |error: String| TrustError::Shape { reason: error };
        let trust: Self = serde_json::from_slice(bytes).map_err(|error| shape(error.to_string()))?;
        for key in &trust.keys {
            if key_id(&key.public) != key.keyid {
                return Err(TrustError::KeyId { keyid: key.keyid, public: key.public });
            }
        }
        trust.log_key()?;
        trust.ledger.as_ref().map_or(Ok(()), TrustedLedger::check)?;
        Ok(trust)
    }

    /// The log's key.
    ///
    /// # Errors
    /// [`TrustError::Log`].
    pub fn log_key(&self) -> Result<PublicKey, TrustError> {
        let named = parse_vkey(&self.log.vkey).ok_or_else(|| TrustError::Log { vkey: self.log.vkey.clone() })?;
        Ok(named.1)
    }

    /// Whether `key` is trusted in `role`.
    pub fn has(&self, role: TrustedRole, key: &PublicKey) -> bool {
        self.keys.iter().any(|trusted| trusted.role == role && trusted.public == *key)
    }
}
