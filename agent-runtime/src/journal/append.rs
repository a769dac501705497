//! One group of batches as two messages to SQLite's thread: read the heads under the write lock, then write all and commit.
//!
//! sqlx hops to a worker thread per call, and a hop costs about as much as a small insert. So every value of a section
//! travels in two parameters: the bytes end to end, and a JSON array of rows that says where each piece lies.
//!
//! **Invariant:** every refusal is decided between the two messages, on what the write lock showed, before anything is
//! written: a refused batch leaves no trace and cannot spoil its neighbours.
//! **Invariant:** of the receipts of one module, which a fork has with the run it comes from, only the first goes to the
//! outbox: a benefit is claimed once.
//! **Invariant:** statements hold only `?` parameters in order. (sqlx 0.9 miscounts `?NNN` with gaps over several statements.)

use std::collections::BTreeMap;
use std::fmt::Write as _;

use common_ground::{ModuleId, RunId, chain::Head};
use receipts::Digest;
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, Row};
use uuid::Uuid;

use super::blob::{Form, Packed};
use super::error::JournalError;
use super::row::{AttemptStream, Batch};

/// A batch whose contents are packed.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) batch: Batch,
    pub(crate) packed: Vec<Packed>,
}

const READ: &str = "BEGIN IMMEDIATE; \
    SELECT 0, r.no, r.run, r.head_seq, r.head_link, r.epoch, r.holder \
      FROM json_each(?) j CROSS JOIN run r ON r.run = unhex(j.value); \
    SELECT 1, r.run, s.module, s.attempt, s.epoch \
      FROM json_each(?) j CROSS JOIN run r ON r.run = unhex(j.value ->> 0) \
      CROSS JOIN attempt_stream s ON s.run_no = r.no AND s.module = unhex(j.value ->> 1) AND s.attempt = j.value ->> 2";

const HEADS: &str = "UPDATE run SET head_seq = v.seq, head_link = v.link FROM \
    (SELECT j.value ->> 0 AS no, j.value ->> 1 AS seq, substr(p.b, j.value ->> 2, 32) AS link \
      FROM (SELECT ? AS b) p CROSS JOIN json_each(?) j) v WHERE run.no = v.no;";
const FACTS: &str = "INSERT INTO fact (id, at_ms, module, attempt, epoch, link, body) \
    SELECT j.value ->> 0, j.value ->> 1, substr(p.b, j.value ->> 2, 16), j.value ->> 3, j.value ->> 4, \
      substr(p.b, j.value ->> 5, 32), substr(p.b, j.value ->> 6, j.value ->> 7) \
    FROM (SELECT ? AS b) p CROSS JOIN json_each(?) j;";
const STREAMS: &str = "INSERT OR REPLACE INTO attempt_stream (run_no, module, attempt, epoch) \
    SELECT j.value ->> 0, substr(p.b, j.value ->> 1, 16), j.value ->> 2, j.value ->> 3 \
    FROM (SELECT ? AS b) p CROSS JOIN json_each(?) j;";
const BLOBS: &str = "INSERT OR IGNORE INTO blob (digest, form, length, bytes) \
    SELECT substr(p.b, j.value ->> 1, 32), j.value ->> 2, j.value ->> 3, substr(p.b, j.value ->> 4, j.value ->> 5) \
    FROM (SELECT ? AS b) p CROSS JOIN json_each(?) j;";
const RUN_BLOBS: &str = "INSERT OR IGNORE INTO run_blob (run_no, digest) \
    SELECT j.value ->> 0, substr(p.b, j.value ->> 1, 32) FROM (SELECT ? AS b) p CROSS JOIN json_each(?) j;";
const KEYS: &str = "INSERT INTO attempt_key (run_no, module, attempt, key) \
    SELECT j.value ->> 0, substr(p.b, j.value ->> 1, 16), j.value ->> 2, substr(p.b, j.value ->> 3, 32) \
    FROM (SELECT ? AS b) p CROSS JOIN json_each(?) j;";
const RECEIPTS: &str = "INSERT INTO receipt (receipt_id, nullifier, run, module, bundle) \
    SELECT substr(p.b, j.value ->> 0, 32), substr(p.b, j.value ->> 1, 32), substr(p.b, j.value ->> 2, 16), \
      substr(p.b, j.value ->> 3, 16), substr(p.b, j.value ->> 4, j.value ->> 5) \
    FROM (SELECT ? AS b) p CROSS JOIN json_each(?) j;";
const OUTBOX: &str = "INSERT INTO outbox (receipt_id, state) \
    SELECT substr(p.b, j.value ->> 0, 32), 0 FROM (SELECT ? AS b) p CROSS JOIN json_each(?) j \
    WHERE NOT EXISTS (SELECT 1 FROM receipt o WHERE o.module = substr(p.b, j.value ->> 1, 16) \
      AND o.receipt_id <> substr(p.b, j.value ->> 0, 32));";
const INBOX: &str = "DELETE FROM inbox WHERE id IN (SELECT i.id FROM (SELECT ? AS b) p CROSS JOIN json_each(?) j \
    CROSS JOIN inbox i ON i.id = j.value ->> 1 AND i.run_no = j.value ->> 0);";

