//! Keys, as tables: what is shown before, the keys, what is asked for and where one is after.

mod world;

use common_ground::{
    Command, Digest, StepIndex,
    approval::{Answer, Question},
    guardian::Act,
    module::CallKind,
    run::{Outcome, PauseReason},
};
use tui::{
    Ask, Event,
    event::{Plans, RunLine, Source, Steer},
    heard, linear,
    theme::Theme,
    view::{Leaving, Pane, Working},
};
use world::{BEGIN, PERSON, RUN, Seen, World, approval, permission};

/// Where one is, in a word.
fn place(seen: &Seen) -> &'static str {
    match &seen.view.pane {
        Pane::Conversation => "conversation",
        Pane::Help { .. } => "help",
        Pane::Plan { .. } => "plan",
        Pane::Module { .. } => "module",
        Pane::Changes { .. } => "changes",
        Pane::Approvals { .. } => "approvals",
        Pane::Trust { .. } => "trust",
        Pane::Commons { .. } => "commons",
        Pane::Briefs { .. } => "briefs",
        Pane::Orders { .. } => "orders",
        Pane::Settings { .. } => "settings",
        Pane::Runs { .. } => "runs",
        Pane::Sources { .. } => "sources",
    }
}

type Before = fn(&mut Seen);

fn nothing(_: &mut Seen) {}

fn planned(seen: &mut Seen) {
    let mut world = World::planned("How high?", 3);
    world.claim(1, 0);
    seen.facts(&world);
}

fn blocked(seen: &mut Seen) {
    let mut world = World::planned("How high?", 3);
    world.claim(1, 0);
    world.ask(1, permission("ls"));
    world.claim(2, 1);
    world.ask(2, Question::Words { step: StepIndex(0), text: "Which year?".to_owned() });
    seen.facts(&world);
}

fn paused(seen: &mut Seen) {
    let mut world = World::planned("How high?", 1);
    world.say(PERSON, Command::Pause { reason: PauseReason::Interrupt });
    seen.facts(&world);
}

fn held(seen: &mut Seen) {
    let mut world = World::planned("How high?", 2);
    world.say(PERSON, Command::PauseModule { module: world::module(1), reason: PauseReason::Interrupt });
    seen.facts(&world);
}

fn adding(seen: &mut Seen) {
    seen.event(Event::Adding(Some("reading files 3/9".to_owned())));
}

fn wrote(seen: &mut Seen) {
    seen.facts(&world::writer());
}

fn accepted(seen: &mut Seen) {
    let mut world = World::planned("How high?", 2);
    world.done(1);
    seen.facts(&world);
}

fn steered(number: u128, to: Steer) -> Ask {
    Ask::Steer { run: RUN, module: world::module(number), to }
}

fn driving(seen: &mut Seen) {
    planned(seen);
    seen.view.work = Working::Driving;
}

/// The run is over, and the program has yet to let go of it.
fn closing(seen: &mut Seen) {
    let mut world = World::planned("How high?", 1);
    world.done(1);
    world.close(Outcome::Completed);
    seen.facts(&world);
    seen.view.work = Working::Driving;
}

fn with_runs(seen: &mut Seen) {
    let line = RunLine {
        run: RUN,
        state: "paused".to_owned(),
        question: "q".to_owned(),
        opened: common_ground::Millis(BEGIN),
    };
    seen.view.runs = Some(vec![line]);
}

const PAUSE: Act = Act::Pause { most_ms: None };

fn ordered(module: Option<u128>, act: Act) -> Ask {
    Ask::Order { run: RUN, module: module.map(world::module), act }
}

fn forked(place: Option<u64>) -> Ask {
    Ask::Fork { run: RUN, place }
}

fn told(number: u128, text: &str) -> Ask {
    Ask::Tell { run: RUN, module: world::module(number), text: text.to_owned() }
}

/// A guardian found something in module 1.
fn found(seen: &mut Seen) {
    planned(seen);
    seen.event(Event::Briefs(vec![world::brief(1)]));
}

fn answered(approval_number: u128, answer: Answer) -> Ask {
    Ask::Answer { run: RUN, approval: approval(approval_number), answer }
}

