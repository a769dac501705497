//! What an ingest makes rows of: documents with their texts and passages, and entries of the corpus.

use receipts::Digest;

use crate::{
    corpus::{self, CorpusRow},
    document::Document,
    error::{StoreError, from_io},
    passages::Cut,
    store::{CHUNK, NewPassage, Piece, Placed, Session},
};

/// Pieces of a text that are in memory twice, plain and compressed.
const PIECES: usize = 64;

impl Session {
    /// Adds a document with its text and passages.
    pub(crate) async fn add(
        &mut self,
        zstd: &mut zstd::bulk::Compressor<'static>,
        document: &Document,
        revision: i64,
    ) -> Result<(), StoreError> {
        for (turn, pieces) in document.text.as_bytes().chunks(CHUNK * PIECES).enumerate() {
            let first = turn * PIECES;
            let pieces = pieces.chunks(CHUNK).zip(first..).map(|(piece, place)| {
                let zstd = zstd.compress(piece).map_err(|error| from_io(&self.at(), &error))?;
                Ok(Piece { start: (place * CHUNK) as u64, zstd })
            });
            let pieces = pieces.collect::<Result<Vec<_>, StoreError>>()?;
            self.add_pieces(document.text_digest, &pieces).await?;
        }
        let row = self.add_document(document, revision).await?;
        let passages: Vec<NewPassage> = document.cuts.iter().map(passage).collect();
        self.add_passages(row, &passages).await
    }

    /// Appends entries to the corpus and gives its new size and root.
    pub(crate) async fn append(&mut self, rows: &[CorpusRow]) -> Result<(u64, Digest), StoreError> {
        let leaf = |row| corpus::leaf(row).map_err(|error| self.damaged(&error.to_string()));
        let rows = rows.iter().map(|row| Ok((row, leaf(row)?))).collect::<Result<Vec<_>, StoreError>>()?;
        self.append_rows(&rows).await?;
        let leaves = self.leaves().await?;
        Ok((leaves.len() as u64, corpus::root(&leaves)))
    }
}

fn passage(cut: &Cut) -> NewPassage {
    let mut sentences = Vec::with_capacity(cut.sentences.len() * 4);
    for sentence in &cut.sentences {
        // Within a passage every offset is below 1,200.
        for offset in [sentence.start - cut.range.start, sentence.end - cut.range.start] {
            sentences.extend_from_slice(&u16::try_from(offset).unwrap_or(u16::MAX).to_be_bytes());
        }
    }
    let placed = Placed { start: cut.range.start as u64, headings: cut.headings.join("\n"), sentences };
    NewPassage { placed, stop: cut.range.end as u64 }
}

/// Level 3: 4 times smaller than the text at 200 MB/s. The frames carry a checksum, so that rot on disk is noticed.
pub(crate) fn compressor() -> std::io::Result<zstd::bulk::Compressor<'static>> {
    let mut compressor = zstd::bulk::Compressor::new(3)?;
    compressor.include_checksum(true)?;
    Ok(compressor)
}
