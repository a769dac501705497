//! The publisher: brings sealed receipts to a ledger and keeps what the ledger proves.
//!
//! It reads the outbox, asks, checks every answer by the rules of `receipts::ledger`, and writes what holds. Completing a
//! module never waits for it.
//!
//! **Invariant:** a home has one publisher at a time, of whichever process.
//! **Invariant:** what is checked is durable before anything is built on it: the head before proofs under it, the block before
//! receipts are final.
//! **Invariant:** an unknown outcome leaves a receipt queued; the ledger knows it by its id when it comes again.

mod client;
mod pinned;
mod proving;

use std::{fs::File, io, path::PathBuf, sync::Arc};

use receipts::{
    Digest,
    bundle::RECEIPT,
    checkpoint::Checkpoint,
    dsse::Envelope,
    ledger::{
        block::CertifiedBlock,
        outbox::State,
        rpc::{Call, Heads, Info, LedgerError, MOST_BYTES, MOST_IN_BATCH, SubmitBatch, Submitted},
        submission::Submission,
        trusted::{BlockError, HeadError},
    },
};

pub use client::{AskError, LedgerClient, address};
pub use pinned::{OtherLedger, Pinned};

use crate::{
    clock::Clock,
    journal::{Journal, JournalError, OutboxChange, OutboxCounts, Outgoing},
    signer::read_bundle,
};

/// Room in a request for what is not a submission.
const SLACK: usize = 4 << 10;

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
            Self::Head(_) | Self::Block(_) | Self::Answer { .. } => true,
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
pub struct Publisher {
    journal: Arc<Journal>,
    client: LedgerClient,
    clock: Clock,
    log: String,
    pinned: Pinned,
    /// Whether the ledger was pinned by this opening.
    new: bool,
    head: Option<Taken>,
    block: Option<CertifiedBlock>,
    _lock: File,
}

/// A head that was taken.
#[derive(Debug, Clone)]
struct Taken {
    head: Checkpoint,
    note: String,
}

impl Publisher {
    /// Becomes the publisher of a home, and pins the ledger where none is pinned.
    ///
    /// # Errors
    /// [`PublishError`].
    pub async fn open(journal: Arc<Journal>, clock: Clock, way: Way) -> Result<Self, PublishError> {
        let home = journal.reader().home().clone();
        let path = home.publisher_lock();
        let lock = home.hold_publisher().map_err(|source| match source.kind() {
            io::ErrorKind::WouldBlock => PublishError::Taken,
            _other => PublishError::Lock { path, source },
        })?;
        let known = journal.reader().ledger().await?;
        let url = way.url.clone().or_else(|| known.as_ref().map(|known| known.url.clone()));
        let client = LedgerClient::new(&url.ok_or(PublishError::NoLedger)?)?;
        let info: Info = client.ask(&Call::Info).await?;
        let first = Pinned::first(&info, way.network, way.key.as_deref())?;
        let known = match (known, way.repin) {
            (Some(_forgotten), Repin::Asked) => {
                journal.forget_ledger().await?;
                None
            }
            (known, Repin::Asked | Repin::Never) => known,
        };
        let (pinned, new) = match &known {
            Some(known) => {
                let pinned: Pinned = serde_json::from_slice(&known.pinned).map_err(PublishError::Record)?;
                pinned.fits(&info)?;
                (pinned, false)
            }
            None => (first, true),
        };
        let record = serde_json::to_vec(&pinned).map_err(PublishError::Record)?;
        journal.pin_ledger(client.url().to_owned(), record).await?;
        let (head, block) = match known {
            Some(known) => {
                let head = known.head.map(|note| Ok(Taken { head: pinned.ledger.open(&note)?, note }));
                let block = known.block.map(|block| serde_json::from_slice(&block)).transpose();
                (head.transpose().map_err(PublishError::Head)?, block.map_err(PublishError::Record)?)
            }
            None => (None, None),
        };
        Ok(Self { journal, client, clock, log: way.log, pinned, new, head, block, _lock: lock })
    }

    /// The ledger.
    pub fn pinned(&self) -> &Pinned {
        &self.pinned
    }

    /// Whether the ledger was pinned just now, at the first contact.
    pub fn is_new(&self) -> bool {
        self.new
    }

    /// Where it is asked.
    pub fn url(&self) -> &str {
        self.client.url()
    }

    /// Hands in what waits, one batch of it, then takes the ledger's head and block, and proves what lies under them.
    ///
    /// # Errors
    /// [`PublishError`]; what was done before it stays done.
    pub async fn turn(&mut self) -> Result<Turn, PublishError> {
        let answered = self.hand_in().await?;
        self.follow().await?;
        let proved = self.prove().await?;
        Ok(Turn { answered, proved, counts: self.counts().await? })
    }

    /// Where all receipts are.
    ///
    /// # Errors
    /// The journal's.
    pub async fn counts(&self) -> Result<OutboxCounts, PublishError> {
        Ok(self.journal.reader().outbox().await?)
    }

