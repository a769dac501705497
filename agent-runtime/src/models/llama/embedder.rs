//! An embedding model in this process: a GGUF file whose tokens' vectors llama.cpp makes into one for a text.
//!
//! One thread owns the context. Texts of a call are computed shortest first, several in one step, since each step costs as
//! much as its longest and its attention grows with the square of what lies in it.
//!
//! **Invariant:** a text's vector does not depend on which others are embedded with it, beyond the last bits.

use std::{
    num::NonZeroU32,
    path::Path,
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
};

use common_ground::port::{
    BoxFuture,
    embedder::{EmbedError, Embedder, Purpose},
};
use llama_cpp_2::{
    context::{LlamaContext, params::LlamaContextParams},
    llama_batch::LlamaBatch,
    model::{LlamaModel, params::LlamaModelParams},
    token::LlamaToken,
};
use receipts::Digest;
use tokio::sync::oneshot;

use super::{
    LlamaEmbedderSettings, LlamaError, LlamaSettings,
    engine::{backend, read_header, sizes},
};

/// Most tokens of a step, unless one text has more.
const STEP: usize = 512;
/// Most texts of a step.
const MOST_TEXTS: usize = 32;
/// Most tokens read of a text.
const LONGEST: u32 = 8192;

type Answer = Result<Vec<Vec<f32>>, String>;

struct Work {
    texts: Vec<Vec<LlamaToken>>,
    out: oneshot::Sender<Answer>,
}

/// An embedding model in this process.
pub struct LlamaEmbedder {
    settings: LlamaEmbedderSettings,
    space: Digest,
    dimensions: u32,
    window: usize,
    model: Arc<LlamaModel>,
    work: Option<mpsc::Sender<Work>>,
    thread: Option<JoinHandle<()>>,
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
        let path = settings.path.clone();
        let unsupported = |reason: String| LlamaError::Unsupported { path: path.clone(), reason };
        let mut usual = LlamaSettings::new(&path);
        (usual.window, usual.threads) = (Some(LONGEST), settings.threads);
        let header = read_header(&usual)?;
        let sizes = sizes(&usual, &header)?;
        let space = space(&settings).map_err(|source| LlamaError::Unreadable { path: path.clone(), source })?;
        let backend = backend().map_err(unsupported)?;
        let parameters = LlamaModelParams::default().with_n_gpu_layers(sizes.gpu_layers);
        let model = LlamaModel::load_from_file(backend, &path, &parameters).map_err(|_no_reason_is_given| {
            unsupported(format!("llama.cpp of this build cannot load its architecture {}", header.architecture))
        })?;
        let pooling = model.meta_val_str(&format!("{}.pooling_type", header.architecture));
        // 1 to 3 are mean, first and last token; 0 makes no vector of a text, and 4 is a reranker's score.
        if !matches!(pooling.as_deref(), Ok("1" | "2" | "3")) {
            return Err(unsupported("it makes no vectors of texts; take an embedding model".to_owned()));
        }
        let model = Arc::new(model);
        let window = sizes.window.min(LONGEST) as usize;
        let step = u32::try_from(window.max(STEP)).unwrap_or(LONGEST);
        let threads = i32::try_from(sizes.threads).unwrap_or(1);
        let parameters = LlamaContextParams::default()
            .with_n_ctx(NonZeroU32::new(step))
            .with_n_batch(step)
            .with_n_ubatch(step)
            .with_n_seq_max(u32::try_from(MOST_TEXTS).unwrap_or(1))
            .with_n_threads(threads)
            .with_n_threads_batch(threads)
            .with_kv_unified(true)
            .with_embeddings(true)
            .with_no_perf(true);
        let (work, calls) = mpsc::channel::<Work>();
        let (ready, made) = mpsc::channel();
        let shared = Arc::clone(&model);
        let body = move || {
            let mut context = match shared.new_context(backend, parameters) {
                Ok(context) => context,
                Err(error) => return drop(ready.send(Err(format!("llama.cpp makes no context for it: {error}")))),
            };
            if ready.send(Ok(())).is_err() {
                return;
            }
            while let Ok(work) = calls.recv() {
                // Whoever asked may have gone away; the next one has not.
                drop(work.out.send(vectors(&mut context, &work.texts)));
            }
        };
        let thread = thread::Builder::new().name("embedder".to_owned()).spawn(body);
        let thread = thread.map_err(|error| unsupported(format!("no thread can be started for it: {error}")))?;
        let made = made.recv().unwrap_or_else(|_| Err("llama.cpp failed while it made a context".to_owned()));
        made.map_err(unsupported)?;
        let dimensions = u32::try_from(model.n_embd_out()).unwrap_or(0);
        Ok(Self { settings, space, dimensions, window, model, work: Some(work), thread: Some(thread) })
    }

    fn tokens(&self, text: &str) -> Vec<LlamaToken> {
        let mut tokens = self.model.vocab().tokenize(text.as_bytes(), true, false);
        if tokens.len() > self.window {
            // The last token says that the text ends, in models that have one for it.
            let last = tokens.pop();
            tokens.truncate(self.window - 1);
            tokens.extend(last);
        }
        tokens
    }

    fn failed(&self, reason: impl Into<String>) -> EmbedError {
        EmbedError::Refused { model: self.settings.id.clone(), reason: reason.into() }
    }
}

