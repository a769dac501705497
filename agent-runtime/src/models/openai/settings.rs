//! What a provider is: where it listens, what it wants, how patient we are with it. A provider is data, not code.

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_openai::config::Config;
use common_ground::port::model::Price;
use reqwest::{
    Url,
    header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue},
};
use secrecy::{ExposeSecret, SecretString};

use crate::http::{innermost, install_cryptography, is_loopback};

/// Which server program answers: what it can be asked beside Chat Completions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAI itself: its tokenizers are public, its windows are not told.
    OpenAi,
    /// llama.cpp's server: counts tokens and tells the window of a slot.
    LlamaServer,
    /// vLLM: counts tokens and tells the window.
    Vllm,
    /// Ollama: tells the window of a loaded model.
    Ollama,
    /// LM Studio: tells the window of a loaded model.
    LmStudio,
    /// Anything else that speaks Chat Completions.
    Compatible,
}

impl Dialect {
    /// Every dialect by its name in configuration.
    pub const ALL: [(&'static str, Self); 6] = [
        ("openai", Self::OpenAi),
        ("llama-server", Self::LlamaServer),
        ("vllm", Self::Vllm),
        ("ollama", Self::Ollama),
        ("lmstudio", Self::LmStudio),
        ("compatible", Self::Compatible),
    ];
}

/// The name of the field that bounds an answer. OpenAI's newer models refuse the old name; older servers ignore the new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaxTokensField {
    /// `max_tokens`.
    MaxTokens,
    /// `max_completion_tokens`.
    MaxCompletionTokens,
}

/// How a call is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolChoice {
    /// The server makes the model call a tool.
    Required,
    /// The model may also answer with text, for servers that refuse `required`.
    Auto,
    /// The answer is JSON under a schema made of the tools' own, and a call is made of it: one a time. For servers that
    /// hold an answer to a schema better than to a call; llama-server lets any text stand before a call, without end.
    Schema,
}

/// A provider, one model of it, and how patient we are. Its `Debug` shows no key and no header's value.
#[derive(Debug, Clone)]
pub struct OpenAiSettings {
    /// The model's id, as configuration and receipts name it: `PROVIDER:NAME`.
    pub id: String,
    /// The provider's name in configuration, for fixes.
    pub provider: String,
    /// The model's name on the wire.
    pub name: String,
    /// Where Chat Completions are, usually ending in `/v1`.
    pub base_url: String,
    /// Which server program it is.
    pub dialect: Dialect,
    /// The key, where one is wanted.
    pub key: Option<SecretString>,
    /// The environment variable that holds the key, for fixes.
    pub key_variable: Option<String>,
    /// Further headers; their values may be secrets.
    pub headers: Vec<(String, SecretString)>,
    /// Most times a request is made again before there is an answer.
    pub retries: u32,
    /// Longest time from the first try to the beginning of the last.
    pub retry_time: Duration,
    /// Longest silence of the server.
    pub idle: Duration,
    /// The window in tokens, where a person knows better than the server.
    pub window: Option<u64>,
    /// Whether the model sees pictures, where a person knows better than the server.
    pub sees: Option<bool>,
    /// What tokens cost.
    pub price: Price,
    /// PEM file of certificate authorities to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// The field that bounds an answer.
    pub max_tokens_field: MaxTokensField,
    /// How a call is asked for.
    pub tool_choice: ToolChoice,
}

/// Settings that make no client. None of them names a key or a header's value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// The base URL is none.
    #[error("the base_url of provider {provider} is no http or https address: {reason}")]
    BaseUrl {
        /// The provider.
        provider: String,
        /// What is wrong.
        reason: String,
    },
    /// A header's name or value, or a key, cannot be sent.
    #[error("the header {header} of provider {provider} cannot be sent")]
    Header {
        /// The provider.
        provider: String,
        /// The header's name.
        header: String,
    },
    /// The certificates cannot be read.
    #[error("the ca_file {path} of provider {provider} cannot be used: {reason}")]
    Certificates {
        /// The provider.
        provider: String,
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// TLS cannot be set up.
    #[error("no HTTP client for provider {provider}: {reason}")]
    Client {
        /// The provider.
        provider: String,
        /// What is wrong.
        reason: String,
    },
}

/// Address and headers as async-openai wants them.
pub(super) struct Endpoint {
    base: String,
    root: Url,
    headers: HeaderMap,
    key: SecretString,
}

