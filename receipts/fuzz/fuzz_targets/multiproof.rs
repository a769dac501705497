//! Several entries under one proof: a file has one spelling, and nothing made by chance leads to a root that is known.
#![no_main]

use libfuzzer_sys::fuzz_target;
use receipts::{Digest, multiproof::Multiproof};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(proof) = Multiproof::parse(bytes) {
        assert_eq!(proof.to_bytes().as_deref(), Ok(bytes));
        assert!(proof.hashes.len() <= 64 * proof.entries.len());
        assert!(proof.leads_to().is_ok_and(|root| root != Digest::of(b"root")));
    }
});
