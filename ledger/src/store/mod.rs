//! Storage of a ledger: SQLite in WAL form, flushed at each commit.
//!
//! **Invariant:** what opens is whole: the tree is built anew from the entries and held against the last signed heads, and a
//! store of which one does not fit is refused.

mod append;
mod change;
mod read;

use std::path::{Path, PathBuf};

use receipts::{
    Digest, PublicKey,
    checkpoint::Checkpoint,
    cosignature::open_cosigned,
    ledger::{
        block::CertifiedBlock,
        entry::{BenefitClass, LogEntry},
    },
    merkle::Tree,
    note::log_name,
};
use sqlx::{
    Connection, Row,
    sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

pub use append::{Appended, Fate};
pub use read::{ForNullifier, Found, Reader};

use crate::heads::{Head, Heads};

const VERSION: &str = "1";
const FILE: &str = "ledger.sqlite";

/// Why storage does not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite, or the disk under it.
    #[error("storage {path}: {source}")]
    Sql {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: sqlx::Error,
    },
    /// What is stored does not fit together.
    #[error("storage {path} is damaged: {what}; restore a copy of the folder, or start with an empty one")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        what: String,
    },
    /// The folder is of another ledger or program.
    #[error("storage {path} is of {name} {found}, not {wanted}; name another folder with --home")]
    Other {
        /// The file.
        path: PathBuf,
        /// What differs: network, origin or version.
        name: &'static str,
        /// What the file says.
        found: String,
        /// What was asked for.
        wanted: String,
    },
}

/// Which ledger a store is of.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The ledger network.
    pub network: Digest,
    /// The log's key, whose name is the log's origin.
    pub log: PublicKey,
}

/// The writing side. One of it exists.
pub struct Store {
    path: PathBuf,
    connection: SqliteConnection,
}

/// What an opened store holds.
pub struct Opened {
    /// The writing side.
    pub store: Store,
    /// The reading side.
    pub reader: Reader,
    /// The tree of all entries.
    pub tree: Tree,
    /// The last heads and block.
    pub heads: Heads,
}

/// A head of nothing, with which a log begins.
pub fn empty_head(identity: &Identity) -> Checkpoint {
    Checkpoint { origin: log_name(&identity.log), size: 0, root: Tree::new().root() }
}

