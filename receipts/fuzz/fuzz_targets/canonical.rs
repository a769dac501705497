//! Canonical JSON: what parses as it is written as it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use receipts::canonical::{canonical, parse_canonical};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(value) = parse_canonical(bytes) {
        assert_eq!(canonical(&value).expect("canonical"), bytes);
    }
});
