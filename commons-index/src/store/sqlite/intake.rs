//! What an ingest asks of `records.sqlite`, and what it takes back of an ingest that was killed.

use receipts::Digest;

use super::Session;
use crate::{
    corpus::CorpusRow,
    error::StoreError,
    intake::Known,
    store::{
        Made,
        rows::{self, Columns as _, Counted, Drawable, Piece, Spot, Standing, signed},
    },
};

const STANDING: &str =
    "SELECT id, path, since, how, document, text, title, source, licence, edition, language, date FROM documents ";

impl Session {
    pub(crate) async fn declared(&mut self) -> Result<Option<String>, StoreError> {
        self.one(sqlx::query("SELECT how FROM declared"), |row| row.text("how")).await
    }

    pub(crate) async fn keep_declared(&mut self, how: &str) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM declared").execute(self.on()).await.map_err(self.failed())?;
        let query = sqlx::query("INSERT INTO declared (how) VALUES (?)").bind(how);
        query.execute(self.on()).await.map_err(self.failed())?;
        Ok(())
    }

    pub(crate) async fn unsealed(&mut self, revision: i64) -> Result<u64, StoreError> {
        let query = sqlx::query(
            "SELECT (SELECT count(*) FROM documents WHERE since = ?) + (SELECT count(*) FROM documents WHERE until = ?) AS n",
        );
        Ok(self.one(query.bind(revision).bind(revision), |row| row.number("n")).await?.unwrap_or_default())
    }

    pub(crate) async fn known_documents(&mut self) -> Result<Vec<(String, Known)>, StoreError> {
        let query = sqlx::query(
            "SELECT path, document AS digest, bytes, how, 0 AS skipped FROM documents WHERE until IS NULL AND file IS NULL",
        );
        self.all(query, |row| Known::of(row)).await
    }

    pub(crate) async fn known_files(&mut self) -> Result<Vec<(String, Known)>, StoreError> {
        self.all(sqlx::query("SELECT path, digest, bytes, how, skipped FROM files"), |row| Known::of(row)).await
    }

    pub(crate) async fn files_of_documents(&mut self) -> Result<Vec<String>, StoreError> {
        let query = sqlx::query("SELECT DISTINCT file FROM documents WHERE file IS NOT NULL AND until IS NULL");
        self.all(query, |row| row.text("file")).await
    }

    pub(crate) async fn standing(&mut self, paths: &[&str]) -> Result<Vec<Standing>, StoreError> {
        let mut found = Vec::new();
        for paths in paths.chunks(500) {
            let mut query = sqlx::QueryBuilder::new(STANDING);
            query.push("WHERE until IS NULL AND path IN (");
            let mut list = query.separated(", ");
            for path in paths {
                list.push_bind(*path);
            }
            query.push(")");
            found.extend(self.all(query.build(), |row| Standing::of(row)).await?);
        }
        Ok(found)
    }

    pub(crate) async fn ended(&mut self, path: &str, revision: i64) -> Result<Option<Standing>, StoreError> {
        let query = sqlx::AssertSqlSafe(format!("{STANDING} WHERE until = ? AND path = ?"));
        self.one(sqlx::query(query).bind(revision).bind(path), |row| Standing::of(row)).await
    }

    pub(crate) async fn revive(&mut self, document: i64) -> Result<(), StoreError> {
        let query = sqlx::query("UPDATE documents SET until = NULL WHERE id = ?").bind(document);
        query.execute(self.on()).await.map_err(self.failed())?;
        Ok(())
    }

    pub(crate) async fn forget(&mut self, document: i64, text: Digest) -> Result<(), StoreError> {
        let query = sqlx::query("DELETE FROM passages WHERE document = ?").bind(document);
        query.execute(self.on()).await.map_err(self.failed())?;
        let query = sqlx::query("DELETE FROM documents WHERE id = ?").bind(document);
        query.execute(self.on()).await.map_err(self.failed())?;
        let query =
            sqlx::query("DELETE FROM chunks WHERE text = ?1 AND NOT EXISTS (SELECT 1 FROM documents WHERE text = ?1)");
        query.bind(text.0.to_vec()).execute(self.on()).await.map_err(self.failed())?;
        Ok(())
    }

    pub(crate) async fn read_as(&mut self, document: i64, how: &str) -> Result<(), StoreError> {
        let query = sqlx::query("UPDATE documents SET how = ? WHERE id = ?").bind(how).bind(document);
        query.execute(self.on()).await.map_err(self.failed())?;
        Ok(())
    }

    pub(crate) async fn of_file(&mut self, file: &str, after: i64, most: u64) -> Result<Vec<Standing>, StoreError> {
        let query = sqlx::AssertSqlSafe(format!(
            "{STANDING} WHERE file = ? AND file IS NOT NULL AND until IS NULL AND id > ? ORDER BY id LIMIT ?"
        ));
        let query = sqlx::query(query).bind(file.to_owned()).bind(after).bind(signed(most));
        self.all(query, |row| Standing::of(row)).await
    }

    pub(crate) async fn keep_file(&mut self, path: &str, known: &Known) -> Result<(), StoreError> {
        let query =
            sqlx::query("INSERT OR REPLACE INTO files (path, digest, bytes, how, skipped) VALUES (?, ?, ?, ?, ?)");
        let query = query.bind(path).bind(known.digest.0.to_vec()).bind(signed(known.bytes)).bind(&known.how);
        query.bind(signed(known.skipped)).execute(self.on()).await.map_err(self.failed())?;
        Ok(())
    }

    pub(crate) async fn drop_file(&mut self, path: &str) -> Result<(), StoreError> {
        let query = sqlx::query("DELETE FROM files WHERE path = ?").bind(path);
        query.execute(self.on()).await.map_err(self.failed())?;
        Ok(())
    }

    pub(crate) async fn counted(&mut self, revision: i64) -> Result<Counted, StoreError> {
        let query = sqlx::query(
            "SELECT c.new - c.replaced AS added, c.replaced AS replaced, c.ended - c.replaced AS removed, c.documents AS documents,
                c.documents - c.texts AS duplicates
             FROM (SELECT (SELECT count(*) FROM documents WHERE since = ?1) AS new,
                (SELECT count(*) FROM documents n WHERE n.since = ?1
                    AND EXISTS (SELECT 1 FROM documents o WHERE o.until = ?1 AND o.path = n.path)) AS replaced,
                (SELECT count(*) FROM documents WHERE until = ?1) AS ended,
                (SELECT count(*) FROM documents WHERE until IS NULL) AS documents,
                (SELECT count(DISTINCT text) FROM documents WHERE until IS NULL) AS texts) c",
        );
        Ok(self.one(query.bind(revision), |row| Counted::of(row)).await?.unwrap_or_default())
    }

    pub(crate) async fn changed(
        &mut self,
        revision: i64,
        after: &str,
        most: u64,
    ) -> Result<Vec<CorpusRow>, StoreError> {
        let query = sqlx::query(
            "SELECT path, document, bytes, media, op FROM (
                SELECT path, document, bytes, media, CASE WHEN EXISTS (
                    SELECT 1 FROM documents o WHERE o.until = ?1 AND o.path = n.path) THEN 'replace' ELSE 'add' END AS op
                FROM documents n WHERE n.since = ?1 AND n.path > ?2 ORDER BY n.path LIMIT ?3)
             UNION ALL SELECT path, document, bytes, media, op FROM (
                SELECT path, document, bytes, media, 'remove' AS op FROM documents o
                WHERE o.until = ?1 AND o.path > ?2
                    AND NOT EXISTS (SELECT 1 FROM documents n WHERE n.since = ?1 AND n.path = o.path)
                ORDER BY o.path LIMIT ?3)
             ORDER BY path LIMIT ?3",
        );
        let query = query.bind(revision).bind(after.to_owned()).bind(signed(most));
        self.all(query, |row| rows::changed(row)).await
    }

    pub(crate) async fn made(&mut self, revision: i64, after: &str, most: u64) -> Result<Vec<Made>, StoreError> {
        let query = sqlx::query(
            "SELECT path, file, text, licence, decoding FROM documents WHERE since = ? AND path > ? ORDER BY path LIMIT ?",
        );
        let query = query.bind(revision).bind(after.to_owned()).bind(signed(most));
        self.all(query, |row| Made::of(row)).await
    }

    pub(crate) async fn only_adds(&mut self, revision: i64) -> Result<bool, StoreError> {
        let query = sqlx::query(
            "SELECT NOT EXISTS (SELECT 1 FROM documents WHERE until = ?1) AND NOT EXISTS (
                SELECT text FROM documents
                WHERE until IS NULL AND text IN (SELECT text FROM documents WHERE since = ?1)
                GROUP BY text
                HAVING min(path) FILTER (WHERE since = ?1) < min(path) FILTER (WHERE since < ?1)) AS adds",
        );
        Ok(self.one(query.bind(revision), |row| row.number("adds")).await? == Some(1))
    }

    pub(crate) async fn drawable(
        &mut self,
        revision: i64,
        since: i64,
        after: i64,
        most: u64,
    ) -> Result<Vec<Drawable>, StoreError> {
        // `+`: by row and not by the index of revisions, whose order each page would have to be sorted out of.
        let query = sqlx::query(
            "SELECT id, text, title, bytes FROM documents d
             WHERE id > ?1 AND +since <= ?2 AND +since >= ?3 AND (until IS NULL OR until > ?2) AND NOT EXISTS (
                SELECT 1 FROM documents o WHERE o.text = d.text AND o.path < d.path AND o.since <= ?2
                    AND (o.until IS NULL OR o.until > ?2))
             ORDER BY id LIMIT ?4",
        );
        let query = query.bind(after).bind(revision).bind(since).bind(signed(most));
        self.all(query, |row| Drawable::of(row)).await
    }

    pub(crate) async fn spots(&mut self, first: i64, last: i64) -> Result<Vec<Spot>, StoreError> {
        let query = sqlx::query(
            "SELECT id, document, start, stop, headings FROM passages WHERE document >= ? AND document <= ?
             ORDER BY document, start",
        );
        self.all(query.bind(first).bind(last), |row| Spot::of(row)).await
    }

    pub(crate) async fn pieces_of(&mut self, texts: &[Digest]) -> Result<Vec<(Digest, Piece)>, StoreError> {
        let mut found = Vec::new();
        for texts in texts.chunks(500) {
            let mut query = sqlx::QueryBuilder::new("SELECT text, start, zstd FROM chunks WHERE text IN (");
            let mut list = query.separated(", ");
            for text in texts {
                list.push_bind(text.0.to_vec());
            }
            query.push(") ORDER BY text, start");
            found.extend(self.all(query.build(), |row| Ok((row.digest("text")?, Piece::of(row)?))).await?);
        }
        Ok(found)
    }
}
