//! What others wrote never steers the terminal, and what the terminal does is survived.

mod world;

use common_ground::{
    Fact, Millis, StepIndex,
    approval::Question,
    report::{Report, ReportClaim, Section},
    run::Outcome,
};
use proptest::prelude::*;
use tui::{
    Event,
    event::{Around, Hit, RunLine, Size, TellTone, Told},
    update,
};
use world::{BEGIN, RUN, Seen, World, citation, permission, report};

/// Everything that a terminal is known to obey, and some that only readers do.
const HOSTILE: &str = "a\u{1b}[2J\u{1b}]0;title\u{7}\u{1b}]52;c;cm0gLXJm\u{7}\u{1b}P+q544e\u{1b}\\\u{9b}31m\u{90}x\u{9c}\u{8}\u{7f}\
                       \r\n\u{202e}drow\u{2066}x\u{0}\u{1b}[?1049h\u{1b}c\u{1b}[6n\u{5}z";

/// The sequences that these bytes have: what follows each escape, up to its end. Fails on one that is not among ours.
fn check_ours(bytes: &[u8]) {
    let mut rest = bytes;
    while let Some(first) = rest.first() {
        if *first == 0x1b {
            let sequence = std::str::from_utf8(rest)
                .map_or_else(|error| String::from_utf8_lossy(&rest[..error.valid_up_to()]).into_owned(), str::to_owned);
            let body = sequence.strip_prefix("\u{1b}[").unwrap_or_else(|| panic!("no CSI: {:?}", cut(&sequence)));
            let end = body.find(|c: char| c.is_ascii_alphabetic()).expect("an end");
            let (parameters, last) = (&body[..end], &body[end..=end]);
            let ours = match last {
                "m" | "G" | "A" | "B" | "H" => parameters.chars().all(|c| c.is_ascii_digit() || c == ';'),
                "J" => matches!(parameters, "" | "2"),
                "K" => parameters == "2",
                "h" | "l" => matches!(parameters, "?25" | "?1049" | "?2026"),
                _other => false,
            };
            assert!(ours, "not ours: {:?}", cut(&sequence));
            rest = &rest[2 + end + 1..];
        } else {
            assert!(*first >= 0x20 || matches!(*first, b'\r' | b'\n' | 0x07), "control {first:#x}");
            assert_ne!(*first, 0x7f);
            rest = &rest[1..];
        }
    }
    // C1 controls are two bytes in UTF-8.
    let text = String::from_utf8_lossy(bytes);
    assert!(!text.chars().any(|c| ('\u{80}'..='\u{9f}').contains(&c)), "a C1 control");
    assert!(
        !text.chars().any(|c| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')),
        "a mark of direction"
    );
}

fn cut(text: &str) -> String {
    text.chars().take(30).collect()
}

/// A view in which everything that others write is this text, and every pane of it painted; gives all bytes.
fn everywhere(text: &str, columns: u16, rows: u16) -> Vec<u8> {
    let mut seen = Seen::ready(columns, rows);
    let mut all = seen.bytes.clone();
    let mut world = World::planned(text, 3);
    world.claim(1, 0);
    world.work(1);
    world.ask(1, permission("ls"));
    world.claim(2, 1);
    world.ask(2, Question::Words { step: StepIndex(0), text: text.to_owned() });
    let mut said = Vec::new();
    for placed in &world.facts {
        let mut placed = placed.clone();
        if let Fact::ModuleBlocked { question, .. } = &mut placed.fact
            && let Question::Permission { tool, arguments, .. } = question.as_mut()
        {
            (*tool, *arguments) = (text.to_owned(), text.to_owned());
        }
        said.push(Event::Fact { run: RUN, placed: Box::new(placed) });
    }
    let claim = ReportClaim { text: text.to_owned(), sources: vec![1] };
    let section = Section { question: text.to_owned(), claims: vec![claim] };
    let cited = citation(text, text);
    let report = Report {
        question: text.to_owned(),
        sections: vec![section],
        sources: vec![cited.clone()],
        engine: text.to_owned(),
        ..report()
    };
    said.push(Event::Told(Told { tone: TellTone::Output, lines: vec![text.to_owned()] }));
    said.push(Event::Rested { detail: text.to_owned() });
    said.push(Event::Runs(vec![RunLine {
        run: RUN,
        state: text.to_owned(),
        question: text.to_owned(),
        opened: Millis(BEGIN),
    }]));
    said.push(Event::Found {
        query: text.to_owned(),
        hits: Ok(vec![Hit { citation: cited.clone(), title: text.to_owned() }]),
    });
    said.push(Event::Names(vec![text.to_owned()]));
    said.push(Event::Content { digest: world::deliverable(), text: Ok(text.to_owned()) });
    let around = Around { before: text.to_owned(), quote: text.to_owned(), after: text.to_owned() };
    said.push(Event::Passage { citation: Box::new(cited), text: Ok(around) });
    said.push(Event::Pasted(text.to_owned()));
    said.push(Event::Preparing(text.to_owned()));
    for event in said {
        seen.event(event);
        all.extend(&seen.bytes);
    }
    if let Some(watched) = &mut seen.view.watched {
        watched.report = Some(Box::new(report.clone()));
    }
    seen.view.say(tui::view::Block::Answer(Box::new(report)));
    seen.frame();
    all.extend(&seen.bytes);
    for key in ["f2", "tab", "tab", "enter", "f3", "down", "f4", "f5", "f6", "f7", "f1", "esc"] {
        seen.keys(key);
        all.extend(&seen.bytes);
    }
    seen.write("@");
    all.extend(&seen.bytes);
    all.extend(seen.screen.leave());
    all
}

#[test]
fn nothing_that_others_wrote_steers_the_terminal() {
    let bytes = everywhere(HOSTILE, 80, 24);
    check_ours(&bytes);
    // What was written is there, as marks and letters.
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains("[2J") && text.contains('\u{fffd}'));
}

