//! Tools in WebAssembly: our own do their work, a hostile one does not get out. Built here with cargo.

mod wasm_bench;

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use common_ground::{
    grant::{Grant, Senses, Tier},
    port::tool::{Tool, ToolError},
    record::{Exit, Limit},
};
use receipts::Digest;
use serde_json::json;
use tools::{Common, Guarded, Problem, Wasm};
use wasm_bench::{Bench, cache, call, can_build, dialler, grant, guest, ours, text, why, write_tool};

/// Case, tier and what was seen, for the table of docs/SECURITY.md.
fn held(case: u32, seen: &str) {
    println!("hostile: {case} wasm held: {seen}");
}

fn our_tools(common: &Arc<Common>) -> Vec<Guarded<tools::WasmTool>> {
    let (tools, problems) = Wasm::open(ours(), &cache(), &dialler());
    assert!(problems.is_empty(), "{problems:?}");
    tools.into_iter().map(|tool| Guarded::new(tool, common)).collect()
}

#[tokio::test]
async fn our_components_do_their_work_and_leave_records() {
    if !can_build() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let common = Arc::new(Common::new(folder.path().join("fence"), Vec::new()));
    let tools = our_tools(&common);
    let [calculate, table] = tools.as_slice() else { panic!("two tools") };
    let none = Grant::default();
    let called = call(calculate, &none, &json!({"expression": "0.1 + 0.2"})).await;
    assert_eq!(text(&called), "0.3\n");
    let record = &called.record;
    assert_eq!((record.exit, record.tier), (Exit::Done, Tier::Wasm));
    assert_eq!(record.output, Digest::of(b"0.3\n"));
    assert_ne!(record.tool, calculate.spec().digest(), "the code is part of what it is");
    assert!(record.spent.fuel.is_some_and(|fuel| fuel > 1_000), "{:?}", record.spent);
    assert!(record.spent.memory_bytes.is_some_and(|bytes| bytes >= 65_536), "{:?}", record.spent);
    let called = call(calculate, &none, &json!({"expression": "2/3", "places": 4})).await;
    assert_eq!(text(&called), "0.6667\n");
    let called = call(calculate, &none, &json!({"expression": "1/0"})).await;
    assert_eq!(why(&called), "calculate failed: division by zero");
    assert_eq!(called.record.exit, Exit::Code { code: 1 });
    let called = call(calculate, &none, &json!({"expresion": "1"})).await;
    assert!(matches!(called.answer, Err(ToolError::BadArguments { .. })), "{:?}", called.answer);

    let file = folder.path().canonicalize().expect("real").join("sales.csv");
    fs::write(&file, "region,amount\nnorth,0.1\nsouth,0.2\nnorth,10\n").expect("written");
    let reading = grant(&[format!("read:{}", file.display())]);
    let question = json!({"path": file, "group": "region", "compute": [{"what": "sum", "column": "amount"}]});
    let called = call(table, &reading, &question).await;
    assert_eq!(text(&called), "region,sum amount\nnorth,10.1\nsouth,0.2\n");
    let called = call(table, &reading, &json!({"path": file})).await;
    assert!(text(&called).starts_with("3 rows; columns: region (text), amount (number)"), "{:?}", called.answer);
    let refused = call(table, &none, &question).await;
    assert_eq!(refused.record.exit, Exit::Refused);
    let missing = file.with_file_name("none.csv");
    let called = call(table, &grant(&[format!("read:{}", missing.display())]), &json!({"path": missing})).await;
    assert!(why(&called).contains("No such file"), "{}", why(&called));
}

