//! What an ingest writes into the schema `ii_commons`: a statement for many rows, since each is a turn to the server.

use std::collections::BTreeMap;

use receipts::Digest;

use super::{On, Session};
use crate::{
    corpus::CorpusRow,
    document::Document,
    error::StoreError,
    metadata::Metadata,
    store::rows::{Kept, NewPassage, Piece, Revision, signed},
    writing::Ready,
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

    pub(crate) async fn keep_kept(&mut self, kept: &Kept) -> Result<(), StoreError> {
        let query =
            sqlx::query("UPDATE collections SET origin = $2, vkey = $3 WHERE collection = $1 AND origin IS NULL");
        let query = query.bind(self.collection).bind(&kept.origin).bind(&kept.vkey);
        query.execute(self.on()).await.map_err(self.failed()).map(drop)
    }

    pub(crate) async fn end(&mut self, document: i64, revision: i64) -> Result<(), StoreError> {
        let query = sqlx::query("UPDATE documents SET until = $1 WHERE id = $2 AND collection = $3");
        let query = query.bind(revision).bind(document).bind(self.collection);
        query.execute(self.on()).await.map_err(self.failed()).map(drop)
    }

    pub(crate) async fn add(&mut self, ready: &[Ready], revision: i64, how: &str) -> Result<(), StoreError> {
        let mut ids = BTreeMap::new();
        for ready in ready.chunks(ROWS) {
            ids.extend(self.add_documents(ready, revision, how).await?);
        }
        let pieces: Vec<(Digest, &Piece)> = ready
            .iter()
            .flat_map(|ready| ready.pieces.iter().map(|piece| (ready.document.text_digest, piece)))
            .collect();
        for pieces in pieces.chunks(ROWS) {
            self.add_pieces(pieces).await?;
        }
        let mut passages: Vec<(i64, &NewPassage)> = Vec::new();
        for ready in ready {
            let cause = || "a document was not kept".to_owned();
            let unkept = || StoreError::Damaged { path: self.at().to_owned(), cause: cause() };
            let id = *ids.get(&ready.document.path).ok_or_else(unkept)?;
            passages.extend(ready.passages.iter().map(|passage| (id, passage)));
        }
        for passages in passages.chunks(ROWS) {
            self.add_passages(passages).await?;
        }
        Ok(())
    }

    /// Gives their rows by path, of which one revision has each once.
    async fn add_documents(
        &mut self,
        ready: &[Ready],
        revision: i64,
        how: &str,
    ) -> Result<Vec<(String, i64)>, StoreError> {
        let documents: Vec<&Document> = ready.iter().map(|ready| &ready.document).collect();
        let known = |of: fn(&Metadata) -> &Option<String>| -> Vec<Option<String>> {
            documents.iter().map(|document| of(&document.metadata).as_deref().map(storable)).collect()
        };
        let paths: Vec<&str> = documents.iter().map(|document| document.path.as_str()).collect();
        let files: Vec<Option<&str>> = documents.iter().map(|document| document.file.as_deref()).collect();
        let digests: Vec<&[u8]> = documents.iter().map(|document| document.digest.0.as_slice()).collect();
        let texts: Vec<&[u8]> = documents.iter().map(|document| document.text_digest.0.as_slice()).collect();
        let bytes: Vec<i64> = documents.iter().map(|document| signed(document.bytes)).collect();
        let medias: Vec<&str> = documents.iter().map(|document| &*document.media).collect();
        let titles: Vec<String> = documents.iter().map(|document| storable(&document.title)).collect();
        let query = sqlx::query_as(
            "INSERT INTO documents (collection, path, file, document, text, bytes, media, title, since, how, drawn,
                source, licence, edition, language, date, decoding)
             SELECT $1, one.path, one.file, one.document, one.text, one.bytes, one.media, one.title, $2, $3,
                one.text <> one.document, one.source, one.licence, one.edition, one.language, one.date, one.decoding
             FROM unnest($4::text[], $5::text[], $6::bytea[], $7::bytea[], $8::bigint[], $9::text[], $10::text[],
                $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[])
             WITH ORDINALITY AS one (path, file, document, text, bytes, media, title, source, licence, edition, language,
                date, decoding, place)
             ORDER BY one.place RETURNING path, id",
        );
        let query = query.bind(self.collection).bind(revision).bind(how).bind(paths).bind(files);
        let query = query.bind(digests).bind(texts).bind(bytes).bind(medias).bind(titles);
        let query = query.bind(known(|about| &about.source)).bind(known(|about| &about.licence));
        let query = query.bind(known(|about| &about.revision)).bind(known(|about| &about.language));
        let decodings: Vec<Option<&str>> = documents.iter().map(|document| document.decoding.as_deref()).collect();
        let query = query.bind(known(|about| &about.date)).bind(decodings);
        query.fetch_all(self.on()).await.map_err(self.failed())
    }

    async fn add_pieces(&mut self, pieces: &[(Digest, &Piece)]) -> Result<(), StoreError> {
        let texts: Vec<&[u8]> = pieces.iter().map(|(text, _piece)| text.0.as_slice()).collect();
        let starts: Vec<i64> = pieces.iter().map(|(_text, piece)| signed(piece.start)).collect();
        let frames: Vec<&[u8]> = pieces.iter().map(|(_text, piece)| piece.zstd.as_slice()).collect();
        let query = sqlx::query(
            "INSERT INTO chunks (collection, text, start, zstd)
             SELECT $1, piece.text, piece.start, piece.zstd
             FROM unnest($2::bytea[], $3::bigint[], $4::bytea[]) AS piece (text, start, zstd)
             ON CONFLICT DO NOTHING",
        );
        let query = query.bind(self.collection).bind(texts).bind(starts).bind(frames);
        query.execute(self.on()).await.map_err(self.failed()).map(drop)
    }

    async fn add_passages(&mut self, passages: &[(i64, &NewPassage)]) -> Result<(), StoreError> {
        let documents: Vec<i64> = passages.iter().map(|(document, _passage)| *document).collect();
        let passages = passages.iter().map(|(_document, passage)| *passage);
        let starts: Vec<i64> = passages.clone().map(|passage| signed(passage.placed.start)).collect();
        let stops: Vec<i64> = passages.clone().map(|passage| signed(passage.stop)).collect();
        let headings: Vec<String> = passages.clone().map(|passage| storable(&passage.placed.headings)).collect();
        let sentences: Vec<&[u8]> = passages.map(|passage| passage.placed.sentences.as_slice()).collect();
        let query = sqlx::query(
            "INSERT INTO passages (collection, document, start, stop, headings, sentences)
             SELECT $1, one.document, one.start, one.stop, one.headings, one.sentences
             FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::bytea[])
             WITH ORDINALITY AS one (document, start, stop, headings, sentences, place) ORDER BY one.place",
        );
        let query = query.bind(self.collection).bind(documents).bind(starts).bind(stops);
        query.bind(headings).bind(sentences).execute(self.on()).await.map_err(self.failed()).map(drop)
    }

    pub(crate) async fn append_rows(&mut self, rows: &[(CorpusRow, Digest)]) -> Result<(), StoreError> {
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

    /// Another that looks at a table at the same moment is not waited for: what it learns is as new. Who does not own the
    /// tables is warned, and goes by what the server finds by itself.
    pub(crate) async fn learn(&mut self) -> Result<(), StoreError> {
        let look = "ANALYZE (SKIP_LOCKED) documents, passages, chunks";
        sqlx::raw_sql(look).execute(self.on()).await.map_err(self.failed()).map(drop)
    }

    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        let failed = self.failed();
        match self.on {
            On::Statements(_done) => Ok(()),
            On::One(transaction) => transaction.commit().await.map_err(failed),
        }
    }
}
