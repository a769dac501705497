//! RFC 8785's documents and DSSE's envelope by our own reader and writer, which refuse more than either standard.

mod vectors_folder;

use std::{collections::BTreeMap, fs, path::Path};

use receipts::{
    canonical::{NotCanonical, canonical, parse_canonical},
    dsse::{DsseError, Envelope, pae},
};
use serde_json::Value;
use vectors_folder::vectors;

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON")
}

#[test]
fn documents_of_rfc_8785_are_written_as_published_or_refused_for_their_numbers() {
    let Some(folder) = vectors("jcs", "RFC 8785 documents") else { return };
    let mut met = BTreeMap::new();
    for entry in fs::read_dir(folder.join("input")).expect("inputs") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().and_then(|name| name.to_str()).expect("a name").to_owned();
        let hex_dump = fs::read_to_string(folder.join(format!("outhex/{name}.txt"))).expect("a dump");
        let published = hex::decode(hex_dump.split_whitespace().collect::<String>()).expect("hex");
        let value = json(&path);
        let written = canonical(&value);
        assert_eq!(written, parse_canonical(&published).map(|_value| published.clone()), "{name}");
        let source = parse_canonical(&fs::read(&path).expect("an input")).expect_err("spaced out");
        match written {
            Ok(_bytes) => assert_eq!((parse_canonical(&published), source), (Ok(value), NotCanonical::Spelling)),
            Err(_number) => assert_eq!(source, NotCanonical::Number),
        }
        met.insert(name, canonical(&json(&path)).err());
    }
    let number = Some(NotCanonical::Number);
    let expected = [
        ("arrays", number.clone()),
        ("french", None),
        ("structures", number.clone()),
        ("unicode", None),
        ("values", number),
        ("weird", None),
    ];
    assert_eq!(met, expected.map(|(name, refused)| (name.to_owned(), refused)).into());
}

#[test]
fn the_envelope_of_the_dsse_document_is_read_up_to_its_missing_key_id() {
    let Some(folder) = vectors("dsse-intoto", "the envelope of the DSSE document") else { return };
    let vector = json(&folder.join("dsse_protocol_vector.json"));
    let bytes = canonical(&vector["envelope"]).expect("no numbers");
    let refused = Envelope::parse(&bytes).expect_err("ours name their keys");
    assert!(matches!(&refused, DsseError::Shape { reason } if reason.contains("keyid")), "{refused}");
    let mut named = vector["envelope"].clone();
    named["signatures"][0]["keyid"] = Value::String("0".repeat(64));
    let envelope = Envelope::parse(&canonical(&named).expect("no numbers")).expect("an envelope");
    let signed = pae(&envelope.payload_type, &envelope.payload);
    assert_eq!(signed, vector["pae_utf8"].as_str().expect("text").as_bytes());
}
