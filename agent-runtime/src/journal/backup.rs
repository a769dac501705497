//! A backup is one file: the database with every large content as a row in it. Restoring puts it into an empty home.
//!
//! **Invariant:** a backup taken while appends go on is a state that was committed, with every content it names.
//! **Invariant:** neither backup nor restore replaces a file: each writes beside and renames at the end.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use receipts::Digest;
use sqlx::sqlite::SqliteConnection;
use sqlx::{ConnectOptions, Connection};

use super::blob;
use super::error::{Damage, JournalError};
use super::read::Reader;
use super::schema;
use crate::home::Home;

/// How often a backup begins anew because a run was deleted under it.
const TRIES: u32 = 5;

/// Writes a backup of the reader's home to the new file `to`.
pub(crate) async fn backup(reader: &Reader, to: &Path) -> Result<(), JournalError> {
    if to.exists() {
        return Err(JournalError::NotEmpty { path: to.to_owned() });
    }
    let half = beside(to);
    let mut result = Ok(());
    for _ in 0..TRIES {
        remove_half(&half)?;
        result = fill(reader, &half).await;
        // A content that vanished belongs to a run deleted since the snapshot: a newer snapshot does not name it.
        if !matches!(result, Err(JournalError::Damaged(Damage::Content(_)))) {
            break;
        }
    }
    match result {
        Ok(()) => finish(&half, to),
        Err(error) => {
            remove_half(&half)?;
            Err(error)
        }
    }
}

async fn fill(reader: &Reader, half: &Path) -> Result<(), JournalError> {
    let lift = |error| JournalError::sqlite(half, error);
    let target = half.to_string_lossy().into_owned();
    reader
        .ask(move |connection| {
            let target = target.clone();
            Box::pin(async move {
                sqlx::query("PRAGMA query_only = OFF").execute(&mut *connection).await?;
                sqlx::query("VACUUM INTO ?").bind(target).execute(&mut *connection).await?;
                sqlx::query("PRAGMA query_only = ON").execute(connection).await.map(|_done| ())
            })
        })
        .await?;
    let mut copy = schema::plain(half).connect().await.map_err(lift)?;
    let large: Vec<Vec<u8>> = sqlx::query_scalar("SELECT digest FROM blob WHERE form = 2 AND bytes IS NULL")
        .fetch_all(&mut copy)
        .await
        .map_err(lift)?;
    for digest in large {
        let digest: [u8; 32] = digest
            .try_into()
            .map_err(|_| JournalError::Damaged(Damage::Database("a content's digest is not 32 bytes".to_owned())))?;
        take_in(reader.home(), &mut copy, Digest(digest), half).await?;
    }
    copy.close().await.map_err(lift)
}

async fn take_in(home: &Home, copy: &mut SqliteConnection, digest: Digest, half: &Path) -> Result<(), JournalError> {
    let path = blob::file_of(home, digest);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(JournalError::Damaged(Damage::Content(digest)));
        }
        Err(error) => return Err(JournalError::io(&path, error)),
    };
    sqlx::query("UPDATE blob SET bytes = ? WHERE digest = ?")
        .bind(bytes)
        .bind(digest.0.as_slice())
        .execute(copy)
        .await
        .map_err(|error| JournalError::sqlite(half, error))?;
    Ok(())
}

/// Makes the home from a backup, and says in it that it was. Nobody holds a run of a restored home; epochs go on from where they
/// were.
pub(crate) async fn restore(home: &Home, from: &Path) -> Result<(), JournalError> {
    if home.journal().exists() {
        return Err(JournalError::NotEmpty { path: home.root().to_owned() });
    }
    home.create().map_err(|(path, error)| JournalError::io(&path, error))?;
    let half = beside(&home.journal());
    remove_half(&half)?;
    fs::copy(from, &half).map_err(|error| JournalError::io(from, error))?;
    match check(&half).await {
        Ok(()) => finish(&half, &home.journal()),
        Err(error) => {
            remove_half(&half)?;
            Err(error)
        }
    }
}

async fn check(half: &Path) -> Result<(), JournalError> {
    let lift = |error| JournalError::sqlite(half, error);
    let mut copy = schema::plain(half).connect().await.map_err(lift)?;
    if schema::refuse_newer(half, &mut copy).await? == 0 {
        return Err(JournalError::Damaged(Damage::Database("no journal".to_owned())));
    }
    let verdict: String = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&mut copy).await.map_err(lift)?;
    if verdict != "ok" {
        return Err(JournalError::Damaged(Damage::Database(verdict)));
    }
    schema::migrate(&mut copy).await.map_err(lift)?;
    sqlx::query("UPDATE run SET holder = NULL").execute(&mut copy).await.map_err(lift)?;
    let mark = "INSERT INTO restored (at_ms) VALUES (CAST(unixepoch('subsec') * 1000 AS INTEGER))";
    sqlx::query(mark).execute(&mut copy).await.map_err(lift)?;
    copy.close().await.map_err(lift)
}

impl Reader {
    /// Whether the journal was made from a backup: what its home did after that was taken may stand at the ledger already.
    ///
    /// # Errors
    /// The database's.
    pub async fn is_restored(&self) -> Result<bool, JournalError> {
        self.ask(|connection| Box::pin(is_restored(connection))).await
    }
}

async fn is_restored(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    if schema::version(connection).await? < 5 {
        return Ok(false);
    }
    sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM restored)").fetch_one(connection).await
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(format!(".{}.half", std::process::id()));
    PathBuf::from(name)
}

fn remove_half(half: &Path) -> Result<(), JournalError> {
    match fs::remove_file(half) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(JournalError::io(half, error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn finish(half: &Path, to: &Path) -> Result<(), JournalError> {
    let durable = || -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let file = File::open(half)?;
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
        file.sync_all()?;
        // `hard_link` refuses an existing name, which `rename` would replace.
        fs::hard_link(half, to)?;
        fs::remove_file(half)?;
        match to.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => blob::sync_folder(folder),
            Some(_) | None => blob::sync_folder(Path::new(".")),
        }
    };
    durable().map_err(|error| JournalError::io(to, error))
}
