//! The schema `ii_commons`: made where it is missing, brought up to date under a lock, refused where it is newer.
//!
//! Its two parts have versions of their own: `records` is for every database, `near` for those with pgvector.

use std::path::Path;

use sqlx::{Connection, PgConnection};

use super::{Version, failed};
use crate::error::StoreError;

/// Held while the schema is changed: one program at a time, in the whole database. Digits of "ii_commons".
const LOCK: i64 = 0x69_69_63_6f_6d_6d_6f;

/// The first pgvector whose index scans go on when a filter has taken rows away; it has half-precision vectors too.
const PGVECTOR: Version = (0, 8, 0);

/// Each script leads from the version before it (its place) to the next. Paths are compared by their bytes.
const RECORDS: &[&str] = &[
    r#"
    CREATE TABLE ii_commons.collections (
        collection BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name TEXT COLLATE "C" NOT NULL UNIQUE,
        origin TEXT, vkey TEXT, node TEXT NOT NULL, folder TEXT, declared TEXT);
    CREATE TABLE ii_commons.revisions (
        collection BIGINT NOT NULL REFERENCES ii_commons.collections, revision BIGINT NOT NULL, size BIGINT NOT NULL,
        root BYTEA NOT NULL, checkpoint BYTEA NOT NULL, documents BIGINT NOT NULL, passages BIGINT NOT NULL,
        PRIMARY KEY (collection, revision));
    CREATE TABLE ii_commons.documents (
        id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, collection BIGINT NOT NULL REFERENCES ii_commons.collections,
        path TEXT COLLATE "C" NOT NULL, file TEXT COLLATE "C", document BYTEA NOT NULL, text BYTEA NOT NULL,
        bytes BIGINT NOT NULL, media TEXT NOT NULL, title TEXT NOT NULL, since BIGINT NOT NULL, until BIGINT,
        how TEXT NOT NULL, drawn BOOLEAN NOT NULL,
        source TEXT, licence TEXT, edition TEXT, language TEXT, date TEXT);
    CREATE UNIQUE INDEX documents_live ON ii_commons.documents (collection, path) WHERE until IS NULL;
    CREATE INDEX documents_order ON ii_commons.documents (collection, id);
    CREATE INDEX documents_text ON ii_commons.documents (collection, text, path);
    CREATE INDEX documents_since ON ii_commons.documents (collection, since, path);
    CREATE INDEX documents_until ON ii_commons.documents (collection, until, path) WHERE until IS NOT NULL;
    CREATE INDEX documents_file ON ii_commons.documents (collection, file) WHERE file IS NOT NULL AND until IS NULL;
    CREATE TABLE ii_commons.files (
        collection BIGINT NOT NULL REFERENCES ii_commons.collections, path TEXT COLLATE "C" NOT NULL,
        digest BYTEA NOT NULL, bytes BIGINT NOT NULL, how TEXT, skipped BIGINT NOT NULL, PRIMARY KEY (collection, path));
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
    CREATE TABLE ii_commons.spaces (
        id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, collection BIGINT NOT NULL REFERENCES ii_commons.collections,
        space BYTEA NOT NULL, model TEXT NOT NULL, dimensions BIGINT NOT NULL, UNIQUE (collection, space));
    CREATE TABLE ii_commons.vectors (
        space BIGINT NOT NULL REFERENCES ii_commons.spaces, passage BIGINT NOT NULL REFERENCES ii_commons.passages,
        half BYTEA NOT NULL, PRIMARY KEY (space, passage));
    -- Nothing makes half-precision numbers shorter.
    ALTER TABLE ii_commons.vectors ALTER COLUMN half SET STORAGE EXTERNAL;
"#,
    "
    ALTER TABLE ii_commons.documents ADD COLUMN decoding TEXT;
",
];

