//! Embedding models as the commons sees them: texts in, vectors of one length out.
//!
//! **Invariant:** vectors are compared only where [`Embedder::space`] is equal: it is another one as soon as weights,
//! prefixes or the number of dimensions are.

use receipts::Digest;

use super::BoxFuture;

/// What a text is embedded for; some models want to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be found.
    Passage,
    /// To find passages.
    Query,
}

/// What some models want put before their texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prefixes {
    /// Before a query.
    pub query: String,
    /// Before a passage.
    pub passage: String,
}

impl Prefixes {
    /// A text as the model is to read it.
    pub fn put(&self, purpose: Purpose, text: &str) -> String {
        let prefix = match purpose {
            Purpose::Passage => &self.passage,
            Purpose::Query => &self.query,
        };
        format!("{prefix}{text}")
    }

    /// Names the space of vectors that a model makes behind these prefixes: `model` is all else that its vectors depend on.
    pub fn space(&self, model: &[&str]) -> Digest {
        let parts = model.iter().copied().chain([self.query.as_str(), self.passage.as_str()]);
        // Each part behind its length, so that no two lists of parts are the same bytes.
        let told: String = parts.map(|part| format!("{}:{part}", part.len())).collect();
        Digest::of(format!("ii/embedding/1\n{told}").as_bytes())
    }
}

/// A vector at length one; none of what has no length.
pub fn unit(numbers: &[f64]) -> Option<Vec<f32>> {
    let length = numbers.iter().map(|number| number * number).sum::<f64>().sqrt();
    #[expect(clippy::cast_possible_truncation, reason = "a number between -1 and 1")]
    let unit = |number: &f64| (number / length) as f32;
    length.is_normal().then(|| numbers.iter().map(unit).collect())
}

/// Why a text was not embedded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EmbedError {
    /// Nobody answers; what came before stands.
    #[error("embedding model {model} is not reachable: {reason}")]
    Unreachable {
        /// Its id.
        model: String,
        /// The cause, with the fix.
        reason: String,
    },
    /// It answers, but with no vectors of the length it should.
    #[error("embedding model {model} refuses: {reason}")]
    Refused {
        /// Its id.
        model: String,
        /// The cause, with the fix.
        reason: String,
    },
}

/// A model that turns texts into vectors of length one, whose scalar product says how near their meanings are.
pub trait Embedder: Send + Sync {
    /// Its id, as configuration names it.
    fn id(&self) -> &str;

    /// Names the space its vectors lie in.
    fn space(&self) -> Digest;

    /// Numbers in a vector.
    fn dimensions(&self) -> u32;

    /// One vector of [`Embedder::dimensions`] numbers for each text, in order. The end of a text that is longer than the
    /// model reads counts for nothing.
    ///
    /// # Errors
    /// [`EmbedError`]; no vector is given then.
    fn embed<'a>(&'a self, texts: &'a [String], purpose: Purpose) -> BoxFuture<'a, Result<Vec<Vec<f32>>, EmbedError>>;
}

#[cfg(test)]
mod tests {
    use super::{Prefixes, unit};

    #[test]
    fn each_part_of_a_model_names_its_space() {
        let of = |query: &str, passage: &str| Prefixes { query: query.to_owned(), passage: passage.to_owned() };
        let spaces = [
            of("", "").space(&["m"]),
            of("q", "").space(&["m"]),
            of("", "q").space(&["m"]),
            of("", "").space(&["m", "q"]),
            of("1:q", "").space(&["m"]),
            of("", "").space(&["mq"]),
        ];
        for (place, one) in spaces.iter().enumerate() {
            assert!(!spaces[..place].contains(one), "{place}");
        }
        assert_eq!(of("q", "p").space(&["m"]), of("q", "p").space(&["m"]));
    }

    #[test]
    fn what_has_no_length_is_no_vector() {
        assert_eq!(unit(&[3.0, 4.0]), Some(vec![0.6, 0.8]));
        for none in [&[][..], &[0.0, 0.0], &[f64::NAN], &[f64::INFINITY, 1.0]] {
            assert_eq!(unit(none), None);
        }
    }
}
