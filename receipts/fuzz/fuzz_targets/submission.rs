//! What is submitted to a ledger that takes anybody's: nothing made by chance is admitted.
#![no_main]

#[path = "../targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::submission(bytes));
