//! Any server that speaks OpenAI's Chat Completions, through async-openai.
//!
//! `settings` is what a provider is, `wire` the bytes, `answer` puts chunks together, `transport` is what async-openai sends
//! through, `beside` asks for windows and counts,
//! `embedder` for vectors, `reranker` for judgements of passages.
//!
//! **Invariant:** one model answers or none: nothing here ever turns to another model or another provider.
//! **Invariant:** no prompt, answer or key stands in an error, in `Debug`, or in a span of ours. async-openai logs pieces
//! it cannot read, so the program shuts its target out of the log.

mod answer;
mod beside;
mod embedder;
mod reranker;
mod settings;
mod transport;
mod wire;

use std::{
    collections::VecDeque,
    sync::{Arc, OnceLock},
};

use async_openai::{Client, config::Config, error::OpenAIError};
use common_ground::port::{
    BoxFuture,
    model::{Model, ModelError, ModelEvent, ModelRequest, ModelStream, ModelUsage, Price},
};
use futures_util::{Stream, StreamExt};
use std::pin::Pin;

pub use embedder::{EmbeddingSettings, OpenAiEmbedder};
pub use reranker::OpenAiReranker;
pub use settings::{Dialect, MaxTokensField, OpenAiSettings, SetupError, ToolChoice};

pub(super) use beside::json_within;
pub(super) use settings::loopback_client;

use answer::{Answer, Flaw};
use beside::{Beside, Counts};
use settings::{Endpoint, SharedEndpoint, http_client};
use transport::Transport;
use wire::{Chunk, Request};

/// A model of a provider.
pub struct OpenAi {
    settings: Arc<OpenAiSettings>,
    endpoint: SharedEndpoint,
    http: reqwest::Client,
    window: Option<u64>,
    sees: bool,
    counts: Counts,
    served: OnceLock<String>,
}

impl std::fmt::Debug for OpenAi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenAi").field("settings", &self.settings).field("window", &self.window).finish_non_exhaustive()
    }
}

type Chunks = Pin<Box<dyn Stream<Item = Result<Chunk, OpenAIError>> + Send>>;

impl OpenAi {
    /// A model by its settings; asks nobody yet, so its window is only what the settings say.
    ///
    /// # Errors
    /// Settings that make no client.
    pub fn new(settings: OpenAiSettings) -> Result<Self, SetupError> {
        let endpoint = Endpoint::new(&settings)?;
        let http = http_client(&settings, &endpoint)?;
        let window = settings.window;
        // All that OpenAI serves for chats sees; of others nothing is taken for granted.
        let sees = settings.sees.unwrap_or(settings.dialect == Dialect::OpenAi);
        Ok(Self {
            settings: Arc::new(settings),
            endpoint: Arc::new(endpoint),
            http,
            window,
            sees,
            counts: Counts::default(),
            served: OnceLock::new(),
        })
    }

    /// Asks the server for the window and whether the model sees, unless the settings say it.
    ///
    /// # Errors
    /// [`ModelError::Unreachable`] where the server would tell and does not answer.
    pub async fn ask_server(&mut self) -> Result<(), ModelError> {
        if self.window.is_none() {
            self.window = self.beside().window().await?;
        }
        if self.settings.sees.is_none() {
            // A server that tells its window and nothing of this is an older one.
            self.sees |= self.beside().sees().await;
        }
        Ok(())
    }

    /// The names of the models that the provider lists, in its order.
    ///
    /// # Errors
    /// As an answer has them: not reachable, or refused with the fix.
    pub async fn list(&self) -> Result<Vec<String>, ModelError> {
        let config: Arc<dyn Config> = Arc::clone(&self.endpoint) as Arc<dyn Config>;
        let request = self.http.get(config.url("/models")).headers(config.headers());
        let answer = self.transport(0).get(request).await?;
        let listed = answer.get("data").and_then(serde_json::Value::as_array).cloned().unwrap_or_default();
        Ok(listed.iter().filter_map(|model| Some(model.get("id")?.as_str()?.to_owned())).collect())
    }

    /// The model that the server says has answered first: an alias leads to a dated one.
    pub fn served(&self) -> Option<&str> {
        self.served.get().map(String::as_str)
    }

