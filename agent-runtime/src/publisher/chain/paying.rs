//! Making batches, paying for their transactions and sending them, again and for more where that is needed.
//!
//! **Invariant:** the wallet signs what was made here and nothing else: a signature on anything else is not taken.
//! **Invariant:** a receipt that cannot be anchored is refused by itself and holds up no other.

use receipts::{
    Digest,
    bitcoin::{
        anchor::InBatch,
        fee::{fee, first_rate, raised},
        record::{Batch, MOST_IN_BATCH, Next, Record, Spend},
        rpc::{Call, Estimate, ListedCoin, Sent, Signed, pick},
        transaction::{Coin, Transaction},
    },
    canonical::canonical,
    delegation::Delegation,
    integer::Decimal,
    ledger::{
        entry::LogEntry,
        outbox::State,
        submission::{Admission, admit},
    },
    merkle::Tree,
};
use serde::de::IgnoredAny;

use super::{ChainPublisher, chain_of, follow::unreadable};
use crate::{
    journal::{OutboxChange, Outgoing},
    publisher::{NodeAskError, PublishError, desk::submission},
};

/// More virtual bytes than an anchor of one coin has.
const ROUGH_SIZE: u64 = 400;
/// What a coin must hold beyond the fee, in satoshi: the rest is given back and must be worth relaying.
const REST: u64 = 1_000;
/// A signature may be so many bytes longer when it is made again.
const SLACK: u64 = 2;
/// How often a transaction is changed before the node is left alone for a while.
const TRIES: u32 = 16;

impl ChainPublisher {
    /// Makes a batch of the receipts that wait, where none waits for its block; gives how many left the queue.
    pub(super) async fn compose(&mut self) -> Result<u64, PublishError> {
        if self.record.unmined().next().is_some() {
            return Ok(0);
        }
        let waiting = self.desk.journal.reader().outgoing(MOST_IN_BATCH).await?;
        let (mut refused, mut entries) = (Vec::new(), Vec::new());
        for outgoing in waiting {
            match self.admitted(&outgoing) {
                Ok(entry) => entries.push(entry),
                Err(state) => refused.push((outgoing.receipt_id, state, None)),
            }
        }
        let answered = (refused.len() + entries.len()) as u64;
        self.desk.change(OutboxChange { states: refused, ..OutboxChange::default() }).await?;
        if entries.is_empty() {
            return Ok(answered);
        }
        let mut tree = Tree::new();
        entries.iter().for_each(|entry| tree.push(entry.leaf()));
        let root = tree.root();
        let rate = first_rate(self.estimate().await?, self.most_rate);
        let mut record = self.record.clone();
        record.add(Batch::new(root, self.spend(&root, rate, None).await?));
        let mut states = Vec::with_capacity(entries.len());
        for (entry, index) in entries.iter().zip(0..) {
            let hashes = tree.inclusion(index).unwrap_or_default();
            let (index, size) = (Decimal(index), Decimal(tree.size()));
            let evidence = canonical(&InBatch { index, size, hashes }).map_err(|_never| unreadable())?;
            states.push((entry.receipt, State::InFlight { root, index }, Some(evidence)));
        }
        self.keep(record, states).await?;
        Ok(answered)
    }

    /// The entry of a receipt that holds in all that a ledger checks; else what becomes of it.
    fn admitted(&self, outgoing: &Outgoing) -> Result<LogEntry, State> {
        let refused = |code: &str| State::Refused { code: code.to_owned() };
        let (submission, _size) = submission(outgoing, &self.log).ok_or_else(|| refused("unreadable"))?;
        // Nobody checks what a chain carries: whatever is wrong with it shows here or to those who verify it.
        admit(submission, &self.pinned.network, &Admission::Open, &Delegation::open)
            .map(|admitted| admitted.entry)
            .map_err(|error| State::refused(&error).unwrap_or_else(|| refused("unreadable")))
    }

