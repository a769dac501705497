//! Which model a text in the configuration names, and how it is made. Nothing here falls back to another.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use agent_runtime::{
    home::Home,
    models::{
        RoleModels,
        extractive::Extractive,
        llama::{Llama, LlamaEmbedder, LlamaEmbedderSettings, LlamaReranker, LlamaRerankerSettings, LlamaSettings},
        openai::{EmbeddingSettings, OpenAi, OpenAiEmbedder, OpenAiReranker, OpenAiSettings, SetupError},
    },
};
use common_ground::{
    port::{
        embedder::Embedder,
        model::{Model, ModelError},
        reranker::Reranker,
    },
    run::Models,
};

use crate::{
    config::{Config, Rerank, environment},
    exit::{Exit, Failure},
};

/// What a text names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spec<'a> {
    /// The built-in engine.
    Extractive,
    /// A GGUF file, by path or by name in the home's folder of models.
    Llama(&'a str),
    /// A model of a provider.
    Provider {
        /// The provider's name in configuration.
        provider: &'a str,
        /// The model's name there.
        name: &'a str,
    },
}

impl<'a> Spec<'a> {
    /// Reads `extractive`, `llama:NAME` or `PROVIDER:NAME`.
    ///
    /// # Errors
    /// A usage failure that shows the forms.
    pub fn parse(text: &'a str) -> Result<Self, Failure> {
        match text.split_once(':') {
            None if text == "extractive" => Ok(Self::Extractive),
            Some(("llama", name)) if !name.is_empty() => Ok(Self::Llama(name)),
            Some((provider, name)) if !provider.is_empty() && !name.is_empty() => Ok(Self::Provider { provider, name }),
            Some(_) | None => Err(Failure::new(
                Exit::Usage,
                format!("`{text}` names no model"),
                "write `extractive`, `llama:NAME` or `PROVIDER:NAME`; `ii models list` shows them",
            )),
        }
    }
}

/// Makes the model that `spec` names, and asks its server for the window where it has one that tells.
///
/// # Errors
/// An unknown provider or a key that is not set (3), a server that does not answer (4), each with the fix.
pub async fn make(spec: &str, home: &Home, config: &Config) -> Result<Arc<dyn Model>, Failure> {
    match Spec::parse(spec)? {
        Spec::Extractive => Ok(Arc::new(Extractive::new())),
        Spec::Llama(name) => llama(name, home).await,
        Spec::Provider { provider, name } => {
            let mut model = remote(provider, name, config)?;
            model.ask_server().await.map_err(|error| from_model(&error))?;
            Ok(Arc::new(model))
        }
    }
}

/// Makes the models that the roles are played by, each once.
///
/// # Errors
/// As [`make`].
pub async fn cast(home: &Home, config: &Config, ids: &Models) -> Result<RoleModels, Failure> {
    let mut made: BTreeMap<&str, Arc<dyn Model>> = BTreeMap::new();
    for id in ids.distinct() {
        made.insert(id, make(id, home, config).await?);
    }
    let of =
        |id: &str| made.get(id).map(Arc::clone).ok_or_else(|| Failure::internal(format!("model {id} was not made")));
    Ok(RoleModels { principal: of(&ids.principal)?, associate: of(&ids.associate)?, verifier: of(&ids.verifier)? })
}

/// Loads a GGUF file: named in the home's folder of models, or a path.
async fn llama(name: &str, home: &Home) -> Result<Arc<dyn Model>, Failure> {
    let mut settings = LlamaSettings::new(LlamaSettings::find(name, &home.models()));
    // A path is made absolute, so that a run that is resumed elsewhere finds the same file.
    settings.id = match settings.path.canonicalize() {
        Ok(path) if !settings.path.starts_with(home.models()) => format!("llama:{}", path.display()),
        Ok(_) | Err(_) => format!("llama:{name}"),
    };
    let loaded = tokio::task::spawn_blocking(move || Llama::load(settings)).await.map_err(Failure::internal)?;
    let model = loaded.map_err(|error| {
        let what = error.to_string();
        let (what, fix) = what.split_once("; ").unwrap_or((&what, "`ii models list` shows the models there are"));
        Failure::new(Exit::Model, format!("llama:{name}: {what}"), fix)
    })?;
    Ok(Arc::new(model))
}

/// Makes the embedding model of the settings, where they name one.
///
/// # Errors
/// As [`make`]; a model that gives no vectors (4).
pub async fn embedder(home: &Home, config: &Config) -> Result<Option<Arc<dyn Embedder>>, Failure> {
    let Some(wanted) = &config.embeddings else { return Ok(None) };
    let refused = |what: String| {
        let what = format!("{}: {what}", wanted.model);
        let (what, fix) = what.split_once("; ").unwrap_or((&what, "see embeddings.model; `make models` fetches one"));
        Failure::new(Exit::Model, what, fix)
    };
    match Spec::parse(&wanted.model)? {
        Spec::Extractive => Err(refused("it makes no vectors".to_owned())),
        Spec::Llama(name) => {
            let settings = LlamaEmbedderSettings {
                id: wanted.model.clone(),
                path: LlamaSettings::find(name, &home.models()),
                threads: None,
                prefixes: wanted.prefixes.clone(),
            };
            let loaded = tokio::task::spawn_blocking(move || LlamaEmbedder::load(settings)).await;
            let model = loaded.map_err(Failure::internal)?.map_err(|error| refused(error.to_string()))?;
            Ok(Some(Arc::new(model)))
        }
        Spec::Provider { provider, name } => {
            let settings = EmbeddingSettings { dimensions: wanted.dimensions, prefixes: wanted.prefixes.clone() };
            let made = OpenAiEmbedder::new(remote(provider, name, config)?, settings).await;
            Ok(Some(Arc::new(made.map_err(|error| refused(error.to_string()))?)))
        }
    }
}

