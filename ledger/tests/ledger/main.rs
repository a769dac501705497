//! The ledger and its witness as programs of their own, asked over HTTP, killed, and read by others' code.

mod crash;
mod faults;
mod limits;
mod readers;
mod submit;
mod witness;
mod world;

#[path = "../../../receipts/tests/common/mod.rs"]
mod sealing;
