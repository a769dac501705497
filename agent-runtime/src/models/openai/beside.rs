//! What servers tell beside Chat Completions: the window of a model, how many tokens a request has, which models there are.
//!
//! Windows are asked, never guessed: where a server does not tell, there is none.

use std::{borrow::Cow, collections::HashMap, sync::Mutex, time::Duration};

use common_ground::port::model::{ModelError, ModelRequest, Turn};
use futures_util::StreamExt;
use receipts::Digest;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::{
    settings::{Dialect, Endpoint, OpenAiSettings},
    wire::Request,
};

/// Longest wait for an answer beside Chat Completions; loading a model into Ollama can take this long.
const PATIENCE: Duration = Duration::from_secs(120);
/// First pause before such a question is asked again; four times as long each time.
const FIRST_PAUSE: Duration = Duration::from_millis(30);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Most bytes of such an answer: the tokens of a long prompt as numbers.
const MOST_BYTES: usize = 32 << 20;
/// Most counts remembered.
const MOST_COUNTS: usize = 256;
/// Tokens a chat template may put around a turn, and around a list of tools, where nobody counts them for us. Templates in
/// use need under 10 and about 200.
const AROUND_A_TURN: u64 = 32;
const AROUND_TOOLS: u64 = 512;

/// Asks a provider beside Chat Completions.
pub(super) struct Beside<'a> {
    pub settings: &'a OpenAiSettings,
    pub endpoint: &'a Endpoint,
    pub http: &'a reqwest::Client,
}

/// Why there is no answer to such a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unanswered {
    /// Nobody answers.
    Silent,
    /// The connection broke, or the server is busy for a moment.
    Broken,
    /// The server does not know the question, or answers something else.
    Unknown,
}

