//! `ii completions SHELL`: what a shell loads to complete commands of `ii`.
//!
//! A script holds no words of its own: it asks the program what may stand at the cursor, so that it fits each version.
//!
//! **Invariant:** asking reads the command line's own description and nothing else: no home, no settings, no journal.
//! **Invariant:** a script runs `ii` as it is found by that name, never the word that stands on the line.

use clap::{Arg, Command, CommandFactory, ValueEnum};

use super::{CommandLine, print_json};
use crate::exit::Exit;

/// Arguments of `ii completions`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell that shall load it.
    #[arg(value_enum, required_unless_present = "words")]
    shell: Option<Shell>,
    /// What stands on the line after `ii`, up to the word at the cursor: gives what may stand there, a line each with a
    /// tab before what it is. The scripts ask with it.
    #[arg(last = true, hide = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

/// A shell that completes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Shell {
    fn script(self) -> &'static str {
        match self {
            Self::Bash => include_str!("ii.bash"),
            Self::Zsh => include_str!("ii.zsh"),
            Self::Fish => include_str!("ii.fish"),
        }
    }
}

/// Runs the command.
pub(super) fn run(args: &Args, json: bool) -> Exit {
    match args.shell {
        Some(shell) if json => print_json(&serde_json::json!({ "script": shell.script() })),
        Some(shell) => print!("{}", shell.script()),
        None => {
            let mut line = CommandLine::command();
            line.build();
            for word in words(&line, &args.words) {
                println!("{}\t{}", word.text, word.about);
            }
        }
    }
    Exit::Completed
}

/// A word that may stand at the cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Word {
    text: String,
    about: String,
}

impl Word {
    fn new(text: impl Into<String>, about: Option<String>) -> Self {
        Self { text: text.into(), about: about.unwrap_or_default().lines().next().unwrap_or_default().to_owned() }
    }
}

/// What may stand at the last of these words. Nothing where a path or a name is wanted: the shell then offers files.
fn words(line: &Command, written: &[String]) -> Vec<Word> {
    let Some((current, before)) = written.split_last() else { return Vec::new() };
    let at = Place::after(line, before);
    let mut offered = if let Some(flag) = at.wants {
        values(flag)
    } else if current.starts_with('-') && !at.plain {
        at.command.get_arguments().filter(|arg| !arg.is_hide_set()).flat_map(flags).collect()
    } else {
        let begins = at.given == 0 && !at.plain;
        let commands = at.command.get_subcommands().filter(|command| begins && !command.is_hide_set());
        let own = at.command.get_positionals().filter(|arg| !arg.is_hide_set()).nth(at.given);
        let commands = commands.map(|command| Word::new(command.get_name(), about(command.get_about())));
        commands.chain(own.into_iter().flat_map(values)).collect()
    };
    offered.retain(|word| word.text.starts_with(current.as_str()));
    offered
}

/// Where on the line the cursor stands.
struct Place<'a> {
    /// The command in force.
    command: &'a Command,
    /// The flag whose value comes next.
    wants: Option<&'a Arg>,
    /// Positional words that were given to the command.
    given: usize,
    /// Whether flags are over.
    plain: bool,
}

impl<'a> Place<'a> {
    fn after(line: &'a Command, before: &[String]) -> Self {
        let mut place = Self { command: line, wants: None, given: 0, plain: false };
        for word in before {
            place.pass(word);
        }
        place
    }

    fn pass(&mut self, word: &str) {
        // bash makes three words of `--docs=there`.
        if word == "=" {
            return;
        }
        if self.wants.take().is_some() {
            return;
        }
        if self.plain || !word.starts_with('-') || word == "-" {
            match self.command.find_subcommand(word).filter(|_| self.given == 0 && !self.plain) {
                Some(command) => self.command = command,
                None => self.given += 1,
            }
            return;
        }
        if word == "--" {
            self.plain = true;
            return;
        }
        let named = |arg: &&Arg| {
            let long = word.strip_prefix("--").is_some_and(|name| arg.get_long() == Some(name));
            long || arg.get_short().is_some_and(|short| word.strip_prefix('-') == Some(short.encode_utf8(&mut [0; 4])))
        };
        let flag = self.command.get_arguments().find(named);
        self.wants = flag.filter(|arg| arg.get_action().takes_values());
    }
}

/// The values that an argument has to choose from.
fn values(arg: &Arg) -> Vec<Word> {
    let values = arg.get_possible_values();
    let shown = values.iter().filter(|value| !value.is_hide_set());
    shown.map(|value| Word::new(value.get_name(), about(value.get_help()))).collect()
}

/// The ways to write a flag.
fn flags(arg: &Arg) -> Vec<Word> {
    let about = about(arg.get_help());
    arg.get_long().map(|long| Word::new(format!("--{long}"), about)).into_iter().collect()
}

fn about(text: Option<&clap::builder::StyledStr>) -> Option<String> {
    text.map(ToString::to_string)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::{CommandLine, words};

    fn offered(line: &[&str]) -> Vec<String> {
        let mut command = CommandLine::command();
        command.build();
        let written: Vec<String> = line.iter().map(|word| (*word).to_owned()).collect();
        words(&command, &written).into_iter().map(|word| word.text).collect()
    }

    #[test]
    fn the_word_at_the_cursor_is_completed_by_what_stands_before_it() {
        for (line, expected) in [
            (&["com"][..], &["commons", "completions"][..]),
            (&["commons", "ad"], &["add"]),
            (&["--json", "commons", "ad"], &["add"]),
            (&["completions", ""], &["bash", "zsh", "fish"]),
            (&["run", "a question", "--coll"], &["--collection"]),
            // A value that is a path or a name is the shell's to complete, whatever it looks like.
            (&["run", "--docs", ""], &[]),
            (&["run", "--docs", "comm"], &[]),
            (&["run", "--docs", "=", "there", "--coll"], &["--collection"]),
            (&["run", "--", "--coll"], &[]),
            (&["no such thing", "com"], &[]),
            (&[], &[]),
        ] {
            assert_eq!(offered(line), expected, "{line:?}");
        }
        assert!(offered(&["eyes", "--"]).contains(&"--json".to_owned()), "flags of all commands too");
        assert!(offered(&[""]).contains(&"verify".to_owned()));
        assert!(!offered(&["completions", "--"]).iter().any(|flag| flag.contains("words")), "nothing that is hidden");
    }
}
