//! The hostile cases through the program: `ii tools call` of one tool under one grant, its exit code, its record as JSON, and
//! what is left after it. The tiers' own suites hold the heavy cases; here each tier shows that the command line stands on
//! the same walls.
#![cfg(target_os = "linux")]

mod common;

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use common::{
    Place,
    engine::{guest, image, skipped},
};
use common_ground::grant::{Grant, Limits};
use receipts::Digest;
use serde_json::{Value, json};

/// Whose value no output may show; it is in the settings of every call.
const SECRET: &str = "s3cret-of-the-settings";
/// What lies beside everything that is granted.
const HIDDEN: &str = "H1DDEN";

/// A home, a folder `data` to grant, and `hidden` beside it. What the program puts into the temporary folder is under `tmp`.
struct Scene {
    place: Place,
    root: PathBuf,
    tier: &'static str,
    /// Among the arguments of what is left behind, should anything be: a number, for `sleep`, and of this scene alone, since
    /// another's processes are no business of its.
    word: String,
}

/// What a call must come to.
struct Ends {
    code: i32,
    exit: Value,
    /// In what it put out or said of its failure.
    says: &'static str,
}

impl Ends {
    fn done(says: &'static str) -> Self {
        Self { code: 0, exit: json!({ "exit": "done" }), says }
    }

    fn refused(says: &'static str) -> Self {
        Self { code: 6, exit: json!({ "exit": "refused" }), says }
    }

    fn failed(says: &'static str) -> Self {
        Self { code: 1, exit: json!({ "exit": "failed" }), says }
    }

    fn exits(code: i32, says: &'static str) -> Self {
        Self { code: 0, exit: json!({ "exit": "code", "code": code }), says }
    }

    fn limit(limit: &str) -> Self {
        Self { code: 1, exit: json!({ "exit": "limit", "limit": limit }), says: "" }
    }
}

impl Scene {
    fn new(tier: &'static str) -> Self {
        let place = Place::new();
        let root = place.folder.path().canonicalize().expect("real");
        // The sandboxes' nobody must get there.
        fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).expect("permissions");
        for (name, mode) in [("data", 0o777), ("tmp", 0o700)] {
            fs::create_dir(root.join(name)).expect("made");
            fs::set_permissions(root.join(name), fs::Permissions::from_mode(mode)).expect("permissions");
        }
        fs::write(root.join("hidden"), HIDDEN).expect("written");
        static SCENES: AtomicU32 = AtomicU32::new(0);
        let word = format!("7{:07}{:02}", std::process::id(), SCENES.fetch_add(1, Ordering::Relaxed));
        Self { place, root, tier, word }
    }

    fn data(&self, name: &str) -> String {
        self.root.join("data").join(name).display().to_string()
    }

    fn write(&self) -> String {
        format!("write:{}", self.root.join("data").display())
    }

    fn read(&self) -> String {
        format!("read:{}", self.root.join("data").display())
    }

    /// One call, whose record is checked as far as every record must say the same. Gives all that was printed, as JSON.
    #[track_caller]
    fn call(&self, tool: &str, arguments: &Value, grants: &[&str], limits: &[&str], ends: &Ends) -> Value {
        let arguments = arguments.to_string();
        let mut words = vec!["tools", "call", tool, "--args", &arguments];
        words.extend(grants.iter().flat_map(|grant| ["--grant", grant]));
        words.extend(limits.iter().flat_map(|limit| ["--limit", limit]));
        let mut command = self.place.command(Path::new(env!("CARGO_BIN_EXE_ii")), &words);
        command
            .env("TMPDIR", self.root.join("tmp"))
            .env("II_SECRETS", "token=II_TEST_TOKEN")
            .env("II_TEST_TOKEN", SECRET);
        if let Some(host) = std::env::var_os("DOCKER_HOST") {
            command.env("DOCKER_HOST", host);
        }
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("ii starts");
        let pid = child.id();
        let output = child.wait_with_output().expect("ii ends");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        let what = format!("{tool} {arguments}: {told}");
        let shown: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{what}: {error}"));
        let record = &shown["record"];
        let said = shown["answer"].as_str().or(shown["error"].as_str()).unwrap_or_default();
        assert_eq!(output.status.code(), Some(ends.code), "{what}{shown}");
        assert_eq!(record["exit"], ends.exit, "{what}{shown}");
        assert!(said.contains(ends.says), "{what}{shown}");
        assert_eq!(record["tier"], self.tier, "{what}");
        assert_eq!(shown["answer"].is_null(), ends.code != 0, "{what}{shown}");
        assert_eq!(record["grant"], json!(grant(grants, limits).digest()), "{what}");
        assert_eq!(record["input"], json!(Digest::of(arguments.as_bytes())), "{what}");
        // Of what lies outside, of the settings, and of what a terminal would obey, nothing comes back.
        for all in [said, &told, &record.to_string()] {
            assert!(!all.contains(SECRET) && !all.contains(HIDDEN), "{what}{shown}");
            assert!(all.chars().all(|one| one == '\n' || one == '\t' || !one.is_control()), "{what}{shown}");
        }
        self.nothing_is_left(pid);
        shown
    }

    /// No process, no container of that program, and nothing in its temporary folder.
    #[track_caller]
    fn nothing_is_left(&self, pid: u32) {
        assert_eq!(running(&self.word), 0, "a process is left");
        if self.tier == "docker" {
            let name = format!("name=^/?ii-{pid}-");
            let listed = Command::new("docker").args(["ps", "-aq", "--filter", &name]).output().expect("docker");
            assert_eq!(String::from_utf8_lossy(&listed.stdout), "", "a container is left");
        }
        let left: Vec<_> = fs::read_dir(self.root.join("tmp")).expect("read").collect();
        assert!(left.is_empty(), "{left:?}");
        assert_eq!(fs::read_to_string(self.root.join("hidden")).expect("there"), HIDDEN);
    }

    /// Whether this tier works here, by the program's own word; where it does not, says so.
    fn is_there(&self) -> bool {
        let doctor = self.place.ii(&["doctor", "--json"]);
        let found: Value = serde_json::from_slice(&doctor.stdout).expect("JSON");
        let tier = found["tiers"].as_array().and_then(|tiers| tiers.iter().find(|tier| tier["tier"] == self.tier));
        let tier = tier.unwrap_or_else(|| panic!("no {}: {found}", self.tier));
        if tier["works"] != true {
            skipped(&format!("hostile calls of the tier {}", self.tier), &tier["found"].to_string());
        }
        tier["works"] == true
    }
}

