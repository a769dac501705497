//! What a witness is asked: a request has one spelling, and an unknown log is never cosigned.
#![no_main]

#[path = "../targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::witness(bytes));