/// What the write lock showed of one run.
struct Stored {
    no: i64,
    head: Head,
    epoch: u64,
    holder: Option<Uuid>,
    streams: BTreeMap<(ModuleId, u32), u64>,
}

/// Rows of one table on their way: bytes end to end and a JSON array of where they lie.
struct Section {
    sql: &'static str,
    bytes: Vec<u8>,
    rows: String,
}

impl Section {
    fn new(sql: &'static str) -> Self {
        Self { sql, bytes: Vec::new(), rows: String::new() }
    }

    /// Adds bytes; gives their place, counted from 1 as SQL does.
    fn put(&mut self, bytes: &[u8]) -> usize {
        let place = self.bytes.len() + 1;
        self.bytes.extend_from_slice(bytes);
        place
    }

    fn row(&mut self, values: std::fmt::Arguments<'_>) -> std::fmt::Result {
        self.rows.push(if self.rows.is_empty() { '[' } else { ',' });
        write!(self.rows, "[{values}]")
    }
}

/// The transaction's second message under construction.
pub(crate) struct Plan {
    sections: [Section; 9],
    large: Vec<Digest>,
}

const MOST_FACTS: u64 = u32::MAX as u64;

/// First row id of a run's facts; see the schema.
pub(crate) fn fact_id(no: i64, seq: u64) -> i64 {
    (no << 32) | i64::try_from(seq.min(MOST_FACTS)).unwrap_or(0)
}

/// Opens the write transaction and decides each batch: the new head, or why not. Nothing is written yet.
pub(crate) async fn decide(
    connection: &mut SqliteConnection,
    holder: Uuid,
    group: &[&Ready],
) -> Result<(Plan, Vec<Result<u64, JournalError>>), sqlx::Error> {
    let mut stored = read(connection, group).await?;
    let mut plan = Plan {
        sections: [HEADS, FACTS, STREAMS, BLOBS, RUN_BLOBS, KEYS, RECEIPTS, OUTBOX, INBOX].map(Section::new),
        large: Vec::new(),
    };
    let mut heads: BTreeMap<i64, Head> = BTreeMap::new();
    let mut answers = Vec::with_capacity(group.len());
    for ready in group {
        let answer = match stored.get_mut(&ready.batch.run) {
            None => Err(JournalError::NoRun(ready.batch.run)),
            Some(run) => match check(run, holder, &ready.batch) {
                Err(refusal) => Err(refusal),
                Ok(()) => {
                    plan.add(run, ready).map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
                    heads.insert(run.no, run.head);
                    Ok(run.head.seq)
                }
            },
        };
        answers.push(answer);
    }
    for (no, head) in heads {
        let [section, ..] = &mut plan.sections;
        let link = section.put(&head.link.0);
        section.row(format_args!("{no},{},{link}", head.seq)).map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
    }
    Ok((plan, answers))
}

async fn read(connection: &mut SqliteConnection, group: &[&Ready]) -> Result<BTreeMap<RunId, Stored>, sqlx::Error> {
    let runs: std::collections::BTreeSet<String> =
        group.iter().map(|ready| ready.batch.run.0.simple().to_string()).collect();
    let streams: std::collections::BTreeSet<(String, String, u32)> = group
        .iter()
        .flat_map(|ready| {
            let run = ready.batch.run.0.simple().to_string();
            ready.batch.facts.iter().filter_map(move |fact| {
                fact.attempt.map(|stream| (run.clone(), stream.module.0.simple().to_string(), stream.attempt))
            })
        })
        .collect();
    let encode = |error: serde_json::Error| sqlx::Error::Encode(Box::new(error));
    let rows = sqlx::query(READ)
        .bind(serde_json::to_string(&runs).map_err(encode)?)
        .bind(serde_json::to_string(&streams).map_err(encode)?)
        .fetch_all(connection)
        .await?;
    let mut found = BTreeMap::new();
    for row in &rows {
        if row.try_get::<i64, _>(0)? == 0 {
            let run = RunId(uuid(row, 2)?);
            found.insert(
                run,
                Stored {
                    no: row.try_get(1)?,
                    head: Head { seq: number(row, 3)?, link: digest(row, 4)? },
                    epoch: number(row, 5)?,
                    holder: row.try_get::<Option<&[u8]>, _>(6)?.map(Uuid::from_slice).transpose().map_err(decode)?,
                    streams: BTreeMap::new(),
                },
            );
        } else if let Some(stored) = found.get_mut(&RunId(uuid(row, 1)?)) {
            let attempt = u32::try_from(number(row, 3)?).map_err(decode)?;
            stored.streams.insert((ModuleId(uuid(row, 2)?), attempt), number(row, 4)?);
        }
    }
    Ok(found)
}