/// The grant of these flags.
fn grant(grants: &[&str], limits: &[&str]) -> Grant {
    let limits = limits.iter().map(|limit| {
        let (name, number) = limit.split_once('=').expect("NAME=NUMBER");
        (name, number.parse::<u64>().expect("a number"))
    });
    let mut all = Limits::USUAL;
    for (name, number) in limits {
        match name {
            "cpu_ms" => all.cpu_ms = number,
            "wall_ms" => all.wall_ms = number,
            "memory_bytes" => all.memory_bytes = number,
            "output_bytes" => all.output_bytes = number,
            "written_bytes" => all.written_bytes = number,
            "written_files" => all.written_files = number,
            other => panic!("no limit {other} here"),
        }
    }
    Grant { limits: all, ..Grant::of(grants.iter().map(|item| item.parse().expect("an item"))) }
}

/// Processes that have this word among their arguments.
fn running(word: &str) -> usize {
    let processes = fs::read_dir("/proc").expect("/proc").filter_map(|entry| Some(entry.ok()?.path()));
    let lines = processes.filter_map(|path| fs::read(path.join("cmdline")).ok());
    lines.filter(|line| line.split(|byte| *byte == 0).any(|one| one == word.as_bytes())).count()
}

fn refusals(shown: &Value) -> String {
    shown["record"]["refusals"].to_string()
}

