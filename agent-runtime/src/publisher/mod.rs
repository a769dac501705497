//! The publisher: brings sealed receipts to a ledger and keeps what the ledger proves.
//!
//! It reads the outbox, asks, checks every answer by the rules of `receipts`, and writes what holds. Completing a
//! module never waits for it. A ledger is a transparency log that answers for receipts, or a chain of Bitcoin's family.
//!
//! **Invariant:** a home has one publisher at a time, of whichever process.
//! **Invariant:** what is checked is durable before anything is built on it: the head before proofs under it, the block before
//! receipts are final, a transaction before it is sent.

mod address;
mod chain;
mod client;
mod desk;
mod line;
mod log;
mod node;
mod pinned;
mod proving;

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use receipts::{
    Digest,
    bitcoin::{hash::BlockHash, record::Broken, rpc::NodeError},
    ledger::{
        block::CertifiedBlock,
        trusted::{BlockError, HeadError},
    },
};

pub use address::{Address, Kind, address};
pub use client::{AskError, LedgerClient};
pub use node::{NodeAskError, NodeClient};
pub use pinned::{OtherLedger, Pinned, PinnedChain, PinnedLedger};

use crate::{
    clock::Clock,
    journal::{Journal, JournalError, OutboxCounts},
};
use chain::ChainPublisher;
use desk::{Desk, Opening};
use log::LogPublisher;

/// What a publisher is made of.
#[derive(Debug, Clone)]
pub struct Way {
    /// Where the ledger is asked; as pinned where nothing is said.
    pub url: Option<String>,
    /// Verifier key of the ledger's log, where the person configured it.
    pub key: Option<String>,
    /// The network that receipts are for.
    pub network: Digest,
    /// Verifier key of this home's own log, which signs the heads of traces.
    pub log: String,
    /// Whether another ledger than was pinned may take its place.
    pub repin: Repin,
    /// How a chain is used, where it is one.
    pub chain: ChainWay,
}

/// How a chain is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainWay {
    /// File with `USER:PASSWORD` for the node.
    pub credentials: Option<PathBuf>,
    /// The chain's first block, where the person configured it.
    pub genesis: Option<BlockHash>,
    /// How many blocks make a receipt final.
    pub depth: u64,
    /// The most that an anchor pays, in satoshi for a thousand virtual bytes.
    pub most_rate: u64,
}

/// Whether another ledger may take the place of the pinned one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repin {
    /// No: another one is refused.
    Never,
    /// Yes: the person says so. Every receipt begins its way anew.
    Asked,
}

/// Why nothing was published, or no more.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// Neither configured nor pinned.
    #[error("no ledger is named")]
    NoLedger,
    /// Another process of this home publishes.
    #[error("another program publishes the receipts of this home")]
    Taken,
    /// The lock of the publisher cannot be had.
    #[error("{path}: {source}", path = path.display())]
    Lock {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The ledger could not be asked, or said no.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// It is not the ledger that receipts go to.
    #[error(transparent)]
    Other(#[from] OtherLedger),
    /// The ledger's head is not taken.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// The ledger's block is not taken.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// What the ledger says does not hold.
    #[error("the ledger's answer does not hold: {what}")]
    Answer {
        /// What is wrong with it.
        what: String,
    },
    /// The node could not be asked, or said no.
    #[error(transparent)]
    Node(#[from] NodeAskError),
    /// The node does not have the chain yet.
    #[error("the node is still fetching its chain")]
    Fetching,
    /// A block of the node is not taken.
    #[error("the node's chain does not hold: {0}")]
    Chain(#[from] Broken),
    /// No coin is large enough.
    #[error("the node's wallet has no coin of {least} satoshi in a block to pay an anchor with")]
    Funds {
        /// How much is needed.
        least: u64,
    },
    /// All that may be paid is too little.
    #[error("an anchor may pay {most} satoshi for a virtual byte at most, and that is too little now: {said}")]
    Fee {
        /// The most that may be paid.
        most: u64,
        /// What the node says.
        said: NodeError,
    },
    /// The wallet did not sign, or changed what it was to sign.
    #[error("the node's wallet did not sign the anchor as it is")]
    Unsigned,
    /// What is on record of the ledger does not read.
    #[error("what is on record of the ledger does not read: {0}")]
    Record(serde_json::Error),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl PublishError {
    /// Whether waiting may help. Where a ledger contradicts itself it may mend, and is asked again, but never believed.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Ask(AskError::Unreached { .. }) => true,
            Self::Ask(AskError::Ledger(error)) => error.may_pass(),
            Self::Head(_) | Self::Block(_) | Self::Answer { .. } | Self::Chain(_) => true,
            Self::Node(error) => error.may_pass(),
            // Somebody may pay coins in, unlock the wallet, or others may pay less.
            Self::Fetching | Self::Funds { .. } | Self::Fee { .. } | Self::Unsigned => true,
            Self::NoLedger
            | Self::Taken
            | Self::Lock { .. }
            | Self::Ask(AskError::Address { .. })
            | Self::Other(_)
            | Self::Record(_)
            | Self::Journal(_) => false,
        }
    }
}

/// Two things that a ledger signed and that cannot both be true. Whoever has its keys can check that.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Contradiction {
    /// Heads of one size with two roots.
    Heads {
        /// The signed note taken first.
        one: String,
        /// The other.
        other: String,
    },
    /// Blocks of one height.
    Blocks {
        /// The block taken first.
        one: Box<CertifiedBlock>,
        /// The other.
        other: Box<CertifiedBlock>,
    },
}

/// What one turn did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Turn {
    /// Receipts that the ledger answered for.
    pub answered: u64,
    /// Receipts that were proved to have come further.
    pub proved: u64,
    /// Where all receipts are now.
    pub counts: OutboxCounts,
}

