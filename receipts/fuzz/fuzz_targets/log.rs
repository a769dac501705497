//! Paths of tiles, bundles of entries, entries: each has one spelling.
#![no_main]

use libfuzzer_sys::fuzz_target;
use receipts::ledger::{
    entry::LogEntry,
    tile::{Tile, bundle, unbundle},
};

fuzz_target!(|bytes: &[u8]| {
    if let Some(entry) = LogEntry::parse(bytes) {
        assert_eq!(entry.to_bytes(), bytes);
    }
    if let Some(entries) = unbundle(bytes) {
        assert_eq!(bundle(entries).expect("short"), bytes);
    }
    if let Some(tile) = std::str::from_utf8(bytes).ok().and_then(Tile::parse) {
        assert_eq!(tile.path().as_bytes(), bytes);
    }
});