#[test]
fn files() {
    let scene = Scene::new("builtin");
    let made = Command::new("mkfifo").arg(scene.data("pipe")).status().expect("mkfifo");
    assert!(made.success());
    symlink(&scene.root, scene.data("up")).expect("linked");
    fs::write(scene.data("long"), format!("HEAD{}TAIL", "x".repeat(1 << 20))).expect("written");
    fs::write(scene.data("escapes"), format!("\u{1b}]0;t\u{7}\u{1b}[31mred\u{202e} {SECRET}")).expect("written");
    let (read, write) = (scene.read(), scene.write());
    let path = |name: &str| json!({ "path": scene.data(name) });
    let new = |text: String| json!({ "path": scene.data("new"), "text": text });
    // A pipe without a writer, ways out, links out, more than may be written, a grant to read.
    scene.call("read", &path("pipe"), &[&read], &[], &Ends::failed("no plain file"));
    scene.call("read", &path("../hidden"), &[&read], &[], &Ends { code: 2, ..Ends::failed("..") });
    scene.call(
        "read",
        &json!({ "path": scene.root.join("hidden") }),
        &[&read],
        &[],
        &Ends::refused("no grant covers it"),
    );
    scene.call("read", &path("up/hidden"), &[&read], &[], &Ends::failed(""));
    scene.call("write", &new("x".repeat(11)), &[&write], &["written_bytes=10"], &Ends::limit("written"));
    let shown = scene.call("write", &new("x".to_owned()), &[&read], &[], &Ends::refused("no grant covers it"));
    assert!(refusals(&shown).contains("no grant covers it"), "{shown}");
    assert!(!Path::new(&scene.data("new")).exists());
    // A long text is cut in its middle and says so; escapes go, and secrets.
    let shown = scene.call("read", &path("long"), &[&read], &[], &Ends::done("TAIL"));
    assert_eq!(shown["record"]["truncated"], true);
    assert_eq!(shown["record"]["output_bytes"], (1 << 20) + 8);
    assert!(shown["answer"].as_str().is_some_and(|text| text.contains("\nHEAD") && text.len() < 70_000));
    scene.call("read", &path("escapes"), &[&read], &[], &Ends::done("\nred [secret token]"));
}

/// A server of loopback that sends a browser or a request elsewhere, or says hostile words; it ends with the test.
fn server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            let mut head = [0; 4096];
            let read = connection.read(&mut head).unwrap_or(0);
            let head = String::from_utf8_lossy(&head[..read]).into_owned();
            let to = |place: &str| format!("HTTP/1.1 302 Found\r\nlocation: {place}\r\n");
            let answer = match head.split(' ').nth(1) {
                Some("/metadata") => to("http://169.254.169.254/latest/"),
                Some("/file") => to("file:///etc/passwd"),
                Some("/words") => "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n".to_owned(),
                _other => "HTTP/1.1 404 Not Found\r\n".to_owned(),
            };
            let body = if answer.contains(" 200 ") {
                format!("<h1>Words</h1><p>\u{1b}[2Jcleared\u{202e} {SECRET}</p>")
            } else {
                String::new()
            };
            let answer = format!("{answer}content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
            // Whoever asked may have gone.
            drop(connection.write_all(answer.as_bytes()));
        }
    });
    url
}

#[test]
fn fetch() {
    let scene = Scene::new("builtin");
    let server = server();
    let net = format!("net:{server}");
    let get = |url: String| json!({ "url": url });
    for host in ["169.254.169.254", "metadata.google.internal"] {
        let exact = format!("net:http://{host}");
        let shown =
            scene.call("fetch", &get(format!("http://{host}/")), &[&exact], &[], &Ends::refused("metadata service"));
        assert_eq!(shown["record"]["egress"], json!([]));
        assert!(refusals(&shown).contains("metadata service"), "{shown}");
    }
    for spelling in ["0x7f.1", "2130706433", "0177.0.0.1", "[::ffff:127.0.0.1]"] {
        let asked = get(format!("http://{spelling}/"));
        let shown = scene.call("fetch", &asked, &["net:http://example.org"], &[], &Ends::refused("no grant covers it"));
        assert!(refusals(&shown).contains("127.0.0.1"), "{shown}");
    }
    for path in ["/metadata", "/file"] {
        let asked = get(format!("{server}{path}"));
        let grants = [&*net, "net:http://169.254.169.254"];
        let ends = if path == "/file" { Ends::failed("file") } else { Ends::refused("metadata service") };
        let shown = scene.call("fetch", &asked, &grants, &[], &ends);
        let egress = shown["record"]["egress"].as_array().expect("connections");
        assert!(!egress.is_empty() && egress.iter().all(|one| one["address"] == "127.0.0.1"), "{shown}");
    }
    scene.call("fetch", &get(format!("{server}/words")), &[&net], &[], &Ends::done("cleared [secret token]"));
}

