//! What an ingest asks of the schema `ii_commons`, and what it takes back of an ingest that was killed.

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

// `OFFSET 0` keeps a subquery one that is asked for each row, by its index, and `+ 0` an index of revisions out of it: of
// tables that were filled a moment ago the planner knows nothing, and would join them whole for each page.

const STANDING: &str =
    "SELECT id, path, since, how, document, text, title, source, licence, edition, language, date FROM documents ";

impl Session {
    pub(crate) async fn declared(&mut self) -> Result<Option<String>, StoreError> {
        let query =
            sqlx::query("SELECT declared AS how FROM collections WHERE collection = $1 AND declared IS NOT NULL");
        self.one(query.bind(self.collection), |row| row.text("how")).await
    }

    pub(crate) async fn keep_declared(&mut self, how: &str) -> Result<(), StoreError> {
        let query = sqlx::query("UPDATE collections SET declared = $2 WHERE collection = $1");
        query.bind(self.collection).bind(how).execute(self.on()).await.map_err(self.failed()).map(drop)
    }

    pub(crate) async fn unsealed(&mut self, revision: i64) -> Result<u64, StoreError> {
        let query = sqlx::query(
            "SELECT (SELECT count(*) FROM documents WHERE collection = $1 AND since = $2)
                + (SELECT count(*) FROM documents WHERE collection = $1 AND until = $2) AS n",
        );
        let query = query.bind(self.collection).bind(revision);
        Ok(self.one(query, |row| row.number("n")).await?.unwrap_or_default())
    }

    pub(crate) async fn known_documents(&mut self) -> Result<Vec<(String, Known)>, StoreError> {
        let query = sqlx::query(
            "SELECT path, document AS digest, bytes, how, 0::bigint AS skipped FROM documents
             WHERE collection = $1 AND until IS NULL AND file IS NULL",
        );
        self.all(query.bind(self.collection), |row| Known::of(row)).await
    }

    pub(crate) async fn known_files(&mut self) -> Result<Vec<(String, Known)>, StoreError> {
        let query = sqlx::query("SELECT path, digest, bytes, how, skipped FROM files WHERE collection = $1");
        self.all(query.bind(self.collection), |row| Known::of(row)).await
    }

    pub(crate) async fn files_of_documents(&mut self) -> Result<Vec<String>, StoreError> {
        let query = sqlx::query(
            "SELECT DISTINCT file FROM documents WHERE collection = $1 AND file IS NOT NULL AND until IS NULL",
        );
        self.all(query.bind(self.collection), |row| row.text("file")).await
    }

    pub(crate) async fn standing(&mut self, paths: &[&str]) -> Result<Vec<Standing>, StoreError> {
        let query = sqlx::AssertSqlSafe(format!(
            "{STANDING} WHERE collection = $1 AND until IS NULL AND path = ANY($2::text[])"
        ));
        self.all(sqlx::query(query).bind(self.collection).bind(paths), |row| Standing::of(row)).await
    }

    pub(crate) async fn ended(&mut self, path: &str, revision: i64) -> Result<Option<Standing>, StoreError> {
        let query = sqlx::AssertSqlSafe(format!("{STANDING} WHERE collection = $1 AND until = $2 AND path = $3"));
        let query = sqlx::query(query).bind(self.collection).bind(revision).bind(path.to_owned());
        self.one(query, |row| Standing::of(row)).await
    }

    pub(crate) async fn revive(&mut self, document: i64) -> Result<(), StoreError> {
        let query = sqlx::query("UPDATE documents SET until = NULL WHERE id = $1 AND collection = $2");
        let query = query.bind(document).bind(self.collection);
        query.execute(self.on()).await.map_err(self.failed()).map(drop)
    }

    pub(crate) async fn forget(&mut self, document: i64, text: Digest) -> Result<(), StoreError> {
        let query = sqlx::query("DELETE FROM passages WHERE document = $1 AND collection = $2");
        query.bind(document).bind(self.collection).execute(self.on()).await.map_err(self.failed())?;
        let query = sqlx::query("DELETE FROM documents WHERE id = $1 AND collection = $2");
        query.bind(document).bind(self.collection).execute(self.on()).await.map_err(self.failed())?;
        let query = sqlx::query(
            "DELETE FROM chunks WHERE collection = $1 AND text = $2
                AND NOT EXISTS (SELECT FROM documents WHERE collection = $1 AND text = $2)",
        );
        let query = query.bind(self.collection).bind(text.0.to_vec());
        query.execute(self.on()).await.map_err(self.failed()).map(drop)
    }

