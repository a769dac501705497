//! The program killed with SIGKILL while its tools are at work, again and again, and started anew: nothing of it is left on
//! the machine, and no call is made twice.
#![cfg(target_os = "linux")]

mod common;

use std::{
    collections::BTreeSet,
    fs,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use common::{
    Place,
    engine::{image, skipped},
    server::{ModelServer, Says, offers, rounds},
};
use serde_json::{Value, json};

const QUESTION: &str = "Who may pause a run? Where are the keys kept? When is a lease lost?";

/// Three modules, each with another tool at work for longer than the program lives.
fn model(url: &str, image: &str, count: &Path, mark: &str) -> ModelServer {
    let (url, image, count, mark) = (url.to_owned(), image.to_owned(), count.display().to_string(), mark.to_owned());
    ModelServer::start(move |request, number| {
        if offers(request, "plan") {
            let module = |name: &str, question: &str| json!({ "name": name, "kind": "answer", "question": question, "inputs": [] });
            let modules = [
                module("one", "Who may pause a run?"),
                module("two", "Where are the keys kept?"),
                module("three", "When is a lease lost?"),
            ];
            let reason = json!({ "reason": "independent_parts", "parts": 3 });
            return Says::call("plan", json!({ "reason": reason, "modules": modules }));
        }
        let words = request["messages"].to_string();
        let is = |question: &str| words.contains(question);
        match rounds(request) {
            0 => Says::call("commons_search", json!({ "query": "pause keys lease" })),
            1 if is("Who may pause") => {
                // Each call of the model's has a number of its own.
                let line = format!("echo {number} >>{count}; sleep {mark}");
                Says::call("shell", json!({ "command": line }))
            }
            1 if is("Where are the keys") => Says::call(
                "container",
                json!({ "image": image, "command": ["/bin/sh", "-c", format!("sleep {mark}")] }),
            ),
            1 => Says::call("browse", json!({ "action": "open", "url": format!("{url}/") })),
            _ => Says::Hang(Duration::from_secs(600)),
        }
    })
}

/// A server that takes connections and never answers, so that a browser stays at work.
fn silent() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || listener.incoming().flatten().collect::<Vec<_>>());
    url
}

/// Processes that have this text among their arguments.
fn running(text: &str) -> usize {
    let processes = fs::read_dir("/proc").expect("/proc").filter_map(|entry| Some(entry.ok()?.path()));
    let lines = processes.filter_map(|path| fs::read(path.join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).contains(text)).count()
}

/// Containers of a run, whatever their state.
fn containers(run: &str) -> usize {
    let filter = format!("label=ii.run={run}");
    let listed = Command::new("docker").args(["ps", "-aq", "--filter", &filter]).output().expect("docker");
    String::from_utf8_lossy(&listed.stdout).lines().count()
}

/// Control groups of jails that a process made.
fn groups(program: u32) -> Vec<String> {
    let name = format!("ii-jail-{program}-*");
    let found = Command::new("find")
        .args(["/sys/fs/cgroup", "-maxdepth", "8", "-type", "d", "-name", &name])
        .output()
        .expect("find");
    String::from_utf8_lossy(&found.stdout).lines().map(str::to_owned).collect()
}

