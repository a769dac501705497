//! The answer: the most telling sentences of the passages read, whole or up to a clause, and the passages beside them.
//!
//! **Invariant:** a claim is a run of bytes of a passage that was read, and the claims together keep to the words allowed.

use std::{collections::BTreeSet, ops::Range};

use common_ground::{
    citation::{Citation, Span},
    deliverable::{Claim, Deliverable},
    port::index::Passage,
};

use super::{
    clause,
    conversation::Conversation,
    pool::Pool,
    question::Question,
    rank,
    sentence::{self, FEATURES, Piece, Sentence},
};
use crate::roles::talk::WorkTask;

/// What each measure of a piece is worth.
const WORTH: [f64; FEATURES] = [
    0.49, -0.59, 3.34, -0.08, 0.20, 0.42, 0.90, 2.96, -2.55, -0.20, 2.84, 0.13, 2.75, 2.42, 0.73, 0.20, 0.25, -0.03,
    -0.63, 0.23, -1.94, -0.90, -1.73, 0.56, 0.14, 0.14, -0.09, 1.56, -0.12, 0.16,
];
/// How much a part counts that does not begin where its sentence begins: whole sentences read better.
const AMID: f64 = 0.8;
/// Most words for which the best choice is looked for; the work grows with them.
const MOST_WORDS: usize = 1_000;

/// A part of a sentence that may be quoted.
#[derive(Debug, Clone)]
struct Part<'a> {
    sentence: &'a Sentence<'a>,
    range: Range<usize>,
    words: usize,
    worth: f64,
}

/// The deliverable of an answer module.
pub(super) fn answer(task: &WorkTask, question: &Question, conversation: &Conversation) -> Deliverable {
    let pool = Pool::new(question, conversation);
    let ranked = rank::order(question, &pool);
    let most = task.max_passages as usize;
    let passages: Vec<&Passage> = conversation.passages.iter().take(most).collect();
    let sentences = sentence::measured(question, &pool, &ranked, &passages);
    let least = task.min_sources as usize;
    let mut chosen = choose(&parts(&sentences), task.max_words as usize, least);
    chosen.sort_by(|a, b| b.worth.total_cmp(&a.worth).then_with(|| a.sentence.span.cmp(&b.sentence.span)));
    let documents: BTreeSet<_> = chosen.iter().map(|part| part.sentence.of.document).collect();
    if documents.len() < least {
        chosen.clear();
    }
    let quoted: BTreeSet<_> = chosen.iter().map(|part| part.sentence.of.id).collect();
    let also = passages
        .iter()
        .filter(|passage| !quoted.contains(&passage.id) && !passage.content.is_empty())
        .map(|passage| cite(passage, passage.id.span, passage.content.clone()))
        .collect();
    Deliverable { question: task.question.clone(), claims: chosen.iter().map(claim).collect(), also }
}

fn claim(part: &Part<'_>) -> Claim {
    let Sentence { of, span, text, .. } = part.sentence;
    let start = span.start + part.range.start as u64;
    let span = Span { start, end: start + part.range.len() as u64 };
    let quote = text[part.range.clone()].to_owned();
    Claim { text: quote.clone(), citations: vec![cite(of, span, quote)] }
}

fn cite(passage: &Passage, span: Span, quote: String) -> Citation {
    Citation { path: passage.path.clone(), document: passage.document, text: passage.id.text, span, quote }
}

fn worth(piece: &Piece) -> f64 {
    piece.measures.iter().zip(WORTH).map(|(measure, worth)| measure * worth).sum()
}

/// For each sentence its runs of pieces, each worth the chance that the answer is in it, against all pieces.
fn parts<'a>(sentences: &'a [Sentence<'a>]) -> Vec<Vec<Part<'a>>> {
    let bearing = || sentences.iter().filter(|sentence| sentence.bears);
    let top = bearing().flat_map(|sentence| &sentence.pieces).map(worth).fold(f64::NEG_INFINITY, f64::max);
    let part = |sentence: &'a Sentence<'a>, first: usize, last: usize| {
        let pieces = &sentence.pieces[first..=last];
        let range = sentence.pieces[first].range.start..sentence.pieces[last].range.end;
        let range = clause::trimmed(sentence.text, range);
        Part {
            sentence,
            words: sentence.text[range.clone()].split_whitespace().count(),
            range,
            worth: pieces.iter().map(|piece| (worth(piece) - top).exp()).sum::<f64>()
                * if first > 0 { AMID } else { 1.0 },
        }
    };
    bearing()
        .map(|sentence| {
            let count = sentence.pieces.len();
            (0..count)
                .flat_map(|first| (first..count).map(move |last| (first, last)))
                .map(|(first, last)| part(sentence, first, last))
                .collect()
        })
        .collect()
}

/// At most one part of each sentence, together within `words` and worth the most, and of `least` documents or none.
fn choose<'a>(parts: &[Vec<Part<'a>>], words: usize, least: usize) -> Vec<Part<'a>> {
    let mut left = words.min(MOST_WORDS);
    let mut chosen: Vec<Part<'a>> = Vec::new();
    // The best parts of so many documents come first, so that one document cannot take all the room.
    for wanted in (2..=least).rev() {
        let taken =
            |part: &&Part<'a>| chosen.iter().any(|other| other.sentence.of.document == part.sentence.of.document);
        let fitting = parts.iter().flatten().filter(|part| part.words * wanted <= left && !taken(part));
        let best = fitting.max_by(|a, b| a.worth.total_cmp(&b.worth).then(b.words.cmp(&a.words)));
        let Some(best) = best.cloned() else { break };
        left -= best.words;
        chosen.push(best);
    }
    let open: Vec<&Vec<Part<'a>>> = parts
        .iter()
        .filter(|options| {
            let same = |part: &Part<'a>| options.iter().any(|option| std::ptr::eq(option.sentence, part.sentence));
            !chosen.iter().any(same)
        })
        .collect();
    chosen.extend(fill(&open, left));
    chosen
}

/// The best choice for so many words, found word by word.
fn fill<'a>(parts: &[&Vec<Part<'a>>], words: usize) -> Vec<Part<'a>> {
    // The best worth for each number of words, and which parts make it.
    let mut best: Vec<(f64, Vec<&Part<'a>>)> = vec![(0.0, Vec::new()); words + 1];
    for options in parts {
        for room in (1..=words).rev() {
            let fitting = options.iter().filter(|part| part.words <= room);
            let with = fitting.map(|part| (best[room - part.words].0 + part.worth, part));
            let with = with.max_by(|(one, a), (two, b)| one.total_cmp(two).then(b.words.cmp(&a.words)));
            if let Some((sum, part)) = with
                && sum > best[room].0
            {
                let mut taken = best[room - part.words].1.clone();
                taken.push(part);
                best[room] = (sum, taken);
            }
        }
    }
    best.pop().map(|(_, taken)| taken.into_iter().cloned().collect()).unwrap_or_default()
}
