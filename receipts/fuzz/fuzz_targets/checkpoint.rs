//! Heads of trees: a body has one spelling.
#![no_main]

use libfuzzer_sys::fuzz_target;
use receipts::checkpoint::Checkpoint;

fuzz_target!(|text: &str| {
    if let Some(head) = Checkpoint::parse(text) {
        assert_eq!(head.body(), text);
    }
});
