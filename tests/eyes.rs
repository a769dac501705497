//! The conversation in a real terminal: the real program in tmux, typed into and read as a person does.

mod common;

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::mpsc::Sender,
    time::{Duration, Instant},
};

use common::{
    Place,
    server::{Live, ModelServer, Piece, QUOTE, Says, offers, rounds},
    terminal::{PATIENCE, Terminal},
};
use serde_json::{Value, json};

const ASKED: &str = "Who may pause a run?";

fn runs(place: &Place) -> Vec<Value> {
    let listed = place.ii(&["runs", "list", "--json"]);
    serde_json::from_slice::<Value>(&listed.stdout).expect("JSON").as_array().expect("rows").clone()
}

#[test]
fn a_question_is_asked_answered_opened_verified_and_found_again() {
    let Some(terminal) = Terminal::open("the conversation in a terminal", 100, 30, &[]) else { return };
    terminal.start();
    assert_eq!(runs(&terminal.place).len(), 0, "opening starts nothing");
    assert!(!terminal.place.home().exists(), "opening makes no home");
    terminal.enter(ASKED);
    let shown = terminal.sees("completed in");
    assert!(shown.contains(QUOTE) && shown.contains("[1] rules.md, bytes"), "{shown}");
    assert!(shown.contains("no language model was used"), "{shown}");

    terminal.key("F7");
    let shown = terminal.until("the passage in its text", |screen| screen.contains("every criterion must pass"));
    assert!(shown.contains("# Rules") && shown.contains(QUOTE), "{shown}");
    assert_eq!(terminal.says("#{alternate_on}"), "1");
    terminal.back();
    terminal.key("F2");
    terminal.until("the module in the plan", |screen| screen.contains("accepted") && screen.contains("Plan"));
    terminal.key("Enter");
    terminal.until("its deliverable", |screen| screen.contains("quotes-verbatim") && screen.contains("deliverable"));
    terminal.key("Escape");
    terminal.sees(" Plan ");
    terminal.back();
    terminal.enter("/verify");
    terminal.sees("VALID");
    terminal.key("F5");
    terminal.enter("keys of the home");
    terminal.sees("keys.md, bytes");
    terminal.back();
    terminal.enter("!echo mine; echo $((6*7))");
    terminal.sees("42");
    terminal.enter("/quit");
    terminal.has_given_back(0);
    let transcript = terminal.transcript();
    assert!(transcript.contains(&format!("› {ASKED}")) && transcript.contains(QUOTE), "{transcript}");
    assert!(!transcript.contains("ask something, / for commands"), "nothing but the transcript is left: {transcript}");

    // Found again, and nothing of it is done again.
    let before = runs(&terminal.place);
    assert_eq!(before.len(), 1);
    terminal.start();
    terminal.key("F6");
    terminal.sees("completed");
    terminal.key("Enter");
    let shown = terminal.sees("completed in");
    assert!(shown.contains(QUOTE), "{shown}");
    terminal.key("C-c");
    terminal.sees("again leaves");
    terminal.key("C-c");
    terminal.has_given_back(0);
    assert_eq!(runs(&terminal.place), before, "opening a run does nothing to it");
}

#[test]
fn a_plan_waits_over_a_restart_and_goes_on() {
    let Some(terminal) = Terminal::open("a plan that waits", 80, 24, &[]) else { return };
    terminal.start();
    terminal.enter("/hold on");
    terminal.sees("plans wait for you");
    terminal.enter(common::SIX_MODULES);
    terminal.sees("its plan waits for you");
    terminal.key("F2");
    terminal.sees("0 of 6 accepted");
    terminal.back();
    terminal.key("C-d");
    terminal.has_given_back(0);
    terminal.start();
    terminal.sees("1 run is not over");
    terminal.key("F6");
    terminal.sees("paused");
    terminal.key("R");
    let shown = terminal.sees("completed in");
    assert!(shown.contains("6 receipts sealed"), "{shown}");
    terminal.enter("/quit");
    terminal.has_given_back(0);
}

