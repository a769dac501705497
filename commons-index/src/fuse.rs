//! One order out of two: what words found and what vectors found.
//!
//! A passage's score is a mixture of its BM25 score, as a share of the best one's, and its vector's product with the
//! query's. The product needs no stretching: it says the same in every query, while BM25 does not. The share was chosen on
//! scifact's training questions (docs/BENCHMARKS.md), where this way is ahead of ranks (RRF), of both sides stretched
//! between worst and best, and of a fixed scale for BM25.
//!
//! **Invariant:** no floating point: the same candidates have the same order everywhere.

use std::{cmp::Reverse, collections::BTreeMap};

/// A passage among those searched: the place of its collection in the search, and its row there.
pub(crate) type Key = (usize, u64);

/// A passage with what each side says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// Which one.
    pub(crate) key: Key,
    /// BM25 score in thousandths; none where it has none of the words.
    pub(crate) words: Option<u64>,
    /// Product of the vectors in millionths.
    pub(crate) vectors: Option<i64>,
}

/// The share of the vectors in a score, in thousandths.
const VECTORS: u64 = 800;
const WHOLE: u64 = 1000;
/// Steps between nothing and the best.
const STEPS: u64 = 1_000_000;

/// Scores from 0 to 1000 for candidates, best first; equal ones in the order they come in.
pub(crate) fn fuse(candidates: &[Candidate]) -> Vec<(u64, Candidate)> {
    let most = candidates.iter().filter_map(|one| one.words).max().unwrap_or(0).max(1);
    let steps = |one: &Candidate| {
        let words = one.words.unwrap_or(0).saturating_mul(STEPS) / most;
        // What points away is no nearer for it.
        let vectors = one.vectors.map_or(0, |product| u64::try_from(product).unwrap_or(0)).min(STEPS);
        words * (WHOLE - VECTORS) + vectors * VECTORS
    };
    let mut fused: Vec<(u64, &Candidate)> = candidates.iter().map(|one| (steps(one), one)).collect();
    fused.sort_by_key(|(steps, _)| Reverse(*steps));
    fused.into_iter().map(|(steps, one)| (steps / STEPS, *one)).collect()
}

/// Every passage that one of the sides has, in the order of its rank there, words first.
pub(crate) fn pool(words: &[(u64, Key)], vectors: &[(i64, Key)]) -> Vec<Candidate> {
    let mut places = BTreeMap::new();
    let mut all: Vec<Candidate> = Vec::new();
    for (score, key) in words {
        places.insert(*key, all.len());
        all.push(Candidate { key: *key, words: Some(*score), vectors: None });
    }
    for (score, key) in vectors {
        match places.get(key) {
            Some(place) => all[*place].vectors = Some(*score),
            None => all.push(Candidate { key: *key, words: None, vectors: Some(*score) }),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::{Candidate, fuse, pool};

    fn one(row: u64, words: Option<u64>, vectors: Option<i64>) -> Candidate {
        Candidate { key: (0, row), words, vectors }
    }

    #[test]
    fn both_sides_count_and_neither_must_know_a_passage() {
        let all = [one(1, Some(9_000), Some(100_000)), one(2, Some(4_500), Some(600_000)), one(3, None, Some(620_000))];
        let fused: Vec<(u64, u64)> = fuse(&all).into_iter().map(|(score, one)| (score, one.key.1)).collect();
        assert_eq!(fused, [(580, 2), (496, 3), (280, 1)]);
    }

    #[test]
    fn what_points_away_and_what_has_no_vector_have_the_same_share_of_it() {
        let all = [one(1, Some(1_000), None), one(2, Some(1_000), Some(-400_000)), one(3, None, None)];
        let fused: Vec<(u64, u64)> = fuse(&all).into_iter().map(|(score, one)| (score, one.key.1)).collect();
        assert_eq!(fused, [(200, 1), (200, 2), (0, 3)]);
        assert!(fuse(&[]).is_empty());
        // The largest there may be does not overflow.
        assert_eq!(fuse(&[one(1, Some(u64::MAX >> 20), Some(i64::MAX))])[0].0, 1000);
    }

    #[test]
    fn the_pool_has_each_passage_once() {
        let found = pool(&[(30, (0, 7)), (20, (0, 8))], &[(900, (0, 8)), (800, (0, 9))]);
        assert_eq!(found, [one(7, Some(30), None), one(8, Some(20), Some(900)), one(9, None, Some(800))]);
    }
}
