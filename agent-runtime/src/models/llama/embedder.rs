//! An embedding model in this process: a GGUF file whose tokens' vectors llama.cpp makes into one for a text.

use common_ground::port::{
    BoxFuture,
    embedder::{EmbedError, Embedder, Purpose, unit},
};
use llama_cpp_2::token::LlamaToken;
use receipts::Digest;

use super::{
    LlamaEmbedderSettings, LlamaError,
    pooled::{Pooled, Wanted},
};

/// Mean, first and last token; 0 makes no vector of a text, and 4 is a reranker's judgement.
const VECTORS: Wanted =
    Wanted { pooling: &["1", "2", "3"], otherwise: "it makes no vectors of texts; take an embedding model" };

/// An embedding model in this process.
pub struct LlamaEmbedder {
    settings: LlamaEmbedderSettings,
    space: Digest,
    dimensions: u32,
    pooled: Pooled,
}

impl std::fmt::Debug for LlamaEmbedder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LlamaEmbedder").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl LlamaEmbedder {
    /// Loads a file, which takes as long as reading it twice; not for an async thread.
    ///
    /// # Errors
    /// [`LlamaError`] names the file and what to do.
    pub fn load(settings: LlamaEmbedderSettings) -> Result<Self, LlamaError> {
        let pooled = Pooled::load(&settings.path, settings.threads, &VECTORS)?;
        // The file's own digest stands for all that is in it.
        let space = settings.prefixes.space(&[&pooled.file.to_string()]);
        let dimensions = u32::try_from(pooled.model.n_embd_out()).ok().filter(|length| *length > 0);
        let dimensions = dimensions.ok_or_else(|| {
            let reason = "its vectors have no length".to_owned();
            LlamaError::Unsupported { path: settings.path.clone(), reason }
        })?;
        Ok(Self { settings, space, dimensions, pooled })
    }

    fn tokens(&self, text: &str) -> Vec<LlamaToken> {
        let mut tokens = self.pooled.model.vocab().tokenize(text.as_bytes(), true, false);
        if tokens.len() > self.pooled.window {
            // The last token says that the text ends, in models that have one for it.
            let last = tokens.pop();
            tokens.truncate(self.pooled.window - 1);
            tokens.extend(last);
        }
        tokens
    }
}

impl Embedder for LlamaEmbedder {
    fn id(&self) -> &str {
        &self.settings.id
    }

    fn space(&self) -> Digest {
        self.space
    }

    fn dimensions(&self) -> u32 {
        self.dimensions
    }

    fn embed<'a>(&'a self, texts: &'a [String], purpose: Purpose) -> BoxFuture<'a, Result<Vec<Vec<f32>>, EmbedError>> {
        Box::pin(async move {
            let texts = texts.iter().map(|text| self.tokens(&self.settings.prefixes.put(purpose, text))).collect();
            let vector = |numbers: Vec<f32>| {
                let numbers: Vec<f64> = numbers.into_iter().map(f64::from).collect();
                unit(&numbers).ok_or("a vector has no length; fetch the model again")
            };
            let vectors = self.pooled.of(texts).await.and_then(|found| {
                found.into_iter().map(|numbers| vector(numbers).map_err(str::to_owned)).collect::<Result<_, _>>()
            });
            vectors.map_err(|reason| EmbedError::Refused { model: self.settings.id.clone(), reason })
        })
    }
}