impl Endpoint {
    pub fn new(settings: &OpenAiSettings) -> Result<Self, SetupError> {
        let bad = |reason: String| SetupError::BaseUrl { provider: settings.provider.clone(), reason };
        let base = settings.base_url.trim_end_matches('/').to_owned();
        let mut root = Url::parse(&base).map_err(|error| bad(error.to_string()))?;
        if !matches!(root.scheme(), "http" | "https") || root.host_str().is_none() {
            return Err(bad("it wants http:// or https:// and a host".to_owned()));
        }
        if !root.username().is_empty() || root.password().is_some() {
            return Err(bad("it holds a name or password, which belong into env_key or headers".to_owned()));
        }
        let path = root.path().trim_end_matches('/').trim_end_matches("/v1").to_owned();
        root.set_path(&path);
        let mut headers = HeaderMap::new();
        if let Some(key) = &settings.key {
            headers.insert(
                AUTHORIZATION,
                secret_value(settings, "Authorization", &format!("Bearer {}", key.expose_secret()))?,
            );
        }
        for (name, value) in &settings.headers {
            let refused = || SetupError::Header { provider: settings.provider.clone(), header: name.clone() };
            let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_not_a_name| refused())?;
            headers.insert(key, secret_value(settings, name, value.expose_secret())?);
        }
        let key = settings.key.clone().unwrap_or_else(|| SecretString::from(String::new()));
        Ok(Self { base, root, headers, key })
    }

    /// The address of something beside Chat Completions, from the server's root.
    pub fn beside(&self, path: &str) -> String {
        format!("{}{path}", self.root.as_str().trim_end_matches('/'))
    }

    /// Whether the server is this very machine: no proxy leads there.
    pub fn is_loopback(&self) -> bool {
        self.root.host_str().is_some_and(is_loopback)
    }

    /// Whether it is reached without TLS.
    pub fn is_plain(&self) -> bool {
        self.root.scheme() == "http"
    }

    /// Host and port, for errors.
    pub fn place(&self) -> String {
        let host = self.root.host_str().unwrap_or_default();
        self.root.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }
}

fn secret_value(settings: &OpenAiSettings, header: &str, value: &str) -> Result<HeaderValue, SetupError> {
    let refused = |_not_a_value| SetupError::Header { provider: settings.provider.clone(), header: header.to_owned() };
    let mut value = HeaderValue::from_str(value).map_err(refused)?;
    value.set_sensitive(true);
    Ok(value)
}

impl Config for Endpoint {
    fn headers(&self) -> HeaderMap {
        self.headers.clone()
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn query(&self) -> Vec<(&str, &str)> {
        Vec::new()
    }

    fn api_base(&self) -> &str {
        &self.base
    }

    fn api_key(&self) -> &SecretString {
        &self.key
    }
}

/// The HTTP client of a provider: proxies by `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`, except to this very machine.
pub(super) fn http_client(settings: &OpenAiSettings, endpoint: &Endpoint) -> Result<reqwest::Client, SetupError> {
    install_cryptography();
    // A redirect would send the request, and perhaps the key, where nobody said it may go.
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(Duration::from_secs(10))
        .user_agent(concat!("ii/", env!("CARGO_PKG_VERSION")));
    if endpoint.is_loopback() {
        builder = builder.no_proxy();
    }
    if let Some(path) = &settings.ca_file {
        let refused = |reason: String| SetupError::Certificates {
            provider: settings.provider.clone(),
            path: path.display().to_string(),
            reason,
        };
        let pem = std::fs::read(path).map_err(|error| refused(error.to_string()))?;
        let found = reqwest::Certificate::from_pem_bundle(&pem).map_err(|_| refused("it is no PEM".to_owned()))?;
        if found.is_empty() {
            return Err(refused("it holds no certificate".to_owned()));
        }
        builder = builder.tls_certs_merge(found);
    } else if endpoint.is_plain() && endpoint.is_loopback() {
        // A machine without the system's certificates can still talk to itself.
        builder = builder.tls_certs_only([]);
    }
    builder.build().map_err(|error| SetupError::Client {
        provider: settings.provider.clone(),
        reason: innermost(&error.without_url()),
    })
}

/// A client for this very machine only: no proxy, no certificates, no patience beyond `within`.
pub(in crate::models) fn loopback_client(within: Duration) -> Option<reqwest::Client> {
    install_cryptography();
    let builder = reqwest::Client::builder().no_proxy().tls_certs_only([]).connect_timeout(within).timeout(within);
    builder.redirect(reqwest::redirect::Policy::none()).build().ok()
}

pub(super) type SharedEndpoint = Arc<Endpoint>;
