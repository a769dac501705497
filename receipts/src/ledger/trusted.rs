//! The ledger as a client pinned it, and what the client makes of the heads, blocks and proofs it is shown afterwards.
//!
//! **Invariant:** never takes a head that is smaller than the last, or of which the last is no beginning.
//! **Invariant:** a head counts with cosignatures of as many pinned witnesses as were pinned, each counted once.
//! **Invariant:** a block counts when pinned validators certified it, and it stands behind the last one.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    block::{Block, CertificateError, CertifiedBlock},
    entry::LogEntry,
    rpc::{Info, Proof},
};
use crate::{
    checkpoint::Checkpoint,
    cosignature::{Cosigner, lines_of, open_cosigned, signatures},
    digest::{Digest, PublicKey},
    integer::Decimal,
    merkle::{check_consistency, root_from_inclusion},
    note::parse_vkey,
    tlog_proof::TlogProof,
};

/// The keys of a ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TrustedLedger {
    /// Verifier key of its log, in C2SP form.
    pub vkey: String,
    /// Who certifies its blocks: 3f+1 keys.
    pub validators: Vec<PublicKey>,
    /// Verifier keys of the witnesses whose cosignatures count.
    pub witnesses: Vec<String>,
    /// How many of them must have cosigned a head.
    pub witness_quorum: Decimal,
}

/// Why keys make no ledger that can be trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// The log's key does not read.
    #[error("`{vkey}` is no verifier key of a log")]
    Log {
        /// The key.
        vkey: String,
    },
    /// A witness's key does not read, or is there twice.
    #[error("`{vkey}` is no verifier key of a witness, or stands twice")]
    Witness {
        /// The key.
        vkey: String,
    },
    /// More cosignatures are wanted than there are witnesses.
    #[error("{wanted} cosignatures are wanted of {witnesses} witnesses")]
    Quorum {
        /// How many are wanted.
        wanted: u64,
        /// How many there can be.
        witnesses: u64,
    },
}

/// Why a head is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// Not signed by the log, or no checkpoint.
    #[error("the head is not signed by the log {origin}")]
    Unsigned {
        /// Name of the log.
        origin: String,
    },
    /// Too few pinned witnesses cosigned it.
    #[error("{found} of the {wanted} wanted witnesses cosigned the head")]
    Unwitnessed {
        /// How many did.
        found: u64,
        /// How many are wanted.
        wanted: u64,
    },
    /// It is smaller than a head that the log showed before.
    #[error("the log went back from size {known} to {shown}")]
    Smaller {
        /// Size of the larger head.
        known: u64,
        /// Size of this one.
        shown: u64,
    },
    /// It has the size of a head shown before, and another root: the log signed both.
    #[error("the log signed two heads of size {size}")]
    Forked {
        /// Their size.
        size: u64,
    },
    /// Nothing shows that the last head is a beginning of it.
    #[error("the log's head of size {shown} does not go on from that of size {known}")]
    Inconsistent {
        /// Size of the last head.
        known: u64,
        /// Size of this one.
        shown: u64,
    },
}

/// Why a block is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// Its certificate does not count.
    #[error("block {height}: {source}")]
    Certificate {
        /// Its height.
        height: u64,
        /// Why.
        source: CertificateError,
    },
    /// It is of another network.
    #[error("block {height} is of another network")]
    Network {
        /// Its height.
        height: u64,
    },
    /// Another block of this height was certified before: validators signed both.
    #[error("the validators certified two blocks of height {height}")]
    Forked {
        /// Their height.
        height: u64,
    },
    /// It cannot come after the last block.
    #[error("block {height} does not come after the last block")]
    Order {
        /// Its height.
        height: u64,
    },
}

/// Why a proof is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// No entry, no tlog-proof, or an entry of another receipt.
    #[error("the proof is not of this receipt")]
    Other,
    /// It does not lead to the head.
    #[error("the proof does not lead to the head")]
    Path,
}

impl TrustedLedger {
    /// The keys that a ledger names itself: what is pinned at the first contact.
    ///
    /// # Errors
    /// [`KeysError`].
    pub fn named_by(info: &Info) -> Result<Self, KeysError> {
        let Info { vkey, validators, witnesses, witness_quorum, .. } = info.clone();
        let ledger = Self { vkey, validators, witnesses, witness_quorum };
        ledger.check().map(|()| ledger)
    }

