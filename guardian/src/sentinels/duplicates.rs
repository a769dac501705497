//! Deliverables that are nearly the same, for questions that are not: work handed in twice.
//!
//! Claims are compared by their shingles of five words, estimated by the smallest of 64 hashes.

use std::collections::VecDeque;

use common_ground::{Fact, ModuleId, deliverable::Deliverable, module::ModuleKind};

use super::{About, Bounded, Rule, With, asked, subject};
use crate::concern::{Finding, Severity};

/// Modules and deliverables remembered.
const MOST: usize = 4096;
const LATEST: usize = 64;
/// Words in a shingle, and fewest shingles that say anything.
const WORDS: usize = 5;
const FEWEST: usize = 40;
/// Hashes in a sketch.
const HASHES: usize = 64;
/// Words of one deliverable that are looked at.
const MOST_WORDS: usize = 20_000;

type Sketch = [u64; HASHES];

struct Handed {
    module: ModuleId,
    seq: u64,
    sketch: Sketch,
}

/// See the file.
pub struct Duplicates {
    /// The questions of modules that answer, as digests.
    questions: Bounded<ModuleId, u64>,
    latest: VecDeque<Handed>,
}

impl Default for Duplicates {
    fn default() -> Self {
        Self { questions: Bounded::new(MOST), latest: VecDeque::new() }
    }
}

/// Spreads one hash over the sketch's many (splitmix64).
fn spread(hash: u64, turn: u64) -> u64 {
    let mut z = hash.wrapping_add((turn + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The sketch of the claims; none where they are too short.
fn sketch(deliverable: &Deliverable) -> Option<Sketch> {
    let words = deliverable.claims.iter().flat_map(|claim| claim.text.split_whitespace());
    let words: Vec<String> = words.take(MOST_WORDS).map(str::to_lowercase).collect();
    let shingles = words.len().checked_sub(WORDS - 1).filter(|shingles| *shingles >= FEWEST)?;
    let mut least = [u64::MAX; HASHES];
    for shingle in words.windows(WORDS).take(shingles) {
        let parts: Vec<&[u8]> = shingle.iter().map(|word| word.as_bytes()).collect();
        let hash = subject(&parts);
        for (turn, least) in (0..).zip(&mut least) {
            *least = (*least).min(spread(hash, turn));
        }
    }
    Some(least)
}

fn alike(one: &Sketch, other: &Sketch) -> u64 {
    let same = one.iter().zip(other).filter(|(one, other)| one == other).count();
    (same * 100 / HASHES) as u64
}

impl Rule for Duplicates {
    const ABOUT: About = About {
        name: "duplicates",
        threshold: 90,
        speaks: "the claims of two modules with different questions are alike to this many per cent, of forty shingles of five words and more; needs contents",
    };

    fn assess(&mut self, with: &With<'_>) -> Vec<Finding> {
        match with.seen.fact {
            Fact::ModuleProposed { .. } | Fact::RunForked { .. } => {
                let answers = asked(with.seen.fact).filter(|(_, spec)| matches!(spec.kind, ModuleKind::Answer));
                for (module, spec) in answers {
                    self.questions.insert(module, subject(&[spec.question.trim().as_bytes()]));
                }
                Vec::new()
            }
            Fact::ModuleSubmitted { module, deliverable, .. } => {
                let Some(question) = self.questions.get(module).copied() else { return Vec::new() };
                let bytes = with.seen.contents.get(deliverable);
                let read = bytes.and_then(|bytes| serde_json::from_slice::<Deliverable>(bytes).ok());
                let Some(sketch) = read.and_then(|read| sketch(&read)) else { return Vec::new() };
                let other = |handed: &&Handed| {
                    handed.module != *module
                        && self.questions.get(&handed.module).is_some_and(|known| *known != question)
                        && alike(&handed.sketch, &sketch) >= with.threshold
                };
                let found = self.latest.iter().find(other).map(|handed| Finding {
                    severity: Severity::Notice,
                    module: Some(*module),
                    evidence: vec![handed.seq],
                    subject: subject(&[module.0.as_bytes(), handed.module.0.as_bytes()]),
                    found: format!(
                        "its claims are alike to {} per cent with another module's",
                        alike(&handed.sketch, &sketch)
                    ),
                });
                self.latest.push_back(Handed { module: *module, seq: with.seen.seq, sketch });
                if self.latest.len() > LATEST {
                    self.latest.pop_front();
                }
                found.into_iter().collect()
            }
            _other => Vec::new(),
        }
    }
}
