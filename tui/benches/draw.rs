//! What a frame costs at 160×50: a plan of 1,000 modules, a conversation of 100,000 lines, a fact that changes both.

#[path = "../tests/world/mod.rs"]
mod world;

use common_ground::Millis;
use divan::{Bencher, black_box};
use ratatui::{buffer::Buffer, layout::Rect};
use tui::{
    Event, Frame, Screen, View,
    event::{TellTone, Told},
    render, update,
    view::Working,
};
use world::{BEGIN, Seen, World};

fn main() {
    divan::main();
}

/// A run of 1,000 modules half done, below a transcript of 100,000 lines.
fn large() -> View {
    let mut world = World::planned("How high is the tide, and why?", 1_000);
    for number in 1..=500 {
        world.done(number);
    }
    world.claim(501, 0);
    world.work(501);
    let mut seen = Seen::ready(160, 50);
    seen.view.work = Working::Driving;
    seen.facts(&world);
    let lines = (0..100_000).map(|number| format!("line {number} of a long conversation on tides")).collect();
    update(&mut seen.view, Event::Told(Told { tone: TellTone::Output, lines }));
    seen.view
}

fn draws(bencher: Bencher, keys: &str) {
    let mut view = large();
    for key in keys.split_whitespace() {
        let chord = key.parse().expect("a key");
        drop(update(&mut view, Event::Key(chord)));
    }
    bencher.bench_local(|| {
        let mut cells = Buffer::empty(Rect::new(0, 0, 160, 50));
        render(black_box(&view), &mut Frame::new(&mut cells));
        cells
    });
}

#[divan::bench]
fn conversation(bencher: Bencher) {
    draws(bencher, "");
}

#[divan::bench]
fn plan_as_tree(bencher: Bencher) {
    draws(bencher, "f2 G");
}

#[divan::bench]
fn plan_as_board(bencher: Bencher) {
    draws(bencher, "f2 tab");
}

#[divan::bench]
fn trust(bencher: Bencher) {
    draws(bencher, "f4");
}

#[divan::bench]
fn help(bencher: Bencher) {
    draws(bencher, "f1");
}

/// From the tick of the clock to the bytes that are written for it, the view being large.
#[divan::bench]
fn tick_to_bytes(bencher: Bencher) {
    let mut view = large();
    let mut screen = Screen::default();
    drop(screen.frame(&view));
    let mut at = BEGIN + 3_600_000;
    bencher.bench_local(|| {
        at += 1_000;
        drop(update(&mut view, Event::Clock(Millis(at))));
        screen.frame(&view)
    });
}

/// The floor: an empty frame of this size made and compared, which a drawing cannot undercut.
#[divan::bench]
fn empty_frame(bencher: Bencher) {
    let before = Buffer::empty(Rect::new(0, 0, 160, 50));
    bencher.bench_local(|| {
        let after = Buffer::empty(Rect::new(0, 0, 160, 50));
        black_box(&before).diff(&after).len()
    });
}
