//! RFC 8785 JSON without numbers: one value, one spelling.
//!
//! JSON numbers are refused everywhere, since canonicalizers fold integers above 2^53 together and two documents would
//! share one signature; integers travel as decimal text ([`crate::integer`]).
//!
//! **Invariant:** bytes that [`parse_canonical`] accepts are exactly the bytes [`canonical`] writes for what it returns.

use std::fmt;

use serde::{
    Serialize,
    de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

/// Why bytes or a value are not canonical.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotCanonical {
    /// The bytes are not UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
    /// The bytes are not JSON, or more follows after the value.
    #[error("not JSON: {reason}")]
    NotJson {
        /// What the parser said.
        reason: String,
    },
    /// An object has a name twice.
    #[error("the name `{name}` stands twice in one object")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// A number stands somewhere.
    #[error("a JSON number stands where decimal text belongs")]
    Number,
    /// The value is spelled in another way than RFC 8785 has it.
    #[error("not in RFC 8785 form")]
    Spelling,
}

/// The canonical bytes of a value.
///
/// A float that is infinite or no number is beyond this check: serde_json makes it `null` before we see it. No type of
/// ours holds floats.
///
/// # Errors
/// [`NotCanonical::Number`] for a value with a number in it; [`NotCanonical::NotJson`] for one that is no JSON.
pub fn canonical<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, NotCanonical> {
    let value = serde_json::to_value(value).map_err(|error| NotCanonical::NotJson { reason: error.to_string() })?;
    canonical_value(&value)
}

fn canonical_value(value: &Value) -> Result<Vec<u8>, NotCanonical> {
    if has_number(value) {
        return Err(NotCanonical::Number);
    }
    // serde_json escapes as RFC 8785 does and writes names in the order in which it holds them. That is the order of
    // their bytes unless some dependency turns its `preserve_order` on, and RFC 8785's own unless a name has characters
    // beyond the basic plane. The canonicalizer takes three times as long.
    let written =
        if names_are_plain(value) { serde_json::to_vec(value) } else { serde_json_canonicalizer::to_vec(value) };
    written.map_err(|error| NotCanonical::NotJson { reason: error.to_string() })
}

