//! A model that runs in this process: a GGUF file, by llama.cpp.
//!
//! One thread owns the model's context and answers all requests together ([`scheduler`]); what requests have in common
//! at their beginning is computed once. Tool calls and JSON are decoded under a grammar made from their schemas
//! ([`schema`], [`grammar`]), so that they always parse and always end. llama.cpp ends the whole process where an
//! assertion of its own fails; so each file is read by [`header`] first and refused there.
//!
//! Built with the feature `llama`. Without it [`Llama::load`] says so and nothing of llama.cpp is compiled.
//!
//! **Invariant:** nothing waits for the model on the caller's thread but the reading of the file.

use std::path::{Path, PathBuf};

use common_ground::port::embedder::Prefixes;

#[cfg(not(feature = "llama"))]
mod absent;
#[cfg(feature = "llama")]
mod cells;
#[cfg(feature = "llama")]
mod chat;
#[cfg(feature = "llama")]
mod embedder;
#[cfg(feature = "llama")]
mod engine;
#[cfg(feature = "llama")]
mod grammar;
#[cfg(feature = "llama")]
mod header;
#[cfg(feature = "llama")]
mod memory;
#[cfg(feature = "llama")]
mod pattern;
#[cfg(feature = "llama")]
mod pooled;
#[cfg(feature = "llama")]
mod reply;
#[cfg(feature = "llama")]
mod reranker;
#[cfg(feature = "llama")]
mod sampler;
#[cfg(feature = "llama")]
mod scheduler;
#[cfg(feature = "llama")]
mod schema;
#[cfg(feature = "llama")]
mod template;
#[cfg(feature = "llama")]
mod text;
#[cfg(feature = "llama")]
mod vocabulary;

#[cfg(not(feature = "llama"))]
pub use absent::{Llama, LlamaEmbedder, LlamaReranker};
#[cfg(feature = "llama")]
pub use embedder::LlamaEmbedder;
#[cfg(feature = "llama")]
pub use engine::Llama;
#[cfg(feature = "llama")]
pub use reranker::LlamaReranker;

/// How a model file is run.
#[derive(Clone, Debug, PartialEq)]
pub struct LlamaSettings {
    /// The model's id, as configuration and receipts name it.
    pub id: String,
    /// The GGUF file.
    pub path: PathBuf,
    /// Most tokens of one request with its answer; by default what the file was trained for, 16,384 at most.
    pub window: Option<u32>,
    /// Most requests answered at once, 1 to 64.
    pub parallel: u32,
    /// Tokens remembered for all requests together; by default two windows.
    pub cells: Option<u32>,
    /// Threads that compute; by default the processors this process may use.
    pub threads: Option<u32>,
    /// Layers computed on a GPU; by default as many as its memory holds, in a build that has one.
    pub gpu_layers: Option<u32>,
    /// 0 always takes the likeliest token; 1 takes each as often as the model says.
    pub temperature: f32,
    /// Where chance begins. The same request is answered alike each time.
    pub seed: u64,
    /// Memory the model may take, in bytes; by default what the system says is available.
    pub memory: Option<u64>,
    /// Whether attention is computed in one pass over what a request remembers, and nothing else. Without it each step also
    /// scans what other requests remember, several times slower, and a request is answered beside others exactly as alone,
    /// to the last bit.
    pub fused_attention: bool,
    /// Whether what requests have in common at their beginning is computed once; only comparisons switch it off.
    pub share_prefixes: bool,
}

impl LlamaSettings {
    /// The usual settings for a file, which is known as `llama:` and its path.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self {
            id: format!("llama:{}", path.display()),
            path,
            window: None,
            parallel: 8,
            cells: None,
            threads: None,
            gpu_layers: None,
            temperature: 0.0,
            seed: 0,
            memory: None,
            fused_attention: true,
            share_prefixes: true,
        }
    }

    /// The file that a name in configuration means: a path where it has a separator or leads to a file, else the file of
    /// that name in the folder of models, with or without `.gguf`.
    pub fn find(name: &str, models: &Path) -> PathBuf {
        let path = PathBuf::from(name);
        if name.contains(['/', '\\']) || path.is_file() {
            return path;
        }
        let named = models.join(name);
        if named.is_file() || name.ends_with(".gguf") { named } else { models.join(format!("{name}.gguf")) }
    }
}

/// How an embedding model's file is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LlamaEmbedderSettings {
    /// The model's id, as configuration names it.
    pub id: String,
    /// The GGUF file.
    pub path: PathBuf,
    /// Threads that compute; by default the processors this process may use.
    pub threads: Option<u32>,
    /// What the model was trained to have before its texts.
    pub prefixes: Prefixes,
}

/// How a reranker's file is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LlamaRerankerSettings {
    /// The model's id, as configuration names it.
    pub id: String,
    /// The GGUF file.
    pub path: PathBuf,
    /// Threads that compute; by default the processors this process may use.
    pub threads: Option<u32>,
}

/// Why a model file was not loaded.
#[derive(Debug, thiserror::Error)]
pub enum LlamaError {
    /// Built without the feature.
    #[error(
        "this build has no llama: build ii with its default features (cargo build --features llama), or name a model server"
    )]
    NotBuilt,
    /// No such file, or it cannot be read.
    #[error("model file {path} cannot be read: {source}; check the path, or put the file into the models folder of the home", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// It begins unlike a GGUF file.
    #[error("model file {path} is no GGUF file; fetch the model in GGUF format or convert it", path = path.display())]
    NotGguf {
        /// The file.
        path: PathBuf,
    },
    /// It ends before its own description says.
    #[error("model file {path} is truncated: {have} of {need} bytes; fetch it again", path = path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Bytes it has.
        have: u64,
        /// Bytes it must have, as far as could be read.
        need: u64,
    },
    /// Its description contradicts itself.
    #[error("model file {path} is damaged: {reason}; fetch it again", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A whole file, but not one that can be run here.
    #[error("model file {path} cannot be run: {reason}", path = path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What is not supported and what to do.
        reason: String,
    },
    /// It needs more memory than there is.
    #[error(
        "model file {path} needs {need} MiB of memory and {available} are available ({weights} MiB weights, {cells} MiB \
        for {tokens} tokens, {working} MiB to compute): take a smaller window or a smaller model",
        path = path.display()
    )]
    Memory {
        /// The file.
        path: PathBuf,
        /// MiB needed in all.
        need: u64,
        /// MiB available.
        available: u64,
        /// MiB of weights.
        weights: u64,
        /// MiB of what is remembered of requests.
        cells: u64,
        /// For this many tokens.
        tokens: u64,
        /// MiB for computing.
        working: u64,
    },
    /// Its chat template fails, and so does each simpler way to use it.
    #[error("the chat template of model file {path} fails: {reason}; fetch the model from another source", path = path.display())]
    Template {
        /// The file.
        path: PathBuf,
        /// The first failure.
        reason: String,
    },
    /// A setting makes no sense.
    #[error("model file {path}: {setting} is {value}, and must be {rule}", path = path.display())]
    Setting {
        /// The file.
        path: PathBuf,
        /// Which one.
        setting: &'static str,
        /// What it is.
        value: String,
        /// What it must be.
        rule: &'static str,
    },
}
