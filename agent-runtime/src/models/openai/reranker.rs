//! Reranking by any server with the `/rerank` that Cohere, Jina, vLLM and llama-server have.
//!
//! **Invariant:** a server that leaves a passage out, or judges it by something else than a number, judges none.

use async_openai::config::Config;
use common_ground::port::{
    BoxFuture,
    model::ModelError,
    reranker::{RerankError, Reranker, logistic, millionths},
};
use serde_json::{Value, json};

use super::OpenAi;

/// A reranker of a provider.
#[derive(Debug)]
pub struct OpenAiReranker(OpenAi);

impl OpenAiReranker {
    /// A reranker of a provider; asks nobody.
    pub fn new(api: OpenAi) -> Self {
        Self(api)
    }
}

impl Reranker for OpenAiReranker {
    fn id(&self) -> &str {
        &self.0.settings.id
    }

    fn relevance<'a>(&'a self, query: &'a str, texts: &'a [String]) -> BoxFuture<'a, Result<Vec<u32>, RerankError>> {
        Box::pin(async move {
            let api = &self.0;
            let body = json!({
                "model": api.settings.name, "query": query, "documents": texts, "top_n": texts.len(),
                "return_documents": false,
            });
            let endpoint: &dyn Config = &*api.endpoint;
            let request = api.http.post(endpoint.url("/rerank")).headers(endpoint.headers()).json(&body);
            let answer = api.transport(0).json(request).await.map_err(from_model)?;
            let mut found = vec![None; texts.len()];
            for item in answer.get("results").and_then(Value::as_array).into_iter().flatten() {
                let index = item.get("index").and_then(Value::as_u64).and_then(|index| usize::try_from(index).ok());
                if let Some(slot) = index.and_then(|index| found.get_mut(index)) {
                    *slot = item.get("relevance_score").and_then(Value::as_f64);
                }
            }
            let found = found.into_iter().collect::<Option<Vec<f64>>>().ok_or_else(|| {
                let reason = format!(
                    "it did not judge each of {} passages by a number; check that it is a reranker",
                    texts.len()
                );
                RerankError::Refused { model: self.id().to_owned(), reason }
            })?;
            // Some servers give shares, and some what the model puts out.
            let shares: Option<Vec<u32>> = found.iter().map(|one| millionths(*one)).collect();
            Ok(shares
                .unwrap_or_else(|| found.iter().map(|one| millionths(logistic(*one)).unwrap_or_default()).collect()))
        })
    }
}

fn from_model(error: ModelError) -> RerankError {
    let reason = error.to_string();
    match error {
        ModelError::Unreachable { model, .. } => RerankError::Unreachable { model, reason },
        ModelError::Refused { model, .. }
        | ModelError::TooLarge { model, .. }
        | ModelError::Cut { model, .. }
        | ModelError::Broken { model, .. } => RerankError::Refused { model, reason },
    }
}
