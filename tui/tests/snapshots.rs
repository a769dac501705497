//! Every pane and state as a real terminal shows it, at 80×24 and at 160×50.

mod world;

use common_ground::{
    Command, Digest, Millis,
    approval::Question,
    grant::Tier,
    module::CallKind,
    run::{Outcome, PauseReason},
};
use tui::{
    Event,
    event::{Around, Hit, ReceiptState, RunLine, TellTone, Told, Work},
    view::Working,
};
use world::{BEGIN, PERSON, RUN, Seen, World, citation, deliverable, permission, report, tool};

const FORK: common_ground::RunId = common_ground::RunId(uuid::Uuid::from_u128(2));

/// Shows a state at both sizes.
fn shows(name: &str, act: impl Fn(&mut Seen)) {
    for (columns, rows) in [(80, 24), (160, 50)] {
        let mut seen = Seen::ready(columns, rows);
        act(&mut seen);
        insta::assert_snapshot!(format!("{name}-{columns}x{rows}"), seen.shown());
    }
}

/// Three modules: one accepted at its second attempt, one at work, one that waits for them.
fn halfway() -> World {
    let mut world = World::planned("How high is the tide, and why?", 3);
    world.claim(1, 0);
    world.work(1);
    world.submit(1);
    world.judge(1, false);
    world.done(1);
    world.claim(2, 1);
    world.work(2);
    world.start(2, tool());
    world
}

fn answered() -> World {
    let mut world = World::planned("How high is the tide?", 2);
    world.done(1);
    world.done(2);
    world.close(Outcome::Completed);
    world
}

fn blocked() -> World {
    let mut world = World::planned("What is in /data?", 3);
    world.claim(1, 0);
    world.work(1);
    world.ask(1, permission("ls -l /data"));
    world.claim(2, 1);
    world.ask(2, Question::Words { step: common_ground::StepIndex(0), text: "Which year is meant?".to_owned() });
    world
}

#[test]
fn before_the_program_is_ready() {
    for (columns, rows) in [(80, 24), (160, 50)] {
        insta::assert_snapshot!(format!("opening-{columns}x{rows}"), Seen::new(columns, rows).shown());
    }
}

#[test]
fn the_first_minute() {
    for (columns, rows) in [(80, 24), (160, 50)] {
        let mut seen = Seen::new(columns, rows);
        let setup = tui::event::Setup {
            models: vec!["extractive".to_owned()],
            source: None,
            offers: vec!["/docs FOLDER         answer from a folder of documents".to_owned()],
            ..world::setup()
        };
        seen.event(Event::Ready(Box::new(setup)));
        seen.write("how high is the tide?");
        seen.keys("enter");
        assert!(seen.asks.is_empty());
        insta::assert_snapshot!(format!("first-minute-{columns}x{rows}"), seen.shown());
    }
}

#[test]
fn writing() {
    shows("writing", |seen| {
        seen.write("How high is 大潮, and");
        seen.keys("alt+enter");
        seen.write("why? ");
        seen.event(Event::Pasted("line\n".repeat(5_000)));
        seen.write(" ");
        seen.write(&"long ".repeat(40));
        seen.keys("ctrl+a right");
    });
}

#[test]
fn proposals() {
    shows("proposals-commands", |seen| seen.write("/s"));
    shows("proposals-names", |seen| {
        seen.write("what is in @ti");
        assert_eq!(seen.asks, [tui::Ask::Names]);
        let names = ["tides/granville.md", "title.txt", "cats.md"].map(str::to_owned);
        seen.event(Event::Names(names.to_vec()));
        seen.keys("down");
    });
}

#[test]
fn preparing_and_working() {
    shows("preparing", |seen| {
        seen.write("How high?");
        seen.keys("enter");
        seen.event(Event::Preparing("reading files 12/300".to_owned()));
        seen.write("and why?");
        seen.keys("enter");
    });
    shows("working", |seen| {
        seen.view.work = Working::Driving;
        seen.facts(&halfway());
        seen.event(Event::Clock(Millis(BEGIN + 75_000)));
    });
    shows("working-said", |seen| {
        seen.view.work = Working::Driving;
        let mut world = halfway();
        world.finish(2, Some(Tier::Builtin));
        world.start(2, CallKind::Model { model: "ollama:qwen3:8b".to_owned() });
        seen.facts(&world);
        seen.event(Event::Clock(Millis(BEGIN + 75_000)));
        seen.event(world::spoken(&world, 2, "The first line is long gone.\n"));
        seen.event(world::spoken(&world, 2, &"The tide at Granville rises up to 14 m. ".repeat(9)));
        seen.event(world::spoken(&world, 2, "\nIt is high, 大潮の高"));
    });
    shows("stopping", |seen| {
        seen.view.work = Working::Driving;
        seen.facts(&halfway());
        seen.keys("esc");
    });
}

#[test]
fn an_answer() {
    shows("answer", |seen| {
        seen.view.work = Working::Driving;
        seen.facts(&answered());
        seen.event(Event::Rested { detail: String::new() });
    });
}

