//! Following the blocks, and what they make of the receipts.
//!
//! **Invariant:** a node of another chain than was pinned takes nothing back.

use std::collections::BTreeMap;

use receipts::{
    Digest,
    bitcoin::{
        anchor::{Anchor, InBatch},
        hash::BlockHash,
        record::{Broken, Record},
        rpc::{BlockTransactions, Call, ChainInfo},
    },
    canonical::canonical,
    integer::Decimal,
    ledger::outbox::State,
};

use super::{ChainPublisher, block_at, chain_of, header_of};
use crate::{
    journal::{OutboxChange, OutboxRow},
    publisher::{OtherLedger, PublishError},
};

/// Blocks that are read before what they show is written.
const AT_ONCE: usize = 200;
/// How far below the oldest block on record a chain is read again that shares none of them.
const BELOW: u64 = 1_000;

/// Blocks that are read one by one although nothing is waited for, so that a reorganisation is seen for what it is.
const NEAR: u64 = 144;

/// How much of the record the chain took back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Undone {
    Nothing,
    Some,
    /// No block on record is in the chain any more.
    All,
}

/// A new state and what shows it.
type Change = (Digest, State, Option<Vec<u8>>);

impl ChainPublisher {
    /// Takes the blocks that came; gives how many receipts that moved, and whether the last block is reached.
    pub(super) async fn follow(&mut self) -> Result<(u64, bool), PublishError> {
        let info = chain_of(&self.node).await?;
        let mut record = self.record.clone();
        let mut undone = Undone::Nothing;
        if record.tip().is_some_and(|(_, tip)| tip != info.best) {
            undone = self.rewind(&mut record, &info).await?;
        }
        let far = record.tip().is_none_or(|(height, _)| record.is_idle() && info.blocks > height.saturating_add(NEAR));
        if far {
            // Nothing of ours lies in between.
            record.begin(info.blocks, header_of(&self.node, info.best).await?, &self.pinned.easiest)?;
        }
        self.extend(&mut record, &info).await?;
        let at_tip = record.tip().is_some_and(|(_, tip)| tip == info.best);
        Ok((self.take(record, undone).await?, at_tip))
    }

    /// Goes back to the last block that is still in the chain.
    async fn rewind(&self, record: &mut Record, info: &ChainInfo) -> Result<Undone, PublishError> {
        let genesis = block_at(&self.node, 0).await?;
        if let Some(found) = genesis.filter(|found| *found != self.pinned.genesis) {
            return Err(OtherLedger::Chain { pinned: self.pinned.genesis, found }.into());
        }
        let seen: Vec<_> = record.seen().collect();
        for (number, (height, block)) in seen.iter().enumerate() {
            if block_at(&self.node, *height).await? == Some(*block) {
                record.rewind(*height);
                return Ok(if number == 0 { Undone::Nothing } else { Undone::Some });
            }
        }
        let oldest = seen.last().map_or(0, |(height, _)| *height);
        let from = oldest.saturating_sub(BELOW).min(info.blocks);
        let Some(block) = block_at(&self.node, from).await? else { return Err(Broken::Unlinked.into()) };
        record.begin(from, header_of(&self.node, block).await?, &self.pinned.easiest)?;
        Ok(Undone::All)
    }

