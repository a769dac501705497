//! What a witness keeps: of each log, the head it cosigned last. SQLite, flushed at each change.
//!
//! **Invariant:** a recorded head is only ever replaced by one that is not smaller.

use std::path::{Path, PathBuf};

use receipts::{Digest, checkpoint::Checkpoint};
use sqlx::{
    Connection, Row,
    sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous},
};

const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS seen (
  origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL
) STRICT, WITHOUT ROWID";

/// Why a witness does not remember.
#[derive(Debug, thiserror::Error)]
pub enum WitnessStoreError {
    /// SQLite, or the disk under it.
    #[error("storage {path}: {source}")]
    Sql {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: sqlx::Error,
    },
    /// What is stored makes no sense, or would go back.
    #[error("storage {path} is damaged: the head of {origin}; a witness that forgot must get a new key")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Of which log.
        origin: String,
    },
}

/// The heads cosigned last.
pub struct SeenHeads {
    path: PathBuf,
    connection: SqliteConnection,
}

impl SeenHeads {
    /// Opens the store of a folder, making it when there is none.
    ///
    /// # Errors
    /// [`WitnessStoreError`].
    pub async fn open(folder: &Path) -> Result<Self, WitnessStoreError> {
        let path = folder.join("witness.sqlite");
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        let sql = |source| WitnessStoreError::Sql { path: path.clone(), source };
        let mut connection = SqliteConnection::connect_with(&options).await.map_err(sql)?;
        sqlx::query(SCHEMA).execute(&mut connection).await.map_err(sql)?;
        Ok(Self { path, connection })
    }

    /// The head cosigned last of a log.
    ///
    /// # Errors
    /// [`WitnessStoreError`].
    pub async fn last(&mut self, origin: &str) -> Result<Option<Checkpoint>, WitnessStoreError> {
        let query = sqlx::query("SELECT size, root FROM seen WHERE origin = ?").bind(origin);
        let row = query.fetch_optional(&mut self.connection).await;
        let row = row.map_err(|source| WitnessStoreError::Sql { path: self.path.clone(), source })?;
        let Some(row) = row else { return Ok(None) };
        let (size, root): (i64, &[u8]) = (row.get(0), row.get(1));
        match (u64::try_from(size), root.try_into()) {
            (Ok(size), Ok(root)) => Ok(Some(Checkpoint { origin: origin.to_owned(), size, root: Digest(root) })),
            (Err(_), _) | (_, Err(_)) => Err(self.damaged(origin)),
        }
    }

    /// Keeps a head; it is on disk when this returns.
    ///
    /// # Errors
    /// [`WitnessStoreError`].
    pub async fn record(&mut self, head: &Checkpoint) -> Result<(), WitnessStoreError> {
        let size = i64::try_from(head.size).map_err(|_large| self.damaged(&head.origin))?;
        let put = "INSERT INTO seen (origin, size, root) VALUES (?, ?, ?) \
                   ON CONFLICT (origin) DO UPDATE SET size = excluded.size, root = excluded.root \
                   WHERE excluded.size >= seen.size";
        let put = sqlx::query(put).bind(&head.origin).bind(size).bind(head.root.0.as_slice());
        let rows = put.execute(&mut self.connection).await;
        let rows = rows.map_err(|source| WitnessStoreError::Sql { path: self.path.clone(), source })?;
        if rows.rows_affected() == 1 { Ok(()) } else { Err(self.damaged(&head.origin)) }
    }

    fn damaged(&self, origin: &str) -> WitnessStoreError {
        WitnessStoreError::Damaged { path: self.path.clone(), origin: origin.to_owned() }
    }

    /// Writes everything out and closes.
    ///
    /// # Errors
    /// [`WitnessStoreError`].
    pub async fn close(self) -> Result<(), WitnessStoreError> {
        let path = self.path;
        self.connection.close().await.map_err(|source| WitnessStoreError::Sql { path, source })
    }
}

#[cfg(test)]
mod tests {
    use receipts::{Digest, checkpoint::Checkpoint};

    use super::{SeenHeads, WitnessStoreError};

    #[tokio::test]
    async fn a_head_is_kept_and_never_goes_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let head = |size, root: &[u8]| Checkpoint { origin: "log".to_owned(), size, root: Digest::of(root) };
        let mut seen = SeenHeads::open(folder.path()).await.expect("opens");
        assert_eq!(seen.last("log").await.expect("reads"), None);
        seen.record(&head(3, b"3")).await.expect("keeps");
        seen.record(&head(5, b"5")).await.expect("keeps");
        assert!(matches!(seen.record(&head(4, b"4")).await, Err(WitnessStoreError::Damaged { .. })));
        seen.close().await.expect("closes");
        let mut seen = SeenHeads::open(folder.path()).await.expect("opens");
        assert_eq!(seen.last("log").await.expect("reads"), Some(head(5, b"5")));
        assert_eq!(seen.last("other").await.expect("reads"), None);
    }
}
