//! The word index of one revision: BM25 over title, headings and body, in a folder of its own.
//!
//! **Invariant:** drawn from the records alone and built whole for each revision, in order of path and span, by one thread:
//! the same collection gives the same scores whatever its history was. (Deleted documents would otherwise go on counting in
//! BM25's statistics until some merge.)
//! **Invariant:** holds no text; a damaged index can lose a search, never a source.

use std::{
    cmp::Reverse,
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use tantivy::{
    DocAddress, DocId, Index, IndexReader, IndexWriter, ReloadPolicy, Score, SegmentReader, TantivyDocument, Term,
    collector::{Collector, FilterCollector, TopDocs},
    columnar::ColumnValues,
    directory::MmapDirectory,
    indexer::NoMergePolicy,
    query::{BooleanQuery, BoostQuery, Occur, Query, TermQuery},
    schema::{FAST, Field, IndexRecordOption, Schema, TextFieldIndexing, TextOptions},
};

use crate::{
    error::{StoreError, from_io, from_tantivy},
    filter::Allowed,
    query,
};

const ANALYZER: &str = "ii_en_1";
const PASSAGE: &str = "passage";
const DOCUMENT: &str = "document";
const PLACE: &str = "place";
/// A word in a title or heading counts one and a half times one in the body.
const HEAD_BOOST: Score = 1.5;
/// Memory of the one indexing thread before it writes a segment.
const ARENA: usize = 64 << 20;

type Columns = (Arc<dyn ColumnValues<u64>>, Arc<dyn ColumnValues<u64>>);

/// One passage, as the index sees it.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Its row in the records.
    pub(crate) passage: u64,
    /// Its document's row.
    pub(crate) document: u64,
    /// Its place in the order of path and span, which tells equal scores apart.
    pub(crate) place: u64,
    /// Title and headings.
    pub(crate) head: String,
    /// The passage's text.
    pub(crate) body: String,
}

struct Fields {
    passage: Field,
    document: Field,
    place: Field,
    head: Field,
    body: Field,
    schema: Schema,
}

fn fields() -> Fields {
    let mut schema = Schema::builder();
    // Frequencies only: there are no phrases to look for, and positions are half of an index.
    let indexing = TextFieldIndexing::default().set_tokenizer(ANALYZER).set_index_option(IndexRecordOption::WithFreqs);
    let text = TextOptions::default().set_indexing_options(indexing);
    let passage = schema.add_u64_field(PASSAGE, FAST);
    let document = schema.add_u64_field(DOCUMENT, FAST);
    let place = schema.add_u64_field(PLACE, FAST);
    let head = schema.add_text_field("head", text.clone());
    let body = schema.add_text_field("body", text);
    Fields { passage, document, place, head, body, schema: schema.build() }
}

/// Where the index of a revision lies.
pub(crate) fn folder(collection: &Path, revision: i64) -> PathBuf {
    collection.join(format!("words-{revision}"))
}

