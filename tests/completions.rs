//! Completions loaded by the real shells: what a script offers is what the program has.

mod common;

use std::{
    path::Path,
    process::{Command, Output},
};

use common::{Place, terminal::Terminal};

/// A shell that runs this text, with `ii` on its path; none where it is not installed.
fn shell(place: &Place, name: &str, arguments: &[&str]) -> Option<Output> {
    let there = Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success());
    if !there {
        // bash is on every machine that runs these tests; of the others each says why nothing was tried, but not under CI.
        assert!(name != "bash" && std::env::var_os("CI").is_none(), "{name} is missing");
        println!("skipped: completions in {name}: it is not installed");
        return None;
    }
    let program = Path::new(env!("CARGO_BIN_EXE_ii")).parent().expect("a folder").display().to_string();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = place.command(Path::new(name), arguments);
    command.env("PATH", format!("{program}:{path}")).env("HOME", place.folder.path()).env("TERM", "dumb");
    Some(command.output().expect("a shell runs"))
}

fn stdout(output: &Output) -> String {
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn bash_completes_commands_flags_and_values() {
    let place = Place::new();
    let offered = |line: &[&str]| {
        let words: Vec<String> = line.iter().map(|word| format!("'{word}'")).collect();
        let text = format!(
            "source <(ii completions bash); COMP_WORDS=(ii {}); COMP_CWORD={}; _ii ii; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            words.join(" "),
            line.len(),
        );
        let output = shell(&place, "bash", &["--norc", "--noprofile", "-c", &text]).expect("bash is there");
        stdout(&output).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(offered(&["comm"]), ["commons"]);
    assert_eq!(offered(&["commons", "ver"]), ["verify"]);
    assert_eq!(offered(&["completions", ""]), ["bash", "zsh", "fish"]);
    assert_eq!(offered(&["run", "a question", "--coll"]), ["--collection"]);
    assert_eq!(offered(&["run", "--docs", ""]), [""], "a folder is the shell's to find");
    assert_eq!(offered(&["guardian", "order", "pau"]), ["pause"]);
    assert!(!place.home().exists(), "asking opens nothing");
}

#[test]
fn bash_completes_at_a_terminal_as_a_person_types() {
    let Some(terminal) = Terminal::open("completions at a terminal", 100, 30, &[]) else { return };
    let program = Path::new(env!("CARGO_BIN_EXE_ii")).parent().expect("a folder").display().to_string();
    terminal.enter(&format!("PATH={program}:$PATH PS1='> ' bash --norc --noprofile"));
    terminal.until("the prompt of bash", |screen| screen.lines().any(|line| line.trim_end() == ">"));
    terminal.enter("source <(ii completions bash)");
    terminal.write("ii comm");
    terminal.key("Tab");
    terminal.sees("> ii commons");
    terminal.write("sho");
    terminal.key("Tab");
    terminal.sees("> ii commons show");
    // Where no word fits, files are found as ever.
    terminal.write("x --docs doc");
    terminal.key("Tab");
    terminal.sees("--docs docs/");
}

#[test]
fn zsh_offers_the_same_words() {
    let place = Place::new();
    // What would be shown is taken where the script hands it over, since zsh completes only at a keyboard.
    let text = "autoload -U compinit && compinit -u -D; source <(ii completions zsh); \
                _describe() { print -rl -- \"${(@P)4}\" }; _files() { print files }; \
                words=(ii commons ver); CURRENT=3; _ii; words=(ii run --docs ''); CURRENT=4; _ii";
    let Some(output) = shell(&place, "zsh", &["-f", "-c", text]) else { return };
    let offered = stdout(&output);
    assert!(offered.starts_with("verify:") && offered.ends_with("\nfiles\n"), "{offered}");
}

#[test]
fn fish_offers_the_same_words() {
    let place = Place::new();
    let text = "ii completions fish | source; complete -C 'ii commons ver'; complete -C 'ii run --docs do'";
    let Some(output) = shell(&place, "fish", &["--no-config", "-c", text]) else { return };
    let offered = stdout(&output);
    let lines: Vec<&str> = offered.lines().collect();
    assert!(lines.len() == 2 && lines[0].starts_with("verify\t") && lines[1].starts_with("docs/"), "{offered}");
}

#[test]
fn a_shell_that_is_not_known_is_a_mistake_with_the_ones_that_are() {
    let place = Place::new();
    let output = place.ii(&["completions", "tcsh"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("bash"), "{output:?}");
    assert_eq!(place.ii(&["completions"]).status.code(), Some(2));
    let json = common::json(&place.ii(&["completions", "bash", "--json"]));
    assert!(json["script"].as_str().is_some_and(|script| script.contains("complete ")), "{json}");
}
