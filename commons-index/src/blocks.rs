//! A block: a run of a citable text that structure keeps together. Every reader of a format gives blocks, and passages
//! are cut from blocks alone.
//!
//! **Invariant:** blocks are in order, do not overlap, and hold all text that is not blank.

use std::ops::Range;

/// What a block is; passages never run two kinds of sentence together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A heading of level 1 to 6.
    Heading(u8),
    /// Running prose.
    Prose,
    /// One item of a list, marker included.
    Item,
    /// One row of a table.
    Row,
    /// Code or data: cut at line ends only.
    Code,
    /// Rules and table separators: part of a passage, never a sentence.
    Mark,
    /// The metadata block at a file's head.
    FrontMatter,
}

/// One block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// What it is.
    pub(crate) kind: Kind,
    /// Where it stands in the citable text.
    pub(crate) range: Range<usize>,
}

/// Where the words of a heading stand, without `#` marks or an underline.
pub(crate) fn heading_words(text: &str) -> &str {
    let line = text.trim_start().lines().next().unwrap_or_default().trim();
    let opened = line.trim_start_matches('#');
    if opened.len() == line.len() {
        return line;
    }
    let words = opened.trim();
    // A closing run of `#` counts only after a space (CommonMark 4.2).
    let closed = words.trim_end_matches('#');
    if closed.is_empty() || closed.ends_with([' ', '\t']) { closed.trim() } else { words }
}

/// Lines with their byte ranges, line ends included.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = (Range<usize>, &str)> {
    let mut start = 0;
    text.split_inclusive('\n').map(move |line| {
        let range = start..start + line.len();
        start = range.end;
        (range, line)
    })
}

/// Whether a line opens a list item, and how long the marker with its space is.
pub(crate) fn item_marker(line: &str) -> Option<usize> {
    let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
    let rest = &line[indent..];
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let marker = match rest.as_bytes().get(digits) {
        Some(b'-' | b'*' | b'+') if digits == 0 => 1,
        Some(b'.' | b')') if (1..=9).contains(&digits) => digits + 1,
        Some(_) | None if rest.starts_with('•') => '•'.len_utf8(),
        Some(_) | None => return None,
    };
    match rest.as_bytes().get(marker) {
        Some(b' ' | b'\t') => Some(indent + marker + 1),
        Some(_) | None => None,
    }
}
