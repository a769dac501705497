//! What an ingest writes into `records.sqlite`.

use receipts::Digest;

use super::{On, Session};
use crate::{
    corpus::CorpusRow,
    document::Document,
    error::StoreError,
    store::rows::{NewPassage, Piece, Revision, signed},
};

/// Rows of one statement: SQLite takes 32,766 values.
const ROWS: usize = 1000;

impl Session {
    pub(crate) async fn keep_folder(&mut self, folder: &str) -> Result<(), StoreError> {
        let query = sqlx::query("INSERT INTO source (folder) SELECT ? WHERE NOT EXISTS (SELECT 1 FROM source)");
        query.bind(folder).execute(self.on()).await.map_err(self.failed())?;
        Ok(())
    }

    pub(crate) async fn end(&mut self, document: u64, revision: i64) -> Result<(), StoreError> {
        let query = sqlx::query("UPDATE documents SET until = ? WHERE id = ?").bind(revision).bind(signed(document));
        query.execute(self.on()).await.map_err(self.failed())?;
        Ok(())
    }

    pub(crate) async fn add_pieces(&mut self, text: Digest, pieces: &[Piece]) -> Result<(), StoreError> {
        for piece in pieces {
            let query = sqlx::query("INSERT OR IGNORE INTO chunks (text, start, zstd) VALUES (?, ?, ?)");
            let query = query.bind(text.0.to_vec()).bind(signed(piece.start)).bind(&piece.zstd);
            query.execute(self.on()).await.map_err(self.failed())?;
        }
        Ok(())
    }

    pub(crate) async fn add_document(&mut self, document: &Document, revision: i64) -> Result<i64, StoreError> {
        let query = sqlx::query(
            "INSERT INTO documents (path, document, text, bytes, media, title, since) VALUES (?, ?, ?, ?, ?, ?, ?)",
        );
        let query = query.bind(&document.path).bind(document.digest.0.to_vec()).bind(document.text_digest.0.to_vec());
        let query = query.bind(signed(document.bytes)).bind(document.media.name()).bind(&document.title).bind(revision);
        Ok(query.execute(self.on()).await.map_err(self.failed())?.last_insert_rowid())
    }

    pub(crate) async fn add_passages(&mut self, document: i64, passages: &[NewPassage]) -> Result<(), StoreError> {
        for passages in passages.chunks(ROWS) {
            let mut insert =
                sqlx::QueryBuilder::new("INSERT INTO passages (document, start, stop, headings, sentences) ");
            insert.push_values(passages, |mut row, passage| {
                row.push_bind(document)
                    .push_bind(signed(passage.placed.start))
                    .push_bind(signed(passage.stop))
                    .push_bind(&passage.placed.headings)
                    .push_bind(&passage.placed.sentences);
            });
            insert.build().execute(self.on()).await.map_err(self.failed())?;
        }
        Ok(())
    }

    pub(crate) async fn append_rows(&mut self, rows: &[(&CorpusRow, Digest)]) -> Result<(), StoreError> {
        for (row, leaf) in rows {
            let query = sqlx::query(
                "INSERT INTO corpus (op, document, bytes, media, path, salt, leaf) VALUES (?, ?, ?, ?, ?, ?, ?)",
            );
            let query = query.bind(row.op.word()).bind(row.document.0.to_vec()).bind(signed(row.bytes));
            let query = query.bind(&row.media).bind(&row.path).bind(row.salt.to_vec()).bind(leaf.0.to_vec());
            query.execute(self.on()).await.map_err(self.failed())?;
        }
        Ok(())
    }

    pub(crate) async fn mark(&mut self, revision: &Revision) -> Result<(), StoreError> {
        let query = sqlx::query(
            "INSERT INTO revisions (revision, size, root, checkpoint, documents, passages) VALUES (?, ?, ?, ?, ?, ?)",
        );
        let query = query.bind(revision.number).bind(signed(revision.size)).bind(revision.root.0.to_vec());
        let query = query.bind(&revision.checkpoint).bind(signed(revision.documents)).bind(signed(revision.passages));
        query.execute(self.on()).await.map_err(self.failed())?;
        Ok(())
    }

    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        let failed = self.failed();
        match self.on {
            On::Statements(_done) => Ok(()),
            On::One(transaction) => transaction.commit().await.map_err(failed),
        }
    }
}