#[test]
fn each_key_in_each_pane() {
    let table: &[(Before, &str, &[Ask], &str)] = &[
        (nothing, "f1", &[], "help"),
        (nothing, "f1 f1", &[], "conversation"),
        (nothing, "f2 esc", &[], "conversation"),
        (nothing, "f2 q", &[], "conversation"),
        (nothing, "f2 f4", &[Ask::Briefs], "trust"),
        (nothing, "f8", &[], "settings"),
        (nothing, "f8 j G esc", &[], "conversation"),
        (nothing, "f6", &[Ask::Runs], "runs"),
        (nothing, "f5 a esc", &[], "conversation"),
        (nothing, "f5 q space k enter", &[Ask::Search { query: "q k".to_owned() }], "commons"),
        (nothing, "f5 enter", &[], "commons"),
        (nothing, "f5 ~ / d ctrl+t", &[Ask::Add { folder: "~/d".to_owned() }], "commons"),
        (nothing, "f5 ctrl+t", &[], "commons"),
        (adding, "esc", &[Ask::StopAdding], "conversation"),
        (planned, "f2 enter", &[], "module"),
        (planned, "f2 j enter esc", &[], "plan"),
        (planned, "f2 V", &[Ask::Verify { run: RUN }], "conversation"),
        (planned, "f4 X", &[Ask::Briefs, Ask::Cancel { run: RUN }], "trust"),
        (planned, "f4 B", &[Ask::Briefs, Ask::Briefs], "briefs"),
        (planned, "f4 B enter", &[Ask::Briefs, Ask::Briefs], "orders"),
        (planned, "f4 B enter esc esc", &[Ask::Briefs, Ask::Briefs], "trust"),
        (planned, "f4 B enter enter", &[Ask::Briefs, Ask::Briefs, ordered(None, PAUSE)], "conversation"),
        (nothing, "f4 B enter", &[Ask::Briefs, Ask::Briefs], "briefs"),
        (found, "f4 B enter G enter", &[Ask::Briefs, Ask::Briefs, ordered(None, Act::Cancel)], "conversation"),
        (found, "f4 B enter j enter", &[Ask::Briefs, Ask::Briefs, ordered(Some(1), Act::Resume)], "conversation"),
        (paused, "f4 F", &[Ask::Briefs, forked(None)], "conversation"),
        (with_runs, "f6 F", &[Ask::Runs, forked(None)], "conversation"),
        (driving, "f2 F", &[], "conversation"),
        (driving, "f4 F", &[Ask::Briefs], "conversation"),
        (closing, "f4 F", &[Ask::Briefs, forked(None)], "conversation"),
        (accepted, "f2 F", &[forked(Some(11))], "conversation"),
        (accepted, "f2 j F", &[forked(None)], "conversation"),
        (planned, "f2 j T w enter", &[told(2, "w")], "conversation"),
        (accepted, "f2 T", &[], "plan"),
        (planned, "f2 H", &[steered(1, Steer::Hold)], "plan"),
        (planned, "f2 j D", &[steered(2, Steer::GiveUp)], "plan"),
        (planned, "f2 enter H esc", &[steered(1, Steer::Hold)], "plan"),
        (wrote, "f2 C", &[Ask::Content(Digest::of(b"r"))], "changes"),
        (wrote, "f2 enter C esc", &[Ask::Content(Digest::of(b"r"))], "module"),
        (wrote, "f2 C esc C", &[Ask::Content(Digest::of(b"r"))], "changes"),
        (wrote, "f2 C H", &[Ask::Content(Digest::of(b"r")), steered(1, Steer::Hold)], "changes"),
        (nothing, "f2 C", &[], "plan"),
        (held, "f2 H", &[steered(1, Steer::Free)], "plan"),
        (accepted, "f2 H D", &[], "plan"),
        (nothing, "f2 H D", &[], "plan"),
        (blocked, "f3 o", &[answered(1, Answer::Once)], "approvals"),
        (blocked, "f3 r", &[answered(1, Answer::Run)], "approvals"),
        (blocked, "f3 a", &[answered(1, Answer::Always)], "approvals"),
        (blocked, "f3 n", &[answered(1, Answer::Deny)], "approvals"),
        (blocked, "f3 enter", &[], "approvals"),
        (blocked, "f3 down o n backspace enter", &[answered(2, Answer::Words { text: "o".to_owned() })], "approvals"),
        // Letters are words there, so no key of a permission is one; an answer without words is none.
        (blocked, "f3 down enter", &[], "approvals"),
        // The same question is not answered twice, also before the answer is on record.
        (blocked, "f3 o esc f3 o", &[answered(1, Answer::Once)], "approvals"),
        (paused, "f2 R", &[Ask::Resume { run: RUN }], "conversation"),
        (with_runs, "f6 enter", &[Ask::Runs, Ask::Open { run: RUN }], "runs"),
        (with_runs, "f6 R", &[Ask::Runs, Ask::Resume { run: RUN }], "conversation"),
        (driving, "esc", &[Ask::Interrupt], "conversation"),
        (driving, "esc esc ctrl+c", &[Ask::Interrupt], "conversation"),
        (driving, "ctrl+c", &[Ask::Interrupt], "conversation"),
        (driving, "f2 ctrl+c", &[Ask::Interrupt], "plan"),
        (planned, "esc", &[Ask::Pause { run: RUN }], "conversation"),
        (paused, "esc", &[], "conversation"),
        (nothing, "ctrl+c ctrl+c", &[Ask::Quit], "conversation"),
        (nothing, "ctrl+c x ctrl+c", &[], "conversation"),
        (nothing, "ctrl+d", &[Ask::Quit], "conversation"),
        (nothing, "x ctrl+d", &[], "conversation"),
    ];
    for (before, keys, asks, after) in table {
        let mut seen = Seen::ready(80, 24);
        before(&mut seen);
        seen.keys(keys);
        assert_eq!((seen.asks.as_slice(), place(&seen)), (*asks, *after), "{keys}");
    }
}

