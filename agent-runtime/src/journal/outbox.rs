//! Receipts on their way to a ledger: where each stands, what was pinned of the ledger, what it said that contradicts itself.
//!
//! **Invariant:** what one answer of a ledger changes becomes durable together: states, proofs, the head and block they lie
//! under.
//! **Invariant:** no receipt leaves the outbox; it only changes its state.

use common_ground::{ModuleId, RunId};
use receipts::{Digest, ledger::outbox::State};
use sqlx::{
    Row,
    sqlite::{SqliteConnection, SqliteRow},
};

use super::{
    append::{digest, uuid},
    error::JournalError,
    read::Reader,
    row::IngestRow,
    schema,
};

/// A receipt to hand in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Its id.
    pub receipt_id: Digest,
    /// Its nullifier.
    pub nullifier: Digest,
    /// The bundle, as the program encodes it.
    pub bundle: Vec<u8>,
}

/// What a receipt is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReceiptOf {
    /// An accepted module.
    Module {
        /// The run, which may be deleted since.
        run: RunId,
        /// The module.
        module: ModuleId,
    },
    /// An ingest.
    Ingest {
        /// The collection's name.
        collection: String,
        /// The revision that it led to.
        revision: u64,
    },
}

impl ReceiptOf {
    /// The module; none for an ingest.
    pub fn module(&self) -> Option<ModuleId> {
        match self {
            Self::Module { module, .. } => Some(*module),
            Self::Ingest { .. } => None,
        }
    }
}

/// Where a receipt is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// What it is of.
    pub of: ReceiptOf,
    /// Its id.
    pub receipt_id: Digest,
    /// Its nullifier.
    pub nullifier: Digest,
    /// Where it is.
    pub state: State,
    /// Since when, in milliseconds since the Unix epoch; none for one that never moved.
    pub changed_ms: Option<u64>,
    /// The ledger's proof of it, as JSON.
    pub evidence: Option<Vec<u8>>,
}

/// How many receipts are in each state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutboxCounts {
    /// To be handed in.
    pub queued: u64,
    /// In the ledger by its own word, or on their way to a block.
    pub acknowledged: u64,
    /// Under a head, or in a block of a chain.
    pub logged: u64,
    /// Under a certified block, or deep in a chain.
    pub credited: u64,
    /// Not taken.
    pub refused: u64,
    /// Credited to another receipt.
    pub conflict: u64,
}

impl OutboxCounts {
    /// Those whose way is not at its end.
    pub fn under_way(&self) -> u64 {
        self.queued + self.acknowledged + self.logged
    }

    /// All of them.
    pub fn all(&self) -> u64 {
        self.under_way() + self.credited + self.refused + self.conflict
    }
}

/// The ledger of a home, as it was pinned and as it was seen last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRow {
    /// Where it is asked.
    pub url: String,
    /// Network and keys, as the program encodes them.
    pub pinned: Vec<u8>,
    /// The largest head taken, signed.
    pub head: Option<String>,
    /// The last block taken, or what is on record of a chain, as JSON.
    pub block: Option<Vec<u8>>,
}

/// What one answer of a ledger changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutboxChange {
    /// When, in milliseconds since the Unix epoch.
    pub now_ms: u64,
    /// New states, each with the proof of it.
    pub states: Vec<(Digest, State, Option<Vec<u8>>)>,
    /// A head that was taken.
    pub head: Option<String>,
    /// A block that was taken.
    pub block: Option<Vec<u8>>,
    /// What shows that the ledger contradicted itself.
    pub contradiction: Option<Vec<u8>>,
    /// Blocks from this height on are no longer: what was final under them is included only.
    pub undone_from: Option<u64>,
}

/// Which rows are asked for.
#[derive(Clone)]
enum Which {
    All,
    Run(RunId),
    Collection(String),
    Provable { head: u64, block: u64, most: u32 },
    HandedIn,
    Final,
}

impl Which {
    fn words(&self) -> &'static str {
        match self {
            Self::All => "ORDER BY r.rowid",
            Self::Run(_) => "WHERE r.run = ? ORDER BY r.rowid",
            Self::Collection(_) => "WHERE r.collection = ? ORDER BY r.rowid",
            Self::Provable { .. } => {
                "WHERE (o.state = 1 AND o.at_index < ?) OR (o.state = 2 AND o.at_index < ?) ORDER BY o.at_index LIMIT ?"
            }
            Self::HandedIn => "WHERE o.state IN (1, 2) ORDER BY r.rowid",
            Self::Final => "WHERE o.state = 3 ORDER BY o.at_index DESC",
        }
    }
}

