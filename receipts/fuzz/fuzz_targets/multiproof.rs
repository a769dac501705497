//! Several entries under one proof: a file has one spelling, and nothing made by chance leads to a root that is known.
#![no_main]

#[path = "../targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::multiproof(bytes));