    async fn extend(&self, record: &mut Record, info: &ChainInfo) -> Result<(), PublishError> {
        for _block in 0..AT_ONCE {
            let Some((height, _)) = record.tip().filter(|(height, _)| *height < info.blocks) else { break };
            let Some(block) = block_at(&self.node, height + 1).await? else { break };
            let header = header_of(&self.node, block).await?;
            let txids = match record.unmined().next() {
                Some(_) => Some(self.node.ask::<BlockTransactions>(&Call::Block(block)).await?.tx),
                None => None,
            };
            match record.extend(header, txids.as_deref(), &self.pinned.easiest) {
                Ok(()) => {}
                // It went another way while it was read: the next turn sees which.
                Err(Broken::Unlinked) => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Makes durable what the blocks show, and where receipts stand by it; gives how many moved.
    async fn take(&mut self, mut record: Record, undone: Undone) -> Result<u64, PublishError> {
        if record == self.record && self.held {
            return Ok(0);
        }
        let reader = self.desk.journal.reader();
        let mut rows = reader.handed_in().await?;
        if undone != Undone::Nothing {
            rows.extend(reader.finals().await?);
        }
        let mut states = Vec::new();
        let mut there = BTreeMap::new();
        for row in &rows {
            states.extend(self.moved(&record, row, (undone, &mut there)).await?);
        }
        let moved = states.len() as u64;
        // Only now: where receipts stand was asked of all that was followed.
        record.prune(self.depth());
        let block = Some(serde_json::to_vec(&record).map_err(PublishError::Record)?);
        self.desk.change(OutboxChange { states, block, ..OutboxChange::default() }).await?;
        (self.record, self.held) = (record, true);
        Ok(moved)
    }

    /// What becomes of a receipt by the record; none where it stays as it is.
    async fn moved(
        &self,
        record: &Record,
        row: &OutboxRow,
        (undone, there): (Undone, &mut BTreeMap<u64, Option<BlockHash>>),
    ) -> Result<Option<Change>, PublishError> {
        let Some((root, index)) = place(&row.state) else { return Ok(None) };
        let state = match record.state_of(&root, index, self.depth()) {
            Some(state) => state,
            None => match &row.state {
                // So deep that its batch was forgotten: it stays while its block does.
                State::Mined { height, block, .. } | State::Buried { height, block, .. } => {
                    if undone != Undone::All {
                        return Ok(None);
                    }
                    // Many receipts are of one block.
                    let found = match there.get(&height.0) {
                        Some(found) => *found,
                        None => block_at(&self.node, height.0).await?,
                    };
                    there.insert(height.0, found);
                    if found == Some(*block) {
                        return Ok(None);
                    }
                    State::Queued
                }
                _unsent => State::Queued,
            },
        };
        if state == row.state {
            return Ok(None);
        }
        let evidence = self.evidence(record, &state, row.evidence.as_deref())?;
        Ok(Some((row.receipt_id, state, evidence)))
    }

    /// What shows a state, made of what showed the last one.
    fn evidence(&self, record: &Record, state: &State, last: Option<&[u8]>) -> Result<Option<Vec<u8>>, PublishError> {
        let (root, depth) = match state {
            State::InFlight { root, .. } => (root, 0),
            State::Mined { root, .. } => (root, 1),
            State::Buried { root, .. } => (root, self.depth()),
            _without => return Ok(None),
        };
        let batch = last.ok_or("nothing").and_then(batch_of).map_err(|_other| unreadable())?;
        let shown = match record.block_of(root, depth).filter(|_| depth > 0) {
            Some(block) => Anchor::of(batch, block).to_bytes(),
            None => canonical(&batch),
        };
        shown.map(Some).map_err(|_never| unreadable())
    }
}

pub(super) fn unreadable() -> PublishError {
    PublishError::Record(serde::de::Error::custom("the way of a receipt to the root of its batch"))
}

/// The batch a receipt went into, and its index there.
fn place(state: &State) -> Option<(Digest, Decimal)> {
    match state {
        State::InFlight { root, index } | State::Mined { root, index, .. } | State::Buried { root, index, .. } => {
            Some((*root, *index))
        }
        State::Queued
        | State::Acknowledged { .. }
        | State::Included { .. }
        | State::Final { .. }
        | State::Refused { .. }
        | State::Conflict { .. } => None,
    }
}

/// A receipt's place in its batch, from whatever shows where it is.
fn batch_of(evidence: &[u8]) -> Result<InBatch, &'static str> {
    serde_json::from_slice(evidence).or_else(|_more| match Anchor::parse(evidence) {
        Ok(anchor) => Ok(anchor.batch()),
        Err(_none) => Err("neither"),
    })
}
