//! Which token comes next: by the model's logits, under a grammar or none, always the same for the same request.

use super::{
    grammar::{Grammar, State},
    vocabulary::Vocabulary,
};

/// Tokens among which chance decides.
const CANDIDATES: usize = 40;

/// A grammar and where the answer stands in it.
#[derive(Debug)]
pub(super) struct Constraint {
    grammar: Grammar,
    state: State,
}

/// Chooses the tokens of one answer.
#[derive(Debug)]
pub(super) struct Sampler {
    temperature: f32,
    chance: u64,
    constraint: Option<Constraint>,
}

/// What was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    /// A token, and more will come.
    Token(i32),
    /// A token that ends the answer and is part of it.
    Last(i32),
    /// The answer is over without another token.
    End,
    /// No token fits: the vocabulary cannot spell what the grammar asks.
    Stuck,
}

impl Sampler {
    /// For one answer. The grammar, if any, is held from its first byte.
    pub(super) fn new(temperature: f32, seed: u64, grammar: Option<Grammar>) -> Self {
        let constraint = grammar.map(|grammar| Constraint { state: grammar.start(), grammar });
        Self { temperature, chance: seed, constraint }
    }

    /// Fewest tokens in which an answer can end for sure.
    pub(super) fn fewest_left(&self) -> u64 {
        self.constraint.as_ref().map_or(1, |constraint| u64::from(constraint.grammar.fewest_left(&constraint.state)))
    }

    /// The next token, after which `left` more may follow.
    pub(super) fn choose(&mut self, vocabulary: &Vocabulary, logits: &[f32], left: u64) -> Choice {
        let likely = best(logits.iter().copied().enumerate(), if self.temperature > 0.0 { CANDIDATES } else { 1 });
        let Some(Constraint { grammar, state }) = &self.constraint else {
            let token = draw(&mut self.chance, self.temperature, &likely);
            return match token {
                Some(token) if vocabulary.ends(token) => Choice::End,
                Some(token) => Choice::Token(token),
                None => Choice::Stuck,
            };
        };
        // Drawing again without what does not fit is drawing from what fits; mostly the first one does.
        let mut likely = likely;
        while let Some(token) = draw(&mut self.chance, self.temperature, &likely) {
            if vocabulary.ends(token) && state.is_complete() {
                return Choice::End;
            }
            if let Some(next) = vocabulary.after(grammar, state, token, left) {
                return self.take(token, next, left);
            }
            likely.retain(|(other, _)| *other != token);
        }
        // Nothing the model likes best fits, so all that fits is looked for.
        let tokens = vocabulary.allowed(grammar, state, left);
        let with_logits = tokens.iter().filter_map(|token| {
            let token = usize::try_from(*token).ok()?;
            Some((token, *logits.get(token)?))
        });
        let allowed = best(with_logits, CANDIDATES);
        let next = draw(&mut self.chance, self.temperature, &allowed)
            .and_then(|token| Some((token, vocabulary.after(grammar, state, token, left)?)));
        match next {
            Some((token, next)) => self.take(token, next, left),
            None if state.is_complete() => Choice::End,
            None => Choice::Stuck,
        }
    }

    fn take(&mut self, token: i32, next: State, left: u64) -> Choice {
        let over = next.is_over() || (next.is_complete() && left == 0);
        if let Some(constraint) = &mut self.constraint {
            constraint.state = next;
        }
        if over { Choice::Last(token) } else { Choice::Token(token) }
    }
}

/// The likeliest, best first; among equals the lower number.
fn best(logits: impl Iterator<Item = (usize, f32)>, count: usize) -> Vec<(i32, f32)> {
    let mut best: Vec<(i32, f32)> = Vec::with_capacity(count + 1);
    for (token, logit) in logits {
        if best.len() == count && best.last().is_some_and(|(_, worst)| logit <= *worst) {
            continue;
        }
        if logit.is_nan() {
            continue;
        }
        let at = best.partition_point(|(_, other)| *other >= logit);
        best.insert(at, (i32::try_from(token).unwrap_or(i32::MAX), logit));
        best.truncate(count);
    }
    best
}

/// One of these by chance, weighed by temperature; the first where there is none.
fn draw(chance: &mut u64, temperature: f32, candidates: &[(i32, f32)]) -> Option<i32> {
    let (first, most) = *candidates.first()?;
    if temperature <= 0.0 {
        return Some(first);
    }
    let weights: Vec<f64> = candidates.iter().map(|(_, logit)| f64::from((logit - most) / temperature).exp()).collect();
    let mut point = fraction(chance) * weights.iter().sum::<f64>();
    for ((token, _), weight) in candidates.iter().zip(&weights) {
        point -= weight;
        if point < 0.0 {
            return Some(*token);
        }
    }
    Some(first)
}

/// SplitMix64, by Steele, Lea and Flood; a number in `0.0..1.0`.
fn fraction(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^= mixed >> 31;
    #[allow(clippy::cast_precision_loss)] // 53 bits fit
    let fraction = (mixed >> 11) as f64;
    fraction / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::{best, draw};

    #[test]
    fn the_likeliest_come_first_and_chance_keeps_to_their_weights() {
        let logits = [0.0, f32::NAN, 2.0, 2.0, -1.0, 1.0];
        assert_eq!(best(logits.iter().copied().enumerate(), 3), [(2, 2.0), (3, 2.0), (5, 1.0)]);
        let mut chance = 7;
        assert_eq!(draw(&mut chance, 0.0, &[(4, 1.0), (5, 0.0)]), Some(4));
        assert_eq!(draw(&mut chance, 1.0, &[]), None);
        // e : 1, so 73 of 100.
        let often = (0..10_000).filter(|_| draw(&mut chance, 1.0, &[(4, 1.0), (5, 0.0)]) == Some(4)).count();
        assert!((7100..7500).contains(&often), "{often}");
    }
}
