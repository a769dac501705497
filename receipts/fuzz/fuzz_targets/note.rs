//! Signed notes and their signature lines: nothing that is not signed by the key opens.
#![no_main]

use libfuzzer_sys::fuzz_target;
use receipts::{
    PublicKey,
    cosignature::{Cosigner, open_cosigned},
    note,
};

fuzz_target!(|text: &str| {
    // A key that nobody has.
    let key = PublicKey([7; 32]);
    assert!(note::open(text, &key).is_err());
    assert!(open_cosigned(text, "ii-0000000000000000", &key).is_err());
    assert!(Cosigner { name: "w".to_owned(), key }.signed(text).is_none());
    if let Some((name, key)) = note::parse_vkey(text) {
        assert!(!name.is_empty() && !name.contains(['+', ' ', '\n']));
        assert!(note::open(text, &key).is_err());
    }
    if let Some(cosigner) = Cosigner::parse(text) {
        assert_eq!(cosigner.vkey(), text);
    }
});
