//! What is shown of a run is a function of its facts.

mod world;

use proptest::prelude::*;
use tui::{Event, event::Work};
use world::{RUN, Seen, World};

/// A history of so many modules, lived by these acts.
fn lived(modules: u128, acts: &[(u8, u8)]) -> World {
    let mut world = World::planned("How high is the tide, and why?", modules);
    for (act, number) in acts {
        world.live(*act, u128::from(*number));
    }
    world
}

/// Every pane on a run, one after the other. How far the conversation has scrolled is a history's own, since what waits below
/// it takes more rows at one time than at another: of it are compared the last rows of both, and the cursor from the end.
fn panes(seen: &mut Seen) -> Vec<String> {
    const LAST: usize = 20;
    let keys = ["f2", "tab", "f2", "f2", "enter", "esc", "esc", "f3", "f3", "f4", "f4", "f7", "f7"];
    keys.iter()
        .map(|key| {
            seen.keys(key);
            let shown = seen.shown();
            let (rows, cursor) = shown.rsplit_once("\n[cursor ").expect("a cursor");
            let Some((column, row)) = cursor.split_once(',') else { return shown };
            let (rows, row): (Vec<&str>, usize) =
                (rows.lines().collect(), row.trim_end_matches(']').parse().expect("a row"));
            let last = &rows[rows.len().saturating_sub(LAST)..];
            format!("{}\n[cursor {column}, {} from the end]", last.join("\n"), rows.len() - row)
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    /// Live, one fact at a time with frames between, and from the record at once: the same view, pane by pane, and the same
    /// transcript; however the person walked about meanwhile.
    #[test]
    fn replay_shows_what_was_lived(
        modules in 1_u128..6,
        acts in prop::collection::vec((0_u8..12, 0_u8..6), 0..80),
        walks in prop::collection::vec(0_usize..6, 0..80),
    ) {
        let world = lived(modules, &acts);
        let mut live = Seen::ready(100, 30);
        let keys = ["f2", "f3", "f4", "esc", "down", "f1"];
        for (placed, number) in world.facts.iter().zip(0..) {
            live.event(Event::Fact { run: RUN, placed: Box::new(placed.clone()) });
            if let Some(key) = walks.get(number) {
                live.keys(keys[*key]);
            }
        }
        live.view.pane = tui::view::Pane::Conversation;
        live.frame();

        let mut replayed = Seen::ready(100, 30);
        let goes_on = live.view.watched.as_ref().is_some_and(|watched| watched.work == Work::GoesOn);
        let worked_on = if goes_on { Work::GoesOn } else { Work::Rests };
        replayed.event(Event::Opened { run: RUN, facts: world.facts.clone(), worked_on });
        replayed.view.at = live.view.at;
        replayed.frame();

        prop_assert_eq!(&live.view.blocks, &replayed.view.blocks);
        prop_assert_eq!(&live.view.watched, &replayed.view.watched);
        prop_assert_eq!(live.view.watched.as_ref().map(|watched| &watched.state), Some(&world.state));
        prop_assert_eq!(panes(&mut live), panes(&mut replayed));
    }

    /// A fact that comes twice, as it may when a run is followed from the record, changes nothing.
    #[test]
    fn a_fact_seen_twice_says_nothing(modules in 1_u128..4, acts in prop::collection::vec((0_u8..12, 0_u8..6), 0..40)) {
        let world = lived(modules, &acts);
        let mut seen = Seen::ready(100, 30);
        seen.facts(&world);
        let before = (seen.view.blocks.clone(), seen.view.watched.clone());
        seen.facts(&world);
        prop_assert_eq!(before, (seen.view.blocks.clone(), seen.view.watched.clone()));
    }
}

/// A run that is opened while it goes on: live facts that came too early are left, and the record tells them.
#[test]
fn a_gap_is_filled_from_the_record() {
    let world = lived(2, &[(0, 0), (1, 0), (2, 0), (4, 0)]);
    let mut seen = Seen::ready(100, 30);
    seen.event(Event::Opened { run: RUN, facts: world.facts[..2].to_vec(), worked_on: Work::GoesOn });
    let last = world.facts.last().expect("facts").clone();
    seen.event(Event::Fact { run: RUN, placed: Box::new(last) });
    assert_eq!(seen.view.watched.as_ref().map(|watched| watched.seq), Some(2));
    seen.event(Event::Recorded { run: RUN, facts: world.facts.clone() });
    assert_eq!(seen.view.watched.as_ref().map(|watched| &watched.state), Some(&world.state));
    // The record of another run is not in the way.
    let other = common_ground::RunId(uuid::Uuid::from_u128(2));
    let before = seen.view.blocks.len();
    seen.event(Event::Recorded { run: other, facts: world.facts });
    assert_eq!((seen.view.blocks.len(), seen.view.watched.as_ref().map(|watched| watched.run)), (before, Some(RUN)));
}

#[test]
fn histories_reach_every_state_that_is_shown() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0_u32..400 {
        let acts: Vec<(u8, u8)> = (0..150_u32)
            .map(|turn| {
                let mixed = (seed * 7919 + turn * 104_729).wrapping_mul(2_654_435_761);
                ((mixed >> 8) as u8 % 12, (mixed >> 16) as u8 % 6)
            })
            .collect();
        let world = lived(3, &acts);
        let run = world.state.run().expect("open");
        seen.extend(run.modules.values().map(|module| {
            let text = format!("{:?}", module.life);
            text.split([' ', '(', '{']).next().unwrap_or_default().to_owned()
        }));
    }
    for life in ["Proposed", "Ready", "Leased", "Blocked", "Submitted", "Judged", "Accepted", "Paused", "Failed"] {
        assert!(seen.contains(life), "{life} is never reached: {seen:?}");
    }
}
