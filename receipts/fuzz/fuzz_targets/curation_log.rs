//! The log of an ingest: a header and its lines. What is read is one spelling, and nothing made by chance is ever a whole log.
#![no_main]

use libfuzzer_sys::fuzz_target;
use receipts::{
    PublicKey,
    curation::{Header, LogReader},
};

fuzz_target!(|bytes: &[u8]| {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let Ok(header) = Header::parse(lines.next().unwrap_or_default()) else { return };
    let associate = PublicKey([5; 32]);
    let Ok(mut reader) = LogReader::new(header, &associate) else { return };
    for line in lines {
        if let Ok(read) = reader.line(line) {
            assert!(read.record.fields.contains_key("source"));
        }
    }
    drop(reader.finish());
});
