//! Commands after `/`: one table, read by help, by proposals and by the composer.

use common_ground::{
    RunId,
    approval::{Answer, Question},
    guardian::Act,
    module::Module,
    run::Phase,
};

use super::{interrupt, leave, show};
use crate::{
    event::{Ask, Plans, Source},
    export, pictures,
    theme::Tone,
    view::{Block, Pane, View, Watched, Working, may_have_changed},
};

/// A command.
#[derive(Debug)]
pub struct Command {
    /// Its name, without the `/`.
    pub name: &'static str,
    /// What it takes.
    pub takes: &'static str,
    /// What it does.
    pub about: &'static str,
    /// Does it.
    act: fn(&mut View, &str) -> Vec<Ask>,
}

macro_rules! commands {
    ($($name:literal $takes:literal $about:literal $act:expr;)*) => {
        /// Every command.
        pub const COMMANDS: &[Command] = &[
            $(Command { name: $name, takes: $takes, about: $about, act: $act },)*
        ];
    };
}

commands! {
    "help" "" "the keys and commands" |view, _| show(view, Pane::Help { top: 0 });
    "docs" "FOLDER" "answer from a folder of documents" |view, given| source(view, given, Source::Folder);
    "collection" "NAME" "answer from a collection as it is" |view, given| source(view, given, Source::Collection);
    "picture" "FILE" "a picture for the question, where the model sees; without a name the clipboard's" picture;
    "commons" "WORDS" "search the documents" search;
    "add" "FOLDER" "take a folder into the commons, with a receipt" add;
    "plan" "" "the plan: modules and where they are" |view, _| show(view, Pane::Plan { layout: Default::default(), chosen: 0 });
    "changes" "NUMBER" "the files that a module changed, before and after" changes;
    "approvals" "" "the questions that wait for you" |view, _| show(view, Pane::Approvals { chosen: 0, words: String::new() });
    "trust" "" "what it cost, what really ran, receipts" |view, _| show(view, Pane::Trust { top: 0 });
    "guardians" "" "what guardians found of the run in view; order something" |view, _| show(view, Pane::Briefs { chosen: 0 });
    "order" "ACT NUMBER" "sign an order: pause, resume, drain or cancel, the run or a module of it" order;
    "answer" "ANSWER" "answer the first question that waits: once, run, always, no, or words" answer;
    "sources" "" "the sources of the answer" |view, _| show(view, Pane::Sources { chosen: 0 });
    "runs" "" "the runs there are; go on with one" |view, _| show(view, Pane::Runs { chosen: 0 });
    "open" "NUMBER" "open a run of the list that /runs shows" open;
    "verify" "" "check the receipts of the run in view" |view, _| of_run(view, |run| Ask::Verify { run });
    "resume" "" "let the run in view go on" |view, _| resume(view);
    "cancel" "" "give the run in view up" |view, _| of_run(view, |run| Ask::Cancel { run });
    "fork" "PLACE" "begin a run from the one in view, as it is or as it was after its fact PLACE" fork;
    "tell" "NUMBER WORDS" "say something to a module at work" tell;
    "interrupt" "" "stop the run at work; nothing done is lost" |view, _| interrupt(view);
    "hold" "on|off" "whether plans wait for you before work begins" hold;
    "model" "NAME" "the model that plays the roles from now on" model;
    "models" "" "the models there are" |_, _| vec![Ask::Models];
    "settings" "" "settings, and where each came from" |view, _| show(view, Pane::Settings { chosen: 0 });
    "export" "FILE" "the conversation as Markdown" |view, given| vec![export_to(view, given)];
    "quit" "" "leave; a run at work stands still and can go on later" |view, _| leave(view);
}

/// The command of this name, with or without its `/`.
pub fn find(text: &str) -> Option<&'static Command> {
    let name = text.strip_prefix('/').unwrap_or(text);
    COMMANDS.iter().find(|command| command.name == name)
}

/// Does what a line that begins with `/` says.
pub(super) fn run(view: &mut View, line: &str) -> Vec<Ask> {
    let (name, given) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let Some(command) = find(name) else {
        let text = format!("there is no command {}; /help shows them", crate::text::plain(name));
        view.say(Block::line(Tone::Bad, '!', text));
        return Vec::new();
    };
    *view.used.entry(command.name).or_default() += 1;
    (command.act)(view, given.trim())
}

