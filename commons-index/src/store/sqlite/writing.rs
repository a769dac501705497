//! What an ingest writes into `records.sqlite`.

use receipts::Digest;

use super::{On, Session};
use crate::{
    corpus::CorpusRow,
    error::StoreError,
    store::rows::{Kept, NewPassage, Piece, Revision, signed},
    writing::Ready,
};

/// Rows of one statement. SQLite takes 32,766 values; longer statements gain nothing.
const ROWS: usize = 200;

impl Session {
    pub(crate) async fn keep_folder(&mut self, folder: &str) -> Result<(), StoreError> {
        let query = sqlx::query("INSERT INTO source (folder) SELECT ? WHERE NOT EXISTS (SELECT 1 FROM source)");
        query.bind(folder).execute(self.on()).await.map_err(self.failed())?;
        Ok(())
    }

    pub(crate) async fn keep_kept(&mut self, kept: &Kept) -> Result<(), StoreError> {
        let query =
            sqlx::query("INSERT INTO keeper (origin, vkey) SELECT ?, ? WHERE NOT EXISTS (SELECT 1 FROM keeper)");
        query.bind(&kept.origin).bind(&kept.vkey).execute(self.on()).await.map_err(self.failed())?;
        Ok(())
    }

    pub(crate) async fn end(&mut self, document: i64, revision: i64) -> Result<(), StoreError> {
        let query = sqlx::query("UPDATE documents SET until = ? WHERE id = ?").bind(revision).bind(document);
        query.execute(self.on()).await.map_err(self.failed())?;
        Ok(())
    }

    pub(crate) async fn add(&mut self, ready: &[Ready], revision: i64, how: &str) -> Result<(), StoreError> {
        let query = sqlx::query_scalar("SELECT coalesce(max(id), 0) FROM documents");
        let last: i64 = query.fetch_one(self.on()).await.map_err(self.failed())?;
        let rows: Vec<(i64, &Ready)> = (last + 1..).zip(ready).collect();
        for rows in rows.chunks(ROWS) {
            let mut insert = sqlx::QueryBuilder::new(
                "INSERT INTO documents (id, path, file, document, text, bytes, media, title, since, how, drawn, source, \
                 licence, edition, language, date, decoding) ",
            );
            insert.push_values(rows, |mut row, (id, ready)| {
                let document = &ready.document;
                let about = &document.metadata;
                row.push_bind(*id).push_bind(&document.path).push_bind(&document.file);
                row.push_bind(document.digest.0.as_slice()).push_bind(document.text_digest.0.as_slice());
                row.push_bind(signed(document.bytes)).push_bind(&*document.media).push_bind(&document.title);
                row.push_bind(revision).push_bind(how).push_bind(i64::from(document.text_digest != document.digest));
                row.push_bind(&about.source).push_bind(&about.licence);
                row.push_bind(&about.revision).push_bind(&about.language).push_bind(&about.date);
                row.push_bind(document.decoding.as_deref());
            });
            insert.build().execute(self.on()).await.map_err(self.failed())?;
        }
        let pieces: Vec<(&Ready, &Piece)> =
            ready.iter().flat_map(|ready| ready.pieces.iter().map(move |piece| (ready, piece))).collect();
        for pieces in pieces.chunks(ROWS) {
            let mut insert = sqlx::QueryBuilder::new("INSERT OR IGNORE INTO chunks (text, start, zstd) ");
            insert.push_values(pieces, |mut row, (ready, piece)| {
                row.push_bind(ready.document.text_digest.0.as_slice()).push_bind(signed(piece.start));
                row.push_bind(piece.zstd.as_slice());
            });
            insert.build().execute(self.on()).await.map_err(self.failed())?;
        }
        let passages: Vec<(i64, &NewPassage)> =
            rows.iter().flat_map(|(id, ready)| ready.passages.iter().map(move |passage| (*id, passage))).collect();
        for passages in passages.chunks(ROWS) {
            let mut insert =
                sqlx::QueryBuilder::new("INSERT INTO passages (document, start, stop, headings, sentences) ");
            insert.push_values(passages, |mut row, (document, passage)| {
                row.push_bind(*document)
                    .push_bind(signed(passage.placed.start))
                    .push_bind(signed(passage.stop))
                    .push_bind(&passage.placed.headings)
                    .push_bind(passage.placed.sentences.as_slice());
            });
            insert.build().execute(self.on()).await.map_err(self.failed())?;
        }
        Ok(())
    }

    pub(crate) async fn append_rows(&mut self, rows: &[(CorpusRow, Digest)]) -> Result<(), StoreError> {
        for rows in rows.chunks(ROWS) {
            let mut insert =
                sqlx::QueryBuilder::new("INSERT INTO corpus (op, document, bytes, media, path, salt, leaf) ");
            insert.push_values(rows, |mut line, (row, leaf)| {
                line.push_bind(row.op.word()).push_bind(row.document.0.as_slice()).push_bind(signed(row.bytes));
                line.push_bind(&row.media).push_bind(&row.path).push_bind(row.salt.as_slice());
                line.push_bind(leaf.0.as_slice());
            });
            insert.build().execute(self.on()).await.map_err(self.failed())?;
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
