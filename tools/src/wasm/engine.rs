//! The engine all components share: Cranelift, a pool of places to run in, compiled code kept on disk, and the thread that
//! takes a running guest's turn away.
//!
//! **Invariant:** code is compiled here or comes from the engine's own cache; none is loaded as machine code from elsewhere.
//! **Invariant:** the thread ends with the engine, and sleeps while nothing runs.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use cap_std::{ambient_authority, fs::Dir};
use cap_tempfile::TempFile;
use tokio::sync::Semaphore;
use wasmtime::{
    Cache, CacheConfig, Config, Enabled, Instance, InstanceAllocationStrategy, Module, OptLevel,
    PoolingAllocationConfig, Store, Strategy, component::Linker,
};

use super::{call::State, files, limits::MOST_TABLE, network, open::Problem, senses, web};

/// How long a guest runs before others have their turn.
const TURN: Duration = Duration::from_millis(5);
/// Guests at once; further calls wait.
const MOST_AT_ONCE: u32 = 128;
/// Most memory of one guest, whatever its grant says: the pool keeps address space for it.
const MOST_MEMORY: usize = 1 << 30;
/// Bytes of memories and of tables that a guest touched and that stay with its place in the pool: with all places used to the
/// full, a quarter of a gigabyte.
const KEPT_TOUCHED: (usize, usize) = (1 << 20, 64 << 10);
/// The same where the kernel cannot say what was touched (before Linux 6.7): the first of it is wiped at each call, touched or not.
const KEPT_FIRST: (usize, usize) = (128 << 10, 4 << 10);
/// Memories, tables and module instances of one component.
const MOST_MEMORIES: u32 = 2;
const MOST_TABLES: u32 = 8;
const MOST_INSTANCES: u32 = 16;

/// The tier of WebAssembly; see [`Wasm::open`].
#[derive(Debug)]
pub struct Wasm;

/// What runs components.
pub(super) struct Engine {
    engine: wasmtime::Engine,
    linker: Linker<State>,
    turns: Arc<Turns>,
    thread: Option<JoinHandle<()>>,
    /// A guest without a place in the pool could not start; it waits for one here.
    pub places: Semaphore,
}

/// Whether the thread has anything to do.
#[derive(Debug, Default)]
struct Turns {
    running: AtomicUsize,
    over: AtomicBool,
}

/// A call under way; dropped, it is over.
pub(super) struct Running<'a>(&'a Turns);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Release);
    }
}

impl Engine {
    /// Starts the engine and its thread. Without a folder fit to keep compiled code in it runs too, and says so; where none is
    /// named nothing is kept.
    pub fn start(cache: Option<&Path>) -> Result<(Self, Option<Problem>), Problem> {
        let mut config = config();
        let problem = match cache.map(|cache| (cache, keep(cache))) {
            Some((_, Ok(cache))) => {
                config.cache(Some(cache));
                None
            }
            Some((cache, Err(why))) => Some(Problem::NoCache(cache.to_owned(), why)),
            None => None,
        };
        let no_engine = |error: wasmtime::Error| Problem::NoEngine(format!("{error:#}"));
        let engine = wasmtime::Engine::new(&config).map_err(no_engine)?;
        let linker = linker(&engine).map_err(no_engine)?;
        let turns = Arc::new(Turns::default());
        let thread = {
            let (engine, turns) = (engine.clone(), Arc::clone(&turns));
            let run = move || take_turns(&engine, &turns);
            std::thread::Builder::new().name("wasm turns".to_owned()).spawn(run)
        };
        let thread = Some(thread.map_err(|error| Problem::NoEngine(error.to_string()))?);
        Ok((Self { engine, linker, turns, thread, places: Semaphore::new(MOST_AT_ONCE as usize) }, problem))
    }

    /// The engine as wasmtime has it.
    pub fn raw(&self) -> &wasmtime::Engine {
        &self.engine
    }

    /// What a component may import.
    pub fn linker(&self) -> &Linker<State> {
        &self.linker
    }

    /// Notes that a call runs, for as long as the answer is kept.
    pub fn running(&self) -> Running<'_> {
        self.turns.running.fetch_add(1, Ordering::AcqRel);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
        Running(&self.turns)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.turns.over.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It only sleeps and counts, so it cannot have panicked.
            drop(thread.join());
        }
    }
}

