//! Lines that a follower hears, and the facts in them behind any order of places: nothing ends the watch, and what it remembers is
//! bounded.
#![no_main]

#[path = "../targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::watch(bytes));
