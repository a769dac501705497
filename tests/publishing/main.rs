//! Receipts on their way to a ledger: the publisher and the commands against the real `ii-ledger`, which fails in every way
//! it can.

mod bitcoin_core;
mod chain;
mod chain_commands;
mod commands;
#[path = "../common/mod.rs"]
mod common;
mod contradictions;
mod faults;
mod node;
mod world;

#[path = "../../receipts/tests/common/mod.rs"]
mod sealing;

#[test]
fn child() {
    common::child();
}