    /// Whether the keys fit each other.
    ///
    /// # Errors
    /// [`KeysError`].
    pub fn check(&self) -> Result<(), KeysError> {
        if parse_vkey(&self.vkey).is_none() {
            return Err(KeysError::Log { vkey: self.vkey.clone() });
        }
        let mut keys = BTreeSet::new();
        for vkey in &self.witnesses {
            let read = Cosigner::parse(vkey).is_some_and(|witness| keys.insert(witness.key));
            if !read {
                return Err(KeysError::Witness { vkey: vkey.clone() });
            }
        }
        let (wanted, witnesses) = (self.witness_quorum.0, self.witnesses.len() as u64);
        if wanted > witnesses { Err(KeysError::Quorum { wanted, witnesses }) } else { Ok(()) }
    }

    /// Opens a head: signed by the log, cosigned by as many witnesses as are wanted.
    ///
    /// # Errors
    /// [`HeadError::Unsigned`] and [`HeadError::Unwitnessed`].
    pub fn open(&self, note: &str) -> Result<Checkpoint, HeadError> {
        let Some((origin, key)) = parse_vkey(&self.vkey) else {
            return Err(HeadError::Unsigned { origin: self.vkey.clone() });
        };
        let unsigned = || HeadError::Unsigned { origin: origin.clone() };
        let body = open_cosigned(note, &origin, &key).map_err(|_refused| unsigned())?;
        let head = Checkpoint::parse(body).filter(|head| head.origin == origin).ok_or_else(unsigned)?;
        let found = self.witnesses_of(note);
        let wanted = self.witness_quorum.0;
        if found < wanted { Err(HeadError::Unwitnessed { found, wanted }) } else { Ok(head) }
    }

    /// How many of the pinned witnesses cosigned a head.
    pub fn witnesses_of(&self, note: &str) -> u64 {
        let cosigned = |vkey: &&String| Cosigner::parse(vkey).is_some_and(|witness| witness.signed(note).is_some());
        self.witnesses.iter().filter(cosigned).count() as u64
    }

    /// Opens a head as it stands in a file, where no byte may go unchecked: it has the log's signature, cosignatures of pinned
    /// witnesses, and no other line.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_whole(&self, note: &str) -> Result<Checkpoint, HeadError> {
        let head = self.open(note)?;
        if signatures(note).is_some_and(|lines| lines as u64 == 1 + self.witnesses_of(note)) {
            Ok(head)
        } else {
            Err(HeadError::Unsigned { origin: head.origin })
        }
    }

    /// A head without the lines of signers that are not pinned, so that [`Self::open_whole`] opens it.
    pub fn stripped(&self, note: &str) -> Option<String> {
        let (origin, key) = parse_vkey(&self.vkey)?;
        let (text, lines) = lines_of(note)?;
        let own = lines.iter().find(|line| open_cosigned(&format!("{text}\n{line}"), &origin, &key).is_ok())?;
        let all = lines.concat();
        let cosigned = |vkey: &String| Cosigner::parse(vkey).and_then(|witness| witness.own_lines(&text, &all));
        let cosignatures: String = self.witnesses.iter().filter_map(cosigned).collect();
        Some(format!("{text}\n{own}{cosignatures}"))
    }

    /// Checks that a block is certified, of this network, and may come after the last one that was taken. Blocks between
    /// the two may be left out: what they hold lies under this one too.
    ///
    /// # Errors
    /// [`BlockError`].
    pub fn check_block(
        &self,
        last: Option<&CertifiedBlock>,
        next: &CertifiedBlock,
        network: &Digest,
    ) -> Result<(), BlockError> {
        let height = next.block.height.0;
        if next.block.network != *network {
            return Err(BlockError::Network { height });
        }
        next.check(&self.validators).map_err(|source| BlockError::Certificate { height, source })?;
        let Some(Block { height: Decimal(known), size, .. }) = last.map(|last| last.block.clone()) else {
            return Ok(());
        };
        let behind = |last: &CertifiedBlock| next.block.follows(Some(&last.block));
        match (height.checked_sub(known), last) {
            (Some(0), Some(last)) if last.block.id() != next.block.id() => Err(BlockError::Forked { height }),
            (Some(0), _) => Ok(()),
            (Some(1), Some(last)) if !behind(last) => Err(BlockError::Order { height }),
            (Some(_), _) if next.block.size >= size => Ok(()),
            (Some(_) | None, _) => Err(BlockError::Order { height }),
        }
    }

    /// Where the log has a receipt, under the head that the proof carries.
    ///
    /// # Errors
    /// The head's error, or that the proof is not one.
    pub fn open_proof(&self, proof: &Proof, of: &Expected) -> Result<Placed, UnprovedError> {
        let text = TlogProof::parse(&proof.proof).map_err(|_other| ProofError::Other)?;
        let head = self.open(&text.checkpoint)?;
        let entry = hex::decode(&proof.entry).ok().and_then(|bytes| LogEntry::parse(&bytes));
        let entry = entry.filter(|entry| *of == Expected { receipt: entry.receipt, nullifier: entry.nullifier });
        let entry = entry.ok_or(ProofError::Other)?;
        let root = root_from_inclusion(entry.leaf(), text.index, head.size, &text.hashes);
        if root != Ok(head.root) {
            return Err(ProofError::Path.into());
        }
        Ok(Placed { index: text.index, head, note: text.checkpoint })
    }
}