impl Drop for LlamaEmbedder {
    fn drop(&mut self) {
        drop(self.work.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::warn!(model = self.settings.id, "the thread of the embedding model had failed");
        }
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
            let prefix = match purpose {
                Purpose::Passage => &self.settings.passage_prefix,
                Purpose::Query => &self.settings.query_prefix,
            };
            let texts = texts.iter().map(|text| self.tokens(&format!("{prefix}{text}"))).collect();
            let (out, answer) = oneshot::channel();
            let sent = self.work.as_ref().is_some_and(|work| work.send(Work { texts, out }).is_ok());
            let answer = if sent { answer.await.ok() } else { None };
            let vectors = answer.ok_or_else(|| self.failed("its thread has ended; start the program again"))?;
            vectors.map_err(|reason| self.failed(reason))
        })
    }
}

/// The same for the same weights and the same prefixes. The file's own digest stands for all that is in it.
fn space(settings: &LlamaEmbedderSettings) -> std::io::Result<Digest> {
    let file = digest_of(&settings.path)?;
    let parts = ["ii/embedding/1", &file.to_string(), &settings.query_prefix, &settings.passage_prefix];
    Ok(Digest::of(parts.join("\n").as_bytes()))
}

fn digest_of(path: &Path) -> std::io::Result<Digest> {
    use sha2::Digest as _;
    let (mut file, mut hash, mut piece) = (std::fs::File::open(path)?, sha2::Sha256::new(), vec![0; 1 << 20]);
    loop {
        match std::io::Read::read(&mut file, &mut piece)? {
            0 => return Ok(Digest(hash.finalize().into())),
            read => hash.update(&piece[..read]),
        }
    }
}

/// The vectors of these texts, in their order.
fn vectors(context: &mut LlamaContext<'_>, texts: &[Vec<LlamaToken>]) -> Answer {
    let mut order: Vec<usize> = (0..texts.len()).collect();
    order.sort_by_key(|text| texts[*text].len());
    let mut found = vec![Vec::new(); texts.len()];
    let mut rest = order.as_slice();
    while !rest.is_empty() {
        let mut tokens = 0;
        let fits = rest.iter().take(MOST_TEXTS).take_while(|text| {
            tokens += texts[**text].len();
            tokens <= STEP
        });
        // One alone may have more than a step.
        let (step, after) = rest.split_at(fits.count().max(1));
        rest = after;
        let size = step.iter().map(|text| texts[*text].len()).sum();
        let mut batch = LlamaBatch::new(size, 1);
        for (sequence, text) in (0..).zip(step) {
            let added = batch.add_sequence(&texts[*text], sequence, true);
            added.map_err(|error| format!("llama.cpp takes no batch of {size} tokens: {error}"))?;
        }
        context.clear_kv_cache();
        context.decode(&mut batch).map_err(|error| format!("llama.cpp computes no vectors: {error}"))?;
        for (sequence, text) in (0..).zip(step) {
            let vector = context.embeddings_seq_ith(sequence);
            found[*text] = unit(vector.map_err(|error| format!("llama.cpp gives no vector: {error}"))?)?;
        }
    }
    Ok(found)
}

/// The vector at length one.
fn unit(vector: &[f32]) -> Result<Vec<f32>, String> {
    let length = vector.iter().map(|number| f64::from(*number).powi(2)).sum::<f64>().sqrt();
    if !length.is_normal() {
        return Err("a vector has no length; fetch the model again".to_owned());
    }
    #[expect(clippy::cast_possible_truncation, reason = "a number between -1 and 1")]
    Ok(vector.iter().map(|number| (f64::from(*number) / length) as f32).collect())
}
