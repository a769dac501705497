//! Where a sentence may be cut: before a clause that goes on in small letters.
//!
//! **Invariant:** the pieces lie one after the other and are the whole sentence.

use std::ops::Range;

/// Fewest words of a piece: less is a list or a name with a comma in it.
const FEWEST: usize = 4;
/// Most pieces of a sentence; the last one takes the rest.
const MOST: usize = 8;

/// The pieces of a sentence, as ranges of bytes without the space around them.
pub(super) fn pieces(sentence: &str) -> Vec<Range<usize>> {
    let mut cuts: Vec<usize> = Vec::new();
    let (mut depth, mut quoted) = (0_usize, false);
    for (at, letter) in sentence.char_indices() {
        match letter {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            '"' => quoted = !quoted,
            ',' | ';' | ':' | '–' | '—' if depth == 0 && !quoted => {
                let after = &sentence[at + letter.len_utf8()..];
                let goes_on = after.trim_start().starts_with(char::is_lowercase);
                if after.starts_with(' ') && goes_on {
                    cuts.push(at + letter.len_utf8());
                }
            }
            ' ' if depth == 0 && !quoted => {
                let after = &sentence[at + 1..];
                let mut words = after.split(' ');
                let first = words.next().unwrap_or_default();
                let joint = matches!(first, "and" | "but")
                    && words.next().is_some_and(|word| word.starts_with(char::is_lowercase));
                if joint
                    || matches!(
                        first,
                        "who"
                            | "which"
                            | "that"
                            | "where"
                            | "when"
                            | "while"
                            | "because"
                            | "after"
                            | "before"
                            | "whose"
                            | "during"
                            | "although"
                    )
                {
                    cuts.push(at);
                }
            }
            _inside => {}
        }
    }
    let mut pieces: Vec<Range<usize>> = Vec::new();
    let mut start = 0;
    for end in cuts.into_iter().chain([sentence.len()]) {
        let last = end == sentence.len();
        let words = sentence[start..end].split_whitespace().count();
        if last && words < FEWEST && !pieces.is_empty() {
            if let Some(before) = pieces.last_mut() {
                before.end = end;
            }
        } else if last || words >= FEWEST && pieces.len() + 1 < MOST {
            let space = sentence[start..end].len() - sentence[start..end].trim_start().len();
            pieces.push(start + space..end);
            start = end;
        }
    }
    pieces
}

/// A range of pieces without the mark it ends with, when the sentence goes on after it.
pub(super) fn trimmed(sentence: &str, range: Range<usize>) -> Range<usize> {
    if range.end == sentence.len() {
        return range;
    }
    let text = &sentence[range.clone()];
    range.start..range.start + text.trim_end_matches([',', ';', ':', '–', '—', ' ']).len()
}

#[cfg(test)]
mod tests {
    use super::{pieces, trimmed};

    fn check(sentence: &str, expected: &[&str]) {
        let found: Vec<&str> = pieces(sentence).into_iter().map(|range| &sentence[trimmed(sentence, range)]).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn clauses_are_cut_and_names_dates_and_brackets_are_not() {
        check("One two three.", &["One two three."]);
        check(
            "Carl Olsen (March 1, 1891 – August 19, 1974) was an ecologist, who pioneered the study of plants.",
            &["Carl Olsen (March 1, 1891 – August 19, 1974) was an ecologist", "who pioneered the study of plants."],
        );
        check("He lives in Orlando, Florida, United States.", &["He lives in Orlando, Florida, United States."]);
        check("It was red, green, and blue as the sea.", &["It was red, green", "and blue as the sea."]);
        check("A long one here is, no.", &["A long one here is, no."]);
        check("", &[""]);
    }
}