/// The place in the ledger's log that a state has.
fn place(state: &State) -> Option<i64> {
    match state {
        State::Acknowledged { index } | State::Included { index, .. } | State::Final { index, .. } => {
            i64::try_from(index.0).ok()
        }
        State::Queued
        | State::InFlight { .. }
        | State::Mined { .. }
        | State::Buried { .. }
        | State::Refused { .. }
        | State::Conflict { .. } => None,
    }
}

fn code(state: &State) -> i64 {
    match state {
        State::Queued => 0,
        State::Acknowledged { .. } | State::InFlight { .. } => 1,
        State::Included { .. } | State::Mined { .. } => 2,
        State::Final { .. } | State::Buried { .. } => 3,
        State::Refused { .. } => 4,
        State::Conflict { .. } => 5,
    }
}

fn decode(error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}

impl Reader {
    /// How many receipts are where.
    ///
    /// # Errors
    /// The database's.
    pub async fn outbox(&self) -> Result<OutboxCounts, JournalError> {
        self.ask(|connection| Box::pin(counts(connection))).await
    }

    /// Receipts to hand in, the oldest first, `most` at most.
    ///
    /// # Errors
    /// The database's.
    pub async fn outgoing(&self, most: u32) -> Result<Vec<Outgoing>, JournalError> {
        self.ask(move |connection| Box::pin(outgoing(connection, most))).await
    }

    /// Receipts of which more can be proved under a head of `head` entries and a block of `block`, those of the lowest index
    /// first, `most` at most.
    ///
    /// # Errors
    /// The database's.
    pub async fn provable(&self, head: u64, block: u64, most: u32) -> Result<Vec<OutboxRow>, JournalError> {
        self.rows(Which::Provable { head, block, most }).await
    }

    /// Receipts that were handed in and are not final, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn handed_in(&self) -> Result<Vec<OutboxRow>, JournalError> {
        self.rows(Which::HandedIn).await
    }

    /// Receipts that are final, the last one in the log first.
    ///
    /// # Errors
    /// The database's.
    pub async fn finals(&self) -> Result<Vec<OutboxRow>, JournalError> {
        self.rows(Which::Final).await
    }

    /// Where the receipts of a run are, oldest first; of all runs without one.
    ///
    /// # Errors
    /// The database's.
    pub async fn outbox_of(&self, run: Option<RunId>) -> Result<Vec<OutboxRow>, JournalError> {
        self.rows(run.map_or(Which::All, Which::Run)).await
    }

    /// Where the receipts of a collection's ingests are, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn outbox_of_collection(&self, collection: &str) -> Result<Vec<OutboxRow>, JournalError> {
        self.rows(Which::Collection(collection.to_owned())).await
    }

    async fn rows(&self, which: Which) -> Result<Vec<OutboxRow>, JournalError> {
        self.ask(move |connection| Box::pin(rows(connection, which.clone()))).await
    }

    /// The ledger that receipts of this home go to, once there is one.
    ///
    /// # Errors
    /// The database's.
    pub async fn ledger(&self) -> Result<Option<LedgerRow>, JournalError> {
        self.ask(|connection| Box::pin(ledger(connection))).await
    }

    /// What shows that the ledger contradicted itself, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn contradictions(&self) -> Result<Vec<Vec<u8>>, JournalError> {
        self.ask(|connection| Box::pin(contradictions(connection))).await
    }
}

/// Whether the journal is of a schema that knows of ledgers. An older one that nobody writes is read as it is.
async fn knows_ledgers(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    Ok(schema::version(connection).await? >= 2)
}

async fn counts(connection: &mut SqliteConnection) -> Result<OutboxCounts, sqlx::Error> {
    let found: Vec<(i64, i64)> =
        sqlx::query_as("SELECT state, count(*) FROM outbox GROUP BY state").fetch_all(connection).await?;
    let of = |state: i64| {
        let count = found.iter().find(|(one, _)| *one == state).map_or(0, |(_, count)| *count);
        u64::try_from(count).unwrap_or(0)
    };
    Ok(OutboxCounts {
        queued: of(0),
        acknowledged: of(1),
        logged: of(2),
        credited: of(3),
        refused: of(4),
        conflict: of(5),
    })
}