    pub(crate) async fn read_as(&mut self, document: i64, how: &str) -> Result<(), StoreError> {
        let query = sqlx::query("UPDATE documents SET how = $3 WHERE id = $1 AND collection = $2");
        let query = query.bind(document).bind(self.collection).bind(how);
        query.execute(self.on()).await.map_err(self.failed()).map(drop)
    }

    pub(crate) async fn of_file(&mut self, file: &str, after: i64, most: u64) -> Result<Vec<Standing>, StoreError> {
        let query = sqlx::AssertSqlSafe(format!(
            "{STANDING} WHERE collection = $1 AND file = $2 AND file IS NOT NULL AND until IS NULL AND id > $3
             ORDER BY id LIMIT $4"
        ));
        let query = sqlx::query(query).bind(self.collection).bind(file.to_owned()).bind(after).bind(signed(most));
        self.all(query, |row| Standing::of(row)).await
    }

    pub(crate) async fn keep_file(&mut self, path: &str, known: &Known) -> Result<(), StoreError> {
        let query = sqlx::query(
            "INSERT INTO files (collection, path, digest, bytes, how, skipped) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (collection, path) DO UPDATE SET digest = $3, bytes = $4, how = $5, skipped = $6",
        );
        let query = query.bind(self.collection).bind(path).bind(known.digest.0.to_vec()).bind(signed(known.bytes));
        let query = query.bind(&known.how).bind(signed(known.skipped));
        query.execute(self.on()).await.map_err(self.failed()).map(drop)
    }

    pub(crate) async fn drop_file(&mut self, path: &str) -> Result<(), StoreError> {
        let query = sqlx::query("DELETE FROM files WHERE collection = $1 AND path = $2");
        query.bind(self.collection).bind(path).execute(self.on()).await.map_err(self.failed()).map(drop)
    }

    pub(crate) async fn counted(&mut self, revision: i64) -> Result<Counted, StoreError> {
        let query = sqlx::query(
            "SELECT c.new - c.replaced AS added, c.replaced AS replaced, c.ended - c.replaced AS removed,
                c.documents AS documents, c.documents - c.texts AS duplicates
             FROM (SELECT
                (SELECT count(*) FROM documents WHERE collection = $1 AND since = $2) AS new,
                (SELECT count(*) FROM documents n WHERE n.collection = $1 AND n.since = $2 AND EXISTS (
                    SELECT FROM documents o WHERE o.collection = $1 AND o.until = $2 AND o.path = n.path OFFSET 0)) AS replaced,
                (SELECT count(*) FROM documents WHERE collection = $1 AND until = $2) AS ended,
                (SELECT count(*) FROM documents WHERE collection = $1 AND until IS NULL) AS documents,
                (SELECT count(DISTINCT text) FROM documents WHERE collection = $1 AND until IS NULL) AS texts) c",
        );
        let query = query.bind(self.collection).bind(revision);
        Ok(self.one(query, |row| Counted::of(row)).await?.unwrap_or_default())
    }

