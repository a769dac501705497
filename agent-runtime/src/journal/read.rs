//! Reading a journal, beside a writer or from a home nobody writes.
//!
//! **Invariant:** reading creates nothing: a home that does not exist reads as empty and still does not exist afterwards,
//! and a journal at rest is read without making SQLite's side files.
//! **Invariant:** facts come back only with their chain verified, up to the head on record.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::SystemTime;

use common_ground::{ModuleId, RunId, chain::Head};
use futures_core::future::BoxFuture;
use receipts::Digest;
use sqlx::pool::PoolOptions;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{ConnectOptions, Connection, Row, Sqlite, SqlitePool};
use zeroize::Zeroizing;

use super::append::{digest, fact_id, number, uuid};
use super::blob::{self, Form};
use super::error::{Damage, JournalError};
use super::row::{AttemptStream, Holding, ReceiptRow, Recorded, RunRow};
use super::schema;
use crate::home::Home;

/// Connections that read at the same time.
const READERS: u32 = 4;

#[derive(Debug)]
enum Source {
    /// Beside our own writer.
    Live(SqlitePool),
    /// No writer of ours: a connection per question.
    Cold,
}

/// Answers questions about a journal.
#[derive(Debug)]
pub struct Reader {
    home: Home,
    source: Source,
}

type Answered<'c, T> = BoxFuture<'c, Result<T, sqlx::Error>>;

impl Reader {
    /// Reads the home without writing to it. The home need not exist.
    pub fn at(home: Home) -> Self {
        Self { home, source: Source::Cold }
    }

    pub(crate) fn live(home: Home) -> Self {
        let options = schema::reading(&home.journal());
        let pool =
            PoolOptions::<Sqlite>::new().max_connections(READERS).test_before_acquire(false).connect_lazy_with(options);
        Self { home, source: Source::Live(pool) }
    }

    /// The same journal for a few questions in a row, over one connection where somebody writes to it. It is to be closed soon:
    /// while it is open, a writer that ends leaves its side files behind.
    ///
    /// # Errors
    /// The database's; a journal of a newer program.
    pub async fn sitting(&self) -> Result<Self, JournalError> {
        let (home, path) = (self.home.clone(), self.home.journal());
        if !self.stamp()?.is_some_and(|stamp| stamp.in_use) {
            return Ok(Self::at(home));
        }
        let options = PoolOptions::<Sqlite>::new().max_connections(1).test_before_acquire(false);
        let pool = options.connect_lazy_with(schema::reading(&path));
        let mut connection = pool.acquire().await.map_err(|error| JournalError::sqlite(&path, error))?;
        let version = schema::refuse_newer(&path, &mut connection).await;
        drop(connection);
        match version {
            Ok(0) => {
                pool.close().await;
                Ok(Self::at(home))
            }
            Ok(_) => Ok(Self { home, source: Source::Live(pool) }),
            Err(error) => {
                pool.close().await;
                Err(error)
            }
        }
    }

    /// Ends a sitting; nothing for a reader that keeps no connection.
    pub async fn close(&self) {
        match &self.source {
            Source::Live(pool) => pool.close().await,
            Source::Cold => {}
        }
    }

