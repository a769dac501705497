//! What vectors a collection has: of which models, of how many passages, and what they take in this home.

use receipts::Digest;

use crate::{collection::Collection, embed::SearchedIn, error::StoreError, vectors};

/// A space that there are vectors in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpaceUse {
    /// What names it.
    pub space: Digest,
    /// The model's id when it was first used here.
    pub model: String,
    /// Numbers in a vector.
    pub dimensions: u32,
    /// How many passages that are searched at this revision have a vector.
    pub passages: u64,
    /// Bytes of the file that this home searches them in; 0 where it has none.
    pub bytes: u64,
    /// Where they are searched once each passage has one.
    pub searched: SearchedIn,
}

impl Collection {
    /// The ids of the models that made vectors for it, in the order of their first use.
    ///
    /// # Errors
    /// The store failed.
    pub async fn models(&self) -> Result<Vec<String>, StoreError> {
        let known = self.records.reading(|mut on| async move { on.spaces().await }).await?;
        Ok(known.into_iter().map(|space| space.model).collect())
    }

    /// The spaces that there are vectors in, oldest first. Looks at each passage.
    ///
    /// # Errors
    /// The store failed.
    pub async fn spaces(&self) -> Result<Vec<SpaceUse>, StoreError> {
        let Some((revision, _words)) = &self.at else {
            return Ok(Vec::new());
        };
        let searched = if self.searcher(revision).is_some() { SearchedIn::Database } else { SearchedIn::Home };
        let mut uses = Vec::new();
        for space in self.records.reading(|mut on| async move { on.spaces().await }).await? {
            let id = space.id;
            let missing = self.records.reading(|mut on| async move { on.missing(id, revision.number).await }).await?;
            uses.push(SpaceUse {
                space: space.space,
                model: space.model,
                dimensions: space.dimensions,
                passages: revision.passages.saturating_sub(missing),
                bytes: vectors::bytes_on_disk(&self.store, revision.number, space.space),
                searched,
            });
        }
        Ok(uses)
    }
}