#[tokio::test]
async fn under_fixed_senses_a_call_is_the_same_again() {
    if !can_build() {
        return;
    }
    let bench = Bench::new(Vec::new());
    let fixed = |seed| Grant { senses: Senses::Fixed { at_ms: 1_700_000_000_000, seed }, ..Grant::default() };
    let arguments = json!({"act": "senses"});
    let first = bench.call("bare", &fixed(7), &arguments).await;
    assert!(text(&first).contains("1700000000"), "{}", text(&first));
    for _ in 0..5 {
        let again = bench.call("bare", &fixed(7), &arguments).await;
        assert_eq!((text(&again), again.record.spent.fuel), (text(&first), first.record.spent.fuel));
    }
    let other = bench.call("bare", &fixed(8), &arguments).await;
    assert_ne!(text(&other), text(&first), "another seed gives another order");
    let mut spinning = fixed(7);
    spinning.limits.cpu_ms = 50;
    let one = bench.call("bare", &spinning, &json!({"act": "spin"})).await;
    let two = bench.call("bare", &spinning, &json!({"act": "spin"})).await;
    assert_eq!(one.record.exit, Exit::Limit { limit: Limit::Cpu });
    assert_eq!(one.record.spent.fuel, two.record.spent.fuel, "it ends at the same instruction");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_calls_at_once_stay_small() {
    if !can_build() {
        return;
    }
    let bench = Bench::new(Vec::new());
    let tool = bench.tool("bare");
    let before = resident();
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..500 {
        let tool = Arc::clone(&tool);
        calls.spawn(async move {
            let called = call(&*tool, &Grant::default(), &json!({"act": "say", "text": format!("{n}")})).await;
            assert_eq!(text(&called), format!("{n}"));
        });
    }
    while let Some(ended) = calls.join_next().await {
        ended.expect("answered");
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 300 << 20, "{grown} bytes more than before");
}

/// Memory of this process in bytes; nothing where the system does not say.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).unwrap_or(0) * 1024
}

#[tokio::test]
async fn what_is_no_tool_is_a_named_problem() {
    if !can_build() {
        return;
    }
    let (bench, problems) = Bench::empty(Vec::new(), |place| {
        write_tool(place, "good", guest(), &[], "");
        write_tool(place, "swapped", guest(), &[], "");
        let mut other = guest().to_vec();
        other.push(0);
        fs::write(place.join("swapped/component.wasm"), other).expect("written");
        write_tool(place, "text", b"(module)", &[], "");
        // A component with an import that nobody gives, and one that exports nothing.
        write_tool(place, "asks", &component(&["wasi:http/outgoing-handler@0.2.0"]), &[], "");
        write_tool(place, "empty", &component(&[]), &[], "");
        write_tool(place, "runs", guest(), &["run:process=ls"], "");
        write_tool(place, "more", guest(), &[], "unknown = 1\n");
        fs::create_dir(place.join("nothing")).expect("made");
        write_tool(place, "renamed", guest(), &[], "");
        fs::rename(place.join("renamed"), place.join("other")).expect("renamed");
        fs::write(place.join("a file"), "is no tool").expect("written");
    });
    let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
    for (tool, says) in [
        ("asks", "wasi:http/outgoing-handler"),
        ("empty", "wasi:cli/run"),
        ("more", "unknown"),
        ("nothing", "No such file"),
        ("other", "not that of its folder"),
        ("runs", "nothing else"),
        ("swapped", "the manifest names"),
        ("text", "it is no component"),
    ] {
        assert!(said.iter().any(|one| one.contains(&format!("/{tool}/")) && one.contains(says)), "{tool}: {said:#?}");
    }
    assert_eq!(said.len(), 8, "{said:#?}");
    assert!(problems.iter().any(|one| matches!(one, Problem::OtherCode { .. })));
    let called = bench.call("good", &Grant::default(), &json!({"act": "say", "text": "here"})).await;
    assert_eq!(text(&called), "here");
    let (none, problems) = Wasm::open(Path::new("/nowhere/at/all"), &cache(), &dialler());
    assert!(none.is_empty() && problems.is_empty());
}

/// The bytes of a component that imports instances of these names, each with a function `f`, or of one without anything.
fn component(imports: &[&str]) -> Vec<u8> {
    let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
    for name in imports {
        // Type section: an instance type that exports a function f of nothing.
        let function = [0x40, 0x00, 0x01, 0x00];
        let mut instance = vec![0x42, 0x02, 0x01];
        instance.extend(function);
        instance.extend([0x04, 0x00, 0x01, b'f', 0x01, 0x00]);
        let mut section = vec![0x01];
        section.extend(instance);
        bytes.extend([7, section.len() as u8]);
        bytes.extend(section);
        let mut section = vec![0x01, 0x00, name.len() as u8];
        section.extend(name.as_bytes());
        section.extend([0x05, 0x00]);
        bytes.extend([10, section.len() as u8]);
        bytes.extend(section);
    }
    bytes
}

