//! One order out of two: what words found and what vectors found.

use std::collections::BTreeMap;

/// A passage with what each side says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// Its row.
    pub(crate) row: u64,
    /// BM25 score in thousandths; none where it has none of the words.
    pub(crate) words: Option<u64>,
    /// Product of the vectors in millionths.
    pub(crate) vectors: Option<i64>,
}

/// The share of the vectors in a score, in thousandths.
const VECTORS: u64 = 500;

/// Scores from 0 to 1000 for candidates, best first; equal ones in the order they come in.
///
/// Each side is stretched so that the best of the candidates has 1 and the worst 0, and the two are mixed.
pub(crate) fn fuse(candidates: &[Candidate]) -> Vec<(u64, Candidate)> {
    let words = Stretch::of(candidates.iter().map(|one| one.words.map_or(0, u64::cast_signed)));
    let vectors = Stretch::of(candidates.iter().filter_map(|one| one.vectors));
    let score = |one: &Candidate| {
        let (words, vectors) =
            (words.at(one.words.map_or(0, u64::cast_signed)), one.vectors.map_or(0, |at| vectors.at(at)));
        (words * (1000 - VECTORS) + vectors * VECTORS) / STEPS
    };
    let mut fused: Vec<(u64, Candidate)> = candidates.iter().map(|one| (score(one), *one)).collect();
    fused.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    fused
}

/// Steps between worst and best, so that no floating point decides an order.
const STEPS: u64 = 1_000_000;

struct Stretch {
    least: i64,
    most: i64,
}

impl Stretch {
    fn of(all: impl Iterator<Item = i64> + Clone) -> Self {
        Self { least: all.clone().min().unwrap_or(0), most: all.max().unwrap_or(0) }
    }

    fn at(&self, score: i64) -> u64 {
        let width = i128::from(self.most) - i128::from(self.least);
        if width == 0 {
            return STEPS;
        }
        let above = i128::from(score.clamp(self.least, self.most)) - i128::from(self.least);
        u64::try_from(above * i128::from(STEPS) / width).unwrap_or(0)
    }
}

/// Every passage that one of the sides has, in the order of its rank there, words first.
pub(crate) fn pool(words: &[(u64, u64)], vectors: &[(i64, u64)]) -> Vec<Candidate> {
    let mut places = BTreeMap::new();
    let mut all: Vec<Candidate> = Vec::new();
    for (score, row) in words {
        places.insert(*row, all.len());
        all.push(Candidate { row: *row, words: Some(*score), vectors: None });
    }
    for (score, row) in vectors {
        match places.get(row) {
            Some(place) => all[*place].vectors = Some(*score),
            None => all.push(Candidate { row: *row, words: None, vectors: Some(*score) }),
        }
    }
    all
}
