//! Vectors that pgvector searches, in half precision, in tables of their own, for collections of more passages than a home is
//! to hold in memory ([`Limits::home_vectors`](crate::Limits)). What stands in them is drawn from the table of vectors as they
//! were made, as the file of a home is: a database without pgvector has that one alone, and whoever copies, compares or shares
//! a collection reads one table whatever searches it.
//!
//! Below [`INDEX_FROM`] vectors every search is an exact scan. From there on a collection has one HNSW index for each space,
//! of its own vectors only, and a filter that lets less than one document in four through is still scanned exactly: such an
//! index finds near vectors first and filters them after, so that a narrow filter leaves it with few of the right ones; and
//! the scan behind such a filter is short.
//!
//! **Invariant:** as many rows come as are wanted or as there are, whichever is less: an index that gave fewer is not believed.
//! **Invariant:** a score is the scalar product of the vectors as they are kept, in double precision; what the database
//! reckoned only chooses whom to score.
//! **Invariant:** only passages of the revision that the searcher stands at are found, and those of a text that several
//! documents have once.

use std::{cmp::Reverse, collections::BTreeMap};

use receipts::Digest;
use sqlx::{AssertSqlSafe, PgConnection, Row, postgres::PgRow};
use tokio::time::sleep;

use super::{ASKED_AGAIN, Postgres, RowOf, TURN, Version, failed, vectors::SEARCHED};
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
/// A scan takes half as many more than are wanted and these, since not each is of a document that is searched.
const BEYOND: usize = 32;
/// And so many times as many again where that was not enough.
const FURTHER: usize = 16;
/// More than the database's products of vectors of length one differ from ours.
const ERROR: f64 = 0.002;
/// By the index.
const FROM_INDEX: &str = "near_by_index($1, $3, $4, $2, $5, $6)";
/// Of given documents, by scan. Its order is that of the column itself, which no index has, so that none is taken for it; equal
/// ones go by text and row, which follows the place in a text.
const AMONG: &str = "(WITH searched AS MATERIALIZED (SELECT d.id, d.text FROM documents d
     WHERE d.id = ANY($5) AND d.collection = $1 AND d.since <= $2 AND (d.until IS NULL OR d.until > $2))
     SELECT v.passage, v.document, v.embedding FROM searched d
     JOIN near_vectors v ON v.collection = $1 AND v.space = $3 AND v.document = d.id
     ORDER BY v.embedding <#> $4::halfvec, d.text, v.passage LIMIT $6)";
/// The most vectors of one statement: 6 MB of 384 numbers each.
pub(super) const ROWS: usize = 4_096;
/// Memory of an index being built.
const BUILD_MEMORY: &str = "512MB";
/// Before it, an index built by several workers may be wrong.
const PARALLEL: Version = (0, 8, 4);

/// The vectors of one collection, at one revision.
#[derive(Clone, Debug)]
pub struct PostgresVectors {
    pub(super) server: Postgres,
    version: Version,
    pub(super) collection: i64,
    pub(super) revision: i64,
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
    /// Score in millionths and passage's row, best first; equal scores by text and span.
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

