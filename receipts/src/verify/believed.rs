//! Whom a check believes: the keys that somebody trusts, or those that the receipt itself names.

use crate::{
    bitcoin::anchor::TrustedChain,
    delegation::{Delegation, DelegationError},
    digest::{Digest, PublicKey},
    ledger::trusted::TrustedLedger,
    trust::{Trust, TrustedRole},
};

/// Opens a delegation file: [`Delegation::open`], or a memory of what it gave for the same bytes before.
pub type OpenDelegation<'a> = dyn Fn(&[u8]) -> Result<(Delegation, Digest), DelegationError> + 'a;

/// Whose word counts.
#[derive(Clone, Copy, Debug)]
pub enum Believed<'a> {
    /// The keys that a verifier trusts.
    Trusted(&'a Trust),
    /// Whichever keys the receipt names, in the roles in which it names them. That shows that they signed and that authority
    /// was given by that root, and not whose keys they are.
    AsNamed {
        /// The ledger network.
        network: &'a Digest,
        /// The key of the log, whose name the receipt has.
        log: &'a PublicKey,
    },
}

impl Believed<'_> {
    pub(super) fn has(&self, role: TrustedRole, key: &PublicKey) -> bool {
        match self {
            Self::Trusted(trust) => trust.has(role, key),
            Self::AsNamed { .. } => true,
        }
    }

    pub(super) fn network(&self) -> &Digest {
        match self {
            Self::Trusted(trust) => &trust.network,
            Self::AsNamed { network, .. } => network,
        }
    }

    /// The ledger whose evidence counts.
    pub(super) fn ledger(&self) -> Option<&TrustedLedger> {
        match self {
            Self::Trusted(trust) => trust.ledger.as_ref(),
            Self::AsNamed { .. } => None,
        }
    }

    /// The chain whose blocks count.
    pub(super) fn chain(&self) -> Option<&TrustedChain> {
        match self {
            Self::Trusted(trust) => trust.chain.as_ref(),
            Self::AsNamed { .. } => None,
        }
    }

    /// The key of the log; `None` where a trust file spells it wrongly.
    pub(super) fn log_key(&self) -> Option<PublicKey> {
        match self {
            Self::Trusted(trust) => trust.log_key().ok(),
            Self::AsNamed { log, .. } => Some(**log),
        }
    }
}
