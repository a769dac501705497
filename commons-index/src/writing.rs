//! What an ingest makes rows of: documents with their texts and passages.

use crate::{
    document::Document,
    passages::Cut,
    store::{CHUNK, NewPassage, Piece, Placed},
};

/// A document as the records take it.
#[derive(Debug)]
pub(crate) struct Ready {
    /// It, without its text and its passages.
    pub(crate) document: Document,
    /// Its text, compressed.
    pub(crate) pieces: Vec<Piece>,
    /// Its passages.
    pub(crate) passages: Vec<NewPassage>,
}

impl Ready {
    /// Packs a document.
    pub(crate) fn of(mut document: Document, zstd: &mut zstd::bulk::Compressor<'static>) -> std::io::Result<Self> {
        let text = std::mem::take(&mut document.text);
        let pieces = text.as_bytes().chunks(CHUNK).enumerate();
        let pieces =
            pieces.map(|(place, piece)| Ok(Piece { start: (place * CHUNK) as u64, zstd: zstd.compress(piece)? }));
        let pieces = pieces.collect::<std::io::Result<_>>()?;
        let passages = std::mem::take(&mut document.cuts).iter().map(passage).collect();
        Ok(Self { document, pieces, passages })
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
