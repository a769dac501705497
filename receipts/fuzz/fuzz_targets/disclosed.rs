//! What goes with a proof of inclusion: a record and what is opened of it, in one spelling.
#![no_main]

#[path = "../targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::disclosed(bytes));
