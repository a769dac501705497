//! Searching and reading collections: the port's side of it.
//!
//! **Invariant:** several collections are searched as one that holds all their passages would be: words weigh by their counts
//! over all of them, vectors are of one space or none are used, and both sides are put together once.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use common_ground::port::{
    BoxFuture,
    embedder::{Embedder, Purpose},
    index::{By, CorpusHead, Filter, Hit, Index, IndexError, Passage, PassageId, Search, Why},
};

use crate::{
    again,
    collection::Collection,
    embed::{Meaning, Near},
    error::{StoreError, to_port},
    filter::{Allowed, Fits},
    fuse::{self, Candidate, Key},
    ingest::blocking,
    reading::Missing,
    store::Revision,
    words::{Counts, Rank, Words},
};

/// The most hits of one search.
pub(crate) const MOST_HITS: u32 = 100;
/// Passages that each side puts forward where both are asked.
const POOL: usize = 100;

/// A collection and its place among those that are searched.
pub(crate) type Placed<'a> = (usize, &'a Collection);

/// A collection as one search sees it.
struct Part<'a> {
    place: usize,
    of: &'a Collection,
    words: Words,
    allowed: Allowed,
}

/// What the query means, where vectors answer.
struct Sense<'a> {
    query: Vec<f32>,
    model: &'a Arc<dyn Embedder>,
}

/// A product of vectors as a score: what points away has none.
fn thousandths(product: Option<i64>) -> u64 {
    product.map_or(0, |product| u64::try_from(product / 1000).unwrap_or(0))
}

/// The model whose vectors all parts have, or why there is none.
fn model<'a>(parts: &[Part<'a>]) -> Result<&'a Arc<dyn Embedder>, String> {
    let mut found: Option<&Arc<dyn Embedder>> = None;
    for part in parts {
        match &part.of.meaning {
            Meaning::Ready(model, _) if found.is_none_or(|one| one.space() == model.space()) => found = Some(model),
            Meaning::Ready(model, _) => return Err(format!("{} makes vectors of another space", model.id())),
            Meaning::Missing(model, passages) => {
                return Err(format!("{passages} passages have no vector by {}", model.id()));
            }
            Meaning::None => return Err("no embedding model is named".to_owned()),
        }
    }
    found.ok_or_else(|| "nothing is searched".to_owned())
}

/// The query's vector, where vectors are to answer.
async fn sense<'a>(parts: &[Part<'a>], search: &Search) -> Result<Option<Sense<'a>>, IndexError> {
    let model = match (search.by, model(parts)) {
        (By::Words, _) | (By::Best, Err(_)) => return Ok(None),
        (By::Vectors, Err(why)) => return Err(IndexError::NoVectors { why }),
        (By::Best | By::Vectors, Ok(model)) => model,
    };
    let found = model.embed(std::slice::from_ref(&search.query), Purpose::Query).await;
    let found = found.map_err(|error| IndexError::Unavailable { what: error.to_string() })?;
    Ok(Some(Sense { query: found.into_iter().next().unwrap_or_default(), model }))
}

