//! Envelopes, delegations and trust files: an envelope has one spelling.
#![no_main]

use libfuzzer_sys::fuzz_target;
use receipts::{delegation::Delegation, dsse::Envelope, trust::Trust};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(envelope) = Envelope::parse(bytes) {
        assert_eq!(envelope.to_bytes().expect("canonical"), bytes);
    }
    drop(Delegation::open(bytes));
    if let Ok(trust) = Trust::parse(bytes) {
        let again = Trust::parse(&trust.to_bytes().expect("canonical")).expect("reads");
        assert_eq!(again, trust);
    }
});
