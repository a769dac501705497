//! Receipts in a chain of Bitcoin's family: transactions that carry the root of a batch, blocks that carry transactions, and
//! what to do next. The bytes are those of Bitcoin Core; every number that a node says is checked where it can be.
//!
//! Never asks a node, signs nothing and knows no private key: what is asked and answered goes through the publisher.
//!
//! **Invariant:** whatever is read here may come from an enemy: sizes are bounded before anything is kept.
//! **Invariant:** that a transaction lies in a block is believed by its hashes alone, never by a node's word.

pub mod anchor;
pub mod branch;
pub mod fee;
pub mod hash;
pub mod header;
pub mod record;
pub mod rpc;
pub mod transaction;
mod wire;
