//! What a home has on record of a chain: its last headers, the batches that it anchors, and what follows for their receipts.
//!
//! A batch has one transaction at a time that is meant, and perhaps earlier ones that paid less or whose coin went elsewhere;
//! whichever of them is mined anchors the same root.
//!
//! **Invariant:** a batch is mined only by a block whose header hangs on the last one, whose work counts, and whose root its
//! transactions lead to.
//! **Invariant:** a block that is no longer in the chain takes back all that was built on it, and nothing else.

use serde::{Deserialize, Serialize};

use super::{
    anchor::{InBlock, MOST_HEADERS},
    branch::branch,
    fee::{PATIENCE_BLOCKS, raised},
    hash::Txid,
    header::{Header, Target},
    transaction::{Coin, Transaction},
};
use crate::{digest::Digest, integer::Decimal, ledger::outbox::State};

/// The most receipts of a batch.
pub const MOST_IN_BATCH: u32 = 1_024;
/// The deepest that may be asked for before a receipt is final, in blocks.
pub const MOST_DEPTH: u64 = 144;
/// How many more blocks a batch is followed for once it is final, in case of a reorganisation that nobody expects.
const FOLLOWED: u64 = 144;

/// A block that was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Link {
    height: Decimal,
    header: Header,
}

/// A signed transaction that carries the root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spend {
    /// With its signatures, in hex.
    pub transaction: String,
    /// What it spends.
    pub coin: Coin,
    /// What it pays, in satoshi for a thousand virtual bytes.
    pub rate: Decimal,
    /// The chain's height when it was made.
    pub since: Decimal,
}

impl Spend {
    /// Its id; none where the record does not read.
    pub fn txid(&self) -> Option<Txid> {
        Some(Transaction::parse_hex(&self.transaction).ok()?.txid())
    }
}

/// Where a batch was mined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mined {
    height: Decimal,
    position: Decimal,
    branch: Vec<Digest>,
    transaction: String,
}

/// A batch of receipts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// The root over its entries.
    pub root: Digest,
    /// Its transactions, the one that is meant last.
    spends: Vec<Spend>,
    mined: Option<Mined>,
}

/// What is to be done about a batch that is not mined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Send its transaction, again perhaps.
    Send,
    /// Make one that pays this rate: the last one was passed over.
    Raise(u64),
}

/// What was seen of a chain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    links: Vec<Link>,
    batches: Vec<Batch>,
}

/// Why a block is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// It does not come after the last one: the chain went another way meanwhile.
    #[error("a block does not come after the last one")]
    Unlinked,
    /// The work in it does not count.
    #[error("the work in a block does not count")]
    Work,
    /// Its transactions are not those of its header.
    #[error("a block's transactions are not those of its header")]
    Transactions,
}

impl Batch {
    /// A batch that is not mined.
    pub fn new(root: Digest, first: Spend) -> Self {
        Self { root, spends: vec![first], mined: None }
    }

    /// The transaction that is meant.
    pub fn meant(&self) -> Option<&Spend> {
        self.spends.last()
    }

    /// Another transaction is meant from now on.
    pub fn mean(&mut self, spend: Spend) {
        self.spends.push(spend);
    }

    /// What is to be done while it is not mined, at this height of the chain.
    pub fn next(&self, height: u64, estimate: Option<u64>, most: u64) -> Next {
        let passed_over = self.meant().filter(|meant| height >= meant.since.0.saturating_add(PATIENCE_BLOCKS));
        passed_over.and_then(|meant| raised(meant.rate.0, estimate, most)).map_or(Next::Send, Next::Raise)
    }

    /// Which of the transactions is one of ours, and at which place.
    fn found(&self, txids: &[Txid]) -> Option<(usize, Transaction)> {
        self.spends.iter().find_map(|spend| {
            let ours = Transaction::parse_hex(&spend.transaction).ok()?;
            let id = ours.txid();
            Some((txids.iter().position(|txid| *txid == id)?, ours))
        })
    }
}

impl Record {
    /// Height and id of the last block.
    pub fn tip(&self) -> Option<(u64, super::hash::BlockHash)> {
        self.links.last().map(|link| (link.height.0, link.header.hash()))
    }