#[tokio::test]
async fn compiled_code_is_kept_only_where_nobody_else_writes() {
    if !can_build() {
        return;
    }
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join("tools");
    write_tool(&place, "bare", guest(), &[], "");
    let (tools, problems) = Wasm::open(&place, &folder.path().join("cache"), &dialler());
    assert!(tools.len() == 1 && problems.is_empty(), "{problems:?}");
    drop(tools);
    assert!(fs::read_dir(folder.path().join("cache")).expect("made").next().is_some(), "something is kept");
    let shared = folder.path().join("shared");
    fs::create_dir(&shared).expect("made");
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o777)).expect("set");
    let (tools, problems) = Wasm::open(&place, &shared, &dialler());
    assert_eq!(tools.len(), 1, "it is compiled anew");
    assert!(matches!(problems.as_slice(), [Problem::NoCache(..)]), "{problems:?}");
    assert!(fs::read_dir(&shared).expect("there").next().is_none());
}

#[tokio::test]
async fn case_01_an_endless_loop_ends() {
    if !can_build() {
        return;
    }
    let bench = Bench::new(Vec::new());
    let mut limited = Grant::default();
    limited.limits.cpu_ms = 200;
    let began = Instant::now();
    let called = bench.call("bare", &limited, &json!({"act": "spin"})).await;
    let took = began.elapsed();
    assert_eq!(called.record.exit, Exit::Limit { limit: Limit::Cpu }, "{:?}", called.answer);
    assert!(called.record.spent.cpu_ms.is_some_and(|ms| ms >= 200), "{:?}", called.record.spent);
    assert!(took < Duration::from_secs(10), "{took:?}");
    let mut limited = Grant::default();
    limited.limits.wall_ms = 200;
    let called = bench.call("bare", &limited, &json!({"act": "spin"})).await;
    assert_eq!(called.record.exit, Exit::Limit { limit: Limit::Wall }, "{:?}", called.answer);
    held(1, &format!("ended after {} ms of processor time under a limit of 200", took.as_millis()));
}

#[tokio::test]
async fn case_02_a_call_that_waits_ends() {
    if !can_build() {
        return;
    }
    let bench = Bench::new(Vec::new());
    let mut limited = Grant::default();
    limited.limits.wall_ms = 200;
    let began = Instant::now();
    for act in ["sleep", "yield"] {
        let called = bench.call("bare", &limited, &json!({"act": act})).await;
        assert_eq!(called.record.exit, Exit::Limit { limit: Limit::Wall }, "{act}: {:?}", called.answer);
    }
    let made = std::process::Command::new("mkfifo").arg(bench.path("data/pipe")).status().expect("mkfifo");
    assert!(made.success());
    for (tool, path) in [("reads", "path"), ("reads_folder", "folder")] {
        let named = if path == "path" { bench.shown("data/pipe") } else { bench.shown("data") };
        let arguments = json!({"act": "read", "path": bench.shown("data/pipe"), path: named});
        let called = bench.call(tool, &grant(&[format!("read:{}", bench.shown("data"))]), &arguments).await;
        assert!(text(&called).contains("refused"), "{}", text(&called));
        assert!(called.record.refusals.iter().any(|one| one.what.ends_with("/pipe")), "{:?}", called.record.refusals);
    }
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    held(2, "an hour of sleep ends after 200 ms; a pipe without a writer is not opened");
}

#[tokio::test]
async fn case_03_a_memory_bomb_ends() {
    if !can_build() {
        return;
    }
    let bench = Bench::new(Vec::new());
    let mut limited = Grant::default();
    limited.limits.memory_bytes = 32 << 20;
    let called = bench.call("bare", &limited, &json!({"act": "memory"})).await;
    assert_eq!(called.record.exit, Exit::Limit { limit: Limit::Memory }, "{:?}", called.answer);
    let peak = called.record.spent.memory_bytes.expect("measured");
    assert!((1 << 20..=32 << 20).contains(&peak), "{peak}");
    let called = bench.call("bare", &Grant::default(), &json!({"act": "deep"})).await;
    assert_eq!(called.record.exit, Exit::Trapped, "{:?}", called.answer);
    held(3, &format!("ended at {peak} bytes under a limit of {}; an endless recursion is a trap", 32 << 20));
}