    pub(super) fn failed(&self) -> impl Fn(sqlx::Error) -> StoreError + '_ {
        failed(&self.server.at)
    }

    /// Asks; again where the connection was lost on the way.
    pub(super) async fn asked<T, Fut>(&self, work: impl Fn() -> Fut) -> Result<T, StoreError>
    where
        Fut: Future<Output = Result<T, StoreError>>,
    {
        let mut done = work().await;
        for _again in 0..ASKED_AGAIN {
            let Err(StoreError::Unreachable { .. }) = done else { break };
            drop(self.server.back().await?);
            done = work().await;
        }
        done
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

    /// At most `limit` passages that are searched and have no vector in a space, by row, beyond row `after`.
    ///
    /// # Errors
    /// The store failed.
    pub async fn passages_without(&self, space: Digest, after: u64, limit: u64) -> Result<Vec<u64>, StoreError> {
        let query = AssertSqlSafe(format!(
            "SELECT p.id FROM passages p
             CROSS JOIN LATERAL (SELECT FROM documents d WHERE d.id = p.document AND {SEARCHED} OFFSET 0) d
             WHERE p.collection = $1 AND p.id > $4 AND NOT EXISTS (
                SELECT FROM near_vectors v WHERE v.space = (SELECT id FROM near_spaces WHERE space = $3)
                AND v.passage = p.id OFFSET 0)
             ORDER BY p.id LIMIT $5"
        ));
        let query = sqlx::query(query).bind(self.collection).bind(self.revision).bind(space.0.to_vec());
        let query = query.bind(signed(after)).bind(signed(limit));
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
        // A connection of its own: its settings and its lock go with it.
        let mut on = self.server.pool.acquire().await.map_err(self.failed())?.detach();
        self.alone_at_indexes(&mut on).await?;
        if self.space(space).await?.is_some_and(|space| space.indexed) {
            return Ok(true);
        }
        let name = self.index_name(id);
        let workers = if self.version < PARALLEL { "0" } else { "2" };
        // What a killed program left is not valid, and goes.
        let statements = [
            format!("DROP INDEX IF EXISTS {name}"),
            format!("SET maintenance_work_mem = '{BUILD_MEMORY}'"),
            format!("SET max_parallel_maintenance_workers = {workers}"),
            format!(
                "CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON near_vectors
                 USING hnsw ((embedding::halfvec({dimensions})) halfvec_ip_ops) WHERE collection = {} AND space = {id}",
                self.collection
            ),
        ];
        for statement in statements {
            sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut on).await.map_err(self.failed())?;
        }
        Ok(true)
    }

    /// Waits until no other program builds an index on the table, of whichever collection. Two that build wait for each
    /// other's snapshots, and a statement that waits for a lock has one: hence asked over and over, and not waited for there.
    async fn alone_at_indexes(&self, on: &mut PgConnection) -> Result<(), StoreError> {
        loop {
            let query = sqlx::query_scalar("SELECT pg_try_advisory_lock(hashtextextended('ii_commons indexes', 0))");
            if query.fetch_one(&mut *on).await.map_err(self.failed())? {
                return Ok(());
            }
            sleep(TURN).await;
        }
    }

    /// The nearest passages: of all documents, or of these rows only, which are of documents that are searched. None where the
    /// space is unknown here or its vectors have another length than the query.
    ///
    /// # Errors
    /// The store failed, also after it was asked again.
    pub async fn nearest(
        &self,
        space: Digest,
        query: &[f32],
        documents: Option<&[u64]>,
        limit: usize,
    ) -> Result<Nearest, StoreError> {
        self.asked(|| self.nearest_once(space, query, documents, limit)).await
    }

    /// The scores of these passages, by row; one that has no vector in the space, or none of the query's length, has none.
    ///
    /// # Errors
    /// As [`Self::nearest`].
    pub(crate) async fn scores(
        &self,
        space: Digest,
        query: &[f32],
        passages: &[u64],
    ) -> Result<BTreeMap<u64, i64>, StoreError> {
        let (query, passages) = (halves(query), passages.iter().map(|row| signed(*row)).collect::<Vec<_>>());
        if passages.is_empty() {
            return Ok(BTreeMap::new());
        }
        let rows = self.asked(|| async {
            let asked = sqlx::query(
                "SELECT v.passage, halfvec_send(v.embedding) AS numbers FROM near_vectors v
                 WHERE v.space = (SELECT id FROM near_spaces WHERE space = $1) AND v.passage = ANY($2)
                   AND vector_dims(v.embedding) = $3",
            );
            let asked =
                asked.bind(space.0.to_vec()).bind(&passages).bind(i32::try_from(query.len()).unwrap_or(i32::MAX));
            asked.fetch_all(&self.server.pool).await.map_err(self.failed())
        });
        let rows = rows.await?;
        rows.iter()
            .map(|row| {
                let columns = RowOf { at: &self.server.at, row };
                Ok((columns.number("passage")?, scored(&query, &columns)?))
            })
            .collect()
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

    async fn ask(
        &self,
        space: i64,
        query: &[f32],
        documents: Option<&[i64]>,
        limit: usize,
        way: Way,
    ) -> Result<Vec<(i64, u64)>, StoreError> {
        let most = limit.saturating_mul(2).saturating_add(SPARE);
        let rows = match (way, documents) {
            (Way::Index, _) => self.rows(FROM_INDEX, space, query, documents, most).await?,
            (Way::Scan | Way::IndexThenScan, Some(_)) => self.rows(AMONG, space, query, documents, most).await?,
            (Way::Scan | Way::IndexThenScan, None) => self.scan(space, query, limit).await?,
        };
        let query = halves(query);
        let place = |row: &PgRow| {
            let columns = RowOf { at: &self.server.at, row };
            let place = (columns.digest("text")?, columns.integer("start")?);
            Ok((Reverse(scored(&query, &columns)?), place, columns.number("passage")?))
        };
        let mut found = rows.iter().map(place).collect::<Result<Vec<_>, StoreError>>()?;
        found.sort_unstable();
        found.truncate(limit);
        Ok(found.into_iter().map(|(Reverse(score), _place, passage)| (score, passage)).collect())
    }

    /// One statement; `near` gives passage, document and embedding.
    ///
    /// A scan is planned each time it is asked. A plan kept for all queries does not know the vector, and casts it for each row
    /// that it compares, which takes three times as long as the comparing. What else is told of a passage is looked up for each
    /// by its row (`OFFSET 0`): the planner takes the index's function for one of a thousand rows, and reads whole tables for them.
    async fn rows(
        &self,
        near: &str,
        space: i64,
        query: &[f32],
        documents: Option<&[i64]>,
        most: usize,
    ) -> Result<Vec<PgRow>, StoreError> {
        let text = format!(
            "SELECT near.passage, d.text, p.start, halfvec_send(near.embedding) AS numbers FROM {near} AS near
             CROSS JOIN LATERAL (SELECT text FROM documents WHERE id = near.document OFFSET 0) d
             CROSS JOIN LATERAL (SELECT start FROM passages WHERE id = near.passage OFFSET 0) p"
        );
        let asked = sqlx::query(AssertSqlSafe(text)).bind(self.collection).bind(self.revision).bind(space).bind(query);
        let asked = asked.bind(documents).bind(signed(most as u64)).persistent(near == FROM_INDEX);
        asked.fetch_all(&self.server.pool).await.map_err(self.failed())
    }

    /// The nearest that are searched, all documents compared. Which documents are searched is asked of the nearest vectors only,
    /// and of more where too few of these are: asked of all of them it takes ten times as long as the comparing. Planned each
    /// time, as in [`Self::rows`].
    async fn scan(&self, space: i64, query: &[f32], limit: usize) -> Result<Vec<PgRow>, StoreError> {
        let text = format!(
            "WITH near AS MATERIALIZED (
                SELECT passage, document, embedding, embedding <#> $4::halfvec AS far FROM near_vectors
                WHERE collection = $1 AND space = $3 ORDER BY far LIMIT $5),
             reached AS (SELECT count(*) AS taken, max(far) AS edge FROM near)
             SELECT taken, far < edge - {ERROR} AS inside, passage, text, start, numbers FROM reached LEFT JOIN (
                SELECT near.passage, far, d.text, p.start, halfvec_send(embedding) AS numbers FROM near
                CROSS JOIN LATERAL (SELECT d.text FROM documents d WHERE d.id = near.document AND {SEARCHED} OFFSET 0) d
                CROSS JOIN LATERAL (SELECT start FROM passages WHERE id = near.passage OFFSET 0) p) found ON true"
        );
        let mut reach = limit.saturating_add(limit / 2).saturating_add(BEYOND);
        loop {
            let asked = sqlx::query(AssertSqlSafe(text.clone())).bind(self.collection).bind(self.revision).bind(space);
            let asked = asked.bind(query).bind(signed(reach as u64)).persistent(false);
            let rows = asked.fetch_all(&self.server.pool).await.map_err(self.failed())?;
            let (mut taken, mut inside) = (0, 0);
            let mut found = Vec::with_capacity(rows.len());
            for row in rows {
                taken = row.try_get("taken").map_err(self.failed())?;
                // Of those about as far away as the last one taken, others were not.
                inside += usize::from(row.try_get::<Option<bool>, _>("inside").map_err(self.failed())? == Some(true));
                if row.try_get::<Option<i64>, _>("passage").map_err(self.failed())?.is_some() {
                    found.push(row);
                }
            }
            let is_all = i64::unsigned_abs(taken) < reach as u64;
            if is_all || inside >= limit {
                return Ok(found);
            }
            reach = reach.saturating_mul(FURTHER);
        }
    }
}

/// A row's score.
fn scored(query: &[u16], columns: &RowOf<'_>) -> Result<i64, StoreError> {
    let numbers = columns.bytes("numbers")?;
    // Two counts of 16 bits, then the numbers, all big-endian.
    let halves = numbers.get(4..).map(|bytes| bytes.as_chunks::<2>().0).unwrap_or_default();
    if halves.len() != query.len() {
        return Err(columns.damaged("a vector has another length than its space"));
    }
    let halves: Vec<u16> = halves.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
    Ok(score(query, &halves))
}
