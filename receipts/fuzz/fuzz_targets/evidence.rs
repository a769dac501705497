//! Files of evidence and counter-signatures: one spelling each, and nothing made by chance proves or counts.
#![no_main]

use libfuzzer_sys::fuzz_target;
use receipts::{countersignature::Countersignature, ledger::evidence::Evidence};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(evidence) = Evidence::parse(bytes) {
        assert_eq!(evidence.to_bytes().as_deref(), Ok(bytes));
        assert!(evidence.check(None).is_err());
    }
    assert!(Countersignature::open(bytes).is_err());
});
