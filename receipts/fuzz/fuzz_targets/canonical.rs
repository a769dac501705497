//! Canonical JSON: what parses as it is written as it was.
#![no_main]

#[path = "../targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::canonical(bytes));
