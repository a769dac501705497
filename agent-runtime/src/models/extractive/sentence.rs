//! Sentences that may be quoted, piece by piece, and what is measured of each piece.

use std::{collections::BTreeMap, ops::Range};

use common_ground::{citation::Span, port::index::Passage};

use super::{
    clause,
    pool::{Candidate, Pool},
    question::{Cover, Question, Wants, flat},
};

/// What is measured of a piece of a sentence.
pub(super) const FEATURES: usize = 30;
/// Sentences shorter than this many words are captions and cut-off ends.
const SHORTEST: usize = 3;
/// Words by which a sentence leans on its document's subject.
const LEANING: &[&str] = &["he", "she", "it", "they", "his", "her", "its", "their"];

/// A piece of a sentence.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    /// Where it stands in the sentence, in bytes.
    pub range: Range<usize>,
    pub measures: [f64; FEATURES],
}

/// A sentence of a passage that was read.
#[derive(Debug, Clone)]
pub(super) struct Sentence<'a> {
    pub of: &'a Passage,
    pub span: Span,
    pub text: &'a str,
    /// Whether it, or the headings above it, has any word of the question.
    pub bears: bool,
    pub pieces: Vec<Piece>,
}

/// The bytes of a span of the text, when it lies in the passage.
fn cut(passage: &Passage, span: Span) -> Option<&str> {
    let start = usize::try_from(span.start.checked_sub(passage.id.span.start)?).ok()?;
    let end = usize::try_from(span.end.checked_sub(passage.id.span.start)?).ok()?;
    passage.content.get(start..end).filter(|text| !text.trim().is_empty())
}

/// A passage that was read, with what the search told of it.
struct Standing<'a, 'b> {
    passage: &'a Passage,
    candidate: &'b Candidate<'b>,
    /// How sure it is that the passage matters, 1 for the best.
    share: f64,
    /// Whether its title brings something that the question does not have.
    new: bool,
    context: Cover,
}

/// Whether one passage mentions the title of another document.
fn mentions(flat: &str, other: &Standing<'_, '_>, own: &Standing<'_, '_>) -> bool {
    other.new && other.candidate.title != own.candidate.title && flat.contains(&other.candidate.title)
}

fn yes(is: bool) -> f64 {
    f64::from(u8::from(is))
}

/// Every sentence of the passages, measured against the question. `scores` are the passages' in the order of rank.
pub(super) fn measured<'a>(
    question: &Question,
    pool: &Pool<'_>,
    ranked: &[(&Candidate<'_>, f64)],
    passages: &[&'a Passage],
) -> Vec<Sentence<'a>> {
    let top = ranked.first().map_or(0.0, |(_, score)| *score);
    let standings: Vec<Standing<'a, '_>> = passages
        .iter()
        .filter_map(|passage| {
            let (candidate, score) = ranked.iter().find(|(candidate, _)| candidate.hit.passage == passage.id)?;
            Some(Standing {
                passage,
                candidate,
                share: (score - top).exp(),
                new: candidate.title.len() > 4 && !question.holds(&candidate.title),
                context: question.cover(&format!("{} {}", passage.title, passage.headings.join(" "))),
            })
        })
        .collect();
    let evidence = evidence(question, pool, &standings);
    (0..standings.len()).flat_map(|number| of_passage(question, pool, &standings, &evidence, number)).collect()
}

fn of_passage<'a>(
    question: &Question,
    pool: &Pool<'_>,
    standings: &[Standing<'a, '_>],
    evidence: &BTreeMap<String, f64>,
    number: usize,
) -> Vec<Sentence<'a>> {
    let own = &standings[number];
    let others = || standings.iter().enumerate().filter(|(other, _)| *other != number).map(|(_, other)| other);
    let partners: Vec<&Standing<'_, '_>> = others()
        .filter(|other| mentions(&own.candidate.flat, other, own) || mentions(&other.candidate.flat, own, other))
        .collect();
    let followed = others().filter(|other| mentions(&other.candidate.flat, own, other)).map(|other| other.share);
    let followed = followed.fold(0.0, f64::max);
    let mut before = 0.0;
    let mut found = Vec::new();
    for (place, span) in own.passage.sentences.iter().enumerate() {
        let Some(text) = cut(own.passage, *span) else { continue };
        if text.split_whitespace().count() < SHORTEST {
            continue;
        }
        let cover = question.cover(text);
        let around = cover.with(own.context);
        let covered = pool.covered(cover);
        let leads = |text: &str| {
            let flat = flat(text);
            others().filter(|other| mentions(&flat, other, own)).map(|other| other.share).fold(0.0, f64::max)
        };
        let joint = partners.iter().map(|other| pool.covered(around.with(other.candidate.cover)));
        let gained = partners
            .iter()
            .map(|other| pool.covered(around.with(other.candidate.cover)) - pool.covered(other.candidate.cover));
        let flat_text = flat(text);
        let named = question.names.iter().any(|name| {
            let name = flat(name);
            flat_text.contains(&name) || own.candidate.title.contains(&name)
        });
        let leans = flat_text.split_whitespace().next().is_some_and(|word| LEANING.contains(&word));
        let telling = super::words::terms(text).len().max(1) as f64;
        let ranges = clause::pieces(text);
        let pieces = ranges.into_iter().enumerate().map(|(order, range)| {
            let piece = &text[range.clone()];
            let new: Vec<String> =
                pool.names(piece).iter().filter(|name| !question.holds(name)).map(|name| flat(name)).collect();
            let names = new.len();
            let told = new.iter().filter_map(|name| evidence.get(name)).copied().fold(0.0, f64::max);
            let flat_piece = flat(piece);
            let focused = others()
                .filter(|other| mentions(&flat_piece, other, own))
                .map(|other| {
                    let opening = other.passage.sentences.first().and_then(|span| cut(other.passage, *span));
                    let has = question.cover(opening.unwrap_or_default()).any() & question.focus;
                    other.share * yes(has != 0)
                })
                .fold(0.0, f64::max);
            let option = question.names.iter().any(|name| flat_piece.contains(&flat(name)));
            let measures = [
                covered,
                pool.covered(around) - covered,
                own.share.ln().max(-10.0) / 5.0,
                number as f64 / 10.0,
                yes(place == 0),
                leads(text),
                followed,
                joint.clone().fold(0.0, f64::max),
                gained.clone().fold(0.0, f64::max),
                yes(named),
                f64::from(cover.exact.count_ones()) / telling,
                yes(leans),
                pool.covered(question.cover(piece)),
                yes(answers(question, piece, names > 0)),
                names.min(3) as f64 / 3.0,
                yes(digits(question, piece) > 0),
                yes(order == 0),
                leads(piece),
                yes(life(question, piece)),
                piece.split_whitespace().count() as f64 / 60.0,
                covered * own.share,
                yes(own.new) * own.share,
                before,
                text.split_whitespace().count() as f64 / 60.0,
                told,
                focused,
                yes(option),
                yes(question.cover(piece).any() & question.focus != 0),
                told * yes(answers(question, piece, names > 0)),
                yes(own.new),
            ];
            Piece { range, measures }
        });
        let pieces = pieces.collect();
        before = covered;
        found.push(Sentence { of: own.passage, span: *span, text, bears: around != Cover::default(), pieces });
    }
    found
}

