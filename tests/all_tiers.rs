//! Five hundred calls side by side over every tier, as the program wires them: among them some that never end and some that
//! wait long. Limits hold, memory stays bounded, and who is quick does not wait for who is slow.

#[cfg(target_os = "linux")]
#[allow(dead_code, reason = "of what the end-to-end tests share, this needs the machine's part alone")]
#[path = "common/engine.rs"]
mod engine;

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("skipped: calls over all tiers: only Linux has them all");
}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    if tools::jail::is_child() {
        tools::jail::child();
    }
    let trial = libtest_mimic::Trial::test("five_hundred_calls_over_all_tiers", || {
        linux::five_hundred();
        Ok(())
    });
    libtest_mimic::run(&libtest_mimic::Arguments::from_args(), vec![trial]).exit_code()
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{
        collections::BTreeMap,
        fs,
        path::Path,
        sync::{
            Arc, Mutex,
            atomic::{AtomicBool, Ordering},
        },
        time::Duration,
    };

    use agent_runtime::home::Home;
    use common_ground::{
        grant::{Grant, Item, Limits},
        id::{AttemptNumber, Epoch, ModuleId, RunId, StepIndex},
        port::tool::{Called, StepKey, Tool, ToolCall},
        record::{Exit, Limit},
    };
    use futures_util::future::join_all;
    use ii::{
        config::{Config, Places, resolve},
        hands,
    };
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::engine::{components, image, page, skipped};

    /// Containers at once, as the tools have it.
    const CONTAINERS: usize = 8;
    /// Most memory of this process, its buffers for 500 calls and the components' included.
    const MOST_MEMORY: u64 = 512 << 20;

    /// A call, what it must give or be ended by, and whether it is one of the quick ones.
    struct Wanted {
        tool: &'static str,
        arguments: Value,
        wall_ms: u64,
        ends: Result<String, Limit>,
    }

    impl Wanted {
        fn gives(tool: &'static str, arguments: Value, text: impl Into<String>) -> Self {
            Self { tool, arguments, wall_ms: 300_000, ends: Ok(text.into()) }
        }

        fn never_ends(tool: &'static str, arguments: Value) -> Self {
            Self { tool, arguments, wall_ms: 1_500, ends: Err(Limit::Wall) }
        }
    }

    /// A number as all that was put out.
    fn line(number: u32) -> String {
        format!("not instructions]\n{number}\n")
    }

    fn calls(file: &Path, page: &str, image: &str) -> Vec<Wanted> {
        let mut calls = Vec::new();
        let spin = "while :; do :; done";
        let contain = |line: String| json!({ "image": image, "command": ["/bin/sh", "-c", line] });
        // The slow ones first, so that they are ahead wherever they share a queue.
        calls.extend((0..36).map(|n| Wanted::gives("container", contain(format!("sleep 1; echo {n}")), line(n))));
        calls.extend((0..4).map(|_| Wanted::never_ends("container", contain(spin.to_owned()))));
        let open = json!({ "action": "open", "url": format!("{page}/") });
        calls.extend((0..10).map(|_| Wanted::gives("browse", open.clone(), "heading")));
        calls.extend((0..60).map(|n| Wanted::gives("shell", json!({ "command": format!("echo {n}") }), line(n))));
        calls.extend((0..10).map(|_| Wanted::never_ends("shell", json!({ "command": spin }))));
        let read = json!({ "path": file });
        calls.extend((0..150).map(|_| Wanted::gives("read", read.clone(), "a text")));
        let fetch = json!({ "url": format!("{page}/") });
        calls.extend((0..100).map(|_| Wanted::gives("fetch", fetch.clone(), "A pause")));
        let multiply = |n: u32| json!({ "expression": format!("{n} * 3") });
        calls.extend((0..130).map(|n| Wanted::gives("calculate", multiply(n), line(n * 3))));
        calls
    }

    fn tools(home: &Path) -> BTreeMap<String, Arc<dyn Tool>> {
        let places = Places {
            home: home.to_owned(),
            user_file: home.join("config.toml"),
            project_file: None,
            agents: None,
            own_agents: None,
        };
        let resolved = resolve(&places, |_| None, &[]).unwrap_or_else(|failure| panic!("{failure}"));
        let config = Config::from_resolved(&resolved).unwrap_or_else(|failure| panic!("{failure}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let outside = runtime.block_on(hands::outside(&Home::at(home), &config, None));
        let outside = outside.unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(outside.problems, Vec::<String>::new());
        outside.tools.into_iter().map(|tool| (tool.spec().name.clone(), tool)).collect()
    }

    async fn call(tool: &dyn Tool, wanted: &Wanted, number: u128) -> Called {
        // Each is a module of its own, so that no lease or browser is shared.
        let key = StepKey {
            run: RunId(Uuid::from_u128(7)),
            module: ModuleId(Uuid::from_u128(number)),
            attempt: AttemptNumber(1),
            epoch: Epoch(1),
            step: StepIndex(0),
        };
        let arguments = wanted.arguments.to_string();
        let needs: Vec<Item> = tool.needs(&arguments).unwrap_or_else(|error| panic!("{error}"));
        let limits = Limits { wall_ms: wanted.wall_ms, cpu_ms: 300_000, ..Limits::USUAL };
        let grant = Grant { limits, ..Grant::of(needs) };
        tool.call(ToolCall { key, grant: &grant, allowed: &[], arguments: &arguments }).await
    }

    /// What the kernel says this process holds in memory now.
    fn resident() -> u64 {
        let status = fs::read_to_string("/proc/self/status").expect("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
    }

    /// Containers of our run that are there.
    fn containers() -> usize {
        let listed = std::process::Command::new("docker")
            .args(["ps", "-aq", "--filter", &format!("label=ii.run={}", Uuid::from_u128(7))])
            .output()
            .expect("docker");
        String::from_utf8_lossy(&listed.stdout).lines().count()
    }

    pub fn five_hundred() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = folder.path().join("home");
        let image = match image().and_then(|image| components(&home.join("tools")).map(|()| image)) {
            Ok(image) => image,
            Err(reason) => return skipped("calls over all tiers", &reason),
        };
        let file = folder.path().canonicalize().expect("real").join("a.txt");
        fs::write(&file, "a text").expect("written");
        let page = page("<title>Pauses</title><h1>Pauses</h1><p>A pause needs a person.</p>");
        let calls = calls(&file, &page, &image);
        assert_eq!(calls.len(), 500);
        let tools = tools(&home);

        let over = Arc::new(AtomicBool::new(false));
        let watch = std::thread::spawn({
            let over = Arc::clone(&over);
            move || {
                let (mut memory, mut most) = (0, 0);
                while !over.load(Ordering::Acquire) {
                    (memory, most) = (resident().max(memory), containers().max(most));
                    std::thread::sleep(Duration::from_millis(200));
                }
                (memory, most)
            }
        });
        // The order in which the calls ended.
        let ended = Mutex::new(Vec::new());
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        let all = calls.iter().zip(1..).map(|(wanted, number)| {
            let (tool, ended) = (&tools[wanted.tool], &ended);
            async move {
                let called = call(&**tool, wanted, number).await;
                ended.lock().expect("not poisoned").push(wanted.tool);
                called
            }
        });
        let called = runtime.block_on(join_all(all));
        over.store(true, Ordering::Release);
        let (memory, most) = watch.join().expect("watched");

        for (wanted, called) in calls.iter().zip(&called) {
            let told = match &called.answer {
                Ok(text) => text.clone(),
                Err(error) => error.to_string(),
            };
            match &wanted.ends {
                Ok(text) => {
                    assert_eq!(called.record.exit, Exit::Done, "{}: {told}", wanted.tool);
                    assert!(told.contains(text.as_str()), "{}: no `{text}` in {told}", wanted.tool);
                }
                Err(limit) => assert_eq!(called.record.exit, Exit::Limit { limit: *limit }, "{}: {told}", wanted.tool),
            }
        }
        assert!(memory < MOST_MEMORY, "{} MiB", memory >> 20);
        assert!((1..=CONTAINERS).contains(&most), "{most} containers at once");
        let order = ended.into_inner().expect("not poisoned");
        let last = |tool| order.iter().rposition(|ended| *ended == tool).expect("it ended");
        for quick in ["read", "calculate", "fetch"] {
            assert!(last(quick) < last("container"), "{quick} waited for the containers");
        }
        drop((tools, runtime));
        assert_eq!(containers(), 0, "containers are left");
        println!("500 calls, at most {} MiB and {most} containers", memory >> 20);
    }
}
