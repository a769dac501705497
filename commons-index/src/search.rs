//! Searching and reading a collection: the port's side of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use common_ground::port::{
    BoxFuture,
    embedder::Purpose,
    index::{By, CorpusHead, Filter, Hit, Index, IndexError, Passage, PassageId, Search, Why},
};
use receipts::Digest;

use crate::{
    collection::Collection,
    embed::{Meaning, Near},
    error::{StoreError, to_port},
    filter::{Allowed, Fits},
    fuse::{self, Candidate},
    ingest::blocking,
    reading::Missing,
    store::{PostgresVectors, Revision},
    vectors::Vectors,
    words::Words,
};

/// The most hits of one search.
const MOST_HITS: u32 = 100;
/// Passages that each side puts forward where both are asked.
const POOL: usize = 100;

/// A query as the word index takes it, and what becomes of what is found.
struct Asked {
    words: Words,
    query: String,
    limit: usize,
    allowed: Allowed,
    by: By,
}

/// Rows with score and what it is made of, best first.
type Ranked = Vec<(u64, Candidate)>;

impl Asked {
    /// The hits where words are asked alone.
    fn by_words(&self) -> Result<Ranked, StoreError> {
        let found = self.words.search(&self.query, self.limit, &self.allowed)?;
        let hit = |(score, row)| (score, Candidate { row, words: Some(score), vectors: None });
        Ok(found.into_iter().map(hit).collect())
    }

    /// How many passages each side puts forward.
    fn most(&self) -> usize {
        POOL.max(self.limit)
    }

    /// What words and vectors put forward, scored by words also where only vectors did.
    fn pool(&self, by_vectors: &[(i64, u64)]) -> Result<Vec<Candidate>, StoreError> {
        let by_words = if self.by == By::Vectors { 0 } else { self.most() };
        let by_words = self.words.search(&self.query, by_words, &self.allowed)?;
        let mut all = fuse::pool(&by_words, by_vectors);
        let unread = all.iter().filter(|one| one.words.is_none()).map(|one| one.row).collect::<BTreeSet<u64>>();
        let read: BTreeMap<u64, u64> =
            self.words.scores(&self.query, unread)?.into_iter().map(|(score, row)| (row, score)).collect();
        for one in &mut all {
            one.words = one.words.or_else(|| read.get(&one.row).copied());
        }
        Ok(all)
    }

    /// The hits, once `score` gives what vectors say of those that only words put forward.
    fn ranked(&self, mut all: Vec<Candidate>, score: impl Fn(u64) -> Option<i64>) -> Ranked {
        for one in &mut all {
            one.vectors = one.vectors.or_else(|| score(one.row));
        }
        let mut found = match self.by {
            By::Vectors => all.into_iter().map(|one| (thousandths(one.vectors), one)).collect(),
            By::Best | By::Words => fuse::fuse(&all),
        };
        found.truncate(self.limit);
        found
    }
}

/// What a query means.
enum Sense {
    /// Nothing: words are asked alone.
    None,
    /// A vector, for those in memory.
    Home(Arc<Vectors>, Vec<f32>),
    /// A vector, for those of a space that the database searches.
    Database(PostgresVectors, Digest, Vec<f32>),
}

/// A product of vectors as a score: what points away has none.
fn thousandths(product: Option<i64>) -> u64 {
    product.map_or(0, |product| u64::try_from(product / 1000).unwrap_or(0))
}

impl Collection {
    /// The query's vector and where it is looked for, where vectors are to answer.
    async fn sense_of(&self, search: &Search) -> Result<Sense, IndexError> {
        let why = match (&self.meaning, search.by) {
            (_, By::Words) => return Ok(Sense::None),
            (Meaning::Ready(model, near), By::Best | By::Vectors) => {
                let query = [search.query.clone()];
                let found = model.embed(&query, Purpose::Query).await;
                let found = found.map_err(|error| IndexError::Unavailable { what: error.to_string() })?;
                let query = found.into_iter().next().unwrap_or_default();
                return Ok(match near {
                    Near::Home(vectors) => Sense::Home(Arc::clone(vectors), query),
                    Near::Database(vectors) => Sense::Database(vectors.clone(), model.space(), query),
                });
            }
            (Meaning::None | Meaning::Missing(..), By::Best) => return Ok(Sense::None),
            (Meaning::None, By::Vectors) => "no embedding model is named".to_owned(),
            (Meaning::Missing(model, passages), By::Vectors) => {
                format!("{passages} passages have no vector by {}", model.id())
            }
        };
        Err(IndexError::NoVectors { why })
    }

    /// The hits' rows.
    async fn answer(&self, asked: Asked, sense: Sense) -> Result<Ranked, StoreError> {
        let (vectors, space, query) = match sense {
            Sense::None => return blocking(&self.store, move || asked.by_words()).await?,
            Sense::Home(vectors, query) => {
                let answer = move || {
                    let all = asked.pool(&vectors.nearest(&query, asked.most(), &asked.allowed))?;
                    Ok(asked.ranked(all, |row| vectors.score(&query, row)))
                };
                return blocking(&self.store, answer).await?;
            }
            Sense::Database(vectors, space, query) => (vectors, space, query),
        };
        let near = vectors.nearest(space, &query, asked.allowed.rows().as_deref(), asked.most()).await?;
        let pool = move || asked.pool(&near.hits).map(|all| (asked, all));
        let (asked, all) = blocking(&self.store, pool).await??;
        let unscored: Vec<u64> = all.iter().filter(|one| one.vectors.is_none()).map(|one| one.row).collect();
        let scores = vectors.scores(space, &query, &unscored).await?;
        Ok(asked.ranked(all, |row| scores.get(&row).copied()))
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
                by: search.by,
            };
            let sense = self.sense_of(search).await?;
            let found = self.answer(asked, sense).await.map_err(|error| to_port(&error))?;
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
