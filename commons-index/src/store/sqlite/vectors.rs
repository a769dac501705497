//! Vectors in `records.sqlite`.

use receipts::Digest;

use super::Session;
use crate::{
    error::StoreError,
    store::rows::{Columns as _, PassageRow, Space, VectorRow, signed},
};

impl Session {
    pub(crate) async fn spaces(&mut self) -> Result<Vec<Space>, StoreError> {
        self.all(sqlx::query("SELECT * FROM spaces ORDER BY id"), |row| Space::of(row)).await
    }

    pub(crate) async fn missing(&mut self, space: i64) -> Result<u64, StoreError> {
        let query = sqlx::query(
            "SELECT count(*) AS count FROM passages p JOIN documents d ON d.id = p.document
             WHERE d.until IS NULL AND NOT EXISTS (SELECT 1 FROM vectors v WHERE v.space = ? AND v.passage = p.id)",
        );
        Ok(self.one(query.bind(space), |row| row.number("count")).await?.unwrap_or(0))
    }

    pub(crate) async fn without_vector(
        &mut self,
        space: i64,
        after: u64,
        most: u64,
    ) -> Result<Vec<PassageRow>, StoreError> {
        let query = sqlx::AssertSqlSafe(format!(
            "{} WHERE d.until IS NULL AND p.id > ?
             AND NOT EXISTS (SELECT 1 FROM vectors v WHERE v.space = ? AND v.passage = p.id) ORDER BY p.id LIMIT ?",
            super::reading::PASSAGE
        ));
        self.all(sqlx::query(query).bind(signed(after)).bind(space).bind(signed(most)), |row| PassageRow::of(row)).await
    }

    pub(crate) async fn live_vectors(
        &mut self,
        space: i64,
        after: &(String, i64),
        most: u64,
    ) -> Result<Vec<VectorRow>, StoreError> {
        let query = sqlx::query(
            "SELECT p.id, d.id AS owner, d.path, p.start, v.half FROM passages p JOIN documents d ON d.id = p.document
             JOIN vectors v ON v.space = ? AND v.passage = p.id
             WHERE d.until IS NULL AND (d.path, p.start) > (?, ?) ORDER BY d.path, p.start LIMIT ?",
        );
        let query = query.bind(space).bind(after.0.clone()).bind(after.1).bind(signed(most));
        self.all(query, |row| VectorRow::of(row)).await
    }

    pub(crate) async fn add_space(&mut self, space: Digest, model: &str, dimensions: u32) -> Result<i64, StoreError> {
        let query = sqlx::query("INSERT OR IGNORE INTO spaces (space, model, dimensions) VALUES (?, ?, ?)");
        let query = query.bind(space.0.to_vec()).bind(model).bind(i64::from(dimensions));
        query.execute(self.on()).await.map_err(self.failed())?;
        let query = sqlx::query("SELECT id FROM spaces WHERE space = ?").bind(space.0.to_vec());
        let found = self.one(query, |row| row.integer("id")).await?;
        found
            .ok_or_else(|| StoreError::Damaged { path: self.at().to_owned(), cause: "a space was not kept".to_owned() })
    }

    pub(crate) async fn add_vectors(&mut self, space: i64, vectors: &[(u64, Vec<u8>)]) -> Result<(), StoreError> {
        for (passage, half) in vectors {
            let query = sqlx::query("INSERT OR IGNORE INTO vectors (space, passage, half) VALUES (?, ?, ?)");
            let query = query.bind(space).bind(signed(*passage)).bind(half);
            query.execute(self.on()).await.map_err(self.failed())?;
        }
        Ok(())
    }
}