async fn outgoing(connection: &mut SqliteConnection, most: u32) -> Result<Vec<Outgoing>, sqlx::Error> {
    let found = sqlx::query(
        "SELECT receipt_id, nullifier, bundle FROM receipt WHERE rowid IN (SELECT r.rowid FROM outbox o \
         JOIN receipt r ON r.receipt_id = o.receipt_id WHERE o.state = 0 ORDER BY r.rowid LIMIT ?) ORDER BY rowid",
    )
    .bind(most)
    .fetch_all(connection)
    .await?;
    let read = |row: &SqliteRow| {
        Ok(Outgoing { receipt_id: digest(row, 0)?, nullifier: digest(row, 1)?, bundle: row.try_get(2)? })
    };
    found.iter().map(read).collect()
}

async fn rows(connection: &mut SqliteConnection, which: Which) -> Result<Vec<OutboxRow>, sqlx::Error> {
    let version = schema::version(connection).await?;
    let of = match &which {
        Which::Collection(_) if version < 4 => return Ok(Vec::new()),
        _any if version < 4 => "NULL, NULL",
        _any => "r.collection, r.revision",
    };
    // An older schema has receipts in the queue and nothing else.
    let way = match &which {
        _any if version >= 2 => "o.changed_ms, o.detail, o.evidence",
        Which::All | Which::Run(_) | Which::Collection(_) => "NULL, NULL, NULL",
        Which::Provable { .. } | Which::HandedIn | Which::Final => return Ok(Vec::new()),
    };
    let text = format!(
        "SELECT r.run, r.module, r.receipt_id, r.nullifier, {way}, {of} \
         FROM receipt r JOIN outbox o ON o.receipt_id = r.receipt_id {}",
        which.words()
    );
    // Put together from the constants above; what is asked for is bound.
    let mut query = sqlx::query(sqlx::AssertSqlSafe(text));
    let stored = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    query = match which {
        Which::All | Which::HandedIn | Which::Final => query,
        Which::Run(run) => query.bind(run.0.as_bytes().to_vec()),
        Which::Collection(collection) => query.bind(collection),
        Which::Provable { head, block, most } => query.bind(stored(head)).bind(stored(block)).bind(most),
    };
    let found = query.fetch_all(connection).await?;
    let read = |row: &SqliteRow| {
        let state = match row.try_get::<Option<&[u8]>, _>(5)? {
            None => State::Queued,
            Some(detail) => serde_json::from_slice(detail).map_err(decode)?,
        };
        let number = |number: i64| u64::try_from(number).unwrap_or(0);
        let of = match row.try_get::<Option<String>, _>(7)? {
            Some(collection) => ReceiptOf::Ingest { collection, revision: number(row.try_get(8)?) },
            None => ReceiptOf::Module { run: RunId(uuid(row, 0)?), module: ModuleId(uuid(row, 1)?) },
        };
        Ok(OutboxRow {
            of,
            receipt_id: digest(row, 2)?,
            nullifier: digest(row, 3)?,
            state,
            changed_ms: row.try_get::<Option<i64>, _>(4)?.map(number),
            evidence: row.try_get(6)?,
        })
    };
    found.iter().map(read).collect()
}

async fn ledger(connection: &mut SqliteConnection) -> Result<Option<LedgerRow>, sqlx::Error> {
    if !knows_ledgers(connection).await? {
        return Ok(None);
    }
    let row = sqlx::query("SELECT url, pinned, head, block FROM ledger").fetch_optional(connection).await?;
    let read = |row: SqliteRow| {
        Ok(LedgerRow { url: row.try_get(0)?, pinned: row.try_get(1)?, head: row.try_get(2)?, block: row.try_get(3)? })
    };
    row.map(read).transpose()
}

async fn contradictions(connection: &mut SqliteConnection) -> Result<Vec<Vec<u8>>, sqlx::Error> {
    if !knows_ledgers(connection).await? {
        return Ok(Vec::new());
    }
    sqlx::query_scalar("SELECT body FROM contradiction ORDER BY no").fetch_all(connection).await
}

const ANEW: &str = "UPDATE outbox SET state = 0, changed_ms = NULL, at_index = NULL, detail = NULL, evidence = NULL \
    WHERE state <> 0";
const AGAIN: &str = "UPDATE outbox SET state = 0, changed_ms = NULL, at_index = NULL, detail = NULL, evidence = NULL \
    WHERE state = 4";

/// Pins a ledger, or says where the pinned one is asked now.
pub(super) async fn pin(connection: &mut SqliteConnection, url: &str, pinned: &[u8]) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO ledger (one, url, pinned) VALUES (1, ?, ?) ON CONFLICT (one) DO UPDATE SET url = excluded.url",
    )
    .bind(url)
    .bind(pinned)
    .execute(connection)
    .await
    .map(drop)
}

