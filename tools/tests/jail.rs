//! The hostile cases against the process jail, and what an honest command sees there. The program is its own jail's keeper.

#[cfg(target_os = "linux")]
mod hostile;

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("skipped: the process jail: only Linux has what it is made of");
}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    if tools::jail::is_child() {
        tools::jail::child();
    }
    linux::main()
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{
        fs,
        io::Read,
        net::{TcpListener, UdpSocket},
        os::unix::{fs::symlink, process::CommandExt},
        path::Path,
        process::{Command, ExitCode, Stdio},
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
        time::{Duration, Instant},
    };

    use common_ground::{
        grant::Limits,
        port::tool::{Called, ToolError},
        record::{Exit, Limit},
    };
    use nix::libc;
    use serde_json::json;
    use tools::{
        Shell,
        egress::{self, Dialler},
        jail::{Jail, Settings},
    };

    use super::hostile::{Caller, SECRET, file, folder, held, open, running, said, soon, text, trials};

    const TIER: &str = "process";
    /// Set for the copy of this program that is killed.
    const VICTIM: &str = "II_TEST_VICTIM";
    /// Set for the copy of this program that runs as an ordinary user.
    const ORDINARY: &str = "II_TEST_ORDINARY";

    pub fn main() -> ExitCode {
        if let Ok(word) = std::env::var(VICTIM) {
            victim(&word);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let ran = runtime.block_on(Jail::new(Settings::default()).probe()).ran;
        trials(TIER, ran, CASES)
    }

    const CASES: &[(&str, fn())] = &[
        ("an_honest_command_answers", honest),
        ("an_end_is_told_as_it_was", ends),
        ("what_was_granted_is_there", granted),
        ("the_walls_are_named", walls),
        ("nothing_runs_with_less", fail_closed),
        ("case_01_endless_loop", case_01),
        ("case_02_blocked_call", case_02),
        ("case_03_memory_bomb", case_03),
        ("case_04_fork_bomb", case_04),
        ("case_05_output_flood", case_05),
        ("case_06_stderr_flood_interleaved", case_06),
        ("case_07_disk_and_inode_fill", case_07),
        ("case_08_fd_exhaustion", case_08),
        ("case_09_traversal", case_09),
        ("case_10_symlink_escapes", case_10),
        ("case_10_swap_between_check_and_open", case_10_swap),
        ("case_11_links_renames_and_truncation", case_11),
        ("case_12_environment_of_the_host", case_12),
        ("case_13_14_addresses", case_13),
        ("case_18_exfiltration_by_names", case_18),
        ("case_20_signals_ignored_and_orphans", case_20),
        ("case_22_terminal_escapes", case_22),
        ("case_23_secrets_in_output", case_23),
        ("system_calls_that_reach_out", calls),
        ("a_dropped_call_leaves_nothing", dropped),
        ("a_killed_program_leaves_nothing", killed),
        ("an_ordinary_user_has_the_same_walls", ordinary),
    ];

    fn limits() -> Limits {
        Limits { wall_ms: 30_000, ..Limits::USUAL }
    }

    fn shell(settings: Settings) -> Shell {
        Shell::new(settings, Arc::new(Dialler::new(egress::Settings::default()).expect("a dialler")))
    }

    fn run(command: &str, items: &[String], limits: Limits) -> Called {
        Caller::new(shell(Settings::default())).call(&json!({ "command": command }), items, limits)
    }

    /// What a command puts out under the usual limits.
    fn output(command: &str, items: &[String]) -> String {
        said(&run(command, items, limits()))
    }

    fn read(path: &Path) -> String {
        format!("read:{}", path.display())
    }

    fn write(path: &Path) -> String {
        format!("write:{}", path.display())
    }

    #[track_caller]
    fn passed(called: &Called, limit: Limit) {
        assert_eq!(called.record.exit, Exit::Limit { limit }, "{}", text(called));
        assert!(matches!(called.answer, Err(ToolError::Failed { .. })), "{}", text(called));
    }

    fn honest() {
        let called = run("echo hi; echo there >&2", &[], limits());
        assert_eq!((said(&called).as_str(), called.record.exit), ("hi\nthere\n", Exit::Done));
        let spent = called.record.spent;
        assert!(spent.cpu_ms.is_some() && spent.memory_bytes.is_some_and(|bytes| bytes > 0), "{spent:?}");
        assert_eq!(output("pwd; id -u; hostname; ls -A /tmp; ls /home /root 2>&1 | wc -l", &[]).lines().count(), 4);
        let long = "x".repeat(1 << 20);
        let caller = Caller::new(shell(Settings::default()));
        let called = caller.call(&json!({ "command": "wc -c; pwd", "stdin": long, "cwd": "/usr/bin" }), &[], limits());
        assert_eq!(said(&called), "1048576\n/usr/bin\n");
    }

    fn ends() {
        for (command, exit) in [
            ("exit 3", Exit::Code { code: 3 }),
            ("kill -9 $$", Exit::Signal { signal: 9 }),
            ("kill -SEGV $$", Exit::Signal { signal: 11 }),
            ("true", Exit::Done),
            ("no-such-program", Exit::Code { code: 127 }),
        ] {
            let called = run(command, &[], limits());
            assert_eq!(called.record.exit, exit, "{command}");
            assert!(called.answer.is_ok(), "{command}");
        }
        assert!(output("echo a; exit 3", &[]).ends_with("a\n[exit code 3]"));
        let caller = Caller::new(shell(Settings::default()));
        let called = caller.call(&json!({ "command": "pwd", "cwd": "/nowhere" }), &[], limits());
        assert!(text(&called).contains("start /bin/sh in /nowhere"), "{}", text(&called));
    }

    fn granted() {
        let place = folder();
        let given = file(place.path().join("in/given"), "given");
        let out = file(place.path().join("out/kept"), "before");
        let items = [read(given.parent().expect("in")), write(out.parent().expect("out")), read(Path::new("/nowhere"))];
        let (given, out) = (given.display(), out.display());
        let called = run(&format!("cat {given} && printf after > {out} && printf new > {out}2"), &items, limits());
        assert_eq!(said(&called), "given");
        assert_eq!(fs::read_to_string(place.path().join("out/kept")).expect("kept"), "after");
        assert_eq!(fs::read_to_string(place.path().join("out/kept2")).expect("kept"), "new");
        assert_eq!(called.record.refusals[0].what, "/nowhere");
        // A single file, a folder to read within one to write, and one to write within that.
        fs::create_dir_all(place.path().join("out/inner/deep")).expect("folders");
        open(&place.path().join("out/inner"));
        open(&place.path().join("out/inner/deep"));
        let inner = place.path().join("out/inner");
        let items = [write(&place.path().join("out")), read(&inner), write(&inner.join("deep"))];
        let inner = inner.display();
        let said = output(&format!("touch {inner}/x || echo no; touch {inner}/deep/x && echo yes"), &items);
        assert!(said.contains("no\n") && said.ends_with("yes\n"), "{said}");
    }

    fn walls() {
        let called =
            run("grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status; cat /proc/self/uid_map", &[], limits());
        let said = said(&called);
        let zero = "0".repeat(16);
        for wall in ["CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb"] {
            assert!(said.contains(&format!("{wall}:\t{zero}")), "{said}");
        }
        assert!(said.contains("NoNewPrivs:\t1") && said.contains("Seccomp:\t2"), "{said}");
        let mapped: Vec<&str> = said.lines().last().expect("a map").split_whitespace().collect();
        assert!(mapped[0] == mapped[1] && mapped[0] != "0" && mapped[2] == "1", "{mapped:?}");
        let mounts = output("cat /proc/mounts", &[]);
        let writable = mounts.lines().filter(|line| line.split(' ').nth(3).is_some_and(|how| how.starts_with("rw")));
        let places: Vec<&str> = writable.filter_map(|line| line.split(' ').nth(1)).collect();
        assert_eq!(places, ["/tmp", "/proc"]);
        let named = called.record.held.join("; ");
        for wall in ["namespaces", "landlock", "seccomp", "no_new_privs"] {
            assert!(named.contains(wall), "{named}");
        }
        // Nothing can be written outside /tmp, nor made a device or a set-user-id program.
        for command in [
            "touch /x",
            "touch /usr/x",
            "touch /etc/x",
            "touch /dev/x",
            "mknod /tmp/x c 1 3",
            "echo 1 > /proc/sys/kernel/sysrq",
            "echo x > /proc/self/comm",
        ] {
            let said = output(&format!("({command}) 2>/dev/null && echo done || echo denied"), &[]);
            assert!(said.starts_with("denied"), "{command}: {said}");
        }
    }

    fn fail_closed() {
        let place = folder();
        symlink("/etc", place.path().join("link")).expect("a link");
        for (item, why) in [
            (read(&place.path().join("link")), "symbolic link"),
            (read(&place.path().join("link/passwd")), "symbolic link"),
            ("read:/".to_owned(), "the jail's own"),
            ("write:/proc/sys".to_owned(), "the jail's own"),
        ] {
            let called = run("echo ran", std::slice::from_ref(&item), limits());
            assert_eq!(called.record.exit, Exit::Refused, "{item}");
            assert!(text(&called).contains(why) && !text(&called).contains("ran\n"), "{}", text(&called));
        }
        for settings in [
            Settings { keeper: "/bin/false".into(), ..Settings::default() },
            Settings { keeper: "/nowhere".into(), ..Settings::default() },
        ] {
            let called = Caller::new(shell(settings)).call(&json!({ "command": "echo ran" }), &[], limits());
            assert_eq!(called.record.exit, Exit::Refused, "{}", text(&called));
        }
        if nix::unistd::Uid::current().is_root() {
            let caller = Caller::new(shell(Settings { uid: 0, ..Settings::default() }));
            let called = caller.call(&json!({ "command": "echo ran" }), &[], limits());
            assert!(text(&called).contains("must not run as root"), "{}", text(&called));
        }
    }

    fn case_01() {
        let called = run("while :; do :; done", &[], Limits { cpu_ms: 300, ..limits() });
        passed(&called, Limit::Cpu);
        let spent = called.record.spent.cpu_ms.expect("measured");
        assert!((300..5_000).contains(&spent), "{spent}");
        // Time of many short processes counts together.
        let called = run("while :; do /bin/true; done", &[], Limits { cpu_ms: 300, ..limits() });
        passed(&called, Limit::Cpu);
        held("case_01_endless_loop", TIER, format_args!("ended after {spent} ms of processor time, 300 granted"));
    }

    fn case_02() {
        let called = run("mkfifo /tmp/f; cat /tmp/f", &[], Limits { wall_ms: 400, ..limits() });
        passed(&called, Limit::Wall);
        let over = called.record.spent.wall_ms - 400;
        assert!(over < 2_000, "{over}");
        held(
            "case_02_blocked_call",
            TIER,
            format_args!("a read that never returns was ended {over} ms after its 400 ms"),
        );
    }

    fn case_03() {
        let called = run("head -c 400M /dev/zero | tail", &[], Limits { memory_bytes: 64 << 20, ..limits() });
        // Without a control group the kernel gives a process no more, and what it makes of that is its own affair.
        if called.record.held.iter().any(|held| held.starts_with("cgroup")) {
            passed(&called, Limit::Memory);
        } else {
            assert_ne!(called.record.exit, Exit::Done, "{}", text(&called));
        }
        let many = "for i in 1 2 3 4 5 6; do perl -e '$x = \"x\" x 30_000_000; sleep 9' & done; wait";
        let called = run(many, &[], Limits { memory_bytes: 64 << 20, ..limits() });
        passed(&called, Limit::Memory);
        let peak = called.record.spent.memory_bytes.expect("measured");
        assert!(peak <= 192 << 20, "{peak}");
        held("case_03_memory_bomb", TIER, format_args!("ended at {} MiB, 64 granted", peak >> 20));
    }

    fn case_04() {
        let tight = Limits { processes: 24, wall_ms: 1_500, cpu_ms: 3_000, ..limits() };
        let word = format!("4404{}", std::process::id());
        let called = run(&format!("b() {{ sleep {word} & b | b & b; }}; b"), &[], tight);
        assert_ne!(called.record.exit, Exit::Done);
        assert_eq!(running(&word), 0);
        let many = "i=0; while [ $i -lt 60 ]; do sleep 5 & i=$((i+1)); done; echo all";
        let called = run(many, &[], Limits { wall_ms: 30_000, ..tight });
        assert!(!text(&called).contains("all\n"), "{}", text(&called));
        assert!(text(&called).contains("fork"), "{}", text(&called));
        assert_eq!(output("echo others go on", &[]), "others go on\n");
        held("case_04_fork_bomb", TIER, "no more than 24 processes, none left, the next call runs");
    }

    fn peak_of_this_program() -> u64 {
        let status = fs::read_to_string("/proc/self/status").expect("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    fn case_05() {
        let before = peak_of_this_program();
        let called = run("head -c 10G /dev/zero | tr '\\0' x", &[], limits());
        passed(&called, Limit::Output);
        let grown = peak_of_this_program().saturating_sub(before) >> 10;
        // Other tests of this program run meanwhile; a flood kept would be gigabytes.
        assert!(grown < 256, "{grown} MiB");
        // One that does not mind a closed pipe is ended too.
        let called = run("trap '' PIPE; while :; do cat /usr/bin/perl 2>/dev/null; done", &[], limits());
        passed(&called, Limit::Output);
        held("case_05_output_flood", TIER, format_args!("10 GB cut, memory grew by {grown} MiB"));
    }

    fn case_06() {
        let wide = Limits { output_bytes: 1 << 20, ..limits() };
        let line = "i=0; while [ $i -lt 2000 ]; do echo out$i; echo err$i >&2; i=$((i+1)); done";
        let said = said(&run(line, &[], wide));
        let wanted: String = (0..2_000).map(|i| format!("out{i}\nerr{i}\n")).collect();
        assert!(said == wanted, "{} bytes", said.len());
        passed(&run("yes out & yes err >&2", &[], limits()), Limit::Output);
        held(
            "case_06_stderr_flood_interleaved",
            TIER,
            "4000 lines of both streams in their order; a flood of both cut",
        );
    }

    fn granted_folder() -> (tempfile::TempDir, String) {
        let place = folder();
        let item = write(place.path());
        (place, item)
    }

    fn case_07() {
        let tight = Limits { written_bytes: 4 << 20, written_files: 50, ..limits() };
        let called = run("head -c 100M /dev/zero > /tmp/one; stat -c %s /tmp/one", &[], tight);
        let size: u64 = said(&called).lines().filter_map(|line| line.parse().ok()).next().expect("a size");
        assert!(size <= 4 << 20, "{size}");
        let many = "for i in 1 2 3 4 5 6 7 8; do head -c 1M /dev/zero > /tmp/$i; done; du -sk /tmp | cut -f1";
        let called = run(many, &[], tight);
        let kept: u64 = said(&called).lines().filter_map(|line| line.parse().ok()).next_back().expect("a size");
        assert!(kept <= 4 << 10 && text(&called).contains("No space left"), "{}", text(&called));
        let called = run("i=0; while touch /tmp/f$i 2>/dev/null; do i=$((i+1)); done; ls /tmp | wc -l", &[], tight);
        assert_eq!(said(&called), "50\n");
        // A direct write beyond the size of a file ends the command, and is told so.
        passed(&run("exec dd if=/dev/zero of=/tmp/a bs=1M count=9", &[], tight), Limit::Written);
        // Beyond /tmp the sum counts, though no file is too large: while the command goes on, and when it ended first.
        let (place, item) = granted_folder();
        for (line, over) in [
            ("i=0; while head -c 1M /dev/zero > {}/b$i; do i=$((i+1)); done; sleep 60", "bytes more"),
            ("i=0; while : > {}/f$i; do i=$((i+1)); done; sleep 60", "files more"),
            ("for i in 1 2 3 4 5; do head -c 1M /dev/zero > {}/c$i; done; sleep 60", "bytes more"),
            ("for i in 1 2 3 4 5; do head -c 1M /dev/zero > {}/d$i; done", "bytes more"),
        ] {
            let called =
                run(&line.replace("{}", &place.path().display().to_string()), std::slice::from_ref(&item), tight);
            passed(&called, Limit::Written);
            let refused = called.record.refusals.last().map(|denial| denial.why.as_str()).unwrap_or_default();
            assert!(refused.contains(over), "{line}: {refused}");
        }
        // What was there before is nobody's to answer for, and what fits goes through.
        let line = format!("head -c 3M /dev/zero > {}/e && echo fits", place.path().display());
        assert_eq!(said(&run(&line, &[item], tight)), "fits\n");
        held(
            "case_07_disk_and_inode_fill",
            TIER,
            "4 MiB and 50 files in /tmp, and no byte and no file more; in a granted folder the sum ends the call",
        );
    }

    fn case_08() {
        let greedy = "perl -e 'while (open(my $f, \"<\", \"/dev/null\")) { push @a, $f } print scalar(@a), \" $!\"'";
        let said = said(&run(greedy, &[], Limits { open_files: 40, ..limits() }));
        assert!(said.contains("Too many open files"), "{said}");
        let count: u64 = said.split(' ').next().expect("a count").parse().expect("a number");
        assert!(count < 40, "{said}");
        assert_eq!(output("cat /dev/null; echo others go on", &[]), "others go on\n");
        held("case_08_fd_exhaustion", TIER, format_args!("{count} opened of 40, the next call runs"));
    }

    /// A folder to grant with a secret beside it.
    fn beside() -> (tempfile::TempDir, String, String) {
        let place = folder();
        let given = file(place.path().join("given/file"), "given");
        let secret = file(place.path().join("secret"), "HIDDEN");
        let given = given.parent().expect("a folder").display().to_string();
        let secret = secret.display().to_string();
        (place, given, secret)
    }

    fn case_09() {
        let (_place, given, secret) = beside();
        let items = [format!("write:{given}")];
        let ways = [
            format!("cat {given}/../secret"),
            format!("cat {secret}"),
            format!("cat //{secret}"),
            format!("cd {given} && cat ../secret"),
            format!("cat {given}/./././../secret"),
            "cat /etc/shadow".to_owned(),
            "cat ../../../../../../etc/shadow".to_owned(),
        ];
        for way in &ways {
            let said = output(&format!("{way} 2>&1"), &items);
            assert!(said.contains("No such file"), "{way}: {said}");
        }
        let odd =
            output(&format!("cd {given} && printf x > \"$(printf 'a\\377b')\" && ls -b | head -1 && cat a*b"), &items);
        assert_eq!(odd, "a\\377b\nx");
        held("case_09_traversal", TIER, format_args!("{} ways out find nothing there", ways.len()));
    }

    fn case_10() {
        let (place, given, secret) = beside();
        symlink(&secret, format!("{given}/link")).expect("a link");
        symlink(place.path(), format!("{given}/up")).expect("a link");
        symlink("/", format!("{given}/root")).expect("a link");
        let items = [format!("write:{given}")];
        for way in [
            format!("{given}/link"),
            format!("{given}/up/secret"),
            format!("{given}/root{secret}"),
            format!("/proc/self/root{secret}"),
            format!("/proc/1/root{secret}"),
            format!("/proc/1/cwd{secret}"),
            format!("/proc/self/fd/0{secret}"),
            format!("/.old{secret}"),
        ] {
            let said = output(&format!("cat {way} 2>&1"), &items);
            assert!(!said.contains("HIDDEN") && said.contains("[exit code 1]"), "{way}: {said}");
        }
        // What it makes itself leads nowhere for it either.
        let said = output(&format!("cd {given} && ln -s {secret} mine && cat mine 2>&1"), &items);
        assert!(said.contains("No such file"), "{said}");
        held("case_10_symlink_escapes", TIER, "links, /proc/*/root and open handles end in the jail's own root");
    }

    fn case_10_swap() {
        let (place, given, _secret) = beside();
        let hidden = place.path().join("hidden");
        file(hidden.join("file"), "HIDDEN");
        let (real, link) = (place.path().join("real"), place.path().join("link"));
        symlink(&hidden, &link).expect("a link");
        let stop = AtomicBool::new(false);
        let (mut swaps, mut seen, mut refused, mut leaked) = (0_u64, 0, 0, 0);
        std::thread::scope(|scope| {
            let swapper = scope.spawn(|| {
                let mut swaps = 0_u64;
                while !stop.load(Ordering::Relaxed) {
                    fs::rename(&given, &real).expect("away");
                    fs::rename(&link, &given).expect("the link in its place");
                    fs::rename(&given, &link).expect("the link away");
                    fs::rename(&real, &given).expect("back");
                    swaps += 1;
                    // Now and then it stays as it is, or no call would ever see the folder.
                    if swaps.is_multiple_of(64) {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                }
                swaps
            });
            let began = Instant::now();
            while began.elapsed() < Duration::from_secs(3) {
                let called = run(&format!("cat {given}/file"), &[format!("read:{given}")], limits());
                // Judged after the swapper was told to stop: a panic here would wait for it for ever.
                leaked += u64::from(text(&called).contains("HIDDEN"));
                if said(&called) == "given" { seen += 1 } else { refused += 1 }
            }
            stop.store(true, Ordering::Relaxed);
            swaps = swapper.join().expect("the swapper");
        });
        assert_eq!(leaked, 0, "of {swaps} swaps");
        assert!(swaps > 1_000, "{swaps}");
        held(
            "case_10_swap_between_check_and_open",
            TIER,
            format_args!("{swaps} swaps: {seen} calls saw the folder, {refused} were refused, none saw the other"),
        );
    }

    fn case_11() {
        let place = folder();
        let fixed = file(place.path().join("fixed/file"), "fixed");
        file(place.path().join("free/own"), "own");
        let (ro, rw) = (place.path().join("fixed"), place.path().join("free"));
        let items = [read(&ro), write(&rw)];
        let (ro, rw) = (ro.display(), rw.display());
        for command in [
            format!("ln {ro}/file {rw}/link"),
            format!("mv {ro}/file {rw}/moved"),
            format!("mv {rw}/own {ro}/own"),
            format!(": > {ro}/file"),
            format!("truncate -s 0 {ro}/file"),
            format!("dd if=/dev/null of={ro}/file"),
            format!("chmod 777 {ro}/file"),
            format!("rm {ro}/file"),
            format!("mv {ro} {rw}/fixed"),
            format!("touch {ro}/new"),
        ] {
            let called = run(&format!("{command} 2>&1"), &items, limits());
            assert!(matches!(called.record.exit, Exit::Code { .. }), "{command}: {}", text(&called));
            assert_eq!(fs::read_to_string(&fixed).expect("fixed"), "fixed", "{command}");
        }
        held("case_11_links_renames_and_truncation", TIER, "10 ways to change what may only be read change nothing");
    }

    fn case_12() {
        let said = output("env | sort; cat /proc/1/environ; cat /proc/2/environ | tr '\\0' '\\n'", &[]);
        let known =
            ["HOME=/tmp", "LANG=C.UTF-8", "PATH=/usr/local/bin:/usr/bin:/bin", "PWD=/tmp", "OLDPWD=", "SHLVL=", "_="];
        let vars = said.lines().filter(|line| line.contains('=') && !line.starts_with('['));
        for line in vars {
            assert!(known.iter().any(|known| line.starts_with(known)), "{line}");
        }
        assert!(said.contains("/proc/1/environ: Permission denied"), "{said}");
        assert!(output("ls /proc/1/fd /proc/1/cwd/ /proc/1/map_files 2>&1", &[]).contains("Permission denied"));
        let path = std::env::var("PATH").expect("tests have a PATH");
        let given = output("echo $PATH", &["env:PATH".to_owned(), "env:II_NOT_SET".to_owned()]);
        assert_eq!(given.trim(), path);
        held("case_12_environment_of_the_host", TIER, "three variables, and the first process shows nobody its own");
    }

    fn case_13() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        listener.set_nonblocking(true).expect("set");
        let port = listener.local_addr().expect("an address").port();
        let addresses = [
            "169.254.169.254",
            "fd00:ec2::254",
            "metadata.google.internal",
            "127.0.0.1",
            "localhost",
            "0x7f.1",
            "2130706433",
            "0177.0.0.1",
            "::ffff:127.0.0.1",
            "::1",
            "64:ff9b::7f00:1",
            "0.0.0.0",
            "127.0.0.1.",
        ];
        for address in addresses {
            let said = output(&format!("bash -c 'exec 3<>/dev/tcp/{address}/{port} && echo connected' 2>&1"), &[]);
            assert!(!said.contains("connected\n") && said.contains("[exit code 1]"), "{address}: {said}");
        }
        assert!(listener.accept().is_err(), "somebody came through");
        let interfaces = output("tail -n +3 /proc/net/dev | cut -d: -f1; cat /proc/net/route | wc -l", &[]);
        let links: Vec<&str> = interfaces.lines().map(str::trim).collect();
        // A kernel may add tunnels that lead nowhere; none is up, and there is no route.
        assert!(links.contains(&"lo"), "{interfaces}");
        // The listener can be reached: by somebody who has a network.
        let out = Command::new("bash").args(["-c", &format!("exec 3<>/dev/tcp/127.0.0.1/{port}")]).status();
        assert!(out.expect("bash").success());
        held(
            "case_13_14_addresses",
            TIER,
            format_args!("{} addresses, none reached: there is no network", addresses.len()),
        );
    }

    fn case_18() {
        let server = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        server.set_read_timeout(Some(Duration::from_millis(200))).expect("set");
        let port = server.local_addr().expect("an address").port();
        let name = format!("{}.example.org", "0123456789abcdef".repeat(3));
        let said = output(
            &format!("getent hosts {name} && echo resolved; bash -c 'echo {name} > /dev/udp/127.0.0.1/{port}' 2>&1"),
            &[],
        );
        assert!(!said.contains("resolved\n"), "{said}");
        assert!(said.contains("unreachable") || said.contains("denied"), "{said}");
        assert!(server.recv(&mut [0; 512]).is_err(), "a question came through");
        held("case_18_exfiltration_by_names", TIER, "no name is asked for, no datagram leaves");
    }

    fn case_20() {
        let word = format!("2020{}", std::process::id());
        let stubborn = format!(
            "trap '' TERM INT HUP QUIT; (setsid sh -c \"trap '' TERM HUP; sleep {word}\" &); sleep {word} & echo up; wait; sleep {word}"
        );
        let called = run(&stubborn, &[], Limits { wall_ms: 4_000, ..limits() });
        passed(&called, Limit::Wall);
        assert!(text(&called).contains("up\n"), "{}", text(&called));
        assert_eq!(running(&word), 0);
        let began = Instant::now();
        assert_eq!(output(&format!("(setsid sleep {word} &); sleep {word} & echo over"), &[]), "over\n");
        assert!(began.elapsed() < Duration::from_secs(10));
        assert_eq!(running(&word), 0);
        held("case_20_signals_ignored_and_orphans", TIER, "all gone with the command, whatever they ignore");
    }

    fn case_22() {
        let said =
            output("printf '\\033[31mred\\033[0m \\033]0;title\\007\\033]52;c;aGk=\\007\\342\\200\\256\\b.'", &[]);
        assert_eq!(said, "red .");
        held("case_22_terminal_escapes", TIER, "colours, titles, the clipboard and directions are gone");
    }

    fn case_23() {
        let called = run(&format!("echo {SECRET}; head -c 200K /dev/zero | tr '\\0' x"), &[], limits());
        assert!(said(&called).starts_with("[secret token]\n"), "{}", &said(&called)[..80]);
        assert!(called.record.truncated && called.contents.is_empty());
        held("case_23_secrets_in_output", TIER, "named, not shown, and not kept");
    }

    fn calls() {
        for (name, number) in [
            ("mount", libc::SYS_mount),
            ("unshare", libc::SYS_unshare),
            ("setns", libc::SYS_setns),
            ("ptrace", libc::SYS_ptrace),
            ("bpf", libc::SYS_bpf),
            ("keyctl", libc::SYS_keyctl),
            ("add_key", libc::SYS_add_key),
            ("kexec_load", libc::SYS_kexec_load),
            ("io_uring_setup", libc::SYS_io_uring_setup),
            ("perf_event_open", libc::SYS_perf_event_open),
            ("process_vm_readv", libc::SYS_process_vm_readv),
            ("open_by_handle_at", libc::SYS_open_by_handle_at),
            ("userfaultfd", libc::SYS_userfaultfd),
        ] {
            let said = output(&format!("perl -e 'print syscall({number}, 0, 0, 0, 0, 0), \" \", $!+0'"), &[]);
            assert_eq!(said, format!("-1 {}", libc::EPERM), "{name}");
        }
        let sockets = [
            (libc::AF_UNIX, libc::SOCK_STREAM),
            (libc::AF_NETLINK, libc::SOCK_RAW),
            (libc::AF_PACKET, libc::SOCK_RAW),
            (libc::AF_VSOCK, libc::SOCK_STREAM),
            (libc::AF_ALG, libc::SOCK_SEQPACKET),
            (libc::AF_INET, libc::SOCK_RAW),
            (libc::AF_INET6, libc::SOCK_RAW | libc::SOCK_CLOEXEC),
        ];
        for (family, kind) in sockets {
            let said = output(
                &format!("perl -e 'print syscall({}, {family}, {kind}, 0), \" \", $!+0'", libc::SYS_socket),
                &[],
            );
            assert_eq!(said, format!("-1 {}", libc::EPERM), "{family} {kind}");
        }
        let namespace = libc::CLONE_NEWUSER | libc::SIGCHLD;
        let said = output(&format!("perl -e 'print syscall({}, {namespace}, 0), \" \", $!+0'", libc::SYS_clone), &[]);
        assert_eq!(said, format!("-1 {}", libc::EPERM));
        assert_eq!(output("unshare -Ur true 2>/dev/null && echo made || echo denied", &[]), "denied\n");
        held(
            "system_calls_that_reach_out",
            TIER,
            format_args!("13 calls and {} kinds of sockets denied", sockets.len()),
        );
    }

    fn dropped() {
        let word = format!("7070{}", std::process::id());
        let caller = Caller::new(shell(Settings::default()));
        let arguments = json!({ "command": format!("trap '' TERM; (setsid sleep {word} &); sleep {word}") });
        caller.runtime.block_on(async {
            let calling = caller.calling(&arguments, &[], limits());
            let up = async {
                while running(&word) < 2 {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            };
            tokio::select! {
                called = calling => panic!("{}", text(&called)),
                () = up => {}
            }
        });
        let took = soon("a dropped call is over", || running(&word) == 0);
        soon("its control group is gone", || orphaned_groups().is_empty());
        held("cancel", TIER, format_args!("everything gone {} ms after the call was dropped", took.as_millis()));
    }

    /// Control groups of jails whose keeper is dead: a keeper removes its own before it ends.
    fn orphaned_groups() -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![("/sys/fs/cgroup".into(), 0)];
        while let Some((folder, depth)) = folders.pop() {
            let entries = fs::read_dir::<std::path::PathBuf>(folder).into_iter().flatten().flatten();
            for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
                let name = entry.file_name().to_string_lossy().into_owned();
                if let Some(rest) = name.strip_prefix("ii-jail-") {
                    let pid = rest.split('-').next().unwrap_or_default();
                    if !Path::new(&format!("/proc/{pid}")).exists() {
                        found.push(name);
                    }
                } else if depth < 5 {
                    folders.push((entry.path(), depth + 1));
                }
            }
        }
        found
    }

    /// Root's jails have control groups and leave root; an ordinary user's do without. The same cases, as nobody special.
    fn ordinary() {
        if !nix::unistd::Uid::current().is_root() || std::env::var_os(ORDINARY).is_some() {
            return;
        }
        let place = folder();
        let copy = place.path().join("jail");
        // By another process: a file that this one wrote might be open in a child that another test is just starting.
        let copied = Command::new("cp").arg(std::env::current_exe().expect("a program")).arg(&copy).status();
        assert!(copied.expect("cp").success());
        let mut command = Command::new(copy);
        command.uid(61_234).gid(61_234).env(ORDINARY, "1").env("TMPDIR", place.path()).current_dir("/");
        // What takes its time and does not depend on the user.
        command.args(["--skip", "swap", "--skip", "case_05"]);
        let out = command.output().expect("run");
        let said = String::from_utf8_lossy(&out.stdout);
        assert!(out.status.success(), "{said}");
        let passed = said.lines().filter(|line| line.ends_with("... ok")).count();
        held("ordinary_user", TIER, format_args!("{passed} cases hold without root too"));
    }

    /// What the program does that is killed: two calls that do not end by themselves.
    fn victim(word: &str) -> ! {
        let caller = Caller::new(shell(Settings::default()));
        let arguments = json!({ "command": format!("trap '' TERM; (setsid sleep {word} &); sleep {word}") });
        caller.runtime.block_on(async {
            let (one, two) =
                tokio::join!(caller.calling(&arguments, &[], limits()), caller.calling(&arguments, &[], limits()));
            panic!("{} {}", text(&one), text(&two))
        })
    }

    fn killed() {
        let word = format!("9090{}", std::process::id());
        let me = std::env::current_exe().expect("a program");
        let mut victim =
            Command::new(me).env(VICTIM, &word).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("started");
        soon("both calls run", || running(&word) == 4);
        let mounts = fs::read_to_string("/proc/self/mountinfo")
            .expect("mounts")
            .lines()
            .filter(|line| line.contains("/tmp/.old"))
            .count();
        victim.kill().expect("killed");
        victim.wait().expect("waited");
        let took = soon("nothing runs", || running(&word) == 0);
        soon("no control group is left", || orphaned_groups().is_empty());
        assert_eq!((mounts, tools::jail::sweep().expect("swept")), (0, 0));
        let mut said = String::new();
        victim.stderr.take().expect("piped").read_to_string(&mut said).expect("read");
        assert!(!said.contains("panicked"), "{said}");
        held("killed", TIER, format_args!("no process, mount or control group {} ms after kill -9", took.as_millis()));
    }
}