/// What pgvector searches. Vectors of one space have one length; those of several spaces stand in one table, so the column fixes none. Only a
/// collection's own index has its length, and is found by a statement with the same constants in it. The settings of the
/// search by index are its function's, so that they hold for nothing else: an index scan that goes on, in order, until as many
/// rows came as were asked for, however many a filter takes away; and no plan that sorts what it scanned.
const NEAR: &[&str] = &["
    -- Loads the library, whose settings only then are known.
    SELECT '[1]'::halfvec;
    CREATE TABLE ii_commons.near_spaces (
        id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, space BYTEA NOT NULL UNIQUE, dimensions INTEGER NOT NULL);
    CREATE TABLE ii_commons.near_vectors (
        collection BIGINT NOT NULL REFERENCES ii_commons.collections, space BIGINT NOT NULL REFERENCES ii_commons.near_spaces,
        passage BIGINT NOT NULL REFERENCES ii_commons.passages, document BIGINT NOT NULL, embedding HALFVEC NOT NULL,
        PRIMARY KEY (space, passage));
    CREATE INDEX near_vectors_document ON ii_commons.near_vectors (collection, space, document);
    -- Revisions of which each passage that is searched has its vector in near_vectors.
    CREATE TABLE ii_commons.near_revisions (
        collection BIGINT NOT NULL REFERENCES ii_commons.collections, space BIGINT NOT NULL REFERENCES ii_commons.near_spaces,
        revision BIGINT NOT NULL, PRIMARY KEY (collection, space, revision));
    -- A text that several documents have is found once, at the first of them by path. OFFSET 0 keeps that a look at each row
    -- that the index gives, in the order of the index, and + 0 keeps it to the index by text and path. Of documents that are
    -- given the caller knows it.
    CREATE FUNCTION ii_commons.near_by_index(
        of_collection BIGINT, of_space BIGINT, query REAL[], at_revision BIGINT, documents BIGINT[], most BIGINT)
    RETURNS TABLE (passage BIGINT, document BIGINT, embedding HALFVEC) LANGUAGE plpgsql STABLE
    SET enable_sort = off SET jit = off SET hnsw.ef_search = 200 SET hnsw.iterative_scan = strict_order AS $$
    DECLARE numbers CONSTANT INTEGER := array_length(query, 1);
    BEGIN
        RETURN QUERY EXECUTE format(
            'SELECT v.passage, v.document, v.embedding FROM ii_commons.near_vectors v
             WHERE v.collection = %s AND v.space = %s %s AND EXISTS (
                SELECT FROM ii_commons.documents d
                WHERE d.id = v.document AND d.since <= $2 AND (d.until IS NULL OR d.until > $2) %s OFFSET 0)
             ORDER BY v.embedding::halfvec(%s) <#> $1::halfvec(%s) LIMIT $4',
            of_collection, of_space, CASE WHEN documents IS NULL THEN '' ELSE 'AND v.document = ANY($3)' END,
            CASE WHEN documents IS NULL THEN 'AND NOT EXISTS (
                SELECT FROM ii_commons.documents o
                WHERE o.collection = d.collection AND o.text = d.text AND o.path < d.path
                AND o.since + 0 <= $2 AND (o.until IS NULL OR o.until + 0 > $2) OFFSET 0)' ELSE '' END,
            numbers, numbers)
        USING query, at_revision, documents, most;
    END $$;
"];

/// Brings the records' part up to date.
pub(super) async fn migrate(on: &mut PgConnection, at: &Path) -> Result<(), StoreError> {
    part(on, at, "records", RECORDS).await
}

/// Brings the vectors' part up to date, and gives the version of pgvector; or the reason why there can be none.
pub(super) async fn migrate_vectors(on: &mut PgConnection, at: &Path) -> Result<Result<Version, String>, StoreError> {
    let mut found = installed(on).await.map_err(failed(at))?;
    if found.is_none() {
        let made = sqlx::raw_sql("CREATE EXTENSION IF NOT EXISTS vector").execute(&mut *on).await;
        found = installed(on).await.map_err(failed(at))?;
        if let (Err(error), None) = (made, &found) {
            let cause = error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned());
            return Ok(Err(format!("this database has no pgvector: {cause}")));
        }
        // Its types are looked for where they are now.
        super::settle(on).await.map_err(failed(at))?;
    }
    let text = found.unwrap_or_default();
    let mut numbers = text.split('.').map(|number| number.parse().unwrap_or(0));
    let mut number = || numbers.next().unwrap_or(0);
    let version = (number(), number(), number());
    if version < PGVECTOR {
        return Ok(Err(format!("pgvector {text} is too old: 0.8.0 or later is needed")));
    }
    part(on, at, "near", NEAR).await.map(|()| Ok(version))
}

async fn installed(on: &mut PgConnection) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar("SELECT extversion FROM pg_extension WHERE extname = 'vector'").fetch_optional(on).await
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

async fn part(on: &mut PgConnection, at: &Path, part: &str, scripts: &[&'static str]) -> Result<(), StoreError> {
    let known = i64::try_from(scripts.len()).unwrap_or(i64::MAX);
    let of_ours = |found: i64| match usize::try_from(found).ok().filter(|found| *found <= scripts.len()) {
        Some(found) => Ok(found),
        None => Err(StoreError::Newer { path: at.to_owned(), found, known }),
    };
    if of_ours(version(on, part).await.map_err(failed(at))?)? == scripts.len() {
        return Ok(());
    }
    let mut on = on.begin().await.map_err(failed(at))?;
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
