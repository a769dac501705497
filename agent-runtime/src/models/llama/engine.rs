//! The model as others see it: loads a file, makes requests ready, and hands them to the thread that computes.

use std::{
    collections::VecDeque,
    fmt,
    fs::File,
    future::ready,
    io::BufReader,
    num::NonZeroU32,
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock, PoisonError, mpsc},
    task::Poll,
    thread::{self, JoinHandle},
};

use common_ground::port::{
    BoxFuture,
    model::{Model, ModelError, ModelEvent, ModelRequest, ModelStream, Price, Reply, Turn},
};
use futures_util::stream;
use llama_cpp_2::{
    context::params::LlamaContextParams,
    llama_backend::LlamaBackend,
    model::{LlamaModel, params::LlamaModelParams},
};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::{
    LlamaError, LlamaSettings,
    chat::Chat,
    header::{self, Header, HeaderError},
    memory::{self, Need, STEP},
    reply::Form,
    scheduler::{Limits, Scheduler, Work},
    schema,
    vocabulary::{self, Vocabulary},
};

/// The window where the settings name none.
const USUAL_WINDOW: u32 = 16_384;
/// Most requests at once; llama.cpp knows four times as many sequences.
const MOST_PARALLEL: u32 = 64;
/// `LLAMA_FLASH_ATTN_TYPE_DISABLED` and `…_AUTO` of llama.h.
const NO_FUSED_ATTENTION: i32 = 0;
const FUSED_ATTENTION_WHERE_IT_IS: i32 = -1;
/// Requests whose tokens are kept, for they are counted first and answered then.
const KEPT_PROMPTS: usize = 16;

/// A model in this process.
pub struct Llama {
    id: String,
    window: u32,
    temperature: f32,
    seed: u64,
    model: Arc<LlamaModel>,
    vocabulary: Arc<Vocabulary>,
    chat: Chat,
    /// Held for the time of a look-up only.
    prompts: Mutex<VecDeque<(ModelRequest, Arc<[i32]>)>>,
    work: Option<mpsc::Sender<Work>>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Llama {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Llama").field("id", &self.id).field("window", &self.window).finish_non_exhaustive()
    }
}

/// Sizes that settings and file agree on.
pub(super) struct Sizes {
    pub(super) window: u32,
    cells: u32,
    pub(super) gpu_layers: u32,
    fused_attention: bool,
    pub(super) threads: u32,
}

impl Llama {
    /// Loads a file, which takes as long as reading it; not for an async thread.
    ///
    /// # Errors
    /// [`LlamaError`] names the file and what to do. Whether it fits into memory is known before it is loaded.
    pub fn load(settings: LlamaSettings) -> Result<Self, LlamaError> {
        let header = read_header(&settings)?;
        let sizes = sizes(&settings, &header)?;
        let path = &settings.path;
        let unsupported = |reason: String| LlamaError::Unsupported { path: path.clone(), reason };
        let backend = backend().map_err(unsupported)?;
        let parameters = LlamaModelParams::default().with_n_gpu_layers(sizes.gpu_layers);
        let model = LlamaModel::load_from_file(backend, path, &parameters).map_err(|_no_reason_is_given| {
            unsupported(format!(
                "llama.cpp of this build does not know its architecture {} or misses one of its tensors; take another \
                file, or a newer ii",
                header.architecture
            ))
        })?;
        let model = Arc::new(model);
        let vocabulary = Arc::new(Vocabulary::of(&model));
        if !vocabulary.spells_all() {
            return Err(unsupported(
                "its vocabulary lacks single characters, without which no call can be written".to_owned(),
            ));
        }
        let chat = Chat::of(&model, &vocabulary, header.template.as_deref())
            .map_err(|reason| LlamaError::Template { path: path.clone(), reason })?;
        let id = settings.id.clone();
        let sequences = settings.parallel * 2;
        let limits = Limits {
            model: id.clone(),
            parallel: settings.parallel,
            sequences,
            cells: sizes.cells,
            // A state that is no list of tokens cannot be cut to a prefix.
            share_prefixes: settings.share_prefixes && !model.is_recurrent() && !model.is_hybrid(),
        };
        let (work, requests) = mpsc::channel();
        let thread = start(backend, Arc::clone(&model), Arc::clone(&vocabulary), limits, &sizes, requests)
            .map_err(unsupported)?;
        Ok(Self {
            id,
            window: sizes.window,
            temperature: settings.temperature,
            seed: settings.seed,
            model,
            vocabulary,
            chat,
            prompts: Mutex::default(),
            work: Some(work),
            thread: Some(thread),
        })
    }