/// The best passages by words, over all parts, with the words' scores of `also`.
async fn by_words(
    parts: &[Part<'_>],
    query: &str,
    most: usize,
    also: Vec<BTreeSet<u64>>,
) -> Result<(Vec<(u64, Key)>, BTreeMap<Key, u64>), StoreError> {
    let Some(first) = parts.first() else { return Ok((Vec::new(), BTreeMap::new())) };
    let searched: Vec<(Words, Allowed)> = parts.iter().map(|part| (part.words.clone(), part.allowed.clone())).collect();
    let query = query.to_owned();
    let find = move || {
        let counts = Counts::of(searched.iter().map(|(words, _)| words));
        let (mut found, mut scores): (Vec<(Rank, usize)>, BTreeMap<Key, u64>) = (Vec::new(), BTreeMap::new());
        for (of, ((words, allowed), also)) in searched.iter().zip(also).enumerate() {
            found.extend(words.search(&query, most, allowed, &counts)?.into_iter().map(|rank| (rank, of)));
            let also = words.scores(&query, also, &counts)?;
            scores.extend(also.into_iter().map(|(score, _place, row)| ((of, row), score)));
        }
        found.sort_by_key(|((score, place, _row), of)| (Reverse(*score), place.0, *of));
        found.truncate(most);
        Ok((found.into_iter().map(|((score, _place, row), of)| (score, (of, row))).collect(), scores))
    };
    blocking(&first.of.store, find).await?
}

/// The nearest passages by vectors, over all parts.
async fn by_vectors(parts: &[Part<'_>], sense: &Sense<'_>, most: usize) -> Result<Vec<(i64, Key)>, StoreError> {
    let mut found = Vec::new();
    for (of, part) in parts.iter().enumerate() {
        let near = match &part.of.meaning {
            Meaning::None | Meaning::Missing(..) => Vec::new(),
            Meaning::Ready(_, Near::Database(vectors)) => {
                let rows = part.allowed.rows();
                vectors.nearest(sense.model.space(), &sense.query, rows.as_deref(), most).await?.hits
            }
            Meaning::Ready(_, Near::Home(vectors)) => {
                let (vectors, query, allowed) = (Arc::clone(vectors), sense.query.clone(), part.allowed.clone());
                blocking(&part.of.store, move || vectors.nearest(&query, most, &allowed)).await?
            }
        };
        found.extend(near.into_iter().map(|(score, row)| (score, (of, row))));
    }
    // What is equal stays in the order of the parts and of their passages.
    found.sort_by_key(|(score, _key)| Reverse(*score));
    found.truncate(most);
    Ok(found)
}

/// What vectors say of the candidates that only words put forward.
async fn scored(parts: &[Part<'_>], sense: &Sense<'_>, all: &mut [Candidate]) -> Result<(), StoreError> {
    for (of, part) in parts.iter().enumerate() {
        let unscored = all.iter_mut().filter(|one| one.key.0 == of && one.vectors.is_none());
        match &part.of.meaning {
            Meaning::None | Meaning::Missing(..) => {}
            Meaning::Ready(_, Near::Home(vectors)) => {
                unscored.for_each(|one| one.vectors = vectors.score(&sense.query, one.key.1));
            }
            Meaning::Ready(_, Near::Database(vectors)) => {
                let unscored: Vec<&mut Candidate> = unscored.collect();
                let rows: Vec<u64> = unscored.iter().map(|one| one.key.1).collect();
                let scores = vectors.scores(sense.model.space(), &sense.query, &rows).await?;
                unscored.into_iter().for_each(|one| one.vectors = scores.get(&one.key.1).copied());
            }
        }
    }
    Ok(())
}

/// Candidates with their scores, best first: so many that what is wanted is left when each text that several parts have is
/// there once.
async fn ranked(
    parts: &[Part<'_>],
    search: &Search,
    sense: Option<Sense<'_>>,
) -> Result<Vec<(u64, Candidate)>, StoreError> {
    let limit = wanted(search) * parts.len();
    let none = || vec![BTreeSet::new(); parts.len()];
    let Some(sense) = sense else {
        let (found, _) = by_words(parts, &search.query, limit, none()).await?;
        let hit = |(score, key)| (score, Candidate { key, words: Some(score), vectors: None });
        return Ok(found.into_iter().map(hit).collect());
    };
    // One side alone puts forward what is wanted of it.
    let most = if search.by == By::Vectors { limit } else { POOL.max(limit) };
    let near = by_vectors(parts, &sense, most).await?;
    let mut unread = none();
    near.iter().for_each(|(_score, (of, row))| _ = unread[*of].insert(*row));
    let most_words = if search.by == By::Vectors { 0 } else { most };
    let (words, read) = by_words(parts, &search.query, most_words, unread).await?;
    let mut all = fuse::pool(&words, &near);
    for one in &mut all {
        one.words = one.words.or_else(|| read.get(&one.key).copied());
    }
    scored(parts, &sense, &mut all).await?;
    let mut found = match search.by {
        By::Vectors => all.into_iter().map(|one| (thousandths(one.vectors), one)).collect(),
        By::Best | By::Words => fuse::fuse(&all),
    };
    found.truncate(limit);
    Ok(found)
}

/// How many hits a search asks for.
fn wanted(search: &Search) -> usize {
    search.limit.min(MOST_HITS) as usize
}

impl Collection {
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

    async fn passages(&self, rows: &[u64]) -> Result<Vec<Passage>, IndexError> {
        let found = self.records.reading(|mut on| async move { on.passages(rows).await }).await;
        found.map_err(|error| to_port(&error))
    }
}

/// One search over these collections, without further ones: the best passages, a text that several have once.
pub(crate) async fn once(all: &[Placed<'_>], search: &Search) -> Result<Vec<(usize, Hit)>, IndexError> {
    let mut parts = Vec::new();
    for (place, of) in all {
        if let Some((_revision, words)) = &of.at {
            let allowed = of.allowed(&search.filter).await?;
            parts.push(Part { place: *place, of, words: words.clone(), allowed });
        }
    }
    let sense = sense(&parts, search).await?;
    let found = ranked(&parts, search, sense).await.map_err(|error| to_port(&error))?;
    let mut passages = BTreeMap::new();
    for (of, part) in parts.iter().enumerate() {
        let rows: Vec<u64> =
            found.iter().filter(|(_score, one)| one.key.0 == of).map(|(_score, one)| one.key.1).collect();
        let read = part.of.passages(&rows).await?;
        passages.extend(rows.iter().map(|row| (of, *row)).zip(read));
    }
    let mut seen = BTreeSet::new();
    let hit = |(score_milli, one): (u64, Candidate)| {
        let passage: Passage = passages.remove(&one.key)?;
        let why = Some(Why { words_milli: one.words, vectors_micro: one.vectors, ..Why::default() });
        seen.insert(passage.id).then_some((parts[one.key.0].place, Hit { passage, score_milli, why }))
    };
    Ok(found.into_iter().filter_map(hit).take(wanted(search)).collect())
}

/// In how many passages of these collections terms stand, and how many there are.
pub(crate) async fn having(all: &[Placed<'_>], terms: Vec<String>) -> Result<(u64, Vec<u64>), IndexError> {
    let words = |(_place, of): &Placed<'_>| of.at.as_ref().map(|(_revision, words)| words.clone());
    let words: Vec<Words> = all.iter().filter_map(words).collect();
    let Some((_place, first)) = all.first() else { return Ok((0, vec![0; terms.len()])) };
    let count = move || Counts::of(&words).having(&terms);
    let found = blocking(&first.store, count).await.map_err(|error| to_port(&error))?;
    found.map_err(|error| to_port(&error))
}

/// What a search asks for, over these collections: each hit with the place of its collection.
pub(crate) async fn search(all: &[&Collection], search: &Search) -> Result<Vec<(usize, Hit)>, IndexError> {
    let limit = wanted(search);
    let mut search = search.clone();
    let named = std::mem::take(&mut search.filter.collections);
    let meant =
        |of: &Collection| named.is_empty() || named.iter().any(|name| of.collection().starts_with(name.as_str()));
    let all: Vec<Placed<'_>> = all.iter().copied().enumerate().filter(|(_place, of)| meant(of)).collect();
    let mut hits = match (search.hops, search.per_document) {
        (0, None) => return once(&all, &search).await,
        (0, Some(_)) => once(&all, &Search { limit: MOST_HITS, ..search.clone() }).await?,
        (_further, _) => again::search(&all, &search).await?,
    };
    if let Some(most) = search.per_document {
        let mut of = BTreeMap::new();
        hits.retain(|(_place, hit)| {
            let taken: &mut u32 = of.entry(hit.passage.id.text).or_default();
            *taken += 1;
            *taken <= most
        });
    }
    hits.truncate(limit);
    Ok(hits)
}

impl Index for Collection {
    fn search<'a>(&'a self, search: &'a Search) -> BoxFuture<'a, Result<Vec<Hit>, IndexError>> {
        Box::pin(async move {
            let found = self::search(&[self], search).await?;
            Ok(found.into_iter().map(|(_only, hit)| hit).collect())
        })
    }

    fn read<'a>(&'a self, id: &'a PassageId) -> BoxFuture<'a, Result<Passage, IndexError>> {
        Box::pin(async move {
            let revision = self.at.as_ref().map_or(0, |(revision, _words)| revision.number);
            let read = self.records.reading(|mut on| async move { on.read(id, revision).await }).await;
            read.map_err(|missing| unread(missing, id))
        })
    }

    fn beside<'a>(&'a self, id: &'a PassageId, most: u32) -> BoxFuture<'a, Result<Vec<Passage>, IndexError>> {
        Box::pin(async move {
            let revision = self.at.as_ref().map_or(0, |(revision, _words)| revision.number);
            let read = self.records.reading(|mut on| async move { on.beside(id, most, revision).await }).await;
            read.map_err(|missing| unread(missing, id))
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

fn unread(missing: Missing, id: &PassageId) -> IndexError {
    match missing {
        Missing::Text => IndexError::UnknownText { text: id.text },
        Missing::Span => IndexError::BadSpan { text: id.text, span: id.span },
        Missing::Store(error) => to_port(&error),
    }
}