#[test]
fn components() {
    let scene = Scene::new("wasm");
    let code = match guest() {
        Ok(code) => code,
        Err(reason) => return skipped("hostile calls of the tier wasm", &reason),
    };
    for (name, needs) in [("bare", ""), ("writes", "write:{folder}"), ("reads", "read:{folder}")] {
        let at = scene.place.home().join("tools").join(name);
        fs::create_dir_all(&at).expect("made");
        fs::write(at.join("component.wasm"), &code).expect("written");
        let schema = json!({ "type": "object", "properties": {
            "act": { "type": "string" }, "path": { "type": "string" }, "folder": { "type": "string" } } });
        let needs = if needs.is_empty() { json!([]) } else { json!([needs]) };
        let manifest = format!(
            "name = '{name}'\ndescription = 'A guest.'\narguments = '''{schema}'''\nidempotent = true\nwasm = '{}'\nneeds = {needs}\n",
            Digest::of(&code)
        );
        fs::write(at.join("tool.toml"), manifest).expect("written");
    }
    let act = |act: &str| json!({ "act": act });
    let shown = scene.call("bare", &act("spin"), &[], &["cpu_ms=200"], &Ends::limit("cpu"));
    assert!(shown["record"]["spent"]["fuel"].as_u64().is_some_and(|fuel| fuel > 0), "{shown}");
    scene.call("bare", &act("sleep"), &[], &["wall_ms=300"], &Ends::limit("wall"));
    scene.call("bare", &act("memory"), &[], &["memory_bytes=33554432"], &Ends::limit("memory"));
    let shown = scene.call("bare", &act("flood"), &[], &["output_bytes=1000"], &Ends::limit("output"));
    assert_eq!(shown["error"].as_str().map(|text| text.len() < 1_200), Some(true), "{shown}");
    scene.call("bare", &act("deep"), &[], &[], &Ends { exit: json!({ "exit": "trapped" }), ..Ends::failed("") });
    scene.call("bare", &act("environment"), &[], &[], &Ends::done("refused"));
    scene.call("bare", &act("network"), &[], &[], &Ends::done("refused"));
    let (read, write) = (scene.read(), scene.write());
    let inside = |act: &str, path: &str| json!({ "act": act, "path": path, "folder": scene.root.join("data") });
    let hidden = scene.root.join("hidden").display().to_string();
    for way in [&hidden, &scene.data("../hidden"), &format!("/proc/self/root{hidden}")] {
        scene.call("reads", &inside("read", way), &[&read], &[], &Ends::done("refused"));
    }
    let fill = inside("fill", &scene.data(""));
    scene.call("writes", &fill, &[&read], &[], &Ends::refused("no grant covers it"));
    scene.call("writes", &fill, &[&write], &["written_bytes=1048576"], &Ends::limit("written"));
    assert!(fs::metadata(scene.data("fill")).expect("made").len() <= 1 << 20);
}

/// A listener of this machine, and ways to it and to a metadata service, none of which gets there.
fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    listener.set_nonblocking(true).expect("set");
    let port = listener.local_addr().expect("an address").port();
    (listener, port)
}

/// Cases that a shell shows alike in a jail and in a container. `run` makes arguments of a command line.
fn commands(scene: &Scene, tool: &str, run: impl Fn(&str) -> Value, any: &str) {
    let (read, write) = (scene.read(), scene.write());
    let hidden = scene.root.join("hidden").display().to_string();
    symlink(&scene.root, scene.data("up")).expect("linked");
    let word = &scene.word;
    let shown = scene.call(tool, &run("while :; do :; done"), &[any], &["cpu_ms=300"], &Ends::limit("cpu"));
    assert!(shown["record"]["spent"]["cpu_ms"].as_u64().is_some_and(|ms| ms >= 300), "{shown}");
    // One that minds no signal, and children that have left it, end with it.
    let orphans = format!("trap '' TERM INT HUP; (setsid sleep {word} &); sleep {word} & sleep {word}");
    scene.call(tool, &run(&orphans), &[any], &["wall_ms=2000"], &Ends::limit("wall"));
    scene.call(tool, &run("yes"), &[any], &[], &Ends::limit("output"));
    // Each file is small, the sum is not.
    let fill = format!("i=0; while head -c 1000000 /dev/zero > {}/b$i; do i=$((i+1)); done", scene.data(""));
    let shown = scene.call(tool, &run(&fill), &[any, &write], &["written_bytes=4000000"], &Ends::limit("written"));
    assert!(refusals(&shown).contains("bytes more than when it began"), "{shown}");
    let ways = [hidden.clone(), scene.data("../hidden"), scene.data("up/hidden"), format!("/proc/1/root{hidden}")];
    let line = ways.map(|way| format!("cat {way} 2>/dev/null")).join("; ") + "; echo looked";
    scene.call(tool, &run(&line), &[any, &read], &[], &Ends::done("looked"));
    let line = format!(
        "(: > {0}/x; ln {0}/up {0}/y) 2>/dev/null; [ -e {0}/x ] || [ -L {0}/y ] || echo nothing",
        scene.root.join("data").display()
    );
    scene.call(tool, &run(&line), &[any, &read], &[], &Ends::done("\nnothing"));
    // In two halves, or the record of what was granted would have it.
    let (one, other) = SECRET.split_at(4);
    let line = "env; tr '\\0' '\\n' < /proc/1/environ; printf '\\033[31mred\\033[0m \\033]0;t\\007'";
    let shown = scene.call(
        tool,
        &run(&format!("{line}; printf %s {one} {other}")),
        &[any],
        &[],
        &Ends::done("red [secret token]"),
    );
    assert!(!shown["answer"].to_string().contains("II_"), "{shown}");
    scene.call(tool, &run("echo ran"), &[&read], &[], &Ends::refused("no grant covers it"));
    scene.call(tool, &run("exit 3"), &[any], &[], &Ends::exits(3, "[exit code 3]"));
    let shown = scene.call(tool, &run("echo ran"), &[any, "read:/"], &[], &Ends::refused("own"));
    assert_eq!(shown["record"]["held"], json!([]), "nothing was started");
}