    fn beside(&self) -> Beside<'_> {
        Beside { settings: &self.settings, endpoint: &self.endpoint, http: &self.http }
    }

    fn wire<'a>(&'a self, request: &'a ModelRequest) -> Result<Request<'a>, ModelError> {
        Request::new(&self.settings, request)
            .map_err(|error| ModelError::Refused { model: self.settings.id.clone(), reason: error.to_string() })
    }

    async fn count(&self, request: &ModelRequest) -> Result<u64, ModelError> {
        let (request, pictures) = beside::without_pictures(&self.settings, request);
        let wire = self.wire(&request)?;
        let key = Counts::key(&wire);
        if let Some(count) = self.counts.get(&key) {
            return Ok(count.saturating_add(pictures));
        }
        let count = match self.beside().count(&wire).await? {
            Some(count) => count,
            None => beside::count_here(&self.settings, &request, &wire).await,
        };
        self.counts.put(key, count);
        Ok(count.saturating_add(pictures))
    }

    /// The most tokens of a request, without asking anybody.
    async fn count_here(&self, request: &ModelRequest) -> Result<u64, ModelError> {
        let (request, pictures) = beside::without_pictures(&self.settings, request);
        let words = beside::count_here(&self.settings, &request, &self.wire(&request)?).await;
        Ok(words.saturating_add(pictures))
    }

    fn transport(&self, max_tokens: u64) -> Transport {
        Transport {
            settings: Arc::clone(&self.settings),
            endpoint: Arc::clone(&self.endpoint),
            http: self.http.clone(),
            max_tokens,
            broke: Arc::default(),
        }
    }

    async fn begin(&self, request: &ModelRequest) -> Result<Reading, ModelError> {
        if let Some(window) = self.window {
            let need = self.count(request).await?.saturating_add(request.max_tokens);
            if need > window {
                return Err(ModelError::TooLarge { model: self.settings.id.clone(), need, window });
            }
        }
        let wire = self.wire(request)?;
        let transport = self.transport(request.max_tokens);
        let broke = Arc::clone(&transport.broke);
        let config: Arc<dyn Config> = Arc::clone(&self.endpoint) as Arc<dyn Config>;
        // A client per call costs some reference counts, and gives each call a place of its own for what broke it.
        let client = Client::build(self.http.clone(), config).with_http_service(transport);
        let opened = client.chat().create_stream_byot::<_, Chunk>(&wire).await;
        let chunks: Chunks = opened.map_err(|error| self.error_of(error, &broke))?;
        Ok(Reading { chunks, broke, answer: Answer::new(wire.writes_call()), ready: VecDeque::new() })
    }

    /// The next event of an answer under way, and whether there is more.
    async fn read(&self, mut reading: Reading, request: &ModelRequest) -> (Result<ModelEvent, ModelError>, State) {
        loop {
            if let Some(event) = reading.ready.pop_front() {
                return (Ok(event), State::Reading(Box::new(reading)));
            }
            let taken = match reading.chunks.next().await {
                Some(Ok(chunk)) => {
                    self.note_served(chunk.model.as_deref());
                    reading.answer.take(chunk)
                }
                // Nothing is missing of an answer that has ended; its usage may be.
                Some(Err(_late)) if reading.answer.has_ended() => return self.finish(reading, request).await,
                None => return self.finish(reading, request).await,
                Some(Err(error)) => return (Err(self.error_of(error, &reading.broke)), State::Ended),
            };
            match taken {
                Ok(events) => reading.ready.extend(events),
                Err(flaw) => return (Err(self.flawed(flaw, request)), State::Ended),
            }
        }
    }

    async fn finish(&self, reading: Reading, request: &ModelRequest) -> (Result<ModelEvent, ModelError>, State) {
        let reported = reading.answer.usage();
        let calls = match reading.answer.into_calls(request) {
            Ok(calls) => calls,
            Err(flaw) => return (Err(self.flawed(flaw, request)), State::Ended),
        };
        let used = match reported {
            Some(used) => used,
            // What was written is not known, so the most it can be is counted. The answer is whole: a server that cannot
            // count now takes nothing from it.
            None => {
                let counted = match self.count(request).await {
                    Ok(tokens) => Ok(tokens),
                    Err(_busy) => self.count_here(request).await,
                };
                let tokens_in = match counted {
                    Ok(tokens) => tokens,
                    Err(error) => return (Err(error), State::Ended),
                };
                ModelUsage { tokens_in, tokens_out: request.max_tokens, ..ModelUsage::default() }
            }
        };
        let mut rest: VecDeque<ModelEvent> = calls.into_iter().map(ModelEvent::Call).collect();
        rest.push_back(ModelEvent::Done(used));
        Self::say(rest)
    }

    /// The first of the last events.
    fn say(mut rest: VecDeque<ModelEvent>) -> (Result<ModelEvent, ModelError>, State) {
        let first = rest.pop_front().unwrap_or_else(|| ModelEvent::Done(ModelUsage::default()));
        (Ok(first), if rest.is_empty() { State::Ended } else { State::Ending(rest) })
    }

    fn note_served(&self, name: Option<&str>) {
        let Some(name) = name.filter(|name| !name.is_empty()) else { return };
        let first = self.served.get_or_init(|| name.chars().filter(|c| !c.is_control()).take(200).collect());
        if first != name {
            tracing::debug!(asked = %self.settings.name, "another model name than at first came with an answer");
        }
    }

    fn flawed(&self, flaw: Flaw, request: &ModelRequest) -> ModelError {
        let model = self.settings.id.clone();
        match flaw {
            Flaw::Length => ModelError::Cut { model, limit: request.max_tokens },
            Flaw::Withheld(reason) => ModelError::Refused { model, reason: reason.to_owned() },
            Flaw::Nonsense(reason) => ModelError::Broken { model, reason },
            Flaw::Server(error) => match error.too_large {
                Some(large) => ModelError::TooLarge {
                    model,
                    need: large.need.saturating_add(request.max_tokens),
                    window: if large.window > 0 { large.window } else { self.window.unwrap_or(0) },
                },
                None => {
                    let status = error.status.map(|status| format!(" {status}")).unwrap_or_default();
                    let words =
                        if error.words.is_empty() { String::new() } else { format!(" ({})", error.words.join(", ")) };
                    ModelError::Broken { model, reason: format!("the server broke it off with error{status}{words}") }
                }
            },
        }
    }

    fn error_of(&self, error: OpenAIError, broke: &OnceLock<ModelError>) -> ModelError {
        let broken = |reason: &str| ModelError::Broken { model: self.settings.id.clone(), reason: reason.to_owned() };
        if let Some(known) = broke.get() {
            return known.clone();
        }
        match error {
            OpenAIError::Boxed(inner) => match inner.downcast::<ModelError>() {
                Ok(known) => *known,
                Err(_other) => broken("the transport failed"),
            },
            OpenAIError::JSONDeserialize(..) => broken("an event is no JSON of a chat completion"),
            OpenAIError::StreamError(_) => broken("what came is no stream of events"),
            OpenAIError::Reqwest(_)
            | OpenAIError::ApiError(_)
            | OpenAIError::FileSaveError(_)
            | OpenAIError::FileReadError(_)
            | OpenAIError::InvalidArgument(_) => broken("the request could not be made"),
        }
    }
}