    /// Sends what no block has, once a block; what is passed over or too cheap pays more, what lost its coin gets another.
    pub(super) async fn send(&mut self) -> Result<(), PublishError> {
        let Some((height, tip)) = self.record.tip() else { return Ok(()) };
        let roots: Vec<Digest> = self.record.unmined().map(|batch| batch.root).collect();
        // In the order in which they were made: one may spend what another gives back.
        for root in roots {
            if self.sent.get(&root) == Some(&tip) {
                continue;
            }
            let estimate = self.estimate().await?;
            let next = self.record.batch(&root).map(|batch| batch.next(height, estimate, self.most_rate));
            if let Some(Next::Raise(rate)) = next {
                match self.raise(&root, rate).await {
                    Ok(()) => {}
                    // The coin holds no more, is gone, or the wallet is locked: what there is goes out again as it is.
                    Err(PublishError::Funds { .. } | PublishError::Unsigned)
                    | Err(PublishError::Node(NodeAskError::Says { .. })) => {}
                    Err(error) => return Err(error),
                }
            }
            let mut tries = 0..TRIES;
            loop {
                match self.hand_in(&root).await? {
                    Sent::Taken | Sent::InBlock => break,
                    Sent::Gone => {
                        if tries.next().is_none() || chain_of(&self.node).await?.best != tip {
                            // A block came in between, with this transaction perhaps.
                            return Ok(());
                        }
                        let rate = first_rate(estimate, self.most_rate);
                        let spend = self.spend(&root, rate, None).await?;
                        self.mean(&root, spend).await?;
                    }
                    Sent::TooLittle(said) => {
                        let paid = self.record.batch(&root).and_then(Batch::meant).map_or(0, |meant| meant.rate.0);
                        let most = self.most_rate / 1_000;
                        let Some(rate) = raised(paid, estimate, self.most_rate).filter(|_| tries.next().is_some())
                        else {
                            return Err(PublishError::Fee { most, said });
                        };
                        self.raise(&root, rate).await?;
                    }
                }
            }
            self.sent.insert(root, tip);
        }
        Ok(())
    }

    async fn hand_in(&self, root: &Digest) -> Result<Sent, PublishError> {
        let Some(meant) = self.record.batch(root).and_then(Batch::meant) else { return Ok(Sent::Taken) };
        // A second net: what is paid was reckoned here, but for a byte or two of signatures.
        let call = Call::Send {
            transaction: meant.transaction.clone(),
            most: self.most_rate.saturating_add(self.most_rate / 10),
        };
        match self.node.ask::<IgnoredAny>(&call).await {
            Ok(_id) => Ok(Sent::Taken),
            Err(NodeAskError::Says { method, source }) => {
                source.of_sending().map_err(|source| NodeAskError::Says { method, source }.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Makes a transaction that spends the same coin and pays more.
    async fn raise(&mut self, root: &Digest, rate: u64) -> Result<(), PublishError> {
        let coin = self.record.batch(root).and_then(Batch::meant).map(|meant| meant.coin.clone());
        let spend = self.spend(root, rate, coin).await?;
        self.mean(root, spend).await
    }

    /// Has another transaction on disk before it is sent.
    async fn mean(&mut self, root: &Digest, spend: Spend) -> Result<(), PublishError> {
        let mut record = self.record.clone();
        if let Some(batch) = record.batch_mut(root) {
            batch.mean(spend);
        }
        self.keep(record, Vec::new()).await
    }

    async fn keep(
        &mut self,
        record: Record,
        states: Vec<(Digest, State, Option<Vec<u8>>)>,
    ) -> Result<(), PublishError> {
        let block = Some(serde_json::to_vec(&record).map_err(PublishError::Record)?);
        self.desk.change(OutboxChange { states, block, ..OutboxChange::default() }).await?;
        self.record = record;
        Ok(())
    }

    /// A signed transaction that anchors `root` and pays `rate`, with this coin or else one that the wallet has.
    async fn spend(&self, root: &Digest, rate: u64, coin: Option<Coin>) -> Result<Spend, PublishError> {
        let least = fee(rate, ROUGH_SIZE).saturating_add(REST);
        let coin = match coin {
            Some(coin) => coin,
            None => {
                let coins: Vec<ListedCoin> = self.node.ask(&Call::Coins).await?;
                pick(&coins, least).ok_or(PublishError::Funds { least })?
            }
        };
        // What it pays goes by its size, which its signatures decide.
        let mut pays = fee(rate, ROUGH_SIZE);
        let rough = self.signed(root, &coin, pays, least).await?;
        pays = fee(rate, rough.virtual_size() + SLACK);
        let signed = self.signed(root, &coin, pays, least).await?;
        let since = Decimal(self.record.tip().map_or(0, |(height, _)| height));
        Ok(Spend { transaction: signed.to_hex(), coin, rate: Decimal(rate), since })
    }

    async fn signed(&self, root: &Digest, coin: &Coin, pays: u64, least: u64) -> Result<Transaction, PublishError> {
        let unsigned = Transaction::anchoring(root, coin, pays).ok_or(PublishError::Funds { least })?;
        let signed: Signed = self.node.ask(&Call::Sign(unsigned.to_hex())).await?;
        signed.of(&unsigned).ok_or(PublishError::Unsigned)
    }

    /// What others pay; none where the node cannot tell.
    async fn estimate(&self) -> Result<Option<u64>, PublishError> {
        match self.node.ask::<Estimate>(&Call::Rate).await {
            Ok(estimate) => Ok(estimate.rate()),
            Err(NodeAskError::Says { source, .. }) if !source.is_starting() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