/// Removes the indexes of all revisions but one. Readers that have theirs open keep it: the files are mapped.
pub(crate) fn remove_others(collection: &Path, keep: i64) -> Result<(), StoreError> {
    let kept = folder(collection, keep);
    for entry in fs::read_dir(collection).map_err(|error| from_io(collection, &error))? {
        let path = entry.map_err(|error| from_io(collection, &error))?.path();
        let ours = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"words-"));
        if ours && path != kept {
            remove(&path)?;
        }
    }
    Ok(())
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(from_io(path, &error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// An index being built.
pub(crate) struct Builder {
    path: PathBuf,
    fields: Fields,
    writer: IndexWriter,
}

impl Builder {
    /// Starts over in the revision's folder: what a killed ingest left there goes.
    pub(crate) fn new(collection: &Path, revision: i64) -> Result<Self, StoreError> {
        let path = folder(collection, revision);
        remove(&path)?;
        fs::create_dir_all(&path).map_err(|error| from_io(&path, &error))?;
        let fields = fields();
        let index = Index::create_in_dir(&path, fields.schema.clone()).map_err(|error| from_tantivy(&path, &error))?;
        index.tokenizers().register(ANALYZER, query::analyzer());
        let writer = index.writer_with_num_threads(1, ARENA).map_err(|error| from_tantivy(&path, &error))?;
        writer.set_merge_policy(Box::new(NoMergePolicy));
        Ok(Self { path, fields, writer })
    }

    /// Adds a passage.
    pub(crate) fn add(&self, entry: &Entry) -> Result<(), StoreError> {
        let mut document = TantivyDocument::default();
        document.add_u64(self.fields.passage, entry.passage);
        document.add_u64(self.fields.document, entry.document);
        document.add_u64(self.fields.place, entry.place);
        document.add_text(self.fields.head, &entry.head);
        document.add_text(self.fields.body, &entry.body);
        self.writer.add_document(document).map_err(|error| from_tantivy(&self.path, &error))?;
        Ok(())
    }

    /// Makes it durable, under a mark that says which corpus it stands for.
    pub(crate) fn finish(mut self, mark: &str) -> Result<(), StoreError> {
        let damaged = |error: tantivy::TantivyError| from_tantivy(&self.path, &error);
        let mut commit = self.writer.prepare_commit().map_err(damaged)?;
        commit.set_payload(mark);
        commit.commit().map_err(damaged)?;
        self.writer.wait_merging_threads().map_err(damaged)
    }
}

/// The open index of one revision.
#[derive(Clone)]
pub(crate) struct Words {
    path: PathBuf,
    reader: IndexReader,
    head: Field,
    body: Field,
}

impl Words {
    /// Opens the index of a revision; an error of any kind means it must be drawn again.
    pub(crate) fn open(collection: &Path, revision: i64, mark: &str) -> Result<Self, StoreError> {
        let path = folder(collection, revision);
        let wrong = |cause: String| StoreError::Damaged { path: path.clone(), cause };
        let directory = MmapDirectory::open(&path).map_err(|error| wrong(error.to_string()))?;
        let index = Index::open(directory).map_err(|error| from_tantivy(&path, &error))?;
        let fields = fields();
        if index.schema() != fields.schema {
            return Err(wrong("another schema".to_owned()));
        }
        let found = index.load_metas().map_err(|error| from_tantivy(&path, &error))?.payload;
        if found.as_deref() != Some(mark) {
            return Err(wrong(format!("drawn from {found:?}, not {mark}")));
        }
        let broken = index.validate_checksum().map_err(|error| from_tantivy(&path, &error))?;
        if !broken.is_empty() {
            return Err(wrong(format!("{} files fail their checksum", broken.len())));
        }
        index.tokenizers().register(ANALYZER, query::analyzer());
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual);
        let reader = reader.try_into().map_err(|error: tantivy::TantivyError| from_tantivy(&path, &error))?;
        Ok(Self { path, reader, head: fields.head, body: fields.body })
    }

    /// The best passages of allowed documents, (score in thousandths, row), best first, equal scores by path and span.
    pub(crate) fn search(&self, query: &str, limit: usize, allowed: &Allowed) -> Result<Vec<(u64, u64)>, StoreError> {
        match allowed {
            Allowed::All => self.found(query, limit, best(limit)),
            Allowed::Some(_) => {
                let allowed = allowed.clone();
                let fits = move |document: u64| allowed.document(document);
                self.found(query, limit, FilterCollector::new(DOCUMENT.to_owned(), fits, best(limit)))
            }
        }
    }

    /// The scores of these passages, in no order; one that has none of the words has none.
    pub(crate) fn scores(&self, query: &str, rows: BTreeSet<u64>) -> Result<Vec<(u64, u64)>, StoreError> {
        let limit = rows.len();
        let rows = Arc::new(rows);
        let fits = move |row: u64| rows.contains(&row);
        self.found(query, limit, FilterCollector::new(PASSAGE.to_owned(), fits, best(limit)))
    }

    fn found(
        &self,
        query: &str,
        limit: usize,
        collector: impl Collector<Fruit = Vec<(Rank, DocAddress)>>,
    ) -> Result<Vec<(u64, u64)>, StoreError> {
        let terms = query::terms(query);
        if terms.is_empty() || limit == 0 {
            return Ok(Vec::new());
        }
        let mut any: Vec<(Occur, Box<dyn Query>)> = Vec::new();
        for term in &terms {
            let term_in = |field| TermQuery::new(Term::from_field_text(field, term), IndexRecordOption::WithFreqs);
            any.push((Occur::Should, Box::new(term_in(self.body))));
            any.push((Occur::Should, Box::new(BoostQuery::new(Box::new(term_in(self.head)), HEAD_BOOST))));
        }
        let found = self.reader.searcher().search(&BooleanQuery::new(any), &collector);
        let found = found.map_err(|error| from_tantivy(&self.path, &error))?;
        Ok(found.into_iter().map(|((score, _place, row), _address)| (score, row)).collect())
    }
}

/// Score in thousandths, place, row.
type Rank = (u64, Reverse<u64>, u64);

/// Collects the best, equal scores by place. A limit of 0 is none of it: tantivy refuses that.
fn best(limit: usize) -> impl Collector<Fruit = Vec<(Rank, DocAddress)>> {
    TopDocs::with_limit(limit.max(1)).tweak_score(|segment: &SegmentReader| {
        let column = |name| segment.fast_fields().u64(name).map(|column| column.first_or_default_col(u64::MAX));
        let columns = column(PLACE).and_then(|places| Ok((places, column(PASSAGE)?)));
        move |doc: DocId, score: Score| -> Rank {
            // A missing column would have failed the schema; such a row is then found missing in the records.
            let get = |(places, rows): &Columns| (places.get_val(doc), rows.get_val(doc));
            let (place, row) = columns.as_ref().map_or((u64::MAX, u64::MAX), get);
            (milli(score), Reverse(place), row)
        }
    })
}

/// Thousandths, so that sums in another order of terms, which differ in the last bit, are still equal scores.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "BM25 is a small number above zero")]
fn milli(score: Score) -> u64 {
    (f64::from(score) * 1000.0).round().max(0.0) as u64
}
