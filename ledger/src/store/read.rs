//! What is asked of storage: entries, receipts, blocks, counts.

use std::path::PathBuf;

use receipts::{
    Digest,
    ledger::{
        block::CertifiedBlock,
        entry::{BenefitClass, LogEntry},
    },
};
use sqlx::{Row, SqlitePool};

use super::{StoreError, digest, entry, index, unsigned};

/// The reading side; cheap to clone.
#[derive(Clone, Debug)]
pub struct Reader {
    pool: SqlitePool,
    path: PathBuf,
}

/// What is stored of a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// In the log, at this index.
    Entry(u64, LogEntry),
    /// Not in the log: the nullifier, and who was credited.
    Conflict(Digest, Digest),
}

/// What is stored for a nullifier.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForNullifier {
    /// The entry that was credited, and its index.
    pub credited: Option<(u64, LogEntry)>,
    /// The receipt files, the credited one first.
    pub files: Vec<String>,
}

impl Reader {
    pub(super) fn new(pool: SqlitePool, path: PathBuf) -> Self {
        Self { pool, path }
    }

    fn sql(&self, source: sqlx::Error) -> StoreError {
        StoreError::Sql { path: self.path.clone(), source }
    }

    fn damaged(&self, what: String) -> StoreError {
        StoreError::Damaged { path: self.path.clone(), what }
    }

    /// Looks for a receipt.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn receipt(&self, receipt: &Digest) -> Result<Option<Found>, StoreError> {
        let query = sqlx::query("SELECT idx, receipt, nullifier, class FROM entry WHERE receipt = ?");
        let row =
            query.bind(receipt.0.as_slice()).fetch_optional(&self.pool).await.map_err(|source| self.sql(source))?;
        if let Some(row) = row {
            let entry = entry(&row).ok_or_else(|| self.damaged(format!("receipt {receipt}")))?;
            return Ok(Some(Found::Entry(unsigned(row.get(0)), entry)));
        }
        let query = "SELECT conflict.nullifier, entry.receipt FROM conflict JOIN entry USING (nullifier) WHERE conflict.receipt = ?";
        let row = sqlx::query(query).bind(receipt.0.as_slice()).fetch_optional(&self.pool).await;
        let Some(row) = row.map_err(|source| self.sql(source))? else { return Ok(None) };
        let (nullifier, credited): (&[u8], &[u8]) = (row.get(0), row.get(1));
        let both = digest(nullifier).zip(digest(credited));
        both.map(|(nullifier, credited)| Some(Found::Conflict(nullifier, credited)))
            .ok_or_else(|| self.damaged(format!("receipt {receipt}")))
    }

    /// All that is stored for a nullifier.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn nullifier(&self, nullifier: &Digest) -> Result<ForNullifier, StoreError> {
        let mut found = ForNullifier::default();
        let query =
            "SELECT idx, receipt, nullifier, class, file FROM entry JOIN receipt_file USING (idx) WHERE nullifier = ?";
        let row = sqlx::query(query).bind(nullifier.0.as_slice()).fetch_optional(&self.pool).await;
        if let Some(row) = row.map_err(|source| self.sql(source))? {
            let entry = entry(&row).ok_or_else(|| self.damaged(format!("nullifier {nullifier}")))?;
            found.credited = Some((unsigned(row.get(0)), entry));
            found.files.push(row.get(4));
        }
        let query = sqlx::query("SELECT file FROM conflict WHERE nullifier = ? ORDER BY rowid LIMIT 64");
        let rows = query.bind(nullifier.0.as_slice()).fetch_all(&self.pool).await.map_err(|source| self.sql(source))?;
        found.files.extend(rows.iter().map(|row| row.get::<String, _>(0)));
        Ok(found)
    }

    /// The bytes of the entries `start..end`; fewer when there are fewer.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn entries(&self, start: u64, end: u64) -> Result<Vec<Vec<u8>>, StoreError> {
        let query =
            sqlx::query("SELECT idx, receipt, nullifier, class FROM entry WHERE idx >= ? AND idx < ? ORDER BY idx");
        let rows = query.bind(index(start)).bind(index(end)).fetch_all(&self.pool).await;
        let rows = rows.map_err(|source| self.sql(source))?;
        let entries = rows.iter().map(|row| entry(row).map(|entry| entry.to_bytes()));
        entries.collect::<Option<_>>().ok_or_else(|| self.damaged(format!("entries from {start}")))
    }

    /// A block and the note of its head.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn block(&self, height: u64) -> Result<Option<(CertifiedBlock, String)>, StoreError> {
        let query = sqlx::query("SELECT certified, note FROM block WHERE height = ?").bind(index(height));
        let row = query.fetch_optional(&self.pool).await.map_err(|source| self.sql(source))?;
        let Some(row) = row else { return Ok(None) };
        let block = serde_json::from_str(row.get(0)).map_err(|_shape| self.damaged(format!("block {height}")))?;
        Ok(Some((block, row.get(1))))
    }

    /// The height of the first block that has the entry at this index.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn height_of(&self, at: u64) -> Result<Option<u64>, StoreError> {
        let query =
            sqlx::query("SELECT height FROM block WHERE size > ? ORDER BY size, height LIMIT 1").bind(index(at));
        let row = query.fetch_optional(&self.pool).await.map_err(|source| self.sql(source))?;
        Ok(row.map(|row| unsigned(row.get(0))))
    }

    /// Entries of each class, and receipts kept as evidence that were not credited.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn counts(&self) -> Result<(Vec<(BenefitClass, u64)>, u64), StoreError> {
        let rows = sqlx::query("SELECT class, entries FROM class_count").fetch_all(&self.pool).await;
        let rows = rows.map_err(|source| self.sql(source))?;
        let counts = rows.iter().map(|row| Some((BenefitClass::parse(row.get(0))?, unsigned(row.get(1)))));
        let counts = counts.collect::<Option<_>>().ok_or_else(|| self.damaged("a class of benefit".to_owned()))?;
        let row = sqlx::query("SELECT count(*) FROM conflict").fetch_one(&self.pool).await;
        Ok((counts, unsigned(row.map_err(|source| self.sql(source))?.get(0))))
    }

    /// Lets go of the files.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}
