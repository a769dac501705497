//! The hostile cases against containers, on a real engine: the one that `DOCKER_HOST` names, or one that is started for the
//! tests. The image is made here from a static busybox.

#[cfg(target_os = "linux")]
mod engine;
#[cfg(target_os = "linux")]
mod hostile;

#[cfg(target_os = "linux")]
mod linux {
    use std::{
        collections::HashMap,
        fs,
        net::TcpListener,
        os::unix::fs::symlink,
        path::Path,
        process::{Command, Stdio},
        sync::Arc,
        time::Duration,
    };

    use bollard::query_parameters::ListContainersOptionsBuilder;
    use common_ground::{
        grant::{Grant, Limits},
        port::tool::{Called, ToolError},
        record::{Exit, Limit},
    };
    use serde_json::json;
    use tools::{
        Container,
        docker::{Docker, Settings},
        egress::{self, Dialler},
    };

    use super::engine::{IMAGE, engine};
    use super::hostile::{Caller, SECRET, file, folder, held, running, said, soon, text};

    const TIER: &str = "docker";
    /// Set for the copy of this program that is killed.
    const VICTIM: &str = "II_TEST_VICTIM";

    fn dialler() -> Arc<Dialler> {
        Arc::new(Dialler::new(egress::Settings::default()).expect("a dialler"))
    }

    fn container(host: &str) -> Caller<Container> {
        let settings = Settings { host: Some(host.to_owned()), image: Some(IMAGE.to_owned()), ..Settings::default() };
        Caller::new(Container::new(Arc::new(Docker::new(settings)), dialler()))
    }

    /// Runs a test where there is an engine, and says that it does not where there is none.
    fn with_engine(case: &str, test: impl FnOnce(&Caller<Container>)) {
        match engine() {
            Ok(host) => test(&container(host)),
            Err(why) if std::env::var_os("CI").is_some() => panic!("{why}"),
            Err(why) => {
                println!("skipped: {case} in containers: {why}");
                println!("hostile: {case} {TIER} not available: {why}");
            }
        }
    }

    fn limits() -> Limits {
        Limits { wall_ms: 60_000, ..Limits::USUAL }
    }

    fn run(caller: &Caller<Container>, line: &str, items: &[String], limits: Limits) -> Called {
        caller.call(&json!({ "command": ["sh", "-c", line] }), items, limits)
    }

    #[track_caller]
    fn passed(called: &Called, limit: Limit) {
        assert_eq!(called.record.exit, Exit::Limit { limit }, "{}", text(called));
        assert!(matches!(called.answer, Err(ToolError::Failed { .. })), "{}", text(called));
    }

    #[test]
    fn an_honest_command_answers() {
        with_engine("an_honest_command_answers", |caller| {
            let called = run(caller, "echo hi; id -u; ls -A /tmp; hostname > /dev/null", &[], limits());
            assert_eq!(called.record.exit, Exit::Done, "{}", text(&called));
            assert!(said(&called).starts_with("hi\n"), "{}", text(&called));
            assert_ne!(said(&called).lines().nth(1), Some("0"));
            let held = called.record.held.join("; ");
            assert!(held.contains("image sha256:") && held.contains("network none"), "{held}");
            let arguments = json!({ "command": ["cat"], "stdin": "é\n".repeat(100_000) });
            let wide = Limits { output_bytes: 1 << 20, ..limits() };
            assert_eq!(said(&caller.call(&arguments, &[], wide)), "é\n".repeat(100_000));
            assert_eq!(run(caller, "exit 3", &[], limits()).record.exit, Exit::Code { code: 3 });
            let absent = caller.call(&json!({ "command": ["ls"], "image": "ii-test-nothing:1" }), &[], limits());
            assert!(text(&absent).contains("has no image ii-test-nothing:1"), "{}", text(&absent));
        });
    }

