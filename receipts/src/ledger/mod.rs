//! What a ledger for receipts and its clients share: entries of its log, tiles, blocks, submissions and the words of its
//! remote procedures.
//!
//! **Invariant:** pure like the rest of this crate: it says what is to be checked and in which words, and sends nothing.

pub mod block;
pub mod entry;
pub mod evidence;
pub mod outbox;
pub mod rpc;
pub mod submission;
pub mod tile;
pub mod trusted;
