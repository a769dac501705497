//! The end of an ingest: what it changed goes into the corpus, the head is signed, the word index drawn, and the revision
//! named, all at once.
//!
//! **Invariant:** the word index of a revision, and the log of its ingest, are durable before the records name it.

use receipts::{Digest, checkpoint::Checkpoint, merkle::Frontier};

use crate::{
    corpus, drawing,
    error::IngestError,
    ingest::{Caller, Ingested, Place},
    metadata::Declared,
    scan::Skipped,
    store::{Counted, Revision, Session},
    transforms::{self, Grown},
};

/// Entries in memory at a time.
const PAGE: u64 = 2_000;

/// What was read, beyond what the records have of it.
pub(crate) struct Read<'a> {
    /// What is said of all documents.
    pub(crate) declared: &'a Declared,
    /// What was passed over, by path.
    pub(crate) skipped: &'a [Skipped],
}

/// Seals a revision, or leaves the latest where nothing changed.
pub(crate) async fn seal(
    mut on: Session,
    place: &Place<'_>,
    caller: &mut Caller<'_>,
    latest: Option<Revision>,
    (next, read): (i64, Read<'_>),
) -> Result<Ingested, IngestError> {
    let Counted { added, replaced, removed, documents, duplicates } = on.counted(next).await?;
    let unchanged = documents.saturating_sub(added + replaced);
    let skipped = Vec::new();
    let passages = latest.as_ref().map_or(0, |latest| latest.passages);
    let mut done =
        Ingested { added, replaced, removed, unchanged, resumed: 0, skipped, documents, duplicates, passages };
    if added + replaced + removed == 0 {
        on.commit().await?;
        return Ok(done);
    }
    let (before, size, root) = append(&mut on, caller, next).await?;
    transforms::write(&mut on, place, caller, &Grown { before, size, root, revision: next }, &read).await?;
    let head = Checkpoint { origin: place.origin.to_owned(), size, root };
    let body = head.body().into_bytes();
    let checkpoint = (caller.sign)(&body).map_err(IngestError::Unsigned)?;
    let mut revision = Revision { number: next, size, root, checkpoint, documents, passages: 0 };
    let before = if on.only_adds(next).await? { latest.as_ref() } else { None };
    revision.passages = drawing::draw(&mut on, place.collection, &revision, before).await?;
    on.mark(&revision).await?;
    on.commit().await?;
    done.passages = revision.passages;
    Ok(done)
}

/// Appends what a revision changed to the corpus and gives what it was, its new size and root.
async fn append(on: &mut Session, caller: &mut Caller<'_>, next: i64) -> Result<(Frontier, u64, Digest), IngestError> {
    let mut tree = Frontier::new();
    for leaf in on.leaves().await? {
        tree.push(leaf);
    }
    let before = tree.clone();
    let mut after = String::new();
    loop {
        let page = on.changed(next, &after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after.clone_from(&last.path);
        let mut rows = Vec::with_capacity(page.len());
        for mut row in page {
            (caller.entropy)(&mut row.salt).map_err(IngestError::Entropy)?;
            // Only a text with lone halves of surrogates has no canonical form, and Rust's strings have none.
            let leaf = corpus::leaf(&row).map_err(|error| on.damaged(&error.to_string()))?;
            tree.push(leaf);
            rows.push((row, leaf));
        }
        on.append_rows(&rows).await?;
    }
    Ok((before, tree.size(), tree.root()))
}
