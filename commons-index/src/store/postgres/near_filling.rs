//! Brings the vectors of a collection as they were made to where pgvector searches them, batch by batch: stopped at any
//! moment, it goes on from there.

use half::f16;
use receipts::Digest;
use sqlx::AssertSqlSafe;

use super::{
    RowOf,
    near::{PostgresVectors, ROWS},
    vectors::SEARCHED,
};
use crate::{
    error::StoreError,
    store::rows::{Columns as _, signed},
};

/// A passage that is searched and a vector of it, where that is in the table of those made and not where it is searched.
const TO_BRING: &str = "
    CROSS JOIN LATERAL (SELECT v.half FROM vectors v WHERE v.space = $3 AND v.passage = p.id OFFSET 0) v
    WHERE p.collection = $1 AND p.id > $5 AND NOT EXISTS (
        SELECT FROM near_vectors n WHERE n.space = (SELECT id FROM near_spaces WHERE space = $4) AND n.passage = p.id OFFSET 0)
    ORDER BY p.id LIMIT $6";

impl PostgresVectors {
    /// How many passages that are searched have no vector here. That there are none is kept, by whoever may write, so that
    /// nobody looks at each passage of the revision again: vectors that are here stay.
    ///
    /// # Errors
    /// The store failed, also after it was asked again.
    pub(crate) async fn lacking(&self, space: Digest) -> Result<u64, StoreError> {
        self.asked(|| self.lacking_once(space)).await
    }

    async fn lacking_once(&self, space: Digest) -> Result<u64, StoreError> {
        let pool = &self.server.pool;
        let known = sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM near_revisions WHERE collection = $1 AND revision = $2
                AND space = (SELECT id FROM near_spaces WHERE space = $3))",
        );
        let known = known.bind(self.collection).bind(self.revision).bind(space.0.to_vec());
        if known.fetch_one(pool).await.map_err(self.failed())? {
            return Ok(0);
        }
        let count = AssertSqlSafe(format!(
            "SELECT coalesce(sum(p.lacking), 0)::bigint AS count FROM documents d
             CROSS JOIN LATERAL (
                SELECT count(*) AS lacking FROM passages p WHERE p.document = d.id AND NOT EXISTS (
                    SELECT FROM near_vectors v
                    WHERE v.space = (SELECT id FROM near_spaces WHERE space = $3) AND v.passage = p.id OFFSET 0)) p
             WHERE {SEARCHED}"
        ));
        let count = sqlx::query(count).bind(self.collection).bind(self.revision).bind(space.0.to_vec());
        let row = count.fetch_one(pool).await.map_err(self.failed())?;
        let lacking = RowOf { at: &self.server.at, row: &row }.number("count")?;
        let may = "SELECT has_table_privilege('near_revisions', 'INSERT')
            AND current_setting('transaction_read_only') = 'off'";
        if lacking == 0 && sqlx::query_scalar(may).fetch_one(pool).await.map_err(self.failed())? {
            let keep = sqlx::query(
                "INSERT INTO near_revisions (collection, space, revision)
                 SELECT $1, id, $2 FROM near_spaces WHERE space = $3 ON CONFLICT DO NOTHING",
            );
            let keep = keep.bind(self.collection).bind(self.revision).bind(space.0.to_vec());
            keep.execute(pool).await.map_err(self.failed())?;
        }
        Ok(lacking)
    }

    /// Brings the next vectors here, of passages beyond row `after`; `made` is the row of their space among those made. Gives
    /// the last passage's row and how many there were, none at the end.
    ///
    /// # Errors
    /// The store failed, or has a vector that is none; what was brought before stays.
    pub(crate) async fn bring(&self, space: Digest, made: i64, after: u64) -> Result<Option<(u64, u64)>, StoreError> {
        let text = AssertSqlSafe(format!(
            "SELECT p.id, v.half FROM passages p
             CROSS JOIN LATERAL (SELECT FROM documents d WHERE d.id = p.document AND {SEARCHED} OFFSET 0) d {TO_BRING}"
        ));
        let query = sqlx::query(text).bind(self.collection).bind(self.revision).bind(made).bind(space.0.to_vec());
        let query = query.bind(signed(after)).bind(signed(ROWS as u64));
        let rows = query.fetch_all(&self.server.pool).await.map_err(self.failed())?;
        let number = |pair: &[u8; 2]| f16::from_le_bytes(*pair).to_f32();
        let vector = |row| {
            let columns = RowOf { at: &self.server.at, row };
            Ok((columns.number("id")?, columns.bytes("half")?.as_chunks().0.iter().map(number).collect()))
        };
        let vectors = rows.iter().map(vector).collect::<Result<Vec<(u64, Vec<f32>)>, StoreError>>()?;
        self.put(space, &vectors).await?;
        Ok(vectors.last().map(|(last, _vector)| (*last, vectors.len() as u64)))
    }
}
