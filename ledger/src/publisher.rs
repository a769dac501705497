//! The task that shows what is stored: it asks witnesses to cosign the latest head, and puts blocks over published heads.
//!
//! **Invariant:** a head is published only with as many cosignatures as are wanted, each checked here.
//! **Invariant:** a block is certified only over a published head, and follows the block before it.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use receipts::{
    Digest,
    cosignature::Cosigner,
    integer::{self, Decimal},
    ledger::{block::Block, rpc::DyingPoint},
    witness::AddCheckpoint,
};
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    ask,
    faults::Faults,
    heads::{Head, Heads, Log, read},
    keys::LedgerKeys,
    writer::Order,
};

/// How long a witness may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A witness to ask.
#[derive(Clone, Debug)]
pub struct Witness {
    /// The prefix of its addresses.
    pub url: String,
    /// Its name and key.
    pub cosigner: Cosigner,
}

/// What a publisher needs.
pub struct Publisher {
    /// The ledger network.
    pub network: Digest,
    /// Tree and heads.
    pub log: Arc<Log>,
    /// The keys of validators.
    pub keys: Arc<LedgerKeys>,
    /// The clock, and where to die.
    pub faults: Arc<Faults>,
    /// Orders to the writer.
    pub orders: mpsc::Sender<Order>,
    /// Whom to ask.
    pub witnesses: Vec<Witness>,
    /// How many must cosign.
    pub quorum: usize,
    /// The time between blocks, when there is something new.
    pub interval: Duration,
}

/// What the publisher remembers of a witness.
struct Asked {
    witness: Witness,
    /// The size that it cosigned last, as far as we know.
    size: u64,
    /// What it said when it last refused, so that each refusal is told once.
    refused: Option<String>,
}

impl Publisher {
    /// Works until `stop` changes.
    pub async fn work(self, mut stop: watch::Receiver<bool>) {
        let remembered = |witness: &Witness| Asked { witness: witness.clone(), size: 0, refused: None };
        let mut asked: Vec<Asked> = self.witnesses.iter().map(remembered).collect();
        let mut beat = tokio::time::interval(self.interval);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _beat = beat.tick() => {}
                _stopped = stop.changed() => return,
            }
            // A witness that is slow must not keep the program from ending.
            tokio::select! {
                () = self.turn(&mut asked) => {}
                _stopped = stop.changed() => return,
            }
        }
    }

    async fn turn(&self, asked: &mut [Asked]) {
        let heads = self.log.heads();
        let next = heads.forged.clone().unwrap_or_else(|| heads.latest.clone());
        if !asked.is_empty() && next.size > 0 && next.root != heads.published.root {
            self.cosign(&heads, next, asked).await;
        }
        self.seal().await;
    }

    async fn cosign(&self, heads: &Heads, head: Head, asked: &mut [Asked]) {
        let lines = join_all(asked.iter_mut().map(|witness| self.ask(witness, &head))).await;
        let lines: Vec<String> = lines.into_iter().flatten().collect();
        // What was forged is shown to witnesses to see whether they sign it, and is never kept.
        if lines.len() < self.quorum || heads.forged.is_some() {
            return;
        }
        self.faults.reach(DyingPoint::BeforePublish);
        let published = Head { note: format!("{}{}", head.note, lines.concat()), ..head };
        self.order(|answer| Order::Publish(published, answer)).await;
    }

    /// The witness's line for a head. It is asked twice at most: the second time from the size it said it has.
    async fn ask(&self, asked: &mut Asked, head: &Head) -> Option<String> {
        let (body, _signature) = head.note.split_once("\n\n")?;
        let body = format!("{body}\n");
        let url = format!("{}/add-checkpoint", asked.witness.url.trim_end_matches('/'));
        for _turn in 0..2 {
            let proof = read(&self.log.tree).consistency_between(asked.size, head.size).unwrap_or_default();
            let request = AddCheckpoint { old: asked.size, proof, note: head.note.clone() };
            let answer = match ask::post(&url, "text/plain; charset=utf-8", request.to_text(), PATIENCE).await {
                Ok(answer) => answer,
                Err(error) => {
                    asked.refuse(error.to_string());
                    return None;
                }
            };
            let text = String::from_utf8_lossy(&answer.body);
            match answer.status {
                200 => {
                    let line = asked.witness.cosigner.own_lines(&body, &text);
                    match &line {
                        Some(_) => {
                            asked.size = head.size;
                            asked.refused = None;
                        }
                        None => asked.refuse("its cosignature does not verify".to_owned()),
                    }
                    return line;
                }
                409 => match integer::parse(text.trim_end_matches('\n')) {
                    Some(size) if size <= head.size && size != asked.size => asked.size = size,
                    Some(size) => {
                        asked.refuse(format!("it has another head of size {size}; ours is of size {}", head.size));
                        return None;
                    }
                    None => {
                        asked.refuse("its conflict names no size".to_owned());
                        return None;
                    }
                },
                status => {
                    asked.refuse(format!("status {status}: {}", first_words(&text)));
                    return None;
                }
            }
        }
        asked.refuse("it changes its mind about the size that it has".to_owned());
        None
    }

    /// Puts a block over the published head, when that has grown.
    async fn seal(&self) {
        let heads = self.log.heads();
        let last = heads.block.as_ref().map(|block| &block.block);
        if heads.published.size <= last.map_or(0, |last| last.size.0) {
            return;
        }
        let block = Block {
            network: self.network,
            height: Decimal(heads.height() + 1),
            previous: last.map_or(Digest([0; 32]), Block::id),
            size: Decimal(heads.published.size),
            root: heads.published.root,
            time: Decimal(self.faults.now_ms()),
        };
        let certified = self.keys.certify(block);
        self.order(|answer| Order::Seal(certified, heads.published.note, answer)).await;
    }

    async fn order(&self, order: impl FnOnce(oneshot::Sender<Result<(), crate::store::StoreError>>) -> Order) {
        let (sender, answer) = oneshot::channel();
        if self.orders.send(order(sender)).await.is_err() {
            return;
        }
        // The writer is gone when the answer is lost, and the program ends then.
        if let Ok(Err(error)) = answer.await {
            eprintln!("ii-ledger: nothing published: {error}");
        }
    }
}

/// What a person is shown of another's words: one short line without control characters.
fn first_words(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().filter(|letter| !letter.is_control()).take(160).collect()
}

impl Asked {
    fn refuse(&mut self, reason: String) {
        if self.refused.as_ref() != Some(&reason) {
            eprintln!("ii-ledger: witness {} at {}: {reason}", self.witness.cosigner.name, self.witness.url);
            self.refused = Some(reason);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::first_words;

    #[test]
    fn a_witness_writes_no_more_than_a_line_to_our_terminal() {
        assert_eq!(first_words("no\u{1b}[2J such\nlog"), "no[2J such");
        assert_eq!(first_words(&"x".repeat(1000)).len(), 160);
        assert_eq!(first_words(""), "");
    }
}
