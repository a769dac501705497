//! What a call of a component costs with all that is around it, beside the bare engine with the same code and no guard.
//! `cargo bench -p tools --features wasm --bench wasm`; needs the target wasm32-wasip2. With `II_BENCH_WASMTIME`, the path of
//! wasmtime's own program, the same component is called by that too, in turns with ours.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use common_ground::{
    grant::{Grant, Tier},
    id::{AttemptNumber, Epoch, ModuleId, RunId, StepIndex},
    port::tool::{StepKey, Tool, ToolCall},
    record::Exit,
};
use tools::{
    Common, Guarded, Hand, Wasm, WasmTool, Work,
    egress::{self, Dialler},
};
use wasmtime::{
    Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store,
    component::{Component, Linker, ResourceTable},
};
use wasmtime_wasi::{
    WasiCtx, WasiCtxView, WasiView,
    p2::{
        bindings::CommandPre,
        pipe::{MemoryInputPipe, MemoryOutputPipe},
    },
};

const ROUNDS: usize = 5_000;
const ARGUMENTS: &str = r#"{"expression":"0.1+0.2"}"#;

fn key() -> StepKey {
    StepKey {
        run: RunId(uuid::Uuid::nil()),
        module: ModuleId(uuid::Uuid::nil()),
        attempt: AttemptNumber(1),
        epoch: Epoch(1),
        step: StepIndex(0),
    }
}

fn report(name: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |part: usize| times[(times.len() - 1) * part / 100].as_secs_f64() * 1e6;
    println!("{name:<46} p50 {:>8.1} us   p99 {:>8.1} us", at(50), at(99));
}

fn calculate(tools: Vec<WasmTool>) -> WasmTool {
    tools.into_iter().find(|tool| tool.spec().name == "calculate").expect("calculate is built")
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace");
    let out = root.join("target/components/tools");
    let built = Command::new(root.join("scripts/components.sh")).arg(&out).status().expect("started");
    assert!(built.success(), "components are built");
    // In a task, as drivers run: the main thread is no worker.
    tokio::spawn(measure(out)).await.expect("measured");
}

async fn measure(out: PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let dialler = Arc::new(Dialler::new(egress::Settings::default()).expect("a dialler"));
    let timed = |cache: &Path| {
        let began = Instant::now();
        let (tools, problems) = Wasm::open(&out, cache, &dialler);
        assert!(problems.is_empty(), "{problems:?}");
        (began.elapsed(), tools)
    };
    let (cold, tools) = timed(&folder.path().join("cache"));
    drop(tools);
    let mut warm: Vec<_> = (0..20).map(|_| timed(&folder.path().join("cache")).0).collect();
    warm.sort();
    println!(
        "both tools opened: compiled {:.0} ms, from the cache {:.2} ms (median of 20)",
        cold.as_secs_f64() * 1e3,
        warm[10].as_secs_f64() * 1e3
    );

    let common = Arc::new(Common::new(folder.path().join("fence"), Vec::new()));
    let hand = calculate(timed(&folder.path().join("cache")).1);
    let grant = Grant::default();
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let work = Work::new(key(), grant.clone());
        let output = hand.run(&work, ARGUMENTS).await.expect("answered");
        times.push(began.elapsed());
        assert_eq!(output, b"0.3\n");
    }
    report("the hand alone", times);

    let tool = Arc::new(Guarded::new(hand, &common));
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let called = tool.call(ToolCall { key: key(), grant: &grant, allowed: &[], arguments: ARGUMENTS }).await;
        let kept = called.record.kept().expect("a record");
        times.push(began.elapsed());
        assert_eq!((called.record.exit, kept.traced.tier), (Exit::Done, Tier::Wasm));
    }
    report("whole call with its record", times);

    let began = Instant::now();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..2 {
        let (tool, grant) = (Arc::clone(&tool), grant.clone());
        calls.spawn(async move {
            for _ in 0..ROUNDS {
                let called =
                    tool.call(ToolCall { key: key(), grant: &grant, allowed: &[], arguments: ARGUMENTS }).await;
                assert_eq!(called.record.exit, Exit::Done);
            }
        });
    }
    while let Some(ended) = calls.join_next().await {
        ended.expect("called");
    }
    println!("{:<46} {:.0} calls/s", "two tasks at once", 2.0 * ROUNDS as f64 / began.elapsed().as_secs_f64());
    bare(&out).await;
    match std::env::var_os("II_BENCH_WASMTIME") {
        Some(program) => by_command_line(Path::new(&program), &out, folder.path(), &*tool).await,
        None => println!("skipped: wasmtime's command line: II_BENCH_WASMTIME names no program"),
    }
}

/// Our call, wasmtime's program with the component compiled beforehand, and a program that does nothing, in turns.
async fn by_command_line(program: &Path, out: &Path, folder: &Path, tool: &dyn Tool) {
    let compiled = folder.join("calculate.cwasm");
    let component = out.join("calculate/component.wasm");
    let made = Command::new(program).arg("compile").arg(component).arg("-o").arg(&compiled).status().expect("started");
    assert!(made.success(), "wasmtime compiles the component");
    let (input, grant) = (folder.join("arguments"), Grant::default());
    std::fs::write(&input, ARGUMENTS).expect("written");
    let (mut ours, mut theirs, mut floor) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..500 {
        let began = Instant::now();
        let called = tool.call(ToolCall { key: key(), grant: &grant, allowed: &[], arguments: ARGUMENTS }).await;
        let kept = called.record.kept().expect("a record");
        ours.push(began.elapsed());
        assert_eq!((called.record.exit, kept.traced.tier), (Exit::Done, Tier::Wasm));
        let began = Instant::now();
        let mut command = Command::new(program);
        command.args(["run", "--allow-precompiled"]).arg(&compiled).stdin(std::fs::File::open(&input).expect("opened"));
        let output = command.output().expect("started");
        theirs.push(began.elapsed());
        assert_eq!(output.stdout, b"0.3\n", "{output:?}");
        let began = Instant::now();
        let output = Command::new("/bin/true").stdin(Stdio::null()).output().expect("started");
        floor.push(began.elapsed());
        assert!(output.status.success());
    }
    report("whole call with its record, in turns", ours);
    report("wasmtime run, compiled beforehand", theirs);
    report("fork and exec of /bin/true", floor);
}

struct Bare {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Bare {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// The engine with a pool and nothing of ours: no fuel, no deadline, no limits.
async fn bare(out: &Path) {
    let mut config = Config::new();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(PoolingAllocationConfig::new()));
    let engine = Engine::new(&config).expect("an engine");
    let component = Component::from_file(&engine, out.join("calculate/component.wasm")).expect("compiled");
    let mut linker = Linker::<Bare>::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker).expect("linked");
    let command = CommandPre::new(linker.instantiate_pre(&component).expect("it fits")).expect("a command");
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let output = MemoryOutputPipe::new(1 << 16);
        let mut wasi = WasiCtx::builder();
        wasi.stdin(MemoryInputPipe::new(ARGUMENTS.as_bytes())).stdout(output.clone());
        let mut store = Store::new(&engine, Bare { wasi: wasi.build(), table: ResourceTable::new() });
        let guest = command.instantiate_async(&mut store).await.expect("started");
        guest.wasi_cli_run().call_run(&mut store).await.expect("ran").expect("answered");
        drop(store);
        times.push(began.elapsed());
        assert_eq!(output.contents().as_ref(), b"0.3\n");
    }
    report("wasmtime alone: no fuel, no limits, no record", times);
}