    /// Hands in a batch; gives how many receipts were answered for.
    async fn hand_in(&mut self) -> Result<u64, PublishError> {
        let most = u32::try_from(MOST_IN_BATCH).unwrap_or(u32::MAX);
        let waiting = self.journal.reader().outgoing(most).await?;
        let (mut batch, mut bytes, mut refused) = (Vec::new(), SLACK, Vec::new());
        for outgoing in waiting {
            let Some((submission, size)) = self.submission(&outgoing) else {
                refused.push((outgoing.receipt_id, State::Refused { code: "unreadable".to_owned() }, None));
                continue;
            };
            if size + SLACK > MOST_BYTES {
                refused.push((outgoing.receipt_id, State::Refused { code: "too-large".to_owned() }, None));
            } else if bytes + size > MOST_BYTES {
                break;
            } else {
                bytes += size;
                batch.push((outgoing.receipt_id, submission));
            }
        }
        let mut answered = refused.len() as u64;
        self.change(OutboxChange { states: refused, ..OutboxChange::default() }).await?;
        let mut batches = vec![batch];
        while let Some(batch) = batches.pop() {
            answered += self.submit(batch, &mut batches).await?;
        }
        Ok(answered)
    }

    fn submission(&self, outgoing: &Outgoing) -> Option<(Submission, usize)> {
        let bundle = read_bundle(&outgoing.bundle)?;
        // What is on record under another id is not handed in: the ledger's answer would be about that one.
        let own = Envelope::parse(bundle.0.get(RECEIPT)?).ok()?.id();
        if own != outgoing.receipt_id {
            return None;
        }
        let submission = Submission::from_bundle(&bundle, &self.log)?;
        let size = serde_json::to_vec(&submission).ok()?.len() + 1;
        Some((submission, size))
    }

    /// Hands in; what the ledger cannot read as a whole goes back to `batches` in halves, so that one bad receipt does not
    /// hold up the others.
    async fn submit(
        &mut self,
        mut batch: Vec<(Digest, Submission)>,
        batches: &mut Vec<Vec<(Digest, Submission)>>,
    ) -> Result<u64, PublishError> {
        if batch.is_empty() {
            return Ok(0);
        }
        let submissions = batch.iter().map(|(_, submission)| submission.clone()).collect();
        let call = Call::SubmitBatch(SubmitBatch { submissions });
        let answers: Vec<Submitted> = match self.client.ask(&call).await {
            Ok(answers) => answers,
            Err(AskError::Ledger(error @ LedgerError::Protocol { .. })) if batch.len() == 1 => {
                vec![Submitted::Error(error)]
            }
            Err(AskError::Ledger(LedgerError::Protocol { .. })) => {
                batches.push(batch.split_off(batch.len() / 2));
                batches.push(batch);
                return Ok(0);
            }
            Err(error) => return Err(error.into()),
        };
        let wrong = |what: &str| PublishError::Answer { what: what.to_owned() };
        if answers.len() != batch.len() {
            return Err(wrong("it has another number of answers than receipts"));
        }
        let mut states = Vec::with_capacity(batch.len());
        let mut waits = None;
        for ((receipt, _submission), answer) in batch.iter().zip(&answers) {
            match answer {
                Submitted::Acknowledged(of) if of.receipt != *receipt => return Err(wrong("it is of another receipt")),
                Submitted::Acknowledged(_) | Submitted::Error(_) => {}
            }
            match (State::answered(answer), answer) {
                (Some(state), _) => states.push((*receipt, state, None)),
                (None, Submitted::Error(error)) => waits = Some(error.clone()),
                (None, Submitted::Acknowledged(_)) => {}
            }
        }
        let answered = states.len() as u64;
        self.change(OutboxChange { states, ..OutboxChange::default() }).await?;
        match waits {
            // All of it waits: the ledger is not ready, and the next batch would fare the same.
            Some(error) if answered == 0 => Err(AskError::Ledger(error).into()),
            Some(_) | None => Ok(answered),
        }
    }

    async fn change(&self, change: OutboxChange) -> Result<(), PublishError> {
        let change = OutboxChange { now_ms: self.clock.now_ms(), ..change };
        let nothing = OutboxChange { now_ms: change.now_ms, ..OutboxChange::default() };
        if change == nothing {
            return Ok(());
        }
        Ok(self.journal.change_outbox(change).await?)
    }

    /// Waits until the ledger shows a larger head than the one that was taken, or some time is over.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn wait_for_head(&self, wait_ms: u64) -> Result<(), PublishError> {
        let size = receipts::integer::Decimal(self.head.as_ref().map_or(0, |taken| taken.head.size));
        let from = receipts::ledger::rpc::WatchFrom { size, wait_ms: receipts::integer::Decimal(wait_ms) };
        let _heads: Heads = self.client.ask(&Call::Watch(from)).await?;
        Ok(())
    }
}
