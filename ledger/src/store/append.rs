//! Appending a batch: who is new, who was there, who comes second for a nullifier; and the transaction that keeps it.
//!
//! **Invariant:** the fate of each receipt is decided inside the transaction that stores it, by one writer.

use std::collections::HashMap;

use receipts::{Digest, ledger::submission::Admitted, merkle::Tree};
use sqlx::{Connection, QueryBuilder, Row, Sqlite, SqliteTransaction, sqlite::SqliteConnection};

use super::{Store, StoreError, digest, index};
use crate::heads::Head;

/// Rows in one statement; SQLite takes 32,766 values.
const ROWS: usize = 1024;

/// What became of a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It has this index now.
    New(u64),
    /// It has had this index before.
    Known(u64),
    /// Its nullifier was credited to another receipt, this one.
    Conflict(Digest),
}

/// A batch that is written and not yet committed.
pub struct Appended<'a> {
    transaction: SqliteTransaction<'a>,
    path: std::path::PathBuf,
    /// What becomes of each receipt, in order.
    pub fates: Vec<Fate>,
    /// The new head; `None` when nothing is new.
    pub head: Option<Head>,
}

impl Appended<'_> {
    /// Makes it durable.
    ///
    /// # Errors
    /// [`StoreError::Sql`]: nothing of it is stored then, as far as SQLite can tell.
    pub async fn commit(self) -> Result<(Vec<Fate>, Option<Head>), StoreError> {
        let path = self.path;
        self.transaction.commit().await.map_err(|source| StoreError::Sql { path, source })?;
        Ok((self.fates, self.head))
    }
}

impl Store {
    /// Writes a batch. New leaves are pushed to `tree`, which the caller cuts back should the batch not be committed. With
    /// `publish` the new head is the published one too.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn append(
        &mut self,
        batch: &[Admitted],
        tree: &std::sync::RwLock<Tree>,
        sign: impl Fn(u64, Digest) -> String,
        publish: bool,
    ) -> Result<Appended<'_>, StoreError> {
        let path = self.path.clone();
        let sql = |source| StoreError::Sql { path: path.clone(), source };
        let mut transaction = self.connection.begin().await.map_err(sql)?;
        let mut credited = credited(&mut transaction, batch).await.map_err(sql)?;
        let mut next = crate::heads::read(tree).size();
        let (mut fates, mut fresh, mut second) = (Vec::with_capacity(batch.len()), Vec::new(), Vec::new());
        for admitted in batch {
            let entry = admitted.entry;
            fates.push(match credited.get(&entry.nullifier) {
                Some((at, receipt)) if *receipt == entry.receipt => Fate::Known(*at),
                Some((_, receipt)) => {
                    second.push(admitted);
                    Fate::Conflict(*receipt)
                }
                None => {
                    credited.insert(entry.nullifier, (next, entry.receipt));
                    fresh.push((next, admitted));
                    next += 1;
                    Fate::New(next - 1)
                }
            });
        }
        insert(&mut transaction, &fresh).await.map_err(sql)?;
        keep_evidence(&mut transaction, &second).await.map_err(sql)?;
        let mut head = None;
        if !fresh.is_empty() {
            let (size, root) = {
                let mut tree = crate::heads::write(tree);
                fresh.iter().for_each(|(_, admitted)| tree.push(admitted.entry.leaf()));
                (tree.size(), tree.root())
            };
            let note = sign(size, root);
            put_head(&mut transaction, "latest", &note).await.map_err(sql)?;
            if publish {
                put_head(&mut transaction, "published", &note).await.map_err(sql)?;
            }
            head = Some(Head { size, root, note });
        }
        Ok(Appended { transaction, path, fates, head })
    }
}

/// What was credited before for the nullifiers of a batch.
async fn credited(
    connection: &mut SqliteConnection,
    batch: &[Admitted],
) -> Result<HashMap<Digest, (u64, Digest)>, sqlx::Error> {
    let mut found = HashMap::with_capacity(batch.len());
    for piece in batch.chunks(ROWS) {
        let mut query: QueryBuilder<Sqlite> =
            QueryBuilder::new("SELECT nullifier, idx, receipt FROM entry WHERE nullifier IN (");
        let mut values = query.separated(", ");
        for admitted in piece {
            values.push_bind(admitted.entry.nullifier.0.to_vec());
        }
        query.push(")");
        for row in query.build().fetch_all(&mut *connection).await? {
            let (nullifier, at, receipt): (&[u8], i64, &[u8]) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            let whole = digest(nullifier).zip(digest(receipt)).zip(u64::try_from(at).ok());
            let ((nullifier, receipt), at) = whole.ok_or(sqlx::Error::RowNotFound)?;
            found.insert(nullifier, (at, receipt));
        }
    }
    Ok(found)
}

async fn insert(connection: &mut SqliteConnection, fresh: &[(u64, &Admitted)]) -> Result<(), sqlx::Error> {
    for piece in fresh.chunks(ROWS) {
        let mut entries: QueryBuilder<Sqlite> =
            QueryBuilder::new("INSERT INTO entry (idx, receipt, nullifier, class) ");
        entries.push_values(piece, |mut row, (at, admitted)| {
            let entry = admitted.entry;
            row.push_bind(index(*at)).push_bind(entry.receipt.0.to_vec());
            row.push_bind(entry.nullifier.0.to_vec()).push_bind(entry.class.as_str());
        });
        entries.build().execute(&mut *connection).await?;
        let mut files: QueryBuilder<Sqlite> = QueryBuilder::new("INSERT INTO receipt_file (idx, file) ");
        files.push_values(piece, |mut row, (at, admitted)| {
            row.push_bind(index(*at)).push_bind(admitted.receipt.as_str());
        });
        files.build().execute(&mut *connection).await?;
    }
    let mut counts: HashMap<&str, i64> = HashMap::new();
    for (_, admitted) in fresh {
        *counts.entry(admitted.entry.class.as_str()).or_default() += 1;
    }
    for (class, count) in counts {
        let add = "INSERT INTO class_count (class, entries) VALUES (?, ?) \
                   ON CONFLICT (class) DO UPDATE SET entries = entries + excluded.entries";
        sqlx::query(add).bind(class).bind(count).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Receipts that come second stay as evidence; the same one a second time is no more evidence than once.
async fn keep_evidence(connection: &mut SqliteConnection, second: &[&Admitted]) -> Result<(), sqlx::Error> {
    for piece in second.chunks(ROWS) {
        let mut rows: QueryBuilder<Sqlite> =
            QueryBuilder::new("INSERT OR IGNORE INTO conflict (receipt, nullifier, file) ");
        rows.push_values(piece, |mut row, admitted| {
            let entry = admitted.entry;
            row.push_bind(entry.receipt.0.to_vec()).push_bind(entry.nullifier.0.to_vec());
            row.push_bind(admitted.receipt.as_str());
        });
        rows.build().execute(&mut *connection).await?;
    }
    Ok(())
}

pub(super) async fn put_head(
    connection: &mut SqliteConnection,
    name: &'static str,
    note: &str,
) -> Result<(), sqlx::Error> {
    let put = sqlx::query("UPDATE head SET note = ? WHERE name = ?").bind(note).bind(name);
    put.execute(connection).await.map(|_rows| ())
}
