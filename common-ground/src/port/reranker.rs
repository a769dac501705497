//! Models that read a question and a passage together and say how much the one answers the other.
//!
//! Slower than vectors by far, since each pair is read anew, so that only the best of a search are judged.

use super::BoxFuture;

/// Why passages were not judged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RerankError {
    /// Nobody answers.
    #[error("reranker {model} is not reachable: {reason}")]
    Unreachable {
        /// Its id.
        model: String,
        /// The cause, with the fix.
        reason: String,
    },
    /// It answers, but not with one number for each passage.
    #[error("reranker {model} refuses: {reason}")]
    Refused {
        /// Its id.
        model: String,
        /// The cause, with the fix.
        reason: String,
    },
}

/// A model that judges how relevant texts are to a query.
pub trait Reranker: Send + Sync {
    /// Its id, as configuration names it.
    fn id(&self) -> &str;

    /// The relevance of each text to the query, in order, in millionths from 0 to 1,000,000. The end of a text that is longer
    /// than the model reads counts for nothing.
    ///
    /// # Errors
    /// [`RerankError`]; nothing is judged then.
    fn relevance<'a>(&'a self, query: &'a str, texts: &'a [String]) -> BoxFuture<'a, Result<Vec<u32>, RerankError>>;
}

/// What a relevance of one is in [`Reranker::relevance`].
pub const WHOLE: u32 = 1_000_000;

/// A share from 0 to 1 in millionths; none of what is no share.
pub fn millionths(share: f64) -> Option<u32> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number from 0 to a million")]
    let whole = |share: f64| (share * f64::from(WHOLE)).round() as u32;
    (0.0..=1.0).contains(&share).then(|| whole(share))
}

/// The share that a model's bare output stands for, which such models are trained with: the logistic function.
pub fn logistic(output: f64) -> f64 {
    1.0 / (1.0 + (-output).exp())
}

#[cfg(test)]
mod tests {
    use super::{logistic, millionths};

    #[test]
    fn a_share_is_millionths_and_nothing_else_is() {
        assert_eq!([0.0, 0.25, 1.0].map(millionths), [Some(0), Some(250_000), Some(1_000_000)]);
        assert_eq!([-0.1, 1.1, f64::NAN].map(millionths), [None; 3]);
        assert_eq!([0.0, -800.0, 800.0].map(logistic), [0.5, 0.0, 1.0]);
    }
}
