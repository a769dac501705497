//! The one task that writes.
//!
//! Batches that wait while a commit runs go into the next transaction together, so one flush to disk serves them all.
//!
//! **Invariant:** nobody is told of an entry, and no head is shown, before its transaction is committed.
//! **Invariant:** after a failed transaction the tree is again that of what is stored; where the two cannot be brought
//! together the program ends, and the next start builds the tree anew.

use std::sync::Arc;

use receipts::{
    Digest,
    checkpoint::Checkpoint,
    integer::Decimal,
    ledger::{
        block::CertifiedBlock,
        rpc::{Acknowledgement, DyingPoint, LedgerError},
        submission::Admitted,
    },
    merkle::leaf_hash,
    note::log_name,
};
use tokio::sync::{mpsc, oneshot};

use crate::{
    faults::Faults,
    heads::{Head, Log, read, write},
    keys::LedgerKeys,
    store::{Fate, Store, StoreError},
};

/// Orders that may wait; further ones wait outside.
const QUEUE: usize = 256;
/// Orders taken at once.
const GROUP: usize = 64;
/// Receipts in one transaction, but for the last batch of it.
const RECEIPTS: usize = 1024;

/// The answer to a batch: one for each receipt, in order.
pub type Answers = Vec<Result<Acknowledgement, LedgerError>>;

/// What the writer is told to do.
#[derive(Debug)]
pub enum Order {
    /// Put a batch into the log.
    Append(Vec<Admitted>, oneshot::Sender<Answers>),
    /// Show this head, which witnesses cosigned.
    Publish(Head, oneshot::Sender<Result<(), StoreError>>),
    /// Add a block over a published head, with that head's signed note: by now another may be published.
    Seal(CertifiedBlock, String, oneshot::Sender<Result<(), StoreError>>),
    /// A fault: cut the log to so many entries.
    Rollback(u64, oneshot::Sender<Result<(), StoreError>>),
    /// A fault: take back so many blocks.
    Reorg(u64, oneshot::Sender<Result<(), StoreError>>),
    /// A fault: show another head of the same size.
    Equivocate(oneshot::Sender<Result<(), StoreError>>),
}

/// The writer.
pub struct Writer {
    store: Store,
    log: Arc<Log>,
    keys: Arc<LedgerKeys>,
    faults: Arc<Faults>,
    /// Whether heads are shown as soon as they are stored, since no witness is asked.
    at_once: bool,
}

impl Writer {
    /// Starts it. It ends when all senders are gone and what they sent is done; then the store is closed.
    pub fn start(
        store: Store,
        log: Arc<Log>,
        keys: Arc<LedgerKeys>,
        faults: Arc<Faults>,
        at_once: bool,
    ) -> (mpsc::Sender<Order>, tokio::task::JoinHandle<Result<(), StoreError>>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let writer = Self { store, log, keys, faults, at_once };
        (sender, tokio::spawn(writer.work(receiver)))
    }

    async fn work(mut self, mut orders: mpsc::Receiver<Order>) -> Result<(), StoreError> {
        let mut waiting = Vec::with_capacity(GROUP);
        while orders.recv_many(&mut waiting, GROUP).await > 0 {
            let mut group = Vec::new();
            let mut receipts = 0;
            for order in waiting.drain(..) {
                match order {
                    Order::Append(batch, answer) => {
                        receipts += batch.len();
                        group.push((batch, answer));
                        if receipts >= RECEIPTS {
                            receipts = 0;
                            self.append(std::mem::take(&mut group)).await?;
                        }
                    }
                    other => {
                        // Order is kept: what came before is stored before.
                        self.append(std::mem::take(&mut group)).await?;
                        self.change(other).await;
                    }
                }
            }
            self.append(group).await?;
        }
        self.store.close().await
    }

    /// Stores batches in one transaction and answers them. An error is one after which nothing is certain.
    async fn append(&mut self, group: Vec<(Vec<Admitted>, oneshot::Sender<Answers>)>) -> Result<(), StoreError> {
        if group.is_empty() {
            return Ok(());
        }
        let mut all = Vec::with_capacity(group.iter().map(|(batch, _)| batch.len()).sum());
        let mut answers = Vec::with_capacity(group.len());
        for (batch, answer) in group {
            answers.push((batch.len(), answer));
            all.extend(batch);
        }
        match self.commit(&all).await {
            Ok((fates, head)) => {
                if let Some(head) = head {
                    let at_once = self.at_once;
                    self.log.show(|heads| {
                        if at_once {
                            heads.published = head.clone();
                        }
                        heads.latest = head;
                    });
                }
                let mut told = all.iter().zip(fates).map(|(admitted, fate)| answer_of(admitted, fate));
                for (many, answer) in answers {
                    tell(answer, told.by_ref().take(many).collect());
                }
                Ok(())
            }
            Err(error) => {
                let size = self.log.heads().latest.size;
                write(&self.log.tree).truncate(size);
                let reason = error.to_string();
                for (many, answer) in answers {
                    let transient = LedgerError::Transient { reason: reason.clone() };
                    tell(answer, vec![Err(transient); many]);
                }
                let stored = self.store.size().await?;
                if stored == size { Ok(()) } else { Err(error) }
            }
        }
    }

