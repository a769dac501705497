//! Sentences of a block: Unicode's rules (UAX 29), mended where they cut after an abbreviation.
//!
//! **Invariant:** spans are in order, on character boundaries, not blank, and inside the block.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use crate::blocks::{Block, Kind, item_marker, lines};

/// After these a sentence goes on, whatever follows.
const ALWAYS: &[&str] = &[
    "dr", "mr", "mrs", "ms", "prof", "st", "gen", "rep", "sen", "gov", "capt", "lt", "col", "sgt", "rev", "hon", "vs",
    "e.g", "i.e", "cf", "ca", "approx", "eds", "mt", "ft", "messrs", "pres", "supt", "cmdr", "adm",
];
/// After these it goes on before a number.
const BEFORE_NUMBER: &[&str] = &[
    "no", "nos", "fig", "figs", "eq", "eqs", "vol", "p", "pp", "sec", "ch", "art", "nr", "ed", "op", "ref", "refs",
    "tab",
];
/// After these it goes on unless the next word is one that starts sentences.
const MAYBE: &[&str] = &[
    "jr", "sr", "inc", "ltd", "co", "corp", "etc", "al", "bros", "jan", "feb", "mar", "apr", "jun", "jul", "aug",
    "sep", "sept", "oct", "nov", "dec", "dept", "univ", "assn", "ave", "blvd", "rd", "est",
];
/// Words that start a sentence far more often than they follow an abbreviation as part of a name.
const STARTERS: &[&str] = &[
    "the", "a", "an", "it", "its", "he", "she", "they", "we", "i", "you", "his", "her", "their", "our", "this", "that",
    "these", "those", "there", "in", "on", "at", "by", "for", "from", "with", "as", "after", "before", "during",
    "since", "while", "when", "if", "but", "and", "or", "so", "however", "although", "though", "because", "what",
    "who", "how", "why", "where", "which", "to", "one", "some", "many", "most", "all", "both", "each", "no", "not",
];

/// Sentence ranges of one block, absolute in `text`.
pub(crate) fn of_block(text: &str, block: &Block) -> Vec<Range<usize>> {
    let mut range = trim(text, block.range.clone());
    match block.kind {
        Kind::Mark | Kind::Heading(_) => Vec::new(),
        Kind::Row => Vec::from_iter((!range.is_empty()).then_some(range)),
        Kind::Code | Kind::FrontMatter => {
            let offset = range.start;
            lines(&text[range])
                .map(|(line, _words)| trim(text, line.start + offset..line.end + offset))
                .filter(|line| !line.is_empty())
                .collect()
        }
        Kind::Item => {
            if let Some(marker) = item_marker(&text[range.clone()]) {
                range = trim(text, range.start + marker..range.end);
            }
            prose(text, range)
        }
        Kind::Prose => prose(text, range),
    }
}

/// A range without the white space at its ends.
pub(crate) fn trim(text: &str, range: Range<usize>) -> Range<usize> {
    let part = &text[range.clone()];
    let start = range.start + (part.len() - part.trim_start().len());
    start..start + part.trim().len()
}

fn prose(text: &str, range: Range<usize>) -> Vec<Range<usize>> {
    if range.is_empty() {
        return Vec::new();
    }
    // UAX 29 ends a sentence at every line end; in wrapped prose a line end is a space. Same length, so spans hold.
    let flat = text[range.clone()].replace(['\n', '\r', '\t'], " ");
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut start = 0;
    let ends = ends(&flat);
    for (place, end) in ends.iter().copied().enumerate() {
        let next = ends.get(place + 1).map_or("", |next| &flat[end..*next]);
        if !next.is_empty() && goes_on(&flat[start..end], next) {
            continue;
        }
        let sentence = trim(text, range.start + start..range.start + end);
        if !sentence.is_empty() {
            found.push(sentence);
        }
        start = end;
    }
    found
}

/// Where sentences end by UAX 29, the last at the text's end.
fn ends(flat: &str) -> Vec<usize> {
    if flat.is_ascii() {
        return ascii_ends(flat.as_bytes());
    }
    flat.split_sentence_bound_indices().map(|(at, piece)| at + piece.len()).collect()
}

