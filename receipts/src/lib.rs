//! Canonical bytes, Merkle trees, signatures, receipts and their verification.
//!
//! **Invariant:** pure. No files, no network, no clock, no randomness: bytes and keys come in, bytes and findings go out,
//! so the crate also compiles to wasm32. It knows nothing of agents, models, terminals or async runtimes.

mod digest;

pub use digest::{Digest, NotHex32, PublicKey};