fn check(run: &mut Stored, holder: Uuid, batch: &Batch) -> Result<(), JournalError> {
    if run.epoch != batch.epoch || run.holder != Some(holder) {
        return Err(JournalError::Fenced { run: batch.run, offered: batch.epoch, stored: run.epoch });
    }
    let expected = run.head.seq + 1;
    if batch.first_seq != expected || expected + batch.facts.len() as u64 > MOST_FACTS {
        return Err(JournalError::OutOfOrder { run: batch.run, expected, offered: batch.first_seq });
    }
    let mut seen = run.streams.clone();
    for stream in batch.facts.iter().filter_map(|fact| fact.attempt) {
        let highest = seen.entry((stream.module, stream.attempt)).or_insert(stream.epoch);
        if stream.epoch < *highest {
            return Err(JournalError::AttemptFenced {
                module: stream.module,
                attempt: stream.attempt,
                offered: stream.epoch,
                stored: *highest,
            });
        }
        *highest = stream.epoch;
    }
    Ok(())
}

impl Plan {
    fn add(&mut self, run: &mut Stored, ready: &Ready) -> std::fmt::Result {
        let Self { sections, large } = self;
        let [_heads, facts, streams, blobs, run_blobs, keys, receipts, outbox, inbox] = sections;
        let (no, batch) = (run.no, &ready.batch);
        for fact in &batch.facts {
            let at_ms = fact.at_ms.min(i64::MAX as u64);
            run.head = run.head.after(at_ms, fact.attempt.map(AttemptStream::place), &fact.body);
            let id = fact_id(no, run.head.seq);
            let link = facts.put(&run.head.link.0);
            let (body, length) = (facts.put(&fact.body), fact.body.len());
            let Some(stream) = fact.attempt else {
                facts.row(format_args!("{id},{at_ms},null,null,null,{link},{body},{length}"))?;
                continue;
            };
            let module = facts.put(stream.module.0.as_bytes());
            let (attempt, epoch) = (stream.attempt, stream.epoch);
            facts.row(format_args!("{id},{at_ms},{module},{attempt},{epoch},{link},{body},{length}"))?;
            if run.streams.insert((stream.module, attempt), epoch) != Some(epoch) {
                let module = streams.put(stream.module.0.as_bytes());
                streams.row(format_args!("{no},{module},{attempt},{epoch}"))?;
            }
        }
        for packed in &ready.packed {
            let digest = blobs.put(&packed.digest.0);
            let (form, whole) = (packed.form.number(), packed.length);
            if packed.form == Form::File {
                large.push(packed.digest);
                blobs.row(format_args!("{no},{digest},{form},{whole},null,0"))?;
            } else {
                let (bytes, length) = (blobs.put(&packed.bytes), packed.bytes.len());
                blobs.row(format_args!("{no},{digest},{form},{whole},{bytes},{length}"))?;
            }
            let digest = run_blobs.put(&packed.digest.0);
            run_blobs.row(format_args!("{no},{digest}"))?;
        }
        for entry in &batch.attempt_keys {
            let (module, key) = (keys.put(entry.module.0.as_bytes()), keys.put(entry.key.as_slice()));
            keys.row(format_args!("{no},{module},{},{key}", entry.attempt))?;
        }
        for receipt in &batch.receipts {
            let (id, nullifier) = (receipts.put(&receipt.receipt_id.0), receipts.put(&receipt.nullifier.0));
            let (whose, module) = (receipts.put(batch.run.0.as_bytes()), receipts.put(receipt.module.0.as_bytes()));
            let (bundle, length) = (receipts.put(&receipt.bundle), receipt.bundle.len());
            receipts.row(format_args!("{id},{nullifier},{whose},{module},{bundle},{length}"))?;
            let (id, module) = (outbox.put(&receipt.receipt_id.0), outbox.put(receipt.module.0.as_bytes()));
            outbox.row(format_args!("{id},{module}"))?;
        }
        for id in &batch.inbox_done {
            inbox.row(format_args!("{no},{id}"))?;
        }
        Ok(())
    }

    /// Large contents whose files must be there before [`Plan::commit`].
    pub(crate) fn large(&self) -> &[Digest] {
        &self.large
    }

    /// Writes everything and commits.
    pub(crate) async fn commit(self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let mut sql = String::with_capacity(2048);
        let mut arguments = SqliteArguments::default();
        for mut section in self.sections.into_iter().filter(|section| !section.rows.is_empty()) {
            section.rows.push(']');
            sql.push_str(section.sql);
            arguments.add(section.bytes).map_err(sqlx::Error::Encode)?;
            arguments.add(section.rows).map_err(sqlx::Error::Encode)?;
        }
        sql.push_str("COMMIT");
        sqlx::query_with(AssertSqlSafe(sql), arguments).execute(connection).await?;
        Ok(())
    }
}

fn decode(error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}

pub(crate) fn number(row: &SqliteRow, column: usize) -> Result<u64, sqlx::Error> {
    u64::try_from(row.try_get::<i64, _>(column)?).map_err(decode)
}

pub(crate) fn uuid(row: &SqliteRow, column: usize) -> Result<Uuid, sqlx::Error> {
    Uuid::from_slice(row.try_get(column)?).map_err(decode)
}

pub(crate) fn digest(row: &SqliteRow, column: usize) -> Result<Digest, sqlx::Error> {
    row.try_get::<&[u8], _>(column)?.try_into().map(Digest).map_err(decode)
}