#[test]
fn a_run_is_forked_from_the_terminal_and_goes_on_to_its_end() {
    let Some(terminal) = Terminal::open("a fork in the terminal", 100, 30, &[]) else { return };
    terminal.start();
    terminal.enter("/fork");
    terminal.sees("no run is in view");
    terminal.enter(ASKED);
    terminal.sees("completed in");
    terminal.enter("/fork 9999");
    terminal.sees("no place 9999");
    terminal.key("F2");
    terminal.sees(" Plan ");
    terminal.key("F");
    terminal.sees("0 of 1 modules stay accepted");
    assert_eq!(runs(&terminal.place)[0]["state"], "paused", "it waits for the person");
    terminal.enter("/resume");
    terminal.until("the fork's own end", |screen| {
        let goes_on = screen.rfind("the run goes on");
        goes_on.is_some_and(|at| screen[at..].contains("completed in"))
    });
    terminal.enter("/verify");
    terminal.sees("forked from run");
    let both = runs(&terminal.place);
    assert!(both.len() == 2 && both.iter().all(|run| run["outcome"] == "completed"), "{both:?}");
    terminal.enter("/quit");
    terminal.has_given_back(0);
}

/// A model that plans one module and then says nothing.
fn silent() -> ModelServer {
    ModelServer::start(|request, _| {
        if offers(request, "plan") {
            let module = json!({ "name": "one", "kind": "answer", "question": ASKED, "inputs": [] });
            return Says::call("plan", json!({ "reason": { "reason": "single" }, "modules": [module] }));
        }
        Says::Hang(Duration::from_secs(120))
    })
}

/// What makes the program ask this server.
fn by(server: &ModelServer) -> [(&str, &str); 4] {
    [
        ("OPENAI_BASE_URL", &server.url),
        ("OPENAI_API_KEY", "sk-test"),
        ("NO_PROXY", "127.0.0.1"),
        ("II_MODEL", "openai:scripted"),
    ]
}

#[test]
fn a_run_at_work_here_is_given_up_and_the_conversation_goes_on() {
    let server = silent();
    let environment = by(&server);
    let Some(terminal) = Terminal::open("a run at work given up", 100, 30, &environment) else { return };
    terminal.start();
    terminal.enter(ASKED);
    terminal.sees("attempt 1: asks openai:scripted");
    terminal.enter("/cancel");
    terminal.sees("cancelled in");
    let run = &runs(&terminal.place)[0];
    assert_eq!((run["state"].as_str(), run["outcome"].as_str()), (Some("closed"), Some("cancelled")));
    terminal.enter("/runs");
    terminal.until("the list of runs", |screen| screen.contains(" Runs ") && screen.contains("cancelled"));
    terminal.back();
    terminal.enter("/quit");
    terminal.has_given_back(0);
}

#[test]
fn a_word_is_said_to_a_module_at_work_and_shown_until_it_is_heard() {
    let server = silent();
    let environment = by(&server);
    let Some(terminal) = Terminal::open("a word to a module", 100, 30, &environment) else { return };
    terminal.start();
    terminal.enter(ASKED);
    terminal.sees("attempt 1: asks openai:scripted");
    terminal.enter("/tell 2 nobody");
    terminal.sees("name a module by its number");
    terminal.key("F2");
    terminal.sees(" Plan ");
    terminal.key("T");
    terminal.sees("/tell 1");
    terminal.enter("only what the rules say");
    terminal.sees("module 1 was told something");
    terminal.key("F2");
    terminal.sees(" Plan ");
    terminal.key("Enter");
    terminal.until("the words", |screen| screen.contains("only what the rules say  not heard yet"));
    terminal.key("Escape");
    terminal.until("the plan", |screen| screen.contains(" Plan ") && screen.contains("at work"));
    terminal.back();
    terminal.key("Escape");
    terminal.sees("the run stands still");
    terminal.enter("/quit");
    terminal.has_given_back(0);
}

