//! Blocks: a chain of heads of the log, each certified by 2f+1 of 3f+1 validators.
//!
//! **Invariant:** a certificate counts each validator once, and nobody who is none.
//! **Invariant:** a block commits to the one before it, so a chain cannot be changed anywhere without changing its end.

use serde::{Deserialize, Serialize};

use crate::{
    digest::{Digest, PublicKey},
    integer::Decimal,
    keys::{SigningKey, verify},
};

/// One block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// The ledger network.
    pub network: Digest,
    /// 1 for the first.
    pub height: Decimal,
    /// Id of the block before; 32 zero bytes for the first.
    pub previous: Digest,
    /// Entries of the log up to here.
    pub size: Decimal,
    /// Root of the log's tree of that size.
    pub root: Digest,
    /// Milliseconds since the Unix epoch, by the clock of who made it.
    pub time: Decimal,
}

impl Block {
    /// What validators sign:
    /// `"pob/block/1\n" ‖ network[32] ‖ u64(height) ‖ previous[32] ‖ u64(size) ‖ root[32] ‖ u64(time)`.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = b"pob/block/1\n".to_vec();
        bytes.extend_from_slice(&self.network.0);
        bytes.extend_from_slice(&self.height.0.to_be_bytes());
        bytes.extend_from_slice(&self.previous.0);
        bytes.extend_from_slice(&self.size.0.to_be_bytes());
        bytes.extend_from_slice(&self.root.0);
        bytes.extend_from_slice(&self.time.0.to_be_bytes());
        bytes
    }

    /// SHA-256 of what is signed.
    pub fn id(&self) -> Digest {
        Digest::of(&self.to_bytes())
    }

    /// Whether this block may stand behind `previous`; for the first block that is `None`.
    pub fn follows(&self, previous: Option<&Self>) -> bool {
        match previous {
            Some(previous) => {
                self.network == previous.network
                    && self.previous == previous.id()
                    && previous.height.0.checked_add(1) == Some(self.height.0)
                    && self.size >= previous.size
            }
            None => self.height.0 == 1 && self.previous == Digest([0; 32]),
        }
    }

    /// A validator's vote for it.
    pub fn vote(&self, key: &SigningKey) -> Vote {
        Vote { validator: key.public(), signature: hex::encode(key.sign(&self.to_bytes())) }
    }
}

/// A validator's signature on a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vote {
    /// Whose.
    pub validator: PublicKey,
    /// 64 bytes in lower-case hex.
    pub signature: String,
}

/// A block and the votes for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertifiedBlock {
    /// The block.
    pub block: Block,
    /// Votes of different validators.
    pub certificate: Vec<Vote>,
}

/// Why a certificate does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Not 3f+1 different validators.
    #[error("{validators} validators are not 3f+1 different ones")]
    Validators {
        /// How many were given.
        validators: usize,
    },
    /// A vote of nobody, or two of one.
    #[error("a vote of {validator} does not count")]
    Voter {
        /// Whose vote.
        validator: PublicKey,
    },
    /// A vote that does not verify.
    #[error("the vote of {validator} does not verify")]
    Signature {
        /// Whose vote.
        validator: PublicKey,
    },
    /// Too few votes.
    #[error("{votes} votes where {quorum} are needed")]
    Quorum {
        /// How many there are.
        votes: usize,
        /// How many it takes.
        quorum: usize,
    },
}

/// How many of so many validators make a block final: 2f+1 of 3f+1. `None` for any other number, and for one.
pub fn quorum(validators: usize) -> Option<usize> {
    let faulty = validators.checked_sub(1)? / 3;
    (faulty > 0 && validators == 3 * faulty + 1).then_some(2 * faulty + 1)
}

impl CertifiedBlock {
    /// Checks that 2f+1 of these validators voted for the block.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn check(&self, validators: &[PublicKey]) -> Result<(), CertificateError> {
        let different = std::collections::BTreeSet::from_iter(validators);
        let quorum = quorum(validators.len()).filter(|_| different.len() == validators.len());
        let quorum = quorum.ok_or(CertificateError::Validators { validators: validators.len() })?;
        let bytes = self.block.to_bytes();
        let mut voters = std::collections::BTreeSet::new();
        for vote in &self.certificate {
            let validator = vote.validator;
            if !different.contains(&validator) || !voters.insert(validator) {
                return Err(CertificateError::Voter { validator });
            }
            let mut signature = [0; 64];
            let lower = !vote.signature.bytes().any(|byte| byte.is_ascii_uppercase());
            let read = hex::decode_to_slice(&vote.signature, &mut signature);
            if !lower || read.is_err() || verify(&validator, &bytes, &signature).is_err() {
                return Err(CertificateError::Signature { validator });
            }
        }
        let votes = voters.len();
        if votes >= quorum { Ok(()) } else { Err(CertificateError::Quorum { votes, quorum }) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Block, CertificateError, CertifiedBlock, quorum};
    use crate::{
        digest::{Digest, PublicKey},
        integer::Decimal,
        keys::SigningKey,
    };