/// The same for ASCII without line ends, where the rules SB6 to SB11 are few; most prose, at many times the speed.
fn ascii_ends(flat: &[u8]) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut at = 0;
    while let Some(step) = flat[at..].iter().position(|b| matches!(b, b'.' | b'!' | b'?')) {
        let mark = at + step;
        let close = |b: &&u8| b"()[]{}\"'".contains(b);
        let space = |b: &&u8| matches!(b, b' ' | 0x0b | 0x0c);
        let closed = mark + 1 + flat[mark + 1..].iter().take_while(close).count();
        let end = closed + flat[closed..].iter().take_while(space).count();
        at = end;
        let Some(next) = flat.get(end) else { break };
        let full_stop = flat[mark] == b'.';
        // SB6 and SB7: 3.14 and U.S
        let letter = mark.checked_sub(1).is_some_and(|before| flat[before].is_ascii_alphabetic());
        let inside = full_stop && end == mark + 1 && (next.is_ascii_digit() || (letter && next.is_ascii_uppercase()));
        // SB8: what goes on in small letters goes on.
        let lower = || {
            let decides = |b: &&u8| b.is_ascii_alphabetic() || matches!(b, b'.' | b'!' | b'?');
            flat[end..].iter().find(decides).is_some_and(u8::is_ascii_lowercase)
        };
        // SB8a
        let goes_on = matches!(next, b',' | b'-' | b':' | b';' | b'.' | b'!' | b'?');
        if !(inside || goes_on || (full_stop && lower())) {
            ends.push(end);
        }
    }
    if !flat.is_empty() {
        ends.push(flat.len());
    }
    ends
}

/// Whether the bound after `before` is inside a sentence.
fn goes_on(before: &str, next: &str) -> bool {
    let before = before.trim_end();
    let Some(stem) = before.strip_suffix('.') else {
        // Without a full stop, question or exclamation mark, Unicode's rules cut for reasons of their own (U+2029).
        return false;
    };
    let word = stem.rsplit(|c: char| c.is_whitespace() || "([{\"'“‘—–/".contains(c)).next().unwrap_or_default();
    let lower = word.to_lowercase();
    let next_word: String = next
        .trim_start()
        .trim_start_matches(['"', '\'', '“', '‘', '(', '['])
        .chars()
        .take_while(|c| c.is_alphanumeric())
        .collect();
    if ALWAYS.contains(&lower.as_str()) {
        return true;
    }
    if BEFORE_NUMBER.contains(&lower.as_str()) {
        return next_word.chars().next().is_some_and(char::is_numeric);
    }
    let initial = word.chars().count() == 1 && word.chars().all(char::is_uppercase);
    let acronym = word.contains('.')
        && word.split('.').all(|part| part.chars().count() == 1 && part.chars().all(char::is_alphabetic));
    let maybe = initial || acronym || MAYBE.contains(&lower.as_str());
    // The pronoun I is no initial at the end of a question's answer, but "I." before a name is; starters decide.
    maybe && !next_word.is_empty() && !STARTERS.contains(&next_word.to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use unicode_segmentation::UnicodeSegmentation;

    use super::{ascii_ends, of_block};
    use crate::blocks::{Block, Kind};

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]
        #[test]
        fn ascii_is_cut_as_unicode_says(text in "([a-cA-C0-2.!?,;:' ()\"_-]|[ -~\\x00-\\x09\\x0b\\x0c\\x0e-\\x1f]){0,40}") {
            let flat = text.replace(['\n', '\r', '\t'], " ");
            let wanted: Vec<usize> = flat.split_sentence_bound_indices().map(|(at, piece)| at + piece.len()).collect();
            prop_assert_eq!(ascii_ends(flat.as_bytes()), wanted, "{:?}", flat);
        }
    }

    fn check(kind: Kind, text: &str, expected: &[&str]) {
        let spans = of_block(text, &Block { kind, range: 0..text.len() });
        let found: Vec<&str> = spans.into_iter().map(|span| &text[span]).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn abbreviations_initials_and_numbers_do_not_end_a_sentence() {
        check(Kind::Prose, "Dr. Smith came. He left.", &["Dr. Smith came.", "He left."]);
        check(Kind::Prose, "J. R. R. Tolkien wrote it. Yes!", &["J. R. R. Tolkien wrote it.", "Yes!"]);
        check(Kind::Prose, "The U.S. Senate sat. It rose.", &["The U.S. Senate sat.", "It rose."]);
        check(Kind::Prose, "He lived in the U.S. The end.", &["He lived in the U.S.", "The end."]);
        check(
            Kind::Prose,
            "Pi is 3.14 or so. See No. 5 there. Is it? No. Go.",
            &["Pi is 3.14 or so.", "See No. 5 there.", "Is it?", "No.", "Go."],
        );
        check(Kind::Prose, "Tools, e.g. Git, help. End", &["Tools, e.g. Git, help.", "End"]);
    }

    #[test]
    fn wrapped_lines_are_one_sentence_and_other_scripts_are_cut() {
        check(Kind::Prose, "one line\nand the next. Then\r\nmore.", &["one line\nand the next.", "Then\r\nmore."]);
        check(Kind::Prose, "これは本です。あれはペンです。", &["これは本です。", "あれはペンです。"]);
    }

    #[test]
    fn items_lose_their_marker_and_code_is_cut_by_line() {
        check(Kind::Item, "- One thing. Two.\n", &["One thing.", "Two."]);
        check(Kind::Code, "a. B\n\n  c\n", &["a. B", "c"]);
        check(Kind::Row, "| a. B | c |\n", &["| a. B | c |"]);
        check(Kind::Heading(1), "# A", &[]);
    }
}