#[test]
fn settings_say_where_they_come_from_and_show_no_password() {
    let environment = [("II_MAX_WORDS", "33"), ("II_DOCKER_HOST", "tcp://ii:s3cret@engine.example:2375")];
    let Some(terminal) = Terminal::open("settings in the terminal", 110, 45, &environment) else { return };
    std::fs::create_dir_all(terminal.place.home()).expect("a home");
    std::fs::write(terminal.place.home().join("config.toml"), "# mine\n[report]\nmax_passages = 7\n").expect("written");
    terminal.start();
    terminal.enter("/settings");
    let shown = terminal.sees("Settings");
    let row = |name: &str| shown.lines().find(|line| line.contains(name)).unwrap_or_default().to_owned();
    assert!(row("report.max_words").contains("environment") && row("report.max_words").contains("33"), "{shown}");
    assert!(row("report.max_passages").contains("user") && row("report.max_passages").contains('7'), "{shown}");
    let mut screen = shown.clone();
    for number in 2.. {
        if screen.contains("config.toml, line 3") {
            break;
        }
        terminal.key("Down");
        screen = terminal.until("the next setting", |screen| screen.contains(&format!(" {number} of ")));
        assert!(!screen.contains("s3cret"), "{screen}");
    }
    assert!(screen.contains("the variable II_MAX_PASSAGES"), "{screen}");
    let listed = terminal.place.ii(&["config", "show", "--json"]);
    assert!(!String::from_utf8_lossy(&listed.stdout).contains("s3cret"));
    terminal.back();
    terminal.enter("/quit");
    terminal.has_given_back(0);
}