/// Makes the reranker of the settings, where they name one.
///
/// # Errors
/// As [`make`]; a model that judges no passages (4).
pub async fn reranker(home: &Home, config: &Config) -> Result<Option<(Arc<dyn Reranker>, u32)>, Failure> {
    let Some(Rerank { model: wanted, passages }) = &config.rerank else { return Ok(None) };
    let refused = |what: String| {
        let what = format!("{wanted}: {what}");
        let (what, fix) = what.split_once("; ").unwrap_or((&what, "see rerank.model"));
        Failure::new(Exit::Model, what, fix)
    };
    let model: Arc<dyn Reranker> = match Spec::parse(wanted)? {
        Spec::Extractive => return Err(refused("it judges no passages".to_owned())),
        Spec::Llama(name) => {
            let path = LlamaSettings::find(name, &home.models());
            let settings = LlamaRerankerSettings { id: wanted.clone(), path, threads: None };
            let loaded = tokio::task::spawn_blocking(move || LlamaReranker::load(settings)).await;
            Arc::new(loaded.map_err(Failure::internal)?.map_err(|error| refused(error.to_string()))?)
        }
        Spec::Provider { provider, name } => Arc::new(OpenAiReranker::new(remote(provider, name, config)?)),
    };
    Ok(Some((model, *passages)))
}

/// Makes a model of a provider; asks nobody.
///
/// # Errors
/// An unknown provider, a key that is not set, settings that make no client (3).
pub fn remote(provider: &str, name: &str, config: &Config) -> Result<OpenAi, Failure> {
    let Some(found) = config.providers.get(provider) else {
        let near = config.providers.keys().min_by_key(|known| strsim::damerau_levenshtein(known, provider));
        return Err(Failure::new(
            Exit::Configuration,
            format!("there is no provider `{provider}`"),
            format!("the nearest is `{}`; [providers.{provider}] makes one", near.map_or("openai", String::as_str)),
        ));
    };
    let key = found.env_key.as_deref().and_then(environment);
    if let (Some(variable), None) = (&found.env_key, &key) {
        return Err(Failure::new(
            Exit::Configuration,
            format!("provider {provider} wants a key, and {variable} is not set"),
            format!("set {variable}, or choose a model that needs none: `ii models list`"),
        ));
    }
    let settings = OpenAiSettings {
        id: format!("{provider}:{name}"),
        provider: provider.to_owned(),
        name: name.to_owned(),
        base_url: found.base_url.clone(),
        dialect: found.kind,
        key: key.map(Into::into),
        key_variable: found.env_key.clone(),
        headers: found.headers.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect(),
        retries: found.retries,
        retry_time: Duration::from_secs(found.retry_seconds),
        idle: Duration::from_secs(found.idle_seconds),
        window: found.window,
        sees: found.sees,
        price: found.price,
        ca_file: found.ca_file.clone(),
        max_tokens_field: found.max_tokens_field,
        tool_choice: found.tool_choice,
    };
    OpenAi::new(settings).map_err(|error| from_setup(&error))
}

fn from_setup(error: &SetupError) -> Failure {
    let fix = match error {
        SetupError::BaseUrl { provider, .. } => format!("mend providers.{provider}.base_url"),
        SetupError::Header { provider, .. } => {
            format!("mend providers.{provider}.headers, or the variable that env_key names: one line of plain text")
        }
        SetupError::Certificates { provider, .. } => format!("point providers.{provider}.ca_file at a PEM file"),
        SetupError::Client { .. } => "install the system's certificates (ca-certificates)".to_owned(),
    };
    Failure::new(Exit::Configuration, error.to_string(), fix)
}

/// A model's error; its reason names the fix already where there is one.
pub fn from_model(error: &ModelError) -> Failure {
    let fix = match error {
        ModelError::Unreachable { .. } => "try again later, or choose another: `ii models list`",
        ModelError::Refused { model, .. } => {
            return Failure::new(Exit::Model, error.to_string(), format!("`ii models probe {model}` tries it"));
        }
        ModelError::TooLarge { .. } => "ask for less, or choose a model with a larger window",
        ModelError::Cut { .. } => "allow a longer answer, or ask for less",
        ModelError::Broken { .. } => "try again; `ii models probe` shows what works",
    };
    Failure::new(Exit::Model, error.to_string(), fix)
}

#[cfg(test)]
mod tests {
    use super::Spec;

    #[test]
    fn a_model_is_written_in_three_ways() {
        assert_eq!(Spec::parse("extractive").expect("read"), Spec::Extractive);
        assert_eq!(Spec::parse("llama:a/b.gguf").expect("read"), Spec::Llama("a/b.gguf"));
        let ollama = Spec::Provider { provider: "ollama", name: "qwen3:8b" };
        assert_eq!(Spec::parse("ollama:qwen3:8b").expect("read"), ollama);
        for text in ["", "gpt", "openai:", ":x", "llama:"] {
            assert!(Spec::parse(text).expect_err(text).to_string().contains("PROVIDER:NAME"), "{text}");
        }
    }
}
