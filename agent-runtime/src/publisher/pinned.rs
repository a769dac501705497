//! The ledger of a home: pinned at the first contact, the same ever after.
//!
//! **Invariant:** another network, log key or set of validators or witnesses than was pinned is never taken for the ledger.

use receipts::{
    Digest,
    ledger::{
        rpc::Info,
        trusted::{KeysError, TrustedLedger},
    },
};
use serde::{Deserialize, Serialize};

/// Network and keys of a ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pinned {
    /// The ledger network.
    pub network: Digest,
    /// The keys.
    pub ledger: TrustedLedger,
}

/// Why a ledger is not the one that receipts go to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OtherLedger {
    /// It is of another network than the receipts.
    #[error("the ledger is of network {theirs}, the receipts of {ours}")]
    Network {
        /// That of the receipts.
        ours: Digest,
        /// That of the ledger.
        theirs: Digest,
    },
    /// Its log has another key than was pinned or configured.
    #[error("the ledger's log is {found}, and {pinned} is pinned")]
    Log {
        /// The pinned key.
        pinned: String,
        /// The ledger's.
        found: String,
    },
    /// Its validators or witnesses are others than were pinned.
    #[error("the ledger names other validators or witnesses than were pinned")]
    Signers,
    /// Its keys do not fit each other.
    #[error("the ledger's keys make no sense: {0}")]
    Keys(#[from] KeysError),
}

impl Pinned {
    /// What a ledger says of itself, for receipts of `network`; its log must have the key `wanted` where one is configured.
    ///
    /// # Errors
    /// [`OtherLedger`].
    pub fn first(info: &Info, network: Digest, wanted: Option<&str>) -> Result<Self, OtherLedger> {
        if info.network != network {
            return Err(OtherLedger::Network { ours: network, theirs: info.network });
        }
        if let Some(pinned) = wanted.filter(|wanted| *wanted != info.vkey) {
            return Err(OtherLedger::Log { pinned: pinned.to_owned(), found: info.vkey.clone() });
        }
        Ok(Self { network, ledger: TrustedLedger::named_by(info)? })
    }

    /// Whether this is what a ledger still says of itself.
    ///
    /// # Errors
    /// [`OtherLedger`].
    pub fn fits(&self, info: &Info) -> Result<(), OtherLedger> {
        let found = Self::first(info, self.network, Some(&self.ledger.vkey))?;
        if found == *self { Ok(()) } else { Err(OtherLedger::Signers) }
    }
}

#[cfg(test)]
mod tests {
    use receipts::{
        Digest,
        cosignature::Cosigner,
        integer::Decimal,
        keys::SigningKey,
        ledger::rpc::Info,
        note::{log_name, vkey},
    };

    use super::{OtherLedger, Pinned};

    fn info(log: u8) -> Info {
        let key = |seed: u8| SigningKey::from_seed(&[seed; 32]).public();
        Info {
            program: "ii-ledger".to_owned(),
            network: Digest([1; 32]),
            origin: log_name(&key(log)),
            vkey: vkey(&key(log)),
            validators: (10..14).map(key).collect(),
            quorum: Decimal(3),
            witnesses: vec![Cosigner::of(key(20)).vkey()],
            witness_quorum: Decimal(1),
            size: Decimal(0),
            height: Decimal(0),
            open: true,
            faults: false,
        }
    }

    #[test]
    fn a_ledger_is_pinned_once_and_stays_the_same() {
        let (network, one, other) = (Digest([1; 32]), info(1), info(2));
        let pinned = Pinned::first(&one, network, None).expect("pinned");
        assert_eq!(Pinned::first(&one, network, Some(&one.vkey)), Ok(pinned.clone()));
        let log =
            |pinned: &Info, found: &Info| OtherLedger::Log { pinned: pinned.vkey.clone(), found: found.vkey.clone() };
        assert_eq!(Pinned::first(&one, network, Some(&other.vkey)), Err(log(&other, &one)));
        let ours = Digest([9; 32]);
        assert_eq!(Pinned::first(&one, ours, None), Err(OtherLedger::Network { ours, theirs: network }));
        assert_eq!(pinned.fits(&Info { size: Decimal(9), height: Decimal(3), ..one.clone() }), Ok(()));
        assert_eq!(pinned.fits(&other), Err(log(&one, &other)));
        assert_eq!(pinned.fits(&Info { witness_quorum: Decimal(0), ..one.clone() }), Err(OtherLedger::Signers));
        assert_eq!(pinned.fits(&Info { validators: other.validators[1..].to_vec(), ..one }), Err(OtherLedger::Signers));
    }
}