#[tokio::test]
async fn case_05_an_output_flood_ends() {
    if !can_build() {
        return;
    }
    let bench = Bench::new(Vec::new());
    let mut limited = Grant::default();
    limited.limits.output_bytes = 1_000;
    let called = bench.call("bare", &limited, &json!({"act": "flood"})).await;
    assert_eq!(called.record.exit, Exit::Limit { limit: Limit::Output }, "{:?}", called.answer);
    let called = bench.call("bare", &limited, &json!({"act": "long", "times": 5_000})).await;
    let shown = text(&called);
    assert!(shown.starts_with("HEAD") && shown.ends_with("TAIL") && shown.len() < 1_200, "{}", shown.len());
    assert!(called.record.truncated);
    assert_eq!((called.record.output_bytes, called.contents.len()), (5_008, 1), "the whole is kept");
    held(5, "an endless output ends at 16 times its limit; a long one keeps head and tail");
}

#[tokio::test]
async fn case_06_an_error_flood_ends() {
    if !can_build() {
        return;
    }
    let bench = Bench::new(Vec::new());
    let called = bench.call("bare", &Grant::default(), &json!({"act": "flood both"})).await;
    assert_eq!(called.record.exit, Exit::Limit { limit: Limit::Output }, "{:?}", called.answer);
    assert!(why(&called).len() < 500, "{}", why(&called));
    held(6, "errors between the output end the call at 64 KiB");
}

#[tokio::test]
async fn case_07_disk_and_inodes() {
    if !can_build() {
        return;
    }
    let bench = Bench::new(Vec::new());
    let data = bench.shown("data");
    let mut limited = grant(&[format!("write:{data}")]);
    limited.limits.written_bytes = 1 << 20;
    limited.limits.written_files = 10;
    for act in ["fill", "inodes", "folders", "sparse", "seek"] {
        let called = bench.call("writes_folder", &limited, &json!({"act": act, "path": data, "folder": data})).await;
        assert_eq!(called.record.exit, Exit::Limit { limit: Limit::Written }, "{act}: {:?}", called.answer);
        let files: Vec<_> = fs::read_dir(&data).expect("there").map(|one| one.expect("entry")).collect();
        assert!(files.len() <= 10, "{act}: {}", files.len());
        let bytes: u64 = files.iter().map(|one| one.metadata().expect("about").len()).sum();
        assert!(bytes <= 1 << 20, "{act}: {bytes}");
        for one in files {
            let path = one.path();
            if path.is_dir() { fs::remove_dir(path) } else { fs::remove_file(path) }.expect("removed");
        }
    }
    held(7, "a mebibyte and ten files: not a byte and not a file more, holes counted");
}

#[tokio::test]
async fn what_a_component_writes_is_on_record() {
    if !can_build() {
        return;
    }
    let bench = Bench::new(Vec::new());
    let data = bench.shown("data");
    let writing = grant(&[format!("write:{data}")]);
    let path = bench.shown("data/a.txt");
    fs::write(&path, "old\n").expect("written");
    let arguments = json!({"act": "write", "path": path, "text": "new\n"});
    let called = bench.call("writes", &writing, &arguments).await;
    assert_eq!(text(&called), "write: done\n");
    let [change] = called.record.changes.as_slice() else { panic!("{:?}", called.record.changes) };
    assert_eq!(
        (&change.path, change.before, change.after),
        (&path, Some(Digest::of(b"old\n")), Some(Digest::of(b"new\n")))
    );
    assert!(change.diff.contains("-old\n+new"), "{}", change.diff);
    assert_eq!(called.contents, [b"old\n".to_vec()]);
    let called = bench.call("writes", &writing, &json!({"act": "remove", "path": path})).await;
    let [change] = called.record.changes.as_slice() else { panic!("{:?}", called.record.changes) };
    assert_eq!((change.before, change.after), (Some(Digest::of(b"new\n")), None));
    fs::File::create(&path).and_then(|file| file.set_len(1 << 40)).expect("sparse");
    let called = bench.call("writes", &writing, &arguments).await;
    assert!(text(&called).contains("refused"), "{}", text(&called));
    assert_eq!(fs::metadata(&path).expect("there").len(), 1 << 40, "what cannot be kept is not changed");
}

