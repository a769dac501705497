//! What an ingest writes into the schema `ii_commons`: a statement for many rows, since each is a turn to the server.

use receipts::Digest;

use super::{On, Session};
use crate::{
    corpus::CorpusRow,
    document::Document,
    error::StoreError,
    store::rows::{NewPassage, Piece, Revision, signed},
};

/// Rows of one statement.
const ROWS: usize = 5_000;

/// Text as Postgres takes it: the one character that it does not take is replaced.
fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

impl Session {
    pub(crate) async fn keep_folder(&mut self, folder: &str) -> Result<(), StoreError> {
        let query = sqlx::query("UPDATE collections SET folder = $2 WHERE collection = $1 AND folder IS NULL");
        query.bind(self.collection).bind(folder).execute(self.on()).await.map_err(self.failed()).map(drop)
    }

    pub(crate) async fn end(&mut self, document: u64, revision: i64) -> Result<(), StoreError> {
        let query = sqlx::query("UPDATE documents SET until = $1 WHERE id = $2").bind(revision).bind(signed(document));
        query.execute(self.on()).await.map_err(self.failed()).map(drop)
    }

    pub(crate) async fn add_pieces(&mut self, text: Digest, pieces: &[Piece]) -> Result<(), StoreError> {
        let starts: Vec<i64> = pieces.iter().map(|piece| signed(piece.start)).collect();
        let frames: Vec<&[u8]> = pieces.iter().map(|piece| piece.zstd.as_slice()).collect();
        let query = sqlx::query(
            "INSERT INTO chunks (collection, text, start, zstd)
             SELECT $1, $2, piece.start, piece.zstd FROM unnest($3::bigint[], $4::bytea[]) AS piece (start, zstd)
             ON CONFLICT DO NOTHING",
        );
        let query = query.bind(self.collection).bind(text.0.to_vec()).bind(starts).bind(frames);
        query.execute(self.on()).await.map_err(self.failed()).map(drop)
    }

    pub(crate) async fn add_document(&mut self, document: &Document, revision: i64) -> Result<i64, StoreError> {
        let query = sqlx::query_scalar(
            "INSERT INTO documents (collection, path, document, text, bytes, media, title, since)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id",
        );
        let query = query.bind(self.collection).bind(&document.path).bind(document.digest.0.to_vec());
        let query = query.bind(document.text_digest.0.to_vec()).bind(signed(document.bytes));
        let query = query.bind(document.media.name()).bind(storable(&document.title)).bind(revision);
        query.fetch_one(self.on()).await.map_err(self.failed())
    }

    pub(crate) async fn add_passages(&mut self, document: i64, passages: &[NewPassage]) -> Result<(), StoreError> {
        for passages in passages.chunks(ROWS) {
            let starts: Vec<i64> = passages.iter().map(|passage| signed(passage.placed.start)).collect();
            let stops: Vec<i64> = passages.iter().map(|passage| signed(passage.stop)).collect();
            let headings: Vec<String> = passages.iter().map(|passage| storable(&passage.placed.headings)).collect();
            let sentences: Vec<&[u8]> = passages.iter().map(|passage| passage.placed.sentences.as_slice()).collect();
            let query = sqlx::query(
                "INSERT INTO passages (collection, document, start, stop, headings, sentences)
                 SELECT $1, $2, one.start, one.stop, one.headings, one.sentences
                 FROM unnest($3::bigint[], $4::bigint[], $5::text[], $6::bytea[])
                 WITH ORDINALITY AS one (start, stop, headings, sentences, place) ORDER BY one.place",
            );
            let query = query.bind(self.collection).bind(document).bind(starts).bind(stops);
            query.bind(headings).bind(sentences).execute(self.on()).await.map_err(self.failed())?;
        }
        Ok(())
    }

    pub(crate) async fn append_rows(&mut self, rows: &[(&CorpusRow, Digest)]) -> Result<(), StoreError> {
        for rows in rows.chunks(ROWS) {
            let ops: Vec<&str> = rows.iter().map(|(row, _leaf)| row.op.word()).collect();
            let documents: Vec<&[u8]> = rows.iter().map(|(row, _leaf)| row.document.0.as_slice()).collect();
            let bytes: Vec<i64> = rows.iter().map(|(row, _leaf)| signed(row.bytes)).collect();
            let medias: Vec<&str> = rows.iter().map(|(row, _leaf)| row.media.as_str()).collect();
            let paths: Vec<&str> = rows.iter().map(|(row, _leaf)| row.path.as_str()).collect();
            let salts: Vec<&[u8]> = rows.iter().map(|(row, _leaf)| row.salt.as_slice()).collect();
            let leaves: Vec<&[u8]> = rows.iter().map(|(_row, leaf)| leaf.0.as_slice()).collect();
            let query = sqlx::query(
                "INSERT INTO corpus (collection, seq, op, document, bytes, media, path, salt, leaf)
                 SELECT $1, (SELECT coalesce(max(seq), 0) FROM corpus WHERE collection = $1) + one.place,
                        one.op, one.document, one.bytes, one.media, one.path, one.salt, one.leaf
                 FROM unnest($2::text[], $3::bytea[], $4::bigint[], $5::text[], $6::text[], $7::bytea[], $8::bytea[])
                 WITH ORDINALITY AS one (op, document, bytes, media, path, salt, leaf, place)",
            );
            let query = query.bind(self.collection).bind(ops).bind(documents).bind(bytes).bind(medias);
            query.bind(paths).bind(salts).bind(leaves).execute(self.on()).await.map_err(self.failed())?;
        }
        Ok(())
    }

    pub(crate) async fn mark(&mut self, revision: &Revision) -> Result<(), StoreError> {
        let query = sqlx::query(
            "INSERT INTO revisions (collection, revision, size, root, checkpoint, documents, passages)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        );
        let query = query.bind(self.collection).bind(revision.number).bind(signed(revision.size));
        let query = query.bind(revision.root.0.to_vec()).bind(&revision.checkpoint);
        let query = query.bind(signed(revision.documents)).bind(signed(revision.passages));
        query.execute(self.on()).await.map_err(self.failed()).map(drop)
    }

    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        let failed = self.failed();
        match self.on {
            On::Statements(_done) => Ok(()),
            On::One(transaction) => transaction.commit().await.map_err(failed),
        }
    }
}
