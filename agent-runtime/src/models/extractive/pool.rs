//! Every passage that the searches found, with what it covers of the question and how it came to be found.

use std::collections::{BTreeMap, BTreeSet};

use common_ground::port::index::PassageId;
use unicode_segmentation::UnicodeSegmentation;

use super::{
    conversation::{Conversation, Hit},
    names,
    question::{Cover, Question, flat},
};

/// How much a word of the same matter counts beside the word itself.
const NEAR: f64 = 0.6;

/// A passage found.
#[derive(Debug, Clone)]
pub(super) struct Candidate<'a> {
    pub hit: &'a Hit,
    pub cover: Cover,
    /// Title, headings and text, flat.
    pub flat: String,
    /// The title without what stands in brackets after it, flat.
    pub title: String,
    /// Names in it by their flat form, as they are written.
    pub names: BTreeMap<String, String>,
    /// Score in the question's own search, 1 for the best.
    pub asked: f64,
    /// Best place among the searches for the question's names, 1 for the first, falling to 0.
    pub named: f64,
    /// Best place among the searches of the second round, likewise.
    pub hopped: f64,
}

/// All of them.
#[derive(Debug, Clone)]
pub(super) struct Pool<'a> {
    pub candidates: Vec<Candidate<'a>>,
    weights: Vec<f64>,
    all: f64,
}

/// A title without what stands in brackets at its end.
fn plain(title: &str) -> &str {
    title.split_once(" (").map_or(title, |(name, _)| name)
}

impl<'a> Pool<'a> {
    /// Gathers the hits of all searches.
    pub fn new(question: &Question, conversation: &'a Conversation) -> Self {
        let mut found: BTreeMap<PassageId, Candidate<'a>> = BTreeMap::new();
        let hits = || conversation.searches.iter().flat_map(|search| &search.hits);
        let small: BTreeSet<&str> = hits()
            .flat_map(|hit| hit.content.unicode_words())
            .filter(|word| word.starts_with(char::is_lowercase))
            .collect();
        for (number, search) in conversation.searches.iter().enumerate() {
            let best = search.hits.first().map_or(1, |hit| hit.score_milli.max(1)) as f64;
            for (rank, hit) in search.hits.iter().enumerate() {
                let candidate = found.entry(hit.passage).or_insert_with(|| read(question, hit, &small));
                let place = 1.0 / (1.0 + rank as f64);
                match (search.round, number) {
                    (0, 0) => candidate.asked = hit.score_milli as f64 / best,
                    (0, _) => candidate.named = candidate.named.max(place),
                    (_later, _) => candidate.hopped = candidate.hopped.max(place),
                }
            }
        }
        let candidates: Vec<Candidate<'a>> = found.into_values().collect();
        let all = candidates.len() as f64;
        let weights: Vec<f64> = question
            .terms
            .iter()
            .enumerate()
            .map(|(at, term)| {
                let having = candidates.iter().filter(|found| found.cover.exact & (1 << at) != 0).count() as f64;
                let rare = (1.0 + all / (1.0 + having)).ln();
                if term.named { 1.5 * rare } else { rare }
            })
            .collect();
        let sum: f64 = weights.iter().sum();
        Self { candidates, weights, all: sum.max(f64::MIN_POSITIVE) }
    }

    /// How much of the question is covered, 0 to 1, rare words counting more.
    pub fn covered(&self, cover: Cover) -> f64 {
        let weight = |bits: u64| -> f64 {
            let has = |at: &usize| bits & (1 << at) != 0;
            (0..self.weights.len()).filter(has).map(|at| self.weights[at]).sum()
        };
        (weight(cover.exact) + NEAR * weight(cover.near & !cover.exact)) / self.all
    }
}

fn read<'a>(question: &Question, hit: &'a Hit, small: &BTreeSet<&str>) -> Candidate<'a> {
    let text = format!("{}\n{}", hit.title, hit.content);
    let names = names::of_text(&text, &|word| small.contains(word));
    Candidate {
        hit,
        cover: question.cover(&text),
        title: flat(plain(&hit.title)),
        names: names.into_iter().map(|name| (flat(&name), name)).collect(),
        flat: flat(&text),
        asked: 0.0,
        named: 0.0,
        hopped: 0.0,
    }
}