/// Whether all names are ASCII, and held in order.
fn names_are_plain(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().all(names_are_plain),
        Value::Object(fields) => {
            fields.keys().is_sorted() && fields.iter().all(|(name, value)| name.is_ascii() && names_are_plain(value))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

fn has_number(value: &Value) -> bool {
    match value {
        Value::Number(_) => true,
        Value::Array(items) => items.iter().any(has_number),
        Value::Object(fields) => fields.values().any(has_number),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

/// The value that canonical bytes spell.
///
/// # Errors
/// The first way in which the bytes are not canonical.
pub fn parse_canonical(bytes: &[u8]) -> Result<Value, NotCanonical> {
    let text = std::str::from_utf8(bytes).map_err(|_error| NotCanonical::NotUtf8)?;
    let mut duplicate = None;
    let mut parser = serde_json::Deserializer::from_str(text);
    let parsed = Strict { duplicate: &mut duplicate }.deserialize(&mut parser).and_then(|value| {
        parser.end()?;
        Ok(value)
    });
    if let Some(name) = duplicate {
        return Err(NotCanonical::DuplicateName { name });
    }
    let value = parsed.map_err(|error| NotCanonical::NotJson { reason: error.to_string() })?;
    if canonical_value(&value)? == bytes { Ok(value) } else { Err(NotCanonical::Spelling) }
}

/// Reads a value and refuses a name that comes twice, which serde_json would silently overwrite.
struct Strict<'a> {
    duplicate: &'a mut Option<String>,
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(Strict { duplicate: &mut *self.duplicate })? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            let value = access.next_value_seed(Strict { duplicate: &mut *self.duplicate })?;
            if fields.contains_key(&name) {
                *self.duplicate = Some(name);
                return Err(A::Error::custom("a name stands twice"));
            }
            fields.insert(name, value);
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::{NotCanonical, canonical, parse_canonical};

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<String>().prop_map(Value::String)
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
                proptest::collection::btree_map(any::<String>(), inner.clone(), 0..6)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
                proptest::collection::btree_map("[ -~\u{0}-\u{1f}\u{7f}]{0,6}", inner, 0..6)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_short_way_writes_what_the_canonicalizer_writes(value in values()) {
            let written = canonical(&value).expect("no numbers");
            prop_assert_eq!(&written, &serde_json_canonicalizer::to_vec(&value).expect("canonical"));
            prop_assert_eq!(parse_canonical(&written), Ok(value));
        }

        #[test]
        fn a_changed_byte_is_refused_or_is_another_value(
            value in values(),
            at in any::<proptest::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let mut bytes = canonical(&value).expect("no numbers");
            let at = at.index(bytes.len());
            prop_assume!(bytes[at] != byte);
            bytes[at] = byte;
            if let Ok(other) = parse_canonical(&bytes) {
                prop_assert_ne!(&other, &value);
                prop_assert_eq!(canonical(&other), Ok(bytes));
            }
        }

        #[test]
        fn a_number_is_refused_wherever_it_stands(value in values(), number in any::<i64>()) {
            for holder in [serde_json::json!([value, number]), serde_json::json!({"a": {"b": [value, {"c": number}]}})] {
                prop_assert_eq!(canonical(&holder), Err(NotCanonical::Number));
                let written = serde_json_canonicalizer::to_vec(&holder).expect("JSON");
                prop_assert_eq!(parse_canonical(&written), Err(NotCanonical::Number));
            }
        }
    }

    #[test]
    fn what_parses_is_what_is_written() {
        let bytes = br#"{"a":["x",null,true],"b":{"c":"\u0001"}}"#;
        let value = parse_canonical(bytes).expect("canonical");
        assert_eq!(canonical(&value).expect("writes"), bytes);
    }

    /// A canonicalizer of doubles would read both as 9007199254740992, and one signature would stand for two documents.
    #[test]
    fn integers_past_2_to_the_53_are_text_or_nothing() {
        for text in ["9007199254740992", "9007199254740993"] {
            assert_eq!(parse_canonical(text.as_bytes()), Err(NotCanonical::Number));
            let quoted = format!("\"{text}\"");
            assert_eq!(parse_canonical(quoted.as_bytes()), Ok(Value::String(text.to_owned())));
        }
    }

    #[test]
    fn names_sort_by_their_utf_16_form() {
        let value = serde_json::json!({"\u{1f602}": "d83d", "\u{fb33}": "fb33", "\u{20ac}": "20ac", "a": "61"});
        let written = "{\"a\":\"61\",\"\u{20ac}\":\"20ac\",\"\u{1f602}\":\"d83d\",\"\u{fb33}\":\"fb33\"}";
        assert_eq!(canonical(&value).expect("canonical"), written.as_bytes());
        assert_eq!(parse_canonical(written.as_bytes()), Ok(value));
    }

    #[test]
    fn what_nests_too_deep_is_refused_and_overflows_no_stack() {
        let nested = |depth: usize| format!("{}\"\"{}", "[".repeat(depth), "]".repeat(depth)).into_bytes();
        assert!(parse_canonical(&nested(100)).is_ok());
        assert!(matches!(parse_canonical(&nested(1_000_000)), Err(NotCanonical::NotJson { .. })));
    }

    #[test]
    fn every_other_spelling_is_refused_with_its_cause() {
        type Expected = fn(&NotCanonical) -> bool;
        let cases: [(&[u8], Expected); 12] = [
            (b"{\"a\":\"\xff\"}", |e| *e == NotCanonical::NotUtf8),
            (br#"{"a":"1","a":"2"}"#, |e| matches!(e, NotCanonical::DuplicateName { name } if name == "a")),
            (br#"{"b":{"a":"1","\u0061":"2"}}"#, |e| matches!(e, NotCanonical::DuplicateName { .. })),
            (br#"{"a":9007199254740993}"#, |e| *e == NotCanonical::Number),
            (br#"{"a":[1.0]}"#, |e| *e == NotCanonical::Number),
            (br#"{"a":"\ud800"}"#, |e| matches!(e, NotCanonical::NotJson { .. })),
            (br#"{"a":"b"} "#, |e| *e == NotCanonical::Spelling),
            (br#"{"a":"b"}{}"#, |e| matches!(e, NotCanonical::NotJson { .. })),
            (br#"{"b":"1","a":"2"}"#, |e| *e == NotCanonical::Spelling),
            (br#"{"a":"\u0062"}"#, |e| *e == NotCanonical::Spelling),
            (br#"{ "a":"b"}"#, |e| *e == NotCanonical::Spelling),
            (b"", |e| matches!(e, NotCanonical::NotJson { .. })),
        ];
        for (bytes, expected) in cases {
            let error = parse_canonical(bytes).expect_err("refused");
            assert!(expected(&error), "{}: {error:?}", String::from_utf8_lossy(bytes));
        }
    }
}