    fn refused(&self, reason: String) -> ModelError {
        ModelError::Refused { model: self.id.clone(), reason }
    }

    /// The tokens of a request's prompt; the same request is not made into tokens twice in a row.
    fn prompt(&self, request: &ModelRequest) -> Result<Arc<[i32]>, ModelError> {
        // Nothing below panics with the lock held, and a half-made list of prompts could not exist.
        let known = self.prompts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, tokens)) = known.iter().find(|(known, _)| known == request) {
            return Ok(Arc::clone(tokens));
        }
        drop(known);
        let text = self
            .chat
            .prompt(&self.model, &self.vocabulary, request)
            .map_err(|reason| self.refused(format!("its chat template fails: {reason}")))?;
        if text.len() > i32::MAX as usize {
            return Err(ModelError::TooLarge {
                model: self.id.clone(),
                need: text.len() as u64,
                window: u64::from(self.window),
            });
        }
        let words = self.model.vocab();
        let begun = !self.chat.begin().is_empty() && text.starts_with(self.chat.begin());
        let tokens: Arc<[i32]> =
            words.tokenize(text.as_bytes(), !begun, true).into_iter().map(vocabulary::number).collect();
        if tokens.is_empty() {
            return Err(self.refused("the prompt is empty".to_owned()));
        }
        let mut known = self.prompts.lock().unwrap_or_else(PoisonError::into_inner);
        known.truncate(KEPT_PROMPTS - 1);
        known.push_front((request.clone(), Arc::clone(&tokens)));
        Ok(tokens)
    }

    fn submit(&self, request: &ModelRequest) -> Result<UnboundedReceiver<Result<ModelEvent, ModelError>>, ModelError> {
        let prompt = self.prompt(request)?;
        let need = (prompt.len() as u64).saturating_add(request.max_tokens);
        if need > u64::from(self.window) {
            return Err(ModelError::TooLarge { model: self.id.clone(), need, window: u64::from(self.window) });
        }
        let (grammar, form) = match &request.reply {
            Reply::Text => (None, Form::Words),
            Reply::Json { name, schema } => {
                (Some(schema::value(name, schema).map_err(|error| self.refused(error.to_string()))?), Form::Json)
            }
            Reply::Calls => {
                let form = self.chat.form();
                let grammar = schema::calls(&request.tools, form).map_err(|error| self.refused(error.to_string()))?;
                let made = request.turns.iter().filter_map(|turn| match turn {
                    Turn::Model { calls, .. } => Some(calls),
                    Turn::Rules { .. } | Turn::Task { .. } | Turn::Pictures { .. } | Turn::Tool { .. } => None,
                });
                let taken = made.flatten().map(|call| call.id.clone()).collect();
                (Some(grammar), Form::Calls { form, taken })
            }
        };
        let (out, events) = unbounded_channel();
        let work = Work {
            prompt,
            most: request.max_tokens,
            temperature: self.temperature,
            seed: self.seed,
            grammar,
            form,
            out,
        };
        let sent = self.work.as_ref().is_some_and(|sender| sender.send(work).is_ok());
        if sent { Ok(events) } else { Err(self.gone()) }
    }

    fn gone(&self) -> ModelError {
        let reason = "its thread has ended; start the program again".to_owned();
        ModelError::Unreachable { model: self.id.clone(), reason }
    }
}

