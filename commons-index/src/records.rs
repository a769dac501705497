//! `records.sqlite`: documents, texts, passages, corpus and revisions of one collection. The truth that everything else is
//! drawn from.
//!
//! **Invariant:** rows of texts, passages and corpus are only added; a document row only ever gets its end.
//! **Invariant:** a schema newer than this program is refused, not guessed at.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use receipts::Digest;
use sqlx::{
    Row, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous},
};

use crate::{
    document::Document,
    error::{StoreError, from_sqlx},
};

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
"];

/// Texts are kept in pieces of this many bytes, each compressed by itself, so that a passage of a large text is read without
/// the rest of it.
pub(crate) const CHUNK: usize = 64 << 10;

/// A revision of the collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// Counted from 1.
    pub number: i64,
    /// Entries in the corpus.
    pub size: u64,
    /// RFC 6962 root over them.
    pub root: Digest,
    /// The signed head, as the caller's signer gave it.
    pub checkpoint: Vec<u8>,
    /// Documents then.
    pub documents: u64,
    /// Passages then.
    pub passages: u64,
}

/// A document of the latest revision, as an ingest compares it.
#[derive(Clone, Debug)]
pub struct Live {
    pub(crate) id: i64,
    /// Relative path.
    pub path: String,
    /// SHA-256 of the file.
    pub document: Digest,
    /// Its length.
    pub bytes: u64,
    /// Its media type.
    pub media: String,
    /// Its title.
    pub title: String,
}

/// The open database.
#[derive(Clone, Debug)]
pub(crate) struct Records {
    pub(crate) path: PathBuf,
    pub(crate) pool: SqlitePool,
}

type Transaction = sqlx::Transaction<'static, sqlx::Sqlite>;

impl Records {
    /// Opens or creates the database in a collection's folder and brings its schema up to date.
    pub(crate) async fn open(collection: &Path) -> Result<Self, StoreError> {
        let path = collection.join("records.sqlite");
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A lost revision after a power cut is indexed again; a torn one is not possible in WAL.
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(Duration::from_secs(5));
        let pool = SqlitePoolOptions::new().max_connections(4).acquire_timeout(Duration::from_secs(10));
        let pool = pool.connect_with(options).await.map_err(|error| from_sqlx(&path, &error))?;
        let records = Self { path, pool };
        records.migrate().await?;
        Ok(records)
    }

