//! Vectors in the schema `ii_commons`, as they were made: every database has them, with or without pgvector. A home draws
//! its file of them, and answers from that as it does from one drawn from `records.sqlite`.

use receipts::Digest;

use super::Session;
use crate::{
    error::StoreError,
    store::rows::{Columns as _, PassageRow, Searched, Space, VectorRow, signed},
};

/// Documents of collection $1 that are searched at revision $2: of several with one text the first by path. Asked for each
/// row by its index (`OFFSET 0`, `+ 0`), whatever the planner knows of the tables.
pub(super) const SEARCHED: &str =
    "d.collection = $1 AND d.since + 0 <= $2 AND (d.until IS NULL OR d.until + 0 > $2) AND NOT EXISTS (
    SELECT FROM documents o WHERE o.collection = $1 AND o.text = d.text AND o.path < d.path AND o.since + 0 <= $2
        AND (o.until IS NULL OR o.until + 0 > $2) OFFSET 0)";

impl Session {
    pub(crate) async fn spaces(&mut self) -> Result<Vec<Space>, StoreError> {
        let query = sqlx::query("SELECT id, space, model, dimensions FROM spaces WHERE collection = $1 ORDER BY id");
        self.all(query.bind(self.collection), |row| Space::of(row)).await
    }

    pub(crate) async fn searched(&mut self, revision: i64) -> Result<Vec<Searched>, StoreError> {
        let query = sqlx::query(
            "SELECT id, path, text, source, licence, edition, language, date FROM documents
             WHERE collection = $1 AND since <= $2 AND (until IS NULL OR until > $2) ORDER BY path",
        );
        self.all(query.bind(self.collection).bind(revision), |row| Searched::of(row)).await
    }

    pub(crate) async fn missing(&mut self, space: i64, revision: i64) -> Result<u64, StoreError> {
        let query = sqlx::AssertSqlSafe(format!(
            "SELECT coalesce(sum(p.missing), 0)::bigint AS count FROM documents d
             CROSS JOIN LATERAL (
                SELECT count(*) AS missing FROM passages p WHERE p.document = d.id AND NOT EXISTS (
                    SELECT FROM vectors v WHERE v.space = $3 AND v.passage = p.id OFFSET 0)) p
             WHERE {SEARCHED}"
        ));
        let query = sqlx::query(query).bind(self.collection).bind(revision).bind(space);
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
            "{} FROM passages p
             CROSS JOIN LATERAL (SELECT * FROM documents d WHERE d.id = p.document AND {SEARCHED} OFFSET 0) d
             WHERE p.collection = $1 AND p.id > $4
             AND NOT EXISTS (SELECT FROM vectors v WHERE v.space = $3 AND v.passage = p.id OFFSET 0)
             ORDER BY p.id LIMIT $5",
            super::reading::COLUMNS
        ));
        let query = sqlx::query(query).bind(self.collection).bind(revision).bind(space);
        self.all(query.bind(signed(after)).bind(signed(most)), |row| PassageRow::of(row)).await
    }

    pub(crate) async fn vectors(
        &mut self,
        space: i64,
        revision: i64,
        (text, start): (Digest, i64),
        most: u64,
    ) -> Result<Vec<VectorRow>, StoreError> {
        // That a text is not before the last one is said twice: the index is looked up by it alone.
        let query = sqlx::AssertSqlSafe(format!(
            "SELECT p.id, d.id AS owner, d.text, p.start, p.half FROM documents d
             CROSS JOIN LATERAL (
                SELECT p.id, p.start, v.half FROM passages p JOIN vectors v ON v.space = $3 AND v.passage = p.id
                WHERE p.document = d.id ORDER BY p.start OFFSET 0) p
             WHERE {SEARCHED} AND d.text >= $4 AND (d.text, p.start) > ($4, $5) ORDER BY d.text, p.start LIMIT $6"
        ));
        let query = sqlx::query(query).bind(self.collection).bind(revision).bind(space);
        let query = query.bind(text.0.to_vec()).bind(start).bind(signed(most));
        self.all(query, |row| VectorRow::of(row)).await
    }

    pub(crate) async fn add_space(&mut self, space: Digest, model: &str, dimensions: u32) -> Result<i64, StoreError> {
        let query = sqlx::query(
            "INSERT INTO spaces (collection, space, model, dimensions) VALUES ($1, $2, $3, $4)
             ON CONFLICT (collection, space) DO NOTHING",
        );
        let query = query.bind(self.collection).bind(space.0.to_vec()).bind(model).bind(i64::from(dimensions));
        query.execute(self.on()).await.map_err(self.failed())?;
        let query = sqlx::query("SELECT id FROM spaces WHERE collection = $1 AND space = $2");
        let found = self.one(query.bind(self.collection).bind(space.0.to_vec()), |row| row.integer("id")).await?;
        found
            .ok_or_else(|| StoreError::Damaged { path: self.at().to_owned(), cause: "a space was not kept".to_owned() })
    }

    pub(crate) async fn add_vectors(&mut self, space: i64, vectors: &[(u64, Vec<u8>)]) -> Result<(), StoreError> {
        let passages: Vec<i64> = vectors.iter().map(|(passage, _half)| signed(*passage)).collect();
        let halves: Vec<&[u8]> = vectors.iter().map(|(_passage, half)| half.as_slice()).collect();
        let query = sqlx::query(
            "INSERT INTO vectors (space, passage, half)
             SELECT $1, one.passage, one.half FROM unnest($2::bigint[], $3::bytea[]) AS one (passage, half)
             ON CONFLICT DO NOTHING",
        );
        let query = query.bind(space).bind(passages).bind(halves);
        query.execute(self.on()).await.map_err(self.failed()).map(drop)
    }
}
