//! A reranker in this process: a GGUF file that reads a question and a passage together.

use common_ground::port::{
    BoxFuture,
    reranker::{RerankError, Reranker, logistic, millionths},
};
use llama_cpp_2::token::LlamaToken;

use super::{
    LlamaError, LlamaRerankerSettings,
    pooled::{Pooled, Wanted},
};

const JUDGEMENT: Wanted = Wanted { pooling: &["4"], otherwise: "it judges no passages; take a reranker" };
/// A question's share of what the model reads, at most: the passage is what is to be judged.
const QUESTION: usize = 2;

/// A reranker in this process.
pub struct LlamaReranker {
    settings: LlamaRerankerSettings,
    pooled: Pooled,
}

impl std::fmt::Debug for LlamaReranker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LlamaReranker").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl LlamaReranker {
    /// Loads a file, which takes as long as reading it twice; not for an async thread.
    ///
    /// # Errors
    /// [`LlamaError`] names the file and what to do.
    pub fn load(settings: LlamaRerankerSettings) -> Result<Self, LlamaError> {
        let pooled = Pooled::load(&settings.path, settings.threads, &JUDGEMENT)?;
        Ok(Self { settings, pooled })
    }

    /// Question and passage with the marks between them that the vocabulary has.
    fn pair(&self, query: &str, text: &str) -> Vec<LlamaToken> {
        let vocabulary = self.pooled.model.vocab();
        let (sep, eos) = (vocabulary.sep(), vocabulary.eos());
        // Some vocabularies have the one, some the other.
        let none = |token: LlamaToken| token.0 < 0;
        let end = if none(eos) { sep } else { eos };
        let mark = |wanted: bool, token: LlamaToken| (wanted && !none(token)).then_some(token);
        let mut query = vocabulary.tokenize(query.as_bytes(), false, false);
        query.truncate(self.pooled.window / QUESTION);
        let mut tokens: Vec<LlamaToken> = mark(vocabulary.should_add_bos(), vocabulary.bos()).into_iter().collect();
        tokens.extend(query);
        tokens.extend(mark(vocabulary.should_add_eos(), end));
        tokens.extend(mark(vocabulary.should_add_sep(), sep));
        tokens.extend(vocabulary.tokenize(text.as_bytes(), false, false));
        let last = mark(vocabulary.should_add_eos(), end);
        tokens.truncate(self.pooled.window - usize::from(last.is_some()));
        tokens.extend(last);
        tokens
    }
}

impl Reranker for LlamaReranker {
    fn id(&self) -> &str {
        &self.settings.id
    }

    fn relevance<'a>(&'a self, query: &'a str, texts: &'a [String]) -> BoxFuture<'a, Result<Vec<u32>, RerankError>> {
        Box::pin(async move {
            let pairs = texts.iter().map(|text| self.pair(query, text)).collect();
            let judged = |numbers: Vec<f32>| numbers.first().and_then(|one| millionths(logistic(f64::from(*one))));
            let found = self.pooled.of(pairs).await.and_then(|found| {
                let found: Option<Vec<u32>> = found.into_iter().map(judged).collect();
                found.ok_or_else(|| "a judgement is no number; fetch the model again".to_owned())
            });
            found.map_err(|reason| RerankError::Refused { model: self.settings.id.clone(), reason })
        })
    }
}