#[track_caller]
fn soon(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(60), "not within a minute: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What the test looks at.
struct Scene {
    place: Place,
    server: ModelServer,
    temporary: std::path::PathBuf,
    count: std::path::PathBuf,
    mark: String,
}

impl Scene {
    fn start(&self, words: &[&str]) -> Child {
        let mut command = self.place.command(Path::new(env!("CARGO_BIN_EXE_ii")), words);
        self.server.asked_by(&mut command).env("TMPDIR", &self.temporary).stdout(Stdio::null()).stderr(Stdio::null());
        if let Some(host) = std::env::var_os("DOCKER_HOST") {
            command.env("DOCKER_HOST", host);
        }
        command.spawn().expect("starts")
    }

    fn lines(&self) -> usize {
        fs::read_to_string(&self.count).expect("read").lines().count()
    }

    fn browsers(&self) -> usize {
        running(&self.temporary.display().to_string())
    }

    /// Waits until a jail, a container and a browser are there.
    fn all_at_work(&self, lines: usize, run: &str) {
        soon("a line from the jail", || self.lines() > lines);
        // One that the engine was still making for a killed program may have come after the sweep.
        soon("a container", || containers(run) >= 1);
        soon("a browser", || self.browsers() > 0);
    }
}

fn kill(child: &mut Child) {
    child.kill().expect("killed");
    child.wait().expect("gone");
}

#[test]
fn killed_at_its_work_the_program_leaves_nothing_and_repeats_nothing() {
    let image = match image() {
        Ok(image) => image,
        Err(reason) => return skipped("what a killed program leaves", &reason),
    };
    let place = Place::new();
    let root = place.folder.path().canonicalize().expect("real");
    let out = root.join("out");
    fs::create_dir_all(place.home()).expect("made");
    fs::write(place.home().join("config.toml"), "[run]\nattempts = 50\n").expect("written");
    for folder in [&out, &root.join("tmp")] {
        fs::create_dir(folder).expect("made");
        fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("open");
    }
    let count = out.join("count");
    fs::write(&count, "").expect("written");
    fs::set_permissions(&count, std::os::unix::fs::PermissionsExt::from_mode(0o666)).expect("open");
    // No other process of this machine sleeps for this long.
    let mark = format!("47{}.125", std::process::id());
    let url = silent();
    let server = model(&url, &image, &count, &mark);
    let scene = Scene { place, server, temporary: root.join("tmp"), count, mark };

    let docs = scene.place.docs().display().to_string();
    let allowed = [format!("net:{url}"), format!("run:docker:{image}"), format!("write:{}", out.display())];
    let mut words = vec!["run", QUESTION, "--docs", &docs, "--model", "openai:scripted", "--allow", "run:process"];
    words.extend(allowed.iter().flat_map(|allowed| ["--allow", allowed]));
    words.extend(["--tool", "shell", "--tool", "container", "--tool", "browse"]);
    let mut child = scene.start(&words);
    let mut programs = vec![child.id()];
    soon("a run", || scene.place.only_run().is_some());
    let run = scene.place.only_run().expect("a run");
    scene.all_at_work(0, &run);
    kill(&mut child);
    // The kernel ends these with the program; the container stays for the next start.
    soon("no browser", || scene.browsers() == 0);
    assert_eq!(containers(&run), 1);

    // At any moment, also while it is about to start and to clean up.
    for moment in [0, 120, 400, 900, 1_600, 2_500] {
        let mut child = scene.start(&["runs", "resume", &run]);
        programs.push(child.id());
        std::thread::sleep(Duration::from_millis(moment));
        kill(&mut child);
    }
    let before = scene.lines();
    let mut child = scene.start(&["runs", "resume", &run]);
    programs.push(child.id());
    // One container: those of the killed ones are gone.
    scene.all_at_work(before, &run);
    kill(&mut child);

    let own = fs::canonicalize(scene.place.docs().join("rules.md")).expect("real").display().to_string();
    let arguments = json!({ "path": own }).to_string();
    let again = || {
        let words = ["tools", "call", "read", "--args", &arguments, "--grant", &format!("read:{own}")];
        assert!(scene.start(&words).wait().expect("ends").success());
    };
    soon("no container", || {
        again();
        containers(&run) == 0
    });
    soon("no process", || running(&scene.mark) == 0 && scene.browsers() == 0);
    // A folder that was about to get its name is taken for somebody's at work for ten seconds.
    soon("no temporary folder", || {
        again();
        fs::read_dir(&scene.temporary).expect("read").next().is_none()
    });
    for program in programs {
        assert_eq!(groups(program), Vec::<String>::new());
    }
    let mounts = fs::read_to_string("/proc/mounts").expect("read");
    assert!(!mounts.contains(&root.display().to_string()), "{mounts}");

    let events = scene.place.events(&run);
    let made = fs::read_to_string(&scene.count).expect("read");
    let different: BTreeSet<&str> = made.lines().collect();
    assert_eq!(different.len(), made.lines().count(), "a call was made twice: {made}");
    assert!(Value::from(events).to_string().contains("in_doubt"), "a call that was under way is in doubt");
}
