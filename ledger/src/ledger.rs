//! The ledger as it is asked: remote procedures and the static paths of tlog-tiles.
//!
//! **Invariant:** what is answered is bounded by what is durable: no proof, tile or status goes beyond a stored head.
//! **Invariant:** a receipt reaches the writer only through [`admit`].

use std::{sync::Arc, time::Duration};

use hyper::{Method, StatusCode};
use receipts::{
    Digest, PublicKey,
    integer::Decimal,
    ledger::{
        entry::{BenefitClass, counts},
        rpc::{
            Acknowledgement, AtHeight, Between, Call, Consistency, Counts, Credited, Fault, Heads as ShownHeads, Info,
            LedgerError, MOST_IN_BATCH, MOST_WAIT_MS, Proof, ProofAt, ProtocolFault, Request, Status, Submitted,
            WatchFrom, answer,
        },
        submission::{Admission, Admitted, Submission, admit},
        tile::{Content, Tile, bundle},
    },
    tlog_proof::TlogProof,
};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::{
    faults::{AnswerFault, Faults},
    heads::{Log, read},
    http::{Answer, Asked, Site},
    memory::Delegations,
    store::{Found, Reader, StoreError},
    writer::Order,
};

/// Receipts that may be in work at once; further ones are told to come again.
const MOST_IN_WORK: usize = 16 * MOST_IN_BATCH;
/// When those should come again.
const RETRY_AFTER_MS: u64 = 200;
/// Requests in one JSON-RPC batch; receipts have `submit_batch`.
const MOST_REQUESTS: usize = 64;

/// What does not change while a ledger runs.
#[derive(Clone, Debug)]
pub struct Constants {
    /// The ledger network.
    pub network: Digest,
    /// Whose receipts are taken.
    pub admission: Admission,
    /// Origin of the log.
    pub origin: String,
    /// Verifier key of the log.
    pub vkey: String,
    /// Who certifies blocks.
    pub validators: Vec<PublicKey>,
    /// How many of them it takes.
    pub quorum: usize,
    /// Verifier keys of the witnesses.
    pub witnesses: Vec<String>,
    /// How many of them it takes.
    pub witness_quorum: usize,
    /// Whether faults may be asked for.
    pub faulty: bool,
}

/// A ledger that answers.
pub struct Ledger {
    constants: Arc<Constants>,
    log: Arc<Log>,
    reader: Reader,
    orders: mpsc::Sender<Order>,
    faults: Arc<Faults>,
    memory: Arc<Delegations>,
    in_work: Semaphore,
    /// Tasks over which a batch is spread.
    hands: usize,
}

fn from_store(error: StoreError) -> LedgerError {
    LedgerError::Transient { reason: error.to_string() }
}

fn absent(what: impl Into<String>) -> LedgerError {
    LedgerError::Absent { what: what.into() }
}

fn stopping() -> LedgerError {
    LedgerError::Transient { reason: "the ledger is stopping".to_owned() }
}

fn parameters(reason: String) -> LedgerError {
    LedgerError::Protocol { fault: ProtocolFault::Parameters, reason }
}

impl Ledger {
    /// A ledger over its parts.
    pub fn new(
        constants: Constants,
        log: Arc<Log>,
        reader: Reader,
        orders: mpsc::Sender<Order>,
        faults: Arc<Faults>,
    ) -> Self {
        Self {
            constants: Arc::new(constants),
            log,
            reader,
            orders,
            faults,
            memory: Arc::default(),
            in_work: Semaphore::new(MOST_IN_WORK),
            hands: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        }
    }

    /// Checks and stores a batch; one answer for each receipt, in order.
    ///
    /// # Errors
    /// [`LedgerError::Busy`], or [`LedgerError::Transient`] when the ledger stops.
    pub async fn submit(&self, batch: Vec<Submission>) -> Result<Vec<Submitted>, LedgerError> {
        let many = u32::try_from(batch.len()).unwrap_or(u32::MAX);
        let busy = |_none| LedgerError::Busy { retry_after_ms: RETRY_AFTER_MS };
        let _permit = self.in_work.try_acquire_many(many).map_err(busy)?;
        let mut answers: Vec<Option<Submitted>> = Vec::new();
        let (mut admitted, mut places) = (Vec::new(), Vec::new());
        for (place, checked) in self.check(batch).await?.into_iter().enumerate() {
            match checked {
                Ok(one) => {
                    admitted.push(one);
                    places.push(place);
                    answers.push(None);
                }
                Err(error) => answers.push(Some(Submitted::Error(error))),
            }
        }
        if !admitted.is_empty() {
            let (sender, told) = oneshot::channel();
            self.orders.send(Order::Append(admitted, sender)).await.map_err(|_stopped| stopping())?;
            for (place, told) in places.into_iter().zip(told.await.map_err(|_stopped| stopping())?) {
                answers[place] = Some(match told {
                    Ok(acknowledged) => Submitted::Acknowledged(acknowledged),
                    Err(error) => Submitted::Error(error),
                });
            }
        }
        // The writer answers for each; had it not, the receipt's fate would be unknown.
        Ok(answers.into_iter().map(|answer| answer.unwrap_or_else(|| Submitted::Error(stopping()))).collect())
    }

