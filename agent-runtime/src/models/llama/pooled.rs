//! A model in this process that makes one list of numbers out of a text's tokens: a vector, or a reranker's judgement.
//!
//! One thread owns the context. Texts of a call are computed shortest first, several in one step, since each step costs as
//! much as its longest and its attention grows with the square of what lies in it.
//!
//! **Invariant:** what a text gives does not depend on which others are computed with it, beyond the last bits.

use std::{
    num::NonZeroU32,
    path::Path,
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
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
    LlamaError, LlamaSettings,
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

/// Which kinds of pooling a use of a model wants, by llama.cpp's numbers, and what to say of another.
pub(super) struct Wanted {
    pub pooling: &'static [&'static str],
    pub otherwise: &'static str,
}

/// A model with its thread.
pub(super) struct Pooled {
    /// Its file's digest.
    pub file: Digest,
    /// Most tokens of a text.
    pub window: usize,
    pub model: Arc<LlamaModel>,
    work: Option<mpsc::Sender<Work>>,
    thread: Option<JoinHandle<()>>,
}

impl Pooled {
    /// Loads a file, which takes as long as reading it twice; not for an async thread.
    pub fn load(path: &Path, threads: Option<u32>, wanted: &Wanted) -> Result<Self, LlamaError> {
        let unsupported = |reason: String| LlamaError::Unsupported { path: path.to_owned(), reason };
        let mut usual = LlamaSettings::new(path);
        (usual.window, usual.threads) = (Some(LONGEST), threads);
        let header = read_header(&usual)?;
        let sizes = sizes(&usual, &header)?;
        let file = digest_of(path).map_err(|source| LlamaError::Unreadable { path: path.to_owned(), source })?;
        let backend = backend().map_err(unsupported)?;
        let parameters = LlamaModelParams::default().with_n_gpu_layers(sizes.gpu_layers);
        let model = LlamaModel::load_from_file(backend, path, &parameters).map_err(|_no_reason_is_given| {
            unsupported(format!("llama.cpp of this build cannot load its architecture {}", header.architecture))
        })?;
        let pooling = model.meta_val_str(&format!("{}.pooling_type", header.architecture)).unwrap_or_default();
        if !wanted.pooling.contains(&pooling.as_str()) {
            return Err(unsupported(wanted.otherwise.to_owned()));
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
                drop(work.out.send(computed(&mut context, &work.texts)));
            }
        };
        let thread = thread::Builder::new().name("pooled model".to_owned()).spawn(body);
        let thread = thread.map_err(|error| unsupported(format!("no thread can be started for it: {error}")))?;
        let made = made.recv().unwrap_or_else(|_| Err("llama.cpp failed while it made a context".to_owned()));
        made.map_err(unsupported)?;
        Ok(Self { file, window, model, work: Some(work), thread: Some(thread) })
    }

    /// What the model gives for each of these texts, in order, as it comes out of it; or why it gives nothing.
    pub async fn of(&self, texts: Vec<Vec<LlamaToken>>) -> Answer {
        let (out, answer) = oneshot::channel();
        let sent = self.work.as_ref().is_some_and(|work| work.send(Work { texts, out }).is_ok());
        let answer = if sent { answer.await.ok() } else { None };
        answer.unwrap_or_else(|| Err("its thread has ended; start the program again".to_owned()))
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        drop(self.work.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::warn!(file = %self.file, "the thread of a model of vectors had failed");
        }
    }
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

/// What comes out for these texts, in their order.
fn computed(context: &mut LlamaContext<'_>, texts: &[Vec<LlamaToken>]) -> Answer {
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
        context.decode(&mut batch).map_err(|error| format!("llama.cpp computes nothing: {error}"))?;
        for (sequence, text) in (0..).zip(step) {
            let vector = context.embeddings_seq_ith(sequence);
            let vector = vector.map_err(|error| format!("llama.cpp gives no vector: {error}"))?;
            found[*text] = vector.to_vec();
        }
    }
    Ok(found)
}
