//! Bitcoin's double SHA-256, and the ids of blocks and transactions as types.
//!
//! Inside are the bytes as they are hashed; every text has them in reverse, as Bitcoin shows them.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::digest::{Digest, NotHex32};

/// SHA-256 of SHA-256 of `bytes`.
pub fn double(bytes: &[u8]) -> [u8; 32] {
    Digest::of(&Digest::of(bytes).0).0
}

macro_rules! reversed {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// The id of what has these bytes.
            pub fn of(bytes: &[u8]) -> Self {
                Self(double(bytes))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let mut bytes = self.0;
                bytes.reverse();
                f.write_str(&hex::encode(bytes))
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
                let Digest(mut bytes) = text.parse()?;
                bytes.reverse();
                Ok(Self(bytes))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    };
}

reversed!(
    /// The id of a block: the double hash of its header.
    BlockHash
);
reversed!(
    /// The id of a transaction: the double hash of it without its witnesses.
    Txid
);