#[test]
#[should_panic(expected = "not ours")]
fn the_check_itself_finds_a_title() {
    check_ours(b"ab\x1b[6nc");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(40) })]

    #[test]
    fn no_text_steers_the_terminal(text in "(\\PC|\\p{Cc}|\\p{Cf}|[日本ש\u{301}👨‍👩‍👧]){0,80}", columns in 2_u16..120, rows in 2_u16..40) {
        check_ours(&everywhere(&text, columns, rows));
    }

    /// Whatever sizes a terminal goes through, frames stay within it.
    #[test]
    fn every_size_is_survived(sizes in prop::collection::vec((1_u16..200, 1_u16..60), 1..12)) {
        let mut seen = Seen::ready(80, 24);
        let mut world = World::planned("How high?", 5);
        world.done(1);
        world.claim(2, 1);
        seen.facts(&world);
        for (columns, rows) in sizes {
            seen.terminal.screen_mut().set_size(rows, columns);
            seen.event(Event::Resized(Size { columns, rows }));
            for key in ["f2", "tab", "f4", "f1", "f1"] {
                seen.keys(key);
                check_ours(&seen.bytes);
            }
        }
    }
}

#[test]
fn ten_megabytes_are_pasted_without_harm() {
    let mut seen = Seen::ready(80, 24);
    let pasted = "0123456789abcde\n".repeat(10 << 16);
    seen.event(Event::Pasted(pasted));
    assert!(seen.bytes.len() < 1_000, "{} bytes", seen.bytes.len());
    assert!(seen.shown().contains("[paste 1: 655360 lines, 10485760 bytes]"), "{}", seen.shown());
    seen.keys("enter");
    assert!(seen.asks.is_empty());
    assert!(seen.shown().contains("put long material into"), "{}", seen.shown());
    assert!(seen.shown().contains("[paste 1:"), "it is not lost");
}

#[test]
fn what_is_shown_already_costs_no_byte() {
    let mut seen = Seen::ready(80, 24);
    let mut world = World::planned("How high?", 3);
    world.claim(1, 0);
    seen.facts(&world);
    for pane in ["f2", "f3", "f4", "f5", "f6", "f7", "f1", "esc"] {
        seen.keys(pane);
        seen.frame();
        assert_eq!(seen.bytes.len(), 0, "{pane}");
    }
}

#[test]
fn a_frame_costs_what_changed() {
    let mut seen = Seen::ready(160, 50);
    seen.write("how hig");
    seen.write("h");
    assert!(seen.bytes.len() <= 40, "a letter cost {} bytes", seen.bytes.len());
    let mut world = World::planned("How high?", 3);
    world.claim(1, 0);
    world.work(1);
    seen.view.work = tui::view::Working::Driving;
    seen.facts(&world);
    seen.event(Event::Clock(Millis(BEGIN + 60_000)));
    seen.event(Event::Clock(Millis(BEGIN + 61_000)));
    assert!((1..=60).contains(&seen.bytes.len()), "a second cost {} bytes", seen.bytes.len());
    seen.keys("f2 down");
    assert!(seen.bytes.len() <= 1_200, "a row down cost {} bytes", seen.bytes.len());
}

#[test]
fn the_transcript_stays_in_the_scrollback() {
    let mut seen = Seen::ready(80, 24);
    let mut world = World::planned("How high?", 40);
    for number in 1..40 {
        world.done(number);
    }
    seen.facts(&world);
    // A pane comes and goes, and what is told meanwhile waits for it.
    seen.keys("f2");
    assert!(seen.terminal.screen().alternate_screen());
    seen.event(Event::Told(Told { tone: TellTone::Note, lines: vec!["told meanwhile".to_owned()] }));
    seen.keys("esc");
    assert!(!seen.terminal.screen().alternate_screen());
    let leave = seen.screen.leave();
    seen.terminal.process(&leave);
    let shown = seen.shown();
    assert!(shown.contains("told meanwhile") && !shown.contains("ask something"), "{shown}");
    let mut all = String::new();
    for back in (0..200).rev() {
        seen.terminal.screen_mut().set_scrollback(back);
        all.push_str(&seen.terminal.screen().contents());
    }
    for number in 1..40 {
        assert!(all.contains(&format!("module {number} accepted, its receipt sealed")), "module {number}");
    }
    assert!(all.contains("› How high?"));
}

#[test]
fn the_person_is_called_only_while_away() {
    let mut seen = Seen::ready(80, 24);
    let mut world = World::planned("How high?", 1);
    world.done(1);
    world.close(Outcome::Completed);
    let closing = world.facts.pop().expect("a fact");
    seen.facts(&world);
    let rings = |seen: &Seen| seen.bytes.contains(&0x07);
    let mut away = Seen::ready(80, 24);
    update(&mut away.view, Event::Looking(tui::event::Looking::Away));
    away.facts(&world);
    for (seen, expected) in [(&mut seen, false), (&mut away, true)] {
        seen.event(Event::Fact { run: RUN, placed: Box::new(closing.clone()) });
        assert_eq!(rings(seen), expected);
    }
}