fn missing(view: &mut View, what: &str) -> Vec<Ask> {
    view.say(Block::line(Tone::Bad, '!', what));
    Vec::new()
}

fn source(view: &mut View, given: &str, of: fn(String) -> Source) -> Vec<Ask> {
    if given.is_empty() {
        return missing(view, "name it: /docs FOLDER, or /collection NAME");
    }
    view.names = None;
    vec![Ask::Source(of(given.to_owned()))]
}

fn add(view: &mut View, given: &str) -> Vec<Ask> {
    if given.is_empty() {
        return missing(view, "name it: /add FOLDER");
    }
    vec![Ask::Add { folder: given.to_owned() }]
}

fn search(view: &mut View, given: &str) -> Vec<Ask> {
    let asks = show(view, Pane::Commons { query: given.to_owned(), chosen: 0 });
    if given.is_empty() { asks } else { vec![Ask::Search { query: given.to_owned() }] }
}

fn picture(view: &mut View, given: &str) -> Vec<Ask> {
    if given.is_empty() {
        return vec![Ask::Clipboard];
    }
    match pictures::mark(given) {
        Some(mark) => view.composer.insert(&mark),
        None => return missing(view, "a picture's path has no ] in it"),
    }
    Vec::new()
}

fn of_run(view: &mut View, ask: fn(RunId) -> Ask) -> Vec<Ask> {
    match &view.watched {
        Some(watched) => vec![ask(watched.run)],
        None => missing(view, "no run is in view: ask something, or choose one with /runs"),
    }
}

/// Lets the run in view go on, where none is at work.
pub(super) fn resume(view: &mut View) -> Vec<Ask> {
    if view.is_busy() {
        return missing(view, "a run is at work already");
    }
    let asks = of_run(view, |run| Ask::Resume { run });
    if !asks.is_empty() {
        view.work = Working::Preparing { question: String::new(), words: "getting ready".to_owned() };
    }
    asks
}

/// Answers in words what the pane of approvals answers by keys.
fn answer(view: &mut View, given: &str) -> Vec<Ask> {
    let Some(question) = view.waiting().first().map(|(_, approval)| approval.question.clone()) else {
        return missing(view, "nothing waits for you");
    };
    let said = match (&question, given) {
        (_, "") => return missing(view, "say /answer once, run, always, no, or your words"),
        (_, "no") => Answer::Deny,
        (Question::Permission { .. }, "once") => Answer::Once,
        (Question::Permission { .. } | Question::Verdict { .. }, "run") => Answer::Run,
        (Question::Permission { .. }, "always") => Answer::Always,
        (Question::Permission { .. }, _other) => return missing(view, "say once, run, always or no"),
        (Question::Verdict { .. }, _other) => return missing(view, "say run or no"),
        (Question::Words { .. }, words) => Answer::Words { text: words.to_owned() },
    };
    view.pane = Pane::Approvals { chosen: 0, words: String::new() };
    let asks = super::panes::answer(view, said);
    view.pane = Pane::Conversation;
    asks
}

fn open(view: &mut View, given: &str) -> Vec<Ask> {
    let number: Option<usize> = given.parse().ok();
    let line = number.and_then(|number| view.runs.as_ref()?.get(number.checked_sub(1)?));
    match line.map(|line| line.run) {
        Some(run) => vec![Ask::Open { run }],
        None => missing(view, "name it by its number in the list: /runs, then /open 1"),
    }
}

/// What a module changed: the one of this number in the plan, else the first that may have changed anything.
fn changes(view: &mut View, given: &str) -> Vec<Ask> {
    let Some(watched) = &view.watched else {
        return missing(view, "no run is in view: ask something, or choose one with /runs");
    };
    let wanted: Option<usize> = given.parse().ok();
    let meant = |number: usize, module: &Module| match wanted {
        Some(wanted) => number == wanted,
        None => given.is_empty() && may_have_changed(module),
    };
    let found = watched.modules().find(|(number, _, module)| meant(*number, module)).map(|(_, module, _)| module);
    match (found, given) {
        (Some(module), _) => {
            view.pane = Pane::Changes { module, top: 0 };
            super::panes::contents(view)
        }
        (None, "") => missing(view, "no module has changed a file"),
        (None, _) => missing(view, "name a module by its number in the plan: /changes 1"),
    }
}

