//! Vectors of a collection's passages: which model makes them, which are missing, and making those.
//!
//! **Invariant:** vectors of one space answer a search, and all passages of the revision have one in it, or words answer
//! alone: never a mixture.
//! **Invariant:** a vector once made is kept; made again is only what is missing.

use std::{path::Path, sync::Arc};

use common_ground::port::embedder::{Embedder, Purpose};
use receipts::Digest;

use crate::{
    collection::Collection,
    error::{StoreError, VectorError},
    ingest::{Progress, blocking},
    lock::Lock,
    store::{PostgresVectors, Records, Revision},
    vectors::{self, Builder, Vectors},
};

/// Passages embedded between two commits.
const BATCH: u64 = 64;
/// Vectors of one batch on their way into the file.
const DRAWN: u64 = 2_000;

/// What a collection knows of meaning.
#[derive(Clone)]
pub(crate) enum Meaning {
    /// No model was named.
    None,
    /// A model is there, and so many passages have no vector by it.
    Missing(Arc<dyn Embedder>, u64),
    /// Every passage has one.
    Ready(Arc<dyn Embedder>, Near),
}

/// Where the vectors of a revision are searched.
#[derive(Clone)]
pub(crate) enum Near {
    /// In memory.
    Home(Arc<Vectors>),
    /// In the database.
    Database(PostgresVectors),
}

/// Where vectors are searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchedIn {
    /// In memory, read from a file of the home: exactly.
    Home,
    /// In the database, by pgvector: the collection has more passages than a home is to hold.
    Database,
}

/// How far the vectors of a collection are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Vectored {
    /// No model is named: words alone are searched.
    NoModel,
    /// So many passages have no vector by the model where vectors are searched: words alone are searched.
    Missing {
        /// The model's id.
        model: String,
        /// How many.
        passages: u64,
    },
    /// Words and vectors are searched.
    Ready {
        /// The model's id.
        model: String,
        /// Where vectors are searched.
        searched: SearchedIn,
    },
}

/// What embedding did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Embedded {
    /// Vectors made.
    pub made: u64,
    /// Vectors there are now.
    pub vectors: u64,
}

impl Collection {
    /// Names the model that queries and passages are embedded by from here on.
    pub async fn use_embedder(&mut self, model: Arc<dyn Embedder>) -> Result<(), StoreError> {
        self.meaning = Meaning::Missing(model, 0);
        self.meaning = self.meaning_now().await?;
        Ok(())
    }

    /// How far the vectors are.
    pub fn vectored(&self) -> Vectored {
        match &self.meaning {
            Meaning::None => Vectored::NoModel,
            Meaning::Missing(model, passages) => {
                Vectored::Missing { model: model.id().to_owned(), passages: *passages }
            }
            Meaning::Ready(model, near) => {
                let searched = match near {
                    Near::Home(_) => SearchedIn::Home,
                    Near::Database(_) => SearchedIn::Database,
                };
                Vectored::Ready { model: model.id().to_owned(), searched }
            }
        }
    }

    /// The database that is to search the vectors of a revision: one that has pgvector, where it has too many for a home.
    pub(crate) fn searcher(&self, revision: &Revision) -> Option<PostgresVectors> {
        let many = revision.passages > self.limits.home_vectors;
        many.then(|| self.records.vectors(revision.number).ok()).flatten()
    }

    /// Makes the vectors that are missing, brings them to where they are searched, and tells after each batch how many are
    /// made or brought. Stopped at any moment, it goes on
    /// from there the next time.
    ///
    /// # Errors
    /// The model's or the store's; what was made until then stays.
    pub async fn embed(&mut self, progress: &mut (dyn FnMut(Progress) + Send)) -> Result<Embedded, VectorError> {
        let (Meaning::Missing(model, _) | Meaning::Ready(model, _)) = self.meaning.clone() else {
            return Ok(Embedded { made: 0, vectors: 0 });
        };
        let Some((revision, _words)) = &self.at else {
            return Ok(Embedded { made: 0, vectors: 0 });
        };
        let number = revision.number;
        let mut lock = self.records.write().await?;
        let space = lock.add_space(model.space(), model.id(), model.dimensions()).await?;
        lock.commit().await?;
        let mut total = self.records.reading(|mut on| async move { on.missing(space, number).await }).await?;
        let searcher = self.searcher(revision);
        if let Some(searcher) = &searcher {
            total += searcher.lacking(model.space()).await?;
        }
        let (mut at, mut after) = (Progress { done: 0, total, bytes: 0, total_bytes: 0 }, 0);
        loop {
            let texts =
                self.records.reading(|mut on| async move { on.unembedded(space, number, after, BATCH).await }).await?;
            let Some((last, _)) = texts.last() else { break };
            after = *last;
            let (rows, texts): (Vec<u64>, Vec<String>) = texts.into_iter().unzip();
            let found = model.embed(&texts, Purpose::Passage).await?;
            let little =
                |vector: Vec<f32>| vectors::halves(&vector).iter().flat_map(|half| half.to_le_bytes()).collect();
            let made: Vec<(u64, Vec<u8>)> = rows.into_iter().zip(found.into_iter().map(little)).collect();
            let mut lock = self.records.write().await?;
            lock.add_vectors(space, &made).await?;
            lock.commit().await?;
            at.done += made.len() as u64;
            at.bytes += texts.iter().map(|text| text.len() as u64).sum::<u64>();
            progress(at);
        }
        let made = at.done;
        if let Some(searcher) = &searcher {
            let mut after = 0;
            while let Some((last, count)) = searcher.bring(model.space(), space, after).await? {
                after = last;
                at.done += count;
                progress(at);
            }
            searcher.index(model.space()).await?;
        }
        self.meaning = self.meaning_now().await?;
        let vectors = match &self.meaning {
            Meaning::Ready(_, Near::Home(vectors)) => vectors.len() as u64,
            // Ready only if each passage has one.
            Meaning::Ready(_, Near::Database(_)) => self.counts().1,
            Meaning::None | Meaning::Missing(..) => 0,
        };
        Ok(Embedded { made, vectors })
    }

