//! What a jail and a container cost over the bare kernel and the bare engine, and how far past a time limit a call runs.
//!
//! A plain program: its own jails start it again, which no benchmark harness survives. Containers are measured where
//! `DOCKER_HOST` names an engine and `II_BENCH_IMAGE` an image with `/bin/true` in it.

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("skipped: the process jail: only Linux has what it is made of");
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
        hint::black_box,
        process::Command,
        sync::Arc,
        time::{Duration, Instant},
    };

    use bollard::{
        models::{ContainerCreateBody, HostConfig},
        query_parameters::{
            CreateContainerOptions, RemoveContainerOptionsBuilder, StartContainerOptions, WaitContainerOptions,
        },
    };
    use common_ground::{
        grant::{Grant, Limits},
        id::{AttemptNumber, Epoch, ModuleId, RunId, StepIndex},
        port::tool::{Called, StepKey, Tool, ToolCall},
        record::{Exit, Limit},
    };
    use futures_util::StreamExt;
    use serde_json::{Value, json};
    use tools::{
        Common, Container, Guarded, Hand, Shell,
        docker::{Docker, Settings},
        egress::{self, Dialler},
        jail,
    };

    fn dialler() -> Arc<Dialler> {
        Arc::new(Dialler::new(egress::Settings::default()).expect("a dialler"))
    }

    pub fn main() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let fence = tempfile::tempdir().expect("a folder");
            let common = Arc::new(Common::new(fence.path().to_owned(), Vec::new()));
            jails(&common).await;
            match (std::env::var("DOCKER_HOST"), std::env::var("II_BENCH_IMAGE")) {
                (Ok(host), Ok(image)) => containers(&common, &host, &image).await,
                (Err(_), _) | (_, Err(_)) => println!("skipped: containers: DOCKER_HOST and II_BENCH_IMAGE name none"),
            }
        });
    }

    async fn jails(common: &Arc<Common>) {
        let shell = Guarded::new(Shell::new(jail::Settings::default(), dialler()), common);
        let mut bare = Vec::new();
        let mut jailed = Vec::new();
        let mut gated = Vec::new();
        for _ in 0..300 {
            let began = Instant::now();
            black_box(Command::new("/bin/sh").args(["-c", "/bin/true"]).status().expect("run"));
            bare.push(began.elapsed());
            let began = Instant::now();
            let called = call(&shell, &json!({ "command": "/bin/true" }), Limits::USUAL).await;
            jailed.push(began.elapsed());
            assert_eq!(called.record.exit, Exit::Done);
            let began = Instant::now();
            let called = call(&shell, &json!({ "command": "/bin/true", "net": ["a.test"] }), Limits::USUAL).await;
            gated.push(began.elapsed());
            assert_eq!(called.record.exit, Exit::Done);
        }
        show("fork and exec of sh -c /bin/true", &mut bare);
        show("the same in a jail, with its record", &mut jailed);
        show("the same with a gate", &mut gated);
        let mut over = Vec::new();
        for _ in 0..20 {
            let began = Instant::now();
            let limits = Limits { wall_ms: 200, ..Limits::USUAL };
            let called = call(&shell, &json!({ "command": "sleep 9" }), limits).await;
            over.push(began.elapsed() - Duration::from_millis(200));
            assert_eq!(called.record.exit, Exit::Limit { limit: Limit::Wall });
        }
        show("a jail beyond its time limit of 200 ms", &mut over);
    }

    async fn containers(common: &Arc<Common>, host: &str, image: &str) {
        let settings = Settings { host: Some(host.to_owned()), image: Some(image.to_owned()), ..Settings::default() };
        let container = Guarded::new(Container::new(Arc::new(Docker::new(settings)), dialler()), common);
        let api =
            bollard::Docker::connect_with_host(host).expect("an engine").negotiate_version().await.expect("answers");
        let mut bare = Vec::new();
        let mut held = Vec::new();
        let mut gated = Vec::new();
        for _ in 0..30 {
            let began = Instant::now();
            raw(&api, image).await;
            bare.push(began.elapsed());
            let began = Instant::now();
            let called = call(&container, &json!({ "command": ["/bin/true"] }), Limits::USUAL).await;
            held.push(began.elapsed());
            assert_eq!(called.record.exit, Exit::Done, "{:?}", called.answer);
            let began = Instant::now();
            let arguments = json!({ "command": ["/bin/true"], "net": ["a.test"] });
            let called = call(&container, &arguments, Limits::USUAL).await;
            gated.push(began.elapsed());
            assert_eq!(called.record.exit, Exit::Done, "{:?}", called.answer);
        }
        show("create, start, wait, remove by the engine's API", &mut bare);
        show("the same hardened, with output and record", &mut held);
        show("the same with a gate", &mut gated);
        let mut over = Vec::new();
        for _ in 0..10 {
            let began = Instant::now();
            let limits = Limits { wall_ms: 1_000, ..Limits::USUAL };
            let called = call(&container, &json!({ "command": ["/bin/sleep", "9"] }), limits).await;
            over.push(began.elapsed() - Duration::from_secs(1));
            assert_eq!(called.record.exit, Exit::Limit { limit: Limit::Wall });
        }
        show("a container beyond its time limit of 1 s", &mut over);
    }

    /// The least that runs the same command under the same walls, without output, record or checks.
    async fn raw(api: &bollard::Docker, image: &str) {
        let host = HostConfig {
            network_mode: Some("none".to_owned()),
            ipc_mode: Some("none".to_owned()),
            readonly_rootfs: Some(true),
            cap_drop: Some(vec!["ALL".to_owned()]),
            security_opt: Some(vec!["no-new-privileges:true".to_owned()]),
            pids_limit: Some(65),
            memory: Some(512 << 20),
            memory_swap: Some(512 << 20),
            nano_cpus: Some(1_000_000_000),
            tmpfs: Some([("/tmp".to_owned(), "rw,noexec,nosuid,nodev".to_owned())].into()),
            init: Some(true),
            log_config: Some(bollard::models::HostConfigLogConfig { typ: Some("none".to_owned()), config: None }),
            ..HostConfig::default()
        };
        let body = ContainerCreateBody {
            image: Some(image.to_owned()),
            cmd: Some(vec!["/bin/true".to_owned()]),
            user: Some("65534:65534".to_owned()),
            network_disabled: Some(true),
            host_config: Some(host),
            ..ContainerCreateBody::default()
        };
        let made = api.create_container(None::<CreateContainerOptions>, body).await.expect("made");
        api.start_container(&made.id, None::<StartContainerOptions>).await.expect("started");
        while let Some(ended) = api.wait_container(&made.id, None::<WaitContainerOptions>).next().await {
            if ended.expect("waited").status_code == 0 {
                break;
            }
        }
        let force = RemoveContainerOptionsBuilder::new().force(true).build();
        api.remove_container(&made.id, Some(force)).await.expect("removed");
    }

    async fn call<H: Hand>(tool: &Guarded<H>, arguments: &Value, limits: Limits) -> Called {
        let arguments = arguments.to_string();
        let grant = Grant { limits, ..Grant::of(tool.needs(&arguments).expect("needs")) };
        let key = StepKey {
            run: RunId(uuid::Uuid::nil()),
            module: ModuleId(uuid::Uuid::nil()),
            attempt: AttemptNumber(1),
            epoch: Epoch(1),
            step: StepIndex(0),
        };
        tool.call(ToolCall { key, grant: &grant, allowed: &[], arguments: &arguments }).await
    }

    fn show(what: &str, times: &mut [Duration]) {
        times.sort_unstable();
        let at = |part: usize| times[(times.len() * part / 100).min(times.len() - 1)];
        println!("{what}: p50 {:.1?}, p99 {:.1?} ({} times)", at(50), at(99), times.len());
    }
}
