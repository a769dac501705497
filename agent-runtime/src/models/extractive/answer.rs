//! The answer: the most telling sentences of the passages read, quoted, and the passages beside them.

use std::collections::{BTreeMap, BTreeSet};

use common_ground::{
    citation::{Citation, Span},
    deliverable::{Claim, Deliverable},
    port::index::Passage,
};

use super::{
    conversation::Conversation,
    names,
    question::{self, Wants},
    words::terms,
};
use crate::roles::talk::WorkTask;

/// How much a heading, a row of a table or a line of code counts beside a sentence: it may hold the answer and seldom says it.
const NOT_PROSE: f64 = 0.4;

/// A sentence that may be quoted.
struct Sentence<'a> {
    passage: usize,
    citation: Citation,
    words: usize,
    score: f64,
    of: &'a Passage,
}

/// The deliverable of an answer module.
pub(super) fn answer(task: &WorkTask, conversation: &Conversation) -> Deliverable {
    let most = task.max_passages as usize;
    let passages: Vec<&Passage> = conversation.passages.iter().take(most).collect();
    let mut sentences = sentences(&task.question, &passages);
    sentences.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.citation.cmp(&b.citation)));
    let mut claims = Vec::new();
    let mut left = task.max_words as usize;
    let mut documents = BTreeSet::new();
    let mut quoted = BTreeSet::new();
    for sentence in &sentences {
        let wanted = documents.len() < task.min_sources as usize || sentence.score >= 0.25 * sentences[0].score;
        let fresh = documents.len() >= task.min_sources as usize || !documents.contains(&sentence.of.document);
        if sentence.score > 0.0 && wanted && fresh && sentence.words <= left {
            left -= sentence.words;
            documents.insert(sentence.of.document);
            quoted.insert(sentence.passage);
            claims.push(Claim { text: sentence.citation.quote.clone(), citations: vec![sentence.citation.clone()] });
        }
    }
    if documents.len() < task.min_sources as usize {
        claims.clear();
        quoted.clear();
    }
    let also = passages
        .iter()
        .enumerate()
        .filter(|(number, passage)| !quoted.contains(number) && !passage.content.is_empty())
        .map(|(_, passage)| cite(passage, passage.id.span, passage.content.clone()))
        .collect();
    Deliverable { question: task.question.clone(), claims, also }
}

fn cite(passage: &Passage, span: Span, quote: String) -> Citation {
    let (path, collection) = (passage.path.clone(), passage.collection.clone());
    Citation { path, document: passage.document, text: passage.id.text, span, quote, collection }
}

/// The bytes of a span of the text, when it lies in the passage.
fn cut(passage: &Passage, span: Span) -> Option<&str> {
    let start = usize::try_from(span.start.checked_sub(passage.id.span.start)?).ok()?;
    let end = usize::try_from(span.end.checked_sub(passage.id.span.start)?).ok()?;
    passage.content.get(start..end).filter(|text| !text.trim().is_empty())
}

fn sentences<'a>(question: &str, passages: &[&'a Passage]) -> Vec<Sentence<'a>> {
    let asked = terms(question);
    let named: BTreeSet<String> = names::of_question(question).iter().flat_map(|name| terms(name)).collect();
    let weights = rarity(passages);
    let weight = |term: &String| weights.get(term).copied().unwrap_or(0.0);
    let wanted = question::wants(question);
    let mut found = Vec::new();
    for (number, passage) in passages.iter().enumerate() {
        let context = terms(&format!("{} {}", passage.title, passage.headings.join(" ")));
        let standing = 1.0 / (1.0 + 0.15 * number as f64);
        for (place, span) in passage.sentences.iter().enumerate() {
            let Some(text) = cut(passage, *span) else { continue };
            let words = terms(text);
            let direct: f64 = asked.intersection(&words).map(&weight).sum();
            let around: f64 = asked.intersection(&context).filter(|term| !words.contains(*term)).map(&weight).sum();
            let new = words.iter().filter(|term| !asked.contains(*term)).count().min(12) as f64;
            let hits_name = if named.is_disjoint(&words) && named.is_disjoint(&context) { 0.8 } else { 1.0 };
            let opening = if place == 0 { 1.15 } else { 1.0 };
            let score = (direct + 0.5 * around)
                * standing
                * hits_name
                * opening
                * fit(wanted, text, &asked)
                * if is_prose(text) { 1.0 } else { NOT_PROSE }
                * (0.6 + 0.4 * new / 12.0);
            let length = text.split_whitespace().count();
            if length >= 3 && direct + around > 0.0 {
                found.push(Sentence {
                    passage: number,
                    citation: cite(passage, *span, text.to_owned()),
                    words: length,
                    score,
                    of: passage,
                });
            }
        }
    }
    found
}

/// Whether a sentence holds the sort of thing that would answer.
fn fit(wanted: Wants, text: &str, asked: &BTreeSet<String>) -> f64 {
    let holds = match wanted {
        Wants::Time | Wants::Number => text.bytes().any(|byte| byte.is_ascii_digit()),
        Wants::Person | Wants::Place => {
            let capital = |word: &&str| word.starts_with(char::is_uppercase) && terms(word).is_disjoint(asked);
            text.split_whitespace().skip(1).any(|word| capital(&word))
        }
        Wants::Anything => return 1.0,
    };
    if holds { 1.2 } else { 0.8 }
}

/// Whether a text is a sentence: the others end in no stop, or begin as tables, headings and code do.
fn is_prose(text: &str) -> bool {
    let text = text.trim();
    let end = text.trim_end_matches(['"', '\'', ')', ']', '”', '’', '»', '*', '_', '`']);
    !text.starts_with(['|', '#', '`', '$']) && end.ends_with(['.', '!', '?', '…', '。', '！', '？', ':', ';'])
}

/// How telling each term is, by how few of the passages have it.
fn rarity(passages: &[&Passage]) -> BTreeMap<String, f64> {
    let mut counts: BTreeMap<String, f64> = BTreeMap::new();
    for passage in passages {
        for term in terms(&format!("{} {}", passage.title, passage.content)) {
            *counts.entry(term).or_default() += 1.0;
        }
    }
    let all = passages.len() as f64;
    counts.into_iter().map(|(term, count)| (term, (1.0 + all / count).ln())).collect()
}

#[cfg(test)]
mod tests {
    use super::is_prose;

    #[test]
    fn rows_headings_and_code_are_no_sentences() {
        for sentence in ["It ends.", "Does it?", "He said \"no.\"", "It is **so.**", "誰でも。", "Three things:"] {
            assert!(is_prose(sentence), "{sentence}");
        }
        for other in
            ["| a | 1.63 times | no |", "# What ends.", "What is not deleted", "`ii runs` ends it.", "$ make test."]
        {
            assert!(!is_prose(other), "{other}");
        }
    }
}