    fn block() -> Block {
        Block {
            network: Digest([1; 32]),
            height: Decimal(1),
            previous: Digest([0; 32]),
            size: Decimal(3),
            root: Digest([2; 32]),
            time: Decimal(4),
        }
    }

    fn keys() -> Vec<SigningKey> {
        (1..=4).map(|seed| SigningKey::from_seed(&[seed; 32])).collect()
    }

    fn certified(voters: &[usize]) -> CertifiedBlock {
        let keys = keys();
        CertifiedBlock { block: block(), certificate: voters.iter().map(|at| block().vote(&keys[*at])).collect() }
    }

    #[test]
    fn three_of_four_certify_and_fewer_or_others_do_not() {
        let validators: Vec<PublicKey> = keys().iter().map(SigningKey::public).collect();
        let check = |block: &CertifiedBlock| block.check(&validators);
        assert_eq!(check(&certified(&[0, 1, 2])), Ok(()));
        assert_eq!(check(&certified(&[3, 1, 2, 0])), Ok(()));
        assert_eq!(check(&certified(&[0, 1])), Err(CertificateError::Quorum { votes: 2, quorum: 3 }));
        assert_eq!(check(&certified(&[0, 1, 1])), Err(CertificateError::Voter { validator: validators[1] }));
        let stranger = SigningKey::from_seed(&[9; 32]);
        let mut strange = certified(&[0, 1]);
        strange.certificate.push(block().vote(&stranger));
        assert_eq!(check(&strange), Err(CertificateError::Voter { validator: stranger.public() }));
        for wrong in ["", "00", &"0".repeat(128), &certified(&[2]).certificate[0].signature.to_uppercase()] {
            let mut forged = certified(&[0, 1, 2]);
            forged.certificate[2].signature = wrong.to_owned();
            assert_eq!(check(&forged), Err(CertificateError::Signature { validator: validators[2] }), "{wrong}");
        }
        assert_eq!(certified(&[0, 1, 2]).check(&validators[..3]), Err(CertificateError::Validators { validators: 3 }));
        let twice = [validators[0], validators[0], validators[1], validators[2]];
        assert_eq!(certified(&[0, 1, 2]).check(&twice), Err(CertificateError::Validators { validators: 4 }));
    }

    #[test]
    fn each_field_is_signed() {
        let validators: Vec<PublicKey> = keys().iter().map(SigningKey::public).collect();
        type Change = fn(&mut Block);
        let changes: [Change; 6] = [
            |b| b.network.0[0] ^= 1,
            |b| b.height.0 += 1,
            |b| b.previous.0[0] ^= 1,
            |b| b.size.0 += 1,
            |b| b.root.0[0] ^= 1,
            |b| b.time.0 += 1,
        ];
        for change in changes {
            let mut other = certified(&[0, 1, 2]);
            change(&mut other.block);
            assert_ne!(other.block.id(), block().id());
            assert_eq!(other.check(&validators), Err(CertificateError::Signature { validator: validators[0] }));
        }
    }

    #[test]
    fn blocks_follow_one_another() {
        let first = block();
        let second = Block { height: Decimal(2), previous: first.id(), size: Decimal(5), ..first.clone() };
        assert!(first.follows(None) && second.follows(Some(&first)));
        assert!(!second.follows(None) && !first.follows(Some(&second)) && !first.follows(Some(&first)));
        assert!(!Block { size: Decimal(2), ..second.clone() }.follows(Some(&first)), "the log never shrinks");
        assert!(!Block { height: Decimal(3), ..second.clone() }.follows(Some(&first)));
        assert!(!Block { network: Digest([9; 32]), ..second }.follows(Some(&first)));
    }

    #[test]
    fn a_quorum_is_more_than_two_thirds() {
        let found: Vec<Option<usize>> = [0, 1, 2, 3, 4, 5, 6, 7, 10].into_iter().map(quorum).collect();
        assert_eq!(found, [None, None, None, None, Some(3), None, None, Some(5), Some(7)]);
    }
}
