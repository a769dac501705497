//! What a node of Bitcoin's family says, and anchors: whatever parses is spelled as it was, and no number asks for memory.
#![no_main]

#[path = "../targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::bitcoin(bytes));
