//! Several collections as one index.
//!
//! **Invariant:** what is found and read of several names its collection; of one alone nothing more is said than the
//! collection itself says.

use common_ground::port::{
    BoxFuture,
    index::{CorpusHead, Hit, Index, IndexError, Passage, PassageId, Search},
};

use crate::{collection::Collection, search};

/// Collections that answer together, in the order in which they are named.
pub struct Several {
    all: Vec<Collection>,
}

impl Several {
    /// These collections. A text that two of them have is the first one's.
    pub fn of(all: Vec<Collection>) -> Self {
        Self { all }
    }

    /// Each of them.
    pub fn collections(&self) -> &[Collection] {
        &self.all
    }

    /// Each of them, to name models to them and to make their vectors.
    pub fn collections_mut(&mut self) -> &mut [Collection] {
        &mut self.all
    }

    /// Documents and passages of all of them.
    pub fn counts(&self) -> (u64, u64) {
        self.all
            .iter()
            .map(Collection::counts)
            .fold((0, 0), |(a, b), (documents, passages)| (a + documents, b + passages))
    }

    fn named(&self, of: &Collection, passage: Passage) -> Passage {
        let collection = (self.all.len() > 1).then(|| of.collection().to_owned());
        Passage { collection, ..passage }
    }

    /// The first collection that has a text, with what it reads of it.
    async fn first<T>(
        &self,
        id: &PassageId,
        read: impl for<'a> Fn(&'a Collection, &'a PassageId) -> BoxFuture<'a, Result<T, IndexError>>,
    ) -> Result<(&Collection, T), IndexError> {
        for of in &self.all {
            match read(of, id).await {
                Err(IndexError::UnknownText { .. }) => {}
                read => return read.map(|read| (of, read)),
            }
        }
        Err(IndexError::UnknownText { text: id.text })
    }
}

impl Index for Several {
    fn search<'a>(&'a self, search: &'a Search) -> BoxFuture<'a, Result<Vec<Hit>, IndexError>> {
        Box::pin(async move {
            let all: Vec<&Collection> = self.all.iter().collect();
            let found = search::search(&all, search).await?;
            let named = |(of, hit): (usize, Hit)| Hit { passage: self.named(&self.all[of], hit.passage), ..hit };
            Ok(found.into_iter().map(named).collect())
        })
    }

    fn read<'a>(&'a self, id: &'a PassageId) -> BoxFuture<'a, Result<Passage, IndexError>> {
        Box::pin(async move {
            let (of, passage) = self.first(id, |of, id| of.read(id)).await?;
            Ok(self.named(of, passage))
        })
    }

    fn beside<'a>(&'a self, id: &'a PassageId, most: u32) -> BoxFuture<'a, Result<Vec<Passage>, IndexError>> {
        Box::pin(async move {
            let (of, passages) = self.first(id, move |of, id| of.beside(id, most)).await?;
            Ok(passages.into_iter().map(|passage| self.named(of, passage)).collect())
        })
    }

    fn heads(&self) -> Vec<CorpusHead> {
        let mut heads: Vec<CorpusHead> = self.all.iter().flat_map(Collection::heads).collect();
        heads.sort();
        heads.dedup();
        heads
    }
}
