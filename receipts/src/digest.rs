//! SHA-256 digests, Ed25519 public keys and beacons as types: 32 bytes, lower-case hex in every text form.
//!
//! Never holds a private key, and never accepts upper-case hex or another length.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};

/// Why a text is not 32 bytes of lower-case hex.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not 64 lower-case hex characters")]
pub struct NotHex32 {
    /// The text as it was given.
    pub text: String,
}

fn parse_hex32(text: &str) -> Result<[u8; 32], NotHex32> {
    let refuse = || NotHex32 { text: text.to_owned() };
    if text.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(refuse());
    }
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).map_err(|_not_hex| refuse())?;
    Ok(bytes)
}

fn in_hex<'a>(bytes: &[u8; 32], text: &'a mut [u8; 64]) -> &'a str {
    // The text is twice as long as the bytes, and ASCII.
    hex::encode_to_slice(bytes, text).ok().and_then(|()| str::from_utf8(text).ok()).unwrap_or_default()
}

struct Hex32;

impl de::Visitor<'_> for Hex32 {
    type Value = [u8; 32];

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("64 lower-case hex characters")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<[u8; 32], E> {
        parse_hex32(text).map_err(E::custom)
    }
}

macro_rules! hex32 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(in_hex(&self.0, &mut [0; 64]))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl std::str::FromStr for $name {
            type Err = NotHex32;
            fn from_str(text: &str) -> Result<Self, NotHex32> {
                parse_hex32(text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(in_hex(&self.0, &mut [0; 64]))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(Hex32).map(Self)
            }
        }
    };
}

hex32!(
    /// A SHA-256 digest.
    Digest
);
hex32!(
    /// An Ed25519 public key in its 32-byte compressed form. It names an identity; it is not checked to be a valid point.
    PublicKey
);
hex32!(
    /// 32 bytes that nobody could know before they were there, as a block's digest: what an audit draws its entries by.
    Beacon
);

impl Digest {
    /// SHA-256 of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

#[cfg(test)]
mod tests {
    use super::Digest;

    #[test]
    fn text_form_round_trips_and_refuses_other_spellings() {
        let digest = Digest::of(b"abc");
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest.to_string(), text);
        assert_eq!(text.parse::<Digest>().expect("valid hex"), digest);
        assert!(text.to_uppercase().parse::<Digest>().is_err());
        assert!(text[1..].parse::<Digest>().is_err());
        assert!(format!("{text}00").parse::<Digest>().is_err());
    }
}