    #[test]
    fn what_was_granted_is_there() {
        with_engine("what_was_granted_is_there", |caller| {
            let place = folder();
            let given = file(place.path().join("in/given"), "given");
            let out = file(place.path().join("out/kept"), "before");
            let folder_of = |path: &Path| path.parent().expect("a folder").display().to_string();
            let items = [format!("read:{}", folder_of(&given)), format!("write:{}", folder_of(&out))];
            let line =
                format!("cat {}; echo after > {}; touch {}/x", given.display(), out.display(), folder_of(&given));
            let called = run(caller, &line, &items, limits());
            assert!(text(&called).contains("Read-only file system"), "{}", text(&called));
            assert_eq!(fs::read_to_string(&out).expect("kept"), "after\n");
            symlink("/etc", place.path().join("link")).expect("a link");
            for (item, why) in [
                (format!("read:{}", place.path().join("link").display()), "symbolic link"),
                ("read:/".to_owned(), "the container's own"),
                ("read:/proc/1".to_owned(), "the container's own"),
            ] {
                let called = run(caller, "echo ran", std::slice::from_ref(&item), limits());
                assert_eq!(called.record.exit, Exit::Refused, "{item}");
                assert!(text(&called).contains(why), "{}", text(&called));
            }
        });
    }

    #[test]
    fn case_01_endless_loop() {
        with_engine("case_01_endless_loop", |caller| {
            let called = run(caller, "while :; do :; done", &[], Limits { cpu_ms: 500, ..limits() });
            passed(&called, Limit::Cpu);
            let spent = called.record.spent.cpu_ms.expect("measured");
            held("case_01_endless_loop", TIER, format_args!("ended after {spent} ms of processor time, 500 granted"));
        });
    }

    #[test]
    fn case_02_blocked_call() {
        with_engine("case_02_blocked_call", |caller| {
            let called = run(caller, "sleep 1000", &[], Limits { wall_ms: 2_000, ..limits() });
            passed(&called, Limit::Wall);
            let over = called.record.spent.wall_ms - 2_000;
            assert!(over < 25_000, "{over}");
            held("case_02_blocked_call", TIER, format_args!("ended and removed {over} ms after its 2000 ms"));
        });
    }

    #[test]
    fn case_03_memory_bomb() {
        with_engine("case_03_memory_bomb", |caller| {
            let tight = Limits { memory_bytes: 32 << 20, ..limits() };
            let called = run(caller, "exec dd if=/dev/zero of=/dev/null bs=200M count=1", &[], tight);
            passed(&called, Limit::Memory);
            held("case_03_memory_bomb", TIER, "ended by the kernel at 32 MiB");
        });
    }

    #[test]
    fn case_04_fork_bomb() {
        with_engine("case_04_fork_bomb", |caller| {
            let tight = Limits { processes: 24, wall_ms: 5_000, ..limits() };
            let word = format!("4405{}", std::process::id());
            let called = run(caller, &format!("b() {{ sleep {word} & b | b & b; }}; b"), &[], tight);
            assert_ne!(called.record.exit, Exit::Done);
            assert_eq!(running(&word), 0);
            let many = "i=0; while [ $i -lt 60 ]; do sleep 9 & i=$((i+1)); done; echo all";
            let called = run(caller, many, &[], Limits { wall_ms: 30_000, ..tight });
            assert!(text(&called).contains("fork") && !text(&called).contains("all\n"), "{}", text(&called));
            held("case_04_fork_bomb", TIER, "no more than 24 processes, none left, the next call runs");
        });
    }

    #[test]
    fn case_05_06_floods() {
        with_engine("case_05_06_floods", |caller| {
            passed(&run(caller, "yes", &[], limits()), Limit::Output);
            passed(&run(caller, "trap '' PIPE; yes out & yes err >&2", &[], limits()), Limit::Output);
            held("case_05_output_flood", TIER, "cut, and the container removed");
            let said = said(&run(
                caller,
                "i=0; while [ $i -lt 300 ]; do echo o$i; echo e$i >&2; i=$((i+1)); done",
                &[],
                limits(),
            ));
            let of = |letter: char| said.lines().filter(|line| line.starts_with(letter)).count();
            assert_eq!((of('o'), of('e')), (300, 300));
            held("case_06_stderr_flood_interleaved", TIER, "both streams whole; a flood of both cut");
        });
    }