    /// The home that is read.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Asks one question; `T::default()` where there is no journal.
    pub(crate) async fn ask<T, F>(&self, question: F) -> Result<T, JournalError>
    where
        T: Default,
        F: for<'c> Fn(&'c mut SqliteConnection) -> Answered<'c, T>,
    {
        let path = self.home.journal();
        let lift = |error| JournalError::sqlite(&path, error);
        if let Source::Live(pool) = &self.source {
            let mut connection = pool.acquire().await.map_err(lift)?;
            return question(&mut connection).await.map_err(lift);
        }
        // A journal at rest is opened as immutable, which needs no side files; should a writer appear meanwhile, the
        // answer is thrown away and the question put again beside it.
        loop {
            let before = self.stamp()?;
            let Some(stamp) = &before else { return Ok(T::default()) };
            let options = schema::reading(&path).immutable(!stamp.in_use);
            let answer = match options.connect().await {
                Ok(mut connection) => {
                    let version = schema::refuse_newer(&path, &mut connection).await;
                    let answer = match version {
                        Ok(0) => Ok(T::default()),
                        Ok(_) => question(&mut connection).await.map_err(lift),
                        Err(error) => Err(error),
                    };
                    connection.close().await.map_err(lift)?;
                    answer
                }
                Err(error) => Err(lift(error)),
            };
            if stamp.in_use || self.stamp()? == before {
                return answer;
            }
        }
    }

    fn stamp(&self) -> Result<Option<Stamp>, JournalError> {
        let path = self.home.journal();
        let database = match fs::metadata(&path) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(JournalError::io(&path, error)),
        };
        let mut log = path.clone().into_os_string();
        log.push("-wal");
        let log = PathBuf::from(log);
        let modified = database.modified().map_err(|error| JournalError::io(&path, error))?;
        Ok(Some(Stamp { in_use: log.exists(), length: database.len(), modified }))
    }

    /// The facts of a run after `seq`, in order, their chain verified from there to the head.
    ///
    /// # Errors
    /// [`JournalError::Damaged`] with the first fact that does not fit.
    pub async fn since(&self, run: RunId, seq: u64) -> Result<Vec<Recorded>, JournalError> {
        let rows = self.ask(move |connection| Box::pin(facts(connection, run, seq))).await?;
        verify(run, seq, rows)
    }

    /// All facts of a run, in order, their chain verified; empty for an unknown run.
    ///
    /// # Errors
    /// [`JournalError::Damaged`] with the first fact that does not fit.
    pub async fn load(&self, run: RunId) -> Result<Vec<Recorded>, JournalError> {
        self.since(run, 0).await
    }

    /// All runs, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn runs(&self) -> Result<Vec<RunRow>, JournalError> {
        self.ask(|connection| Box::pin(runs(connection))).await
    }

    /// One run.
    ///
    /// # Errors
    /// The database's.
    pub async fn run(&self, run: RunId) -> Result<Option<RunRow>, JournalError> {
        Ok(self.runs().await?.into_iter().find(|row| row.run == run))
    }

    /// The secret of an attempt.
    ///
    /// # Errors
    /// The database's.
    pub async fn attempt_key(
        &self,
        run: RunId,
        module: ModuleId,
        attempt: u32,
    ) -> Result<Option<Zeroizing<[u8; 32]>>, JournalError> {
        self.ask(move |connection| Box::pin(attempt_key(connection, run, module, attempt))).await
    }

    /// The receipt of an accepted module.
    ///
    /// # Errors
    /// The database's.
    pub async fn receipt(&self, run: RunId, module: ModuleId) -> Result<Option<ReceiptRow>, JournalError> {
        Ok(self.receipts(run).await?.into_iter().find(|receipt| receipt.module == module))
    }

    /// All receipts of a run, oldest first, also of a run since deleted.
    ///
    /// # Errors
    /// The database's.
    pub async fn receipts(&self, run: RunId) -> Result<Vec<ReceiptRow>, JournalError> {
        self.ask(move |connection| Box::pin(receipts(connection, run))).await
    }

    /// Messages waiting for a run, oldest first; they stay until a batch names them in `inbox_done`.
    ///
    /// # Errors
    /// The database's.
    pub async fn inbox(&self, run: RunId) -> Result<Vec<(i64, Vec<u8>)>, JournalError> {
        self.ask(move |connection| Box::pin(inbox(connection, run))).await
    }

    /// A content by its digest, hashed again; `None` when it was never stored.
    ///
    /// # Errors
    /// [`JournalError::Damaged`] when the bytes are missing or others.
    pub async fn blob(&self, wanted: Digest) -> Result<Option<Vec<u8>>, JournalError> {
        let damaged = || JournalError::Damaged(Damage::Content(wanted));
        let Some((form, length, bytes)) = self.ask(move |connection| Box::pin(content(connection, wanted))).await?
        else {
            return Ok(None);
        };
        let form = Form::of(form).ok_or_else(damaged)?;
        let bytes = match (form, bytes) {
            (Form::Plain | Form::Zstd | Form::File, Some(bytes)) => bytes,
            (Form::Plain | Form::Zstd, None) => return Err(damaged()),
            (Form::File, None) => {
                let path = blob::file_of(&self.home, wanted);
                match fs::read(&path) {
                    Ok(bytes) => bytes,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(damaged()),
                    Err(error) => return Err(JournalError::io(&path, error)),
                }
            }
        };
        let length = usize::try_from(length).map_err(|_too_long| damaged())?;
        blob::unpack(wanted, form, length, bytes).map(Some)
    }
}

/// How a journal's files looked at one moment.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    in_use: bool,
    length: u64,
    modified: SystemTime,
}

/// Facts after a point, as stored, between the link they follow and the head on record.
#[derive(Debug, Default)]
struct Stretch {
    base: Option<Digest>,
    head: Option<Head>,
    rows: Vec<(i64, Recorded)>,
    no: i64,
}

async fn facts(connection: &mut SqliteConnection, run: RunId, seq: u64) -> Result<Stretch, sqlx::Error> {
    // One statement, so that head and facts are of one moment. The row at `seq` itself gives the link to follow.
    let rows = sqlx::query(
        "SELECT r.no, r.head_seq, r.head_link, f.id, f.link, f.at_ms, f.module, f.attempt, f.epoch, f.body \
         FROM run r LEFT JOIN fact f ON f.id BETWEEN (r.no << 32) + ? AND (r.no << 32) + 4294967295 \
         WHERE r.run = ? ORDER BY f.id",
    )
    .bind(i64::try_from(seq).unwrap_or(i64::from(u32::MAX)).min(i64::from(u32::MAX)))
    .bind(run.0.as_bytes().as_slice())
    .fetch_all(connection)
    .await?;
    let mut stretch = Stretch::default();
    for row in &rows {
        if stretch.head.is_none() {
            stretch.no = row.try_get(0)?;
            stretch.head = Some(Head { seq: number(row, 1)?, link: digest(row, 2)? });
        }
        let Some(id) = row.try_get::<Option<i64>, _>(3)? else { continue };
        let link = digest(row, 4)?;
        if id == fact_id(stretch.no, seq) {
            stretch.base = Some(link);
            continue;
        }
        stretch.rows.push((id, recorded(row, id, link)?));
    }
    Ok(stretch)
}