impl Store {
    /// Opens the store of a folder, making it when there is none. `sign` signs the head of an empty log.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open(
        folder: &Path,
        identity: &Identity,
        sign: impl Fn(&Checkpoint) -> String,
    ) -> Result<Opened, StoreError> {
        let path = folder.join(FILE);
        let sql = |source| StoreError::Sql { path: path.clone(), source };
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        let mut connection = SqliteConnection::connect_with(&options).await.map_err(sql)?;
        let tables = sqlx::query("SELECT count(*) FROM sqlite_schema WHERE name = 'ledger'");
        let tables: i64 = tables.fetch_one(&mut connection).await.map_err(sql)?.get(0);
        if tables == 0 {
            create(&mut connection, identity, &sign(&empty_head(identity))).await.map_err(sql)?;
        }
        let pool = SqlitePoolOptions::new().max_connections(4).connect_with(options.read_only(true));
        let reader = Reader::new(pool.await.map_err(sql)?, path.clone());
        let mut store = Self { path, connection };
        store.is(identity).await?;
        let (tree, heads) = store.load(identity).await?;
        Ok(Opened { store, reader, tree, heads })
    }

    fn sql(&self, source: sqlx::Error) -> StoreError {
        StoreError::Sql { path: self.path.clone(), source }
    }

    fn damaged(&self, what: String) -> StoreError {
        StoreError::Damaged { path: self.path.clone(), what }
    }

    async fn is(&mut self, identity: &Identity) -> Result<(), StoreError> {
        for (name, wanted) in texts(identity) {
            let found = sqlx::query("SELECT value FROM ledger WHERE name = ?").bind(name);
            let found = found.fetch_optional(&mut self.connection).await.map_err(|source| self.sql(source))?;
            let found: String = found.map(|row| row.get(0)).unwrap_or_default();
            if found != wanted {
                return Err(StoreError::Other { path: self.path.clone(), name, found, wanted });
            }
        }
        Ok(())
    }

    async fn load(&mut self, identity: &Identity) -> Result<(Tree, Heads), StoreError> {
        let mut tree = Tree::new();
        loop {
            // By pieces: a log of a million entries need not lie in memory twice.
            let rows =
                sqlx::query("SELECT idx, receipt, nullifier, class FROM entry WHERE idx >= ? ORDER BY idx LIMIT 8192");
            let rows = rows.bind(index(tree.size())).fetch_all(&mut self.connection).await;
            let rows = rows.map_err(|source| self.sql(source))?;
            if rows.is_empty() {
                break;
            }
            for row in &rows {
                let at: i64 = row.get(0);
                let entry = entry(row).filter(|_| u64::try_from(at) == Ok(tree.size()));
                let entry = entry.ok_or_else(|| self.damaged(format!("entry {}", tree.size())))?;
                tree.push(entry.leaf());
            }
        }
        let latest = self.head("latest", identity, &tree).await?;
        if latest.size != tree.size() {
            let what = format!("{} entries where the head has {}", tree.size(), latest.size);
            return Err(self.damaged(what));
        }
        let published = self.head("published", identity, &tree).await?;
        let last = sqlx::query("SELECT certified FROM block ORDER BY height DESC LIMIT 1");
        let last = last.fetch_optional(&mut self.connection).await.map_err(|source| self.sql(source))?;
        let block = match last {
            None => None,
            Some(row) => Some(self.block(row.get(0), &tree)?),
        };
        Ok((tree, Heads { latest, published, block, forged: None }))
    }

    async fn head(&mut self, name: &'static str, identity: &Identity, tree: &Tree) -> Result<Head, StoreError> {
        let note = sqlx::query("SELECT note FROM head WHERE name = ?").bind(name);
        let note = note.fetch_optional(&mut self.connection).await.map_err(|source| self.sql(source))?;
        let note: String = note.map(|row| row.get(0)).unwrap_or_default();
        let head = open_cosigned(&note, &log_name(&identity.log), &identity.log).ok().and_then(Checkpoint::parse);
        match head {
            Some(head) if tree.root_at(head.size) == Some(head.root) => {
                Ok(Head { size: head.size, root: head.root, note })
            }
            Some(_) | None => Err(self.damaged(format!("the {name} head is not that of the entries"))),
        }
    }

    fn block(&self, text: String, tree: &Tree) -> Result<CertifiedBlock, StoreError> {
        let block: Option<CertifiedBlock> = serde_json::from_str(&text).ok();
        let block = block.filter(|block| tree.root_at(block.block.size.0) == Some(block.block.root));
        block.ok_or_else(|| self.damaged("the last block is not that of the entries".to_owned()))
    }

    /// Writes everything out and closes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn close(self) -> Result<(), StoreError> {
        let path = self.path;
        self.connection.close().await.map_err(|source| StoreError::Sql { path, source })
    }
}

fn texts(identity: &Identity) -> [(&'static str, String); 3] {
    [("version", VERSION.to_owned()), ("network", identity.network.to_string()), ("origin", log_name(&identity.log))]
}

async fn create(connection: &mut SqliteConnection, identity: &Identity, note: &str) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin().await?;
    sqlx::raw_sql(include_str!("schema.sql")).execute(&mut *transaction).await?;
    for (name, value) in texts(identity) {
        let row = sqlx::query("INSERT INTO ledger (name, value) VALUES (?, ?)").bind(name).bind(value);
        row.execute(&mut *transaction).await?;
    }
    for name in ["latest", "published"] {
        let row = sqlx::query("INSERT INTO head (name, note) VALUES (?, ?)").bind(name).bind(note);
        row.execute(&mut *transaction).await?;
    }
    transaction.commit().await
}

/// An index as SQLite has it. No log that anyone can fill has more.
fn index(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn digest(bytes: &[u8]) -> Option<Digest> {
    bytes.try_into().ok().map(Digest)
}

/// The entry of a row `idx, receipt, nullifier, class`.
fn entry(row: &sqlx::sqlite::SqliteRow) -> Option<LogEntry> {
    let class = BenefitClass::parse(row.try_get(3).ok()?)?;
    let (receipt, nullifier): (&[u8], &[u8]) = (row.try_get(1).ok()?, row.try_get(2).ok()?);
    Some(LogEntry { receipt: digest(receipt)?, nullifier: digest(nullifier)?, class })
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or_default()
}