#[test]
fn jails() {
    let scene = Scene::new("process");
    if !scene.is_there() {
        return;
    }
    let run = |line: &str| json!({ "command": line });
    commands(&scene, "shell", run, "run:process");
    let (listener, port) = listener();
    let connect = |to: &str| format!("bash -c 'exec 3<>/dev/tcp/{to}' 2>/dev/null && echo through");
    let line = [format!("127.0.0.1/{port}"), format!("2130706433/{port}"), "169.254.169.254/80".to_owned()];
    let line = line.map(|to| connect(&to)).join("; ") + "; echo tried";
    let shown = scene.call("shell", &run(&line), &["run:process"], &[], &Ends::done("\ntried"));
    assert!(listener.accept().is_err(), "somebody came through: {shown}");
    let held = shown["record"]["held"].to_string();
    for wall in ["namespaces", "landlock", "seccomp", "no_new_privs"] {
        assert!(held.contains(wall), "{held}");
    }
}

#[test]
fn containers() {
    let scene = Scene::new("docker");
    let image = match image() {
        Ok(image) => image,
        Err(reason) => return skipped("hostile calls of the tier docker", &reason),
    };
    let run = |line: &str| json!({ "image": image, "command": ["/bin/sh", "-c", line] });
    let any = format!("run:docker:{image}");
    commands(&scene, "container", run, &any);
    let (listener, port) = listener();
    let line = format!(
        "nc -w 1 127.0.0.1 {port} </dev/null && echo through; nc -w 1 169.254.169.254 80 && echo through; echo tried"
    );
    let shown = scene.call("container", &run(&line), &[&any], &[], &Ends::done("tried"));
    assert!(listener.accept().is_err() && !shown["answer"].to_string().contains("through"), "{shown}");
    let held = shown["record"]["held"].to_string();
    assert!(held.contains("image sha256:") && held.contains("network none"), "{held}");
    let other = json!({ "image": "ii-test-nothing:1", "command": ["ls"] });
    scene.call("container", &other, &["run:docker:ii-test-nothing:1"], &[], &Ends::failed("has no image"));
}

#[test]
fn browsers() {
    let scene = Scene::new("browser");
    if !scene.is_there() {
        return;
    }
    let server = server();
    let net = format!("net:{server}");
    let open = |url: String| json!({ "action": "open", "url": url });
    scene.call(
        "browse",
        &open("http://0x7f.1:81/".to_owned()),
        &["net:http://example.org"],
        &[],
        &Ends::refused("127.0.0.1:81"),
    );
    let page = scene.call("browse", &open(format!("{server}/words")), &[&net], &[], &Ends::done("cleared"));
    assert!(page["answer"].as_str().is_some_and(|text| text.contains("[secret token]")), "{page}");
    let asked = open(format!("{server}/metadata"));
    let grants = [&*net, "net:http://169.254.169.254"];
    let shown = scene.call("browse", &asked, &grants, &[], &Ends::done("metadata service"));
    assert!(refusals(&shown).contains("metadata service"), "{shown}");
    let egress = shown["record"]["egress"].as_array().expect("connections");
    assert!(egress.iter().all(|one| one["address"] == "127.0.0.1"), "{shown}");
}
