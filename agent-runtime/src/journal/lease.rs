//! Who may write a run: taking over, keeping and giving up its lease.
//!
//! The clock is the caller's and may jump. A lease counts as running only while `acquired ≤ now + ttl` and
//! `now < acquired + ttl`: when the clock fell back by more than one term, the stamp belongs to another reckoning of
//! time and the lease is over. So no lease outlives its last renewal by more than two terms of the new clock. An early
//! takeover is harmless to the record: the epoch rises and the old holder's appends are refused.
//!
//! **Invariant:** an epoch given once is never given again for the same run; every [`acquire`] raises it.
//! **Invariant:** a living holder's running lease is never taken.

use common_ground::{RunId, chain::Head};
use sqlx::Row;
use sqlx::sqlite::SqliteConnection;
use uuid::Uuid;

use super::append::{number, uuid};
use super::error::JournalError;
use super::row::{Holding, Lease};
use crate::home::Home;

/// Whether the lease is within its term at `now_ms`.
pub(crate) fn is_running(holding: &Holding, now_ms: u64) -> bool {
    holding.acquired_ms <= now_ms.saturating_add(holding.ttl_ms)
        && now_ms < holding.acquired_ms.saturating_add(holding.ttl_ms)
}

/// Times are stored as SQLite's signed integers.
fn stored(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

/// Reads one run's number and holder.
pub(crate) async fn look(
    connection: &mut SqliteConnection,
    run: RunId,
) -> Result<Option<(i64, Option<Holding>)>, sqlx::Error> {
    let row = sqlx::query("SELECT no, holder, acquired_ms, ttl_ms FROM run WHERE run = ?")
        .bind(run.0.as_bytes().as_slice())
        .fetch_optional(connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let holding = match row.try_get::<Option<&[u8]>, _>(1)? {
        None => None,
        Some(_) => Some(Holding { holder: uuid(&row, 1)?, acquired_ms: number(&row, 2)?, ttl_ms: number(&row, 3)? }),
    };
    Ok(Some((row.try_get(0)?, holding)))
}

/// Whether somebody other than `us` keeps the run at `now_ms`: the lease runs and its holder lives.
pub(crate) fn keeper(
    home: &Home,
    holding: Option<Holding>,
    us: Uuid,
    now_ms: u64,
) -> Result<Option<Uuid>, JournalError> {
    match holding {
        Some(holding) if holding.holder != us && is_running(&holding, now_ms) => {
            let alive = home.is_alive(holding.holder).map_err(|error| JournalError::io(&home.locks(), error))?;
            Ok(alive.then_some(holding.holder))
        }
        Some(_) | None => Ok(None),
    }
}

/// Takes the run inside an open write transaction, making its row if it is new.
pub(crate) async fn acquire(
    connection: &mut SqliteConnection,
    run: RunId,
    us: Uuid,
    now_ms: u64,
    ttl_ms: u64,
) -> Result<Lease, sqlx::Error> {
    let row = sqlx::query(
        "INSERT INTO run (run, created_ms, head_seq, head_link, epoch, holder, acquired_ms, ttl_ms) \
         VALUES (?, ?, 0, ?, 1, ?, ?, ?) \
         ON CONFLICT (run) DO UPDATE SET epoch = epoch + 1, holder = excluded.holder, \
           acquired_ms = excluded.acquired_ms, ttl_ms = excluded.ttl_ms \
         RETURNING epoch",
    )
    .bind(run.0.as_bytes().as_slice())
    .bind(stored(now_ms))
    .bind(Head::genesis(run).link.0.as_slice())
    .bind(us.as_bytes().as_slice())
    .bind(stored(now_ms))
    .bind(stored(ttl_ms))
    .fetch_one(connection)
    .await?;
    Ok(Lease { run, epoch: number(&row, 0)?, until_ms: now_ms.saturating_add(ttl_ms) })
}

/// Renews a lease that nobody has taken over, even one that has run out. `None`: somebody has.
pub(crate) async fn renew(
    connection: &mut SqliteConnection,
    lease: Lease,
    us: Uuid,
    now_ms: u64,
    ttl_ms: u64,
) -> Result<Option<Lease>, sqlx::Error> {
    let done = sqlx::query("UPDATE run SET acquired_ms = ?, ttl_ms = ? WHERE run = ? AND epoch = ? AND holder = ?")
        .bind(stored(now_ms))
        .bind(stored(ttl_ms))
        .bind(lease.run.0.as_bytes().as_slice())
        .bind(stored(lease.epoch))
        .bind(us.as_bytes().as_slice())
        .execute(connection)
        .await?;
    Ok((done.rows_affected() == 1).then_some(Lease { until_ms: now_ms.saturating_add(ttl_ms), ..lease }))
}

/// Gives the run up. False: it was no longer ours.
pub(crate) async fn release(connection: &mut SqliteConnection, lease: Lease, us: Uuid) -> Result<bool, sqlx::Error> {
    let done = sqlx::query("UPDATE run SET holder = NULL WHERE run = ? AND epoch = ? AND holder = ?")
        .bind(lease.run.0.as_bytes().as_slice())
        .bind(stored(lease.epoch))
        .bind(us.as_bytes().as_slice())
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

#[cfg(test)]
mod tests {
    use super::{Holding, is_running};
    use uuid::Uuid;

    #[test]
    fn a_clock_that_jumps_makes_no_lease_immortal() {
        const HOUR: u64 = 3_600_000;
        let lease = Holding { holder: Uuid::from_u128(1), acquired_ms: 10 * HOUR, ttl_ms: 30_000 };
        for (now, running) in [
            (10 * HOUR, true),
            (10 * HOUR + 29_999, true),
            (10 * HOUR + 30_000, false),
            (10 * HOUR - 30_000, true),
            (10 * HOUR - 30_001, false),
            (9 * HOUR, false),
            (0, false),
            (u64::MAX, false),
        ] {
            assert_eq!(is_running(&lease, now), running, "at {now}");
        }
    }
}
