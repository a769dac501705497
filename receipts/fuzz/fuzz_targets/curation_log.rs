//! The log of an ingest: a header and its lines. What is read is one spelling, and nothing made by chance is ever a whole log.
#![no_main]

#[path = "../targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::curation_log(bytes));