#[test]
fn an_order_is_signed_from_the_terminal_and_stands_in_the_record() {
    let Some(terminal) = Terminal::open("an order in the terminal", 100, 30, &[]) else { return };
    terminal.start();
    terminal.enter("/hold on");
    terminal.sees("plans wait for you");
    terminal.enter(common::SIX_MODULES);
    terminal.sees("its plan waits for you");
    // Without a charter no order has any effect.
    terminal.enter("/order cancel");
    terminal.sees("there is no charter");
    let made = terminal.place.ii(&["guardian", "charters", "make", "warden"]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    terminal.key("F4");
    terminal.sees("nothing was found, nothing was ordered");
    terminal.key("B");
    terminal.sees("no guardian found anything");
    terminal.key("Enter");
    terminal.sees("give the run up");
    terminal.key("G");
    terminal.key("Enter");
    terminal.sees("the order was carried out: cancel");
    let run = runs(&terminal.place).remove(0);
    assert_eq!(run["outcome"], "cancelled");
    let events = terminal.place.events(run["id"].as_str().expect("an id"));
    assert!(events.iter().any(|event| event["type"] == "order.executed"), "{events:?}");
    terminal.enter("/quit");
    terminal.has_given_back(0);
}

/// A model that plans one module, wants to write a file, and then submits a quote.
fn writer(path: PathBuf) -> ModelServer {
    ModelServer::start(move |request, _| {
        if offers(request, "plan") {
            let module = json!({ "name": "one", "kind": "answer", "question": ASKED, "inputs": [] });
            return Says::call("plan", json!({ "reason": { "reason": "single" }, "modules": [module] }));
        }
        match rounds(request) {
            0 => Says::call("commons_search", json!({ "query": "who may pause a run" })),
            1 => Says::call("write", json!({ "path": path.display().to_string(), "text": "noted\n" })),
            _then => {
                let citation = json!({ "passage": "p1", "quote": QUOTE });
                Says::call("submit", json!({ "claims": [{ "text": QUOTE, "citations": [citation] }] }))
            }
        }
    })
}

#[test]
fn a_question_to_the_person_waits_over_a_restart_and_is_answered() {
    let out = tempfile::tempdir().expect("a folder");
    let note = out.path().canonicalize().expect("real").join("note.md");
    let server = writer(note.clone());
    let environment = [
        ("OPENAI_BASE_URL", server.url.as_str()),
        ("OPENAI_API_KEY", "sk-test"),
        ("NO_PROXY", "127.0.0.1"),
        ("II_MODEL", "openai:scripted"),
        ("II_TOOLS", "write"),
    ];
    let Some(terminal) = Terminal::open("an approval in the terminal", 100, 30, &environment) else { return };
    // The only document is the one that is quoted, so that it is the first passage.
    for name in ["keys.md", "verifier.txt", "leases.html"] {
        std::fs::remove_file(terminal.place.docs().join(name)).expect("removed");
    }
    terminal.start();
    terminal.enter(ASKED);
    terminal.sees("1 question waits for you");
    assert!(!note.exists());
    // The person leaves without an answer; it waits.
    terminal.enter("/quit");
    terminal.has_given_back(0);
    terminal.start();
    terminal.key("F6");
    terminal.until("the run in the list", |screen| screen.contains(ASKED));
    terminal.key("Enter");
    terminal.sees("1 question waits for you");
    terminal.key("F3");
    let shown = terminal.sees("would be called with");
    assert!(shown.contains(&format!("+ write:{}", note.display())) && shown.contains("no grant covers it"), "{shown}");
    assert!(!note.exists());
    terminal.key("o");
    terminal.sees("answered; /resume");
    terminal.enter("/resume");
    terminal
        .until("the end of the run", |screen| screen.contains("completed in") || screen.contains("not accepted in"));
    assert_eq!(std::fs::read_to_string(&note).expect("written"), "noted\n");
    terminal.key("F4");
    let shown = terminal.sees("what really ran");
    assert!(shown.contains("openai:scripted") && shown.contains("in this program"), "{shown}");
    terminal.back();
    // What the call changed is told from its record, whatever the file holds now.
    std::fs::write(&note, "another\n").expect("written");
    terminal.key("F2");
    terminal.sees(" Plan ");
    terminal.key("Enter");
    terminal.sees("C changes");
    terminal.key("C");
    let shown = terminal.sees("+noted");
    assert!(shown.contains(&format!("+ {}", note.display())) && !shown.contains("another"), "{shown}");
    terminal.key("Escape");
    terminal.sees("C changes");
    terminal.key("Escape");
    terminal.sees(" Plan ");
    terminal.back();
    terminal.enter("/quit");
    terminal.has_given_back(0);
}

#[test]
fn a_folder_is_taken_in_from_the_search_and_found_there() {
    let Some(terminal) = Terminal::open("a folder that is taken in", 100, 30, &[]) else { return };
    let place = &terminal.place;
    let more = place.folder.path().join("more");
    std::fs::create_dir(&more).expect("a folder");
    std::fs::write(more.join("tides.md"), "# Tides\n\nThe spring tide comes twice a month.\n").expect("written");
    terminal.start();
    terminal.key("F5");
    terminal.write("no/such/folder");
    terminal.sees("take in this folder");
    terminal.key("C-t");
    terminal.back();
    terminal.sees("no/such/folder is no folder");
    terminal.key("F5");
    terminal.write(&more.display().to_string());
    terminal.key("C-t");
    terminal.back();
    terminal.sees("1 added, 0 replaced");
    terminal.sees("of revision 1");
    let listed = common::json(&place.ii(&["commons", "list", "--json"]));
    assert!(listed.to_string().contains(&more.display().to_string()), "{listed}");
    terminal.enter(&format!("/docs {}", more.display()));
    terminal.sees("answers come from");
    terminal.key("F5");
    terminal.write("spring tide");
    terminal.key("Enter");
    terminal.sees("twice a month");
    terminal.back();
    terminal.enter("/quit");
    terminal.has_given_back(0);
}

#[test]
fn one_module_is_held_while_the_others_go_on() {
    let Some(terminal) = Terminal::open("a module that is held", 100, 30, &[]) else { return };
    let own = std::env::current_exe().expect("a test binary").display().to_string();
    let child = "II_TEST_WIRING=slow=4000 II_TEST_ARGUMENTS=eyes";
    terminal.enter(&format!("clear; {child} {own} --exact child --nocapture --test-threads=1; echo ended $?"));
    terminal.sees("f1 help");
    terminal.enter(common::SIX_MODULES);
    terminal.sees("esc interrupts");
    terminal.key("F2");
    terminal.until("modules in the plan", |screen| screen.contains("of 6 accepted"));
    terminal.key("H");
    terminal.sees("held");
    terminal.until("the others accepted", |screen| screen.contains("4 of 6 accepted"));
    terminal.key("H");
    terminal.sees("6 of 6 accepted");
    terminal.back();
    terminal.sees("completed in");
    let shown = terminal.transcript();
    assert!(shown.contains("module 1 is held: you interrupted it") && shown.contains("module 1 goes on"), "{shown}");
}

/// A model that plans one module, searches, and then says what the test says.
fn speaker() -> (ModelServer, Sender<Piece>) {
    let (live, says) = Live::new();
    let server = ModelServer::start(move |request, _| {
        if offers(request, "plan") {
            let module = json!({ "name": "one", "kind": "answer", "question": ASKED, "inputs": [] });
            return Says::call("plan", json!({ "reason": { "reason": "single" }, "modules": [module] }));
        }
        match rounds(request) {
            0 => Says::call("commons_search", json!({ "query": "who may pause a run" })),
            _then => Says::Live(live.clone()),
        }
    });
    (server, says)
}

/// A terminal whose model is this server, with one document.
fn with_model(what: &str, server: &ModelServer) -> Option<Terminal> {
    let environment = by(server);
    let terminal = Terminal::open(what, 100, 30, &environment)?;
    // The only document is the one that is quoted, so that it is the first passage.
    for name in ["keys.md", "verifier.txt", "leases.html"] {
        std::fs::remove_file(terminal.place.docs().join(name)).expect("removed");
    }
    Some(terminal)
}

/// Whether any file beneath this folder holds these bytes.
fn holds(folder: &Path, wanted: &str) -> bool {
    std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).any(|path| {
        let bytes = || std::fs::read(&path).expect("a file");
        if path.is_dir() {
            holds(&path, wanted)
        } else {
            bytes().windows(wanted.len()).any(|at| at == wanted.as_bytes())
        }
    })
}

