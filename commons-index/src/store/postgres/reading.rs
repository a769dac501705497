//! What is read from the schema `ii_commons`.

use std::ops::Range;

use receipts::Digest;
use sqlx::postgres::PgArguments;

use super::{RowOf, Session};
use crate::{
    corpus::CorpusRow,
    error::StoreError,
    store::rows::{self, Columns as _, Live, PassageRow, Piece, Placed, Revision, Titled, signed},
};

pub(super) type Query<'q> = sqlx::query::Query<'q, sqlx::Postgres, PgArguments>;

/// A row of passages with its document's columns and the piece of text it starts in (65,536 is [`crate::store::CHUNK`]).
/// Passages are taken document by document, and the piece by its whole key: whatever the planner knows of tables that were
/// filled a moment ago, it has no other way.
pub(super) const COLUMNS: &str =
    "SELECT d.path, d.document, d.text, d.title, p.id, p.start, p.stop, p.headings, p.sentences,
    (SELECT c.zstd FROM chunks c
     WHERE c.collection = d.collection AND c.text = d.text AND c.start = p.start - p.start % 65536) AS zstd ";

impl Session {
    pub(super) async fn all<T>(
        &mut self,
        query: Query<'_>,
        read: impl Fn(&RowOf<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let failed = self.failed();
        let rows = query.fetch_all(self.on()).await.map_err(failed)?;
        rows.iter().map(|row| read(&RowOf { at: &self.at, row })).collect()
    }

    pub(super) async fn one<T>(
        &mut self,
        query: Query<'_>,
        read: impl Fn(&RowOf<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let failed = self.failed();
        let row = query.fetch_optional(self.on()).await.map_err(failed)?;
        row.map(|row| read(&RowOf { at: &self.at, row: &row })).transpose()
    }

    pub(crate) async fn folder(&mut self) -> Result<Option<String>, StoreError> {
        let query = sqlx::query("SELECT folder FROM collections WHERE collection = $1 AND folder IS NOT NULL");
        self.one(query.bind(self.collection), |row| row.text("folder")).await
    }

    pub(crate) async fn latest(&mut self) -> Result<Option<Revision>, StoreError> {
        let query = sqlx::query("SELECT * FROM revisions WHERE collection = $1 ORDER BY revision DESC LIMIT 1");
        self.one(query.bind(self.collection), |row| Revision::of(row)).await
    }

    pub(crate) async fn revisions(&mut self) -> Result<Vec<Revision>, StoreError> {
        let query = sqlx::query("SELECT * FROM revisions WHERE collection = $1 ORDER BY revision");
        self.all(query.bind(self.collection), |row| Revision::of(row)).await
    }

    pub(crate) async fn live(&mut self, revision: i64) -> Result<Vec<Live>, StoreError> {
        let query = sqlx::query(
            "SELECT id, path, document, bytes, media, title, source, licence, edition, language, date FROM documents
             WHERE collection = $1 AND since <= $2 AND (until IS NULL OR until > $2) ORDER BY path",
        );
        self.all(query.bind(self.collection).bind(revision), |row| Live::of(row)).await
    }

    pub(crate) async fn corpus(&mut self, from: u64, most: u64) -> Result<Vec<(CorpusRow, Digest)>, StoreError> {
        let query = sqlx::query("SELECT * FROM corpus WHERE collection = $1 ORDER BY seq LIMIT $2 OFFSET $3");
        let query = query.bind(self.collection).bind(signed(most)).bind(signed(from));
        self.all(query, |row| CorpusRow::of(row)).await
    }

    pub(crate) async fn leaves(&mut self) -> Result<Vec<Digest>, StoreError> {
        let query = sqlx::query("SELECT leaf FROM corpus WHERE collection = $1 ORDER BY seq");
        self.all(query.bind(self.collection), |row| row.digest("leaf")).await
    }

    pub(crate) async fn texts(&mut self, revision: i64) -> Result<Vec<Digest>, StoreError> {
        let query = "SELECT DISTINCT text FROM documents WHERE collection = $1 AND since <= $2 ORDER BY text";
        self.all(sqlx::query(query).bind(self.collection).bind(revision), |row| row.digest("text")).await
    }

    pub(crate) async fn pieces(&mut self, text: Digest, range: Range<u64>) -> Result<Vec<Piece>, StoreError> {
        let query = sqlx::query(
            "SELECT start, zstd FROM chunks
             WHERE collection = $1 AND text = $2 AND start >= $3 AND start < $4 ORDER BY start",
        );
        let query = query.bind(self.collection).bind(text.0.to_vec());
        self.all(query.bind(signed(range.start)).bind(signed(range.end)), |row| Piece::of(row)).await
    }

    pub(crate) async fn spans(&mut self, text: Digest) -> Result<Vec<(u64, Range<u64>)>, StoreError> {
        let query = sqlx::query(
            "SELECT p.id, p.start, p.stop FROM passages p JOIN documents d ON d.id = p.document
             WHERE d.collection = $1 AND d.text = $2",
        );
        self.all(query.bind(self.collection).bind(text.0.to_vec()), |row| rows::span(row)).await
    }

    pub(crate) async fn verbatim(&mut self, text: Digest) -> Result<Vec<(String, Digest)>, StoreError> {
        let query =
            sqlx::query("SELECT path, document FROM documents WHERE collection = $1 AND text = $2 AND NOT drawn");
        self.all(query.bind(self.collection).bind(text.0.to_vec()), |row| rows::named(row)).await
    }

    pub(crate) async fn passage_rows(&mut self, ids: &[u64]) -> Result<Vec<PassageRow>, StoreError> {
        let ids: Vec<i64> = ids.iter().map(|id| signed(*id)).collect();
        let query = sqlx::AssertSqlSafe(format!(
            "{COLUMNS} FROM passages p JOIN documents d ON d.id = p.document WHERE p.id = ANY($1) AND p.collection = $2"
        ));
        self.all(sqlx::query(query).bind(ids).bind(self.collection), |row| PassageRow::of(row)).await
    }

    pub(crate) async fn paths(&mut self, text: Digest, revision: i64) -> Result<Vec<String>, StoreError> {
        let query = sqlx::query(
            "SELECT path FROM documents WHERE collection = $1 AND text = $2 AND since <= $3
                AND (until IS NULL OR until > $3) ORDER BY path",
        );
        self.all(query.bind(self.collection).bind(text.0.to_vec()).bind(revision), |row| row.text("path")).await
    }

    pub(crate) async fn titled(&mut self, text: Digest, revision: i64) -> Result<Option<Titled>, StoreError> {
        let query = sqlx::query(
            "SELECT id, path, document, title FROM documents WHERE collection = $1 AND text = $2 AND since <= $3
             ORDER BY (until IS NULL OR until > $3) DESC, path, id DESC LIMIT 1",
        );
        self.one(query.bind(self.collection).bind(text.0.to_vec()).bind(revision), |row| Titled::of(row)).await
    }

    pub(crate) async fn placed(&mut self, document: i64, span: Range<u64>) -> Result<Vec<Placed>, StoreError> {
        let query = sqlx::query(
            "SELECT start, headings, sentences FROM passages
             WHERE document = $1 AND start < $2 AND stop > $3 ORDER BY start",
        );
        let query = query.bind(document).bind(signed(span.end)).bind(signed(span.start));
        self.all(query, |row| Placed::of(row)).await
    }
    pub(crate) async fn near(&mut self, document: i64, span: Range<u64>, most: u32) -> Result<Vec<u64>, StoreError> {
        let before =
            sqlx::query("SELECT id FROM passages WHERE document = $1 AND stop <= $2 ORDER BY start DESC LIMIT $3");
        let before = before.bind(document).bind(signed(span.start)).bind(i64::from(most));
        let mut rows = self.all(before, |row| row.number("id")).await?;
        rows.reverse();
        let after = sqlx::query("SELECT id FROM passages WHERE document = $1 AND start >= $2 ORDER BY start LIMIT $3");
        let after = after.bind(document).bind(signed(span.end)).bind(i64::from(most));
        rows.extend(self.all(after, |row| row.number("id")).await?);
        Ok(rows)
    }
}
