//! Block headers: how they hang together, and the work in them.
//!
//! **Invariant:** a header's work counts only up to the easiest target that somebody named; below that anybody makes headers.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::hash::BlockHash;
use crate::digest::{Digest, NotHex32};

/// A block's header: 80 bytes, in JSON as hex.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Header(pub [u8; 80]);

/// A number that a block's id must not pass: 32 bytes, the most significant first, as 64 hex characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Target(Digest);

impl Header {
    /// The block before.
    pub fn previous(&self) -> BlockHash {
        BlockHash(self.part(4))
    }

    /// The root over its transactions.
    pub fn merkle_root(&self) -> [u8; 32] {
        self.part(36)
    }

    /// The block's id.
    pub fn hash(&self) -> BlockHash {
        BlockHash::of(&self.0)
    }

    /// What its id must not pass by its own word; none for a word that is no number.
    pub fn target(&self) -> Option<Target> {
        Target::from_bits(u32::from_le_bytes(self.part(72)))
    }

    /// Whether the work that it claims is in it, and is no less than `easiest` asks.
    pub fn has_work(&self, easiest: &Target) -> bool {
        let mut id = self.hash().0;
        id.reverse();
        self.target().is_some_and(|target| target <= *easiest && id <= target.0.0)
    }

    /// Reads 160 hex characters.
    pub fn parse_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 80];
        let lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
        (lower && hex::decode_to_slice(text, &mut bytes).is_ok()).then_some(Self(bytes))
    }

    fn part<const N: usize>(&self, from: usize) -> [u8; N] {
        std::array::from_fn(|at| self.0[from + at])
    }
}

impl std::fmt::Debug for Header {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Header({})", self.hash())
    }
}

impl Serialize for Header {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(self.0))
    }
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse_hex(&text).ok_or_else(|| de::Error::custom("not 160 lower-case hex characters of a header"))
    }
}

impl Target {
    /// The number that a header's compact form stands for; none for a negative one, nothing, or more than 256 bits.
    pub fn from_bits(bits: u32) -> Option<Self> {
        let [exponent, mantissa @ ..] = bits.to_be_bytes();
        if mantissa[0] >= 0x80 {
            return None;
        }
        let mut number = [0; 32];
        for (byte, place) in mantissa.into_iter().zip(0_u8..) {
            // The first byte of the mantissa is the most significant of `exponent` bytes.
            match exponent.checked_sub(place + 1) {
                Some(weight @ 0..32) => number[31 - usize::from(weight)] = byte,
                Some(_beyond) if byte > 0 => return None,
                Some(_) | None => {}
            }
        }
        (number != [0; 32]).then_some(Self(Digest(number)))
    }

    /// Four times as easy: as much as the difficulty of Bitcoin changes at once.
    #[must_use]
    pub fn loosened(&self) -> Self {
        let number = self.0.0;
        if number[0] >= 0x40 {
            return Self(Digest([0xff; 32]));
        }
        let next = |at: usize| number.get(at + 1).map_or(0, |byte| byte >> 6);
        Self(Digest(std::array::from_fn(|at| number[at] << 2 | next(at))))
    }
}

impl std::str::FromStr for Target {
    type Err = NotHex32;
    fn from_str(text: &str) -> Result<Self, NotHex32> {
        text.parse().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::{Header, Target};

    /// Bitcoin's first header.
    const FIRST: &str = "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c";

    fn target(text: &str) -> Target {
        text.parse().expect("a target")
    }

    #[test]
    fn the_first_header_has_its_known_id_and_its_work() {
        let first = Header::parse_hex(FIRST).expect("a header");
        let id = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f";
        assert_eq!(first.hash().to_string(), id);
        let easiest = first.target().expect("a target");
        let wanted = format!("00000000ffff{}", "0".repeat(52));
        assert_eq!(easiest, target(&wanted));
        assert!(first.has_work(&easiest));
        assert!(!first.has_work(&target(&format!("00000000fffe{}", "f".repeat(52)))), "easier than is wanted");
        let mut changed = first;
        changed.0[79] ^= 1;
        assert!(!changed.has_work(&easiest));
        assert_eq!(Header::parse_hex(&FIRST.to_uppercase()), None);
        assert_eq!(Header::parse_hex(&FIRST[2..]), None);
    }

    #[test]
    fn compact_numbers_are_read_as_core_reads_them() {
        // From Core's own tests of arith_uint256.
        for (bits, number) in [
            (0x0112_3456, "12"),
            (0x0212_3456, "1234"),
            (0x0312_3456, "123456"),
            (0x0412_3456, "12345600"),
            (0x0500_9234, "92340000"),
            (0x207f_ffff, &format!("7fffff{}", "0".repeat(58))),
        ] {
            assert_eq!(Target::from_bits(bits), Some(target(&format!("{number:0>64}"))), "{bits:x}");
        }
        for none in [0, 0x0012_3456, 0x0100_3456, 0x0492_3456, 0xff12_3456, 0x0180_3456, 0x2312_3456] {
            assert_eq!(Target::from_bits(none), None, "{none:x}");
        }
    }

    #[test]
    fn four_times_as_easy_is_no_more_than_everything() {
        let number = |text: &str| target(&format!("{text:0>64}"));
        assert_eq!(number("12").loosened(), number("48"));
        assert_eq!(number("c1ff").loosened(), number("307fc"));
        let regtest = Target::from_bits(0x207f_ffff).expect("a target").loosened();
        assert_eq!(regtest, target(&"f".repeat(64)));
    }
}
