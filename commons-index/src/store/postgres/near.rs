//! Vectors that pgvector searches, in half precision, in tables of their own: who wants them there puts them there. Searches of
//! a collection do not come here: they are answered from the file that a home draws.
//!
//! Below [`INDEX_FROM`] vectors every search is an exact scan. From there on a collection has one HNSW index for each space,
//! of its own vectors only, and a filter that lets less than one document in four through is still scanned exactly: such an
//! index finds near vectors first and filters them after, so that a narrow filter leaves it with few of the right ones; and the scan behind such a filter is short.
//!
//! **Invariant:** as many rows come as are wanted or as there are, whichever is less: an index that gave fewer is not believed.
//! **Invariant:** a score is the scalar product of the vectors as they are kept, in double precision; what the database
//! reckoned only chooses whom to score.
//! **Invariant:** only passages of the revision that the searcher stands at are found.

use std::cmp::Reverse;

use receipts::Digest;
use sqlx::{AssertSqlSafe, Row, postgres::PgRow};

use super::{Postgres, RowOf, Version, failed};
use crate::{
    error::StoreError,
    store::rows::{Columns as _, signed},
    vectors::{halves, score},
};

/// From this many vectors of a collection in one space on, an index is worth its building (20 to 30 s for 100,000 vectors of
/// 384 numbers, where an exact scan takes some 40 ms) and its error of some thousandths.
pub(crate) const INDEX_FROM: u64 = 50_000;
/// A filter that lets fewer documents through than one in this many is scanned exactly.
const NARROW: usize = 4;
/// Twice as many are scored as are wanted, and these more: the database's products err by thousandths.
const SPARE: usize = 64;
/// The most vectors of one statement: 6 MB of 384 numbers each.
const ROWS: usize = 4_096;
/// Memory of an index being built.
const BUILD_MEMORY: &str = "512MB";
/// Before it, an index built by several workers may be wrong.
const PARALLEL: Version = (0, 8, 4);

/// The vectors of one collection, at one revision.
#[derive(Clone, Debug)]
pub struct PostgresVectors {
    server: Postgres,
    version: Version,
    collection: i64,
    revision: i64,
}

/// Why no database keeps a collection's vectors.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoVectors {
    /// Its records are in a file.
    #[error("its records are in a file, not in a database")]
    InFile,
    /// The database has no pgvector, or one too old.
    #[error("{why}; searches are by words only")]
    Missing {
        /// What it lacks.
        why: String,
    },
}

/// What a search found, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nearest {
    /// Score in millionths and passage's row, best first; equal scores by path and span.
    pub hits: Vec<(i64, u64)>,
    /// How they were found.
    pub by: Way,
}

/// How vectors are searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Each vector was compared.
    Scan,
    /// By the index.
    Index,
    /// By the index, which gave too few; then each vector was compared.
    IndexThenScan,
}

/// A space as the database has it.
struct Space {
    id: i64,
    dimensions: usize,
    indexed: bool,
    /// Documents of the collection, at the revision.
    documents: usize,
}

impl PostgresVectors {
    pub(super) fn of(server: &Postgres, version: Version, collection: i64, revision: i64) -> Self {
        Self { server: server.clone(), version, collection, revision }
    }