#[test]
fn standing_still() {
    shows("paused", |seen| {
        let mut world = halfway();
        world.say(PERSON, Command::Pause { reason: PauseReason::Interrupt });
        seen.view.work = Working::Driving;
        seen.facts(&world);
        seen.event(Event::Rested { detail: String::new() });
    });
    shows("leaving", |seen| seen.keys("ctrl+c"));
}

#[test]
fn the_plan() {
    shows("plan-tree", |seen| {
        seen.facts(&halfway());
        seen.keys("f2 j");
    });
    shows("plan-board", |seen| {
        seen.facts(&halfway());
        seen.keys("f2 tab j");
    });
    shows("plan-none", |seen| seen.keys("f2"));
}

#[test]
fn a_module() {
    shows("module", |seen| {
        seen.facts(&halfway());
        seen.keys("f2 enter");
        assert_eq!(seen.asks, [tui::Ask::Content(deliverable())]);
        let claim = common_ground::deliverable::Claim {
            text: "It rises up to 14 m.".to_owned(),
            citations: vec![citation("tides/granville.md", "It rises up to 14 m.")],
        };
        let deliverable = common_ground::deliverable::Deliverable {
            question: "How high?".to_owned(),
            claims: vec![claim],
            also: Vec::new(),
        };
        let text = serde_json::to_string(&deliverable).map_err(|error| error.to_string());
        seen.event(Event::Content { digest: world::deliverable(), text });
        seen.keys("pagedown");
    });
}

#[test]
fn what_a_module_says_and_changed() {
    shows("module-said", |seen| {
        let mut world = world::writer();
        world.start(1, CallKind::Model { model: "ollama:qwen3:8b".to_owned() });
        seen.facts(&world);
        seen.event(world::spoken(&world, 1, "I put it down:\nthe tide rises up to 14 m."));
        seen.keys("f2 enter G");
    });
    shows("changes", |seen| {
        seen.facts(&world::writer());
        seen.keys("f2 enter C");
        assert_eq!(seen.asks, [tui::Ask::Content(Digest::of(b"r"))], "one record, asked for once");
        seen.event(Event::Content { digest: Digest::of(b"r"), text: Ok(world::record(world::changes())) });
    });
    shows("changes-unread", |seen| {
        seen.facts(&world::writer());
        seen.keys("f2 C");
        seen.event(Event::Content { digest: Digest::of(b"r"), text: Err("it is not on record".to_owned()) });
    });
}

#[test]
fn questions_that_wait() {
    shows("approvals-permission", |seen| {
        seen.facts(&blocked());
        seen.keys("f3");
    });
    shows("approvals-words", |seen| {
        seen.facts(&blocked());
        seen.keys("f3 down");
        seen.write("last year");
    });
    shows("approvals-none", |seen| seen.keys("f3"));
}

#[test]
fn trust() {
    shows("trust", |seen| {
        let mut world = halfway();
        world.finish(2, Some(Tier::Process));
        seen.facts(&world);
        seen.event(Event::Receipt { receipt: Digest::of(&1_u128.to_be_bytes()), state: ReceiptState::Logged });
        seen.keys("f4");
    });
}

/// What guardians found stands in the trust pane with its evidence; one after the other, and what can be ordered on it.
#[test]
fn guardians() {
    let found = || {
        let quiet = tui::brief::Brief {
            module: None,
            severity: tui::brief::Severity::Notice,
            rule: "timing".to_owned(),
            found: "twenty answers\nof one length".to_owned(),
            evidence: vec![9],
            options: Vec::new(),
            ..world::brief(1)
        };
        Event::Briefs(vec![quiet, world::brief(2), world::brief(1)])
    };
    shows("trust-guardians", |seen| {
        seen.facts(&halfway());
        seen.keys("f4");
        seen.event(found());
        seen.keys("pagedown");
    });
    shows("briefs", |seen| {
        seen.facts(&halfway());
        seen.keys("f4 B");
        seen.event(found());
        seen.keys("j");
    });
    shows("briefs-none", |seen| {
        seen.facts(&halfway());
        seen.keys("f4 B");
        seen.event(Event::Briefs(Vec::new()));
    });
    shows("orders", |seen| {
        seen.facts(&halfway());
        seen.keys("f4 B");
        seen.event(found());
        seen.keys("enter j");
    });
    shows("orders-of-the-run", |seen| {
        seen.facts(&halfway());
        seen.keys("f4 B enter");
    });
}

#[test]
fn settings() {
    shows("settings", |seen| seen.keys("f8 j j"));
    shows("settings-start", |seen| seen.keys("f8"));
}

