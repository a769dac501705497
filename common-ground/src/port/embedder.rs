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