#[test]
fn each_command() {
    let ask = |question: &str| Ask::Run { question: question.to_owned() };
    let table: &[(Before, &str, &[Ask], &str)] = &[
        (nothing, "how high?", &[ask("how high?")], "conversation"),
        (nothing, "  ", &[], "conversation"),
        (nothing, "!ls -l", &[Ask::Shell("ls -l".to_owned())], "conversation"),
        (nothing, "!", &[], "conversation"),
        (nothing, "/help", &[], "help"),
        (nothing, "/pla", &[], "plan"),
        (nothing, "/docs ~/notes", &[Ask::Source(Source::Folder("~/notes".to_owned()))], "conversation"),
        (nothing, "/docs", &[], "conversation"),
        (nothing, "/collection x", &[Ask::Source(Source::Collection("x".to_owned()))], "conversation"),
        (nothing, "/add ~/notes", &[Ask::Add { folder: "~/notes".to_owned() }], "conversation"),
        (nothing, "/add", &[], "conversation"),
        (nothing, "/commons high tide", &[Ask::Search { query: "high tide".to_owned() }], "commons"),
        (nothing, "/model llama:x", &[Ask::Model("llama:x".to_owned())], "conversation"),
        (nothing, "/models", &[Ask::Models], "conversation"),
        (nothing, "/hold on", &[Ask::Plan(Plans::Wait)], "conversation"),
        (nothing, "/hold maybe", &[], "conversation"),
        (nothing, "/resume", &[], "conversation"),
        (nothing, "/verify", &[], "conversation"),
        (wrote, "/changes", &[Ask::Content(Digest::of(b"r"))], "changes"),
        (wrote, "/changes 1", &[Ask::Content(Digest::of(b"r"))], "changes"),
        (wrote, "/changes 2", &[], "conversation"),
        (planned, "/changes", &[], "conversation"),
        (nothing, "/changes", &[], "conversation"),
        (paused, "/resume", &[Ask::Resume { run: RUN }], "conversation"),
        (paused, "/cancel", &[Ask::Cancel { run: RUN }], "conversation"),
        (paused, "/verify", &[Ask::Verify { run: RUN }], "conversation"),
        (driving, "/interrupt", &[Ask::Interrupt], "conversation"),
        (driving, "/resume", &[], "conversation"),
        (blocked, "/answer once", &[answered(1, Answer::Once)], "conversation"),
        (blocked, "/answer maybe", &[], "conversation"),
        (nothing, "/answer once", &[], "conversation"),
        (with_runs, "/open 1", &[Ask::Open { run: RUN }], "conversation"),
        (with_runs, "/open 2", &[], "conversation"),
        (nothing, "/quit", &[Ask::Quit], "conversation"),
        (nothing, "/fly", &[], "conversation"),
    ];
    for (before, line, asks, after) in table {
        let mut seen = Seen::ready(80, 24);
        before(&mut seen);
        seen.write(line);
        seen.keys("enter");
        seen.asks.retain(|ask| *ask != Ask::Names);
        assert_eq!((seen.asks.as_slice(), place(&seen)), (*asks, *after), "{line}");
    }
}