    pub(crate) fn failed(&self) -> impl Fn(sqlx::Error) -> StoreError + '_ {
        |error| from_sqlx(&self.path, &error)
    }

    pub(crate) fn damaged(&self, cause: &str) -> StoreError {
        StoreError::Damaged { path: self.path.clone(), cause: cause.to_owned() }
    }

    async fn version(&self, connection: &mut SqliteConnection) -> Result<usize, StoreError> {
        let found: i64 =
            sqlx::query_scalar("PRAGMA user_version").fetch_one(connection).await.map_err(self.failed())?;
        let known = MIGRATIONS.len();
        usize::try_from(found).ok().filter(|found| *found <= known).ok_or_else(|| StoreError::Newer {
            path: self.path.clone(),
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
        let mut transaction = self.write().await?;
        // Read again under the lock: another program may have been first.
        for (place, script) in MIGRATIONS.iter().enumerate().skip(self.version(&mut transaction).await?) {
            sqlx::raw_sql(*script).execute(&mut *transaction).await.map_err(self.failed())?;
            let next = sqlx::AssertSqlSafe(format!("PRAGMA user_version = {}", place + 1));
            sqlx::raw_sql(next).execute(&mut *transaction).await.map_err(self.failed())?;
        }
        transaction.commit().await.map_err(self.failed())
    }

    /// Takes the write lock: of two ingests at once the second waits, then is told `Busy`.
    pub(crate) async fn write(&self) -> Result<Transaction, StoreError> {
        self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(self.failed())
    }

    /// Makes all of an ingest durable at once.
    pub(crate) async fn commit(&self, transaction: Transaction) -> Result<(), StoreError> {
        transaction.commit().await.map_err(self.failed())
    }

    /// The latest revision, if there was any ingest.
    pub(crate) async fn latest(&self) -> Result<Option<Revision>, StoreError> {
        let mut connection = self.pool.acquire().await.map_err(self.failed())?;
        self.latest_in(&mut connection).await
    }

    /// The same within a transaction.
    pub(crate) async fn latest_in(&self, on: &mut SqliteConnection) -> Result<Option<Revision>, StoreError> {
        let row = sqlx::query("SELECT * FROM revisions ORDER BY revision DESC LIMIT 1");
        let row = row.fetch_optional(on).await.map_err(self.failed())?;
        row.map(|row| self.revision(&row)).transpose()
    }

    /// All revisions, oldest first.
    pub(crate) async fn revisions(&self, on: &mut SqliteConnection) -> Result<Vec<Revision>, StoreError> {
        let rows = sqlx::query("SELECT * FROM revisions ORDER BY revision").fetch_all(on).await;
        rows.map_err(self.failed())?.iter().map(|row| self.revision(row)).collect()
    }

    fn revision(&self, row: &SqliteRow) -> Result<Revision, StoreError> {
        Ok(Revision {
            number: row.try_get("revision").map_err(self.failed())?,
            size: self.number(row, "size")?,
            root: self.digest(row, "root")?,
            checkpoint: row.try_get("checkpoint").map_err(self.failed())?,
            documents: self.number(row, "documents")?,
            passages: self.number(row, "passages")?,
        })
    }

    pub(crate) fn digest(&self, row: &SqliteRow, column: &str) -> Result<Digest, StoreError> {
        let bytes: Vec<u8> = row.try_get(column).map_err(self.failed())?;
        bytes.try_into().map(Digest).map_err(|_length| self.damaged("a digest is not 32 bytes"))
    }

    pub(crate) fn number(&self, row: &SqliteRow, column: &str) -> Result<u64, StoreError> {
        let number: i64 = row.try_get(column).map_err(self.failed())?;
        u64::try_from(number).map_err(|_negative| self.damaged("a count is below zero"))
    }

    /// The folder that the collection is of, where one is known: collections of before it was kept have none.
    pub(crate) async fn folder(&self) -> Result<Option<String>, StoreError> {
        sqlx::query_scalar("SELECT folder FROM source").fetch_optional(&self.pool).await.map_err(self.failed())
    }

    /// Keeps the folder that the collection is of.
    pub(crate) async fn is_of(&self, folder: &Path) -> Result<(), StoreError> {
        // Looked at first: whoever only opens it does not wait for somebody who writes.
        if self.folder().await?.is_some() {
            return Ok(());
        }
        let query = sqlx::query("INSERT OR IGNORE INTO source (folder) VALUES (?)").bind(folder.display().to_string());
        query.execute(&self.pool).await.map_err(self.failed()).map(drop)
    }

    /// Documents of the latest revision, in byte order of paths.
    pub(crate) async fn live(&self, on: &mut SqliteConnection) -> Result<Vec<Live>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, path, document, bytes, media, title FROM documents WHERE until IS NULL ORDER BY path",
        );
        let rows = rows.fetch_all(on).await.map_err(self.failed())?;
        rows.iter()
            .map(|row| {
                Ok(Live {
                    id: row.try_get("id").map_err(self.failed())?,
                    path: row.try_get("path").map_err(self.failed())?,
                    document: self.digest(row, "document")?,
                    bytes: self.number(row, "bytes")?,
                    media: row.try_get("media").map_err(self.failed())?,
                    title: row.try_get("title").map_err(self.failed())?,
                })
            })
            .collect()
    }

    /// Ends a document's row at a revision. Its text and passages stay.
    pub(crate) async fn end(&self, on: &mut SqliteConnection, id: i64, revision: i64) -> Result<(), StoreError> {
        let query = sqlx::query("UPDATE documents SET until = ? WHERE id = ?").bind(revision).bind(id);
        query.execute(on).await.map_err(self.failed())?;
        Ok(())
    }

    /// Adds a document with its text and passages.
    pub(crate) async fn add(
        &self,
        on: &mut SqliteConnection,
        zstd: &mut zstd::bulk::Compressor<'static>,
        document: &Document,
        revision: i64,
    ) -> Result<(), StoreError> {
        let text = document.text_digest.0.to_vec();
        for (index, piece) in document.text.as_bytes().chunks(CHUNK).enumerate() {
            let zstd = zstd.compress(piece).map_err(|error| crate::error::from_io(&self.path, &error))?;
            let query = sqlx::query("INSERT OR IGNORE INTO chunks (text, start, zstd) VALUES (?, ?, ?)");
            let query = query.bind(&text).bind(signed((index * CHUNK) as u64)).bind(zstd);
            query.execute(&mut *on).await.map_err(self.failed())?;
        }
        let query = sqlx::query(
            "INSERT INTO documents (path, document, text, bytes, media, title, since) VALUES (?, ?, ?, ?, ?, ?, ?)",
        );
        let query = query.bind(&document.path).bind(document.digest.0.to_vec()).bind(&text);
        let query = query.bind(signed(document.bytes)).bind(document.media.name()).bind(&document.title).bind(revision);
        let id = query.execute(&mut *on).await.map_err(self.failed())?.last_insert_rowid();
        for cuts in document.cuts.chunks(1000) {
            let mut insert =
                sqlx::QueryBuilder::new("INSERT INTO passages (document, start, stop, headings, sentences) ");
            insert.push_values(cuts, |mut row, cut| {
                let mut sentences = Vec::with_capacity(cut.sentences.len() * 4);
                for sentence in &cut.sentences {
                    // Within a passage every offset is below 1,200.
                    for offset in [sentence.start - cut.range.start, sentence.end - cut.range.start] {
                        sentences.extend_from_slice(&u16::try_from(offset).unwrap_or(u16::MAX).to_be_bytes());
                    }
                }
                row.push_bind(id)
                    .push_bind(signed(cut.range.start as u64))
                    .push_bind(signed(cut.range.end as u64))
                    .push_bind(cut.headings.join("\n"))
                    .push_bind(sentences);
            });
            insert.build().execute(&mut *on).await.map_err(self.failed())?;
        }
        Ok(())
    }
}

/// SQLite's integers are signed; sizes and offsets here are far below the difference.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Level 3: 4 times smaller than the text at 200 MB/s. The frames carry a checksum, so that rot on disk is noticed.
pub(crate) fn compressor() -> std::io::Result<zstd::bulk::Compressor<'static>> {
    let mut compressor = zstd::bulk::Compressor::new(3)?;
    compressor.include_checksum(true)?;
    Ok(compressor)
}