#[tokio::test]
async fn case_08_open_files() {
    if !can_build() {
        return;
    }
    let bench = Bench::new(Vec::new());
    let path = bench.shown("data/a");
    fs::write(&path, "here").expect("written");
    let mut reading = grant(&[format!("read:{path}")]);
    let open = || fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    let before = open();
    for (most, arguments) in
        [(20, json!({"act": "files", "path": path})), (100_000, json!({"act": "files", "path": path}))]
    {
        reading.limits.open_files = most;
        let called = bench.call("reads", &reading, &arguments).await;
        assert_eq!(called.record.exit, Exit::Limit { limit: Limit::OpenFiles }, "{most}: {:?}", called.answer);
    }
    let called = bench.call("reads", &reading, &json!({"act": "read", "path": path})).await;
    assert_eq!(text(&called), "read: here\n", "others keep working");
    assert!(open() < before + 100, "{before} before, {} after", open());
    held(8, "ended at 20 files, and at 512 handles where 100,000 files were granted; others keep working");
}

#[tokio::test]
async fn case_09_traversal() {
    if !can_build() {
        return;
    }
    let bench = Bench::new(Vec::new());
    let data = bench.shown("data");
    fs::write(bench.path("data/inside"), "INSIDE").expect("written");
    let paths: Vec<String> = vec![
        bench.shown("outside/secret"),
        format!("{data}/../outside/secret"),
        format!("{data}//..//outside/secret"),
        format!("{data}/./../outside/secret"),
        format!("{data}/inside/../../outside/secret"),
        format!("{data}x/../outside/secret"),
        format!("/proc/self/root{}", bench.shown("outside/secret")),
        "../outside/secret".to_owned(),
        "outside/secret".to_owned(),
        "/etc/passwd".to_owned(),
        "//etc/passwd".to_owned(),
        format!("{data}/\u{0}/../../outside/secret"),
        format!("{data}/..\\outside\\secret"),
        format!("{data}/%2e%2e/outside/secret"),
    ];
    let reading = grant(&[format!("read:{data}")]);
    let mut arguments = json!({"act": "read all", "folder": data, "paths": paths});
    let called = bench.call("reads_folder", &reading, &arguments).await;
    let said = text(&called);
    assert_eq!(said.matches("refused").count(), paths.len(), "{said}");
    assert!(!said.contains("SECRET") && !said.contains("root:"), "{said}");
    // The same ways with a folder inside that is granted, so that the guest does read something.
    arguments["paths"] = json!([format!("{data}/inside"), format!("{data}/./inside")]);
    let said = text(&bench.call("reads_folder", &reading, &arguments).await);
    assert_eq!(said.matches("INSIDE").count(), 2, "{said}");
    for path in ["/a/../b", "relative", ""] {
        let called = bench.call("reads", &reading, &json!({"act": "read", "path": path})).await;
        assert!(matches!(called.answer, Err(ToolError::BadArguments { .. })), "{path:?}: {:?}", called.answer);
    }
    held(9, "fourteen ways out of the folder, all refused");
}

