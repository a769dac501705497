//! Deleting a run: its facts and keys are overwritten, contents nobody else names are collected, receipts stay.
//!
//! **Invariant:** a run that a living holder keeps is not deleted.
//! **Invariant:** after a deletion no byte of the run's attempt keys is left in the database or its write-ahead log.
//! **Invariant:** no receipt and no outbox row is ever dropped.

use common_ground::RunId;
use sqlx::sqlite::SqliteConnection;
use uuid::Uuid;

use super::append::fact_id;
use super::error::JournalError;
use super::{blob, lease};
use crate::home::Home;

pub(crate) async fn delete(
    connection: &mut SqliteConnection,
    home: &Home,
    run: RunId,
    us: Uuid,
    now_ms: u64,
    lift: &impl Fn(sqlx::Error) -> JournalError,
) -> Result<(), JournalError> {
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await.map_err(lift)?;
    let Some((no, holding)) = lease::look(connection, run).await.map_err(lift)? else {
        return Err(JournalError::NoRun(run));
    };
    if let Some(holder) = lease::keeper(home, holding, us, now_ms)? {
        return Err(JournalError::Held { run, holder });
    }
    erase(connection, no).await.map_err(lift)?;
    sqlx::query("COMMIT").execute(&mut *connection).await.map_err(lift)?;
    sweep(connection, home, lift).await?;
    truncate_log(connection, lift).await
}

/// Empties the write-ahead log, where the keys still lie. A reader of another process that stays on an old snapshot for
/// longer than the busy limit prevents it.
async fn truncate_log(
    connection: &mut SqliteConnection,
    lift: &impl Fn(sqlx::Error) -> JournalError,
) -> Result<(), JournalError> {
    let prevented: i64 =
        sqlx::query_scalar("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(connection).await.map_err(lift)?;
    if prevented == 0 { Ok(()) } else { Err(JournalError::Busy) }
}

async fn erase(connection: &mut SqliteConnection, no: i64) -> Result<(), sqlx::Error> {
    // Same sizes in place, never a removed row: see the schema's note on this table.
    sqlx::query("UPDATE attempt_key SET key = zeroblob(32) WHERE run_no = ?")
        .bind(no)
        .execute(&mut *connection)
        .await?;
    sqlx::query("DELETE FROM fact WHERE id BETWEEN ? AND ?")
        .bind(fact_id(no, 0))
        .bind(fact_id(no, u64::MAX))
        .execute(&mut *connection)
        .await?;
    sqlx::query(
        "DELETE FROM blob WHERE digest IN (SELECT m.digest FROM run_blob m WHERE m.run_no = ? AND NOT EXISTS \
         (SELECT 1 FROM run_blob o WHERE o.digest = m.digest AND o.run_no <> m.run_no))",
    )
    .bind(no)
    .execute(&mut *connection)
    .await?;
    for statement in [
        "DELETE FROM run_blob WHERE run_no = ?",
        "DELETE FROM attempt_stream WHERE run_no = ?",
        "DELETE FROM inbox WHERE run_no = ?",
        "DELETE FROM run WHERE no = ?",
    ] {
        sqlx::query(statement).bind(no).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Removes files under blobs/ that no row names: those just orphaned, and leftovers of appends that were refused.
///
/// It runs under the write lock, and an append looks for its files under the same lock, so neither misses the other.
async fn sweep(
    connection: &mut SqliteConnection,
    home: &Home,
    lift: &impl Fn(sqlx::Error) -> JournalError,
) -> Result<(), JournalError> {
    let files = blob::files(home)?;
    if files.is_empty() {
        return Ok(());
    }
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await.map_err(lift)?;
    for (digest, path) in files {
        // A name that is no digest is a temporary file, perhaps of a write going on.
        let Some(digest) = digest else { continue };
        let named: Option<i64> = sqlx::query_scalar("SELECT no FROM blob WHERE digest = ?")
            .bind(digest.0.as_slice())
            .fetch_optional(&mut *connection)
            .await
            .map_err(lift)?;
        if named.is_none() {
            std::fs::remove_file(&path).map_err(|error| JournalError::io(&path, error))?;
        }
    }
    sqlx::query("COMMIT").execute(connection).await.map_err(lift)?;
    Ok(())
}
