//! Following a ledger's heads and blocks, and proving where receipts lie under them.
//!
//! **Invariant:** a head or block that contradicts one taken before is kept as evidence and never taken.
//! **Invariant:** a receipt is included or final by a proof that was checked here, under what was taken.

use receipts::{
    Digest,
    checkpoint::Checkpoint,
    integer::Decimal,
    ledger::{
        block::CertifiedBlock,
        outbox::State,
        rpc::{AtHeight, Between, Call, Consistency, Heads, LedgerError, OfReceipt, Proof, ProofAt, Status},
        trusted::{BlockError, Expected, HeadError, goes_on},
    },
};

use super::{
    AskError, Contradiction, PublishError,
    log::{AT_ONCE, LogPublisher, Taken},
};
use crate::journal::{OutboxChange, OutboxRow};

impl LogPublisher {
    /// Takes the ledger's head, then its last block, where they have grown.
    pub(super) async fn follow(&mut self) -> Result<(), PublishError> {
        let heads: Heads = self.client.ask(&Call::Checkpoint).await?;
        self.take_head(heads.checkpoint).await?;
        self.take_block(heads.height.0).await
    }

    async fn take_head(&mut self, note: String) -> Result<(), PublishError> {
        let next = self.pinned.ledger.open(&note)?;
        if self.head.as_ref().is_some_and(|taken| taken.head == next) {
            return Ok(());
        }
        let hashes = self.between(self.head.as_ref().map(|taken| &taken.head), &next).await?;
        let last = self.head.as_ref();
        match goes_on(last.map(|taken| &taken.head), &next, &hashes) {
            Ok(()) => {}
            Err(error @ HeadError::Forked { .. }) => {
                let one = last.map(|taken| taken.note.clone()).unwrap_or_default();
                self.contradicts(Contradiction::Heads { one, other: note }).await?;
                return Err(error.into());
            }
            Err(error) => return Err(error.into()),
        }
        self.change(OutboxChange { head: Some(note.clone()), ..OutboxChange::default() }).await?;
        self.head = Some(Taken { head: next, note });
        Ok(())
    }

    /// The proof that one head is a beginning of the other; none where none is needed or there can be none.
    async fn between(&self, old: Option<&Checkpoint>, new: &Checkpoint) -> Result<Vec<Digest>, PublishError> {
        let Some(old) = old.filter(|old| old.size > 0 && old.size < new.size) else { return Ok(Vec::new()) };
        let between = Between { old: Decimal(old.size), new: Some(Decimal(new.size)) };
        let found: Consistency = self.client.ask(&Call::Consistency(between)).await?;
        Ok(found.hashes)
    }

    async fn take_block(&mut self, height: u64) -> Result<(), PublishError> {
        if height == 0 && self.block.is_none() {
            return Ok(());
        }
        if let Some(last) = self.block.clone() {
            let known = last.block.height.0;
            // The last one taken must still be there before a later one counts.
            let there = if height < known { None } else { self.block_at(known).await? };
            match there {
                None => return self.undo(None).await,
                Some(there) => match self.pinned.ledger.check_block(Some(&last), &there, &self.pinned.network) {
                    Ok(()) => {}
                    Err(error @ BlockError::Forked { .. }) => {
                        self.contradicts(Contradiction::Blocks { one: Box::new(last), other: Box::new(there) }).await?;
                        self.undo(Some(error)).await?;
                    }
                    Err(error) => return Err(error.into()),
                },
            }
            if height == known {
                return Ok(());
            }
        }
        let Some(next) = self.block_at(height).await? else { return Ok(()) };
        self.pinned.ledger.check_block(self.block.as_ref(), &next, &self.pinned.network)?;
        let Some(taken) = &self.head else { return Ok(()) };
        let under = Checkpoint { size: next.block.size.0, root: next.block.root, ..taken.head.clone() };
        if under.size > taken.head.size {
            // It came after the head: the next turn has both.
            return Ok(());
        }
        let hashes = self.between(Some(&under), &taken.head).await?;
        goes_on(Some(&under), &taken.head, &hashes)?;
        let body = serde_json::to_vec(&next).map_err(PublishError::Record)?;
        self.change(OutboxChange { block: Some(body), ..OutboxChange::default() }).await?;
        self.block = Some(next);
        Ok(())
    }

