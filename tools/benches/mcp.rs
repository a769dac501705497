//! What a call of a Model Context Protocol server costs through its jail and the guard, beside the library alone with the
//! same server outside any jail: `cargo bench -p tools --bench mcp`; needs python3.
//!
//! A plain program: its own jails start it again, which no benchmark harness survives.

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("skipped: MCP servers: only Linux has the jail that they run in");
}

#[cfg(target_os = "linux")]
fn main() {
    if tools::jail::is_child() {
        tools::jail::child();
    }
    linux::main();
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{
        collections::BTreeMap,
        fs,
        os::unix::fs::PermissionsExt,
        path::Path,
        process::Stdio,
        sync::Arc,
        time::{Duration, Instant},
    };

    use common_ground::{
        grant::{Grant, Limits},
        port::tool::{StepKey, Tool, ToolCall},
        record::Exit,
    };
    use rmcp::{RoleClient, ServiceExt, model::CallToolRequestParams, service::RunningService};
    use serde_json::json;
    use tools::{
        Common, Guarded,
        egress::{self, Dialler},
        jail,
        mcp::{Client, McpTool, Opened, Pin, Server, Transport},
    };

    const TURNS: usize = 10;
    const CALLS: usize = 200;
    const SHORT: &str = "a";

    pub fn main() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        // In a task, as drivers run: the main thread is no worker.
        let runtime = runtime.expect("a runtime");
        runtime.block_on(async { tokio::spawn(measure()).await.expect("measured") });
    }

    /// The server's script and the description of its tool, where a jail's nobody can read them.
    fn place() -> tempfile::TempDir {
        let place = tempfile::tempdir().expect("a folder");
        let open =
            |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("permissions");
        open(place.path(), 0o755);
        for (name, text) in [("acts.py", include_str!("../tests/mcp/acts.py")), ("listing", "Does what it is told.")] {
            fs::write(place.path().join(name), text).expect("written");
            open(&place.path().join(name), 0o644);
        }
        place
    }

    fn command(place: &Path) -> Vec<String> {
        let at = |name: &str| place.join(name).display().to_string();
        let words = ["/usr/bin/env", "python3", "-I", "-S"].map(str::to_owned);
        words.into_iter().chain([at("acts.py"), "bench".to_owned(), at("listing")]).collect()
    }

    async fn jailed(place: &Path, common: &Arc<Common>) -> Guarded<McpTool> {
        let dialler = Arc::new(Dialler::new(egress::Settings::default()).expect("a dialler"));
        let client = Client::new(jail::Settings::default(), dialler);
        let may = ["acts.py", "listing"].map(|name| format!("read:{}", place.join(name).display()));
        let may = may.iter().map(|item| item.parse().expect("an item")).collect();
        let limits = Limits { cpu_ms: 600_000, ..Transport::LIMITS };
        let transport = Transport::Stdio { command: command(place), env: BTreeMap::new(), may, limits };
        let server = Server::new("acts", transport).expect("a server");
        let opened = client.open(&server, Some(&Pin::started(&server))).await.expect("opened");
        let Opened::New { listing } = opened else { panic!("{opened:?}") };
        let opened = client.open(&server, Some(&Pin::listed(&server, &listing))).await.expect("opened");
        let Opened::Tools(tools) = opened else { panic!("{opened:?}") };
        Guarded::new(tools.into_iter().next().expect("a tool"), common)
    }

    async fn bare(place: &Path) -> (tokio::process::Child, RunningService<RoleClient, ()>) {
        let words = command(place);
        let mut child = tokio::process::Command::new(&words[0])
            .args(&words[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("python3 runs");
        let streams = (child.stdout.take().expect("piped"), child.stdin.take().expect("piped"));
        (child, ().serve(streams).await.expect("served"))
    }

    async fn measure() {
        let place = place();
        let fence = tempfile::tempdir().expect("a folder");
        let common = Arc::new(Common::new(fence.path().to_owned(), Vec::new()));
        let tool = jailed(place.path(), &common).await;
        let (_child, alone) = bare(place.path()).await;
        // What the server itself takes is in both; with a long answer it is its text that travels.
        for (name, argument) in [("one letter", SHORT.to_owned()), ("32 KiB", "a".repeat(32 << 10))] {
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            for _ in 0..TURNS {
                ours.push(guarded(&tool, &argument).await);
                theirs.push(library(&alone, &argument).await);
            }
            show(&format!("a call in its jail with grant and record, {name}"), &ours);
            show(&format!("the library alone, no jail, {name}"), &theirs);
        }
        let _reason = alone.cancel().await.expect("ended");
    }

    async fn guarded(tool: &Guarded<McpTool>, argument: &str) -> Vec<Duration> {
        let arguments = json!({ "what": "echo", "arg": argument }).to_string();
        let grant = Grant::of(tool.needs(&arguments).expect("needs"));
        let mut times = Vec::with_capacity(CALLS);
        for _ in 0..CALLS {
            let began = Instant::now();
            let call = ToolCall { key: StepKey::NONE, grant: &grant, allowed: &[], arguments: &arguments };
            let called = tool.call(call).await;
            let kept = called.record.kept().expect("a record");
            times.push(began.elapsed());
            assert_eq!(called.record.exit, Exit::Done, "{:?}", called.answer);
            assert!(!kept.bytes.is_empty());
        }
        times
    }

    async fn library(alone: &RunningService<RoleClient, ()>, argument: &str) -> Vec<Duration> {
        let arguments = json!({ "what": "echo", "arg": argument }).as_object().cloned().expect("an object");
        let mut times = Vec::with_capacity(CALLS);
        for _ in 0..CALLS {
            let began = Instant::now();
            let params = CallToolRequestParams::new("act").with_arguments(arguments.clone());
            let result = alone.call_tool(params).await.expect("called");
            times.push(began.elapsed());
            assert_eq!(result.content.len(), 1);
        }
        times
    }

    /// The middle of the turns, each by its own p50 and p99: a turn that something else disturbed does not count.
    fn show(what: &str, turns: &[Vec<Duration>]) {
        let middle = |part: usize| {
            let of_turn = |times: &Vec<Duration>| {
                let mut times = times.clone();
                times.sort_unstable();
                times[(times.len() - 1) * part / 100]
            };
            let mut points: Vec<Duration> = turns.iter().map(of_turn).collect();
            points.sort_unstable();
            points[points.len() / 2].as_secs_f64() * 1e6
        };
        println!("{what:<64} p50 {:>8.1} us   p99 {:>8.1} us   ({TURNS} turns)", middle(50), middle(99));
    }
}