/// How much speaks for each new name: in each passage the best sentence with it, together over the passages; 1 for the
/// name for which most speaks.
fn evidence(question: &Question, pool: &Pool<'_>, standings: &[Standing<'_, '_>]) -> BTreeMap<String, f64> {
    let mut evidence: BTreeMap<String, f64> = BTreeMap::new();
    for own in standings {
        let mut here: BTreeMap<String, f64> = BTreeMap::new();
        for text in own.passage.sentences.iter().filter_map(|span| cut(own.passage, *span)) {
            let covered = pool.covered(question.cover(text).with(own.context)) * own.share;
            for name in pool.names(text).iter().filter(|name| !question.holds(name)) {
                let best = here.entry(flat(name)).or_default();
                *best = best.max(covered);
            }
        }
        if own.new {
            let best = here.entry(own.candidate.title.clone()).or_default();
            *best = best.max(pool.covered(own.candidate.cover) * own.share);
        }
        for (name, covered) in here {
            *evidence.entry(name).or_default() += covered;
        }
    }
    let most = evidence.values().copied().fold(f64::MIN_POSITIVE, f64::max);
    evidence.values_mut().for_each(|value| *value /= most);
    evidence
}

/// Numbers that the question does not have.
fn digits(question: &Question, text: &str) -> usize {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| word.chars().any(|c| c.is_ascii_digit()));
    words.filter(|word| !question.holds(word)).count()
}

/// Whether a text has something new of the sort that is asked for.
fn answers(question: &Question, text: &str, names: bool) -> bool {
    match question.wants {
        Wants::Person | Wants::Anything => names,
        Wants::Place => {
            names && text.split_whitespace().any(|word| matches!(word, "in" | "at" | "from" | "In" | "near" | "of"))
        }
        Wants::Time => years(text).any(|year| !question.holds(year)),
        Wants::Number => digits(question, text) > 0 || text.split_whitespace().any(spelled),
    }
}

/// Numbers of four digits.
fn years(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !c.is_alphanumeric());
    words.filter(|word| word.len() == 4 && word.bytes().all(|b| b.is_ascii_digit()))
}

/// Whether a question for a time of birth or death meets the dates of a life in brackets.
fn life(question: &Question, text: &str) -> bool {
    let asks = question.wants == Wants::Time
        && ["born", "birth", "birthday", "die", "died", "death"]
            .iter()
            .any(|word| question.flat.contains(&format!(" {word} ")));
    let brackets = text.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map(|(inner, _)| inner);
    asks && brackets.is_some_and(|inner| years(inner).next().is_some())
}

/// Whether a word is a small number in letters.
fn spelled(word: &str) -> bool {
    matches!(
        word.to_lowercase().as_str(),
        "two"
            | "three"
            | "four"
            | "five"
            | "six"
            | "seven"
            | "eight"
            | "nine"
            | "ten"
            | "twelve"
            | "hundred"
            | "thousand"
    )
}
