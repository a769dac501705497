//! What each fuzz target does with its bytes: for libFuzzer, a program a target, and for `cargo test`, which runs what was kept.
//!
//! **Invariant:** a target panics where something is wrong, and does nothing else.
#![allow(dead_code, reason = "a fuzz program runs one of them")]

use std::sync::LazyLock;

use common_ground::{Fact, Millis, RunId};
use guardian::{
    Contents, Line, Seen, Watch, charter, order,
    scan::{For, MOST_HITS, Scanner},
    sentinels::Thresholds,
};

/// A target and its name.
pub type Named = (&'static str, fn(&[u8]));

/// Every target by its name, which is that of its program and of the folder of what was kept.
pub const ALL: &[Named] = &[("scan", scan), ("signed", signed), ("watch", watch)];

static SCANNER: LazyLock<Scanner> = LazyLock::new(|| Scanner::new().expect("automata"));
const RUN: &str = "\"01890000-0000-7000-8000-000000000001\"";

/// Contents of any kind: hits lie in the content, in order, bounded, and cuts between pieces change none.
pub fn scan(bytes: &[u8]) {
    let Some((cut, content)) = bytes.split_first() else { return };
    for what in [For::Leaks, For::Orders] {
        let whole = SCANNER.whole(what, content);
        assert!(whole.len() <= MOST_HITS && whole.is_sorted());
        assert!(whole.iter().all(|hit| hit.at < content.len() as u64));
        let mut pieces = SCANNER.begin(what);
        for piece in content.chunks(usize::from(*cut).max(1)) {
            pieces.feed(piece);
        }
        assert_eq!(pieces.finish(), whole, "{what:?} in pieces of {cut}");
    }
}

/// Charters and orders as anybody may hand them in: what is no charter is none, and what two have signed joins the same from
/// either side.
pub fn signed(bytes: &[u8]) {
    drop(charter::open(bytes));
    drop(order::open(bytes));
    assert_eq!(order::missing(bytes).is_some(), order::unsigned(bytes).is_some());
    let half = bytes.len() / 2;
    let (one, other) = (&bytes[..half], &bytes[half..]);
    if let (Some(here), Some(there)) = (order::join(one, other), order::join(other, one)) {
        assert_eq!(order::missing(&here), order::missing(&there));
    }
}

/// Lines that a follower hears, and the facts in them behind any order of places: nothing ends the watch, and what it remembers is
/// bounded.
pub fn watch(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut watch = Watch::new(Thresholds::default()).expect("automata");
    let run: RunId = serde_json::from_str(RUN).expect("an id");
    let mut contents = Contents::default();
    for (number, line) in (1..).zip(text.lines()) {
        drop(watch.hear(line, number));
        // The same once more, past the links and digests that no mutation keeps.
        match serde_json::from_str(line) {
            Ok(Line::Content { digest, text: Some(text), .. }) => contents.add_part(digest, text.into_bytes()),
            Ok(Line::Fact { at_ms, body, .. }) => {
                if let Ok(fact) = serde_json::from_str::<Fact>(&body) {
                    watch.assess(Seen { run, seq: number, at: at_ms, fact: &fact, contents: &contents });
                }
                contents.clear();
            }
            Ok(_) | Err(_) => {}
        }
    }
    watch.silence(Millis(u64::MAX));
    assert!(watch.runs() <= 1 + text.lines().count());
}
