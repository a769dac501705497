//! Proofs of inclusion: a text has one spelling.
#![no_main]

#[path = "../targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::tlog_proof(bytes));
