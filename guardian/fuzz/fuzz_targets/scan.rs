//! Contents of any kind: hits lie in the content, in order, bounded, and cuts between pieces change none.
#![no_main]

#[path = "../targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::scan(bytes));
