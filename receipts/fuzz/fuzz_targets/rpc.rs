//! Requests to a ledger and its answers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use receipts::ledger::rpc::{Heads, Info, Proof, Request, Status, Submitted, read_answer};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(value) = serde_json::from_slice(bytes) {
        drop(Request::read(value));
    }
    drop(read_answer::<Info>(bytes));
    drop(read_answer::<Heads>(bytes));
    drop(read_answer::<Proof>(bytes));
    drop(read_answer::<Status>(bytes));
    drop(read_answer::<Vec<Submitted>>(bytes));
});
