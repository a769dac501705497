//! What stands inside envelopes, and blocks: a statement has one spelling, and no block is certified by nobody.
#![no_main]

#[path = "../targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::parts(bytes));