#[tokio::test]
async fn a_file_is_granted_and_not_its_neighbour() {
    if !can_build() {
        return;
    }
    let bench = Bench::new(Vec::new());
    let (own, next) = (bench.shown("data/own"), bench.shown("data/next"));
    fs::write(&own, "OWN").expect("written");
    fs::write(&next, "NEXT").expect("written");
    let reading = grant(&[format!("read:{}", bench.shown("data"))]);
    let arguments = json!({"act": "read all", "path": own, "paths": [own, next, bench.shown("data/./next")]});
    let called = bench.call("reads", &reading, &arguments).await;
    let said = text(&called);
    assert!(said.contains("OWN") && !said.contains("NEXT"), "{said}");
    assert!(called.record.refusals.iter().any(|one| one.what.ends_with("data/next")), "{:?}", called.record.refusals);
    let called = bench.call("reads", &reading, &json!({"act": "write", "path": own, "text": "x"})).await;
    assert!(text(&called).contains("refused"));
    fs::remove_file(&own).expect("removed");
    symlink("next", &own).expect("linked");
    let called = bench.call("reads", &reading, &arguments).await;
    assert!(!text(&called).contains("NEXT"), "a link in its place leads nowhere: {}", text(&called));
    let listed = bench.call("reads", &reading, &json!({"act": "list", "path": own})).await;
    assert!(text(&listed).contains("refused"), "{}", text(&listed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_10_links_and_swaps() {
    if !can_build() {
        return;
    }
    let bench = Bench::new(Vec::new());
    let data = bench.path("data");
    symlink(bench.path("outside"), data.join("way")).expect("linked");
    symlink(bench.path("outside/secret"), data.join("file")).expect("linked");
    symlink("../outside/secret", data.join("relative")).expect("linked");
    symlink("/proc/self/root", data.join("proc")).expect("linked");
    let reading = grant(&[format!("read:{}", data.display())]);
    let paths: Vec<_> =
        ["way/secret", "file", "relative", "proc/etc/passwd"].iter().map(|name| data.join(name)).collect();
    let called =
        bench.call("reads_folder", &reading, &json!({"act": "read all", "folder": data, "paths": paths})).await;
    assert_eq!(text(&called).matches("refused").count(), 4, "{}", text(&called));
    // The need itself leads through a link, before there is a guest.
    let called = bench.call("reads", &reading, &json!({"act": "read", "path": data.join("way/secret")})).await;
    assert!(!format!("{:?}", called.answer).contains("SECRET"), "{:?}", called.answer);

    fs::create_dir(data.join("plain")).expect("made");
    fs::write(data.join("plain/secret"), "plain").expect("written");
    let stop = Arc::new(AtomicBool::new(false));
    let swapping = {
        let (stop, data, outside) = (Arc::clone(&stop), data.clone(), bench.path("outside"));
        std::thread::spawn(move || swap(&stop, &data, &outside))
    };
    let arguments = json!({"act": "read many", "folder": data, "path": data.join("swap/secret"), "times": 10_000});
    let within = bench.call("reads_folder", &reading, &arguments).await;
    for _ in 0..500 {
        // Swapped between check and opening on our side too.
        let called = bench.call("reads", &reading, &json!({"act": "read", "path": data.join("swap/secret")})).await;
        assert!(!format!("{:?}", called.answer).contains("SECRET"), "{:?}", called.answer);
    }
    stop.store(true, Ordering::Relaxed);
    let swaps = swapping.join().expect("swapped");
    let said = text(&within);
    assert!(!said.contains("SECRET") && said.contains("refused"), "{said}");
    assert!(swaps > 100, "{swaps}");
    held(10, &format!("links refused; 10,500 opens during {swaps} swaps, none went outside"));
}

/// Puts a link and a folder in each other's place until told to stop.
fn swap(stop: &AtomicBool, data: &Path, outside: &Path) -> usize {
    let at = data.join("swap");
    let mut swaps = 0;
    while !stop.load(Ordering::Relaxed) {
        fs::rename(data.join("plain"), &at).expect("put");
        std::thread::yield_now();
        fs::rename(&at, data.join("plain")).expect("taken");
        symlink(outside, &at).expect("linked");
        std::thread::yield_now();
        fs::remove_file(&at).expect("unlinked");
        swaps += 1;
    }
    swaps
}

#[tokio::test]
async fn case_11_read_only_stays_so() {
    if !can_build() {
        return;
    }
    let bench = Bench::new(Vec::new());
    fs::create_dir(bench.path("free")).expect("made");
    let (fixed, free) = (bench.shown("data"), bench.shown("free"));
    let (kept, own) = (bench.shown("data/kept"), bench.shown("free/own"));
    fs::write(&kept, "kept").expect("written");
    fs::write(&own, "own").expect("written");
    let both = grant(&[format!("read:{fixed}"), format!("write:{free}")]);
    for (act, path, to) in [
        ("rename", &kept, bench.shown("free/moved")),
        ("rename", &own, bench.shown("data/moved")),
        ("rename", &own, kept.clone()),
        ("link", &kept, bench.shown("free/link")),
        ("link", &own, bench.shown("data/link")),
        ("symlink", &kept, bench.shown("free/soft")),
        ("symlink", &own, bench.shown("data/soft")),
        ("truncate", &kept, String::new()),
        ("append", &kept, String::new()),
        ("write", &kept, String::new()),
        ("remove", &kept, String::new()),
        ("make", &bench.shown("data/new"), String::new()),
    ] {
        let arguments = json!({"act": act, "folder": fixed, "other": free, "path": path, "to": to});
        let called = bench.call("crosses", &both, &arguments).await;
        assert!(text(&called).contains("refused"), "{act} {path}: {}", text(&called));
        assert!(!called.record.refusals.is_empty(), "{act} {path} is on record");
    }
    assert_eq!(fs::read(&kept).expect("there"), b"kept");
    assert_eq!(fs::read(&own).expect("there"), b"own");
    assert_eq!(fs::read_dir(&fixed).expect("there").count(), 1);
    assert_eq!(fs::read_dir(&free).expect("there").count(), 1);
    let arguments =
        json!({"act": "rename", "folder": fixed, "other": free, "path": own, "to": bench.shown("free/moved")});
    let called = bench.call("crosses", &both, &arguments).await;
    assert_eq!(text(&called), "rename: done\n");
    assert_eq!(called.record.changes.len(), 2, "a file that went and one that came");
    held(11, "twelve ways to change what is granted to be read: refused and on record");
}

#[tokio::test]
async fn case_12_the_host_is_not_seen() {
    if !can_build() {
        return;
    }
    let bench = Bench::new(Vec::new());
    let called = bench.call("bare", &Grant::default(), &json!({"act": "environment"})).await;
    let said = text(&called);
    assert!(said.starts_with("[] []\n"), "{said}");
    assert_eq!(said.matches("refused").count(), 4, "{said}");
    // Needed, and not in the grant: not run. PATH is set wherever tests run, and is shown to nobody.
    let called = bench.call("variable", &Grant::default(), &json!({"act": "environment"})).await;
    assert_eq!(called.record.exit, Exit::Refused);
    let called =
        bench.call("variable", &grant(&["env:II_TEST_SHOWN".to_owned()]), &json!({"act": "environment"})).await;
    assert!(!text(&called).contains("PATH"), "{}", text(&called));
    held(12, "no variable, no argument, nothing of /proc");
}

#[tokio::test]
async fn a_variable_is_seen_where_it_is_granted() {
    if !can_build() {
        return;
    }
    // A variable that is set wherever cargo runs tests.
    let (bench, problems) = Bench::empty(Vec::new(), |place| {
        write_tool(place, "variable", guest(), &["env:CARGO_PKG_NAME"], "");
    });
    assert!(problems.is_empty(), "{problems:?}");
    let called =
        bench.call("variable", &grant(&["env:CARGO_PKG_NAME".to_owned()]), &json!({"act": "environment"})).await;
    assert!(text(&called).starts_with("[(\"CARGO_PKG_NAME\", \"tools\")]"), "{}", text(&called));
}

#[tokio::test]
async fn case_13_no_network() {
    if !can_build() {
        return;
    }
    let bench = Bench::new(Vec::new());
    // Whatever its module may do with the network, a component may not.
    let wide = grant(&["net:http://169.254.169.254".to_owned(), "net:http://127.0.0.1".to_owned()]);
    let called = bench.call("bare", &wide, &json!({"act": "network"})).await;
    let said = text(&called);
    assert_eq!(said.matches("refused").count(), 5, "{said}");
    assert!(called.record.egress.is_empty());
    assert_eq!(called.record.refusals.len(), 5, "{:?}", called.record.refusals);
    held(13, "metadata addresses, loopback, listening, datagrams: no socket is made");
}

#[tokio::test]
async fn case_14_encoded_addresses() {
    if !can_build() {
        return;
    }
    let bench = Bench::new(Vec::new());
    let called = bench.call("bare", &Grant::default(), &json!({"act": "addresses"})).await;
    let said = text(&called);
    assert_eq!(said.matches("refused").count(), 6, "{said}");
    assert!(called.record.egress.is_empty());
    held(14, "six spellings of addresses: no socket is made and none is looked up");
}

#[tokio::test]
async fn case_18_long_names() {
    if !can_build() {
        return;
    }
    let bench = Bench::new(Vec::new());
    let called = bench.call("bare", &Grant::default(), &json!({"act": "names"})).await;
    assert!(text(&called).contains("refused"), "{}", text(&called));
    let [refusal] = called.record.refusals.as_slice() else { panic!("{:?}", called.record.refusals) };
    assert!(refusal.what.contains("secret-datasecret-data"), "{refusal:?}");
    held(18, "the name is not looked up, and is on record");
}

#[tokio::test]
async fn case_22_output_holds_no_escapes() {
    if !can_build() {
        return;
    }
    let bench = Bench::new(Vec::new());
    let words = "\u{1b}]0;title\u{7}\u{1b}[31mred\u{202e}\u{e0041}";
    let called = bench.call("bare", &Grant::default(), &json!({"act": "say", "text": words})).await;
    assert_eq!(text(&called), "red");
    held(22, "escapes, direction marks and tags are taken out");
}

#[tokio::test]
async fn case_23_a_secret_is_not_shown() {
    if !can_build() {
        return;
    }
    let bench = Bench::new(vec![("token".to_owned(), "s3cret".to_owned())]);
    let called = bench.call("bare", &Grant::default(), &json!({"act": "say", "text": "a s3cret b"})).await;
    assert_eq!(text(&called), "a [secret token] b");
    held(23, "the value of a secret is its name");
}

#[tokio::test]
async fn case_24_changed_words_or_code_are_another_tool() {
    if !can_build() {
        return;
    }
    let mut digests = Vec::new();
    // A custom section at the end changes the bytes and nothing else.
    let mut other = guest().to_vec();
    other.extend([0, 2, 1, b'x']);
    for (code, needs, description) in [
        (guest(), &[][..], "A guest."),
        (&other, &[][..], "A guest."),
        (guest(), &[][..], "Another guest."),
        (guest(), &["read:{path}"][..], "A guest."),
    ] {
        let (bench, problems) = Bench::empty(Vec::new(), |place| {
            write_tool(place, "bare", code, needs, "");
            let manifest = place.join("bare/tool.toml");
            let text = fs::read_to_string(&manifest).expect("written").replace("A guest.", description);
            fs::write(manifest, text).expect("written");
        });
        assert!(problems.is_empty(), "{problems:?}");
        let called = bench.call("bare", &Grant::default(), &json!({"act": "say", "text": "x"})).await;
        assert_eq!(called.record.exit, Exit::Done, "{:?}", called.answer);
        assert!(!digests.contains(&called.record.tool), "{description} {needs:?}");
        digests.push(called.record.tool);
    }
    held(24, "other code, other words or other needs: another digest on record");
}

#[tokio::test]
async fn a_trap_and_a_code_are_told_apart() {
    if !can_build() {
        return;
    }
    let bench = Bench::new(Vec::new());
    let called = bench.call("bare", &Grant::default(), &json!({"act": "panic"})).await;
    assert_eq!(called.record.exit, Exit::Trapped);
    assert!(why(&called).contains("no more"), "{}", why(&called));
    let called = bench.call("bare", &Grant::default(), &json!({"act": "exit"})).await;
    assert_eq!(called.record.exit, Exit::Code { code: 1 });
}

#[tokio::test]
async fn the_page_about_tools_is_true() {
    if !can_build() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let page = fs::read_to_string(wasm_bench::root().join("docs/WASM-TOOLS.md")).expect("the page");
    let blocks = |kind: &str| -> Vec<String> {
        let begins = format!("```{kind}\n");
        let parts = page.split(&begins).skip(1);
        parts.map(|part| part.split("```").next().unwrap_or_default().to_owned()).collect()
    };
    let (shell, code) = (blocks("sh"), blocks("rust"));
    let ([first, build, describe], [main]) = (shell.as_slice(), code.as_slice()) else { panic!("{shell:?}") };
    guest();
    let run = |script: &str, place: &Path| {
        // What the guest is built of is on this machine; nothing else is asked for.
        let ran = std::process::Command::new("bash")
            .args(["-euo", "pipefail", "-c", script])
            .current_dir(place)
            .env("CARGO_NET_OFFLINE", "true")
            .env_remove("CARGO_TARGET_DIR")
            .output()
            .expect("started");
        assert!(ran.status.success(), "{script}: {}", String::from_utf8_lossy(&ran.stderr));
    };
    run(&first.replace("rustup target add wasm32-wasip2\n", ""), folder.path());
    let place = folder.path().join("greet");
    symlink(wasm_bench::root().join("target/components"), place.join("target")).expect("linked");
    fs::write(place.join("src/main.rs"), main).expect("written");
    run(build, &place);
    run(describe, &place);
    let (tools, problems) = Wasm::open(&place.join("tools"), &cache(), &dialler());
    assert!(problems.is_empty(), "{problems:?}");
    let common = Arc::new(Common::new(folder.path().join("fence"), Vec::new()));
    let greet = Guarded::new(tools.into_iter().next().expect("one"), &common);
    let name = folder.path().canonicalize().expect("real").join("name");
    fs::write(&name, "Ada\n").expect("written");
    let called = call(&greet, &grant(&[format!("read:{}", name.display())]), &json!({"path": name})).await;
    assert_eq!(text(&called), "Good day, Ada.\n");
}
