//! Anchoring receipts in a chain of Bitcoin's family, through a node whose wallet pays.
//!
//! Receipts that wait become one batch, its root goes into one transaction, and blocks are followed until that is as deep as
//! was wanted. One batch waits for its block at a time: what comes meanwhile is the next one.
//!
//! **Invariant:** a transaction is on disk with the receipts it carries before it is sent: killed at any moment, the same one is
//! sent again.
//! **Invariant:** where receipts stand is what the blocks on record show; those become durable together.
//! **Invariant:** nothing is paid beyond the most that the person said, and to nobody but miners.

mod follow;
mod paying;

use std::collections::BTreeMap;

use receipts::{
    Digest,
    bitcoin::{
        hash::BlockHash,
        header::Header,
        record::Record,
        rpc::{Call, ChainInfo},
    },
};

use super::{
    Address, NodeAskError, NodeClient, OtherLedger, PublishError, Repin,
    desk::{Desk, Opening},
    pinned::{PinnedChain, PinnedLedger},
};

/// A chain that is always young: a node of it says for ever that it is fetching.
const REGTEST: &str = "regtest";

/// Brings receipts to one chain.
#[derive(Debug)]
pub struct ChainPublisher {
    pub(super) desk: Desk,
    pub(super) address: Address,
    node: NodeClient,
    /// The verifier key of this home's own log.
    log: String,
    pub(super) pinned: PinnedChain,
    /// Whether the chain was pinned by this opening.
    pub(super) new: bool,
    most_rate: u64,
    record: Record,
    /// At which last block the node took the transaction of a batch: it is sent again at the next.
    sent: BTreeMap<Digest, BlockHash>,
    /// Whether all receipts were held against the record since this program began.
    held: bool,
}

impl ChainPublisher {
    /// Asks a node for its chain, and pins it where none is pinned.
    ///
    /// # Errors
    /// [`PublishError`].
    pub(super) async fn open(opening: Opening) -> Result<Self, PublishError> {
        let Opening { desk, way, address, known } = opening;
        let node = NodeClient::new(&address.url, way.chain.credentials.clone())?;
        let wanted = (way.network, way.chain.depth);
        let genesis: BlockHash = node.ask(&Call::At(0)).await?;
        let known = match (known, way.repin) {
            (Some(_forgotten), Repin::Asked) => None,
            (known, Repin::Asked | Repin::Never) => known,
        };
        let (pinned, record, new) = match known {
            Some(known) => {
                let pinned = match serde_json::from_slice(&known.pinned).map_err(PublishError::Record)? {
                    PinnedLedger::Chain(pinned) => pinned,
                    PinnedLedger::Log(_) => return Err(OtherLedger::Kind { pinned: "a log" }.into()),
                };
                pinned.fits(wanted, genesis)?;
                if let Some(named) = way.chain.genesis.filter(|named| *named != genesis) {
                    return Err(OtherLedger::Chain { pinned: named, found: genesis }.into());
                }
                let record = known.block.map(|record| serde_json::from_slice::<Record>(&record)).transpose();
                (pinned, record.map_err(PublishError::Record)?.unwrap_or_default(), false)
            }
            None => {
                let info = chain_of(&node).await?;
                let tip = header_of(&node, info.best).await?;
                (PinnedChain::first(wanted, (genesis, &tip), way.chain.genesis)?, Record::default(), true)
            }
        };
        if way.repin == Repin::Asked {
            desk.journal.forget_ledger().await?;
        }
        let row = serde_json::to_vec(&PinnedLedger::Chain(pinned.clone())).map_err(PublishError::Record)?;
        desk.journal.pin_ledger(address.to_string(), row).await?;
        let (most_rate, sent) = (way.chain.most_rate, BTreeMap::new());
        Ok(Self { desk, address, node, log: way.log, pinned, new, most_rate, record, sent, held: false })
    }

    /// Follows the chain, makes a batch of what waits, and sends what no block has; gives how many receipts went into a batch or
    /// were refused, and how many came further.
    pub(super) async fn turn(&mut self) -> Result<(u64, u64), PublishError> {
        let done = self.work().await;
        if done.is_err() {
            // A node that comes back has perhaps forgotten what it took.
            self.sent.clear();
        }
        done
    }

    async fn work(&mut self) -> Result<(u64, u64), PublishError> {
        let (proved, at_tip) = self.follow().await?;
        if !at_tip {
            // Only who knows all blocks knows what is not in them.
            return Ok((0, proved.max(1)));
        }
        let answered = self.compose().await?;
        self.send().await?;
        Ok((answered, proved))
    }

    fn depth(&self) -> u64 {
        self.pinned.depth.0
    }
}

/// How far the node's chain is, once it has all of it.
async fn chain_of(node: &NodeClient) -> Result<ChainInfo, PublishError> {
    let info: ChainInfo = node.ask(&Call::Chain).await?;
    if info.downloading && info.chain != REGTEST { Err(PublishError::Fetching) } else { Ok(info) }
}

/// The header of a block.
async fn header_of(node: &NodeClient, block: BlockHash) -> Result<Header, PublishError> {
    let header: Header = node.ask(&Call::Header(block)).await?;
    let own = header.hash();
    if own == block {
        return Ok(header);
    }
    Err(PublishError::Answer { what: format!("for block {block} it shows the header of {own}") })
}

/// The block at a height; none above the chain's end.
async fn block_at(node: &NodeClient, height: u64) -> Result<Option<BlockHash>, PublishError> {
    match node.ask(&Call::At(height)).await {
        Ok(block) => Ok(Some(block)),
        Err(NodeAskError::Says { source, .. }) if source.is_beyond() => Ok(None),
        Err(error) => Err(error.into()),
    }
}