#[test]
fn what_is_sent_while_a_run_goes_on_is_asked_after_it() {
    let mut seen = Seen::ready(80, 24);
    seen.write("one");
    seen.keys("enter");
    seen.write("two");
    seen.keys("enter");
    assert_eq!(seen.asks, [Ask::Run { question: "one".to_owned() }]);
    seen.event(Event::Rested { detail: String::new() });
    assert_eq!(seen.asks.last(), Some(&Ask::Run { question: "two".to_owned() }));
    // Interrupted, the next one comes back to be changed or sent again.
    seen.write("three");
    seen.keys("enter esc");
    seen.event(Event::Rested { detail: String::new() });
    assert_eq!(seen.asks.last(), Some(&Ask::Interrupt));
    assert_eq!(seen.view.composer.text(), "three");
}

#[test]
fn a_question_that_could_not_be_asked_comes_back() {
    let mut seen = Seen::ready(80, 24);
    seen.write("one");
    seen.keys("enter");
    assert!(seen.view.composer.is_empty());
    seen.event(Event::NotAsked { question: "one".to_owned(), why: "no folder x".to_owned() });
    assert_eq!((seen.view.composer.text(), &seen.view.work), ("one", &Working::Resting));
    assert!(seen.shown().contains("no folder x"));
}

#[test]
fn an_answer_on_record_leaves_the_queue() {
    let mut world = World::planned("How high?", 2);
    world.claim(1, 0);
    world.ask(1, permission("ls"));
    let mut seen = Seen::ready(80, 24);
    seen.facts(&world);
    assert_eq!(seen.view.waiting().len(), 1);
    world.say(PERSON, Command::Answer { approval: approval(1), answer: Answer::Once });
    seen.facts(&world);
    assert!(seen.view.waiting().is_empty());
    assert!(seen.shown().contains("yes, this call"), "{}", seen.shown());
}

#[test]
fn what_is_said_goes_when_its_step_is_on_record_or_comes_to_nothing() {
    let mut world = World::planned("How high?", 3);
    let model = || CallKind::Model { model: "ollama:qwen3:8b".to_owned() };
    world.claim(1, 0);
    world.start(1, model());
    world.claim(2, 1);
    world.start(2, model());
    let mut seen = Seen::ready(80, 24);
    seen.view.work = Working::Driving;
    seen.facts(&world);
    let (one, two) = (world::spoken(&world, 1, "one says"), world::spoken(&world, 2, "two says"));
    seen.event(one.clone());
    seen.event(two.clone());
    let shown = seen.shown();
    assert!(shown.contains("│ one says") && shown.contains("│ two says"), "{shown}");
    // The fact that ends the step takes what it said, and no other's.
    world.finish(1, None);
    seen.facts(&world);
    let shown = seen.shown();
    assert!(!shown.contains("one says") && shown.contains("│ two says"), "{shown}");
    let Event::Spoken(mut gone) = two.clone() else { unreachable!("spoken") };
    gone[0].before = heard::Before::Goes;
    gone[0].more.clear();
    seen.event(Event::Spoken(gone));
    assert!(!seen.shown().contains("two says"));
    // A run that rests says nothing more, and another run's words are not this one's.
    seen.event(two.clone());
    assert!(seen.shown().contains("two says"));
    seen.event(Event::Rested { detail: String::new() });
    assert!(!seen.shown().contains("two says"));
    let Event::Spoken(mut foreign) = two else { unreachable!("spoken") };
    foreign[0].run = common_ground::RunId(uuid::Uuid::from_u128(9));
    seen.event(Event::Spoken(foreign));
    assert_eq!(seen.view.drafts.iter().count(), 0);
}

#[test]
fn a_long_speech_costs_few_bytes_a_frame() {
    let mut world = World::planned("How high?", 1);
    world.claim(1, 0);
    world.start(1, CallKind::Model { model: "ollama:qwen3:8b".to_owned() });
    let mut seen = Seen::ready(80, 24);
    seen.view.work = Working::Driving;
    seen.facts(&world);
    let mut most = 0;
    for number in 0..2_000 {
        seen.event(world::spoken(&world, 1, &format!("word{number} ")));
        most = most.max(seen.bytes.len());
        assert!(seen.view.drafts.iter().all(|draft| draft.text.len() <= tui::heard::MOST));
    }
    // Six rows that move up by one are all that one frame can change.
    assert!(most <= 6 * 80 + 200, "{most} bytes");
    seen.frame();
    assert!(seen.bytes.is_empty(), "the same view gives no byte");
}

