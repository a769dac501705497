//! What stands for the model in a build without llama.cpp: it cannot be made.

use common_ground::port::{
    BoxFuture,
    embedder::{EmbedError, Embedder, Purpose},
    model::{Model, ModelError, ModelRequest, ModelStream, Price},
    reranker::{RerankError, Reranker},
};
use receipts::Digest;

use super::{LlamaEmbedderSettings, LlamaError, LlamaRerankerSettings, LlamaSettings};

/// A model in this process. This build has none.
#[derive(Debug)]
pub enum Llama {}

impl Llama {
    /// Refuses.
    ///
    /// # Errors
    /// [`LlamaError::NotBuilt`] always.
    pub fn load(_settings: LlamaSettings) -> Result<Self, LlamaError> {
        Err(LlamaError::NotBuilt)
    }
}

impl Model for Llama {
    fn id(&self) -> &str {
        match *self {}
    }

    fn is_language_model(&self) -> bool {
        match *self {}
    }

    fn window(&self) -> Option<u64> {
        match *self {}
    }

    fn price(&self) -> Price {
        match *self {}
    }

    fn count_tokens<'a>(&'a self, _request: &'a ModelRequest) -> BoxFuture<'a, Result<u64, ModelError>> {
        match *self {}
    }

    fn complete<'a>(&'a self, _request: &'a ModelRequest) -> ModelStream<'a> {
        match *self {}
    }
}

/// An embedding model in this process. This build has none.
#[derive(Debug)]
pub enum LlamaEmbedder {}

impl LlamaEmbedder {
    /// Refuses.
    ///
    /// # Errors
    /// [`LlamaError::NotBuilt`] always.
    pub fn load(_settings: LlamaEmbedderSettings) -> Result<Self, LlamaError> {
        Err(LlamaError::NotBuilt)
    }
}

impl Embedder for LlamaEmbedder {
    fn id(&self) -> &str {
        match *self {}
    }

    fn space(&self) -> Digest {
        match *self {}
    }

    fn dimensions(&self) -> u32 {
        match *self {}
    }

    fn embed<'a>(&'a self, _: &'a [String], _: Purpose) -> BoxFuture<'a, Result<Vec<Vec<f32>>, EmbedError>> {
        match *self {}
    }
}

/// A reranker in this process. This build has none.
#[derive(Debug)]
pub enum LlamaReranker {}

impl LlamaReranker {
    /// Refuses.
    ///
    /// # Errors
    /// [`LlamaError::NotBuilt`] always.
    pub fn load(_settings: LlamaRerankerSettings) -> Result<Self, LlamaError> {
        Err(LlamaError::NotBuilt)
    }
}

impl Reranker for LlamaReranker {
    fn id(&self) -> &str {
        match *self {}
    }

    fn relevance<'a>(&'a self, _: &'a str, _: &'a [String]) -> BoxFuture<'a, Result<Vec<u32>, RerankError>> {
        match *self {}
    }
}

#[cfg(test)]
mod tests {
    use super::{Llama, LlamaError, LlamaSettings};

    #[test]
    fn a_build_without_it_says_so_and_how_to_get_one() {
        let error = Llama::load(LlamaSettings::new("any.gguf")).expect_err("there is none");
        assert!(matches!(error, LlamaError::NotBuilt) && error.to_string().contains("--features llama"));
    }
}