    /// The vectors of the revision that is open: searched in the database, or read or drawn where all of them are there.
    pub(crate) async fn meaning_now(&self) -> Result<Meaning, StoreError> {
        let (Meaning::Missing(model, _) | Meaning::Ready(model, _)) = self.meaning.clone() else {
            return Ok(Meaning::None);
        };
        let Some((revision, _words)) = &self.at else {
            return Ok(Meaning::Missing(model, 0));
        };
        if let Some(searcher) = self.searcher(revision) {
            return Ok(match searcher.lacking(model.space()).await? {
                0 => Meaning::Ready(model, Near::Database(searcher)),
                lacking => Meaning::Missing(model, lacking),
            });
        }
        // The file says by itself whether it has all of them, which the records only tell by looking at each passage.
        let drawn = open(&self.store, revision, &*model).await;
        if let Ok(Some(vectors)) = drawn
            && vectors.len() as u64 == revision.passages
        {
            return Ok(Meaning::Ready(model, Near::Home(Arc::new(vectors))));
        }
        let known = self.records.reading(|mut on| async move { on.spaces().await }).await?;
        let known = known.into_iter().find(|space| space.space == model.space());
        let Some(space) = known else {
            return Ok(Meaning::Missing(model, revision.passages));
        };
        let missing = self.records.reading(|mut on| async move { on.missing(space.id, revision.number).await }).await?;
        if missing > 0 {
            return Ok(Meaning::Missing(model, missing));
        }
        let vectors = draw(&self.records, &self.store, revision, (space.id, &*model)).await?;
        if vectors.len() as u64 != revision.passages {
            // Records that were changed behind its back: words answer, and an audit says what it is.
            return Ok(Meaning::Missing(model, revision.passages.abs_diff(vectors.len() as u64)));
        }
        Ok(Meaning::Ready(model, Near::Home(Arc::new(vectors))))
    }
}

async fn open(store: &Path, revision: &Revision, model: &dyn Embedder) -> Result<Option<Vectors>, StoreError> {
    let (at, number, mark, space) = (store.to_owned(), revision.number, revision.root, model.space());
    blocking(store, move || Vectors::open(&at, number, space, mark)).await?
}

/// Draws the vectors of a revision from the records, or takes what another program drew just now.
async fn draw(
    records: &Records,
    store: &Path,
    revision: &Revision,
    (space, model): (i64, &dyn Embedder),
) -> Result<Vectors, StoreError> {
    let alone = Lock::of_vectors(store).await?;
    if let Ok(Some(vectors)) = open(store, revision, model).await
        && vectors.len() as u64 == revision.passages
    {
        return Ok(vectors);
    }
    let mut on = records.snapshot().await?;
    let mut builder = Builder::new(alone, store, revision.number, model.space(), revision.root, model.dimensions())?;
    let length = 2 * model.dimensions() as usize;
    let mut after = (Digest([0; 32]), -1);
    loop {
        let rows = on.vectors(space, revision.number, after, DRAWN).await?;
        let Some(last) = rows.last() else { break };
        after = (last.text, last.start);
        if let Some(row) = rows.iter().find(|row| row.half.len() != length) {
            return Err(on.damaged(&format!("the vector of passage {} has {} bytes", row.passage, row.half.len())));
        }
        builder = blocking(store, move || {
            rows.iter().try_for_each(|row| builder.add(row.passage, row.owner, &row.half))?;
            Ok::<_, StoreError>(builder)
        })
        .await??;
    }
    let (space, mark) = (model.space(), revision.root);
    let drawn = blocking(store, move || builder.finish(space, mark)).await??;
    // Of a revision before the latest, the latest's file stays: others read that.
    if on.latest().await?.is_some_and(|latest| latest.number == revision.number) {
        vectors::remove_others(store, revision.number)?;
    }
    Ok(drawn)
}
