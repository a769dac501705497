//! Lines that a follower hears, and the facts in them behind any order of places: nothing ends the watch, and what it remembers is
//! bounded.
#![no_main]

use std::str;

use common_ground::{Fact, Millis, RunId};
use guardian::{Contents, Line, Seen, Watch, sentinels::Thresholds};
use libfuzzer_sys::fuzz_target;

const RUN: &str = "\"01890000-0000-7000-8000-000000000001\"";

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = str::from_utf8(bytes) else { return };
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
});
