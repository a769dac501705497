//! Charters and orders as anybody may hand them in: what is no charter is none, and what two have signed joins the same from
//! either side.
#![no_main]

#[path = "../targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::signed(bytes));