impl Drop for Llama {
    fn drop(&mut self) {
        // Without a sender the thread ends after its step; the context must be gone before the process frees the back end.
        drop(self.work.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::warn!(model = self.id, "the thread of the model had failed");
        }
    }
}

impl Model for Llama {
    fn id(&self) -> &str {
        &self.id
    }

    fn is_language_model(&self) -> bool {
        true
    }

    fn window(&self) -> Option<u64> {
        Some(u64::from(self.window))
    }

    fn price(&self) -> Price {
        Price::default()
    }

    fn count_tokens<'a>(&'a self, request: &'a ModelRequest) -> BoxFuture<'a, Result<u64, ModelError>> {
        Box::pin(async move { self.prompt(request).map(|tokens| tokens.len() as u64) })
    }

    fn complete<'a>(&'a self, request: &'a ModelRequest) -> ModelStream<'a> {
        let mut events = match self.submit(request) {
            Ok(events) => events,
            Err(error) => return Box::pin(stream::once(ready(Err(error)))),
        };
        let mut over = false;
        Box::pin(stream::poll_fn(move |context| {
            if over {
                return Poll::Ready(None);
            }
            let Poll::Ready(item) = events.poll_recv(context) else { return Poll::Pending };
            // The thread ends a stream by its last item; a stream that just stops was left by a thread that failed.
            let item = item.unwrap_or_else(|| Err(self.gone()));
            over = matches!(item, Ok(ModelEvent::Done(_)) | Err(_));
            Poll::Ready(Some(item))
        }))
    }
}

pub(super) fn read_header(settings: &LlamaSettings) -> Result<Header, LlamaError> {
    let path = settings.path.clone();
    let unreadable = |source| LlamaError::Unreadable { path: path.clone(), source };
    let file = File::open(&settings.path).map_err(unreadable)?;
    let about = file.metadata().map_err(unreadable)?;
    if !about.is_file() {
        return Err(unreadable(std::io::Error::from(std::io::ErrorKind::IsADirectory)));
    }
    if settings.path.to_str().is_none_or(|text| text.contains('\0')) {
        let reason = "its path is no UTF-8; rename it".to_owned();
        return Err(LlamaError::Unsupported { path: settings.path.clone(), reason });
    }
    header::read(BufReader::new(file), about.len()).map_err(|error| match error {
        HeaderError::NotGguf => LlamaError::NotGguf { path },
        HeaderError::Truncated(need) => LlamaError::Truncated { path, have: about.len(), need },
        HeaderError::Damaged(reason) => LlamaError::Damaged { path, reason },
        HeaderError::Unsupported(reason) => LlamaError::Unsupported { path, reason },
        HeaderError::Io(source) => LlamaError::Unreadable { path, source },
    })
}

pub(super) fn sizes(settings: &LlamaSettings, header: &Header) -> Result<Sizes, LlamaError> {
    let path: &PathBuf = &settings.path;
    let bad = |setting, value: String, rule| LlamaError::Setting { path: path.clone(), setting, value, rule };
    if !(1..=MOST_PARALLEL).contains(&settings.parallel) {
        return Err(bad("parallel", settings.parallel.to_string(), "1 to 64"));
    }
    if !(settings.temperature.is_finite() && (0.0..=10.0).contains(&settings.temperature)) {
        return Err(bad("temperature", settings.temperature.to_string(), "0 to 10"));
    }
    let trained = u32::try_from(header.context).unwrap_or(u32::MAX);
    let window = settings.window.unwrap_or(USUAL_WINDOW).min(trained);
    if window < 64 {
        return Err(bad("window", window.to_string(), "64 or more"));
    }
    let cells = settings.cells.unwrap_or(window.saturating_mul(2)).max(window);
    let usual = thread::available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(1));
    let threads = settings.threads.unwrap_or(usual);
    if !(1..=512).contains(&threads) {
        return Err(bad("threads", threads.to_string(), "1 to 512"));
    }
    let need = Need::of(header, cells);
    let gpu_layers = settings.gpu_layers.unwrap_or_else(|| need.layers_in(header.layers, free_gpu_memory()));
    let here = need.without(gpu_layers, header.layers);
    if let Some(available) = settings.memory.or_else(memory::available)
        && here.total() > available
    {
        return Err(LlamaError::Memory {
            path: path.clone(),
            need: here.total().div_ceil(1 << 20),
            available: available >> 20,
            weights: here.weights.div_ceil(1 << 20),
            cells: here.cells.div_ceil(1 << 20),
            tokens: u64::from(cells),
            working: here.working.div_ceil(1 << 20),
        });
    }
    Ok(Sizes { window, cells, gpu_layers, threads, fused_attention: settings.fused_attention })
}

