//! Paths of tiles, bundles of entries, entries: each has one spelling.
#![no_main]

#[path = "../targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::log(bytes));
