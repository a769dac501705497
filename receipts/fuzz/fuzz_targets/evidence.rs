//! Files of evidence and counter-signatures: one spelling each, and nothing made by chance proves or counts.
#![no_main]

#[path = "../targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::evidence(bytes));
