//! Everything else that is written: published heads, blocks, and the faults that cut history.

use receipts::{ledger::block::CertifiedBlock, merkle::Tree};
use sqlx::{Connection, Row};

use super::{Store, StoreError, append::put_head, index};

impl Store {
    /// Keeps a head as the published one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn publish(&mut self, note: &str) -> Result<(), StoreError> {
        let put = put_head(&mut self.connection, "published", note).await;
        put.map_err(|source| self.sql(source))
    }

    /// Keeps a certified block and the published note of its head.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn add_block(&mut self, block: &CertifiedBlock, note: &str) -> Result<(), StoreError> {
        let text = serde_json::to_string(block).map_err(|error| self.damaged(error.to_string()))?;
        let row = sqlx::query("INSERT INTO block (height, size, certified, note) VALUES (?, ?, ?, ?)");
        let row = row.bind(index(block.block.height.0)).bind(index(block.block.size.0)).bind(text).bind(note);
        row.execute(&mut self.connection).await.map(|_rows| ()).map_err(|source| self.sql(source))
    }

    /// Takes back the last blocks; gives the last that stays.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn take_back(&mut self, depth: u64, tree: &Tree) -> Result<Option<CertifiedBlock>, StoreError> {
        let cut =
            sqlx::query("DELETE FROM block WHERE height > (SELECT max(height) FROM block) - ?").bind(index(depth));
        cut.execute(&mut self.connection).await.map_err(|source| self.sql(source))?;
        let last = sqlx::query("SELECT certified FROM block ORDER BY height DESC LIMIT 1");
        let last = last.fetch_optional(&mut self.connection).await.map_err(|source| self.sql(source))?;
        last.map(|row| self.block(row.get(0), tree)).transpose()
    }

    /// Cuts the log to its first `size` entries, with the blocks above and what was credited. `latest` is the signed head of
    /// what stays, `published` the note to show.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn cut(&mut self, size: u64, latest: &str, published: &str) -> Result<(), StoreError> {
        let path = self.path.clone();
        let sql = |source| StoreError::Sql { path: path.clone(), source };
        let mut transaction = self.connection.begin().await.map_err(sql)?;
        for cut in [
            "DELETE FROM receipt_file WHERE idx >= ?",
            "DELETE FROM entry WHERE idx >= ?",
            "DELETE FROM block WHERE size > ?",
        ] {
            sqlx::query(cut).bind(index(size)).execute(&mut *transaction).await.map_err(sql)?;
        }
        let counted = "DELETE FROM class_count; \
                       INSERT INTO class_count (class, entries) SELECT class, count(*) FROM entry GROUP BY class";
        sqlx::raw_sql(counted).execute(&mut *transaction).await.map_err(sql)?;
        put_head(&mut transaction, "latest", latest).await.map_err(sql)?;
        put_head(&mut transaction, "published", published).await.map_err(sql)?;
        transaction.commit().await.map_err(sql)
    }

    /// The note of the last block whose head has at most `size` entries, and how many it has.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn block_note(&mut self, size: u64) -> Result<Option<(u64, String)>, StoreError> {
        let query =
            sqlx::query("SELECT size, note FROM block WHERE size <= ? ORDER BY height DESC LIMIT 1").bind(index(size));
        let row = query.fetch_optional(&mut self.connection).await.map_err(|source| self.sql(source))?;
        row.map(|row| Ok((super::unsigned(row.get(0)), row.get(1)))).transpose()
    }

    /// How many entries are stored: what the writer asks after a commit of which it does not know whether it was made.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn size(&mut self) -> Result<u64, StoreError> {
        let query = sqlx::query("SELECT coalesce(max(idx) + 1, 0) FROM entry");
        let row = query.fetch_one(&mut self.connection).await.map_err(|source| self.sql(source))?;
        Ok(super::unsigned(row.get(0)))
    }
}
