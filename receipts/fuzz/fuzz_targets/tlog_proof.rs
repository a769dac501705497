//! Proofs of inclusion: a text has one spelling.
#![no_main]

use libfuzzer_sys::fuzz_target;
use receipts::tlog_proof::TlogProof;

fuzz_target!(|text: &str| {
    if let Ok(proof) = TlogProof::parse(text) {
        assert_eq!(proof.to_text(), text);
    }
});
