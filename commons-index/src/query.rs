//! Words of a text as the index knows them: lower case, accents folded, English stop words out, stems kept. The same for
//! documents and questions.

use std::collections::{BTreeSet, HashMap};

use tantivy::tokenizer::{
    AsciiFoldingFilter, Language, LowerCaser, RemoveLongFilter, SimpleTokenizer, Stemmer, StopWordFilter, TextAnalyzer,
    Token, TokenStream, Tokenizer,
};

/// Lucene's English stop words (Apache-2.0), as in tantivy's own list, which needs a feature that brings ten more lists.
const STOP: &[&str] = &[
    "a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "if", "in", "into", "is", "it", "no", "not", "of",
    "on", "or", "such", "that", "the", "their", "then", "there", "these", "they", "this", "to", "was", "will", "with",
];
/// A longer run without a space is data, not a word.
const LONGEST_WORD: usize = 64;
/// A question of more different words than this is a pasted document; the first ones say what it is about.
const MOST_TERMS: usize = 256;

/// Words whose analysis is remembered: a text's words are few and come often, and to stem one takes longer than to find it.
const REMEMBERED: usize = 1 << 17;

/// The analysis, as tantivy registers it.
pub(crate) fn analyzer() -> TextAnalyzer {
    TextAnalyzer::from(Remembering { plain: plain(), known: HashMap::new(), token: Token::default() })
}

/// The analysis, word by word.
fn plain() -> TextAnalyzer {
    TextAnalyzer::builder(SimpleTokenizer::default())
        .filter(RemoveLongFilter::limit(LONGEST_WORD))
        .filter(LowerCaser)
        .filter(AsciiFoldingFilter)
        .filter(StopWordFilter::remove(STOP.iter().map(|word| (*word).to_owned())))
        .filter(Stemmer::new(Language::English))
        .build()
}

/// The same for each word of a text, of which each is analysed once. No filter looks at more than its word.
#[derive(Clone)]
struct Remembering {
    plain: TextAnalyzer,
    known: HashMap<Box<str>, Option<Box<str>>>,
    token: Token,
}

struct Words<'a> {
    of: &'a mut Remembering,
    text: &'a str,
    at: usize,
}

impl Tokenizer for Remembering {
    type TokenStream<'a> = Words<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Words<'a> {
        self.token.reset();
        Words { of: self, text, at: 0 }
    }
}

impl Words<'_> {
    /// The next run of letters and digits.
    fn word(&mut self) -> Option<std::ops::Range<usize>> {
        let rest = &self.text[self.at..];
        let start = self.at + rest.find(char::is_alphanumeric)?;
        let rest = &self.text[start..];
        let end = start + rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
        self.at = end;
        Some(start..end)
    }
}

impl TokenStream for Words<'_> {
    fn advance(&mut self) -> bool {
        while let Some(range) = self.word() {
            let word = &self.text[range.clone()];
            let Remembering { plain, known, token } = &mut *self.of;
            token.position = token.position.wrapping_add(1);
            (token.offset_from, token.offset_to) = (range.start, range.end);
            token.text.clear();
            match known.get(word) {
                Some(Some(term)) => token.text.push_str(term),
                Some(None) => continue,
                None => {
                    let mut stream = plain.token_stream(word);
                    let term = if stream.advance() { Some(stream.token().text.as_str()) } else { None };
                    token.text.push_str(term.unwrap_or_default());
                    let term = term.map(Box::from);
                    drop(stream);
                    let kept = term.is_some();
                    if known.len() < REMEMBERED && word.len() <= LONGEST_WORD {
                        known.insert(Box::from(word), term);
                    }
                    if !kept {
                        continue;
                    }
                }
            }
            return true;
        }
        false
    }

    fn token(&self) -> &Token {
        &self.of.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.of.token
    }
}

/// The different terms of a question, in order.
pub(crate) fn terms(query: &str) -> Vec<String> {
    words(query).into_iter().map(|(term, _word)| term).collect()
}

/// The different terms of a text, in order, each with the word that it first stands for.
pub(crate) fn words(text: &str) -> Vec<(String, &str)> {
    let mut analyzer = analyzer();
    let mut stream = analyzer.token_stream(text);
    let (mut seen, mut words) = (BTreeSet::new(), Vec::new());
    while stream.advance() && words.len() < MOST_TERMS {
        let token = stream.token();
        if seen.insert(token.text.clone()) {
            words.push((token.text.clone(), &text[token.offset_from..token.offset_to]));
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tantivy::tokenizer::TokenStream;

    use super::{analyzer, plain, terms};

    proptest! {
        #[test]
        fn what_is_remembered_is_what_is_analysed(text in "([Tt]he |[a-e]{1,3}(ing|s|ed)?[ .,']|\\PC{0,8}|x{60,70}){0,30}") {
            let mut remembering = analyzer();
            for _turn in 0..2 {
                let mut analysis = plain();
                let (mut fast, mut slow) = (remembering.token_stream(&text), analysis.token_stream(&text));
                while slow.advance() {
                    prop_assert!(fast.advance());
                    prop_assert_eq!(fast.token(), slow.token());
                }
                prop_assert!(!fast.advance());
            }
        }
    }

    #[test]
    fn a_question_is_words_only() {
        assert_eq!(terms("The Ships are sailing; ships!"), ["ship", "sail"]);
        assert_eq!(terms("Sørensen's +(title:x) \"AND"), ["sorensen", "s", "titl", "x"]);
        assert!(terms("the of  -- \"").is_empty());
    }
}
