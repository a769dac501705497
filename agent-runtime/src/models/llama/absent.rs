//! What stands for the model in a build without llama.cpp: it cannot be made.

use common_ground::port::{
    BoxFuture,
    model::{Model, ModelError, ModelRequest, ModelStream, Price},
};

use super::{LlamaError, LlamaSettings};

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

#[cfg(test)]
mod tests {
    use super::{Llama, LlamaError, LlamaSettings};

    #[test]
    fn a_build_without_it_says_so_and_how_to_get_one() {
        let error = Llama::load(LlamaSettings::new("any.gguf")).expect_err("there is none");
        assert!(matches!(error, LlamaError::NotBuilt) && error.to_string().contains("--features llama"));
    }
}