/// What was said to a module, heard and not heard yet.
#[test]
fn a_word_to_a_module() {
    shows("told-module", |seen| {
        let mut world = World::planned("How high is the tide?", 2);
        world.claim(1, 0);
        world.work(1);
        let told = |text: &str| Command::Tell { module: world::module(1), text: Digest::of(text.as_bytes()) };
        world.say(PERSON, told("Only what is from 2024 counts."));
        let (owner, step) = (world.owner(1), common_ground::StepIndex(world.steps(1)));
        let words = vec![Digest::of(b"Only what is from 2024 counts.")];
        world.say(world::WORKERS[0], Command::Hear { owner, step, words });
        world.say(PERSON, told("And be brief."));
        seen.facts(&world);
        seen.keys("f2 enter");
        for text in ["Only what is from 2024 counts.", "And be brief."] {
            assert!(seen.asks.contains(&tui::Ask::Content(Digest::of(text.as_bytes()))));
            seen.event(Event::Content { digest: Digest::of(text.as_bytes()), text: Ok(text.to_owned()) });
        }
    });
    shows("tell", |seen| {
        seen.facts(&halfway());
        seen.keys("f2 j T");
        seen.write("only what is new");
    });
}

/// A run that was forked: where it comes from, and what it took over.
#[test]
fn a_fork() {
    let fork = || {
        let mut of = World::planned("How high is the tide, and why?", 3);
        of.done(1);
        of.claim(2, 1);
        let run = of.state.run().expect("open").clone();
        let mut world = World::default();
        let (roster, of) = (Box::new(world::roster()), Box::new(run));
        let link = Digest::of(b"link");
        world.say(PERSON, Command::Fork { run: FORK, roster, of, place: 17, link });
        world
    };
    shows("forked", |seen| {
        let world = fork();
        seen.event(Event::Opened { run: FORK, facts: world.facts, worked_on: Work::Rests });
    });
    shows("forked-plan", |seen| {
        let world = fork();
        seen.event(Event::Opened { run: FORK, facts: world.facts, worked_on: Work::Rests });
        seen.keys("f2");
    });
    shows("forked-module", |seen| {
        let world = fork();
        seen.event(Event::Opened { run: FORK, facts: world.facts, worked_on: Work::Rests });
        seen.keys("f2 enter");
    });
}

#[test]
fn the_commons() {
    shows("commons", |seen| {
        seen.keys("f5");
        seen.write("spring tide");
        seen.keys("enter");
        assert_eq!(seen.asks, [tui::Ask::Search { query: "spring tide".to_owned() }]);
        let hit = |path: &str, title: &str| Hit {
            citation: citation(path, "The spring tide is the highest.\nIt comes twice a month."),
            title: title.to_owned(),
        };
        let hits = Ok(vec![hit("tides/granville.md", "Granville"), hit("tides/日本.md", "大潮")]);
        seen.event(Event::Found { query: "spring tide".to_owned(), hits });
        seen.keys("down");
    });
}

#[test]
fn a_folder_that_is_taken_in() {
    let told =
        || Event::Adding(Some("reading files 12/300, 1.20 MB of 9.00 MB (2.40 MB a second, 4 s left)".to_owned()));
    shows("adding", |seen| seen.event(told()));
    shows("adding-commons", |seen| {
        seen.keys("f5");
        seen.write("spring");
        seen.event(told());
    });
}

#[test]
fn the_runs() {
    shows("runs", |seen| {
        seen.keys("f6");
        let line = |state: &str, question: &str, ago: u64| RunLine {
            run: RUN,
            state: state.to_owned(),
            question: question.to_owned(),
            opened: Millis(BEGIN - ago),
        };
        seen.event(Event::Runs(vec![
            line("paused", "How high is the tide, and why?", 60_000),
            line("completed", "What is\nin /data?\u{1b}[2J", 7_200_000),
        ]));
        seen.keys("down");
    });
}

#[test]
fn the_sources() {
    shows("sources", |seen| {
        seen.facts(&answered());
        seen.keys("f7");
        let citation = Box::new(report().sources[0].clone());
        assert_eq!(seen.asks, [tui::Ask::Passage { run: RUN, citation: citation.clone() }]);
        let around = Around {
            before: "# Granville\n\nA harbour in Normandy. ".to_owned(),
            quote: citation.quote.clone(),
            after: " It is among\nthe highest of Europe.".to_owned(),
        };
        seen.event(Event::Passage { citation, text: Ok(around) });
    });
}

#[test]
fn help() {
    shows("help", |seen| seen.keys("f1"));
    shows("help-end", |seen| seen.keys("f1 G"));
}

#[test]
fn something_told() {
    shows("told", |seen| {
        let lines = vec!["VALID  module 1".to_owned(), "  ok     the signature".to_owned()];
        seen.event(Event::Told(Told { tone: TellTone::Good, lines }));
        seen.event(Event::Told(Told {
            tone: TellTone::Bad,
            lines: vec!["no folder x; name one that is there".to_owned()],
        }));
    });
}

#[test]
fn a_run_on_record_that_another_program_works_on() {
    shows("followed", |seen| {
        let facts = halfway().facts;
        seen.event(Event::Opened { run: RUN, facts, worked_on: Work::GoesOn });
    });
}
