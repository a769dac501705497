//! The word index of one revision: BM25 over title, headings and body, in a folder of its own.
//!
//! **Invariant:** drawn from the records alone, and the same collection gives the same hits in the same order whatever its
//! history was: documents that were added follow in segments of their own, which BM25 counts together with those before, and
//! equal scores go by text and place; where one went, the index is drawn whole, since deleted documents would go on counting
//! in BM25's statistics until some merge.
//! **Invariant:** holds no text; a damaged index can lose a search, never a source.

use std::{
    cmp::Reverse,
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use tantivy::{
    DocAddress, DocId, Index, IndexReader, IndexWriter, ReloadPolicy, Score, Searcher, SegmentReader, TantivyDocument,
    Term,
    collector::{Collector, FilterCollector, TopDocs},
    columnar::ColumnValues,
    directory::MmapDirectory,
    indexer::NoMergePolicy,
    query::{Bm25StatisticsProvider, BooleanQuery, BoostQuery, Occur, Query, TermQuery},
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
const TEXT: &str = "text";
const START: &str = "start";
/// A word in a title or heading counts one and a half times one in the body.
const HEAD_BOOST: Score = 1.5;
/// So many more than twice as many as are wanted are looked at for equal scores, before all are.
const SPARE: usize = 64;
/// Threads that index, and the memory of all of them before they write segments.
const THREADS: usize = 2;
const ARENA: usize = 96 << 20;

/// Of more segments than this the small ones are merged: each is looked into by every search.
const MOST_SEGMENTS: usize = 24;

type Column = Arc<dyn ColumnValues<u64>>;

/// One passage, as the index sees it.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Its row in the records.
    pub(crate) passage: u64,
    /// Its document's row.
    pub(crate) document: u64,
    /// The first eight bytes of its text's digest, which with its start tell equal scores apart.
    pub(crate) text: u64,
    /// Where it starts in its text.
    pub(crate) start: u64,
    /// Title and headings.
    pub(crate) head: String,
    /// The passage's text.
    pub(crate) body: String,
}

struct Fields {
    passage: Field,
    document: Field,
    text: Field,
    start: Field,
    head: Field,
    body: Field,
    schema: Schema,
}

fn fields() -> Fields {
    let mut schema = Schema::builder();
    // Frequencies only: there are no phrases to look for, and positions are half of an index.
    let indexing = TextFieldIndexing::default().set_tokenizer(ANALYZER).set_index_option(IndexRecordOption::WithFreqs);
    let words = TextOptions::default().set_indexing_options(indexing);
    let passage = schema.add_u64_field(PASSAGE, FAST);
    let document = schema.add_u64_field(DOCUMENT, FAST);
    let text = schema.add_u64_field(TEXT, FAST);
    let start = schema.add_u64_field(START, FAST);
    let head = schema.add_text_field("head", words.clone());
    let body = schema.add_text_field("body", words);
    Fields { passage, document, text, start, head, body, schema: schema.build() }
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

/// Removes a folder that may be gone already.
pub(crate) fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(from_io(path, &error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The folder of a revision's index, with nothing in it.
fn emptied(collection: &Path, revision: i64) -> Result<PathBuf, StoreError> {
    let path = folder(collection, revision);
    remove(&path)?;
    fs::create_dir_all(&path).map_err(|error| from_io(&path, &error))?;
    Ok(path)
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
        let path = emptied(collection, revision)?;
        let fields = fields();
        let index = Index::create_in_dir(&path, fields.schema.clone()).map_err(|error| from_tantivy(&path, &error))?;
        Self::of(path, fields, &index)
    }

    /// Starts with what the index of an earlier revision holds. Its segments never change, so they are the same files.
    pub(crate) fn after(collection: &Path, earlier: i64, mark: &str, revision: i64) -> Result<Self, StoreError> {
        let from = Words::open(collection, earlier, mark)?.path;
        let path = emptied(collection, revision)?;
        for entry in fs::read_dir(&from).map_err(|error| from_io(&from, &error))? {
            let entry = entry.map_err(|error| from_io(&from, &error))?;
            let name = entry.file_name();
            let bytes = name.as_encoded_bytes();
            // Lists are written anew by each writer, and locks are each folder's own.
            let (list, lock) = (bytes.ends_with(b".json"), bytes.ends_with(b".lock"));
            let to = path.join(&name);
            let linked = !lock && !list && fs::hard_link(entry.path(), &to).is_ok();
            if !lock && !linked {
                fs::copy(entry.path(), &to).map_err(|error| from_io(&to, &error))?;
            }
        }
        let index = Index::open_in_dir(&path).map_err(|error| from_tantivy(&path, &error))?;
        Self::of(path, fields(), &index)
    }

    fn of(path: PathBuf, fields: Fields, index: &Index) -> Result<Self, StoreError> {
        index.tokenizers().register(ANALYZER, query::analyzer());
        let writer = index.writer_with_num_threads(THREADS, ARENA).map_err(|error| from_tantivy(&path, &error))?;
        writer.set_merge_policy(Box::new(NoMergePolicy));
        Ok(Self { path, fields, writer })
    }

    /// Adds a passage.
    pub(crate) fn add(&self, entry: &Entry) -> Result<(), StoreError> {
        let mut document = TantivyDocument::default();
        document.add_u64(self.fields.passage, entry.passage);
        document.add_u64(self.fields.document, entry.document);
        document.add_u64(self.fields.text, entry.text);
        document.add_u64(self.fields.start, entry.start);
        document.add_text(self.fields.head, &entry.head);
        document.add_text(self.fields.body, &entry.body);
        self.writer.add_document(document).map_err(|error| from_tantivy(&self.path, &error))?;
        Ok(())
    }

    /// Makes it durable, under a mark that says which corpus it stands for.
    pub(crate) fn finish(mut self, mark: &str) -> Result<(), StoreError> {
        let damaged = |error: tantivy::TantivyError| from_tantivy(&self.path, &error);
        let segments = |writer: &mut IndexWriter| {
            let mut commit = writer.prepare_commit()?;
            commit.set_payload(mark);
            commit.commit()?;
            writer.index().searchable_segment_metas()
        };
        let mut found = segments(&mut self.writer).map_err(damaged)?;
        if found.len() > MOST_SEGMENTS {
            found.sort_by_key(|segment| segment.num_docs());
            found.truncate(found.len() - MOST_SEGMENTS / 2);
            let small: Vec<_> = found.iter().map(|segment| segment.id()).collect();
            self.writer.merge(&small).wait().map_err(damaged)?;
            // A merge keeps the mark of the commit before it.
            self.writer.garbage_collect_files().wait().map_err(damaged)?;
        }
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

    /// The best passages of allowed documents, best first, equal scores by text and place.
    pub(crate) fn search(
        &self,
        query: &str,
        limit: usize,
        allowed: &Allowed,
        counts: &Counts,
    ) -> Result<Vec<Rank>, StoreError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        match allowed {
            Allowed::All => match self.foremost(query, limit, counts)? {
                Some(found) => Ok(found),
                None => self.all_scored(query, limit, counts),
            },
            Allowed::Some(_) => {
                let allowed = allowed.clone();
                let fits = move |document: u64| allowed.document(document);
                ranks(self.found(query, counts, &FilterCollector::new(DOCUMENT.to_owned(), fits, best(limit))))
            }
        }
    }

    /// The scores of these passages, in no order; one that has none of the words has none.
    pub(crate) fn scores(&self, query: &str, rows: BTreeSet<u64>, counts: &Counts) -> Result<Vec<Rank>, StoreError> {
        let limit = rows.len();
        if limit == 0 {
            return Ok(Vec::new());
        }
        let rows = Arc::new(rows);
        let fits = move |row: u64| rows.contains(&row);
        ranks(self.found(query, counts, &FilterCollector::new(PASSAGE.to_owned(), fits, best(limit))))
    }

    /// The best, without scoring what cannot be among them. None where so many have the score of the last that their order,
    /// by text and place, has to be seen for all.
    fn foremost(&self, query: &str, limit: usize, counts: &Counts) -> Result<Option<Vec<Rank>>, StoreError> {
        let most = limit.saturating_mul(2).saturating_add(SPARE);
        let Some(found) = self.found(query, counts, &TopDocs::with_limit(most).order_by_score())? else {
            return Ok(Some(Vec::new()));
        };
        let searcher = self.reader.searcher();
        let columns: Vec<Columns> = searcher.segment_readers().iter().map(Columns::of).collect();
        let is_all = found.len() < most;
        // Of the last one's score there may be others that were left out; a thousandth more is beyond what sums err by.
        let edge = found.last().map_or(0, |(score, _)| milli(*score) + 1);
        let surely = |rank: &Rank| is_all || rank.0 > edge;
        let rank = |(score, at): (Score, DocAddress)| columns[at.segment_ord as usize].rank(at.doc_id, score);
        let mut best: Vec<Rank> = found.into_iter().map(rank).filter(surely).collect();
        best.sort_unstable_by(|one, other| other.cmp(one));
        best.truncate(limit);
        Ok((is_all || best.len() == limit).then_some(best))
    }

    /// The best, each passage with one of the words scored.
    fn all_scored(&self, query: &str, limit: usize, counts: &Counts) -> Result<Vec<Rank>, StoreError> {
        ranks(self.found(query, counts, &best(limit)))
    }

    /// What a collector makes of the passages with one of the words; none where the query has no words.
    fn found<C: Collector>(&self, query: &str, counts: &Counts, collector: &C) -> Result<Option<C::Fruit>, StoreError> {
        let terms = query::terms(query);
        if terms.is_empty() {
            return Ok(None);
        }
        let mut any: Vec<(Occur, Box<dyn Query>)> = Vec::new();
        for term in &terms {
            let term_in = |field| TermQuery::new(Term::from_field_text(field, term), IndexRecordOption::WithFreqs);
            any.push((Occur::Should, Box::new(term_in(self.body))));
            any.push((Occur::Should, Box::new(BoostQuery::new(Box::new(term_in(self.head)), HEAD_BOOST))));
        }
        let found = self.reader.searcher().search_with_statistics_provider(&BooleanQuery::new(any), collector, counts);
        found.map(Some).map_err(|error| from_tantivy(&self.path, &error))
    }
}

fn ranks(found: Result<Option<Vec<(Rank, DocAddress)>>, StoreError>) -> Result<Vec<Rank>, StoreError> {
    Ok(found?.unwrap_or_default().into_iter().map(|(rank, _address)| rank).collect())
}

/// Score in thousandths, text and place, row.
pub(crate) type Rank = (u64, Reverse<(u64, u64)>, u64);

/// What BM25 counts, over all indexes that answer one search: each word has the weight that it would have if all their
/// passages were in one index, so that scores of different ones compare.
pub(crate) struct Counts {
    path: PathBuf,
    searchers: Vec<Searcher>,
    body: Option<Field>,
}

impl Counts {
    /// The counts of these indexes together.
    pub(crate) fn of<'a>(indexes: impl IntoIterator<Item = &'a Words>) -> Self {
        let mut counts = Self { path: PathBuf::new(), searchers: Vec::new(), body: None };
        for words in indexes {
            counts.path.clone_from(&words.path);
            counts.body = Some(words.body);
            counts.searchers.push(words.reader.searcher());
        }
        counts
    }

    /// How many passages there are, and in how many of them each term stands.
    pub(crate) fn having(&self, terms: &[String]) -> Result<(u64, Vec<u64>), StoreError> {
        let failed = |error: tantivy::TantivyError| from_tantivy(&self.path, &error);
        let Some(body) = self.body else { return Ok((0, vec![0; terms.len()])) };
        let having = |term: &String| self.doc_freq(&Term::from_field_text(body, term));
        let found = terms.iter().map(having).collect::<tantivy::Result<Vec<u64>>>().map_err(failed)?;
        Ok((self.total_num_docs().map_err(failed)?, found))
    }
}

impl Bm25StatisticsProvider for Counts {
    fn total_num_tokens(&self, field: Field) -> tantivy::Result<u64> {
        self.searchers.iter().map(|one| one.total_num_tokens(field)).sum()
    }

    fn total_num_docs(&self) -> tantivy::Result<u64> {
        self.searchers.iter().map(Bm25StatisticsProvider::total_num_docs).sum()
    }

    fn doc_freq(&self, term: &Term) -> tantivy::Result<u64> {
        self.searchers.iter().map(|one| Bm25StatisticsProvider::doc_freq(one, term)).sum()
    }
}

/// What tells passages of equal score apart, and their rows, of one segment.
struct Columns(Option<[Column; 3]>);

impl Columns {
    fn of(segment: &SegmentReader) -> Self {
        let column = |name| segment.fast_fields().u64(name).map(|column| column.first_or_default_col(u64::MAX));
        // A missing column would have failed the schema; such a row is then found missing in the records.
        Self(column(TEXT).and_then(|texts| Ok([texts, column(START)?, column(PASSAGE)?])).ok())
    }

    fn rank(&self, doc: DocId, score: Score) -> Rank {
        let get = |columns: &[Column; 3]| columns.each_ref().map(|column| column.get_val(doc));
        let [text, start, row] = self.0.as_ref().map_or([u64::MAX; 3], get);
        (milli(score), Reverse((text, start)), row)
    }
}

/// Collects the best, equal scores by text and place.
fn best(limit: usize) -> impl Collector<Fruit = Vec<(Rank, DocAddress)>> {
    TopDocs::with_limit(limit).tweak_score(|segment: &SegmentReader| {
        let columns = Columns::of(segment);
        move |doc: DocId, score: Score| columns.rank(doc, score)
    })
}

/// Thousandths, so that sums in another order of terms, which differ in the last bit, are still equal scores.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "BM25 is a small number above zero")]
fn milli(score: Score) -> u64 {
    (f64::from(score) * 1000.0).round().max(0.0) as u64
}

#[cfg(test)]
mod tests {
    use super::{Allowed, Builder, Counts, Entry, Rank, Words};

    /// Passages of few words, so that many have equal scores, in segments of their own.
    fn index(folder: &std::path::Path) -> Words {
        let words = ["ship", "wheat", "lamp", "river", "stone", "glass", "horse"];
        let mut state = 7_u64;
        let mut next = |most: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % most
        };
        let mut revision = 0;
        let mut builder = Builder::new(folder, revision).expect("begun");
        for passage in 0..3_000_u64 {
            if passage % 1_000 == 999 {
                builder.finish("mark").expect("finished");
                builder = Builder::after(folder, revision, "mark", revision + 1).expect("goes on");
                revision += 1;
            }
            let mut drawn = |most: u64| (0..=next(most)).map(|_| words[next(7) as usize]).collect::<Vec<_>>().join(" ");
            let (mut head, mut body) = (drawn(2), drawn(4));
            if passage.is_multiple_of(3) {
                (head, body) = ("ship".to_owned(), "ship ship ship".to_owned());
            }
            // The order of texts is not that of rows.
            let text = passage.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            builder.add(&Entry { passage, document: passage, text, start: 0, head, body }).expect("added");
        }
        builder.finish("mark").expect("finished");
        Words::open(folder, revision, "mark").expect("opens")
    }

    #[test]
    fn what_cannot_be_among_the_best_is_left_out_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let words = index(folder.path());
        let counts = Counts::of([&words]);
        let mut early = 0;
        for query in ["ship", "ship wheat", "lamp river stone", "glass horse ship wheat lamp", "nothing of it"] {
            for limit in [1, 7, 50, 1_500, 4_000] {
                let all: Vec<Rank> = words.all_scored(query, limit, &counts).expect("searches");
                assert_eq!(words.search(query, limit, &Allowed::All, &counts).expect("searches"), all, "{query}");
                early += usize::from(words.foremost(query, limit, &counts).expect("searches").is_some());
            }
        }
        assert!((10..25).contains(&early), "both ways are gone: {early}");
        assert_eq!(words.search("ship", 0, &Allowed::All, &counts).expect("searches"), []);
    }
}
