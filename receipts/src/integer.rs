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
    #[test]
    fn one_spelling_a_number() {
        assert_eq!(super::parse("0"), Some(0));
        assert_eq!(super::parse("18446744073709551615"), Some(u64::MAX));
        for text in ["", "00", "01", "+1", "-0", "1.0", " 1", "1e3", "18446744073709551616"] {
            assert_eq!(super::parse(text), None, "{text}");
        }
    }
}
