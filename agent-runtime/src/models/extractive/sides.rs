//! The sides of a comparison: named things that a question sets beside each other.

use std::ops::Range;

use super::{
    plan::{bare, finished},
    words::is_empty,
};

/// Words by which `A and B` are set side by side.
const TOGETHER: &[&str] = &[
    "both",
    "same",
    "common",
    "share",
    "shares",
    "shared",
    "different",
    "differ",
    "difference",
    "similar",
    "between",
    "compare",
    "compared",
    "first",
    "last",
];
/// Words that begin a question on `A and B` together.
const DOING: &[&str] = &["are", "were", "do", "did", "have", "can", "could", "is", "was", "does", "has"];
/// Words inside a name.
const INSIDE: &[&str] = &["of", "the", "de", "la", "van", "von", "der", "v", "vs", "for", "in", "on", "to", "at", "a"];
/// Words that a name goes on with after a comma.
const TAILS: &[&str] = &["inc", "ltd", "llc", "jr", "sr"];
/// Most sides.
const MOST: usize = 4;

/// One question a side; none when no things are set side by side, or it is not clear which.
pub(super) fn sides(question: &str) -> Option<Vec<String>> {
    let words: Vec<&str> = question.split_whitespace().collect();
    let joints: Vec<usize> = (1..words.len().saturating_sub(1)).filter(|at| joins(&words, *at)).collect();
    let [joint] = joints.as_slice() else { return None };
    let either = bare(words[*joint]) == "or";
    let together = words.iter().any(|word| TOGETHER.contains(&bare(word).as_str()))
        || words.first().is_some_and(|word| DOING.contains(&bare(word).as_str()));
    if !either && !together {
        return None;
    }
    let mut ranges = vec![before(&words, *joint)?, after(&words, joint + 1)?];
    while ranges.len() < MOST {
        let start = ranges[0].start;
        let listed = start > 1 && words[start - 1].ends_with(',');
        match listed.then(|| before(&words, start)).flatten() {
            Some(earlier) => ranges.insert(0, earlier),
            None => break,
        }
    }
    let texts: Vec<String> = ranges.iter().map(|range| side(&words, &ranges, range)).collect();
    Some(texts)
}

/// Whether the word at `at` joins two names.
fn joins(words: &[&str], at: usize) -> bool {
    matches!(bare(words[at]).as_str(), "and" | "or")
        && !words[at].ends_with(',')
        && before(words, at).is_some()
        && after(words, at + 1).is_some()
}

fn capital(word: &str) -> bool {
    let core = word.trim_start_matches(|c: char| !c.is_alphanumeric());
    core.starts_with(|c: char| c.is_uppercase() || c.is_numeric())
}

fn inside(word: &str) -> bool {
    INSIDE.contains(&word.trim_end_matches('.'))
}

/// The name that ends before `end`.
fn before(words: &[&str], end: usize) -> Option<Range<usize>> {
    let last = end.checked_sub(1)?;
    if words[last].trim_end_matches(',').ends_with(['"', '”']) {
        let start = (0..=last).rev().find(|at| words[*at].starts_with(['"', '“']))?;
        return Some(start..end);
    }
    let mut start = end;
    while start > 0 {
        let word = words[start - 1];
        let stops = start < end && word.ends_with([',', ';', ':', '?']);
        let asks = start == 1 || is_empty(&bare(word)) && !inside(word);
        if stops || asks || !capital(word) && !inside(word) {
            break;
        }
        start -= 1;
    }
    while start < end && !capital(words[start]) {
        start += 1;
    }
    (start < end && capital(words[last])).then_some(start..end)
}

/// The name that begins at `start`.
fn after(words: &[&str], start: usize) -> Option<Range<usize>> {
    if words.get(start)?.starts_with(['"', '“']) {
        let last =
            (start..words.len()).find(|at| words[*at].trim_end_matches(['?', ',', '.']).ends_with(['"', '”']))?;
        return Some(start..last + 1);
    }
    let mut end = start;
    // `the Last Lions`: an article may stand before a name.
    if words[start] == "the" {
        end += 1;
    }
    let first = end;
    while let Some(word) = words.get(end) {
        if !(capital(word) || end > first && inside(word)) {
            break;
        }
        end += 1;
        let goes_on = words.get(end).is_some_and(|next| TAILS.contains(&bare(next).as_str()));
        if word.ends_with([';', ':', '?']) || word.ends_with(',') && !goes_on {
            break;
        }
    }
    while end > first && !capital(words[end - 1]) {
        end -= 1;
    }
    (end > first).then_some(start..end)
}

/// The question about one side alone, with its name in front.
fn side(words: &[&str], all: &[Range<usize>], own: &Range<usize>) -> String {
    let name = words[own.clone()].join(" ");
    let name = name.trim_end_matches([',', '?', ';', ' ']);
    let name = name.strip_prefix("the ").unwrap_or(name);
    let first = all.first().map_or(0, |range| range.start);
    let last = all.last().map_or(words.len(), |range| range.end);
    let left: Vec<&str> = words[..first].iter().copied().filter(|word| bare(word) != "both").collect();
    let right = &words[last..];
    let closes = right.iter().all(|word| bare(word).is_empty()) && left.last().is_some_and(|word| word.ends_with(','));
    let rest = if closes {
        left.join(" ")
    } else {
        let ended = last.checked_sub(1).is_some_and(|at| words[at].ends_with(','));
        let comma = if ended && !right.is_empty() { "," } else { "" };
        format!("{} {name}{comma} {}", left.join(" "), right.join(" "))
    };
    let rest = finished(&rest);
    let mut chars = rest.chars();
    let small: String = chars.next().map(|c| c.to_lowercase().collect()).unwrap_or_default();
    format!("{name}: {small}{}", chars.as_str())
}