    #[test]
    fn case_07_disk_and_inode_fill() {
        with_engine("case_07_disk_and_inode_fill", |caller| {
            let tight = Limits { written_bytes: 4 << 20, written_files: 50, ..limits() };
            let many = "for i in 1 2 3 4 5 6 7 8; do head -c 1000000 /dev/zero > /tmp/$i || echo full; done";
            assert!(text(&run(caller, many, &[], tight)).contains("full"));
            let many = "i=0; while touch /tmp/f$i 2>/dev/null; do i=$((i+1)); done; ls /tmp | wc -l";
            assert_eq!(said(&run(caller, many, &[], tight)).trim(), "50");
            for place in ["/x", "/etc/x", "/dev/shm/x", "/dev/x"] {
                let called = run(caller, &format!("head -c 1 /dev/zero > {place}"), &[], tight);
                assert_ne!(called.record.exit, Exit::Done, "{place}");
            }
            // In a granted folder the sum counts, though no file is too large: while it goes on, and when it ended first.
            let place = folder();
            let (at, item) = (place.path().display(), format!("write:{}", place.path().display()));
            for (line, over) in [
                (format!("i=0; while :; do head -c 1000000 /dev/zero > {at}/b$i; i=$((i+1)); done"), "bytes more"),
                (format!("i=0; while : > {at}/f$i; do i=$((i+1)); done"), "files more"),
                (format!("for i in 1 2 3 4 5; do head -c 1000000 /dev/zero > {at}/c$i; done"), "bytes more"),
            ] {
                let called = run(caller, &line, std::slice::from_ref(&item), tight);
                passed(&called, Limit::Written);
                let refused = called.record.refusals.last().map(|denial| denial.why.as_str()).unwrap_or_default();
                assert!(refused.contains(over), "{line}: {refused}");
            }
            let called = run(caller, &format!("echo fits > {at}/e"), std::slice::from_ref(&item), tight);
            assert_eq!(called.record.exit, Exit::Done, "{}", text(&called));
            held(
                "case_07_disk_and_inode_fill",
                TIER,
                "4 MiB and 50 files in /tmp, nothing elsewhere; in a granted folder the sum ends the call",
            );
        });
    }

    #[test]
    fn case_08_fd_exhaustion() {
        with_engine("case_08_fd_exhaustion", |caller| {
            let tight = Limits { open_files: 20, ..limits() };
            let said = said(&run(caller, "ulimit -n; ulimit -Hn", &[], tight));
            assert_eq!(said, "20\n20\n");
            let tail =
                "tail -q -n1 /bin/sh".to_owned() + &" /bin/cat".repeat(30) + " >/dev/null; exec 9</bin/sh; echo on";
            assert!(text(&run(caller, &tail, &[], tight)).contains("Too many open files"));
            held("case_08_fd_exhaustion", TIER, "20 and no more, soft and hard");
        });
    }

    #[test]
    fn case_09_10_traversal_and_links() {
        with_engine("case_09_10_traversal_and_links", |caller| {
            let place = folder();
            let given = file(place.path().join("given/file"), "given");
            let secret = file(place.path().join("secret"), "HIDDEN").display().to_string();
            let given = given.parent().expect("a folder").display().to_string();
            symlink(&secret, format!("{given}/link")).expect("a link");
            symlink("/", format!("{given}/root")).expect("a link");
            let ways = [
                format!("{given}/../secret"),
                format!("/{secret}"),
                format!("{given}/link"),
                format!("{given}/root{secret}"),
                format!("/proc/self/root{secret}"),
                format!("/proc/1/root{secret}"),
                "/etc/shadow".to_owned(),
            ];
            let line: Vec<String> = ways.iter().map(|way| format!("cat {way}")).collect();
            let called = run(caller, &line.join("; "), &[format!("write:{given}")], limits());
            assert!(!text(&called).contains("HIDDEN"), "{}", text(&called));
            assert_eq!(text(&called).matches("can't open").count(), ways.len(), "{}", text(&called));
            held("case_09_traversal", TIER, "ways out find nothing there");
            held("case_10_symlink_escapes", TIER, "links and /proc/*/root end in the container's own root");
        });
    }

    #[test]
    fn case_11_links_renames_and_truncation() {
        with_engine("case_11_links_renames_and_truncation", |caller| {
            let place = folder();
            let fixed = file(place.path().join("fixed/file"), "fixed");
            file(place.path().join("free/own"), "own");
            let (ro, rw) = (place.path().join("fixed"), place.path().join("free"));
            let items = [format!("read:{}", ro.display()), format!("write:{}", rw.display())];
            let (ro, rw) = (ro.display(), rw.display());
            let line = format!(
                "ln {ro}/file {rw}/l && echo did; mv {ro}/file {rw}/m && echo did; mv {rw}/own {ro}/own && echo did; \
                 (: > {ro}/file) && echo did; truncate -s 0 {ro}/file && echo did; rm {ro}/file && echo did; true"
            );
            let called = run(caller, &line, &items, limits());
            assert!(!text(&called).contains("did\n"), "{}", text(&called));
            assert_eq!(fs::read_to_string(fixed).expect("fixed"), "fixed");
            held("case_11_links_renames_and_truncation", TIER, "what may only be read stays as it was");
        });
    }

