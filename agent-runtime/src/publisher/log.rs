//! Handing receipts to a ledger's log, and keeping what it proves.
//!
//! **Invariant:** a home that was made from a backup hands in no second receipt for work that the ledger credited: it asks first.
//! **Invariant:** an unknown outcome leaves a receipt queued; the ledger knows it by its id when it comes again.
//! **Invariant:** never waits for a ledger that does not answer longer than one answer may take.

use std::collections::BTreeMap;

use receipts::{
    Digest,
    checkpoint::Checkpoint,
    integer::Decimal,
    ledger::{
        block::CertifiedBlock,
        outbox::State,
        rpc::{
            Call, Credited, Heads, Info, LedgerError, MOST_BYTES, MOST_IN_BATCH, OfNullifier, SubmitBatch, Submitted,
            WatchFrom,
        },
        submission::Submission,
    },
};

use super::{
    AskError, LedgerClient, OtherLedger, Pinned, PublishError, Repin,
    desk::{Desk, Opening, submission},
    pinned::PinnedLedger,
};
use crate::journal::OutboxChange;

/// Questions in one request: what a ledger takes at once.
pub(super) const AT_ONCE: u8 = 64;
/// Room in a request for what is not a submission.
const SLACK: usize = 4 << 10;

/// Brings receipts to one ledger.
#[derive(Debug)]
pub struct LogPublisher {
    pub(super) desk: Desk,
    pub(super) client: LedgerClient,
    log: String,
    pub(super) pinned: Pinned,
    /// Whether the ledger was pinned by this opening.
    pub(super) new: bool,
    pub(super) head: Option<Taken>,
    pub(super) block: Option<CertifiedBlock>,
}

/// A head that was taken.
#[derive(Debug, Clone)]
pub(super) struct Taken {
    pub(super) head: Checkpoint,
    pub(super) note: String,
}

impl LogPublisher {
    /// Asks a ledger who it is, and pins it where none is pinned.
    ///
    /// # Errors
    /// [`PublishError`].
    pub(super) async fn open(opening: Opening) -> Result<Self, PublishError> {
        let Opening { desk, way, address, known } = opening;
        let client = LedgerClient::new(&address.to_string())?;
        let info: Info = client.ask(&Call::Info).await?;
        let first = Pinned::first(&info, way.network, way.key.as_deref())?;
        let known = match (known, way.repin) {
            (Some(_forgotten), Repin::Asked) => {
                desk.journal.forget_ledger().await?;
                None
            }
            (known, Repin::Asked | Repin::Never) => known,
        };
        let (pinned, new) = match &known {
            Some(known) => match serde_json::from_slice(&known.pinned).map_err(PublishError::Record)? {
                PinnedLedger::Log(pinned) => {
                    pinned.fits(&info)?;
                    (pinned, false)
                }
                PinnedLedger::Chain(_) => return Err(OtherLedger::Kind { pinned: "a chain" }.into()),
            },
            None => (first, true),
        };
        let record = serde_json::to_vec(&PinnedLedger::Log(pinned.clone())).map_err(PublishError::Record)?;
        desk.journal.pin_ledger(client.url().to_owned(), record).await?;
        let (head, block) = match known {
            Some(known) => {
                let head = known.head.map(|note| Ok(Taken { head: pinned.ledger.open(&note)?, note }));
                let block = known.block.map(|block| serde_json::from_slice(&block)).transpose();
                (head.transpose().map_err(PublishError::Head)?, block.map_err(PublishError::Record)?)
            }
            None => (None, None),
        };
        Ok(Self { desk, client, log: way.log, pinned, new, head, block })
    }

    /// Hands in what waits, one batch of it, then takes the ledger's head and block, and proves what lies under them; gives
    /// how many receipts were answered for, and how many came further.
    pub(super) async fn turn(&mut self) -> Result<(u64, u64), PublishError> {
        let answered = self.hand_in().await?;
        self.follow().await?;
        Ok((answered, self.prove().await?))
    }

    /// Hands in a batch; gives how many receipts were answered for.
    async fn hand_in(&mut self) -> Result<u64, PublishError> {
        let most = u32::try_from(MOST_IN_BATCH).unwrap_or(u32::MAX);
        let waiting = self.desk.journal.reader().outgoing(most).await?;
        let (mut batch, mut bytes, mut refused) = (Vec::new(), SLACK, Vec::new());
        let mut nullifiers = Vec::new();
        for outgoing in waiting {
            let Some((submission, size)) = submission(&outgoing, &self.log) else {
                refused.push((outgoing.receipt_id, State::Refused { code: "unreadable".to_owned() }, None));
                continue;
            };
            if size + SLACK > MOST_BYTES {
                refused.push((outgoing.receipt_id, State::Refused { code: "too-large".to_owned() }, None));
            } else if bytes + size > MOST_BYTES {
                break;
            } else {
                bytes += size;
                nullifiers.push((outgoing.receipt_id, outgoing.nullifier));
                batch.push((outgoing.receipt_id, submission));
            }
        }
        if self.desk.journal.reader().is_restored().await? {
            let taken = self.taken(&nullifiers).await?;
            batch.retain(|(receipt, _)| !taken.contains_key(receipt));
            let conflict = |(receipt, credited)| (receipt, State::Conflict { credited }, None);
            refused.extend(taken.into_iter().map(conflict));
        }
        let mut answered = refused.len() as u64;
        self.change(OutboxChange { states: refused, ..OutboxChange::default() }).await?;
        let mut batches = vec![batch];
        while let Some(batch) = batches.pop() {
            answered += self.submit(batch, &mut batches).await?;
        }
        Ok(answered)
    }

    /// Of these receipts and their nullifiers, those for whose work the ledger credited another receipt, with that one.
    async fn taken(&self, of: &[(Digest, Digest)]) -> Result<BTreeMap<Digest, Digest>, PublishError> {
        let mut taken = BTreeMap::new();
        for some in of.chunks(AT_ONCE.into()) {
            let asked = some.iter().map(|(_, nullifier)| Call::ByNullifier(OfNullifier { nullifier: *nullifier }));
            let answers = self.client.ask_all::<Credited>(&asked.collect::<Vec<_>>()).await?;
            for ((receipt, _), answer) in some.iter().zip(answers) {
                if let Some(other) =
                    answer.map_err(AskError::Ledger)?.credited.filter(|other| other.receipt != *receipt)
                {
                    taken.insert(*receipt, other.receipt);
                }
            }
        }
        Ok(taken)
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

    pub(super) async fn change(&self, change: OutboxChange) -> Result<(), PublishError> {
        self.desk.change(change).await
    }

    /// Waits until the ledger shows a larger head than the one that was taken, or some time is over.
    pub(super) async fn wait(&self, wait_ms: u64) -> Result<(), PublishError> {
        let size = Decimal(self.head.as_ref().map_or(0, |taken| taken.head.size));
        let from = WatchFrom { size, wait_ms: Decimal(wait_ms) };
        let _heads: Heads = self.client.ask(&Call::Watch(from)).await?;
        Ok(())
    }
}
