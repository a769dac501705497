//! JSON Lines: each line a document of its own.
//!
//! **Invariant:** a line that is no record, or is too long, is named with its place and costs no other line.

use std::io::BufRead;

use receipts::Digest;
use serde_json::{Map, Value};

use super::{
    Found, Reading, Record, Sink, Stop, paragraphs,
    pieces::{Piece, Pieces},
};
use crate::{
    metadata::{Fields, Metadata, line},
    scan::SkipReason,
};

/// Longer names are numbers of lines.
const LONGEST_ID: usize = 300;

/// Reads records.
pub(super) fn read(stream: &mut dyn BufRead, reading: &Reading, sink: &mut Sink<'_>) -> Result<(), Stop> {
    let mut lines = Pieces::new(stream, b"\n", reading.record_bytes);
    let mut number: u64 = 0;
    while let Some(piece) = lines.next()? {
        number += 1;
        let found = match piece {
            Piece::TooLong { at, bytes } => {
                Found::Skipped(SkipReason::RecordTooLarge { at, bytes, limit: reading.record_bytes })
            }
            Piece::Whole { at, bytes } => {
                let bytes = if at == 0 { bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes) } else { bytes };
                let bytes = bytes.trim_ascii();
                if bytes.is_empty() {
                    continue;
                }
                let bad = |cause: String| Found::Skipped(SkipReason::BadRecord { at, cause });
                match serde_json::from_slice::<Map<String, Value>>(bytes) {
                    Err(error) => bad(error.to_string()),
                    Ok(members) => record(&members, &reading.fields, bytes, number)
                        .map_or_else(|| bad("it has no text".to_owned()), |record| Found::Record(Box::new(record))),
                }
            }
        };
        sink(found)?;
    }
    Ok(())
}

/// A record of its members; none when it has no text. `number` names it where its members do not.
pub(super) fn record(members: &Map<String, Value>, fields: &Fields, bytes: &[u8], number: u64) -> Option<Record> {
    let body = fields.text.iter().find_map(|name| text(member(members, name)?))?;
    let word =
        |names: &[String]| names.iter().find_map(|name| words(member(members, name)?)).and_then(|word| line(&word));
    let mut metadata = Metadata {
        source: word(&fields.source),
        licence: word(&fields.licence),
        revision: word(&fields.revision),
        language: None,
        date: word(&fields.date),
    };
    if let Some(tag) = word(&fields.language) {
        metadata.take("language", &tag);
    }
    let id = word(&fields.id).filter(|id| id.len() <= LONGEST_ID).unwrap_or_else(|| number.to_string());
    Some(Record {
        id: Some(id),
        digest: Digest::of(bytes),
        bytes: bytes.len() as u64,
        title: word(&fields.title),
        metadata,
        body,
        encoding: encoding_rs::UTF_8,
        draw: paragraphs,
    })
}

fn member<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    members.get(name).or_else(|| {
        let (first, rest) = name.split_once('.')?;
        member(members.get(first)?.as_object()?, rest)
    })
}

fn words(value: &Value) -> Option<String> {
    match value {
        Value::String(words) => Some(words.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A text, or a list of texts as paragraphs.
fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n\n"),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return None,
    };
    (!text.trim().is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use receipts::Digest;

    use super::read;
    use crate::{
        formats::{Found, Reading},
        metadata::Fields,
        scan::SkipReason,
    };

    #[test]
    fn each_line_is_a_document_with_what_is_said_of_it() {
        let first = r#"{"_id": "a/1", "title": "One", "text": "Words.", "url": "https://x.example/1", "license": "MIT", "lang": "DE-at"}"#;
        let lines = [
            &format!("\u{feff}{first}"),
            "",
            "{\"text\": 5}",
            "not json",
            r#"{"id": 7, "meta": {"body": ["one", "two"]}, "date": "2024"}"#,
            &format!("{{\"text\": \"{}\"}}", "x".repeat(2_000)),
            "{\"contents\": \"last\"}",
        ];
        let mut fields = Fields::default();
        assert!(fields.set("text", "meta.body") && !fields.set("colour", "x"));
        let reading = Reading { file_bytes: 0, record_bytes: 1_000, fields };
        let (mut records, mut skipped) = (Vec::new(), Vec::new());
        let end = read(&mut Cursor::new(lines.join("\n")), &reading, &mut |found| {
            match found {
                Found::Record(record) => records.push(record),
                Found::Skipped(reason) => skipped.push(reason),
            }
            Ok(())
        });
        assert!(end.is_ok());
        let told: Vec<(&str, &str)> =
            records.iter().map(|one| (one.id.as_deref().unwrap_or_default(), one.body.as_str())).collect();
        assert_eq!(told, [("a/1", "Words."), ("7", "one\n\ntwo"), ("7", "last")]);
        assert_eq!((records[0].digest, records[0].bytes), (Digest::of(first.as_bytes()), first.len() as u64));
        let about = &records[0].metadata;
        assert_eq!(about.language.as_deref(), Some("de"));
        assert_eq!((about.source.as_deref(), about.licence.as_deref()), (Some("https://x.example/1"), Some("MIT")));
        assert_eq!((records[0].title.as_deref(), records[1].metadata.date.as_deref()), (Some("One"), Some("2024")));
        let at = first.len() as u64 + 5;
        assert_eq!(skipped[0], SkipReason::BadRecord { at, cause: "it has no text".to_owned() });
        assert!(matches!(&skipped[1], SkipReason::BadRecord { at: bad, .. } if *bad == at + 12), "{skipped:?}");
        assert!(matches!(&skipped[2], SkipReason::RecordTooLarge { bytes: 2_013, limit: 1_000, .. }), "{skipped:?}");
        assert_eq!(skipped.len(), 3);
    }
}