    fn failed(&self) -> impl Fn(sqlx::Error) -> StoreError + '_ {
        failed(&self.server.at)
    }

    fn index_name(&self, space: i64) -> String {
        format!("hnsw_{}_{space}", self.collection)
    }

    async fn space(&self, space: Digest) -> Result<Option<Space>, StoreError> {
        let query = sqlx::query(
            "SELECT id, dimensions::bigint AS dimensions, EXISTS (
                SELECT FROM pg_index JOIN pg_class c ON c.oid = indexrelid
                WHERE indrelid = 'near_vectors'::regclass AND indisvalid AND relname = 'hnsw_' || $2 || '_' || id) AS indexed,
                coalesce((SELECT documents FROM revisions WHERE collection = $2 AND revision = $3), 0) AS documents
             FROM near_spaces WHERE space = $1",
        );
        let query = query.bind(space.0.to_vec()).bind(self.collection).bind(self.revision);
        let row = query.fetch_optional(&self.server.pool).await.map_err(self.failed())?;
        row.map(|row| {
            let columns = RowOf { at: &self.server.at, row: &row };
            let count = |column| Ok::<_, StoreError>(usize::try_from(columns.number(column)?).unwrap_or(usize::MAX));
            Ok(Space {
                id: columns.integer("id")?,
                dimensions: count("dimensions")?,
                documents: count("documents")?,
                indexed: row.try_get("indexed").map_err(self.failed())?,
            })
        })
        .transpose()
    }

    /// Keeps vectors of length one, by passage's row; those that are there already stay.
    ///
    /// # Errors
    /// Vectors of several lengths, or of another than the space has; the store failed. Then none is kept.
    pub async fn put(&self, space: Digest, vectors: &[(u64, Vec<f32>)]) -> Result<(), StoreError> {
        let Some(dimensions) = vectors.first().map(|(_passage, vector)| vector.len()) else {
            return Ok(());
        };
        let mut on = self.server.pool.begin().await.map_err(self.failed())?;
        let query =
            sqlx::query("INSERT INTO near_spaces (space, dimensions) VALUES ($1, $2) ON CONFLICT (space) DO NOTHING");
        let query = query.bind(space.0.to_vec()).bind(i32::try_from(dimensions).unwrap_or(i32::MAX));
        query.execute(&mut *on).await.map_err(self.failed())?;
        let query = sqlx::query_as("SELECT id, dimensions FROM near_spaces WHERE space = $1").bind(space.0.to_vec());
        let (id, kept): (i64, i32) = query.fetch_one(&mut *on).await.map_err(self.failed())?;
        let fits = |(_passage, vector): &(u64, Vec<f32>)| i32::try_from(vector.len()) == Ok(kept);
        if let Some((passage, vector)) = vectors.iter().find(|vector| !fits(vector)) {
            let cause = format!("the vector of passage {passage} has {} numbers, not {kept}", vector.len());
            return Err(StoreError::Unwritable { path: self.server.at.to_path_buf(), cause });
        }
        for vectors in vectors.chunks(ROWS) {
            let passages: Vec<i64> = vectors.iter().map(|(passage, _vector)| signed(*passage)).collect();
            let numbers: Vec<f32> = vectors.iter().flat_map(|(_passage, vector)| vector.iter().copied()).collect();
            let query = sqlx::query(
                "INSERT INTO near_vectors (collection, space, passage, document, embedding)
                 SELECT $1, $2, p.id, p.document, ($4::real[])[(one.place - 1) * $5 + 1 : one.place * $5]::halfvec
                 FROM unnest($3::bigint[]) WITH ORDINALITY AS one (passage, place)
                 JOIN passages p ON p.id = one.passage AND p.collection = $1
                 ON CONFLICT DO NOTHING",
            );
            let query = query.bind(self.collection).bind(id).bind(passages).bind(numbers).bind(i64::from(kept));
            query.execute(&mut *on).await.map_err(self.failed())?;
        }
        on.commit().await.map_err(self.failed())
    }

    /// At most `limit` passages of live documents that have no vector in a space, by row, beyond row `after`.
    ///
    /// # Errors
    /// The store failed.
    pub async fn passages_without(&self, space: Digest, after: u64, limit: u64) -> Result<Vec<u64>, StoreError> {
        let query = sqlx::query(
            "SELECT p.id FROM passages p JOIN documents d ON d.id = p.document
             WHERE p.collection = $1 AND p.id > $3 AND d.since <= $5 AND (d.until IS NULL OR d.until > $5) AND NOT EXISTS (
                SELECT FROM near_vectors v JOIN near_spaces s ON s.id = v.space WHERE s.space = $2 AND v.passage = p.id)
             ORDER BY p.id LIMIT $4",
        );
        let query = query.bind(self.collection).bind(space.0.to_vec()).bind(signed(after)).bind(signed(limit));
        let query = query.bind(self.revision);
        let rows = query.fetch_all(&self.server.pool).await.map_err(self.failed())?;
        rows.iter().map(|row| RowOf { at: &self.server.at, row }.number("id")).collect()
    }

    /// Builds the index of a space where its vectors are many enough and it has none, while others go on reading and
    /// writing; says whether there is one now. To be called when the last of many vectors is put.
    ///
    /// # Errors
    /// The store failed; searches go on without an index.
    pub async fn index(&self, space: Digest) -> Result<bool, StoreError> {
        self.index_from(space, INDEX_FROM).await
    }

    /// The same from another number of vectors on.
    ///
    /// # Errors
    /// As [`Self::index`].
    pub async fn index_from(&self, space: Digest, from: u64) -> Result<bool, StoreError> {
        let Some(Space { id, dimensions, indexed: false, .. }) = self.space(space).await? else {
            return Ok(self.space(space).await?.is_some_and(|space| space.indexed));
        };
        let query = sqlx::query_scalar("SELECT count(*) FROM near_vectors WHERE collection = $1 AND space = $2");
        let count: i64 =
            query.bind(self.collection).bind(id).fetch_one(&self.server.pool).await.map_err(self.failed())?;
        if count.unsigned_abs() < from {
            return Ok(false);
        }
        let name = self.index_name(id);
        // Waits for another program that builds it. What a killed one left is not valid and goes.
        let mut on = self.server.pool.begin().await.map_err(self.failed())?;
        let lock = "LOCK TABLE near_vectors IN SHARE UPDATE EXCLUSIVE MODE";
        sqlx::raw_sql(lock).execute(&mut *on).await.map_err(self.failed())?;
        if self.space(space).await?.is_some_and(|space| space.indexed) {
            return Ok(true);
        }
        let away = AssertSqlSafe(format!("DROP INDEX IF EXISTS {name}"));
        sqlx::raw_sql(away).execute(&mut *on).await.map_err(self.failed())?;
        on.commit().await.map_err(self.failed())?;
        let workers = if self.version < PARALLEL { "0" } else { "2" };
        let settings = [("maintenance_work_mem", BUILD_MEMORY), ("max_parallel_maintenance_workers", workers)];
        let mut on = self.server.pool.acquire().await.map_err(self.failed())?;
        for (setting, value) in settings {
            let query = sqlx::query("SELECT set_config($1, $2, false)").bind(setting).bind(value);
            query.execute(&mut *on).await.map_err(self.failed())?;
        }
        let build = AssertSqlSafe(format!(
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON near_vectors
             USING hnsw ((embedding::halfvec({dimensions})) halfvec_ip_ops) WHERE collection = {} AND space = {id}",
            self.collection
        ));
        let built = sqlx::raw_sql(build).execute(&mut *on).await.map_err(self.failed());
        for (setting, _value) in settings {
            let back = AssertSqlSafe(format!("RESET {setting}"));
            sqlx::raw_sql(back).execute(&mut *on).await.map_err(self.failed())?;
        }
        built.map(|_done| true)
    }

    /// The nearest passages: of all documents, or of these rows only. None where the space is unknown here or its vectors
    /// have another length than the query.
    ///
    /// # Errors
    /// The store failed, also after it was asked once more.
    pub async fn nearest(
        &self,
        space: Digest,
        query: &[f32],
        documents: Option<&[u64]>,
        limit: usize,
    ) -> Result<Nearest, StoreError> {
        match self.nearest_once(space, query, documents, limit).await {
            Err(StoreError::Unreachable { .. }) => {
                self.server.back().await?;
                self.nearest_once(space, query, documents, limit).await
            }
            done => done,
        }
    }

    async fn nearest_once(
        &self,
        space: Digest,
        query: &[f32],
        documents: Option<&[u64]>,
        limit: usize,
    ) -> Result<Nearest, StoreError> {
        let none = Nearest { hits: Vec::new(), by: Way::Scan };
        let Some(space) = self.space(space).await?.filter(|space| space.dimensions == query.len() && limit > 0) else {
            return Ok(none);
        };
        let documents: Option<Vec<i64>> = documents.map(|rows| rows.iter().map(|row| signed(*row)).collect());
        let narrow = documents.as_ref().is_some_and(|rows| rows.len().saturating_mul(NARROW) < space.documents);
        let mut by = Way::Scan;
        if space.indexed && !narrow {
            let hits = self.ask(space.id, query, documents.as_deref(), limit, Way::Index).await?;
            if hits.len() == limit {
                return Ok(Nearest { hits, by: Way::Index });
            }
            by = Way::IndexThenScan;
        }
        let hits = self.ask(space.id, query, documents.as_deref(), limit, Way::Scan).await?;
        Ok(Nearest { hits, by })
    }

    /// One statement. A scan's order is that of the column itself, which no index has, so that none is taken for it.
    async fn ask(
        &self,
        space: i64,
        query: &[f32],
        documents: Option<&[i64]>,
        limit: usize,
        way: Way,
    ) -> Result<Vec<(i64, u64)>, StoreError> {
        let near = match way {
            Way::Index => "near_by_index($1, $2, $3, $4, $5, $6)".to_owned(),
            Way::Scan | Way::IndexThenScan => {
                let only = if documents.is_some() { "v.document = ANY($5)" } else { "$5::bigint[] IS NULL" };
                format!(
                    "(SELECT v.passage, v.document, v.embedding FROM near_vectors v JOIN documents d ON d.id = v.document
                      WHERE v.collection = $1 AND v.space = $2 AND {only}
                        AND d.since <= $4 AND (d.until IS NULL OR d.until > $4)
                      ORDER BY v.embedding <#> $3::halfvec LIMIT $6)"
                )
            }
        };
        let text = format!(
            "SELECT near.passage, d.path, p.start, halfvec_send(near.embedding) AS numbers FROM {near} AS near
             JOIN documents d ON d.id = near.document JOIN passages p ON p.id = near.passage"
        );
        let most = limit.saturating_mul(2).saturating_add(SPARE);
        let asked = sqlx::query(AssertSqlSafe(text)).bind(self.collection).bind(space).bind(query).bind(self.revision);
        let asked = asked.bind(documents).bind(signed(most as u64));
        let rows = asked.fetch_all(&self.server.pool).await.map_err(self.failed())?;
        let query = halves(query);
        let mut found = rows.iter().map(|row| self.scored(&query, row)).collect::<Result<Vec<_>, _>>()?;
        found.sort_by(|a, b| (Reverse(a.0), &a.1, a.2).cmp(&(Reverse(b.0), &b.1, b.2)));
        found.truncate(limit);
        Ok(found.into_iter().map(|(score, _path, _start, passage)| (score, passage)).collect())
    }

    fn scored(&self, query: &[u16], row: &PgRow) -> Result<(i64, String, i64, u64), StoreError> {
        let columns = RowOf { at: &self.server.at, row };
        let numbers = columns.bytes("numbers")?;
        // Two counts of 16 bits, then the numbers, all big-endian.
        let halves = numbers.get(4..).map(|bytes| bytes.as_chunks::<2>().0).unwrap_or_default();
        if halves.len() != query.len() {
            return Err(columns.damaged("a vector has another length than its space"));
        }
        let halves: Vec<u16> = halves.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
        Ok((score(query, &halves), columns.text("path")?, columns.integer("start")?, columns.number("passage")?))
    }
}