/// `(module (func (export "a") (result i32) i32.const 42))`.
const ANSWERS: &[u8] =
    b"\0asm\x01\0\0\0\x01\x05\x01\x60\0\x01\x7f\x03\x02\x01\0\x07\x05\x01\x01a\0\0\x0a\x06\x01\x04\0\x41\x2a\x0b";

/// Compiles and runs a function under the settings of all calls.
pub(super) async fn probe() -> wasmtime::Result<()> {
    let engine = wasmtime::Engine::new(&config())?;
    let module = Module::new(&engine, ANSWERS)?;
    let mut store = Store::new(&engine, ());
    store.set_fuel(1_000)?;
    store.set_epoch_deadline(1);
    let instance = Instance::new_async(&mut store, &module, &[]).await?;
    let answer = instance.get_typed_func::<(), i32>(&mut store, "a")?.call_async(&mut store, ()).await?;
    wasmtime::ensure!(answer == 42, "a function that gives 42 gave {answer}");
    Ok(())
}

fn take_turns(engine: &wasmtime::Engine, turns: &Turns) {
    while !turns.over.load(Ordering::Acquire) {
        if turns.running.load(Ordering::Acquire) == 0 {
            std::thread::park();
        } else {
            std::thread::sleep(TURN);
            engine.increment_epoch();
        }
    }
}

fn config() -> Config {
    let told = PoolingAllocationConfig::is_pagemap_scan_available();
    let (memory, table) = if told { KEPT_TOUCHED } else { KEPT_FIRST };
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(MOST_AT_ONCE)
        .total_core_instances(MOST_AT_ONCE * MOST_INSTANCES)
        .total_memories(MOST_AT_ONCE * MOST_MEMORIES)
        .total_tables(MOST_AT_ONCE * MOST_TABLES)
        .total_stacks(MOST_AT_ONCE)
        .max_core_instances_per_component(MOST_INSTANCES)
        .max_memories_per_component(MOST_MEMORIES)
        .max_tables_per_component(MOST_TABLES)
        .max_tables_per_module(MOST_TABLES)
        .max_memory_size(MOST_MEMORY)
        .table_elements(MOST_TABLE)
        // What is wiped is not handed back to the kernel, which costs more.
        .linear_memory_keep_resident(memory)
        .table_keep_resident(table)
        .pagemap_scan(Enabled::Auto);
    let mut config = Config::new();
    config
        .strategy(Strategy::Cranelift)
        .cranelift_opt_level(OptLevel::Speed)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .consume_fuel(true)
        .epoch_interruption(true)
        // The engine is one for all calls, and this must hold where a call has fixed senses.
        .cranelift_nan_canonicalization(true)
        .wasm_relaxed_simd(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_tail_call(false)
        .wasm_wide_arithmetic(false)
        .wasm_custom_page_sizes(false)
        .wasm_shared_everything_threads(false)
        .wasm_stack_switching(false)
        .max_wasm_stack(512 << 10)
        .wasm_backtrace_max_frames(None);
    config
}

/// The engine's own cache in a folder of ours: whoever can write there can make us run anything.
fn keep(folder: &Path) -> Result<Cache, String> {
    let said = |error: io::Error| error.to_string();
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(said)?;
    let folder = folder.canonicalize().map_err(said)?;
    let about = fs::metadata(&folder).map_err(said)?;
    if about.mode() & 0o022 != 0 {
        return Err("others may write there".to_owned());
    }
    // Who we are, without asking the system in unsafe code: the owner of a file that we make.
    let place = Dir::open_ambient_dir(&folder, ambient_authority()).map_err(said)?;
    let mine = TempFile::new(&place).and_then(|file| file.as_file().metadata()).map_err(said)?;
    if cap_std::fs::MetadataExt::uid(&mine) != about.uid() {
        return Err("it is somebody else's".to_owned());
    }
    let mut config = CacheConfig::new();
    config.with_directory(folder);
    Cache::new(config).map_err(|error| format!("{error:#}"))
}

/// All of WASI 0.2, with files, sockets, senses and requests as this tier has them.
fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    linker.allow_shadowing(true);
    files::add_to(&mut linker)?;
    network::add_to(&mut linker)?;
    senses::add_to(&mut linker)?;
    web::add_to(&mut linker)?;
    Ok(linker)
}