    /// Signatures cost the most: a batch is spread over the processors.
    async fn check(&self, mut batch: Vec<Submission>) -> Result<Vec<Result<Admitted, LedgerError>>, LedgerError> {
        let piece = batch.len().div_ceil(self.hands).max(1);
        let mut tasks = Vec::new();
        while !batch.is_empty() {
            let rest = batch.split_off(piece.min(batch.len()));
            let work = std::mem::replace(&mut batch, rest);
            let (constants, memory) = (Arc::clone(&self.constants), Arc::clone(&self.memory));
            tasks.push(tokio::task::spawn_blocking(move || {
                let open = |bytes: &[u8]| memory.open(bytes);
                let check = |submission| admit(submission, &constants.network, &constants.admission, &open);
                work.into_iter().map(check).collect::<Vec<_>>()
            }));
        }
        let mut checked = Vec::new();
        for task in tasks {
            checked.extend(task.await.map_err(|_panicked| stopping())?);
        }
        Ok(checked)
    }

    async fn call(&self, call: Call) -> Result<Value, LedgerError> {
        Ok(match call {
            Call::Info => json!(self.info()),
            Call::Submit(submission) => match self.submit(vec![*submission]).await?.pop() {
                Some(Submitted::Acknowledged(acknowledged)) => json!(acknowledged),
                Some(Submitted::Error(error)) => return Err(error),
                None => return Err(stopping()),
            },
            Call::SubmitBatch(batch) if batch.submissions.len() > MOST_IN_BATCH => {
                return Err(parameters(format!("a batch has at most {MOST_IN_BATCH} submissions")));
            }
            Call::SubmitBatch(batch) => json!(self.submit(batch.submissions).await?),
            Call::Status(of) => json!(self.status(&of.receipt).await?),
            Call::Proof(at) => json!(self.proof(&at).await?),
            Call::Checkpoint => json!(self.heads()),
            Call::Consistency(between) => json!(self.consistency(&between)?),
            Call::ByNullifier(of) => json!(self.by_nullifier(&of.nullifier).await?),
            Call::Watch(from) => json!(self.watch(&from).await),
            Call::Block(at) => json!(self.block(&at).await?),
            Call::Counts => json!(self.counts().await?),
            Call::Fault(_) if !self.constants.faulty => {
                let reason = "faults are off; start the ledger with --faults".to_owned();
                return Err(LedgerError::Protocol { fault: ProtocolFault::Method, reason });
            }
            Call::Fault(fault) => {
                self.fault(fault).await?;
                json!({})
            }
        })
    }

    fn info(&self) -> Info {
        let (constants, heads) = (&self.constants, self.log.heads());
        Info {
            program: concat!("ii-ledger ", env!("CARGO_PKG_VERSION")).to_owned(),
            network: constants.network,
            origin: constants.origin.clone(),
            vkey: constants.vkey.clone(),
            validators: constants.validators.clone(),
            quorum: Decimal(constants.quorum as u64),
            witnesses: constants.witnesses.clone(),
            witness_quorum: Decimal(constants.witness_quorum as u64),
            size: Decimal(heads.shown().size),
            height: Decimal(heads.height()),
            open: matches!(constants.admission, Admission::Open),
            faults: constants.faulty,
        }
    }

    fn heads(&self) -> ShownHeads {
        let heads = self.log.heads();
        ShownHeads {
            checkpoint: heads.shown().note.clone(),
            latest: heads.latest.note.clone(),
            height: Decimal(heads.height()),
        }
    }

    async fn status(&self, receipt: &Digest) -> Result<Status, LedgerError> {
        // Heads first: what is stored later than they are shown is only further on.
        let heads = self.log.heads();
        let index = match self.reader.receipt(receipt).await.map_err(from_store)? {
            None => return Ok(Status::Unknown),
            Some(Found::Conflict(nullifier, credited)) => return Ok(Status::Conflict { nullifier, credited }),
            // Committed, and not shown yet: whoever handed it in has no answer either.
            Some(Found::Entry(index, _)) if index >= heads.latest.size => return Ok(Status::Unknown),
            Some(Found::Entry(index, _)) => index,
        };
        let sealed = heads.block.as_ref().is_some_and(|block| index < block.block.size.0);
        let height = if sealed { self.reader.height_of(index).await.map_err(from_store)? } else { None };
        Ok(match height {
            Some(height) => Status::Final { index: Decimal(index), height: Decimal(height) },
            None if index < heads.published.size => {
                Status::Included { index: Decimal(index), size: Decimal(heads.published.size) }
            }
            None => Status::Acknowledged { index: Decimal(index) },
        })
    }

