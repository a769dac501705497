//! What is read from `records.sqlite`.

use std::ops::Range;

use receipts::Digest;
use sqlx::{Sqlite, sqlite::SqliteArguments};

use super::Session;
use crate::{
    corpus::CorpusRow,
    error::StoreError,
    store::rows::{self, Columns as _, Live, PassageRow, Piece, Placed, Revision, Titled, signed},
};

pub(super) type Query<'q> = sqlx::query::Query<'q, Sqlite, SqliteArguments>;

/// A row of passages with its document's columns and the piece of text it starts in (65,536 is [`crate::store::CHUNK`]).
pub(super) const PASSAGE: &str =
    "SELECT d.path, d.document, d.text, d.title, p.id, p.start, p.stop, p.headings, p.sentences, c.zstd
    FROM passages p JOIN documents d ON d.id = p.document
    JOIN chunks c ON c.text = d.text AND c.start = p.start - p.start % 65536 ";

impl Session {
    pub(super) async fn all<T>(
        &mut self,
        query: Query<'_>,
        read: impl Fn(&super::RowOf<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let failed = self.failed();
        let rows = query.fetch_all(self.on()).await.map_err(failed)?;
        rows.iter().map(|row| read(&self.columns(row))).collect()
    }

    pub(super) async fn one<T>(
        &mut self,
        query: Query<'_>,
        read: impl Fn(&super::RowOf<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let failed = self.failed();
        let row = query.fetch_optional(self.on()).await.map_err(failed)?;
        row.map(|row| read(&self.columns(&row))).transpose()
    }

    pub(crate) async fn folder(&mut self) -> Result<Option<String>, StoreError> {
        self.one(sqlx::query("SELECT folder FROM source"), |row| row.text("folder")).await
    }

    pub(crate) async fn latest(&mut self) -> Result<Option<Revision>, StoreError> {
        let query = sqlx::query("SELECT * FROM revisions ORDER BY revision DESC LIMIT 1");
        self.one(query, |row| Revision::of(row)).await
    }

    pub(crate) async fn revisions(&mut self) -> Result<Vec<Revision>, StoreError> {
        self.all(sqlx::query("SELECT * FROM revisions ORDER BY revision"), |row| Revision::of(row)).await
    }

    pub(crate) async fn live(&mut self, revision: i64) -> Result<Vec<Live>, StoreError> {
        let query = sqlx::query(
            "SELECT id, path, document, bytes, media, title, source, licence, edition, language, date FROM documents
             WHERE since <= ? AND (until IS NULL OR until > ?) ORDER BY path",
        );
        self.all(query.bind(revision).bind(revision), |row| Live::of(row)).await
    }

    pub(crate) async fn corpus(&mut self, from: u64, most: u64) -> Result<Vec<(CorpusRow, Digest)>, StoreError> {
        let query = sqlx::query("SELECT * FROM corpus ORDER BY seq LIMIT ? OFFSET ?");
        self.all(query.bind(signed(most)).bind(signed(from)), |row| CorpusRow::of(row)).await
    }

    pub(crate) async fn leaves(&mut self) -> Result<Vec<Digest>, StoreError> {
        self.all(sqlx::query("SELECT leaf FROM corpus ORDER BY seq"), |row| row.digest("leaf")).await
    }

    pub(crate) async fn texts(&mut self, revision: i64) -> Result<Vec<Digest>, StoreError> {
        let query = sqlx::query("SELECT DISTINCT text FROM documents WHERE since <= ? ORDER BY text");
        self.all(query.bind(revision), |row| row.digest("text")).await
    }

    pub(crate) async fn pieces(&mut self, text: Digest, range: Range<u64>) -> Result<Vec<Piece>, StoreError> {
        let query = sqlx::query(
            "SELECT text, start, zstd FROM chunks WHERE text = ? AND start >= ? AND start < ? ORDER BY start",
        );
        let query = query.bind(text.0.to_vec()).bind(signed(range.start)).bind(signed(range.end));
        self.all(query, |row| Piece::of(row)).await
    }

    pub(crate) async fn spans(&mut self, text: Digest) -> Result<Vec<(u64, Range<u64>)>, StoreError> {
        let query = sqlx::query(
            "SELECT p.id, p.start, p.stop FROM passages p JOIN documents d ON d.id = p.document WHERE d.text = ?",
        );
        self.all(query.bind(text.0.to_vec()), |row| rows::span(row)).await
    }

    pub(crate) async fn verbatim(&mut self, text: Digest) -> Result<Vec<(String, Digest)>, StoreError> {
        let query = sqlx::query("SELECT path, document FROM documents WHERE text = ? AND drawn = 0");
        self.all(query.bind(text.0.to_vec()), |row| rows::named(row)).await
    }

    pub(crate) async fn passage_rows(&mut self, ids: &[u64]) -> Result<Vec<PassageRow>, StoreError> {
        let mut query = sqlx::QueryBuilder::new(PASSAGE);
        query.push("WHERE p.id IN (");
        let mut list = query.separated(", ");
        for id in ids {
            list.push_bind(signed(*id));
        }
        query.push(")");
        self.all(query.build(), |row| PassageRow::of(row)).await
    }

    pub(crate) async fn paths(&mut self, text: Digest, revision: i64) -> Result<Vec<String>, StoreError> {
        let query = sqlx::query(
            "SELECT path FROM documents WHERE text = ? AND since <= ? AND (until IS NULL OR until > ?) ORDER BY path",
        );
        self.all(query.bind(text.0.to_vec()).bind(revision).bind(revision), |row| row.text("path")).await
    }

    pub(crate) async fn titled(&mut self, text: Digest, revision: i64) -> Result<Option<Titled>, StoreError> {
        let query = sqlx::query(
            "SELECT id, path, document, title FROM documents WHERE text = ? AND since <= ?
             ORDER BY (until IS NULL OR until > ?) DESC, path, id DESC LIMIT 1",
        );
        self.one(query.bind(text.0.to_vec()).bind(revision).bind(revision), |row| Titled::of(row)).await
    }

    pub(crate) async fn placed(&mut self, document: i64, span: Range<u64>) -> Result<Vec<Placed>, StoreError> {
        let query = sqlx::query(
            "SELECT start, headings, sentences FROM passages WHERE document = ? AND start < ? AND stop > ? ORDER BY start",
        );
        let query = query.bind(document).bind(signed(span.end)).bind(signed(span.start));
        self.all(query, |row| Placed::of(row)).await
    }
    pub(crate) async fn near(&mut self, document: i64, span: Range<u64>, most: u32) -> Result<Vec<u64>, StoreError> {
        let before =
            sqlx::query("SELECT id FROM passages WHERE document = ? AND stop <= ? ORDER BY start DESC LIMIT ?");
        let before = before.bind(document).bind(signed(span.start)).bind(i64::from(most));
        let mut rows = self.all(before, |row| row.number("id")).await?;
        rows.reverse();
        let after = sqlx::query("SELECT id FROM passages WHERE document = ? AND start >= ? ORDER BY start LIMIT ?");
        let after = after.bind(document).bind(signed(span.end)).bind(i64::from(most));
        rows.extend(self.all(after, |row| row.number("id")).await?);
        Ok(rows)
    }
}
