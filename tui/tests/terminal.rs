//! The terminal comes back after a panic, in tmux: this test binary is what runs there.

use std::{
    process::Command,
    sync::mpsc,
    time::{Duration, Instant},
};

use tui::{Ask, Event, Joined, Options, open, terminal};

/// Set in the terminal, where this binary is the program.
const CHILD: &str = "EYES_TEST_CHILD";
const PATIENCE: Duration = Duration::from_secs(60);

/// The program in the terminal: eyes, and a thread of their name that panics when the person sends anything.
#[test]
fn child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let (happens, events) = mpsc::channel();
    let (asks, mut asked) = tokio::sync::mpsc::unbounded_channel();
    let heard = std::sync::Arc::new(tui::Heard::new(happens.clone()));
    let joined = Joined { events, heard, happens: happens.clone(), asks };
    std::thread::Builder::new()
        .name("drawing".to_owned())
        .spawn(move || open(Options::default(), joined))
        .expect("a thread");
    while let Some(ask) = asked.blocking_recv() {
        let Ask::Shell(what) = ask else { continue };
        // A panic of another thread is told in the conversation, which goes on.
        let name = if what == "drawing" { terminal::THREAD } else { "other" };
        let fell = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || panic!("fell: {what}"))
            .expect("a thread")
            .join();
        assert!(fell.is_err());
        if name == terminal::THREAD {
            std::process::exit(70);
        }
        happens.send(Event::Line("/hold".to_owned())).expect("the eyes are open");
    }
}

struct Terminal(String);

impl Terminal {
    fn tmux(&self, arguments: &[&str]) -> String {
        let output = Command::new("tmux").args(["-L", &self.0]).args(arguments).output().expect("tmux runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn enter(&self, text: &str) {
        self.tmux(&["send-keys", "-t", "t", "-l", text]);
        self.tmux(&["send-keys", "-t", "t", "Enter"]);
    }

    #[track_caller]
    fn sees(&self, wanted: &str) -> String {
        let begun = Instant::now();
        loop {
            let screen = self.tmux(&["capture-pane", "-p", "-t", "t"]);
            if screen.contains(wanted) {
                return screen;
            }
            assert!(begun.elapsed() < PATIENCE, "no `{wanted}`:\n{screen}");
            std::thread::sleep(Duration::from_millis(30));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

#[test]
fn a_panic_gives_the_terminal_back_before_it_is_told() {
    if Command::new("tmux").arg("-V").output().is_err() {
        println!("skipped: a panic in a terminal: tmux is missing");
        assert!(std::env::var_os("CI").is_none(), "tmux is missing");
        return;
    }
    let terminal = Terminal(format!("ii-eyes-panic-{}", std::process::id()));
    terminal.tmux(&["-f", "/dev/null", "new-session", "-d", "-s", "t", "-x", "80", "-y", "24", "sh"]);
    let own = std::env::current_exe().expect("a test binary").display().to_string();
    terminal.enter(&format!("clear; {CHILD}=1 {own} --exact child --nocapture --test-threads=1; echo ended $?"));
    terminal.sees("› ask something");
    terminal.enter("!other");
    terminal.sees("a fault of ii: panicked at");
    terminal.sees("fell: other");
    terminal.sees("› ask something");
    terminal.tmux(&["send-keys", "-t", "t", "F1"]);
    terminal.sees("everywhere");
    terminal.tmux(&["send-keys", "-t", "t", "Escape"]);
    terminal.sees("› ask something");
    terminal.enter("!drawing");
    let shown = terminal.sees("ended 70");
    assert!(shown.contains("fell: drawing"), "{shown}");
    terminal.enter("stty -a | tr ' ;' '\\n\\n' | grep -cxE 'icanon|echo|isig|icrnl|opost'; echo looked");
    terminal.sees("5\nlooked");
}