/// Which receipt a proof must be of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Its id.
    pub receipt: Digest,
    /// Its nullifier.
    pub nullifier: Digest,
}

/// Where the log has a receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Its index.
    pub index: u64,
    /// Under which head.
    pub head: Checkpoint,
    /// That head, signed.
    pub note: String,
}

/// Why nothing is proved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnprovedError {
    /// The head is not taken.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// The proof is not taken.
    #[error(transparent)]
    Proof(#[from] ProofError),
}

/// Checks that a head goes on from the last one that was taken. `hashes` is the proof of RFC 9162 between the two.
///
/// # Errors
/// [`HeadError::Smaller`], [`HeadError::Forked`] or [`HeadError::Inconsistent`].
pub fn goes_on(last: Option<&Checkpoint>, next: &Checkpoint, hashes: &[Digest]) -> Result<(), HeadError> {
    let Some(last) = last.filter(|last| last.size > 0) else { return Ok(()) };
    let (known, shown) = (last.size, next.size);
    if shown < known {
        return Err(HeadError::Smaller { known, shown });
    }
    if shown == known {
        return if last.root == next.root { Ok(()) } else { Err(HeadError::Forked { size: known }) };
    }
    check_consistency((known, last.root), (shown, next.root), hashes)
        .map_err(|_wrong| HeadError::Inconsistent { known, shown })
}

#[cfg(test)]
mod tests {
    use super::{BlockError, Expected, HeadError, KeysError, ProofError, TrustedLedger, UnprovedError, goes_on};
    use crate::{
        checkpoint::Checkpoint,
        cosignature::Cosigner,
        digest::Digest,
        integer::Decimal,
        keys::SigningKey,
        ledger::{
            block::{Block, CertifiedBlock},
            entry::{BenefitClass, LogEntry},
            rpc::Proof,
        },
        merkle::Tree,
        note::{log_name, vkey},
        tlog_proof::TlogProof,
    };