    /// Heights and ids of the blocks on record, the last one first.
    pub fn seen(&self) -> impl Iterator<Item = (u64, super::hash::BlockHash)> {
        self.links.iter().rev().map(|link| (link.height.0, link.header.hash()))
    }

    /// Whether nothing is followed.
    pub fn is_idle(&self) -> bool {
        self.batches.is_empty()
    }

    /// The batches that are not mined, in the order in which they were made.
    pub fn unmined(&self) -> impl Iterator<Item = &Batch> {
        self.batches.iter().filter(|batch| batch.mined.is_none())
    }

    /// The batch with this root.
    pub fn batch(&self, root: &Digest) -> Option<&Batch> {
        self.batches.iter().find(|batch| batch.root == *root)
    }

    /// The batch with this root, to be changed.
    pub fn batch_mut(&mut self, root: &Digest) -> Option<&mut Batch> {
        self.batches.iter_mut().find(|batch| batch.root == *root)
    }

    /// One batch more.
    pub fn add(&mut self, batch: Batch) {
        self.batches.push(batch);
    }

    /// Begins with one block, and forgets all others; batches are as if never mined.
    ///
    /// # Errors
    /// [`Broken::Work`].
    pub fn begin(&mut self, height: u64, header: Header, easiest: &Target) -> Result<(), Broken> {
        if !header.has_work(easiest) {
            return Err(Broken::Work);
        }
        self.links = vec![Link { height: Decimal(height), header }];
        self.unmine(0);
        Ok(())
    }

    /// The blocks above `height` are no longer in the chain.
    pub fn rewind(&mut self, height: u64) {
        self.links.retain(|link| link.height.0 <= height);
        self.unmine(height.saturating_add(1));
    }

    /// What was mined at `from` or above is not mined any more; its time begins anew.
    fn unmine(&mut self, from: u64) {
        let height = self.links.last().map_or(0, |link| link.height.0);
        for batch in &mut self.batches {
            if batch.mined.as_ref().is_some_and(|mined| mined.height.0 >= from) {
                batch.mined = None;
                if let Some(meant) = batch.spends.last_mut() {
                    meant.since = Decimal(height);
                }
            }
        }
    }

