//! One receipt of fixed keys, ids and times, frozen in `golden/`: whoever changes a byte of the format changes these
//! files, knowingly, and what was sealed before must go on verifying.

mod common;

use std::{collections::BTreeMap, fs, path::PathBuf};

use common::{bundle, keys, sealed, trust};
use receipts::{
    bundle::Bundle,
    trust::Trust,
    verify::{Outcome, TrustOrigin, verify},
};

const TRUST: &str = "trust.json";

/// The frozen files, and the trust file beside them.
fn frozen() -> (Bundle, Vec<u8>) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_str().expect("text").to_owned();
        files.insert(name, fs::read(path).expect("bytes"));
    }
    let trust = files.remove(TRUST).expect("the trust file");
    (Bundle(files), trust)
}

#[test]
fn the_bytes_of_a_receipt_are_frozen() {
    let (frozen, trusted) = frozen();
    let keys = keys();
    let made = bundle(&keys);
    assert_eq!(made.0.keys().collect::<Vec<_>>(), frozen.0.keys().collect::<Vec<_>>());
    for (name, bytes) in &made.0 {
        assert_eq!(String::from_utf8_lossy(bytes), String::from_utf8_lossy(&frozen.0[name]), "{name}");
    }
    assert_eq!(trust(&keys).to_bytes().expect("bytes"), trusted);
}

#[test]
fn a_frozen_receipt_still_verifies() {
    let (frozen, trusted) = frozen();
    let trust = Trust::parse(&trusted).expect("a trust file");
    let found = verify(&frozen, &trust, TrustOrigin::Pinned, &|_| true);
    assert_eq!(found.outcome, Outcome::Unanchored);
    assert_eq!(
        found.receipt.map(|id| id.to_string()).as_deref(),
        Some("eea79f8e3d01d002c42c378949c751195df2c6b2c023a1759aa0a44d4e9b4e66")
    );
}

#[test]
fn sealing_twice_gives_the_same_bytes() {
    let keys = keys();
    assert_eq!(sealed(&keys, 20), sealed(&keys, 20));
    assert_ne!(sealed(&keys, 20).receipt_id, sealed(&keys, 21).receipt_id);
}
