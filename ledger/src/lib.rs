//! A ledger for receipts: a transparency log with an index of nullifiers, witnesses, certified blocks, and faults on request.
//!
//! It is a real ledger of one operator, to develop and test against: what it acknowledges is on disk and in a log that
//! strangers can check. It is no network: its validators' keys all lie in one folder.
//!
//! **Invariant:** one task writes. Entries, nullifiers, counts and the signed head of a batch are one transaction and one
//! flush to disk, and nobody is told before it.
//! **Invariant:** a nullifier is credited once, whatever comes at the same time, again, or after a crash.

pub mod ask;
pub mod faults;
pub mod heads;
pub mod home;
pub mod http;
pub mod keys;
pub mod ledger;
pub mod memory;
pub mod publisher;
pub mod start;
pub mod store;
pub mod witness;
pub mod writer;
