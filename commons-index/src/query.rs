//! Words of a text as the index knows them: lower case, accents folded, English stop words out, stems kept. The same for
//! documents and questions.

use tantivy::tokenizer::{
    AsciiFoldingFilter, Language, LowerCaser, RemoveLongFilter, SimpleTokenizer, Stemmer, StopWordFilter, TextAnalyzer,
    TokenStream,
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

/// The analysis, as tantivy registers it.
pub(crate) fn analyzer() -> TextAnalyzer {
    TextAnalyzer::builder(SimpleTokenizer::default())
        .filter(RemoveLongFilter::limit(LONGEST_WORD))
        .filter(LowerCaser)
        .filter(AsciiFoldingFilter)
        .filter(StopWordFilter::remove(STOP.iter().map(|word| (*word).to_owned())))
        .filter(Stemmer::new(Language::English))
        .build()
}

/// The different terms of a question, in order.
pub(crate) fn terms(query: &str) -> Vec<String> {
    let mut analyzer = analyzer();
    let mut stream = analyzer.token_stream(query);
    let mut terms: Vec<String> = Vec::new();
    while stream.advance() && terms.len() < MOST_TERMS {
        let word = &stream.token().text;
        if !terms.contains(word) {
            terms.push(word.clone());
        }
    }
    terms
}

#[cfg(test)]
mod tests {
    use super::terms;

    #[test]
    fn a_question_is_words_only() {
        assert_eq!(terms("The Ships are sailing; ships!"), ["ship", "sail"]);
        assert_eq!(terms("Sørensen's +(title:x) \"AND"), ["sorensen", "s", "titl", "x"]);
        assert!(terms("the of  -- \"").is_empty());
    }
}