fn recorded(row: &SqliteRow, id: i64, link: Digest) -> Result<Recorded, sqlx::Error> {
    let attempt = match row.try_get::<Option<&[u8]>, _>(6)? {
        None => None,
        Some(_) => {
            Some(AttemptStream { module: ModuleId(uuid(row, 6)?), attempt: row.try_get(7)?, epoch: number(row, 8)? })
        }
    };
    let seq = u64::try_from(id & i64::from(u32::MAX)).unwrap_or(0);
    Ok(Recorded { seq, at_ms: number(row, 5)?, attempt, body: row.try_get(9)?, link })
}

fn verify(run: RunId, from: u64, stretch: Stretch) -> Result<Vec<Recorded>, JournalError> {
    let damaged = |seq| JournalError::Damaged(Damage::Chain { run, seq });
    let Some(head) = stretch.head else { return Ok(Vec::new()) };
    if from > head.seq {
        return Ok(Vec::new());
    }
    let mut at = match (from, stretch.base) {
        (0, _) => Head::genesis(run),
        (seq, Some(link)) => Head { seq, link },
        (seq, None) => return Err(damaged(seq)),
    };
    let mut facts = Vec::with_capacity(stretch.rows.len());
    for (id, fact) in stretch.rows {
        let next = at.after(fact.at_ms, fact.attempt.map(AttemptStream::place), &fact.body);
        if id != fact_id(stretch.no, next.seq) || next.link != fact.link || next.seq > head.seq {
            return Err(damaged(next.seq));
        }
        at = next;
        facts.push(fact);
    }
    if at.seq < head.seq {
        return Err(damaged(at.seq + 1));
    }
    if at.link != head.link {
        return Err(damaged(at.seq));
    }
    Ok(facts)
}

async fn runs(connection: &mut SqliteConnection) -> Result<Vec<RunRow>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT run, created_ms, head_seq, epoch, holder, acquired_ms, ttl_ms FROM run ORDER BY created_ms DESC, no DESC",
    )
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            let lease = match row.try_get::<Option<&[u8]>, _>(4)? {
                None => None,
                Some(_) => {
                    Some(Holding { holder: uuid(row, 4)?, acquired_ms: number(row, 5)?, ttl_ms: number(row, 6)? })
                }
            };
            Ok(RunRow {
                run: RunId(uuid(row, 0)?),
                created_ms: number(row, 1)?,
                head_seq: number(row, 2)?,
                epoch: number(row, 3)?,
                lease,
            })
        })
        .collect()
}

async fn attempt_key(
    connection: &mut SqliteConnection,
    run: RunId,
    module: ModuleId,
    attempt: u32,
) -> Result<Option<Zeroizing<[u8; 32]>>, sqlx::Error> {
    let row = sqlx::query(
        "SELECT k.key FROM run r JOIN attempt_key k ON k.run_no = r.no WHERE r.run = ? AND k.module = ? AND k.attempt = ?",
    )
    .bind(run.0.as_bytes().as_slice())
    .bind(module.0.as_bytes().as_slice())
    .bind(attempt)
    .fetch_optional(connection)
    .await?;
    row.map(|row| digest(&row, 0).map(|key| Zeroizing::new(key.0))).transpose()
}

async fn receipts(connection: &mut SqliteConnection, run: RunId) -> Result<Vec<ReceiptRow>, sqlx::Error> {
    let rows = sqlx::query("SELECT module, receipt_id, nullifier, bundle FROM receipt WHERE run = ? ORDER BY rowid")
        .bind(run.0.as_bytes().as_slice())
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(ReceiptRow {
                module: ModuleId(uuid(row, 0)?),
                receipt_id: digest(row, 1)?,
                nullifier: digest(row, 2)?,
                bundle: row.try_get(3)?,
            })
        })
        .collect()
}

async fn inbox(connection: &mut SqliteConnection, run: RunId) -> Result<Vec<(i64, Vec<u8>)>, sqlx::Error> {
    sqlx::query_as("SELECT i.id, i.body FROM run r JOIN inbox i ON i.run_no = r.no WHERE r.run = ? ORDER BY i.id")
        .bind(run.0.as_bytes().as_slice())
        .fetch_all(connection)
        .await
}

type Content = (i64, i64, Option<Vec<u8>>);

async fn content(connection: &mut SqliteConnection, wanted: Digest) -> Result<Option<Content>, sqlx::Error> {
    sqlx::query_as("SELECT form, length, bytes FROM blob WHERE digest = ?")
        .bind(wanted.0.as_slice())
        .fetch_optional(connection)
        .await
}
