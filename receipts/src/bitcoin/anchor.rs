//! The proof that a receipt is in a chain: its way to the root of a batch, the transaction that carries the root, the
//! transaction's way to a block's header, and the headers after that.
//!
//! The file is canonical JSON: `{"branch","hashes","headers","index","position","size","transaction","v":"1"}`. All of it is
//! checked offline; what it cannot show is that these headers are those of the chain that everybody follows. That is
//! believed of a block whose id the verifier names.
//!
//! **Invariant:** no byte of a file goes unchecked where its last block is one that the verifier names.
//! **Invariant:** no two hashes of the tree over a block pass for a transaction: those are 64 bytes, and one that carries a root is
//! longer.

use serde::{Deserialize, Serialize};

use super::{
    branch::{MOST_HASHES, root_from},
    hash::BlockHash,
    header::{Header, Target},
    transaction::{MOST_BYTES, Transaction},
};
use crate::{
    canonical::{NotCanonical, canonical},
    digest::Digest,
    integer::Decimal,
    merkle::root_from_inclusion,
};

const VERSION: &str = "1";
/// The most headers of a proof.
pub const MOST_HEADERS: usize = 1_024;
/// The most bytes of a file: a transaction and headers in hex, and their ways.
const MOST_FILE: usize = 2 * MOST_BYTES + 170 * MOST_HEADERS + 16_384;

/// The chain that somebody trusts, as far as it can be said offline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustedChain {
    /// The id of its first block.
    pub genesis: BlockHash,
    /// The easiest work that counts.
    pub easiest: Target,
    /// How many blocks make a receipt final: its own and those after it.
    pub depth: Decimal,
    /// Ids of blocks that the truster knows to be in the chain.
    pub blocks: Vec<BlockHash>,
}

/// Where a receipt lies in a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InBatch {
    /// At which index.
    pub index: Decimal,
    /// Of how many.
    pub size: Decimal,
    /// The way to the root.
    pub hashes: Vec<Digest>,
}

/// Where a transaction lies in a block, and the headers from there on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InBlock {
    /// The transaction without its witnesses, in hex.
    pub transaction: String,
    /// At which place.
    pub position: Decimal,
    /// The way to the root over the block's transactions.
    pub branch: Vec<Digest>,
    /// The block's header, and those of blocks after it.
    pub headers: Vec<Header>,
}

/// A proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anchor {
    /// The way from the transaction to the root over its block's transactions.
    branch: Vec<Digest>,
    /// The way from the receipt's entry to the root of the batch.
    hashes: Vec<Digest>,
    /// The block's header, and those after it.
    headers: Vec<Header>,
    /// Where the entry is in the batch.
    index: Decimal,
    /// Where the transaction is in the block.
    position: Decimal,
    /// How many entries the batch has.
    size: Decimal,
    /// The transaction without its witnesses, in hex.
    transaction: String,
    /// Version of the file.
    v: String,
}

/// What a proof shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The block that the transaction is in.
    pub block: BlockHash,
    /// The last block.
    pub last: BlockHash,
    /// How many blocks there are, with the first.
    pub depth: u64,
}

/// Why a proof shows nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnchor {
    /// Not such a file in its one spelling.
    #[error("it is no anchor in its one spelling")]
    Spelling,
    /// The receipt does not lead to a root that the transaction carries.
    #[error("the receipt does not lead to what the transaction carries")]
    Batch,
    /// The transaction does not lead to the header.
    #[error("the transaction does not lead to the block's header")]
    Block,
    /// The headers do not hang together, or lack the work that counts.
    #[error("the headers do not hang together, or lack the work that counts")]
    Work,
}

impl Anchor {
    /// A receipt in a batch, and the batch in a block.
    pub fn of(batch: InBatch, block: InBlock) -> Self {
        let InBatch { index, size, hashes } = batch;
        let InBlock { transaction, position, branch, headers } = block;
        Self { branch, hashes, headers, index, position, size, transaction, v: VERSION.to_owned() }
    }

    /// The part that stays the same in whichever block the batch lies.
    pub fn batch(&self) -> InBatch {
        InBatch { index: self.index, size: self.size, hashes: self.hashes.clone() }
    }

    /// The file.
    ///
    /// # Errors
    /// None in practice; it holds only text.
    pub fn to_bytes(&self) -> Result<Vec<u8>, NotCanonical> {
        canonical(self)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`NoAnchor::Spelling`], also for one of more than is ever written.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoAnchor> {
        if bytes.len() > MOST_FILE {
            return Err(NoAnchor::Spelling);
        }
        let read: Self = serde_json::from_slice(bytes).map_err(|_shape| NoAnchor::Spelling)?;
        let counted = read.branch.len() <= MOST_HASHES && (1..=MOST_HEADERS).contains(&read.headers.len());
        let own = read.v == VERSION && counted && read.to_bytes().is_ok_and(|own| own == bytes);
        if own { Ok(read) } else { Err(NoAnchor::Spelling) }
    }

