//! The ledger of a home: pinned at the first contact, the same ever after.
//!
//! **Invariant:** another network, log key or set of validators or witnesses than was pinned is never taken for the ledger, and no
//! other chain for the chain.

use receipts::{
    Digest,
    bitcoin::{
        anchor::TrustedChain,
        hash::BlockHash,
        header::{Header, Target},
    },
    integer::Decimal,
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

/// A chain and what counts in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinnedChain {
    /// The network that receipts are for.
    pub network: Digest,
    /// The chain's first block.
    pub genesis: BlockHash,
    /// The easiest work that counts: four times as easy as it was at the first contact.
    pub easiest: Target,
    /// How many blocks make a receipt final.
    pub depth: Decimal,
}

/// What receipts of a home go to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PinnedLedger {
    /// A ledger's log.
    Log(Pinned),
    /// A chain.
    Chain(PinnedChain),
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
    /// It is a node and a log was pinned, or the other way round.
    #[error("the pinned ledger is {pinned}, and the address is of the other kind")]
    Kind {
        /// What was pinned.
        pinned: &'static str,
    },
    /// It has another chain than was pinned or configured.
    #[error("the node's chain begins with block {found}, and {pinned} is pinned")]
    Chain {
        /// The pinned first block.
        pinned: BlockHash,
        /// The node's.
        found: BlockHash,
    },
    /// Another depth is set than was pinned.
    #[error("ledger.depth is {found}, and {pinned} is pinned")]
    Depth {
        /// The pinned depth.
        pinned: u64,
        /// The one in the settings.
        found: u64,
    },
    /// The work in its last block does not count.
    #[error("the node's last block has no work in it")]
    Work,
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

impl PinnedChain {
    /// What a node shows of its chain, for receipts of `network`; it must begin with the block `wanted` where one is configured.
    ///
    /// # Errors
    /// [`OtherLedger`].
    pub fn first(
        (network, depth): (Digest, u64),
        (genesis, tip): (BlockHash, &Header),
        wanted: Option<BlockHash>,
    ) -> Result<Self, OtherLedger> {
        if let Some(pinned) = wanted.filter(|wanted| *wanted != genesis) {
            return Err(OtherLedger::Chain { pinned, found: genesis });
        }
        let easiest = tip.target().filter(|own| tip.has_work(own)).ok_or(OtherLedger::Work)?.loosened();
        Ok(Self { network, genesis, easiest, depth: Decimal(depth) })
    }

    /// Whether this is still what receipts go to, by the settings of now and by what the node shows.
    ///
    /// # Errors
    /// [`OtherLedger`].
    pub fn fits(&self, (network, depth): (Digest, u64), genesis: BlockHash) -> Result<(), OtherLedger> {
        if network != self.network {
            return Err(OtherLedger::Network { ours: network, theirs: self.network });
        }
        if genesis != self.genesis {
            return Err(OtherLedger::Chain { pinned: self.genesis, found: genesis });
        }
        let pinned = self.depth.0;
        if depth == pinned { Ok(()) } else { Err(OtherLedger::Depth { pinned, found: depth }) }
    }

    /// The chain as a verifier trusts it who knows these blocks to be in it.
    pub fn trusted(&self, blocks: Vec<BlockHash>) -> TrustedChain {
        TrustedChain { genesis: self.genesis, easiest: self.easiest, depth: self.depth, blocks }
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

    use super::{BlockHash, Header, OtherLedger, Pinned, PinnedChain, PinnedLedger};

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

    #[test]
    fn a_chain_is_pinned_once_and_stays_the_same() {
        let mut tip = Header([0; 80]);
        tip.0[72..76].copy_from_slice(&0x207f_ffff_u32.to_le_bytes());
        while !tip.target().is_some_and(|own| tip.has_work(&own)) {
            tip.0[76] += 1;
        }
        let (network, genesis, other) = (Digest([1; 32]), BlockHash([2; 32]), BlockHash([3; 32]));
        let wrong = OtherLedger::Chain { pinned: other, found: genesis };
        assert_eq!(PinnedChain::first((network, 6), (genesis, &tip), Some(other)), Err(wrong));
        let idle = Header([0; 80]);
        assert_eq!(PinnedChain::first((network, 6), (genesis, &idle), None), Err(OtherLedger::Work));
        let pinned = PinnedChain::first((network, 6), (genesis, &tip), Some(genesis)).expect("pinned");
        assert_eq!(pinned.fits((network, 6), genesis), Ok(()));
        let ours = Digest([9; 32]);
        assert_eq!(pinned.fits((ours, 6), genesis), Err(OtherLedger::Network { ours, theirs: network }));
        assert_eq!(pinned.fits((network, 6), other), Err(OtherLedger::Chain { pinned: genesis, found: other }));
        assert_eq!(pinned.fits((network, 7), genesis), Err(OtherLedger::Depth { pinned: 6, found: 7 }));
        for one in
            [PinnedLedger::Chain(pinned), PinnedLedger::Log(Pinned::first(&info(1), network, None).expect("pinned"))]
        {
            let text = serde_json::to_vec(&one).expect("JSON");
            assert_eq!(serde_json::from_slice::<PinnedLedger>(&text).expect("reads"), one);
        }
    }
}