/// Brings receipts to one ledger.
#[derive(Debug)]
pub struct Publisher(To);

/// What kind of ledger it is.
#[derive(Debug)]
enum To {
    Log(Box<LogPublisher>),
    Chain(Box<ChainPublisher>),
}

impl Publisher {
    /// Becomes the publisher of a home, and pins the ledger where none is pinned.
    ///
    /// # Errors
    /// [`PublishError`].
    pub async fn open(journal: Arc<Journal>, clock: Clock, way: Way) -> Result<Self, PublishError> {
        let opening = Opening::new(journal, clock, way).await?;
        Ok(Self(match opening.address.kind {
            Kind::Log => To::Log(Box::new(LogPublisher::open(opening).await?)),
            Kind::Chain => To::Chain(Box::new(ChainPublisher::open(opening).await?)),
        }))
    }

    /// The ledger.
    pub fn pinned(&self) -> PinnedLedger {
        match &self.0 {
            To::Log(log) => PinnedLedger::Log(log.pinned.clone()),
            To::Chain(chain) => PinnedLedger::Chain(chain.pinned.clone()),
        }
    }

    /// Whether the ledger was pinned just now, at the first contact.
    pub fn is_new(&self) -> bool {
        match &self.0 {
            To::Log(log) => log.new,
            To::Chain(chain) => chain.new,
        }
    }

    /// Where it is asked.
    pub fn url(&self) -> String {
        match &self.0 {
            To::Log(log) => log.client.url().to_owned(),
            To::Chain(chain) => chain.address.to_string(),
        }
    }

    /// Whether each batch is paid for.
    pub fn costs(&self) -> bool {
        match &self.0 {
            To::Log(_) => false,
            To::Chain(_) => true,
        }
    }

    fn desk(&self) -> &Desk {
        match &self.0 {
            To::Log(log) => &log.desk,
            To::Chain(chain) => &chain.desk,
        }
    }

    /// Hands in what waits, one batch of it, and takes what the ledger shows of what was handed in before.
    ///
    /// # Errors
    /// [`PublishError`]; what was done before it stays done.
    pub async fn turn(&mut self) -> Result<Turn, PublishError> {
        let (answered, proved) = match &mut self.0 {
            To::Log(log) => log.turn().await?,
            To::Chain(chain) => chain.turn().await?,
        };
        Ok(Turn { answered, proved, counts: self.counts().await? })
    }

    /// Where all receipts are.
    ///
    /// # Errors
    /// The journal's.
    pub async fn counts(&self) -> Result<OutboxCounts, PublishError> {
        Ok(self.desk().journal.reader().outbox().await?)
    }

    /// Waits until the ledger has more to show, or some time is over.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn wait_for_head(&self, wait_ms: u64) -> Result<(), PublishError> {
        match &self.0 {
            To::Log(log) => log.wait(wait_ms).await,
            // A node has no question that waits, but for one that few allow.
            To::Chain(_) => {
                tokio::time::sleep(Duration::from_millis(wait_ms)).await;
                Ok(())
            }
        }
    }
}
