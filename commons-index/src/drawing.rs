//! The word index of a revision, drawn from the records: whole, or behind that of the revision before it.

use std::{collections::BTreeMap, path::Path};

use receipts::Digest;

use crate::{
    error::StoreError,
    ingest::blocking,
    store::{CHUNK, Drawable, Revision, Session, Spot},
    words::{self, Builder, Entry, Words},
};

/// Documents of one batch on their way into the index, and about how many bytes they may have.
const BATCH: u64 = 256;
const BATCH_BYTES: u64 = 8 << 20;

/// Draws the index of a revision as the records stand in `on`; gives the number of its passages. `before` is the revision
/// that it only adds to, where it only adds.
pub(crate) async fn draw(
    on: &mut Session,
    collection: &Path,
    revision: &Revision,
    before: Option<&Revision>,
) -> Result<u64, StoreError> {
    let drawn = try_draw(on, collection, revision, before).await;
    if drawn.is_err() {
        let half = words::folder(collection, revision.number);
        // Room may be what was missing. Where it cannot be given back either, the next drawing begins with that; what is told
        // is the first error.
        blocking(collection, move || words::remove(&half)).await?.unwrap_or_default();
    }
    drawn
}

async fn try_draw(
    on: &mut Session,
    collection: &Path,
    revision: &Revision,
    before: Option<&Revision>,
) -> Result<u64, StoreError> {
    let (at, number) = (collection.to_owned(), revision.number);
    if let Some(before) = before {
        let (at, earlier, mark) = (at.clone(), before.number, before.root.to_string());
        // An index that is damaged or gone is no loss: the new one is drawn whole.
        if let Ok(builder) = blocking(collection, move || Builder::after(&at, earlier, &mark, number)).await? {
            return Ok(before.passages + fill(on, collection, revision, builder, number).await?);
        }
    }
    let builder = blocking(collection, move || Builder::new(&at, number)).await??;
    fill(on, collection, revision, builder, 0).await
}

/// Opens the index of a revision.
pub(crate) async fn open(collection: &Path, revision: &Revision) -> Result<Words, StoreError> {
    let (at, number, mark) = (collection.to_owned(), revision.number, revision.root.to_string());
    blocking(collection, move || Words::open(&at, number, &mark)).await?
}

async fn fill(
    on: &mut Session,
    collection: &Path,
    revision: &Revision,
    mut builder: Builder,
    since: i64,
) -> Result<u64, StoreError> {
    let (mut count, mut after) = (0, 0);
    loop {
        let mut documents = on.drawable(revision.number, since, after, BATCH).await?;
        let mut bytes = 0;
        let room = |document: &Drawable| {
            bytes += document.bytes;
            bytes <= BATCH_BYTES
        };
        let fitting = documents.iter().map(room).take_while(|room| *room).count();
        documents.truncate(fitting.max(1));
        let (Some(first), Some(last)) = (documents.first(), documents.last()) else { break };
        after = last.id;
        let spots = on.spots(first.id, last.id).await?;
        let entries = entries(on, documents, spots).await?;
        count += entries.len() as u64;
        builder = blocking(collection, move || {
            entries.iter().try_for_each(|entry| builder.add(entry))?;
            Ok::<_, StoreError>(builder)
        })
        .await??;
    }
    let mark = revision.root.to_string();
    blocking(collection, move || builder.finish(&mark)).await??;
    Ok(count)
}

/// What the index takes of the passages of some documents.
async fn entries(on: &mut Session, documents: Vec<Drawable>, spots: Vec<Spot>) -> Result<Vec<Entry>, StoreError> {
    let mut texts: BTreeMap<Digest, Vec<u8>> = BTreeMap::new();
    let digests: Vec<Digest> = documents.iter().map(|document| document.text).collect();
    for (text, piece) in on.pieces_of(&digests).await? {
        let plain = on.plain(&piece.zstd)?;
        texts.entry(text).or_insert_with(|| Vec::with_capacity(CHUNK.min(plain.len()))).extend_from_slice(&plain);
    }
    let documents: BTreeMap<i64, Drawable> = documents.into_iter().map(|document| (document.id, document)).collect();
    let mut entries = Vec::with_capacity(spots.len());
    for spot in spots {
        // Between them are documents whose text is searched as another one's.
        let Some(document) = documents.get(&spot.document) else { continue };
        let bytes = texts.get(&document.text).map_or(&[][..], Vec::as_slice);
        let place = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX);
        let body = bytes.get(place(spot.start)..place(spot.stop)).and_then(|part| std::str::from_utf8(part).ok());
        let short = || on.damaged(&format!("text {} is shorter than its passages", document.text));
        let body = body.ok_or_else(short)?.to_owned();
        let mut head = document.title.clone();
        if !spot.headings.is_empty() {
            head.push('\n');
            head.push_str(&spot.headings);
        }
        let text = document.text.0.first_chunk::<8>().map_or(0, |first| u64::from_be_bytes(*first));
        let owner = spot.document.unsigned_abs();
        entries.push(Entry { passage: spot.id, document: owner, text, start: spot.start, head, body });
    }
    Ok(entries)
}