#[test]
fn what_a_model_says_is_shown_while_it_says_it_and_goes_with_its_call() {
    let (server, says) = speaker();
    let Some(terminal) = with_model("a model that speaks", &server) else { return };
    let say = |piece: Piece| says.send(piece).expect("the server listens");
    let log = terminal.place.folder.path().join("log");
    terminal.enter(&format!("clear; II_LOG=trace {} 2>{}; echo ended $?", env!("CARGO_BIN_EXE_ii"), log.display()));
    terminal.sees("f1 help");
    terminal.enter(ASKED);
    // What would steer a terminal is shown as what it is, also when it comes in two pieces.
    say(Piece::Words("I look at \u{1b}".to_owned()));
    say(Piece::Words("]0;owned\u{7}\u{1b}[2Jthe rules".to_owned()));
    let shown = terminal.sees("│ I look at \u{fffd}]0;owned\u{fffd}\u{fffd}[2Jthe rules");
    assert!(shown.contains(&format!("› {ASKED}")), "the screen was cleared: {shown}");
    assert_ne!(terminal.says("#{pane_title}"), "owned");
    // Of a call, what people read of it.
    say(Piece::Submit("{\"claims\":[{\"text\":\"Anyone of fl".to_owned()));
    terminal.sees("│ Anyone of fl");
    say(Piece::Submit("esh may".to_owned()));
    let shown = terminal.sees("│ Anyone of flesh may");
    assert!(!shown.contains("claims"), "{shown}");
    terminal.key("F2");
    terminal.sees(" Plan ");
    terminal.key("Enter");
    let shown = terminal.sees("nothing of it counts yet");
    assert!(shown.contains("│ Anyone of flesh may"), "{shown}");
    terminal.key("Escape");
    terminal.sees(" Plan ");
    terminal.back();
    // The stream stops in the middle: what it said is gone, and the model is asked again.
    say(Piece::Break);
    terminal.until("nothing of a call that failed", |screen| {
        screen.contains("esc interrupts") && !screen.contains("flesh") && !screen.contains("│")
    });
    say(Piece::Submit(format!("{{\"claims\":[{{\"text\":\"{QUOTE}\",\"citations\":[")));
    terminal.sees(&format!("│ {QUOTE}"));
    say(Piece::Submit(format!("{{\"passage\":\"p1\",\"quote\":\"{QUOTE}\"}}]}}]}}")));
    say(Piece::End);
    let shown = terminal.sees("completed in");
    assert!(!shown.contains("│"), "what was said gave way to the answer: {shown}");
    terminal.enter("/quit");
    terminal.has_given_back(0);
    let transcript = terminal.transcript();
    assert!(transcript.contains(&format!("  {QUOTE} [1]")) && !transcript.contains("flesh"), "{transcript}");
    assert!(holds(&terminal.place.home(), ASKED), "the record is there");
    assert!(!holds(&terminal.place.home(), "Anyone of flesh"), "what came to nothing is recorded nowhere");
    assert!(!holds(&terminal.place.home(), "Anyone of fl"), "nor a part of it");
    let logged = std::fs::read_to_string(&log).expect("a log");
    assert!(!logged.is_empty() && !logged.contains("flesh") && !logged.contains(QUOTE), "words are in the log");
}

