//! Typed values whose fields are declared in canonical order: written in one pass, read by writing them again.
//!
//! Not a second form: the bytes are those of [`crate::canonical`], at a seventh of its cost. Never for a type with
//! numbers, or with names that are not ASCII.
//!
//! **Invariant:** bytes that [`read`] accepts are the bytes that [`append`] writes for what it returns.

use serde::{Serialize, de::DeserializeOwned};

use crate::canonical::{NotCanonical, parse_canonical};

fn not_json(error: &serde_json::Error) -> NotCanonical {
    NotCanonical::NotJson { reason: error.to_string() }
}

/// Writes the value after what `bytes` holds.
///
/// # Errors
/// None in practice; our types hold only text.
pub(crate) fn append<T: Serialize>(bytes: &mut Vec<u8>, value: &T) -> Result<(), NotCanonical> {
    serde_json::to_writer(bytes, value).map_err(|error| not_json(&error))
}

/// Reads a value in its one spelling; also what is canonical JSON but spells a typed value otherwise is refused, as an
/// upper-case UUID.
///
/// # Errors
/// [`NotCanonical`]; a missing, unknown or wrong field is [`NotCanonical::NotJson`] with its name.
pub(crate) fn read<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<T, NotCanonical> {
    let refused = match serde_json::from_slice::<T>(bytes) {
        Ok(value) => {
            let mut written = Vec::with_capacity(bytes.len());
            append(&mut written, &value)?;
            if written == bytes {
                return Ok(value);
            }
            NotCanonical::Spelling
        }
        Err(error) => not_json(&error),
    };
    // The slow reader tells a cause that lies in the bytes from one that lies in the type.
    Err(parse_canonical(bytes).err().unwrap_or(refused))
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};
    use uuid::Uuid;

    use super::{append, read};
    use crate::canonical::{NotCanonical, canonical};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Pair {
        id: Uuid,
        text: String,
    }

    #[test]
    fn every_character_is_written_as_the_canonical_form_has_it() {
        let text: String = (0..0x300).chain([0x2028, 0x2029, 0xfffd, 0x1_f600]).filter_map(char::from_u32).collect();
        let pair = Pair { id: Uuid::from_u128(1), text };
        let mut bytes = Vec::new();
        append(&mut bytes, &pair).expect("writes");
        assert_eq!(Ok(&bytes), canonical(&pair).as_ref());
        assert_eq!(read(&bytes), Ok(pair));
    }

    #[test]
    fn every_other_spelling_is_refused_with_its_cause() {
        let id = "0000000a-0000-0000-0000-000000000001";
        let good = format!(r#"{{"id":"{id}","text":"a"}}"#);
        assert!(read::<Pair>(good.as_bytes()).is_ok());
        let cases = [
            (good.replace(id, &id.to_uppercase()), NotCanonical::Spelling),
            (good.replace(id, &id.replace('-', "")), NotCanonical::Spelling),
            (good.replace(id, &format!("{{{id}}}")), NotCanonical::Spelling),
            (good.replace(id, &format!("urn:uuid:{id}")), NotCanonical::Spelling),
            (format!(r#"{{"text":"a","id":"{id}"}}"#), NotCanonical::Spelling),
            (format!("{good}\n"), NotCanonical::Spelling),
            (good.replace("\"a\"", r#""\u0061""#), NotCanonical::Spelling),
            (good.replace("\"a\"", "1"), NotCanonical::Number),
            (good.replace("\"a\"", r#""a","text":"b""#), NotCanonical::DuplicateName { name: "text".to_owned() }),
        ];
        for (text, cause) in cases {
            assert_eq!(read::<Pair>(text.as_bytes()), Err(cause), "{text}");
        }
        for text in [good.replace("\"a\"", r#""a","u":"b""#), good.replace(",\"text\":\"a\"", "")] {
            assert!(matches!(read::<Pair>(text.as_bytes()), Err(NotCanonical::NotJson { .. })), "{text}");
        }
    }
}
