//! The database's schema and how it is opened: every version's statements are in the program.
//!
//! **Invariant:** a journal of a later schema is refused before anything in it is read, and the refusal names both versions.
//! **Invariant:** the database and its side files are readable by their owner alone, also in a home that others may list.
//! **Invariant:** a migration is one transaction; two programs opening a new home at once make it once.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Row};

use super::error::JournalError;

/// Statements that lift a journal from version `index` to `index + 1`.
const STEPS: &[&str] = &[
    include_str!("schema_v1.sql"),
    include_str!("schema_v2.sql"),
    include_str!("schema_v3.sql"),
    include_str!("schema_v4.sql"),
    include_str!("schema_v5.sql"),
];

/// How long a statement waits for another process's transaction.
const BUSY_LIMIT: Duration = Duration::from_secs(10);

/// The newest schema this program knows.
pub(crate) fn known() -> i64 {
    i64::try_from(STEPS.len()).unwrap_or(i64::MAX)
}

/// Options every connection shares.
fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path).busy_timeout(BUSY_LIMIT).row_buffer_size(512).disable_statement_logging()
}

/// Options for a file that nobody else has open: a backup in the making.
pub(crate) fn plain(path: &Path) -> SqliteConnectOptions {
    options(path)
}

/// Options of the one connection that writes.
pub(crate) fn writing(path: &Path) -> SqliteConnectOptions {
    options(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("secure_delete", "ON")
        .pragma("temp_store", "MEMORY")
}

/// Options of a connection that reads beside a writer.
pub(crate) fn reading(path: &Path) -> SqliteConnectOptions {
    options(path).read_only(true).pragma("query_only", "ON")
}

/// The schema version of an open journal; 0 for an empty file.
pub(crate) async fn version(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    sqlx::query("PRAGMA user_version").fetch_one(connection).await?.try_get(0)
}

/// Refuses a journal that a later program wrote.
pub(crate) async fn refuse_newer(path: &Path, connection: &mut SqliteConnection) -> Result<i64, JournalError> {
    let found = version(connection).await.map_err(|error| JournalError::sqlite(path, error))?;
    if found > known() {
        return Err(JournalError::Newer { found, known: known() });
    }
    Ok(found)
}

/// Opens the writing connection and brings the schema up to date.
pub(crate) async fn open(path: &Path) -> Result<SqliteConnection, JournalError> {
    let lift = |error| JournalError::sqlite(path, error);
    // Made here and not by SQLite, which would let others read it; its side files take over the mode.
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| JournalError::io(path, error))?;
    // Looked at without the WAL pragma first: a later program's file is left exactly as it is.
    let mut connection = plain(path).connect().await.map_err(lift)?;
    refuse_newer(path, &mut connection).await?;
    drop(connection);
    let mut connection = connect_writing(path).await?;
    if refuse_newer(path, &mut connection).await? < known() {
        migrate(&mut connection).await.map_err(lift)?;
        refuse_newer(path, &mut connection).await?;
    }
    Ok(connection)
}

/// Connects for writing. Turning a new file's log on is the one thing SQLite does not wait for by itself.
async fn connect_writing(path: &Path) -> Result<SqliteConnection, JournalError> {
    const PAUSE: Duration = Duration::from_millis(10);
    let mut waited = Duration::ZERO;
    loop {
        match writing(path).connect().await.map_err(|error| JournalError::sqlite(path, error)) {
            Err(JournalError::Busy) if waited < BUSY_LIMIT => {
                tokio::time::sleep(PAUSE).await;
                waited += PAUSE;
            }
            connected => return connected,
        }
    }
}

pub(super) async fn migrate(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await?;
    // Read again inside the transaction: another program may have done it while we waited for the lock.
    let done = usize::try_from(version(connection).await?).unwrap_or(usize::MAX);
    for &step in STEPS.iter().skip(done) {
        sqlx::raw_sql(step).execute(&mut *connection).await?;
    }
    sqlx::query("COMMIT").execute(&mut *connection).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{STEPS, known};

    #[test]
    fn each_step_sets_the_version_it_leads_to() {
        assert_eq!(known(), 5);
        for (index, step) in STEPS.iter().enumerate() {
            assert!(step.contains(&format!("PRAGMA user_version = {};", index + 1)));
        }
    }
}