/// A program that is stopped until this is dropped.
struct Stopped(String);

impl Stopped {
    fn new(process: String) -> Self {
        assert!(Command::new("kill").args(["-s", "STOP", &process]).status().expect("kill runs").success());
        Self(process)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        drop(Command::new("kill").args(["-s", "CONT", &self.0]).status());
    }
}

#[test]
fn a_terminal_that_takes_nothing_more_stops_no_model() {
    let (server, says) = speaker();
    let Some(terminal) = with_model("a terminal that takes nothing more", &server) else { return };
    terminal.start();
    terminal.enter(ASKED);
    says.send(Piece::Words("It begins. ".to_owned())).expect("the server listens");
    terminal.sees("│ It begins.");
    let stopped = Stopped::new(terminal.says("#{pid}"));
    for number in 0..4_000 {
        let words = format!("{number} {}\n", "words that fill a terminal. ".repeat(10));
        says.send(Piece::Words(words)).expect("the server listens");
        std::thread::sleep(Duration::from_millis(1));
    }
    let claim = json!({ "text": QUOTE, "citations": [{ "passage": "p1", "quote": QUOTE }] });
    says.send(Piece::Submit(json!({ "claims": [claim] }).to_string())).expect("the server listens");
    says.send(Piece::End).expect("the server listens");
    let begun = Instant::now();
    while !runs(&terminal.place).iter().any(|run| run["outcome"] == "completed") {
        assert!(begun.elapsed() < PATIENCE, "the run waits for the terminal");
        std::thread::sleep(Duration::from_millis(100));
    }
    drop(stopped);
    let shown = terminal.sees("completed in");
    assert!(shown.contains(QUOTE) && !shown.contains("words that fill"), "{shown}");
    terminal.enter("/quit");
    terminal.has_given_back(0);
}

/// The program with another wiring, where this binary is started as one.
#[test]
fn child() {
    common::child();
}

#[test]
fn at_rest_nothing_is_written_and_nothing_runs() {
    let Some(terminal) = Terminal::open("a conversation at rest", 80, 24, &[]) else { return };
    terminal.start();
    terminal.enter(ASKED);
    terminal.sees("completed in");
    let bytes = terminal.place.folder.path().join("bytes");
    terminal.tmux(&["pipe-pane", "-t", "t", &format!("cat >> {}", bytes.display())]);
    terminal.write("x");
    let length = || std::fs::metadata(&bytes).map_or(0, |found| found.len());
    let begun = Instant::now();
    while length() == 0 {
        assert!(begun.elapsed() < PATIENCE, "the letter was never drawn");
        std::thread::sleep(Duration::from_millis(20));
    }
    let process = terminal.process().expect("the program runs");
    // What the end of the run still brings may be drawn first; then nothing is.
    loop {
        let (bytes, ticks) = (length(), ticks(process));
        std::thread::sleep(Duration::from_secs(4));
        // One tick is a hundredth of a second: half a per cent of four seconds is two of them.
        let (more, used) = (length() - bytes, self::ticks(process) - ticks);
        if more == 0 && used <= 2 {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "it never rests: {more} bytes and {used} ticks in four seconds");
    }
}

/// Processor time of a process, in ticks.
fn ticks(process: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("the process is there");
    let fields = stat.rsplit(") ").next().expect("fields").split(' ');
    fields.skip(11).take(2).map(|field| field.parse::<u64>().expect("ticks")).sum()
}

#[test]
fn told_to_end_it_gives_the_terminal_back() {
    for (signal, pane) in [("TERM", ""), ("TERM", "F2"), ("HUP", "F1")] {
        let Some(terminal) = Terminal::open("a conversation that is told to end", 80, 24, &[]) else { return };
        terminal.start();
        if !pane.is_empty() {
            terminal.key(pane);
            terminal.sees("esc back");
        }
        let process = terminal.process().expect("the program runs").to_string();
        assert!(Command::new("kill").args(["-s", signal, &process]).status().expect("kill runs").success());
        terminal.has_given_back(130);
    }
}