    /// Takes the next block. Its transactions are needed where a batch is not mined.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn extend(&mut self, header: Header, txids: Option<&[Txid]>, easiest: &Target) -> Result<(), Broken> {
        let (tip, last) = self.tip().ok_or(Broken::Unlinked)?;
        if header.previous() != last {
            return Err(Broken::Unlinked);
        }
        if !header.has_work(easiest) {
            return Err(Broken::Work);
        }
        let height = Decimal(tip + 1);
        for batch in self.batches.iter_mut().filter(|batch| batch.mined.is_none()) {
            let txids = txids.ok_or(Broken::Transactions)?;
            let (place, ours) = batch.found(txids).map_or((0, None), |(place, ours)| (place, Some(ours)));
            // Also where none of ours is in it: a list that leaves it out is none of this block.
            let (root, branch) = branch(txids, place).ok_or(Broken::Transactions)?;
            if root != header.merkle_root() {
                return Err(Broken::Transactions);
            }
            batch.mined = ours.map(|ours| Mined {
                height,
                position: Decimal(place as u64),
                branch,
                transaction: hex::encode(ours.stripped()),
            });
        }
        self.links.push(Link { height, header });
        Ok(())
    }

    /// Forgets what is so deep that nobody takes it back.
    pub fn prune(&mut self, depth: u64) {
        let Some((tip, _)) = self.tip() else { return };
        let kept = tip.saturating_sub(depth.saturating_add(FOLLOWED));
        self.batches.retain(|batch| batch.mined.as_ref().is_none_or(|mined| mined.height.0 >= kept));
        self.links.retain(|link| link.height.0 >= kept);
    }

    /// Where the receipt at `index` of the batch `root` stands; none for a batch that is not on record any more.
    pub fn state_of(&self, root: &Digest, index: Decimal, depth: u64) -> Option<State> {
        let root = *root;
        let batch = self.batch(&root)?;
        let Some(mined) = &batch.mined else { return Some(State::InFlight { root, index }) };
        let height = mined.height;
        let headers = self.headers(height.0);
        let block = headers.first()?.hash();
        let last = usize::try_from(depth.saturating_sub(1)).ok().and_then(|at| headers.get(at));
        Some(match last {
            Some(last) => State::Buried { root, index, height, block, last: last.hash() },
            None => State::Mined { root, index, height, block },
        })
    }

    /// Where the batch `root` lies, with the headers from there on, `depth` at most.
    pub fn block_of(&self, root: &Digest, depth: u64) -> Option<InBlock> {
        let mined = self.batch(root)?.mined.clone()?;
        let mut headers = self.headers(mined.height.0);
        headers.truncate(usize::try_from(depth).unwrap_or(MOST_HEADERS).clamp(1, MOST_HEADERS));
        let Mined { position, branch, transaction, .. } = mined;
        Some(InBlock { transaction, position, branch, headers })
    }

    fn headers(&self, from: u64) -> Vec<Header> {
        self.links.iter().filter(|link| link.height.0 >= from).map(|link| link.header).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Batch, Broken, Next, Record, Spend};
    use crate::{
        bitcoin::{
            anchor::{
                Anchor, InBatch,
                tests::{EASY, coin, easiest, mined},
            },
            branch::branch,
            hash::Txid,
            header::{Header, Target},
            transaction::Transaction,
        },
        digest::Digest,
        integer::Decimal,
        ledger::outbox::{Standing, State},
    };

    const DEPTH: u64 = 3;

    fn spend(root: &Digest, rate: u64, since: u64) -> Spend {
        let made = Transaction::anchoring(root, &coin(), rate).expect("enough");
        let transaction = hex::encode(made.to_bytes());
        Spend { transaction, coin: coin(), rate: Decimal(rate), since: Decimal(since) }
    }

    /// A chain that is followed, one receipt in it, which is its own root.
    struct World {
        record: Record,
        root: Digest,
    }

    impl World {
        fn new() -> Self {
            let mut record = Record::default();
            record.begin(100, mined([1; 32], [1; 32], EASY), &easiest()).expect("begins");
            let root = Digest([9; 32]);
            record.add(Batch::new(root, spend(&root, 1_000, 100)));
            Self { record, root }
        }

        fn block(&self, txids: &[Txid], salt: u8) -> Header {
            let (root, _) = branch(txids, 0).expect("a root");
            let mut header = mined(self.record.tip().expect("a tip").1.0, root, EASY);
            header.0[68] = salt;
            while !header.has_work(&easiest()) {
                header.0[76] = header.0[76].wrapping_add(1);
            }
            header
        }

        fn take(&mut self, txids: &[Txid], salt: u8) {
            let header = self.block(txids, salt);
            self.record.extend(header, Some(txids), &easiest()).expect("taken");
        }

        fn state(&self) -> State {
            self.record.state_of(&self.root, Decimal(0), DEPTH).expect("on record")
        }

        fn ours(&self) -> Txid {
            self.record.batch(&self.root).expect("on record").meant().expect("one").txid().expect("reads")
        }
    }

    const OTHER: Txid = Txid([4; 32]);

    #[test]
    fn a_batch_is_mined_then_final_at_depth_and_back_after_a_reorganisation_of_any_depth() {
        for undone in 1..=6 {
            let mut world = World::new();
            let ours = world.ours();
            world.take(&[OTHER], 0);
            assert_eq!(world.state().standing(), Standing::Sealed);
            world.take(&[OTHER, ours], 0);
            for depth in 1..DEPTH {
                assert_eq!(world.state().standing(), Standing::Logged, "{depth}");
                world.take(&[OTHER], 0);
            }
            let before = world.state();
            assert_eq!(before.standing(), Standing::Credited);
            world.take(&[OTHER], 0);
            let (tip, _) = world.record.tip().expect("a tip");
            world.record.rewind(tip.saturating_sub(undone).max(100));
            // Mined at 102 of 105: three go and it is out of the chain with the fourth.
            let wanted = match undone {
                1 => Standing::Credited,
                2 | 3 => Standing::Logged,
                _deeper => Standing::Sealed,
            };
            assert_eq!(world.state().standing(), wanted, "{undone}");
            if wanted == Standing::Sealed {
                world.take(&[OTHER, OTHER, ours], 1);
            }
            (0..DEPTH + 1).for_each(|_| world.take(&[OTHER], 1));
            let State::Buried { height, .. } = world.state() else { panic!("{:?}", world.state()) };
            assert!((101..=105).contains(&height.0));
        }
    }

    #[test]
    fn whichever_transaction_is_mined_the_proof_leads_from_it_to_the_last_block() {
        for paid in [0, 1] {
            let mut world = World::new();
            let first = world.ours();
            let dearer = spend(&world.root, 2_000, 101);
            world.record.batch_mut(&world.root).expect("on record").mean(dearer);
            let found = [first, world.ours()][paid];
            assert_ne!(first, world.ours());
            world.take(&[OTHER, found, OTHER], 0);
            (0..DEPTH).for_each(|_| world.take(&[OTHER], 0));
            let block = world.record.block_of(&world.root, DEPTH).expect("mined");
            assert_eq!(block.headers.len() as u64, DEPTH);
            let alone = InBatch { index: Decimal(0), size: Decimal(1), hashes: Vec::new() };
            let shown = Anchor::of(alone, block).check(world.root, &easiest()).expect("holds");
            let State::Buried { block, last, .. } = world.state() else { panic!("{:?}", world.state()) };
            assert_eq!((shown.block, shown.last, shown.depth), (block, last, DEPTH));
        }
    }

    #[test]
    fn no_block_is_taken_that_does_not_hold() {
        let mut world = World::new();
        let (ours, before) = (world.ours(), world.record.clone());
        let txids = [OTHER, ours];
        let good = world.block(&txids, 0);
        let mut refused = |header: Header, txids: Option<&[Txid]>, easiest: &Target, why: Broken| {
            assert_eq!(world.record.extend(header, txids, easiest), Err(why));
            assert_eq!(world.record.state_of(&world.root, Decimal(0), 1), before.state_of(&world.root, Decimal(0), 1));
        };
        refused(mined([7; 32], [7; 32], EASY), Some(&txids), &easiest(), Broken::Unlinked);
        let harder = Target::from_bits(0x1d00_ffff).expect("a target");
        refused(good, Some(&txids), &harder, Broken::Work);
        refused(good, Some(&[ours]), &easiest(), Broken::Transactions);
        refused(good, Some(&[OTHER]), &easiest(), Broken::Transactions);
        refused(good, Some(&[]), &easiest(), Broken::Transactions);
        refused(good, None, &easiest(), Broken::Transactions);
        assert!(Record::default().extend(good, Some(&txids), &easiest()).is_err());
        assert_eq!(world.record, before);
    }

    #[test]
    fn what_is_passed_over_pays_more_until_the_most() {
        let mut world = World::new();
        let next = |world: &World, height| world.record.batch(&world.root).expect("one").next(height, None, 2_500);
        assert_eq!((next(&world, 102), next(&world, 103)), (Next::Send, Next::Raise(2_000)));
        let dearer = spend(&world.root, 2_000, 103);
        world.record.batch_mut(&world.root).expect("one").mean(dearer);
        assert_eq!((next(&world, 105), next(&world, 900)), (Next::Send, Next::Send), "no more may be paid");
    }

    #[test]
    fn what_is_deep_is_forgotten_and_what_is_not_mined_never() {
        let mut world = World::new();
        let waiting = Digest([8; 32]);
        world.record.add(Batch::new(waiting, spend(&waiting, 1_000, 100)));
        let ours = world.ours();
        world.take(&[OTHER, ours], 0);
        for _block in 0..300 {
            world.take(&[OTHER], 0);
            world.record.prune(DEPTH);
        }
        assert_eq!(world.record.state_of(&world.root, Decimal(0), DEPTH), None);
        assert_eq!(world.record.unmined().count(), 1);
        assert!(world.record.seen().count() as u64 <= DEPTH + super::FOLLOWED + 1);
        let text = serde_json::to_string(&world.record).expect("JSON");
        assert_eq!(serde_json::from_str::<Record>(&text).expect("reads"), world.record);
    }
}