/// Forgets the pinned ledger: receipts begin their way anew, for its word is nothing to another.
pub(super) async fn forget(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await?;
    sqlx::query(ANEW).execute(&mut *connection).await?;
    sqlx::query("DELETE FROM ledger").execute(&mut *connection).await?;
    sqlx::query("COMMIT").execute(connection).await.map(drop)
}

/// Puts receipts of ingests into the queue, each once: one that is there stays where it is, and of two that claim the same growth
/// only the first is handed in. Says how many are new.
pub(super) async fn queue(connection: &mut SqliteConnection, receipts: &[IngestRow]) -> Result<u64, sqlx::Error> {
    let mut new = 0;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await?;
    for receipt in receipts {
        let kept = sqlx::query(
            "INSERT INTO receipt (receipt_id, nullifier, collection, revision, bundle) VALUES (?, ?, ?, ?, ?) \
             ON CONFLICT DO NOTHING",
        )
        .bind(receipt.receipt_id.0.as_slice())
        .bind(receipt.nullifier.0.as_slice())
        .bind(&receipt.collection)
        .bind(i64::try_from(receipt.revision).unwrap_or(i64::MAX))
        .bind(&receipt.bundle)
        .execute(&mut *connection)
        .await?;
        if kept.rows_affected() > 0 {
            new += 1;
            let text = "INSERT INTO outbox (receipt_id, state) VALUES (?, 0)";
            sqlx::query(text).bind(receipt.receipt_id.0.as_slice()).execute(&mut *connection).await?;
        }
    }
    sqlx::query("COMMIT").execute(connection).await?;
    Ok(new)
}

/// Puts refused receipts into the queue again, and says how many.
pub(super) async fn requeue(connection: &mut SqliteConnection) -> Result<u64, sqlx::Error> {
    sqlx::query(AGAIN).execute(connection).await.map(|done| done.rows_affected())
}

/// Makes a change durable.
pub(super) async fn change(connection: &mut SqliteConnection, change: &OutboxChange) -> Result<(), sqlx::Error> {
    let now = i64::try_from(change.now_ms).unwrap_or(i64::MAX);
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await?;
    if let Some(height) = change.undone_from {
        undo(connection, height, now).await?;
    }
    for (receipt, state, evidence) in &change.states {
        set(connection, receipt, state, evidence.as_deref(), now).await?;
    }
    if let Some(head) = &change.head {
        sqlx::query("UPDATE ledger SET head = ?").bind(head).execute(&mut *connection).await?;
    }
    if let Some(block) = &change.block {
        sqlx::query("UPDATE ledger SET block = ?").bind(block.as_slice()).execute(&mut *connection).await?;
    }
    if let Some(body) = &change.contradiction {
        sqlx::query("INSERT INTO contradiction (at_ms, body) VALUES (?, ?) ON CONFLICT (body) DO NOTHING")
            .bind(now)
            .bind(body.as_slice())
            .execute(&mut *connection)
            .await?;
    }
    sqlx::query("COMMIT").execute(connection).await.map(drop)
}

async fn set(
    connection: &mut SqliteConnection,
    receipt: &Digest,
    state: &State,
    evidence: Option<&[u8]>,
    now: i64,
) -> Result<(), sqlx::Error> {
    let detail = serde_json::to_vec(state).map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
    let text =
        "UPDATE outbox SET state = ?, changed_ms = ?, at_index = ?, detail = ?, evidence = ? WHERE receipt_id = ?";
    sqlx::query(text)
        .bind(code(state))
        .bind(now)
        .bind(place(state))
        .bind(detail)
        .bind(evidence)
        .bind(receipt.0.as_slice())
        .execute(connection)
        .await
        .map(drop)
}

/// What was final under blocks from `height` on was shown to lie in the log, and is no more than that.
async fn undo(connection: &mut SqliteConnection, height: u64, now: i64) -> Result<(), sqlx::Error> {
    let finals =
        sqlx::query("SELECT receipt_id, detail FROM outbox WHERE state = 3").fetch_all(&mut *connection).await?;
    for row in &finals {
        let state = serde_json::from_slice(row.try_get(1)?).map_err(decode)?;
        let State::Final { index, height: at } = state else { continue };
        if at.0 >= height {
            let size = receipts::integer::Decimal(index.0 + 1);
            set(connection, &digest(row, 0)?, &State::Included { index, size }, None, now).await?;
        }
    }
    // Left without a last block, the ledger's next one is taken as the first is.
    sqlx::query("UPDATE ledger SET block = NULL").execute(connection).await.map(drop)
}
