//! Words and their stems, so that forms of one word and a few words of one meaning meet.
//!
//! English only: words of other languages pass through lower-cased and meet only themselves. Scripts without spaces are
//! cut as Unicode cuts them.

use std::collections::BTreeSet;

use unicode_segmentation::UnicodeSegmentation;

/// Words that say nothing about what is asked, sorted.
const EMPTY: &[&str] = &[
    "a", "about", "after", "all", "also", "an", "and", "any", "are", "as", "at", "be", "been", "before", "being",
    "both", "but", "by", "can", "could", "did", "do", "does", "for", "from", "had", "has", "have", "he", "her", "his",
    "how", "if", "in", "into", "is", "it", "its", "many", "may", "more", "most", "much", "must", "of", "on", "one",
    "or", "other", "out", "s", "same", "she", "should", "so", "some", "such", "than", "that", "the", "their", "them",
    "then", "there", "these", "they", "this", "those", "to", "was", "were", "what", "when", "where", "which", "who",
    "whom", "whose", "why", "will", "with", "would", "you", "your",
];

/// Endings taken off, first fitting: ending, what stands instead, least length of the word in bytes.
const ENDINGS: &[(&str, &str, usize)] = &[
    ("'s", "", 3),
    ("’s", "", 3),
    ("ies", "y", 5),
    ("sses", "ss", 5),
    ("ations", "at", 9),
    ("ation", "at", 8),
    ("ions", "", 8),
    ("ion", "", 7),
    ("ings", "", 7),
    ("ing", "", 6),
    ("ers", "", 6),
    ("ors", "", 6),
    ("er", "", 6),
    ("or", "", 6),
    ("ed", "", 5),
    ("es", "e", 5),
    ("s", "", 4),
];

/// Words of one matter in different stems, as questions ask and texts tell. The first word stands for its row.
const KIN: &[&[&str]] = &[
    &["marry", "marri", "spouse", "spous", "wife", "wive", "husband", "wed", "wedd"],
    &["sibl", "sister", "sist", "brother", "broth"],
    &["father", "fath", "son", "daughter", "daught", "parent", "child", "children", "mother", "moth", "kid"],
    &["actor", "act", "actress", "star", "play", "role", "portray", "cast", "portrayal", "character", "charact"],
    &["born", "birth", "birthday", "birthplac", "nativ"],
    &["die", "di", "death", "dead", "dy"],
    &["write", "writ", "wrote", "written", "auth", "author", "novelist", "essayist"],
    &["sing", "sung", "sang", "song", "singl", "perform", "vocalist", "record"],
    &["found", "establish", "start", "creat", "form", "begin", "began", "launch"],
    &["build", "built", "construct", "buil"],
    &["buy", "bought", "purchas", "acquir", "acquisit"],
    &["lead", "led", "ruler", "rul", "king", "chief"],
    &["film", "movie", "movi", "pictur"],
    &["locat", "situat", "base", "headquart", "headquarter", "lie"],
    &["win", "won", "winn", "award", "receiv"],
    &["country", "nation", "national", "nationality", "citizenship"],
    &["border", "neighbor", "neighbour", "adjac"],
    &["make", "mak", "made", "produc", "manufactur"],
    &["name", "call", "known", "nam"],
    &["big", "larg", "biggest", "largest", "populou"],
];

/// Whether a lower-case word says nothing about what is asked.
pub(super) fn is_empty(word: &str) -> bool {
    EMPTY.binary_search(&word).is_ok()
}

/// A word without its commonest English endings.
pub(super) fn stem(word: &str) -> String {
    let mut word = word.to_lowercase();
    let fits = |(ending, _, least): &&(&str, &str, usize)| {
        word.len() >= *least && word.ends_with(ending) && !(*ending == "s" && word.ends_with("ss"))
    };
    if let Some((ending, instead, _)) = ENDINGS.iter().find(fits) {
        word.truncate(word.len() - ending.len());
        word.push_str(instead);
    }
    if word.len() > 4 && word.ends_with('e') {
        word.pop();
    }
    word
}

/// The word that stands for a stem's row of kin, or the stem itself.
pub(super) fn kin(stem: &str) -> &str {
    KIN.iter().find(|row| row.contains(&stem)).and_then(|row| row.first()).copied().unwrap_or(stem)
}

/// Telling words of a text with their stems, in order, each stem once.
pub(super) fn telling(text: &str) -> impl Iterator<Item = (&str, String)> {
    let mut seen = BTreeSet::new();
    text.unicode_words()
        .filter(|word| !is_empty(&word.to_lowercase()))
        .map(|word| (word, stem(word)))
        .filter(move |(_, stem)| !stem.is_empty() && seen.insert(stem.clone()))
}

/// Stems of the telling words of a text.
pub(super) fn terms(text: &str) -> BTreeSet<String> {
    telling(text).map(|(_, stem)| stem).collect()
}

/// At most `most` bytes of a text, cut at a character.
pub(super) fn beginning(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

#[cfg(test)]
mod tests {
    use super::{EMPTY, KIN, beginning, kin, stem, terms};

    #[test]
    fn forms_of_a_word_meet() {
        for (a, b) in [
            ("accepted", "accept"),
            ("modules", "module"),
            ("countries", "country"),
            ("runs", "run"),
            ("director", "directed"),
            ("performer", "performs"),
            ("located", "location"),
            ("Oslo's", "Oslo"),
        ] {
            assert_eq!(stem(a), stem(b), "{a} {b}");
        }
        assert!(terms("Who may pause a run?").iter().eq(["paus", "run"]));
        assert!(terms("誰が実行").len() > 1, "cut without spaces");
    }

    #[test]
    fn words_of_one_matter_meet() {
        for (a, b) in [("spouse", "married"), ("sibling", "sister"), ("author", "written"), ("purchaser", "bought")] {
            assert_eq!(kin(&stem(a)), kin(&stem(b)), "{a} {b}");
        }
        assert_eq!(kin("ledg"), "ledg");
    }

    #[test]
    fn tables_are_as_they_are_searched() {
        assert!(EMPTY.is_sorted());
        let mut all: Vec<&str> = KIN.iter().flat_map(|row| row.iter().copied()).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count, "no stem in two rows");
    }

    #[test]
    fn a_beginning_cuts_no_character() {
        assert_eq!(beginning("aé", 2), "a");
        assert_eq!(beginning("aé", 9), "aé");
    }
}