    async fn block_at(&self, height: u64) -> Result<Option<CertifiedBlock>, PublishError> {
        match self.client.ask(&Call::Block(AtHeight { height: Some(Decimal(height)) })).await {
            Ok(block) => Ok(Some(block)),
            Err(AskError::Ledger(LedgerError::Absent { .. })) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn contradicts(&self, found: Contradiction) -> Result<(), PublishError> {
        let body = serde_json::to_vec(&found).map_err(PublishError::Record)?;
        self.change(OutboxChange { contradiction: Some(body), ..OutboxChange::default() }).await
    }

    /// The last block taken is no longer there: what was final under blocks that are gone goes back to included.
    async fn undo(&mut self, error: Option<BlockError>) -> Result<(), PublishError> {
        let mut from = 1;
        let mut last = None;
        for row in self.desk.journal.reader().finals().await? {
            let State::Final { height, .. } = row.state else { continue };
            if last == Some(height) {
                continue;
            }
            last = Some(height);
            let Some(block) =
                row.evidence.as_deref().and_then(|bytes| serde_json::from_slice::<Proof>(bytes).ok()?.block)
            else {
                continue;
            };
            // Blocks hang together: where one is still there, so are all before it.
            if self.block_at(height.0).await?.is_some_and(|there| there.block.id() == block.block.id()) {
                from = height.0 + 1;
                break;
            }
        }
        self.change(OutboxChange { undone_from: Some(from), ..OutboxChange::default() }).await?;
        self.block = None;
        error.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Proves what lies under the head and block that were taken; gives how many receipts came further.
    pub(super) async fn prove(&mut self) -> Result<u64, PublishError> {
        let mut proved = 0;
        loop {
            let Some(taken) = self.head.clone() else { return Ok(proved) };
            let block = self.block.as_ref().map_or(0, |block| block.block.size.0);
            let rows = self.desk.journal.reader().provable(taken.head.size, block, AT_ONCE.into()).await?;
            let at = |row: &OutboxRow| self.block.as_ref().filter(|block| index_of(row) < block.block.size.0);
            let call = |row: &OutboxRow| {
                let height = at(row).map(|block| block.block.height);
                Call::Proof(ProofAt { receipt: row.receipt_id, height })
            };
            let calls: Vec<Call> = rows.iter().map(call).collect();
            let proofs = self.client.ask_all::<Proof>(&calls).await?;
            let mut states = Vec::with_capacity(rows.len());
            for (row, proof) in rows.iter().zip(proofs) {
                let state = match proof {
                    Ok(proof) => self.placed(row, &proof, &taken)?,
                    Err(LedgerError::Absent { .. }) => self.lost(row).await?,
                    Err(error) => return Err(AskError::Ledger(error).into()),
                };
                states.extend(state.map(|(state, evidence)| (row.receipt_id, state, evidence)));
            }
            let moved = states.len() as u64;
            self.change(OutboxChange { states, ..OutboxChange::default() }).await?;
            proved += moved;
            if moved == 0 {
                return Ok(proved);
            }
        }
    }

    /// What a proof shows; none when its head is not the one that was taken, for the next turn takes that.
    fn placed(&self, row: &OutboxRow, proof: &Proof, taken: &Taken) -> Result<Option<Change>, PublishError> {
        let of = Expected { receipt: row.receipt_id, nullifier: row.nullifier };
        let placed = self
            .pinned
            .ledger
            .open_proof(proof, &of)
            .map_err(|error| PublishError::Answer { what: format!("receipt {}: {error}", row.receipt_id) })?;
        let (index, head) = (Decimal(placed.index), placed.head);
        let state = match (&proof.block, &self.block) {
            (Some(shown), Some(block)) if shown.block.id() == block.block.id() => {
                let under = (head.size, head.root) == (block.block.size.0, block.block.root);
                under.then_some(State::Final { index, height: block.block.height })
            }
            (Some(_), _) => None,
            (None, _) => (head == taken.head).then_some(State::Included { index, size: Decimal(head.size) }),
        };
        let evidence = serde_json::to_vec(proof).map_err(PublishError::Record)?;
        Ok(state.filter(|state| *state != row.state).map(|state| (state, Some(evidence))))
    }

    /// A receipt that the ledger said it had and no longer proves: where it does not know it, it is handed in again.
    async fn lost(&self, row: &OutboxRow) -> Result<Option<Change>, PublishError> {
        let status: Status = self.client.ask(&Call::Status(OfReceipt { receipt: row.receipt_id })).await?;
        Ok(match status {
            Status::Unknown => Some((State::Queued, None)),
            Status::Conflict { credited, .. } => Some((State::Conflict { credited }, None)),
            Status::Acknowledged { .. } | Status::Included { .. } | Status::Final { .. } => None,
        })
    }
}

/// A new state and what shows it.
type Change = (State, Option<Vec<u8>>);

fn index_of(row: &OutboxRow) -> u64 {
    match &row.state {
        State::Acknowledged { index } | State::Included { index, .. } | State::Final { index, .. } => index.0,
        State::Queued
        | State::InFlight { .. }
        | State::Mined { .. }
        | State::Buried { .. }
        | State::Refused { .. }
        | State::Conflict { .. } => u64::MAX,
    }
}
