//! The records in `records.sqlite` of the collection's folder.

mod carrying;
mod intake;
mod reading;
mod vectors;
mod writing;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use sqlx::{
    Row, Sqlite, SqliteConnection, SqlitePool,
    pool::PoolConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous},
};

use super::rows::Columns;
use crate::error::{StoreError, from_sqlx};

/// The file's name in the collection's folder.
pub(super) const FILE: &str = "records.sqlite";

/// Each script leads from the version before it (its place) to the next.
const MIGRATIONS: &[&str] = &["
    CREATE TABLE revisions (
        revision INTEGER PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, checkpoint BLOB NOT NULL,
        documents INTEGER NOT NULL, passages INTEGER NOT NULL) STRICT;
    CREATE TABLE documents (
        id INTEGER PRIMARY KEY, path TEXT NOT NULL, document BLOB NOT NULL, text BLOB NOT NULL, bytes INTEGER NOT NULL,
        media TEXT NOT NULL, title TEXT NOT NULL, since INTEGER NOT NULL, until INTEGER) STRICT;
    CREATE UNIQUE INDEX documents_live ON documents (path) WHERE until IS NULL;
    CREATE INDEX documents_text ON documents (text);
    CREATE TABLE chunks (text BLOB NOT NULL, start INTEGER NOT NULL, zstd BLOB NOT NULL, PRIMARY KEY (text, start)) STRICT;
    CREATE TABLE passages (
        id INTEGER PRIMARY KEY, document INTEGER NOT NULL REFERENCES documents (id), start INTEGER NOT NULL,
        stop INTEGER NOT NULL, headings TEXT NOT NULL, sentences BLOB NOT NULL) STRICT;
    CREATE UNIQUE INDEX passages_place ON passages (document, start);
    CREATE TABLE corpus (
        seq INTEGER PRIMARY KEY, op TEXT NOT NULL, document BLOB NOT NULL, bytes INTEGER NOT NULL, media TEXT NOT NULL,
        path TEXT NOT NULL, salt BLOB NOT NULL, leaf BLOB NOT NULL) STRICT;
", "
    CREATE TABLE source (folder TEXT PRIMARY KEY) STRICT;
", "
    ALTER TABLE documents ADD COLUMN drawn INTEGER NOT NULL DEFAULT 0;
    UPDATE documents SET drawn = text <> document;
    ALTER TABLE documents ADD COLUMN file TEXT;
    ALTER TABLE documents ADD COLUMN how TEXT;
    ALTER TABLE documents ADD COLUMN source TEXT;
    ALTER TABLE documents ADD COLUMN licence TEXT;
    ALTER TABLE documents ADD COLUMN edition TEXT;
    ALTER TABLE documents ADD COLUMN language TEXT;
    ALTER TABLE documents ADD COLUMN date TEXT;
    DROP INDEX documents_text;
    CREATE INDEX documents_text ON documents (text, path);
    CREATE INDEX documents_since ON documents (since, path);
    CREATE INDEX documents_until ON documents (until, path) WHERE until IS NOT NULL;
    CREATE INDEX documents_file ON documents (file) WHERE file IS NOT NULL AND until IS NULL;
    CREATE TABLE files (
        path TEXT PRIMARY KEY, digest BLOB NOT NULL, bytes INTEGER NOT NULL, how TEXT, skipped INTEGER NOT NULL) STRICT;
    CREATE TABLE declared (how TEXT NOT NULL) STRICT;
", "
    CREATE TABLE spaces (
        id INTEGER PRIMARY KEY, space BLOB NOT NULL UNIQUE, model TEXT NOT NULL, dimensions INTEGER NOT NULL) STRICT;
    CREATE TABLE vectors (
        space INTEGER NOT NULL REFERENCES spaces (id), passage INTEGER NOT NULL REFERENCES passages (id), half BLOB NOT NULL,
        PRIMARY KEY (space, passage)) STRICT, WITHOUT ROWID;
", "
    CREATE TABLE keeper (origin TEXT NOT NULL, vkey TEXT NOT NULL) STRICT;
", "
    ALTER TABLE documents ADD COLUMN decoding TEXT;
"];

/// The open database.
#[derive(Clone, Debug)]
pub(crate) struct Records {
    at: Arc<Path>,
    pool: SqlitePool,
}

/// A connection to it.
pub(crate) struct Session {
    at: Arc<Path>,
    on: On,
}

enum On {
    /// Each statement is a transaction of its own.
    Statements(PoolConnection<Sqlite>),
    /// All of them are one.
    One(sqlx::Transaction<'static, Sqlite>),
}

impl Records {
    pub(crate) async fn open(collection: &Path) -> Result<Self, StoreError> {
        let path = collection.join(FILE);
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A lost revision after a power cut is indexed again; a torn one is not possible in WAL.
            .synchronous(SqliteSynchronous::Normal)
            // Digests come in no order: their index is written all over, and its pages should not be fetched each time.
            .pragma("cache_size", "-32768")
            .busy_timeout(Duration::from_secs(5));
        let pool = SqlitePoolOptions::new().max_connections(4).acquire_timeout(Duration::from_secs(30));
        // A file does not hang up.
        let pool = pool.test_before_acquire(false);
        let pool = pool.connect_with(options).await.map_err(|error| from_sqlx(&path, &error))?;
        let records = Self { at: path.into(), pool };
        records.migrate().await?;
        Ok(records)
    }

    pub(crate) fn at(&self) -> &Path {
        &self.at
    }

    fn session(&self, on: On) -> Session {
        Session { at: Arc::clone(&self.at), on }
    }

    fn failed(&self) -> impl Fn(sqlx::Error) -> StoreError + '_ {
        |error| from_sqlx(&self.at, &error)
    }

    pub(crate) async fn read(&self) -> Result<Session, StoreError> {
        Ok(self.session(On::Statements(self.pool.acquire().await.map_err(self.failed())?)))
    }

    pub(crate) async fn snapshot(&self) -> Result<Session, StoreError> {
        Ok(self.session(On::One(self.pool.begin().await.map_err(self.failed())?)))
    }

    pub(crate) async fn write(&self) -> Result<Session, StoreError> {
        Ok(self.session(On::One(self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(self.failed())?)))
    }

    pub(crate) fn bytes_on_disk(&self) -> u64 {
        let size = |path: PathBuf| fs::metadata(path).map_or(0, |about| about.len());
        let mut log = self.at.to_path_buf().into_os_string();
        log.push("-wal");
        size(self.at.to_path_buf()) + size(log.into())
    }

    async fn version(&self, connection: &mut SqliteConnection) -> Result<usize, StoreError> {
        let found: i64 =
            sqlx::query_scalar("PRAGMA user_version").fetch_one(connection).await.map_err(self.failed())?;
        let known = MIGRATIONS.len();
        usize::try_from(found).ok().filter(|found| *found <= known).ok_or_else(|| StoreError::Newer {
            path: self.at.to_path_buf(),
            found,
            known: i64::try_from(known).unwrap_or(i64::MAX),
        })
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await.map_err(self.failed())?;
        if self.version(&mut connection).await? == MIGRATIONS.len() {
            return Ok(());
        }
        drop(connection);
        let mut session = self.write().await?;
        // Read again under the lock: another program may have been first.
        for (place, script) in MIGRATIONS.iter().enumerate().skip(self.version(session.on()).await?) {
            sqlx::raw_sql(*script).execute(session.on()).await.map_err(self.failed())?;
            let next = sqlx::AssertSqlSafe(format!("PRAGMA user_version = {}", place + 1));
            sqlx::raw_sql(next).execute(session.on()).await.map_err(self.failed())?;
        }
        session.commit().await
    }
}

impl Session {
    pub(crate) fn at(&self) -> &Path {
        &self.at
    }

    fn on(&mut self) -> &mut SqliteConnection {
        match &mut self.on {
            On::Statements(on) => on,
            On::One(on) => on,
        }
    }

    /// Turns SQLite's errors into ours.
    fn failed(&self) -> impl Fn(sqlx::Error) -> StoreError + use<> {
        let at = Arc::clone(&self.at);
        move |error| from_sqlx(&at, &error)
    }

    fn columns<'a>(&'a self, row: &'a SqliteRow) -> RowOf<'a> {
        RowOf { at: &self.at, row }
    }
}

/// A row with where it comes from.
struct RowOf<'a> {
    at: &'a Path,
    row: &'a SqliteRow,
}

impl Columns for RowOf<'_> {
    fn at(&self) -> &Path {
        self.at
    }

    fn integer(&self, column: &str) -> Result<i64, StoreError> {
        self.row.try_get(column).map_err(|error| from_sqlx(self.at, &error))
    }

    fn text(&self, column: &str) -> Result<String, StoreError> {
        self.row.try_get(column).map_err(|error| from_sqlx(self.at, &error))
    }

    fn maybe_text(&self, column: &str) -> Result<Option<String>, StoreError> {
        self.row.try_get(column).map_err(|error| from_sqlx(self.at, &error))
    }

    fn bytes(&self, column: &str) -> Result<Vec<u8>, StoreError> {
        self.row.try_get(column).map_err(|error| from_sqlx(self.at, &error))
    }
}
