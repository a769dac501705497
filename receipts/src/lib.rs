//! Canonical bytes, Merkle trees, signatures, receipts and their verification.
//!
//! **Invariant:** pure. No files, no network, no clock, no randomness: bytes and keys come in, bytes and findings go out,
//! so the crate also compiles to wasm32. It knows nothing of agents, models, terminals or async runtimes.

pub mod audit;
pub mod bitcoin;
pub mod bundle;
pub mod canonical;
pub mod checkpoint;
mod class;
pub mod commit;
pub mod corpus;
pub mod cosignature;
pub mod countersignature;
pub mod curation;
pub mod delegation;
mod digest;
pub mod dsse;
pub mod entry;
pub mod integer;
pub mod keys;
pub mod ledger;
pub mod merkle;
pub mod multiproof;
pub mod note;
pub mod nullifier;
mod presorted;
pub mod seal;
pub mod statement;
pub mod timestamp;
pub mod tlog_proof;
pub mod trace;
pub mod trust;
pub mod verdict;
pub mod verify;
pub mod witness;

pub use class::BenefitClass;
pub use digest::{Beacon, Digest, NotHex32, PublicKey};
