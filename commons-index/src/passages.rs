//! Blocks to passages: what one search hit shows and one citation names.
//!
//! **Invariant:** passages are in order, do not overlap, start and end on character boundaries, and hold all text that is
//! not blank.
//! **Invariant:** no passage is longer than [`LONGEST`] bytes.

use std::ops::Range;

use crate::{
    blocks::{Block, Kind, heading_words},
    sentences,
};

/// Changes with where texts are cut. Raised together with the readers' version, by which documents are read again.
pub(crate) const PASSAGES: u32 = 1;
/// Blocks are merged up to here.
const MERGED: usize = 900;
/// A block longer than this is cut at sentence ends; with a heading above it a piece stays under [`LONGEST`].
const PIECE: usize = 1_000;
/// The longest passage.
pub(crate) const LONGEST: usize = 1_200;
/// Headings kept above a passage are shortened to this, so that a broken file does not repeat a megabyte on every hit.
const HEADING_WORDS: usize = 200;

/// A passage of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// Where it stands.
    pub(crate) range: Range<usize>,
    /// Headings above it, outermost first, without the document's title.
    pub(crate) headings: Vec<String>,
    /// Its sentences, absolute.
    pub(crate) sentences: Vec<Range<usize>>,
}

/// A part of a block, at most [`PIECE`] bytes, that is never cut again.
struct Unit {
    kind: Kind,
    range: Range<usize>,
    sentences: Vec<Range<usize>>,
}

/// A document's own title: its first heading's words.
pub(crate) fn first_heading(text: &str, blocks: &[Block]) -> Option<String> {
    let block = blocks.iter().find(|block| matches!(block.kind, Kind::Heading(_)))?;
    let words = shortened(heading_words(&text[block.range.clone()]));
    (!words.is_empty()).then_some(words)
}

/// Cuts a text. `title` is left out of the headings wherever it is the first of them.
pub(crate) fn cut(text: &str, blocks: &[Block], title: &str) -> Vec<Cut> {
    let mut cuts = Vec::new();
    let mut above: Vec<(u8, String)> = Vec::new();
    let mut open: Option<(Cut, bool)> = None;
    for block in blocks {
        if let Kind::Heading(level) = block.kind {
            // Consecutive headings stay together; otherwise a heading starts a passage.
            cuts.extend(open.take_if(|(_cut, only_headings)| !*only_headings).map(|(cut, _only)| cut));
            above.retain(|(other, _words)| *other < level);
            above.push((level, shortened(heading_words(&text[block.range.clone()]))));
        }
        for unit in units(text, block) {
            let heading = matches!(unit.kind, Kind::Heading(_));
            let room = |cut: &Cut, only_headings: bool| {
                let apart = unit.kind == Kind::FrontMatter;
                let length = unit.range.end - cut.range.start;
                !apart && length <= if only_headings { LONGEST } else { MERGED }
            };
            match &mut open {
                Some((cut, only_headings)) if room(cut, *only_headings) => {
                    cut.range.end = unit.range.end;
                    cut.sentences.extend(unit.sentences);
                    if heading {
                        cut.headings = names(&above, title);
                    }
                    *only_headings = *only_headings && heading;
                }
                Some(_) | None => {
                    cuts.extend(open.take().map(|(cut, _only)| cut));
                    let new = Cut { range: unit.range, headings: names(&above, title), sentences: unit.sentences };
                    if unit.kind == Kind::FrontMatter {
                        cuts.push(new);
                    } else {
                        open = Some((new, heading));
                    }
                }
            }
        }
    }
    cuts.extend(open.map(|(cut, _only)| cut));
    cuts
}

fn names(above: &[(u8, String)], title: &str) -> Vec<String> {
    let skip = usize::from(above.first().is_some_and(|(_level, words)| words == title));
    above.iter().skip(skip).map(|(_level, words)| words.clone()).filter(|words| !words.is_empty()).collect()
}

fn shortened(words: &str) -> String {
    let mut end = words.len().min(HEADING_WORDS);
    while !words.is_char_boundary(end) {
        end -= 1;
    }
    words[..end].split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A block in pieces of at most [`PIECE`] bytes: whole, else runs of sentences, else cut at spaces.
fn units(text: &str, block: &Block) -> Vec<Unit> {
    let range = sentences::trim(text, block.range.clone());
    if range.is_empty() {
        return Vec::new();
    }
    let all = sentences::of_block(text, block);
    if range.len() <= PIECE {
        return vec![Unit { kind: block.kind, range, sentences: all }];
    }
    let mut found: Vec<Unit> = Vec::new();
    // Everything from one sentence's start to the next one's belongs to the first: nothing between is lost.
    let bounds: Vec<usize> = std::iter::once(range.start).chain(all.iter().skip(1).map(|s| s.start)).collect();
    for (index, start) in bounds.iter().copied().enumerate() {
        let end = bounds.get(index + 1).copied().unwrap_or(range.end);
        let whole = sentences::trim(text, start..end);
        let sentence = all.get(index).cloned();
        match found.last_mut() {
            Some(last) if whole.end - last.range.start <= PIECE => {
                last.range.end = whole.end;
                last.sentences.extend(sentence);
            }
            Some(_) | None => {
                for part in pieces(text, whole) {
                    let inside = sentence.clone().map(|s| s.start.max(part.start)..s.end.min(part.end));
                    let inside =
                        inside.filter(|s| s.start < s.end).map(|s| sentences::trim(text, s)).filter(|s| !s.is_empty());
                    found.push(Unit { kind: block.kind, range: part, sentences: Vec::from_iter(inside) });
                }
            }
        }
    }
    found
}

/// A range in parts of at most [`PIECE`] bytes, cut after the last space that fits, else after the last character.
fn pieces(text: &str, range: Range<usize>) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let mut rest = range;
    while rest.len() > PIECE {
        let mut end = rest.start + PIECE;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let part = &text[rest.start..end];
        let at = part.rfind(char::is_whitespace).filter(|at| *at > 0).map_or(end, |at| rest.start + at);
        parts.push(sentences::trim(text, rest.start..at));
        rest = sentences::trim(text, at..rest.end);
    }
    parts.push(rest);
    parts.retain(|part| !part.is_empty());
    parts
}
