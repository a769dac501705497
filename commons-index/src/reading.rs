//! What searches and citations read from the records, and the corpus as it is appended to.
//!
//! **Invariant:** a text no longer in the folder is read as before; one that came after the reader's revision is unknown.

use std::{collections::BTreeMap, ops::Range};

use common_ground::{
    citation::Span,
    port::index::{Passage, PassageId},
};
use receipts::Digest;
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

use crate::{
    corpus::{self, CorpusOp, CorpusRow},
    error::StoreError,
    records::{CHUNK, Records, signed},
    words::Entry,
};

/// Why a span could not be read.
pub(crate) enum Missing {
    /// No such text at this revision.
    Text,
    /// The span is not in it, or cuts a character.
    Span,
    /// The store failed.
    Store(StoreError),
}

impl From<StoreError> for Missing {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// A row of passages with its document's columns and the piece of text it starts in (65,536 is [`CHUNK`]): one turn to the
/// database instead of two for nearly every passage.
const PASSAGE: &str =
    "SELECT d.path, d.document, d.text, d.title, p.id, p.start, p.stop, p.headings, p.sentences, c.zstd
    FROM passages p JOIN documents d ON d.id = p.document
    JOIN chunks c ON c.text = d.text AND c.start = p.start - p.start % 65536 ";

impl Records {
    /// The bytes of a span, or none when the text ends before it.
    async fn bytes(
        &self,
        on: &mut SqliteConnection,
        text: &[u8],
        range: Range<u64>,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let first = range.start - range.start % CHUNK as u64;
        let query =
            sqlx::query("SELECT start, zstd FROM chunks WHERE text = ? AND start >= ? AND start < ? ORDER BY start");
        let query = query.bind(text).bind(signed(first)).bind(signed(range.end.max(range.start + 1)));
        let rows = query.fetch_all(on).await.map_err(self.failed())?;
        let mut bytes = Vec::new();
        for row in &rows {
            bytes.extend_from_slice(&self.piece(row)?);
        }
        let inside = usize::try_from(range.start - first).ok().zip(usize::try_from(range.end - first).ok());
        Ok(inside.and_then(|(start, end)| bytes.get(start..end)).map(<[u8]>::to_vec))
    }

    pub(crate) fn piece(&self, row: &SqliteRow) -> Result<Vec<u8>, StoreError> {
        let zstd: &[u8] = row.try_get("zstd").map_err(self.failed())?;
        zstd::bulk::decompress(zstd, CHUNK).map_err(|error| self.damaged(&error.to_string()))
    }

    async fn passage(&self, on: &mut SqliteConnection, row: &SqliteRow) -> Result<Passage, StoreError> {
        let span = Span { start: self.number(row, "start")?, end: self.number(row, "stop")? };
        let text = self.digest(row, "text")?;
        let offset = span.start % CHUNK as u64;
        let within = usize::try_from(offset).ok().zip(usize::try_from(offset + span.len()).ok());
        let piece = self.piece(row)?;
        let bytes = match within.and_then(|(start, end)| piece.get(start..end)) {
            Some(bytes) => Some(bytes.to_vec()),
            None => self.bytes(on, &text.0, span.start..span.end).await?,
        };
        let content = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        Ok(Passage {
            id: PassageId { text, span },
            document: self.digest(row, "document")?,
            path: row.try_get("path").map_err(self.failed())?,
            title: row.try_get("title").map_err(self.failed())?,
            headings: self.headings(row)?,
            content: content.ok_or_else(|| self.damaged(&format!("text {text} is shorter than its passages")))?,
            sentences: self.sentences(row, span.start)?,
        })
    }

    fn headings(&self, row: &SqliteRow) -> Result<Vec<String>, StoreError> {
        let joined: String = row.try_get("headings").map_err(self.failed())?;
        Ok(joined.lines().map(str::to_owned).collect())
    }

    fn sentences(&self, row: &SqliteRow, start: u64) -> Result<Vec<Span>, StoreError> {
        let packed: Vec<u8> = row.try_get("sentences").map_err(self.failed())?;
        let (pairs, rest) = packed.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(self.damaged("a sentence list is cut short"));
        }
        let at = |high: u8, low: u8| start + u64::from(u16::from_be_bytes([high, low]));
        Ok(pairs.iter().map(|[a, b, c, d]| Span { start: at(*a, *b), end: at(*c, *d) }).collect())
    }

    /// Passages by row, in the order asked for.
    pub(crate) async fn passages(&self, ids: &[u64]) -> Result<Vec<Passage>, StoreError> {
        let mut connection = self.pool.acquire().await.map_err(self.failed())?;
        let mut query = sqlx::QueryBuilder::new(PASSAGE);
        query.push("WHERE p.id IN (");
        let mut list = query.separated(", ");
        for id in ids {
            list.push_bind(signed(*id));
        }
        query.push(")");
        let rows = query.build().fetch_all(&mut *connection).await.map_err(self.failed())?;
        let mut found = BTreeMap::new();
        for row in &rows {
            found.insert(self.number(row, "id")?, self.passage(&mut connection, row).await?);
        }
        ids.iter().map(|id| found.remove(id).ok_or_else(|| self.damaged(&format!("no passage {id}")))).collect()
    }