    #[test]
    fn case_12_environment_of_the_host() {
        with_engine("case_12_environment_of_the_host", |caller| {
            let said = said(&run(caller, "env; tr '\\0' '\\n' < /proc/1/environ", &[], limits()));
            let known = ["HOME=", "LANG=", "PATH=", "PWD=", "HOSTNAME=", "SHLVL=", "OLDPWD=", "_="];
            for line in said.lines().filter(|line| line.contains('=')) {
                assert!(known.iter().any(|known| line.starts_with(known)), "{line}");
            }
            held("case_12_environment_of_the_host", TIER, "nothing of the host's");
        });
    }

    #[test]
    fn case_13_14_18_no_network() {
        with_engine("case_13_14_18_no_network", |caller| {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
            listener.set_nonblocking(true).expect("set");
            let port = listener.local_addr().expect("an address").port();
            let addresses = [
                "169.254.169.254",
                "fd00:ec2::254",
                "127.0.0.1",
                "2130706433",
                "0x7f.1",
                "0177.0.0.1",
                "::ffff:127.0.0.1",
                "0.0.0.0",
            ];
            let tries: Vec<String> = addresses
                .iter()
                .map(|address| format!("nc -w 1 {address} {port} </dev/null && echo through"))
                .collect();
            let line = tries.join("; ")
                + "; nslookup abcdef.example.org && echo through; grep -vE 'lo:|face|Inter' /proc/net/dev; true";
            let called = run(caller, &line, &[], limits());
            assert!(!text(&called).contains("through"), "{}", text(&called));
            assert!(listener.accept().is_err(), "somebody came through");
            held(
                "case_13_14_addresses",
                TIER,
                format_args!("{} addresses, none reached: there is no network", addresses.len()),
            );
            held("case_18_exfiltration_by_names", TIER, "no name is asked for");
        });
    }

    #[test]
    fn case_20_signals_ignored_and_orphans() {
        with_engine("case_20_signals_ignored_and_orphans", |caller| {
            let word = format!("2021{}", std::process::id());
            let line = format!("trap '' TERM INT HUP; (setsid sleep {word} &); sleep {word} & sleep {word}");
            passed(&run(caller, &line, &[], Limits { wall_ms: 3_000, ..limits() }), Limit::Wall);
            assert_eq!(running(&word), 0);
            held("case_20_signals_ignored_and_orphans", TIER, "all gone with the container");
        });
    }

    #[test]
    fn case_22_23_output() {
        with_engine("case_22_23_output", |caller| {
            let called =
                run(caller, &format!("printf '\\033[31mred\\033[0m \\033]0;t\\007'; echo {SECRET}"), &[], limits());
            assert_eq!(said(&called), "red [secret token]\n");
            held("case_22_terminal_escapes", TIER, "gone");
            held("case_23_secrets_in_output", TIER, "named, not shown");
        });
    }

    #[test]
    fn rights_that_nobody_needs_are_off() {
        with_engine("rights_that_nobody_needs_are_off", |caller| {
            let line = "grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp:)' /proc/self/status; mount -t tmpfs x /tmp; mknod /tmp/d c 1 3";
            let called = run(caller, line, &[], limits());
            let zero = "0".repeat(16);
            for wall in [
                format!("CapEff:\t{zero}"),
                format!("CapBnd:\t{zero}"),
                "NoNewPrivs:\t1".to_owned(),
                "Seccomp:\t2".to_owned(),
            ] {
                assert!(text(&called).contains(&wall), "{wall}: {}", text(&called));
            }
            assert_ne!(called.record.exit, Exit::Done);
            // Nothing that is brought along in /tmp runs.
            let called = run(caller, "cat /bin/busybox > /tmp/b && chmod +x /tmp/b && /tmp/b true", &[], limits());
            assert_eq!(called.record.exit, Exit::Code { code: 126 }, "{}", text(&called));
        });
    }

