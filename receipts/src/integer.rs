//! Integers as decimal text, since no JSON number may stand in anything signed.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A `u64` spelled `0` or without leading zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Decimal(pub u64);

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text).map(Self).ok_or_else(|| de::Error::custom(format!("`{text}` is not a decimal integer")))
    }
}

/// The number that `text` spells in the one allowed way.
pub fn parse(text: &str) -> Option<u64> {
    text.parse::<u64>().ok().filter(|number| number.to_string() == text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Decimal, parse};

    #[test]
    fn one_spelling_a_number() {
        assert_eq!(parse("0"), Some(0));
        assert_eq!(parse("18446744073709551615"), Some(u64::MAX));
        for text in
            ["", "00", "01", "+1", "-0", "1.0", " 1", "1 ", "1e3", "0x1", "1_0", "\u{0661}", "18446744073709551616"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn json_has_it_as_text_only() {
        assert_eq!(serde_json::to_string(&Decimal(u64::MAX)).expect("JSON"), r#""18446744073709551615""#);
        assert_eq!(serde_json::from_str::<Decimal>(r#""7""#).expect("a number"), Decimal(7));
        for text in ["7", r#""07""#, r#""-7""#, "null", r#"["7"]"#] {
            assert!(serde_json::from_str::<Decimal>(text).is_err(), "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_parses_is_spelled_as_it_was(number in any::<u64>(), text in "[0-9+ -]{0,21}") {
            prop_assert_eq!(parse(&number.to_string()), Some(number));
            if let Some(number) = parse(&text) {
                prop_assert_eq!(number.to_string(), text);
            }
        }
    }
}
