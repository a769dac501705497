//! One call of a component: a store of its own, its limits, and how it ended.
//!
//! **Invariant:** a call ends within its wall time and its processor time, whether the guest computes or waits.
//! **Invariant:** under fixed senses the same call uses the same fuel.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
    time::{Duration, Instant},
};

use common_ground::{
    grant::{Item, Limits, Senses},
    port::tool::ToolError,
    record::{Exit, Limit},
};
use wasmtime::{PoolConcurrencyLimitError, Store, Trap, component::ResourceTable};
use wasmtime_wasi::{
    I32Exit, ResourceTableError, WasiCtx, WasiCtxView, WasiView,
    p2::{bindings::CommandPre, pipe::MemoryInputPipe},
};
use wasmtime_wasi_http::{WasiHttpCtxView, WasiHttpView};

use super::{
    engine::Engine,
    files::Folders,
    limits::{Memory, Passed},
    output::Output,
    places::Open,
    senses,
    web::{self, Web},
};
use crate::{
    egress::{Dialler, Line},
    hand::{Asked, Work},
};

/// Files, streams and what is waited for, of one guest. Without a bound a guest takes all descriptors of the process.
const MOST_RESOURCES: usize = 512;
/// Bytes that one call from the guest hands to the host.
const MOST_HANDED_OVER: usize = 4 << 20;
/// Instructions for each millisecond of processor time where a call must end the same way each time: fewer than any machine
/// runs, so that this ends it and no clock.
const FUEL_OF_A_MILLISECOND: u64 = 500_000;
/// So much longer than what a model reads is what is kept: the head and the tail are of the whole.
const KEPT_TO_READ: u64 = 16;
/// Bytes of standard error that are kept.
const MOST_ERROR: u64 = 64 << 10;
/// Longest line of standard error that is shown.
const LONGEST_LINE: usize = 2_000;

