//! Vectors in `records.sqlite`.

use receipts::Digest;

use super::Session;
use crate::{
    error::StoreError,
    store::rows::{Columns as _, PassageRow, Searched, Space, VectorRow, signed},
};

/// Documents that are searched at revision ?1: of several with one text the first by path.
const SEARCHED: &str = "d.since <= ?1 AND (d.until IS NULL OR d.until > ?1) AND NOT EXISTS (
    SELECT 1 FROM documents o WHERE o.text = d.text AND o.path < d.path AND o.since <= ?1
        AND (o.until IS NULL OR o.until > ?1))";

/// Vectors in the order of texts behind a place. Left to itself the planner begins with all vectors and sorts them, each time
/// anew: `CROSS JOIN` keeps the order in which the tables are written, and the text alone says where an index is entered.
fn next_vectors() -> String {
    format!(
        "SELECT p.id, d.id AS owner, d.text, p.start, v.half FROM documents d
         CROSS JOIN passages p ON p.document = d.id CROSS JOIN vectors v ON v.space = ?2 AND v.passage = p.id
         WHERE {SEARCHED} AND d.text >= ?3 AND (d.text, p.start) > (?3, ?4) ORDER BY d.text, p.start LIMIT ?5"
    )
}

impl Session {
    pub(crate) async fn spaces(&mut self) -> Result<Vec<Space>, StoreError> {
        self.all(sqlx::query("SELECT * FROM spaces ORDER BY id"), |row| Space::of(row)).await
    }

    pub(crate) async fn searched(&mut self, revision: i64) -> Result<Vec<Searched>, StoreError> {
        let query = sqlx::query(
            "SELECT id, path, text, source, licence, edition, language, date FROM documents
             WHERE since <= ?1 AND (until IS NULL OR until > ?1) ORDER BY path",
        );
        self.all(query.bind(revision), |row| Searched::of(row)).await
    }

    pub(crate) async fn missing(&mut self, space: i64, revision: i64) -> Result<u64, StoreError> {
        let query = sqlx::AssertSqlSafe(format!(
            "SELECT count(*) AS count FROM passages p JOIN documents d ON d.id = p.document WHERE {SEARCHED}
             AND NOT EXISTS (SELECT 1 FROM vectors v WHERE v.space = ?2 AND v.passage = p.id)"
        ));
        let query = sqlx::query(query).bind(revision).bind(space);
        Ok(self.one(query, |row| row.number("count")).await?.unwrap_or(0))
    }

    pub(crate) async fn without_vector(
        &mut self,
        space: i64,
        revision: i64,
        after: u64,
        most: u64,
    ) -> Result<Vec<PassageRow>, StoreError> {
        let query = sqlx::AssertSqlSafe(format!(
            "{} WHERE {SEARCHED} AND p.id > ?3
             AND NOT EXISTS (SELECT 1 FROM vectors v WHERE v.space = ?2 AND v.passage = p.id) ORDER BY p.id LIMIT ?4",
            super::reading::PASSAGE
        ));
        let query = sqlx::query(query).bind(revision).bind(space).bind(signed(after)).bind(signed(most));
        self.all(query, |row| PassageRow::of(row)).await
    }

    pub(crate) async fn vectors(
        &mut self,
        space: i64,
        revision: i64,
        (text, start): (Digest, i64),
        most: u64,
    ) -> Result<Vec<VectorRow>, StoreError> {
        let query = sqlx::query(sqlx::AssertSqlSafe(next_vectors()))
            .bind(revision)
            .bind(space)
            .bind(text.0.to_vec())
            .bind(start);
        self.all(query.bind(signed(most)), |row| VectorRow::of(row)).await
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

#[cfg(test)]
mod tests {
    use sqlx::{AssertSqlSafe, Row as _};

    use super::{super::Records, next_vectors};

    /// A part of a million vectors is as soon there as one of a thousand.
    #[tokio::test]
    async fn the_next_vectors_are_found_from_their_place_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let records = Records::open(folder.path()).await.expect("opens");
        let mut session = records.read().await.expect("reads");
        let explained = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", next_vectors())));
        let steps = explained.fetch_all(session.on()).await.expect("a plan");
        let steps: Vec<String> = steps.iter().map(|step| step.get("detail")).collect();
        assert_eq!(steps[0], "SEARCH d USING INDEX documents_text (text>?)", "{steps:?}");
        assert!(!steps.contains(&"USE TEMP B-TREE FOR ORDER BY".to_owned()), "{steps:?}");
    }
}
