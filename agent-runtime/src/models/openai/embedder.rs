//! Embeddings of any server that speaks OpenAI's `/embeddings`.
//!
//! **Invariant:** a server that answers with another number of vectors, or of another length, gives none at all.

use async_openai::config::Config;
use common_ground::port::{
    BoxFuture,
    embedder::{EmbedError, Embedder, Purpose},
    model::ModelError,
};
use receipts::Digest;
use serde_json::{Value, json};

use super::OpenAi;

/// Most texts of one request.
const MOST_TEXTS: usize = 64;

/// What is said of an embedding model beside its provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbeddingSettings {
    /// Numbers in a vector, where the model lets one choose; by default as many as it gives.
    pub dimensions: Option<u32>,
    /// Put before a query, where the model was trained so.
    pub query_prefix: String,
    /// Put before a passage, where the model was trained so.
    pub passage_prefix: String,
}

/// An embedding model of a provider.
#[derive(Debug)]
pub struct OpenAiEmbedder {
    api: OpenAi,
    settings: EmbeddingSettings,
    space: Digest,
    dimensions: u32,
}

impl OpenAiEmbedder {
    /// An embedding model of a provider; asks it for one vector, which says how long its vectors are.
    ///
    /// # Errors
    /// [`EmbedError`] when that is not answered.
    pub async fn new(api: OpenAi, settings: EmbeddingSettings) -> Result<Self, EmbedError> {
        let id = api.settings.id.clone();
        let probe = vectors(&api, &settings, &["length".to_owned()]).await?;
        let dimensions = probe.first().map_or(0, Vec::len);
        let dimensions = u32::try_from(dimensions).ok().filter(|length| (1..=16_384).contains(length));
        let reason = || "its vectors have no usable length; check that it is an embedding model".to_owned();
        let dimensions = dimensions.ok_or_else(|| EmbedError::Refused { model: id, reason: reason() })?;
        // What weights a server runs cannot be seen from here: its address and the model's name stand for them.
        let parts = [
            "ii/embedding/1",
            &api.settings.base_url,
            &api.settings.name,
            &dimensions.to_string(),
            &settings.query_prefix,
            &settings.passage_prefix,
        ];
        let space = Digest::of(parts.join("\n").as_bytes());
        Ok(Self { api, settings, space, dimensions })
    }
}

impl Embedder for OpenAiEmbedder {
    fn id(&self) -> &str {
        &self.api.settings.id
    }

    fn space(&self) -> Digest {
        self.space
    }

    fn dimensions(&self) -> u32 {
        self.dimensions
    }

    fn embed<'a>(&'a self, texts: &'a [String], purpose: Purpose) -> BoxFuture<'a, Result<Vec<Vec<f32>>, EmbedError>> {
        Box::pin(async move {
            let prefix = match purpose {
                Purpose::Passage => &self.settings.passage_prefix,
                Purpose::Query => &self.settings.query_prefix,
            };
            let mut found = Vec::with_capacity(texts.len());
            for some in texts.chunks(MOST_TEXTS) {
                let some: Vec<String> = some.iter().map(|text| format!("{prefix}{text}")).collect();
                found.extend(vectors(&self.api, &self.settings, &some).await?);
            }
            if found.iter().any(|vector| vector.len() != self.dimensions as usize) {
                let reason = format!("a vector has not {} numbers, as the first one had", self.dimensions);
                return Err(EmbedError::Refused { model: self.id().to_owned(), reason });
            }
            Ok(found)
        })
    }
}

/// The vectors of some texts, at length one.
async fn vectors(api: &OpenAi, settings: &EmbeddingSettings, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError> {
    let mut body = json!({ "model": api.settings.name, "input": texts, "encoding_format": "float" });
    if let Some(dimensions) = settings.dimensions {
        body["dimensions"] = dimensions.into();
    }
    let endpoint: &dyn Config = &*api.endpoint;
    let request = api.http.post(endpoint.url("/embeddings")).headers(endpoint.headers()).json(&body);
    let answer = api.transport(0).json(request).await.map_err(from_model)?;
    let data = answer.get("data").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut found = vec![None; texts.len()];
    for (place, item) in data.iter().enumerate() {
        // Servers that leave the index out keep the order.
        let index = item.get("index").and_then(Value::as_u64).and_then(|index| usize::try_from(index).ok());
        if let Some(slot) = found.get_mut(index.unwrap_or(place)) {
            *slot = item.get("embedding").and_then(unit);
        }
    }
    found.into_iter().collect::<Option<Vec<_>>>().ok_or_else(|| EmbedError::Refused {
        model: api.settings.id.clone(),
        reason: format!(
            "it did not answer {} texts with as many vectors; check that it is an embedding model",
            texts.len()
        ),
    })
}

/// A vector at length one, if it is one.
fn unit(vector: &Value) -> Option<Vec<f32>> {
    let numbers: Vec<f64> = vector.as_array()?.iter().map(Value::as_f64).collect::<Option<_>>()?;
    let length = numbers.iter().map(|number| number * number).sum::<f64>().sqrt();
    #[expect(clippy::cast_possible_truncation, reason = "a number between -1 and 1")]
    let unit = |number: f64| (number / length) as f32;
    length.is_normal().then(|| numbers.into_iter().map(unit).collect())
}

fn from_model(error: ModelError) -> EmbedError {
    let reason = error.to_string();
    match error {
        ModelError::Unreachable { model, .. } => EmbedError::Unreachable { model, reason },
        ModelError::Refused { model, .. }
        | ModelError::TooLarge { model, .. }
        | ModelError::Cut { model, .. }
        | ModelError::Broken { model, .. } => EmbedError::Refused { model, reason },
    }
}