/// An answer under way.
struct Reading {
    chunks: Chunks,
    broke: Arc<OnceLock<ModelError>>,
    answer: Answer,
    ready: VecDeque<ModelEvent>,
}

/// Where the stream of an answer stands.
enum State {
    Start,
    Reading(Box<Reading>),
    Ending(VecDeque<ModelEvent>),
    Ended,
}

impl Model for OpenAi {
    fn id(&self) -> &str {
        &self.settings.id
    }

    fn is_language_model(&self) -> bool {
        true
    }

    fn sees(&self) -> bool {
        self.sees
    }

    fn window(&self) -> Option<u64> {
        self.window
    }

    fn price(&self) -> Price {
        self.settings.price
    }

    fn count_tokens<'a>(&'a self, request: &'a ModelRequest) -> BoxFuture<'a, Result<u64, ModelError>> {
        Box::pin(self.count(request))
    }

    fn complete<'a>(&'a self, request: &'a ModelRequest) -> ModelStream<'a> {
        Box::pin(futures_util::stream::unfold(State::Start, move |state| async move {
            match state {
                State::Start => match self.begin(request).await {
                    Ok(reading) => Some(self.read(reading, request).await),
                    Err(error) => Some((Err(error), State::Ended)),
                },
                State::Reading(reading) => Some(self.read(*reading, request).await),
                State::Ending(rest) => Some(Self::say(rest)),
                State::Ended => None,
            }
        }))
    }
}