    const NETWORK: Digest = Digest([7; 32]);

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed(&[seed; 32])
    }

    fn origin() -> String {
        log_name(&key(1).public())
    }

    fn ledger(witnesses: &[u8], quorum: u64) -> TrustedLedger {
        TrustedLedger {
            vkey: vkey(&key(1).public()),
            validators: (11..15).map(|seed| key(seed).public()).collect(),
            witnesses: witnesses.iter().map(|seed| Cosigner::of(key(*seed).public()).vkey()).collect(),
            witness_quorum: Decimal(quorum),
        }
    }

    fn entry(number: u8) -> LogEntry {
        let class = BenefitClass::AgentOrchestration;
        LogEntry { receipt: Digest([number; 32]), nullifier: Digest([number + 100; 32]), class }
    }

    fn tree(size: u8) -> Tree {
        let mut tree = Tree::new();
        (0..size).for_each(|number| tree.push(entry(number).leaf()));
        tree
    }

    fn head(tree: &Tree) -> Checkpoint {
        Checkpoint { origin: origin(), size: tree.size(), root: tree.root() }
    }

    fn cosigned(head: &Checkpoint, witnesses: &[u8]) -> String {
        let note = head.sign(&key(1));
        let line = |seed: &u8| Cosigner::of(key(*seed).public()).cosign(&head.body(), 5, &key(*seed));
        format!("{note}{}", witnesses.iter().map(line).collect::<String>())
    }

    #[test]
    fn a_head_needs_the_log_and_as_many_pinned_witnesses_as_were_pinned() {
        let head = head(&tree(3));
        let trusted = ledger(&[2, 3, 4], 2);
        assert_eq!(trusted.open(&cosigned(&head, &[2, 4])), Ok(head.clone()));
        let few = |found| Err(HeadError::Unwitnessed { found, wanted: 2 });
        assert_eq!(trusted.open(&cosigned(&head, &[])), few(0));
        assert_eq!(trusted.open(&cosigned(&head, &[3, 3])), few(1), "one witness twice");
        assert_eq!(trusted.open(&cosigned(&head, &[3, 9])), few(1), "a stranger");
        let unsigned = Err(HeadError::Unsigned { origin: origin() });
        assert_eq!(trusted.open(&head.sign(&key(8))), unsigned);
        let elsewhere = Checkpoint { origin: "elsewhere".to_owned(), ..head };
        assert_eq!(trusted.open(&cosigned(&elsewhere, &[2, 3])), unsigned);
        assert_eq!(trusted.open("no note"), unsigned);
    }

    #[test]
    fn in_a_file_every_line_of_a_head_is_of_somebody_pinned() {
        let (trusted, head) = (ledger(&[2, 3], 1), head(&tree(3)));
        let open = |signers: &[u8]| trusted.open_whole(&cosigned(&head, signers));
        assert_eq!((open(&[2]), open(&[2, 3])), (Ok(head.clone()), Ok(head.clone())));
        let unsigned = Err(HeadError::Unsigned { origin: origin() });
        assert_eq!((open(&[2, 9]), open(&[2, 2])), (unsigned.clone(), unsigned));
        for signers in [&[2, 9][..], &[2, 2], &[9, 3, 2]] {
            let stripped = trusted.stripped(&cosigned(&head, signers)).expect("ours");
            assert_eq!(trusted.open_whole(&stripped), Ok(head.clone()), "{signers:?}");
        }
        assert_eq!(trusted.stripped(&head.sign(&key(8))), None);
    }

    #[test]
    fn keys_that_do_not_fit_each_other_are_refused() {
        assert_eq!(ledger(&[2, 3], 2).check(), Ok(()));
        assert_eq!(ledger(&[2], 2).check(), Err(KeysError::Quorum { wanted: 2, witnesses: 1 }));
        let twice = ledger(&[2, 2], 2);
        assert_eq!(twice.check(), Err(KeysError::Witness { vkey: twice.witnesses[0].clone() }));
        let wrong = TrustedLedger { vkey: "x".to_owned(), ..ledger(&[], 0) };
        assert_eq!(wrong.check(), Err(KeysError::Log { vkey: "x".to_owned() }));
    }

    #[test]
    fn heads_only_grow() {
        let (three, seven) = (tree(3), tree(7));
        let mut fork = tree(2);
        (2..7).for_each(|number| fork.push(entry(number + 50).leaf()));
        let (last, next) = (head(&three), head(&seven));
        let hashes = seven.consistency(3).expect("a proof");
        assert_eq!(goes_on(None, &next, &[]), Ok(()));
        assert_eq!(goes_on(Some(&head(&tree(0))), &next, &[]), Ok(()), "all goes on from nothing");
        assert_eq!(goes_on(Some(&last), &next, &hashes), Ok(()));
        assert_eq!(goes_on(Some(&last), &last, &[]), Ok(()));
        assert_eq!(goes_on(Some(&next), &last, &hashes), Err(HeadError::Smaller { known: 7, shown: 3 }));
        assert_eq!(goes_on(Some(&next), &head(&fork), &[]), Err(HeadError::Forked { size: 7 }));
        let inconsistent = Err(HeadError::Inconsistent { known: 3, shown: 7 });
        assert_eq!(goes_on(Some(&last), &next, &[]), inconsistent);
        assert_eq!(goes_on(Some(&last), &head(&fork), &fork.consistency(3).expect("a proof")), inconsistent);
    }

    #[test]
    fn a_proof_is_of_one_receipt_under_one_signed_head() {
        let (tree, trusted) = (tree(5), ledger(&[2], 1));
        let proof = |index: u64, checkpoint: String| Proof {
            entry: hex::encode(entry(3).to_bytes()),
            proof: TlogProof { extra: None, index, hashes: tree.inclusion_at(3, 5).expect("a proof"), checkpoint }
                .to_text(),
            block: None,
        };
        let of = |number| Expected { receipt: entry(number).receipt, nullifier: entry(number).nullifier };
        let good = proof(3, cosigned(&head(&tree), &[2]));
        let placed = trusted.open_proof(&good, &of(3)).expect("placed");
        assert_eq!((placed.index, placed.head), (3, head(&tree)));
        assert_eq!(trusted.open_proof(&good, &of(2)), Err(ProofError::Other.into()));
        let nullifier = Expected { nullifier: Digest([0; 32]), ..of(3) };
        assert_eq!(trusted.open_proof(&good, &nullifier), Err(ProofError::Other.into()));
        let elsewhere = proof(2, cosigned(&head(&tree), &[2]));
        assert_eq!(trusted.open_proof(&elsewhere, &of(3)), Err(ProofError::Path.into()));
        let unwitnessed = UnprovedError::Head(HeadError::Unwitnessed { found: 0, wanted: 1 });
        assert_eq!(trusted.open_proof(&proof(3, cosigned(&head(&tree), &[])), &of(3)), Err(unwitnessed));
        let other = Checkpoint { root: Digest([9; 32]), ..head(&tree) };
        assert_eq!(trusted.open_proof(&proof(3, cosigned(&other, &[2])), &of(3)), Err(ProofError::Path.into()));
    }

    fn certified(block: &Block, seeds: std::ops::Range<u8>) -> CertifiedBlock {
        CertifiedBlock { block: block.clone(), certificate: seeds.map(|seed| block.vote(&key(seed))).collect() }
    }

    #[test]
    fn blocks_are_certified_by_pinned_validators_and_come_after_the_last() {
        let first = Block {
            network: NETWORK,
            height: Decimal(1),
            previous: Digest([0; 32]),
            size: Decimal(3),
            root: tree(3).root(),
            time: Decimal(4),
        };
        let second = Block { height: Decimal(2), previous: first.id(), size: Decimal(5), ..first.clone() };
        let later = Block { height: Decimal(9), previous: Digest([3; 32]), size: Decimal(5), ..first.clone() };
        let trusted = ledger(&[], 0);
        let check = |last: Option<&Block>, next: &Block| {
            let last = last.map(|last| certified(last, 11..14));
            trusted.check_block(last.as_ref(), &certified(next, 11..14), &NETWORK)
        };
        assert_eq!(check(None, &first), Ok(()));
        assert_eq!(check(None, &later), Ok(()), "the first block that is seen may be any");
        assert_eq!(check(Some(&first), &first), Ok(()));
        assert_eq!(check(Some(&first), &second), Ok(()));
        assert_eq!(check(Some(&first), &later), Ok(()));
        assert_eq!(check(Some(&later), &first), Err(BlockError::Order { height: 1 }));
        let shrunk = Block { size: Decimal(2), ..later };
        assert_eq!(check(Some(&first), &shrunk), Err(BlockError::Order { height: 9 }));
        let unlinked = Block { previous: Digest([3; 32]), ..second.clone() };
        assert_eq!(check(Some(&first), &unlinked), Err(BlockError::Order { height: 2 }));
        assert_eq!(check(Some(&second), &unlinked), Err(BlockError::Forked { height: 2 }));
        let found = trusted.check_block(None, &certified(&first, 11..13), &NETWORK);
        assert!(matches!(found, Err(BlockError::Certificate { height: 1, .. })));
        let found = trusted.check_block(None, &certified(&first, 11..14), &Digest([0; 32]));
        assert_eq!(found, Err(BlockError::Network { height: 1 }));
    }
}