/// What a guest was refused, noted from wherever it asked.
#[derive(Debug, Clone, Default)]
pub(super) struct Refusals(Arc<Mutex<Vec<(String, &'static str)>>>);

impl Refusals {
    /// Notes one; a guest that asks for ever has the first thousand noted.
    pub fn note(&self, what: &str, why: &'static str) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.len() < 1_000 {
            let end = what.floor_char_boundary(1_000);
            noted.push((what[..end].to_owned(), why));
        }
    }

    fn take(&self) -> Vec<(String, &'static str)> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The host's side of one guest.
pub(super) struct State {
    wasi: WasiCtx,
    /// All that the guest holds.
    pub table: ResourceTable,
    /// What it may open.
    pub folders: Folders,
    /// What it was refused.
    pub refusals: Refusals,
    /// What it asked for of time and chance.
    pub asked: Asked,
    memory: Memory,
    web: Web,
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        self.web.view(&mut self.table)
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl State {
    /// Clocks and chance, beside what was asked of them.
    pub fn senses(&mut self) -> (WasiCtxView<'_>, &mut Asked) {
        (WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }, &mut self.asked)
    }

    /// Files beside what is asked of them.
    pub fn files(&mut self) -> (WasiCtxView<'_>, &mut Folders, &Refusals) {
        (WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }, &mut self.folders, &self.refusals)
    }
}

/// What a guest is started with.
pub(super) struct Guest<'a> {
    pub tool: &'a str,
    pub arguments: &'a str,
    pub limits: Limits,
    pub open: Vec<Open>,
    pub environment: Vec<(String, String)>,
    /// Its way out.
    pub dialler: &'a Dialler,
    /// Where it said that it goes.
    pub hosts: Vec<Item>,
}

/// Runs a command to its end.
pub(super) async fn run(
    engine: &Engine,
    command: &CommandPre<State>,
    guest: Guest<'_>,
    work: &Work,
) -> Result<Vec<u8>, ToolError> {
    let Guest { tool, arguments, limits, open, environment, dialler, hosts } = guest;
    let failed = |reason: String| ToolError::Failed { tool: tool.to_owned(), reason };
    // The semaphore is never closed; time in the queue is not the guest's.
    let place = engine.places.acquire().await;
    let output = Output::new(limits.output_bytes.saturating_mul(KEPT_TO_READ));
    let error = Output::new(MOST_ERROR);
    let mut wasi = WasiCtx::builder();
    wasi.stdin(MemoryInputPipe::new(arguments.as_bytes().to_vec())).stdout(output.clone()).stderr(error.clone());
    wasi.envs(&environment);
    senses::give(&mut wasi, work.grant().senses);
    let mut table = ResourceTable::new();
    table.set_max_capacity(MOST_RESOURCES);
    let refusals = Refusals::default();
    let folders = Folders::new(open, limits);
    let memory = Memory::new(limits.memory_bytes);
    let (web, asks) = Web::new();
    let asked = Asked::default();
    let state = State { wasi: wasi.build(), table, folders, refusals: refusals.clone(), asked, memory, web };
    let mut store = Store::new(engine.raw(), state);
    let fuel = match work.grant().senses {
        Senses::Real => u64::MAX,
        Senses::Fixed { .. } => limits.cpu_ms.saturating_mul(FUEL_OF_A_MILLISECOND),
    };
    store.set_fuel(fuel).map_err(|error| failed(error.to_string()))?;
    store.set_hostcall_fuel(MOST_HANDED_OVER);
    store.limiter(|state| &mut state.memory);
    store.set_epoch_deadline(1);
    store.epoch_deadline_async_yield_and_update(1);

    let running = engine.running();
    let guest = async {
        let command = command.instantiate_async(&mut store).await?;
        command.wasi_cli_run().call_run(&mut store).await
    };
    let line = dialler.line_to(work, hosts).at_most(limits.net_bytes);
    let (ended, cpu) = tokio::select! {
        ended = within(limits, work.grant().senses, guest, &line) => ended,
        never = web::serve(asks, &line) => match never {},
    };
    drop(running);
    drop(place);

    let left = store.get_fuel().unwrap_or(0);
    work.used(u64::try_from(cpu.as_millis()).ok(), Some(fuel - left), Some(store.data().memory.peak()));
    work.asked(store.data().asked);
    for (what, why) in refusals.take() {
        work.refused(what, why);
    }
    for (change, before) in store.into_data().folders.changes().await {
        work.changed(change, before);
    }
    let end = match ended {
        Ok(Ok(Ok(()))) => End::Code(0),
        Ok(Ok(Err(()))) => End::Code(1),
        Ok(Err(error)) => End::of(&error),
        Err(limit) => End::Limit(limit),
    };
    let line = last_line(&error.take());
    match end {
        End::Code(0) => Ok(output.take()),
        End::Code(code) => {
            work.ended(Exit::Code { code });
            Err(failed(line.unwrap_or_else(|| format!("it ended with code {code} and said nothing"))))
        }
        End::Limit(limit) => {
            work.passed(limit);
            Err(failed(said(limit, limits)))
        }
        End::Trapped(trap) => {
            work.ended(Exit::Trapped);
            Err(failed(line.map_or_else(|| trap.clone(), |line| format!("{line} ({trap})"))))
        }
        End::NoPlace => Err(failed("all places for components are taken".to_owned())),
    }
}

/// How a guest ended.
enum End {
    Code(i32),
    Limit(Limit),
    Trapped(String),
    NoPlace,
}

impl End {
    fn of(error: &wasmtime::Error) -> Self {
        if let Some(Passed(limit)) = error.downcast_ref() {
            Self::Limit(*limit)
        } else if let Some(I32Exit(code)) = error.downcast_ref() {
            Self::Code(*code)
        } else if let Some(ResourceTableError::Full) = error.downcast_ref() {
            Self::Limit(Limit::OpenFiles)
        } else if error.downcast_ref::<PoolConcurrencyLimitError>().is_some() {
            Self::NoPlace
        } else {
            match error.downcast_ref::<Trap>() {
                Some(Trap::OutOfFuel | Trap::Interrupt) => Self::Limit(Limit::Cpu),
                Some(trap) => Self::Trapped(trap.to_string()),
                None => Self::Trapped(error.root_cause().to_string()),
            }
        }
    }
}

fn said(limit: Limit, limits: Limits) -> String {
    match limit {
        Limit::Cpu => format!("it used more than {} ms of processor time", limits.cpu_ms),
        Limit::Wall => format!("it did not end in {} ms", limits.wall_ms),
        Limit::Memory => format!("it needed more than {} bytes of memory", limits.memory_bytes),
        Limit::Output => "it put out more than is kept".to_owned(),
        Limit::Written => {
            format!(
                "it wrote more than {} bytes or made more than {} files",
                limits.written_bytes, limits.written_files
            )
        }
        Limit::OpenFiles => format!("it held more than {} files or {MOST_RESOURCES} handles", limits.open_files),
        Limit::Net => format!("it sent or received more than {} bytes", limits.net_bytes),
        Limit::Processes => "it used what components do not have".to_owned(),
    }
}

/// Ends a future when it has used its time. It is dropped then, and with it whatever it waited for. A computing guest
/// yields each turn, so that it is looked at here; a waiting one is ended by the timer.
async fn within<T>(
    limits: Limits,
    senses: Senses,
    guest: impl Future<Output = T>,
    line: &Line<'_>,
) -> (Result<T, Limit>, Duration) {
    let most_wall = Duration::from_millis(limits.wall_ms);
    let most_cpu = match senses {
        Senses::Real => Duration::from_millis(limits.cpu_ms),
        // Its fuel alone says when it has computed enough, or a busy machine would end it at another instruction.
        Senses::Fixed { .. } => Duration::MAX,
    };
    let began = Instant::now();
    let mut cpu = Duration::ZERO;
    let mut guest = pin!(guest);
    let counted = poll_fn(|context| {
        let at = Instant::now();
        let polled = guest.as_mut().poll(context);
        cpu += at.elapsed();
        match polled {
            Poll::Ready(ended) => Poll::Ready(Ok(ended)),
            Poll::Pending if cpu > most_cpu => Poll::Ready(Err(Limit::Cpu)),
            Poll::Pending if line.is_spent() => Poll::Ready(Err(Limit::Net)),
            // The timer is late where all threads are busy with guests.
            Poll::Pending if began.elapsed() > most_wall => Poll::Ready(Err(Limit::Wall)),
            Poll::Pending => Poll::Pending,
        }
    });
    let ended = tokio::time::timeout(most_wall, counted).await.unwrap_or(Err(Limit::Wall));
    (ended, cpu)
}

fn last_line(error: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(error);
    // A panic's last line is advice about the environment, and the one before says what was wrong.
    let is_said = |line: &&str| !line.is_empty() && !line.starts_with("note: run with");
    let line = text.lines().rev().map(str::trim).find(is_said)?;
    Some(line[..line.floor_char_boundary(LONGEST_LINE)].to_owned())
}
