//! Searching and reading a collection: the port's side of it.

use std::{collections::BTreeSet, sync::Arc};

use common_ground::port::{
    BoxFuture,
    embedder::Purpose,
    index::{By, CorpusHead, Filter, Hit, Index, IndexError, Passage, PassageId, Search, Why},
};

use crate::{
    collection::Collection,
    embed::Meaning,
    error::{StoreError, to_port},
    filter::{Allowed, Fits},
    fuse::{self, Candidate},
    ingest::blocking,
    reading::Missing,
    store::Revision,
    vectors::Vectors,
    words::Words,
};

/// The most hits of one search.
const MOST_HITS: u32 = 100;
/// Passages that each side puts forward where both are asked.
const POOL: usize = 100;

/// A query as the sides take it.
struct Asked {
    words: Words,
    query: String,
    limit: usize,
    allowed: Allowed,
    /// The vectors, and the query's own.
    meaning: Option<(Arc<Vectors>, Vec<f32>)>,
    by: By,
}

impl Asked {
    /// The hits' rows with score and what it is made of, best first.
    fn answer(self) -> Result<Vec<(u64, Candidate)>, StoreError> {
        let Some((vectors, near)) = self.meaning else {
            let found = self.words.search(&self.query, self.limit, &self.allowed)?;
            let hit = |(score, row)| (score, Candidate { row, words: Some(score), vectors: None });
            return Ok(found.into_iter().map(hit).collect());
        };
        let most = POOL.max(self.limit);
        let by_words = if self.by == By::Vectors { 0 } else { most };
        let by_words = self.words.search(&self.query, by_words, &self.allowed)?;
        let by_vectors = vectors.nearest(&near, most, &self.allowed);
        let mut all = fuse::pool(&by_words, &by_vectors);
        // What one side put forward is scored by the other too.
        let unread = all.iter().filter(|one| one.words.is_none()).map(|one| one.row).collect::<BTreeSet<u64>>();
        let read: std::collections::BTreeMap<u64, u64> =
            self.words.scores(&self.query, unread)?.into_iter().map(|(score, row)| (row, score)).collect();
        for one in &mut all {
            one.words = one.words.or_else(|| read.get(&one.row).copied());
            one.vectors = one.vectors.or_else(|| vectors.score(&near, one.row));
        }
        let mut found = match self.by {
            By::Vectors => all.into_iter().map(|one| (thousandths(one.vectors), one)).collect(),
            By::Best | By::Words => fuse::fuse(&all),
        };
        found.truncate(self.limit);
        Ok(found)
    }
}

/// A product of vectors as a score: what points away has none.
fn thousandths(product: Option<i64>) -> u64 {
    product.map_or(0, |product| u64::try_from(product / 1000).unwrap_or(0))
}

impl Collection {
    /// The query's vector, where vectors are to answer.
    async fn meaning_of(&self, search: &Search) -> Result<Option<(Arc<Vectors>, Vec<f32>)>, IndexError> {
        let why = match (&self.meaning, search.by) {
            (_, By::Words) => return Ok(None),
            (Meaning::Ready(model, vectors), By::Best | By::Vectors) => {
                let query = [search.query.clone()];
                let found = model.embed(&query, Purpose::Query).await;
                let found = found.map_err(|error| IndexError::Unavailable { what: error.to_string() })?;
                let near = found.into_iter().next().unwrap_or_default();
                return Ok(Some((Arc::clone(vectors), near)));
            }
            (Meaning::None | Meaning::Missing(..), By::Best) => return Ok(None),
            (Meaning::None, By::Vectors) => "no embedding model is named".to_owned(),
            (Meaning::Missing(model, passages), By::Vectors) => {
                format!("{passages} passages have no vector by {}", model.id())
            }
        };
        Err(IndexError::NoVectors { why })
    }

    /// The documents that fit a filter.
    async fn allowed(&self, filter: &Filter) -> Result<Allowed, IndexError> {
        if filter.is_empty() {
            return Ok(Allowed::All);
        }
        let fits = Fits::of(filter).map_err(|date| IndexError::BadDate { date })?;
        let revision = self.at.as_ref().map_or(0, |(revision, _words)| revision.number);
        let documents = self.records.reading(|mut on| async move { on.searched(revision).await }).await;
        Ok(fits.among(&documents.map_err(|error| to_port(&error))?))
    }
}

impl Index for Collection {
    fn search<'a>(&'a self, search: &'a Search) -> BoxFuture<'a, Result<Vec<Hit>, IndexError>> {
        Box::pin(async move {
            let Some((_revision, words)) = &self.at else {
                return Ok(Vec::new());
            };
            let asked = Asked {
                words: words.clone(),
                query: search.query.clone(),
                limit: search.limit.min(MOST_HITS) as usize,
                allowed: self.allowed(&search.filter).await?,
                meaning: self.meaning_of(search).await?,
                by: search.by,
            };
            let found = blocking(&self.store, move || asked.answer()).await;
            let found = found.and_then(|found| found).map_err(|error| to_port(&error))?;
            let rows: Vec<u64> = found.iter().map(|(_score, one)| one.row).collect();
            let passages = self
                .records
                .reading(|mut on| {
                    let rows = &rows;
                    async move { on.passages(rows).await }
                })
                .await;
            let passages = passages.map_err(|error| to_port(&error))?;
            let hit = |(passage, (score_milli, one)): (Passage, (u64, Candidate))| {
                let why = Some(Why { words_milli: one.words, vectors_micro: one.vectors });
                Hit { passage, score_milli, why }
            };
            Ok(passages.into_iter().zip(found).map(hit).collect())
        })
    }

    fn read<'a>(&'a self, id: &'a PassageId) -> BoxFuture<'a, Result<Passage, IndexError>> {
        Box::pin(async move {
            let revision = self.at.as_ref().map_or(0, |(revision, _words)| revision.number);
            self.records.reading(|mut on| async move { on.read(id, revision).await }).await.map_err(|missing| {
                match missing {
                    Missing::Text => IndexError::UnknownText { text: id.text },
                    Missing::Span => IndexError::BadSpan { text: id.text, span: id.span },
                    Missing::Store(error) => to_port(&error),
                }
            })
        })
    }

    fn heads(&self) -> Vec<CorpusHead> {
        let head = |(revision, _words): &(Revision, Words)| CorpusHead {
            origin: self.origin(),
            size: revision.size,
            root: revision.root,
        };
        self.at.iter().map(head).collect()
    }
}