impl Beside<'_> {
    async fn ask(&self, request: RequestBuilder) -> Result<Value, Unanswered> {
        use async_openai::config::Config;
        let request = request.headers(self.endpoint.headers());
        let mut pause = FIRST_PAUSE;
        loop {
            // A body of JSON can always be sent again.
            let again = request.try_clone().ok_or(Unanswered::Unknown)?;
            let answered = tokio::time::timeout(PATIENCE, send(again, MOST_BYTES)).await;
            match answered.unwrap_or(Err(Unanswered::Silent)) {
                // A server may close a kept connection just when it is used again; these questions change nothing.
                Err(Unanswered::Broken) if pause < LONGEST_PAUSE => tokio::time::sleep(pause).await,
                other => return other,
            }
            pause *= 4;
        }
    }

    async fn get(&self, path: &str) -> Result<Value, Unanswered> {
        self.ask(self.http.get(self.endpoint.beside(path))).await
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Value, Unanswered> {
        self.ask(self.http.post(self.endpoint.beside(path)).json(body)).await
    }

    fn unreachable(&self) -> ModelError {
        let place = self.endpoint.place();
        let fix = match self.settings.dialect {
            Dialect::LlamaServer | Dialect::Vllm | Dialect::Ollama | Dialect::LmStudio => "start it, or see",
            Dialect::OpenAi | Dialect::Compatible => "see",
        };
        let reason = format!("{place} does not answer; {fix} providers.{}.base_url", self.settings.provider);
        ModelError::Unreachable { model: self.settings.id.clone(), reason }
    }

    /// The window the server tells of, in tokens.
    ///
    /// # Errors
    /// [`ModelError::Unreachable`] where the server would tell and does not answer.
    pub async fn window(&self) -> Result<Option<u64>, ModelError> {
        let name = self.settings.name.as_str();
        let told = match self.settings.dialect {
            Dialect::OpenAi | Dialect::Compatible => Ok(None),
            // The window of one slot: what `--ctx-size` leaves for a request when there are several.
            Dialect::LlamaServer => self
                .get("/props")
                .await
                .map(|props| props.pointer("/default_generation_settings/n_ctx").and_then(Value::as_u64)),
            Dialect::Vllm => self.get("/v1/models").await.map(|models| {
                let listed = models.get("data")?.as_array()?;
                let this = listed.iter().find(|model| model.get("id").and_then(Value::as_str) == Some(name))?;
                this.get("max_model_len")?.as_u64()
            }),
            Dialect::Ollama => self.ollama_window().await,
            Dialect::LmStudio => self.get(&format!("/api/v0/models/{name}")).await.map(|model| {
                let length = |key: &str| model.get(key).and_then(Value::as_u64);
                length("loaded_context_length").or_else(|| length("max_context_length"))
            }),
        };
        match told {
            Ok(window) => Ok(window.filter(|window| *window > 0)),
            Err(Unanswered::Unknown) => Ok(None),
            Err(Unanswered::Silent | Unanswered::Broken) => Err(self.unreachable()),
        }
    }

    /// Whether the server says that the model sees pictures.
    pub async fn sees(&self) -> bool {
        let name = self.settings.name.as_str();
        let told = match self.settings.dialect {
            Dialect::OpenAi | Dialect::Compatible | Dialect::Vllm => return false,
            Dialect::LlamaServer => {
                self.get("/props").await.map(|props| props.pointer("/modalities/vision") == Some(&Value::Bool(true)))
            }
            Dialect::Ollama => self.post("/api/show", &json!({ "model": name })).await.map(|model| {
                let can = model.get("capabilities").and_then(Value::as_array);
                can.is_some_and(|can| can.iter().any(|one| one == "vision"))
            }),
            Dialect::LmStudio => self
                .get(&format!("/api/v0/models/{name}"))
                .await
                .map(|model| model.get("type").and_then(Value::as_str) == Some("vlm")),
        };
        told.unwrap_or(false)
    }

    /// Ollama cuts a prompt that is too long without a word, and tells the window of a model only once it is loaded.
    async fn ollama_window(&self) -> Result<Option<u64>, Unanswered> {
        let name = self.settings.name.as_str();
        for loaded in [false, true] {
            let running = self.get("/api/ps").await?;
            let models = running.get("models").and_then(Value::as_array).cloned().unwrap_or_default();
            let is_this = |model: &&Value| {
                ["name", "model"]
                    .iter()
                    .filter_map(|key| model.get(key)?.as_str())
                    .any(|found| found == name || found.strip_suffix(":latest") == Some(name))
            };
            if let Some(window) = models.iter().find(is_this).and_then(|model| model.get("context_length")?.as_u64()) {
                return Ok(Some(window));
            }
            if !loaded {
                self.post("/api/generate", &json!({ "model": name, "stream": false })).await?;
            }
        }
        Ok(None)
    }

    /// The tokens of a request by the server's own count, where it counts.
    pub async fn count(&self, wire: &Request<'_>) -> Result<Option<u64>, ModelError> {
        let body = serde_json::to_value(wire).unwrap_or_default();
        let counted = match self.settings.dialect {
            Dialect::LlamaServer => self.llama_server_count(&body).await,
            Dialect::Vllm => {
                let ask = json!({ "model": body["model"], "messages": body["messages"], "tools": body.get("tools"),
                    "add_generation_prompt": true });
                self.post("/tokenize", &ask).await.map(|answer| answer.get("count").and_then(Value::as_u64))
            }
            Dialect::OpenAi | Dialect::Ollama | Dialect::LmStudio | Dialect::Compatible => Ok(None),
        };
        match counted {
            Ok(count) => Ok(count),
            Err(Unanswered::Unknown) => Ok(None),
            Err(Unanswered::Silent | Unanswered::Broken) => Err(self.unreachable()),
        }
    }

    /// The prompt as the server's chat template writes it, then its tokens: what the model will really read.
    async fn llama_server_count(&self, body: &Value) -> Result<Option<u64>, Unanswered> {
        let templated = self.post("/apply-template", body).await?;
        let Some(prompt) = templated.get("prompt").and_then(Value::as_str) else { return Ok(None) };
        let ask = json!({ "content": prompt, "add_special": true, "parse_special": true });
        let answer = self.post("/tokenize", &ask).await?;
        Ok(answer.get("tokens").and_then(Value::as_array).map(|tokens| tokens.len() as u64))
    }
}

/// Sends a request and reads its answer as JSON.
async fn send(request: RequestBuilder, most: usize) -> Result<Value, Unanswered> {
    let response = request.send().await.map_err(|error| {
        if error.is_connect() || error.is_timeout() { Unanswered::Silent } else { Unanswered::Broken }
    })?;
    if !response.status().is_success() {
        let passing = matches!(response.status().as_u16(), 502..=504);
        return Err(if passing { Unanswered::Broken } else { Unanswered::Unknown });
    }
    read_json(response, most).await
}

/// Reads a body of at most so many bytes as JSON.
pub(super) async fn read_json(response: reqwest::Response, most: usize) -> Result<Value, Unanswered> {
    let mut body = Vec::new();
    let mut pieces = response.bytes_stream();
    while let Some(piece) = pieces.next().await {
        body.extend_from_slice(&piece.map_err(|_cut| Unanswered::Broken)?);
        if body.len() > most {
            return Err(Unanswered::Unknown);
        }
    }
    serde_json::from_slice(&body).map_err(|_not_json| Unanswered::Unknown)
}

