//! A JSON file: a list of records, one record, or data that is read as it stands.
//!
//! **Invariant:** read whole, within the limit of files: a list of records that is larger belongs into lines.

use std::io::{BufRead, Read};

use receipts::Digest;
use serde_json::{Deserializer, Map, Value};

use super::{Drawn, Found, Reading, Record, Sink, Stop, encoding, jsonl, source};
use crate::{metadata::Metadata, scan::SkipReason};

/// Reads a file.
pub(super) fn read(stream: &mut dyn BufRead, reading: &Reading, sink: &mut Sink<'_>) -> Result<(), Stop> {
    let limit = reading.file_bytes;
    let mut bytes = Vec::new();
    stream.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(Stop::Reason(SkipReason::TooLarge { bytes: bytes.len() as u64, limit }));
    }
    let plain = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    if list(plain, reading, sink)? {
        return Ok(());
    }
    let (digest, length) = (Digest::of(&bytes), bytes.len() as u64);
    let found = serde_json::from_slice::<Map<String, Value>>(plain).ok();
    let record = found.and_then(|members| jsonl::record(&members, &reading.fields, &bytes, 1));
    let record = match record {
        Some(record) => Record { id: None, ..record },
        None => {
            let (body, encoding) = encoding::decoded(bytes, encoding::undeclared).map_err(Stop::Reason)?;
            let metadata = Metadata::default();
            Record { id: None, digest, bytes: length, title: None, metadata, body, encoding, draw: data }
        }
    };
    sink(Found::Record(Box::new(record)))
}

fn data(text: String) -> Drawn {
    let blocks = source::blocks(&text);
    Drawn { title: None, text, blocks, metadata: Metadata::default() }
}

/// Reads a list of records; false when it is none, which its first member tells.
fn list(bytes: &[u8], reading: &Reading, sink: &mut Sink<'_>) -> Result<bool, Stop> {
    let blank = |rest: &[u8]| rest.len() - rest.trim_ascii_start().len();
    let mut at = blank(bytes);
    if bytes.get(at) != Some(&b'[') {
        return Ok(false);
    }
    at += 1;
    let mut number = 0;
    loop {
        at += blank(&bytes[at..]);
        let mut members = Deserializer::from_slice(&bytes[at..]).into_iter::<Value>();
        let next = members.next();
        let end = at + members.byte_offset();
        number += 1;
        let Some(Ok(value)) = next else {
            if number == 1 {
                return Ok(false);
            }
            // What came before it counts; what comes after has no beginning that could be found.
            let cause =
                next.and_then(Result::err).map_or("the list is cut short".to_owned(), |error| error.to_string());
            sink(Found::Skipped(SkipReason::BadRecord { at: at as u64, cause }))?;
            return Ok(true);
        };
        let record =
            value.as_object().and_then(|members| jsonl::record(members, &reading.fields, &bytes[at..end], number));
        match record {
            Some(record) => sink(Found::Record(Box::new(record)))?,
            None if number == 1 => return Ok(false),
            None => {
                let cause = "it has no text".to_owned();
                sink(Found::Skipped(SkipReason::BadRecord { at: at as u64, cause }))?;
            }
        }
        at = end + blank(&bytes[end..]);
        match bytes.get(at) {
            Some(b',') => at += 1,
            Some(_) | None => return Ok(true),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use receipts::Digest;

    use super::read;
    use crate::{
        formats::{Found, Reading, Record, Stop},
        metadata::Fields,
        scan::SkipReason,
    };

    fn records(text: &str) -> (Vec<Record>, Vec<SkipReason>) {
        let reading = Reading { file_bytes: 10_000, record_bytes: 100, fields: Fields::default() };
        let (mut records, mut skipped) = (Vec::new(), Vec::new());
        let end = read(&mut Cursor::new(text.to_owned()), &reading, &mut |found| {
            match found {
                Found::Record(record) => records.push(*record),
                Found::Skipped(reason) => skipped.push(reason),
            }
            Ok(())
        });
        if let Err(Stop::Reason(reason)) = end {
            skipped.push(reason);
        }
        (records, skipped)
    }

    #[test]
    fn a_list_is_its_records_and_anything_else_one_document() {
        let (found, skipped) =
            records("\n[ {\"id\": 1, \"text\": \"one\"} ,{\"text\": \"two\"},3, {\"id\": \"x\", \"text\": \"four\"}]");
        let told: Vec<(Option<&str>, &str)> = found.iter().map(|one| (one.id.as_deref(), one.body.as_str())).collect();
        assert_eq!(told, [(Some("1"), "one"), (Some("2"), "two"), (Some("x"), "four")]);
        assert_eq!(found[0].digest, Digest::of(b"{\"id\": 1, \"text\": \"one\"}"));
        assert_eq!(skipped.len(), 1);

        let (one, _) = records("{\"title\": \"T\", \"text\": \"one\"}");
        assert_eq!((one[0].id.as_deref(), one[0].title.as_deref(), one[0].body.as_str()), (None, Some("T"), "one"));
        for data in ["{\"a\": {\"b\": [1, 2]}}", "[1, 2, 3]", "[{\"a\": 1}]", "[]", "[{\"text\"", "words"] {
            let (found, skipped) = records(data);
            assert_eq!((found.len(), found[0].body.as_str(), skipped.len()), (1, data, 0), "{data}");
        }
        let (found, skipped) = records("[{\"text\": \"one\"}, {\"text\"");
        assert_eq!((found.len(), skipped.len()), (1, 1));
        assert!(matches!(records(&" ".repeat(20_000)).1[..], [SkipReason::TooLarge { .. }]));
    }
}
