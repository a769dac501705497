//! Names in running text: runs of capitalised words, and what stands in quotation marks.
//!
//! By capital letters only: in German common nouns count too, in scripts without capitals nothing does, and the engine
//! falls back to plain words.

use std::collections::BTreeSet;

use super::words::{beginning, is_empty};

/// Words inside names, in texts.
const JOINTS: &[&str] =
    &["of", "the", "de", "la", "van", "von", "der", "den", "di", "da", "du", "del", "al", "bin", "y", "and", "&"];
/// Words inside names of works, in questions, which are short enough to try both readings.
const LOOSE: &[&str] = &["in", "on", "at", "for", "to", "a", "with", "from"];
const MONTHS: &[&str] = &[
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// The longest name, in bytes; longer runs are headlines or lists.
const LONGEST: usize = 80;

/// How names are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    Text,
    Question,
}

/// Names in a question: whole runs and their parts, longest first at each place.
pub(super) fn of_question(text: &str) -> Vec<String> {
    read(text, Reading::Question, &|word| is_empty(word))
}

/// Names in a text. `common` tells whether a lower-case word is also written small somewhere: such a word says nothing
/// by its capital at the beginning of a sentence.
pub(super) fn of_text(text: &str, common: &dyn Fn(&str) -> bool) -> Vec<String> {
    read(text, Reading::Text, &|word| is_empty(word) || common(word))
}

fn read(text: &str, reading: Reading, common: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut names = quoted(text);
    for line in text.lines() {
        line_names(line.trim_start_matches('#'), reading, common, &mut names);
    }
    let mut seen = BTreeSet::new();
    names.retain(|name| name.len() <= LONGEST && seen.insert(name.to_lowercase()));
    names
}

fn line_names(line: &str, reading: Reading, common: &dyn Fn(&str) -> bool, names: &mut Vec<String>) {
    let mut run: Vec<&str> = Vec::new();
    let mut joints: Vec<&str> = Vec::new();
    let mut first = true;
    for token in line.split_whitespace() {
        if token.starts_with(['(', '"', '“', '[', '`']) {
            close(names, &mut run, &mut joints);
        }
        let core = token.trim_matches(|c: char| !c.is_alphanumeric());
        let possessive = core.strip_suffix("'s").or_else(|| core.strip_suffix("’s"));
        let word = possessive.unwrap_or(core);
        let begins = word.chars().next();
        let upper = begins.is_some_and(|c| c.is_uppercase() || c.is_numeric() && !run.is_empty());
        let says_little = run.is_empty() && (is_empty(&word.to_lowercase()) || first && common(&word.to_lowercase()));
        if upper && !says_little {
            run.append(&mut joints);
            run.push(word);
        } else if !run.is_empty() && joints.len() < 2 && joins(word, reading) {
            joints.push(word);
        } else {
            close(names, &mut run, &mut joints);
        }
        let abbreviation = token.len() <= 3 || core.contains('.');
        first = token.ends_with(['?', '!']) || token.ends_with('.') && !abbreviation;
        if first || possessive.is_some() || token.ends_with([',', ';', ':', ')', '"', '”', ']']) {
            close(names, &mut run, &mut joints);
        }
    }
    close(names, &mut run, &mut joints);
}

fn joins(word: &str, reading: Reading) -> bool {
    JOINTS.contains(&word) || reading == Reading::Question && LOOSE.contains(&word)
}

fn close(names: &mut Vec<String>, run: &mut Vec<&str>, joints: &mut Vec<&str>) {
    joints.clear();
    push(names, run);
    // `A and B` may be one name or two, and so may `A in B`.
    for part in run.split(|word| matches!(*word, "and" | "&") || LOOSE.contains(word)) {
        if part.len() < run.len() {
            push(names, part);
        }
    }
    run.clear();
}

fn push(names: &mut Vec<String>, run: &[&str]) {
    let letters = |word: &&str| word.chars().any(char::is_alphabetic) && !is_empty(&word.to_lowercase());
    let date =
        run.first().is_some_and(|word| MONTHS.contains(word)) && run.len() <= 3 && !run.iter().skip(1).any(letters);
    let ends_empty = run.last().is_some_and(|word| JOINTS.contains(word));
    if run.iter().any(letters) && !date && !ends_empty {
        names.push(run.join(" "));
    }
}

fn quoted(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (open, shut) in [('"', '"'), ('“', '”'), ('„', '“'), ('«', '»')] {
        let mut rest = text;
        while let Some(start) = rest.find(open) {
            let after = &rest[start + open.len_utf8()..];
            // A quotation that does not end soon is a lone mark; looking further for each would take quadratic time.
            let Some(end) = beginning(after, LONGEST + 1).find(shut) else {
                rest = after;
                continue;
            };
            let inner = after[..end].trim();
            if !inner.is_empty() {
                found.push(inner.to_owned());
            }
            rest = &after[end + shut.len_utf8()..];
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{of_question, of_text};

    #[test]
    fn names_are_found_and_sentence_beginnings_are_not() {
        for (question, names) in [
            (
                "Were Scott Derrickson and Ed Wood of the same nationality?",
                &["Scott Derrickson and Ed Wood", "Scott Derrickson", "Ed Wood"][..],
            ),
            ("What is the University of Oxford's motto?", &["University of Oxford"]),
            ("Who wrote \"the old song\" in Paris?", &["the old song", "Paris"]),
            ("Who sang Moon River in Tiffany's?", &["Moon River in Tiffany", "Moon River", "Tiffany"]),
            ("What must be true?", &[]),
            ("Where was J. R. R. Tolkien on 3 March 1916?", &["J R R Tolkien on 3 March 1916", "J R R Tolkien"]),
            ("誰が実行を一時停止できますか?", &[]),
            ("\" \"\" “ „", &[]),
        ] {
            let found = of_question(question);
            assert!(names.iter().all(|name| found.contains(&(*name).to_owned())), "{question}: {found:?}");
            assert!(!names.is_empty() || found.is_empty(), "{question}: {found:?}");
        }
    }

    #[test]
    fn texts_have_their_headings_apart_and_common_words_small() {
        let text = "# Golden Fleece\n\nDuring the quest Jason (of Iolcus) met King Pelias. Following him, in March 1900, went Ann.";
        let found = of_text(text, &|word| matches!(word, "during" | "following"));
        assert_eq!(found, ["Golden Fleece", "Jason", "Iolcus", "King Pelias", "Ann"]);
    }
}