/// JSON from a server that may be none of ours, within a time and a size; `None` for anything else.
pub(in crate::models) async fn json_within(request: RequestBuilder, time: Duration) -> Option<Value> {
    tokio::time::timeout(time, send(request, 1 << 20)).await.ok()?.ok()
}

/// The request in its words alone, and the most tokens that its pictures cost: no tokenizer counts those.
pub(super) fn without_pictures<'a>(
    settings: &OpenAiSettings,
    request: &'a ModelRequest,
) -> (Cow<'a, ModelRequest>, u64) {
    // OpenAI bills eight tiles of a picture at most, and for these models 5,667 tokens each beside 2,833.
    const OF_4O_MINI: u64 = 2_833 + 8 * 5_667;
    let dear = settings.dialect == Dialect::OpenAi && settings.name.starts_with("gpt-4o-mini");
    let cost = |turn: &Turn| match turn {
        Turn::Pictures { pictures } => {
            let each = pictures.iter().map(|shown| shown.picture.most_tokens().max(if dear { OF_4O_MINI } else { 0 }));
            each.map(|tokens| tokens.saturating_add(AROUND_A_TURN)).fold(0, u64::saturating_add)
        }
        Turn::Rules { .. } | Turn::Task { .. } | Turn::Model { .. } | Turn::Tool { .. } => 0,
    };
    let tokens = request.turns.iter().map(cost).fold(0, u64::saturating_add);
    if tokens == 0 {
        return (Cow::Borrowed(request), 0);
    }
    let words = request.turns.iter().filter(|turn| !matches!(turn, Turn::Pictures { .. })).cloned().collect();
    // Field by field: a clone of the whole would copy every picture.
    let words = ModelRequest {
        model: request.model.clone(),
        role: request.role,
        turns: words,
        tools: request.tools.clone(),
        reply: request.reply.clone(),
        max_tokens: request.max_tokens,
    };
    (Cow::Owned(words), tokens)
}

/// An upper bound without the server: OpenAI's own tokenizers where the model is theirs, else the bytes of the text, since
/// each token stands for at least one.
pub(super) async fn count_here(settings: &OpenAiSettings, request: &ModelRequest, wire: &Request<'_>) -> u64 {
    let texts = serde_json::to_string(&wire.messages).unwrap_or_default();
    let tools =
        if wire.tools.is_empty() { String::new() } else { serde_json::to_string(&wire.tools).unwrap_or_default() };
    let schema = match &request.reply {
        common_ground::port::model::Reply::Json { schema, .. } => schema.clone(),
        common_ground::port::model::Reply::Calls | common_ground::port::model::Reply::Text => String::new(),
    };
    let around = AROUND_A_TURN * (request.turns.len() as u64 + 1) + if tools.is_empty() { 0 } else { AROUND_TOOLS };
    let bytes = (texts.len() + tools.len() + schema.len()) as u64;
    let tokens = match settings.dialect {
        Dialect::OpenAi => by_openai(settings.name.clone(), [texts, tools, schema]).await.unwrap_or(bytes),
        Dialect::LlamaServer | Dialect::Vllm | Dialect::Ollama | Dialect::LmStudio | Dialect::Compatible => bytes,
    };
    tokens.saturating_add(around)
}

/// Counted on a thread of its own: a vocabulary takes a fifth of a second to read, and a long text some milliseconds.
async fn by_openai(name: String, texts: [String; 3]) -> Option<u64> {
    let count = move || {
        // Models newer than the table have the newest vocabulary in common.
        let vocabulary = tiktoken_rs::bpe_for_model(&name).unwrap_or_else(|_newer| tiktoken_rs::o200k_base_singleton());
        texts.iter().map(|text| vocabulary.count_ordinary(text) as u64).sum()
    };
    tokio::task::spawn_blocking(count).await.ok()
}

/// Counts already made, so that a request is counted once and always the same.
#[derive(Debug, Default)]
pub(super) struct Counts {
    // A lock, since calls of one model run side by side; held for one look-up.
    known: Mutex<HashMap<Digest, u64>>,
}

impl Counts {
    /// What a request is remembered by: everything the model reads of it.
    pub fn key(wire: &Request<'_>) -> Digest {
        Digest::of(&serde_json::to_vec(wire).unwrap_or_default())
    }

    pub fn get(&self, key: &Digest) -> Option<u64> {
        let known = self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        known.get(key).copied()
    }

    pub fn put(&self, key: Digest, count: u64) {
        let mut known = self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if known.len() >= MOST_COUNTS {
            known.clear();
        }
        known.insert(key, count);
    }
}
