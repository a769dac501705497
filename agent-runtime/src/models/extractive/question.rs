//! The question as its words, its names and the sort of thing it asks for, and how much of it a text covers.

use std::collections::BTreeMap;

use unicode_segmentation::UnicodeSegmentation;

use super::{
    names,
    words::{beginning, kin, stem, telling},
};

/// Most different words of a question that count: one bit each.
const MOST_TERMS: usize = 64;
/// Bytes of a question that are looked at. A longer one is a pasted document; its beginning says what it is about.
pub(super) const LONGEST: usize = 4_000;

/// A telling word of the question.
#[derive(Debug, Clone)]
pub(super) struct Term {
    pub word: String,
    stem: String,
    /// Whether it has a capital or a digit.
    pub named: bool,
}

/// What sort of thing would answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wants {
    Person,
    Place,
    Time,
    Number,
    Anything,
}

/// Which words of a question a text has, bit by bit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Cover {
    /// The same word.
    pub exact: u64,
    /// A word of the same matter.
    pub near: u64,
}

impl Cover {
    /// What two texts have together.
    pub fn with(self, other: Self) -> Self {
        Self { exact: self.exact | other.exact, near: self.near | other.near }
    }

    /// Every word it has in one way or the other.
    pub fn any(self) -> u64 {
        self.exact | self.near
    }
}

/// A question, read.
#[derive(Debug, Clone)]
pub(super) struct Question {
    pub terms: Vec<Term>,
    pub names: Vec<String>,
    /// The text as [`flat`] writes it.
    pub flat: String,
    stems: BTreeMap<String, usize>,
    kin: BTreeMap<String, u64>,
}

/// Lower-case words between single spaces, with one at each end, so that a phrase is found by `contains`.
pub(super) fn flat(text: &str) -> String {
    let mut flat = String::with_capacity(text.len() + 2);
    flat.push(' ');
    for word in text.unicode_words() {
        let word = word.strip_suffix("'s").or_else(|| word.strip_suffix("’s")).unwrap_or(word);
        flat.extend(word.chars().flat_map(char::to_lowercase));
        flat.push(' ');
    }
    flat
}

impl Question {
    /// Reads a question.
    pub fn new(text: &str) -> Self {
        let text = beginning(text, LONGEST);
        let names = names::of_question(text);
        let capital = |word: &str| word.chars().any(|c| c.is_uppercase() || c.is_numeric());
        let first = text.unicode_words().next();
        let terms: Vec<Term> = telling(text)
            .take(MOST_TERMS)
            .map(|(word, stem)| Term { word: word.to_owned(), named: capital(word) && Some(word) != first, stem })
            .collect();
        let stems = terms.iter().enumerate().map(|(at, term)| (term.stem.clone(), at)).collect();
        let mut by_kin: BTreeMap<String, u64> = BTreeMap::new();
        for (at, term) in terms.iter().enumerate().filter(|(_, term)| !term.named) {
            *by_kin.entry(kin(&term.stem).to_owned()).or_default() |= 1 << at;
        }
        Self { names, flat: flat(text), stems, kin: by_kin, terms }
    }

    /// What a text covers.
    pub fn cover(&self, text: &str) -> Cover {
        let mut cover = Cover::default();
        for word in text.unicode_words() {
            let stem = stem(word);
            if let Some(at) = self.stems.get(&stem) {
                cover.exact |= 1 << at;
            }
            cover.near |= self.kin.get(kin(&stem)).copied().unwrap_or(0);
        }
        cover
    }

    /// Whether the question has every telling word of a text.
    pub fn holds(&self, text: &str) -> bool {
        telling(text).all(|(_, stem)| self.stems.contains_key(&stem))
    }
}

/// What would answer, by the asking word and the noun after it.
pub(super) fn wants(text: &str) -> Wants {
    let words: Vec<String> = text.unicode_words().map(str::to_lowercase).collect();
    for (at, word) in words.iter().enumerate() {
        let next: Vec<&str> = words[at + 1..].iter().take(4).map(String::as_str).collect();
        let says = |some: &[&str]| next.iter().any(|word| some.contains(word));
        match word.as_str() {
            "who" | "whom" | "whose" => return Wants::Person,
            "when" => return Wants::Time,
            "where" => return Wants::Place,
            "how" if says(&["many", "much", "long", "old", "tall", "far", "large", "big"]) => return Wants::Number,
            "what" | "which" => {
                return if says(&["year", "date", "day", "decade", "century", "birthday", "month"]) {
                    Wants::Time
                } else if says(&["number", "population", "amount", "percentage", "age", "height"]) {
                    Wants::Number
                } else if says(&["city", "country", "county", "state", "town", "village", "place", "island", "region"])
                {
                    Wants::Place
                } else if says(&["actor", "actress", "man", "woman", "person", "author", "director", "singer"]) {
                    Wants::Person
                } else {
                    Wants::Anything
                };
            }
            _other => {}
        }
    }
    Wants::Anything
}