    pub(crate) async fn changed(
        &mut self,
        revision: i64,
        after: &str,
        most: u64,
    ) -> Result<Vec<CorpusRow>, StoreError> {
        let query = sqlx::query(
            "(SELECT path, document, bytes, media, CASE WHEN EXISTS (
                SELECT FROM documents o WHERE o.collection = $1 AND o.until = $2 AND o.path = n.path OFFSET 0)
                THEN 'replace' ELSE 'add' END AS op
              FROM documents n WHERE n.collection = $1 AND n.since = $2 AND n.path > $3 ORDER BY n.path LIMIT $4)
             UNION ALL
             (SELECT path, document, bytes, media, 'remove' AS op FROM documents o
              WHERE o.collection = $1 AND o.until = $2 AND o.path > $3 AND NOT EXISTS (
                SELECT FROM documents n WHERE n.collection = $1 AND n.since = $2 AND n.path = o.path OFFSET 0)
              ORDER BY o.path LIMIT $4)
             ORDER BY path LIMIT $4",
        );
        let query = query.bind(self.collection).bind(revision).bind(after.to_owned()).bind(signed(most));
        self.all(query, |row| rows::changed(row)).await
    }

    pub(crate) async fn made(&mut self, revision: i64, after: &str, most: u64) -> Result<Vec<Made>, StoreError> {
        let query = sqlx::query(
            "SELECT path, file, text, licence, decoding FROM documents
             WHERE collection = $1 AND since = $2 AND path > $3 ORDER BY path LIMIT $4",
        );
        let query = query.bind(self.collection).bind(revision).bind(after.to_owned()).bind(signed(most));
        self.all(query, |row| Made::of(row)).await
    }

    pub(crate) async fn only_adds(&mut self, revision: i64) -> Result<bool, StoreError> {
        // Each new document asks for those of its text by their index (`OFFSET 0`, `+ 0`): a planner that knows nothing yet of the
        // tables after a large ingest compares each with each otherwise, for hours.
        let query = sqlx::query(
            "SELECT (NOT EXISTS (SELECT FROM documents WHERE collection = $1 AND until = $2) AND NOT EXISTS (
                SELECT FROM documents n WHERE n.collection = $1 AND n.since = $2 AND (n.until IS NULL OR n.until + 0 > $2)
                AND EXISTS (
                    SELECT FROM documents o WHERE o.collection = $1 AND o.text = n.text AND o.since + 0 < $2
                    AND (o.until IS NULL OR o.until + 0 > $2) OFFSET 0)
                AND NOT EXISTS (
                    SELECT FROM documents o WHERE o.collection = $1 AND o.text = n.text AND o.path < n.path AND o.since + 0 < $2
                    AND (o.until IS NULL OR o.until + 0 > $2) OFFSET 0)))::int::bigint AS adds",
        );
        let query = query.bind(self.collection).bind(revision);
        Ok(self.one(query, |row| row.number("adds")).await? == Some(1))
    }

    pub(crate) async fn drawable(
        &mut self,
        revision: i64,
        since: i64,
        after: i64,
        most: u64,
    ) -> Result<Vec<Drawable>, StoreError> {
        let query = sqlx::query(
            "SELECT id, text, title, bytes FROM documents d
             WHERE collection = $1 AND id > $4 AND since + 0 <= $2 AND since + 0 >= $3 AND (until IS NULL OR until + 0 > $2)
                AND NOT EXISTS (
                    SELECT FROM documents o WHERE o.collection = $1 AND o.text = d.text AND o.path < d.path
                        AND o.since + 0 <= $2 AND (o.until IS NULL OR o.until + 0 > $2) OFFSET 0)
             ORDER BY id LIMIT $5",
        );
        let query = query.bind(self.collection).bind(revision).bind(since).bind(after).bind(signed(most));
        self.all(query, |row| Drawable::of(row)).await
    }

    pub(crate) async fn spots(&mut self, first: i64, last: i64) -> Result<Vec<Spot>, StoreError> {
        let query = sqlx::query(
            "SELECT id, document, start, stop, headings FROM passages
             WHERE collection = $1 AND document >= $2 AND document <= $3 ORDER BY document, start",
        );
        self.all(query.bind(self.collection).bind(first).bind(last), |row| Spot::of(row)).await
    }

    pub(crate) async fn pieces_of(&mut self, texts: &[Digest]) -> Result<Vec<(Digest, Piece)>, StoreError> {
        let texts: Vec<Vec<u8>> = texts.iter().map(|text| text.0.to_vec()).collect();
        let query = sqlx::query(
            "SELECT text, start, zstd FROM chunks WHERE collection = $1 AND text = ANY($2) ORDER BY text, start",
        );
        let query = query.bind(self.collection).bind(texts);
        self.all(query, |row| Ok((row.digest("text")?, Piece::of(row)?))).await
    }
}