/// Signs an order in words, as the pane of orders does by keys.
fn order(view: &mut View, given: &str) -> Vec<Ask> {
    let Some(watched) = &view.watched else {
        return missing(view, "no run is in view: ask something, or choose one with /runs");
    };
    let (act, number) = given.split_once(char::is_whitespace).unwrap_or((given, ""));
    let wanted: Option<usize> = number.trim().parse().ok();
    let module = watched.modules().find(|(number, ..)| Some(*number) == wanted).map(|(_, module, _)| module);
    let act = match act {
        "pause" => Act::Pause { most_ms: None },
        "resume" => Act::Resume,
        "drain" => Act::Drain,
        "cancel" => Act::Cancel,
        _other => return missing(view, "say /order pause, resume, drain or cancel, with a module's number or without"),
    };
    match (number.trim(), module) {
        (number, None) if !number.is_empty() => {
            missing(view, "name a module by its number in the plan: /order pause 1")
        }
        (_, module) => vec![Ask::Order { run: watched.run, module, act }],
    }
}

/// Begins a run from the one in view. What was accepted there stays so.
pub(super) fn fork(view: &mut View, given: &str) -> Vec<Ask> {
    let Some(run) = view.watched.as_ref().map(|watched| watched.run) else {
        return missing(view, "no run is in view: ask something, or choose one with /runs");
    };
    if !may_fork(view, run) {
        return refuse_fork(view);
    }
    match (given, given.parse::<u64>()) {
        ("", _) => vec![Ask::Fork { run, place: None }],
        (_, Ok(place)) => vec![Ask::Fork { run, place: Some(place) }],
        (_, Err(_no_number)) => missing(view, "name a place by its number among the run's facts: /fork 12"),
    }
}

/// Whether a run can be forked now: none is at work, or it is this one, which is over and only being put away.
pub(super) fn may_fork(view: &View, of: RunId) -> bool {
    let is_over = |watched: &Watched| {
        watched.run == of && watched.run().is_some_and(|run| matches!(run.phase, Phase::Closed { .. }))
    };
    match view.work {
        Working::Resting => true,
        Working::Preparing { .. } => false,
        Working::Driving | Working::Stopping => view.watched.as_ref().is_some_and(is_over),
    }
}

/// Says why a run is not forked now.
pub(super) fn refuse_fork(view: &mut View) -> Vec<Ask> {
    missing(view, "a run is at work: stop it with /interrupt, or wait for its end, then fork")
}

/// Says something to a module of the run in view.
fn tell(view: &mut View, given: &str) -> Vec<Ask> {
    let Some(watched) = &view.watched else {
        return missing(view, "no run is in view: ask something, or choose one with /runs");
    };
    let (number, words) = given.split_once(char::is_whitespace).unwrap_or((given, ""));
    let wanted: Option<usize> = number.parse().ok();
    let found = watched.modules().find(|(number, ..)| Some(*number) == wanted);
    match (found, words.trim()) {
        (None, _) => missing(view, "name a module by its number in the plan: /tell 1 WORDS"),
        (Some(_), "") => missing(view, "say something to it: /tell 1 WORDS"),
        (Some((number, _, of)), _) if of.life.is_over() => {
            missing(view, &format!("module {number} is over and hears nothing any more; /fork works it anew"))
        }
        (Some((_, module, _)), words) => {
            vec![Ask::Tell { run: watched.run, module, text: words.to_owned() }]
        }
    }
}

fn hold(view: &mut View, given: &str) -> Vec<Ask> {
    match given {
        "on" => vec![Ask::Plan(Plans::Wait)],
        "off" => vec![Ask::Plan(Plans::GoOn)],
        _other => missing(view, "say /hold on or /hold off"),
    }
}

fn model(view: &mut View, given: &str) -> Vec<Ask> {
    if given.is_empty() {
        return missing(
            view,
            "name it: /model extractive, /model llama:NAME or /model PROVIDER:NAME; /models lists them",
        );
    }
    vec![Ask::Model(given.to_owned())]
}

fn export_to(view: &View, given: &str) -> Ask {
    let path = Some(given.to_owned()).filter(|path| !path.is_empty());
    Ask::Export { path, markdown: export::markdown(&view.blocks) }
}

#[cfg(test)]
mod tests {
    use super::COMMANDS;

    #[test]
    fn each_command_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<&str> = COMMANDS.iter().map(|command| command.name).collect();
        assert_eq!(names.len(), COMMANDS.len());
        assert!(COMMANDS.iter().all(|command| !command.about.is_empty()));
    }
}