    #[test]
    fn the_engine_is_described() {
        with_engine("the_engine_is_described", |caller| {
            let host = engine().expect("an engine").to_owned();
            let docker = Docker::new(Settings { host: Some(host), ..Settings::default() });
            let probe = caller.runtime.block_on(docker.probe()).expect("an answer");
            assert!(!probe.engine.is_empty() && probe.runc.is_some(), "{probe:?}");
        });
        let docker =
            Docker::new(Settings { host: Some("unix:///nowhere/docker.sock".to_owned()), ..Settings::default() });
        let caller = Caller::new(Container::new(Arc::new(docker), dialler()));
        let called = caller.call(&json!({ "command": ["ls"], "image": IMAGE }), &[], limits());
        assert!(text(&called).contains("the Docker engine"), "{}", text(&called));
        assert_eq!(called.record.exit, Exit::Failed);
    }

    /// Containers of ours whose command has this word.
    async fn containers(host: &str, word: &str) -> usize {
        let api =
            bollard::Docker::connect_with_host(host).expect("an engine").negotiate_version().await.expect("answers");
        let ours = HashMap::from([("label".to_owned(), vec!["ii.run".to_owned()])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&ours).build();
        let listed = api.list_containers(Some(options)).await.expect("a list");
        listed.iter().filter(|one| one.command.as_ref().is_some_and(|command| command.contains(word))).count()
    }

    #[test]
    fn a_dropped_call_leaves_nothing() {
        with_engine("cancel", |caller| {
            let host = engine().expect("an engine");
            let word = format!("7071{}", std::process::id());
            let arguments = json!({ "command": ["sleep", word] });
            caller.runtime.block_on(async {
                let up = async {
                    while running(&word) == 0 {
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                };
                tokio::select! {
                    called = caller.calling(&arguments, &[], limits()) => panic!("{}", text(&called)),
                    () = up => {}
                }
            });
            let took = soon("nothing runs", || running(&word) == 0);
            soon("no container", || caller.runtime.block_on(containers(host, &word)) == 0);
            held("cancel", TIER, format_args!("everything gone {} ms after the call was dropped", took.as_millis()));
        });
    }

    /// The copy of this program that is killed; without its word it is no test.
    #[test]
    fn victim() {
        let Ok(word) = std::env::var(VICTIM) else { return };
        let caller = container(engine().expect("an engine"));
        let called = caller.call(&json!({ "command": ["sleep", word] }), &[], limits());
        panic!("{}", text(&called));
    }

    #[test]
    fn a_killed_program_leaves_nothing_to_the_next() {
        with_engine("killed", |caller| {
            let host = engine().expect("an engine");
            let word = format!("9091{}", std::process::id());
            let me = std::env::current_exe().expect("a program");
            let mut command = Command::new(me);
            command.args(["--exact", "linux::victim"]).env(VICTIM, &word);
            let mut victim = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started");
            soon("it runs", || running(&word) > 0);
            // The living are left alone.
            let docker = Docker::new(Settings { host: Some(host.to_owned()), ..Settings::default() });
            caller.runtime.block_on(docker.sweep()).expect("swept");
            assert_eq!(caller.runtime.block_on(containers(host, &word)), 1);
            victim.kill().expect("killed");
            victim.wait().expect("waited");
            // Two programs that start at once: each finds all gone when its own sweep ends. So may the other tests here, each
            // of which sweeps before its first container.
            let another = Docker::new(Settings { host: Some(host.to_owned()), ..Settings::default() });
            let swept_by = async |docker: &Docker| {
                docker.sweep().await.expect("swept");
                assert_eq!(containers(host, &word).await, 0);
            };
            caller.runtime.block_on(async { tokio::join!(swept_by(&docker), swept_by(&another)) });
            soon("nothing runs", || running(&word) == 0);
            held("killed", TIER, "the next start removes what a killed program left, and nothing of the living");
        });
    }

    #[test]
    fn no_engine_socket_can_be_granted() {
        with_engine("no_engine_socket_can_be_granted", |caller| {
            let host = engine().expect("an engine");
            let Some(socket) = host.strip_prefix("unix://") else { return };
            let socket = fs::canonicalize(socket).expect("a socket");
            let called = run(caller, "ls", &[format!("read:{}", socket.display())], limits());
            assert!(text(&called).contains("who has that has the machine"), "{}", text(&called));
            assert_eq!(called.record.exit, Exit::Refused);
            assert_eq!(Grant::default().items.len(), 0);
        });
    }
}