#[test]
fn a_terminal_that_goes_away_takes_the_program_with_it() {
    let Some(terminal) = Terminal::open("a terminal that goes away", 80, 24, &[]) else { return };
    terminal.start();
    let process = terminal.process().expect("the program runs");
    terminal.tmux(&["kill-server"]);
    let begun = Instant::now();
    while is_alive(process) {
        assert!(begun.elapsed() < PATIENCE, "the program lives on without a terminal");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Whether a process is there and no zombie.
fn is_alive(process: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

#[test]
fn ten_megabytes_are_pasted_and_every_size_is_taken() {
    let Some(terminal) = Terminal::open("a paste of ten megabytes", 80, 24, &[]) else { return };
    terminal.start();
    let file = terminal.place.folder.path().join("pasted");
    std::fs::write(&file, "0123456789abcde\n".repeat(10 << 16)).expect("written");
    terminal.tmux(&["load-buffer", &file.display().to_string()]);
    assert!(terminal.tmux(&["paste-buffer", "-p", "-t", "t"]).status.success());
    terminal.sees("[paste 1: 655360 lines, 10485760 bytes]");
    terminal.key("Enter");
    terminal.sees("put long material into");
    terminal.key("C-c");
    terminal.until("an empty composer", |screen| screen.contains("ask something"));
    for (columns, rows) in [("40", "10"), ("200", "60"), ("20", "5"), ("80", "24")] {
        terminal.tmux(&["resize-window", "-t", "t", "-x", columns, "-y", rows]);
        let width: usize = columns.parse().expect("a number");
        terminal.until("the composer at its new size", |screen| {
            screen.lines().filter(|line| line.starts_with("› ask")).count() == 1
                && screen.lines().all(|line| line.chars().count() <= width)
        });
    }
    terminal.enter("/quit");
    terminal.has_given_back(0);
}

#[test]
fn escapes_in_documents_reach_no_terminal() {
    let Some(terminal) = Terminal::open("escapes in documents", 100, 30, &[]) else { return };
    let hostile = "A \u{1b}]0;owned\u{7}tamper\u{1b}[2J is a hostile \u{202e}word\u{9b}31m of tests.\n";
    std::fs::write(terminal.place.docs().join("hostile.txt"), hostile).expect("written");
    terminal.start();
    terminal.enter("What is a hostile word?");
    let shown = terminal.sees("completed in");
    assert!(shown.contains("of tests."), "{shown}");
    assert!(shown.contains("What is a hostile word?"), "the screen was cleared: {shown}");
    assert_ne!(terminal.says("#{pane_title}"), "owned");
}

#[test]
fn lines_for_screen_readers_and_pipes() {
    let place = Place::new();
    let docs = place.docs().display().to_string();
    let mut child = place
        .command(Path::new(env!("CARGO_BIN_EXE_ii")), &["eyes", "--linear", "--docs", &docs])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("runs");
    let mut input = child.stdin.take().expect("a pipe");
    let mut output = std::io::BufReader::new(child.stdout.take().expect("a pipe"));
    let mut said = String::new();
    let mut until = |wanted: &str| {
        while !said.contains(wanted) {
            let read = std::io::BufRead::read_line(&mut output, &mut said).expect("read");
            assert!(read > 0, "no `{wanted}` in {said}");
        }
    };
    std::io::Write::write_all(&mut input, format!("{ASKED}\n").as_bytes()).expect("written");
    until("completed in");
    std::io::Write::write_all(&mut input, b"/trust\n").expect("written");
    until("what really ran");
    drop(input);
    assert!(child.wait().expect("ends").success());
    assert!(said.contains(QUOTE) && said.contains("[1] rules.md, bytes"), "{said}");
    assert!(!said.contains('\u{1b}'), "a line steers nothing");
}

#[test]
fn without_a_terminal_it_says_how_to_ask() {
    let place = Place::new();
    let alone = place.ii(&[] as &[&str]);
    assert_eq!(alone.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&alone.stderr).contains("Usage: ii"));
    let eyes = place.ii(&["eyes"]);
    assert_eq!(eyes.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&eyes.stderr).contains("ii eyes --linear"));
    assert!(!place.home().exists());
}
