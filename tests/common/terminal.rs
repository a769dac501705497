//! The real program in tmux, typed into and read as a person does.

use std::{
    process::{Command, Output},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use super::{Place, engine::skipped};

/// How long something may take to show on a busy machine before the test says what it waited for.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// A terminal of its own server, so that tests do not meet; it ends with the test.
pub struct Terminal {
    socket: String,
    pub place: Place,
}

impl Terminal {
    /// A shell in a home of its own; none where there is no tmux.
    pub fn open(what: &str, columns: u16, rows: u16, environment: &[(&str, &str)]) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        if Command::new("tmux").arg("-V").output().is_err() {
            skipped(what, "tmux is missing");
            return None;
        }
        let socket = format!("ii-eyes-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::SeqCst));
        let terminal = Self { socket, place: Place::new() };
        let mut tmux = Command::new("tmux");
        tmux.args(["-L", &terminal.socket, "-f", "/dev/null", "new-session", "-d", "-s", "t"]);
        tmux.args(["-x", &columns.to_string(), "-y", &rows.to_string(), "sh"]);
        tmux.env_clear().current_dir(terminal.place.folder.path());
        tmux.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("LANG", "C.UTF-8").env("PS1", "$ ");
        tmux.env("II_HOME", terminal.place.home()).env("TERM", "xterm-256color").env("II_DOCS", terminal.place.docs());
        tmux.envs(environment.iter().copied());
        let made = tmux.output().expect("tmux runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        // What is typed before the shell prompts is shown before its prompt, on a line that no test looks for.
        terminal.until("the shell's prompt", |screen| !screen.trim().is_empty());
        Some(terminal)
    }

    pub fn tmux(&self, arguments: &[&str]) -> Output {
        Command::new("tmux").args(["-L", &self.socket]).args(arguments).output().expect("tmux runs")
    }

    /// Types text, without keys of a name.
    pub fn write(&self, text: &str) {
        assert!(self.tmux(&["send-keys", "-t", "t", "-l", text]).status.success());
    }

    /// Pastes text, as a terminal says that something was pasted.
    pub fn paste(&self, text: &str) {
        assert!(self.tmux(&["set-buffer", "-b", "pasted", text]).status.success());
        assert!(self.tmux(&["paste-buffer", "-p", "-b", "pasted", "-t", "t"]).status.success());
    }

    pub fn key(&self, key: &str) {
        assert!(self.tmux(&["send-keys", "-t", "t", key]).status.success());
    }

    pub fn enter(&self, text: &str) {
        self.write(text);
        self.key("Enter");
    }

    /// Escape, until the pane is closed: keys that follow it at once would be another key.
    #[track_caller]
    pub fn back(&self) {
        self.key("Escape");
        let begun = Instant::now();
        while self.says("#{alternate_on}") == "1" {
            assert!(begun.elapsed() < PATIENCE, "the pane does not close:\n{}", self.screen());
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// The screen as it is.
    pub fn screen(&self) -> String {
        String::from_utf8_lossy(&self.tmux(&["capture-pane", "-p", "-t", "t"]).stdout).into_owned()
    }

    /// The screen with all that scrolled away.
    pub fn transcript(&self) -> String {
        String::from_utf8_lossy(&self.tmux(&["capture-pane", "-p", "-J", "-S", "-", "-t", "t"]).stdout).into_owned()
    }

    /// What tmux says of the pane.
    pub fn says(&self, format: &str) -> String {
        String::from_utf8_lossy(&self.tmux(&["display-message", "-p", "-t", "t", format]).stdout).trim().to_owned()
    }

    /// Waits until the screen shows this; gives the screen.
    #[track_caller]
    pub fn sees(&self, wanted: &str) -> String {
        self.until(&format!("`{wanted}` on the screen"), |screen| screen.contains(wanted))
    }

    #[track_caller]
    pub fn until(&self, what: &str, holds: impl Fn(&str) -> bool) -> String {
        let begun = Instant::now();
        loop {
            let screen = self.screen();
            if holds(&screen) {
                // It may have been looked at in the midst of a frame.
                std::thread::sleep(Duration::from_millis(30));
                let whole = self.screen();
                return if holds(&whole) { whole } else { screen };
            }
            assert!(begun.elapsed() < PATIENCE, "no {what}:\n{screen}");
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// Starts the program alone, as a person does, and waits for its composer.
    #[track_caller]
    pub fn start(&self) {
        self.enter(&format!("clear; {}; echo ended $?", env!("CARGO_BIN_EXE_ii")));
        self.sees("f1 help");
    }

    /// The program's process.
    pub fn process(&self) -> Option<u32> {
        let shell = self.says("#{pane_pid}");
        let children = std::fs::read_to_string(format!("/proc/{shell}/task/{shell}/children")).ok()?;
        children.split_whitespace().next()?.parse().ok()
    }

    /// Waits until the terminal is the shell's again, and as it was.
    #[track_caller]
    pub fn has_given_back(&self, code: u8) {
        self.sees(&format!("ended {code}"));
        assert_eq!(self.says("#{alternate_on}"), "0");
        assert_eq!(self.says("#{cursor_flag}"), "1");
        self.until("the shell's prompt", |screen| {
            screen.trim_end().lines().last().is_some_and(|line| ["$", "#"].contains(&line.trim_end()))
        });
        self.enter("stty -a | tr ' ;' '\\n\\n' | grep -cxE 'icanon|echo|isig|icrnl|opost'; echo looked");
        let shown = self.until("answer of stty", |screen| screen.contains("\nlooked"));
        assert!(shown.contains("\n5\nlooked"), "{shown}");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}