    async fn commit(&mut self, all: &[Admitted]) -> Result<(Vec<Fate>, Option<Head>), StoreError> {
        let keys = Arc::clone(&self.keys);
        let sign = move |size, root| keys.sign(&Checkpoint { origin: log_name(&keys.log()), size, root });
        let appended = self.store.append(all, &self.log.tree, sign, self.at_once).await?;
        self.faults.reach(DyingPoint::BeforeCommit);
        let committed = appended.commit().await?;
        self.faults.reach(DyingPoint::AfterCommit);
        Ok(committed)
    }

    async fn change(&mut self, order: Order) {
        match order {
            // Appends are grouped by the caller.
            Order::Append(batch, answer) => {
                let busy = || Err(LedgerError::Busy { retry_after_ms: 100 });
                tell(answer, batch.iter().map(|_| busy()).collect());
            }
            Order::Publish(head, answer) => {
                let done = self.store.publish(&head.note).await;
                if done.is_ok() {
                    self.log.show(|heads| heads.published = head);
                }
                tell(answer, done);
            }
            Order::Seal(block, note, answer) => tell(answer, self.seal(block, &note).await),
            Order::Rollback(size, answer) => tell(answer, self.rollback(size).await),
            Order::Reorg(depth, answer) => tell(answer, self.reorg(depth).await),
            Order::Equivocate(answer) => {
                self.equivocate();
                tell(answer, Ok(()));
            }
        }
    }

    /// Adds a block, unless what it is over was cut or taken back since: then the next is made over what there is.
    async fn seal(&mut self, block: CertifiedBlock, note: &str) -> Result<(), StoreError> {
        let last = self.log.heads().block;
        let root = read(&self.log.tree).root_at(block.block.size.0);
        if root != Some(block.block.root) || !block.block.follows(last.as_ref().map(|last| &last.block)) {
            return Ok(());
        }
        self.store.add_block(&block, note).await?;
        self.log.show(|heads| heads.block = Some(block));
        self.faults.reach(DyingPoint::AfterPublish);
        Ok(())
    }

    fn head(&self, size: u64, root: Digest) -> Head {
        let head = Checkpoint { origin: log_name(&self.keys.log()), size, root };
        Head { size, root, note: self.keys.sign(&head) }
    }

    async fn rollback(&mut self, size: u64) -> Result<(), StoreError> {
        let heads = self.log.heads();
        let size = size.min(heads.latest.size);
        let roots = |size| read(&self.log.tree).root_at(size).unwrap_or_else(|| Digest::of(b""));
        let latest = self.head(size, roots(size));
        let published = if self.at_once {
            latest.clone()
        } else {
            // What a copy of the folder from then would show: the last head that witnesses had cosigned.
            match self.store.block_note(size).await? {
                Some((size, note)) => Head { size, root: roots(size), note },
                None => self.head(0, roots(0)),
            }
        };
        self.store.cut(size, &latest.note, &published.note).await?;
        write(&self.log.tree).truncate(size);
        let tree = read(&self.log.tree).clone();
        let block = self.store.take_back(0, &tree).await?;
        self.log.show(|heads| {
            heads.latest = latest;
            heads.published = published;
            heads.block = block;
        });
        Ok(())
    }

    async fn reorg(&mut self, depth: u64) -> Result<(), StoreError> {
        let tree = read(&self.log.tree).clone();
        let block = self.store.take_back(depth, &tree).await?;
        self.log.show(|heads| heads.block = block);
        Ok(())
    }

    /// The same number of entries, the last of them another: two heads that no tree has both.
    fn equivocate(&self) {
        let shown = self.log.heads().published;
        let mut other = read(&self.log.tree).clone();
        other.truncate(shown.size.saturating_sub(1));
        other.push(leaf_hash(b"another history"));
        let forged = self.head(other.size(), other.root());
        self.log.show(|heads| heads.forged = Some(forged));
    }
}

fn answer_of(admitted: &Admitted, fate: Fate) -> Result<Acknowledgement, LedgerError> {
    let (receipt, nullifier) = (admitted.entry.receipt, admitted.entry.nullifier);
    let at = |index, known| Ok(Acknowledgement { receipt, nullifier, index: Decimal(index), known });
    match fate {
        Fate::New(index) => at(index, false),
        Fate::Known(index) => at(index, true),
        Fate::Conflict(credited) => Err(LedgerError::Conflict { nullifier, credited }),
    }
}

/// Who asked may be gone; what was done stays done.
fn tell<T>(answer: oneshot::Sender<T>, value: T) {
    drop(answer.send(value));
}