    /// Any span of a text known at `revision`, described by the document that has it (or last had it).
    pub(crate) async fn read(&self, id: &PassageId, revision: i64) -> Result<Passage, Missing> {
        let mut connection = self.pool.acquire().await.map_err(self.failed())?;
        let query = sqlx::query(
            "SELECT id, path, document, title FROM documents WHERE text = ? AND since <= ?
             ORDER BY (until IS NULL OR until > ?) DESC, path, id DESC LIMIT 1",
        );
        let query = query.bind(id.text.0.to_vec()).bind(revision).bind(revision);
        let row = query.fetch_optional(&mut *connection).await.map_err(self.failed())?.ok_or(Missing::Text)?;
        if id.span.end < id.span.start || id.span.end > i64::MAX.unsigned_abs() {
            return Err(Missing::Span);
        }
        let bytes = self.bytes(&mut connection, &id.text.0, id.span.start..id.span.end).await?.ok_or(Missing::Span)?;
        let content = String::from_utf8(bytes).map_err(|_cut| Missing::Span)?;
        let document: i64 = row.try_get("id").map_err(self.failed())?;
        let query = sqlx::query(
            "SELECT start, headings, sentences FROM passages WHERE document = ? AND start < ? AND stop > ? ORDER BY start",
        );
        let query = query.bind(document).bind(signed(id.span.end)).bind(signed(id.span.start));
        let mut headings = Vec::new();
        let mut sentences = Vec::new();
        for (place, row) in query.fetch_all(&mut *connection).await.map_err(self.failed())?.iter().enumerate() {
            if place == 0 {
                headings = self.headings(row)?;
            }
            let whole = self.sentences(row, self.number(row, "start")?)?.into_iter();
            sentences.extend(
                whole
                    .map(|span| Span { start: span.start.max(id.span.start), end: span.end.min(id.span.end) })
                    .filter(|span| !span.is_empty()),
            );
        }
        Ok(Passage {
            id: *id,
            document: self.digest(&row, "document")?,
            path: row.try_get("path").map_err(self.failed())?,
            title: row.try_get("title").map_err(self.failed())?,
            headings,
            content,
            sentences,
        })
    }

    /// Passages of the live documents as the word index wants them, a batch at a time, in order of path and span.
    /// `after` is the last place of the batch before: (path, start).
    pub(crate) async fn entries(
        &self,
        on: &mut SqliteConnection,
        place: &mut u64,
        after: &mut (String, i64),
    ) -> Result<Vec<Entry>, StoreError> {
        let query = sqlx::AssertSqlSafe(format!(
            "{PASSAGE} WHERE d.until IS NULL AND (d.path, p.start) > (?, ?) ORDER BY d.path, p.start LIMIT 2000"
        ));
        let rows = sqlx::query(query).bind(after.0.clone()).bind(after.1).fetch_all(&mut *on).await;
        let mut found = Vec::new();
        for row in rows.map_err(self.failed())? {
            let passage = self.passage(on, &row).await?;
            let mut head = passage.title;
            for heading in &passage.headings {
                head.push('\n');
                head.push_str(heading);
            }
            *after = (passage.path, signed(passage.id.span.start));
            found.push(Entry { passage: self.number(&row, "id")?, place: *place, head, body: passage.content });
            *place += 1;
        }
        Ok(found)
    }

    /// Appends entries to the corpus and gives its new size and root.
    pub(crate) async fn append(
        &self,
        on: &mut SqliteConnection,
        rows: &[CorpusRow],
    ) -> Result<(u64, Digest), StoreError> {
        for row in rows {
            let query = sqlx::query(
                "INSERT INTO corpus (op, document, bytes, media, path, salt, leaf) VALUES (?, ?, ?, ?, ?, ?, ?)",
            );
            let query =
                query.bind(row.op.word()).bind(row.document.0.to_vec()).bind(signed(row.bytes)).bind(&row.media);
            let leaf = corpus::leaf(row).map_err(|error| self.damaged(&error.to_string()))?;
            let query = query.bind(&row.path).bind(row.salt.to_vec()).bind(leaf.0.to_vec());
            query.execute(&mut *on).await.map_err(self.failed())?;
        }
        let rows = sqlx::query("SELECT leaf FROM corpus ORDER BY seq").fetch_all(on).await.map_err(self.failed())?;
        let leaves: Vec<Digest> = rows.iter().map(|row| self.digest(row, "leaf")).collect::<Result<_, _>>()?;
        Ok((leaves.len() as u64, corpus::root(&leaves)))
    }

    /// The first `size` entries of the corpus.
    pub(crate) async fn corpus(&self, size: u64) -> Result<Vec<CorpusRow>, StoreError> {
        let query = sqlx::query("SELECT * FROM corpus ORDER BY seq LIMIT ?").bind(signed(size));
        let rows = query.fetch_all(&self.pool).await.map_err(self.failed())?;
        rows.iter().map(|row| self.corpus_row(row)).collect()
    }

    pub(crate) fn corpus_row(&self, row: &SqliteRow) -> Result<CorpusRow, StoreError> {
        let word: String = row.try_get("op").map_err(self.failed())?;
        let salt: Vec<u8> = row.try_get("salt").map_err(self.failed())?;
        Ok(CorpusRow {
            op: CorpusOp::of_word(&word).ok_or_else(|| self.damaged("an unknown corpus operation"))?,
            document: self.digest(row, "document")?,
            bytes: self.number(row, "bytes")?,
            media: row.try_get("media").map_err(self.failed())?,
            path: row.try_get("path").map_err(self.failed())?,
            salt: salt.try_into().map_err(|_length| self.damaged("a salt is not 16 bytes"))?,
        })
    }
}