    async fn proof(&self, at: &ProofAt) -> Result<Proof, LedgerError> {
        let heads = self.log.heads();
        let (size, checkpoint, block) = match at.height {
            None => (heads.shown().size, heads.shown().note.clone(), None),
            Some(Decimal(height)) => {
                let (block, note) = self.stored_block(height).await?;
                (block.block.size.0, note, Some(block))
            }
        };
        let Some(Found::Entry(index, entry)) = self.reader.receipt(&at.receipt).await.map_err(from_store)? else {
            return Err(absent(format!("receipt {}", at.receipt)));
        };
        let hashes = read(&self.log.tree).inclusion_at(index, size);
        let hashes = hashes.ok_or_else(|| absent(format!("receipt {} under a head of size {size}", at.receipt)))?;
        let proof = TlogProof { extra: None, index, hashes, checkpoint };
        let entry = entry.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Proof { entry, proof: proof.to_text(), block })
    }

    fn consistency(&self, between: &Between) -> Result<Consistency, LedgerError> {
        let heads = self.log.heads();
        let new = between.new.map_or(heads.shown().size, |new| new.0);
        let known = new <= heads.latest.size.max(heads.shown().size);
        let hashes = read(&self.log.tree).consistency_between(between.old.0, new).filter(|_| known);
        let hashes = hashes.ok_or_else(|| absent(format!("a proof from size {} to {new}", between.old.0)))?;
        Ok(Consistency { new: Decimal(new), hashes })
    }

    async fn by_nullifier(&self, nullifier: &Digest) -> Result<Credited, LedgerError> {
        let found = self.reader.nullifier(nullifier).await.map_err(from_store)?;
        let credited = found.credited.map(|(index, entry)| Acknowledgement {
            receipt: entry.receipt,
            nullifier: entry.nullifier,
            index: Decimal(index),
            known: true,
        });
        Ok(Credited { credited, receipts: found.files })
    }

    async fn watch(&self, from: &WatchFrom) -> ShownHeads {
        let mut heads = self.log.follow();
        let wait = Duration::from_millis(from.wait_ms.0.min(MOST_WAIT_MS));
        let larger = heads.wait_for(|heads| heads.shown().size > from.size.0);
        // Not larger in time is an answer too: the head as it is.
        let _larger = tokio::time::timeout(wait, larger).await.is_ok();
        self.heads()
    }

    async fn stored_block(
        &self,
        height: u64,
    ) -> Result<(receipts::ledger::block::CertifiedBlock, String), LedgerError> {
        let block = self.reader.block(height).await.map_err(from_store)?;
        block.ok_or_else(|| absent(format!("block {height}")))
    }

    async fn block(&self, at: &AtHeight) -> Result<receipts::ledger::block::CertifiedBlock, LedgerError> {
        match at.height {
            Some(Decimal(height)) => self.stored_block(height).await.map(|(block, _note)| block),
            None => self.log.heads().block.ok_or_else(|| absent("a block")),
        }
    }

    async fn counts(&self) -> Result<Counts, LedgerError> {
        let (found, conflicts) = self.reader.counts().await.map_err(from_store)?;
        let of = |class: BenefitClass| found.iter().find(|(one, _)| *one == class).map_or(0, |(_, count)| *count);
        let size = found.iter().map(|(_, count)| count).sum();
        Ok(Counts { size: Decimal(size), classes: counts(of), conflicts: Decimal(conflicts) })
    }

    async fn fault(&self, fault: Fault) -> Result<(), LedgerError> {
        match fault {
            Fault::DropAnswers { count } => self.faults.drop_answers(count.0),
            Fault::Delay { count, ms } => self.faults.delay(count.0, ms.0),
            Fault::Clock { seconds } => {
                let wrong = |_number| parameters(format!("`{seconds}` is no number of seconds"));
                self.faults.clock(seconds.parse().map_err(wrong)?);
            }
            Fault::Die { point } => self.faults.die(point),
            Fault::Heal => {
                self.faults.heal();
                self.log.show(|heads| heads.forged = None);
            }
            Fault::Equivocate => return self.order(Order::Equivocate).await,
            Fault::Rollback { size } => return self.order(|answer| Order::Rollback(size.0, answer)).await,
            Fault::Reorg { depth } => return self.order(|answer| Order::Reorg(depth.0, answer)).await,
        }
        Ok(())
    }

    async fn order(
        &self,
        order: impl FnOnce(oneshot::Sender<Result<(), StoreError>>) -> Order,
    ) -> Result<(), LedgerError> {
        let (sender, done) = oneshot::channel();
        self.orders.send(order(sender)).await.map_err(|_stopped| stopping())?;
        done.await.map_err(|_stopped| stopping())?.map_err(from_store)
    }

    /// One request; `None` for a notification, which has no answer.
    async fn one(&self, value: Value) -> Option<Value> {
        match Request::read(value) {
            Ok(Request { id, call }) => {
                let result = self.call(call).await;
                id.map(|id| answer(&id, result))
            }
            Err((id, error)) => Some(answer(&id, Err(error))),
        }
    }

    async fn rpc(&self, body: &[u8]) -> Answer {
        let read = serde_json::from_slice(body);
        // Requests for faults are answered in any case: they are how a test gets a ledger back.
        let spared = read.as_ref().is_ok_and(|value: &Value| value["method"] == "fault");
        let fate = if spared { AnswerFault::None } else { self.faults.next_answer() };
        let answered = match read {
            Err(error) => {
                let fault = LedgerError::Protocol { fault: ProtocolFault::Parse, reason: error.to_string() };
                Some(answer(&Value::Null, Err(fault)))
            }
            Ok(Value::Array(requests)) if requests.is_empty() || requests.len() > MOST_REQUESTS => {
                let reason = format!("a JSON-RPC batch has 1 to {MOST_REQUESTS} requests");
                let fault = LedgerError::Protocol { fault: ProtocolFault::Request, reason };
                Some(answer(&Value::Null, Err(fault)))
            }
            Ok(Value::Array(requests)) => {
                let mut answers = Vec::new();
                for request in requests {
                    answers.extend(self.one(request).await);
                }
                (!answers.is_empty()).then_some(Value::Array(answers))
            }
            Ok(request) => self.one(request).await,
        };
        match fate {
            AnswerFault::None => {}
            AnswerFault::Late(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
            AnswerFault::Dropped => return Answer::Silence,
        }
        match answered {
            Some(value) => Answer::Content {
                status: StatusCode::OK,
                content: "application/json",
                body: value.to_string().into_bytes(),
            },
            None => Answer::Content { status: StatusCode::NO_CONTENT, content: "application/json", body: Vec::new() },
        }
    }

    async fn tile(&self, path: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(tile) = Tile::parse(path) else { return Ok(None) };
        let size = self.log.heads().latest.size;
        // Leaves behind the tile's last: what is not under a stored head is not shown.
        let leaves = |level: u32| 1_u64.checked_shl(level.saturating_mul(8)).unwrap_or(u64::MAX);
        let Some((start, end)) = tile.range() else { return Ok(None) };
        match tile.content {
            Content::Hashes { level } => {
                let there = end.checked_mul(leaves(level)).is_some_and(|end| end <= size);
                Ok(if there { tile.hashes(&read(&self.log.tree)) } else { None })
            }
            Content::Entries if end <= size => {
                let entries = self.reader.entries(start, end).await?;
                let whole = entries.len() as u64 == end - start;
                Ok(if whole { bundle(entries.iter().map(Vec::as_slice)) } else { None })
            }
            Content::Entries => Ok(None),
        }
    }

    async fn get(&self, path: &str) -> Answer {
        let content = |content, body| Answer::Content { status: StatusCode::OK, content, body };
        let path = path.strip_prefix('/').unwrap_or(path);
        if path == "checkpoint" {
            return content("text/plain; charset=utf-8", self.log.heads().shown().note.clone().into_bytes());
        }
        let found = if let Some(height) = path.strip_prefix("block/") {
            let Some(height) = receipts::integer::parse(height) else {
                return Answer::text(StatusCode::NOT_FOUND, "a height is a decimal number");
            };
            let found = self.reader.block(height).await;
            found.map(|found| found.map(|(block, _note)| ("application/json", json!(block).to_string().into_bytes())))
        } else {
            self.tile(path).await.map(|found| found.map(|bytes| ("application/octet-stream", bytes)))
        };
        match found {
            Ok(Some((kind, body))) => content(kind, body),
            Ok(None) => Answer::text(StatusCode::NOT_FOUND, &format!("there is no /{path} here")),
            Err(error) => Answer::text(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
        }
    }
}

impl Site for Ledger {
    async fn answer(&self, asked: Asked) -> Answer {
        match asked.method {
            Method::POST if asked.path == "/" => self.rpc(&asked.body).await,
            Method::GET => self.get(&asked.path).await,
            _other => Answer::text(
                StatusCode::METHOD_NOT_ALLOWED,
                "POST / for JSON-RPC, GET for checkpoint, tiles and blocks",
            ),
        }
    }
}
