//! What a witness is asked: a request has one spelling, and an unknown log is never cosigned.
#![no_main]

use libfuzzer_sys::fuzz_target;
use receipts::witness::AddCheckpoint;

fuzz_target!(|text: &str| {
    if let Some(request) = AddCheckpoint::parse(text) {
        assert_eq!(request.to_text(), text);
        assert!(request.judge(None, None).is_err());
    }
});
