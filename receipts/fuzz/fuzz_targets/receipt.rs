//! A whole folder of a receipt: the input is cut into its files. Nothing made by chance is ever valid.
#![no_main]

#[path = "../targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::receipt(bytes));
