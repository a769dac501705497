//! What came between two revisions, with the proof that the later corpus only adds to the earlier one.

use receipts::{
    Digest,
    merkle::{Tree, check_consistency},
};

use crate::{
    corpus::{self, CorpusRow},
    error::StoreError,
    store::{Records, Revision},
};

/// Two revisions, what lies between, and the proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// The earlier one; none for the empty collection before the first.
    pub from: Option<Revision>,
    /// The later one.
    pub to: Revision,
    /// Entries that the later one has beyond the earlier, in their order.
    pub entries: Vec<CorpusRow>,
    /// RFC 6962 consistency proof from the earlier root to the later; empty from the empty collection.
    pub proof: Vec<Digest>,
}

/// Draws the changes; the proof is checked before it is given.
pub(crate) async fn between(records: &Records, from: u64, to: Option<u64>) -> Result<Changes, StoreError> {
    let revisions = records.reading(|mut on| async move { on.revisions().await }).await?;
    let damaged = |cause: String| StoreError::Damaged { path: records.at().to_owned(), cause };
    let known = || revisions.last().map_or(0, |last| last.number);
    let find = |number: u64| {
        let found = revisions.iter().find(|revision| revision.number.unsigned_abs() == number).cloned();
        found.ok_or_else(|| StoreError::NoSuchRevision { path: records.at().to_owned(), number, known: known() })
    };
    let to = find(to.unwrap_or(known().unsigned_abs()))?;
    let from = if from == 0 { None } else { Some(find(from)?) };
    let earlier = from.as_ref().map_or(0, |from| from.number);
    let (old, root) = from.as_ref().map_or((0, Tree::new().root()), |from| (from.size, from.root));
    let size = to.size;
    let entries = records.reading(|mut on| async move { on.corpus(0, size).await }).await?;
    let mut entries: Vec<CorpusRow> = entries.into_iter().map(|(row, _leaf)| row).collect();
    let mut tree = Tree::new();
    for row in &entries {
        tree.push(corpus::leaf(row).map_err(|error| damaged(error.to_string()))?);
    }
    if tree.root() != to.root {
        return Err(damaged(format!("revision {} has another root than its entries", to.number)));
    }
    let proof = tree.consistency(old).unwrap_or_default();
    if old > 0 {
        check_consistency((old, root), (to.size, to.root), &proof).map_err(|error| {
            damaged(format!("revision {earlier} is no beginning of revision {}: {error}", to.number))
        })?;
    }
    let beyond = usize::try_from(old).unwrap_or(usize::MAX).min(entries.len());
    Ok(Changes { from, to, entries: entries.split_off(beyond), proof })
}