/// Memory free on all GPUs; 0 in a build without one.
fn free_gpu_memory() -> u64 {
    if !cfg!(any(feature = "cuda", feature = "metal", feature = "vulkan")) || backend().is_err() {
        return 0;
    }
    let devices = llama_cpp_2::list_llama_ggml_backend_devices().into_iter();
    let gpus = devices.filter(|device| device.device_type == llama_cpp_2::LlamaBackendDeviceType::Gpu);
    gpus.map(|device| device.memory_free as u64).sum()
}

/// llama.cpp is set up once for a process.
pub(super) fn backend() -> Result<&'static LlamaBackend, String> {
    static BACKEND: OnceLock<Result<LlamaBackend, String>> = OnceLock::new();
    let backend = BACKEND.get_or_init(|| {
        // llama.cpp is compiled for these, and on a processor without them the process would be ended.
        #[cfg(target_arch = "x86_64")]
        if !(std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma")) {
            return Err("this processor lacks AVX2 and FMA; name a model server instead".to_owned());
        }
        let mut backend = LlamaBackend::init().map_err(|error| format!("llama.cpp does not start: {error}"))?;
        backend.void_logs();
        Ok(backend)
    });
    backend.as_ref().map_err(Clone::clone)
}

/// Starts the thread that owns the context, and waits until it has one.
fn start(
    backend: &'static LlamaBackend,
    model: Arc<LlamaModel>,
    vocabulary: Arc<Vocabulary>,
    limits: Limits,
    sizes: &Sizes,
    requests: mpsc::Receiver<Work>,
) -> Result<JoinHandle<()>, String> {
    let threads = i32::try_from(sizes.threads).unwrap_or(1);
    let parameters = LlamaContextParams::default()
        .with_n_ctx(NonZeroU32::new(sizes.cells))
        .with_n_batch(STEP)
        .with_n_ubatch(STEP)
        .with_n_seq_max(limits.sequences)
        .with_n_threads(threads)
        .with_n_threads_batch(threads)
        // All sequences in one space: without it a part of one cannot be copied to another.
        .with_kv_unified(true)
        // A window that slides over the tokens would forget what a shared prefix needs.
        .with_swa_full(true)
        .with_no_perf(true)
        .with_flash_attention_policy(if sizes.fused_attention {
            FUSED_ATTENTION_WHERE_IT_IS
        } else {
            NO_FUSED_ATTENTION
        });
    let (ready, made) = mpsc::channel();
    let body = move || {
        let context = match model.new_context(backend, parameters) {
            Ok(context) => context,
            Err(error) => return drop(ready.send(Err(format!("llama.cpp makes no context for it: {error}")))),
        };
        if ready.send(Ok(())).is_err() {
            return;
        }
        Scheduler::new(context, &vocabulary, limits).run(&requests);
    };
    let thread = thread::Builder::new()
        .name("llama".to_owned())
        .spawn(body)
        .map_err(|error| format!("no thread can be started for it: {error}"))?;
    made.recv().unwrap_or_else(|_| Err("llama.cpp failed while it made a context".to_owned()))?;
    Ok(thread)
}