#[test]
fn the_marks_of_a_difference_have_colours_where_there_are_any() {
    use ratatui::{buffer::Buffer, layout::Rect, style::Color};
    for (theme, coloured) in [(Theme::Dark, true), (Theme::Plain, false)] {
        let mut seen = Seen::ready(80, 30);
        seen.view.theme = theme;
        seen.facts(&world::writer());
        seen.keys("f2 C");
        let mut changes = world::changes();
        changes[1].diff = changes[1].diff.replace("new", "\u{1b}[2J\u{202e}");
        seen.event(Event::Content { digest: Digest::of(b"r"), text: Ok(world::record(changes)) });
        let mut cells = Buffer::empty(Rect::new(0, 0, 80, 30));
        tui::render(&seen.view, &mut tui::Frame::new(&mut cells));
        let row = |wanted: &str| {
            let text = |row: u16| (0..80).map(|column| cells[(column, row)].symbol()).collect::<String>();
            (0..30).find(|row| text(*row).trim() == wanted).unwrap_or_else(|| panic!("no {wanted}"))
        };
        let colours = ["+14 m", "-12 m", "# Tides"].map(|line| cells[(2, row(line))].fg);
        assert_eq!(colours[0] != colours[1] && colours[1] != colours[2] && colours[0] != colours[2], coloured);
        row("+a \u{fffd}[2J\u{fffd} line");
        assert!(coloured || colours == [Color::Reset; 3], "{colours:?}");
    }
}

#[test]
fn lines_say_what_drawings_show() {
    let mut seen = Seen::ready(80, 24);
    let (mut shown, mut said) = (0, String::new());
    let first = linear::fresh(&mut seen.view, &mut shown, &mut said);
    assert!(first.iter().any(|line| line.contains("Answers come from ~/notes.")), "{first:?}");
    assert!(linear::fresh(&mut seen.view, &mut shown, &mut said).is_empty());
    let mut world = World::planned("How high is the tide?", 2);
    world.done(1);
    world.done(2);
    world.close(Outcome::Completed);
    seen.facts(&world);
    let lines = linear::fresh(&mut seen.view, &mut shown, &mut said);
    for wanted in
        ["› How high is the tide?", "✓ module 2 accepted, its receipt sealed", "[2] tides/日本.md, bytes 120–159"]
    {
        assert!(lines.iter().any(|line| line.contains(wanted)), "{wanted} in {lines:?}");
    }
    seen.event(Event::Line("/trust".to_owned()));
    assert!(linear::fresh(&mut seen.view, &mut shown, &mut said).is_empty(), "it waits for what guardians found");
    seen.event(Event::Briefs(vec![world::brief(1)]));
    let lines = linear::fresh(&mut seen.view, &mut shown, &mut said);
    assert!(lines.iter().any(|line| line.contains("what really ran")), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("facts 4, 6, 8, 11")), "{lines:?}");
    assert_eq!(seen.view.leaving, Leaving::No);
    seen.event(Event::Line("/quit".to_owned()));
    assert_eq!((seen.view.leaving, seen.asks.last()), (Leaving::Now, Some(&Ask::Quit)));
}

#[test]
fn lines_have_no_half_sentences_and_wait_for_what_was_changed() {
    let mut seen = Seen::ready(80, 24);
    let (mut shown, mut said) = (0, String::new());
    // Half a sentence is read to nobody.
    let mut world = world::writer();
    world.start(1, CallKind::Model { model: "ollama:qwen3:8b".to_owned() });
    seen.facts(&world);
    seen.event(world::spoken(&world, 1, "half a sen"));
    let lines = linear::fresh(&mut seen.view, &mut shown, &mut said);
    assert!(!lines.iter().any(|line| line.contains("half a sen")), "{lines:?}");
    // What was changed is read once it is there.
    seen.event(Event::Line("/changes".to_owned()));
    assert!(linear::fresh(&mut seen.view, &mut shown, &mut said).is_empty());
    seen.event(Event::Content { digest: Digest::of(b"r"), text: Ok(world::record(world::changes())) });
    let lines = linear::fresh(&mut seen.view, &mut shown, &mut said);
    for wanted in ["~ /data/tides.md", "  -12 m", "  +14 m", "- /data/old.bin", "  removed, it was "] {
        assert!(lines.iter().any(|line| line.contains(wanted)), "{wanted} in {lines:?}");
    }
}