    /// Checks it for an entry's leaf; `easiest` is the easiest work that counts.
    ///
    /// # Errors
    /// [`NoAnchor`].
    pub fn check(&self, leaf: Digest, easiest: &Target) -> Result<Shown, NoAnchor> {
        let root = root_from_inclusion(leaf, self.index.0, self.size.0, &self.hashes).map_err(|_no| NoAnchor::Batch)?;
        let transaction = Transaction::parse_hex(&self.transaction).map_err(|_other| NoAnchor::Batch)?;
        let bytes = transaction.stripped();
        if hex::encode(&bytes) != self.transaction || !transaction.carries(&root) {
            return Err(NoAnchor::Batch);
        }
        let (first, last) = self.headers.first().zip(self.headers.last()).ok_or(NoAnchor::Work)?;
        if root_from(&transaction.txid(), self.position.0, &self.branch) != Some(first.merkle_root()) {
            return Err(NoAnchor::Block);
        }
        let linked = self.headers.windows(2).all(|pair| pair[1].previous() == pair[0].hash());
        if !linked || !self.headers.iter().all(|header| header.has_work(easiest)) {
            return Err(NoAnchor::Work);
        }
        Ok(Shown { block: first.hash(), last: last.hash(), depth: self.headers.len() as u64 })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::{Anchor, InBatch, InBlock, NoAnchor};
    use crate::{
        bitcoin::{
            branch::branch,
            hash::Txid,
            header::{Header, Target},
            transaction::{Coin, Transaction},
        },
        digest::Digest,
        integer::Decimal,
        merkle::Tree,
    };

    /// The easiest work of a regtest chain.
    pub const EASY: u32 = 0x207f_ffff;

    pub fn easiest() -> Target {
        Target::from_bits(EASY).expect("a target")
    }

    /// A header with its work done.
    pub fn mined(previous: [u8; 32], root: [u8; 32], bits: u32) -> Header {
        let mut header = Header([0; 80]);
        header.0[4..36].copy_from_slice(&previous);
        header.0[36..68].copy_from_slice(&root);
        header.0[72..76].copy_from_slice(&bits.to_le_bytes());
        while !header.has_work(&header.target().expect("a target")) {
            header.0[76] += 1;
        }
        header
    }

    pub fn coin() -> Coin {
        Coin { txid: Txid([1; 32]), vout: 0, value: Decimal(100_000), script: "51".to_owned() }
    }

    /// Three entries in a batch, the batch in a block of three transactions, two blocks after it.
    fn proof() -> (Anchor, Digest) {
        let mut tree = Tree::new();
        (1..4).for_each(|number| tree.push(Digest([number; 32])));
        let transaction = Transaction::anchoring(&tree.root(), &coin(), 500).expect("enough");
        let txids = [Txid([7; 32]), transaction.txid(), Txid([8; 32])];
        let (root, branch) = branch(&txids, 1).expect("a way");
        let mut headers = vec![mined([5; 32], root, EASY)];
        for _after in 0..2 {
            let previous = headers.last().expect("one").hash().0;
            headers.push(mined(previous, [6; 32], EASY));
        }
        let batch = InBatch { index: Decimal(2), size: Decimal(3), hashes: tree.inclusion(2).expect("a way") };
        let transaction = hex::encode(transaction.stripped());
        (Anchor::of(batch, InBlock { transaction, position: Decimal(1), branch, headers }), Digest([3; 32]))
    }

    #[test]
    fn a_whole_proof_shows_its_blocks_and_a_part_of_another_nothing() {
        let (good, leaf) = proof();
        let shown = good.check(leaf, &easiest()).expect("holds");
        assert_eq!((shown.depth, shown.block), (3, good.headers[0].hash()));
        assert_eq!(shown.last, good.headers[2].hash());
        assert_eq!(Anchor::parse(&good.to_bytes().expect("JSON")), Ok(good.clone()));
        let refused = |change: &dyn Fn(&mut Anchor), why: NoAnchor| {
            let mut one = good.clone();
            change(&mut one);
            assert_eq!(one.check(leaf, &easiest()), Err(why));
        };
        assert_eq!(good.check(Digest([1; 32]), &easiest()), Err(NoAnchor::Batch));
        refused(&|one| one.index = Decimal(1), NoAnchor::Batch);
        refused(&|one| one.size = Decimal(4), NoAnchor::Batch);
        refused(&|one| one.transaction.insert_str(0, "00"), NoAnchor::Batch);
        refused(&|one| one.transaction = one.transaction.replace("506f4231", "506f4232"), NoAnchor::Batch);
        // Another transaction with the same payload.
        refused(&|one| one.transaction.replace_range(0..2, "03"), NoAnchor::Block);
        refused(&|one| one.position = Decimal(0), NoAnchor::Block);
        refused(&|one| one.position = Decimal(5), NoAnchor::Block);
        refused(&|one| one.branch.truncate(1), NoAnchor::Block);
        refused(&|one| one.headers.clear(), NoAnchor::Work);
        refused(&|one| one.headers = vec![one.headers[0], one.headers[2]], NoAnchor::Work);
        refused(&|one| one.headers = one.headers[1..].to_vec(), NoAnchor::Block);
        let harder = Target::from_bits(0x1d00_ffff).expect("a target");
        assert_eq!(good.check(leaf, &harder), Err(NoAnchor::Work));
    }

    #[test]
    fn two_hashes_of_the_tree_are_shorter_than_any_transaction_that_carries_a_root() {
        let mut shortest = Transaction::anchoring(&Digest([1; 32]), &coin(), 500).expect("enough");
        shortest.outputs.truncate(1);
        assert!(shortest.carries(&Digest([1; 32])));
        // One input without a script and one output: there is nothing to leave out.
        assert_eq!(shortest.stripped().len(), 98);
    }

    #[test]
    fn a_file_has_one_spelling_and_a_bound() {
        let (good, _leaf) = proof();
        let bytes = good.to_bytes().expect("JSON");
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x20;
            if let Ok(read) = Anchor::parse(&changed) {
                assert_ne!(read, good, "byte {at}");
            }
        }
        assert!(Anchor::parse(&[&bytes[..], b"\n"].concat()).is_err());
        let mut many = good.clone();
        many.headers = vec![good.headers[0]; super::MOST_HEADERS + 1];
        assert!(Anchor::parse(&many.to_bytes().expect("JSON")).is_err());
        assert!(Anchor::parse(&vec![b' '; super::MOST_FILE + 1]).is_err());
        assert!(Anchor::parse(b"{}").is_err());
    }
}
