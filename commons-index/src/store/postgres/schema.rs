//! The schema `ii_commons`: made where it is missing, brought up to date under a lock, refused where it is newer.
//!
//! Its two parts have versions of their own: `records` is for every database, `vectors` for those with pgvector.

use sqlx::{PgConnection, PgPool};

use super::failed;
use crate::error::StoreError;

/// Held while the schema is changed: one program at a time, in the whole database. Digits of "ii_commons".
const LOCK: i64 = 0x69_69_63_6f_6d_6d_6f;

/// The first pgvector whose index scans go on when a filter has taken rows away; it has half-precision vectors too.
const PGVECTOR: (u32, u32, u32) = (0, 8, 0);

/// Each script leads from the version before it (its place) to the next. Paths are compared by their bytes.
const RECORDS: &[&str] = &[r#"
    CREATE TABLE ii_commons.collections (
        collection BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name TEXT COLLATE "C" NOT NULL UNIQUE,
        node TEXT NOT NULL, folder TEXT);
    CREATE TABLE ii_commons.revisions (
        collection BIGINT NOT NULL REFERENCES ii_commons.collections, revision BIGINT NOT NULL, size BIGINT NOT NULL,
        root BYTEA NOT NULL, checkpoint BYTEA NOT NULL, documents BIGINT NOT NULL, passages BIGINT NOT NULL,
        PRIMARY KEY (collection, revision));
    CREATE TABLE ii_commons.documents (
        id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, collection BIGINT NOT NULL REFERENCES ii_commons.collections,
        path TEXT COLLATE "C" NOT NULL, document BYTEA NOT NULL, text BYTEA NOT NULL, bytes BIGINT NOT NULL,
        media TEXT NOT NULL, title TEXT NOT NULL, since BIGINT NOT NULL, until BIGINT);
    CREATE UNIQUE INDEX documents_live ON ii_commons.documents (collection, path) WHERE until IS NULL;
    CREATE INDEX documents_text ON ii_commons.documents (collection, text);
    CREATE TABLE ii_commons.chunks (
        collection BIGINT NOT NULL REFERENCES ii_commons.collections, text BYTEA NOT NULL, start BIGINT NOT NULL,
        zstd BYTEA NOT NULL, PRIMARY KEY (collection, text, start));
    -- They are compressed already.
    ALTER TABLE ii_commons.chunks ALTER COLUMN zstd SET STORAGE EXTERNAL;
    CREATE TABLE ii_commons.passages (
        id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, collection BIGINT NOT NULL,
        document BIGINT NOT NULL REFERENCES ii_commons.documents (id), start BIGINT NOT NULL, stop BIGINT NOT NULL,
        headings TEXT NOT NULL, sentences BYTEA NOT NULL);
    CREATE UNIQUE INDEX passages_place ON ii_commons.passages (document, start);
    CREATE INDEX passages_order ON ii_commons.passages (collection, id);
    CREATE TABLE ii_commons.corpus (
        collection BIGINT NOT NULL REFERENCES ii_commons.collections, seq BIGINT NOT NULL, op TEXT NOT NULL,
        document BYTEA NOT NULL, bytes BIGINT NOT NULL, media TEXT NOT NULL, path TEXT COLLATE "C" NOT NULL,
        salt BYTEA NOT NULL, leaf BYTEA NOT NULL, PRIMARY KEY (collection, seq));
"#];

/// Vectors of one space have one length; those of several spaces stand in one table, so the column fixes none.
const VECTORS: &[&str] = &["
    CREATE TABLE ii_commons.spaces (
        id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, space BYTEA NOT NULL UNIQUE, dimensions INTEGER NOT NULL);
    CREATE TABLE ii_commons.vectors (
        collection BIGINT NOT NULL REFERENCES ii_commons.collections, space BIGINT NOT NULL REFERENCES ii_commons.spaces,
        passage BIGINT NOT NULL REFERENCES ii_commons.passages, document BIGINT NOT NULL, embedding HALFVEC NOT NULL,
        PRIMARY KEY (space, passage));
    -- In the row itself: a scan would otherwise look each of them up.
    ALTER TABLE ii_commons.vectors ALTER COLUMN embedding SET STORAGE PLAIN;
    CREATE INDEX vectors_document ON ii_commons.vectors (collection, space, document);
"];

/// Brings the records' part up to date.
pub(super) async fn migrate(pool: &PgPool, at: &std::path::Path) -> Result<(), StoreError> {
    part(pool, at, "records", RECORDS).await
}

/// Brings the vectors' part up to date; gives the reason where this database can have none.
pub(super) async fn migrate_vectors(
    pool: &PgPool,
    at: &std::path::Path,
) -> Result<Result<(u32, u32, u32), String>, StoreError> {
    let installed = || async {
        let query = sqlx::query_scalar("SELECT extversion FROM pg_extension WHERE extname = 'vector'");
        query.fetch_optional(pool).await.map_err(failed(at))
    };
    let mut found: Option<String> = installed().await?;
    if found.is_none() {
        let made = sqlx::raw_sql("CREATE EXTENSION IF NOT EXISTS vector").execute(pool).await;
        found = installed().await?;
        if let (Err(error), None) = (made, &found) {
            let cause = error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned());
            return Ok(Err(format!("this database has no pgvector: {cause}")));
        }
    }
    let version = found.unwrap_or_default();
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let mut part_of = || parts.next().unwrap_or(0);
    let numbers = (part_of(), part_of(), part_of());
    if numbers < PGVECTOR {
        return Ok(Err(format!("pgvector {version} is too old: 0.8.0 or later is needed")));
    }
    // Connections of before the extension do not look in its schema yet.
    let mut on = pool.acquire().await.map_err(failed(at))?;
    super::settle(&mut on).await.map_err(failed(at))?;
    drop(on);
    part(pool, at, "vectors", VECTORS).await.map(|()| Ok(numbers))
}

async fn version(on: &mut PgConnection, part: &str) -> Result<i64, sqlx::Error> {
    let there: bool =
        sqlx::query_scalar("SELECT to_regclass('ii_commons.versions') IS NOT NULL").fetch_one(&mut *on).await?;
    if !there {
        return Ok(0);
    }
    let query = sqlx::query_scalar("SELECT version FROM ii_commons.versions WHERE part = $1").bind(part);
    Ok(query.fetch_optional(on).await?.unwrap_or(0))
}

async fn part(pool: &PgPool, at: &std::path::Path, part: &str, scripts: &[&'static str]) -> Result<(), StoreError> {
    let known = i64::try_from(scripts.len()).unwrap_or(i64::MAX);
    let of_ours = |found: i64| match usize::try_from(found).ok().filter(|found| *found <= scripts.len()) {
        Some(found) => Ok(found),
        None => Err(StoreError::Newer { path: at.to_owned(), found, known }),
    };
    let mut on = pool.acquire().await.map_err(failed(at))?;
    if of_ours(version(&mut on, part).await.map_err(failed(at))?)? == scripts.len() {
        return Ok(());
    }
    drop(on);
    let mut on = pool.begin().await.map_err(failed(at))?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *on).await.map_err(failed(at))?;
    let base = "CREATE SCHEMA IF NOT EXISTS ii_commons;
        CREATE TABLE IF NOT EXISTS ii_commons.versions (part TEXT PRIMARY KEY, version BIGINT NOT NULL);";
    sqlx::raw_sql(base).execute(&mut *on).await.map_err(failed(at))?;
    // Read again under the lock: another program may have been first.
    for script in scripts.iter().skip(of_ours(version(&mut on, part).await.map_err(failed(at))?)?) {
        sqlx::raw_sql(*script).execute(&mut *on).await.map_err(failed(at))?;
    }
    let query = sqlx::query(
        "INSERT INTO ii_commons.versions (part, version) VALUES ($1, $2) ON CONFLICT (part) DO UPDATE SET version = $2",
    );
    query.bind(part).bind(known).execute(&mut *on).await.map_err(failed(at))?;
    on.commit().await.map_err(failed(at))
}
