//! One receipt of fixed keys, ids and times, frozen: whoever changes a byte of the format changes this file, knowingly.

mod common;

use common::{bundle, keys, sealed};
use receipts::Digest;

#[test]
fn the_bytes_of_a_receipt_are_frozen() {
    let keys = keys();
    let files = bundle(&keys);
    let found: Vec<String> =
        files.0.iter().map(|(name, bytes)| format!("{name} {} {}", bytes.len(), Digest::of(bytes))).collect();
    let frozen: Vec<&str> = include_str!("golden.txt").lines().collect();
    assert_eq!(found, frozen);
}

#[test]
fn sealing_twice_gives_the_same_bytes() {
    let keys = keys();
    assert_eq!(sealed(&keys, 20), sealed(&keys, 20));
    assert_ne!(sealed(&keys, 20).receipt_id, sealed(&keys, 21).receipt_id);
}
