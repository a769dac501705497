//! Salted commitments: a value bound without being shown, each field openable by itself.
//!
//! **Invariant:** salts come from a key of the attempt that can be deleted; without it nothing more can be opened, and
//! nothing can be guessed.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::digest::Digest;

/// Salt of one field.
pub type Salt = [u8; 16];

/// The secret of one attempt.
#[derive(Clone)]
pub struct AttemptKey(Zeroizing<[u8; 32]>);

impl AttemptKey {
    /// From 32 random bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The salt of a field of entry `index`.
    pub fn salt(&self, index: u64, name: &str) -> Salt {
        self.salts().of(index, name)
    }

    /// The key taken in, for many salts: half the work of each.
    pub(crate) fn salts(&self) -> Salts {
        // HMAC takes a key of any length, so this cannot fail; an empty key would be the only other reading.
        let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(self.0.as_slice())
            .unwrap_or_else(|_length| <Hmac<Sha256> as KeyInit>::new(&Default::default()));
        Salts(mac)
    }
}

/// An attempt's key, taken in. As secret as the key, so it lives only while a trace is built.
pub(crate) struct Salts(Hmac<Sha256>);

impl Salts {
    /// The salt of a field of entry `index`.
    pub fn of(&self, index: u64, name: &str) -> Salt {
        let mut mac = self.0.clone();
        mac.update(b"pob/salt/1\0");
        mac.update(&index.to_be_bytes());
        mac.update(&[length(name)]);
        mac.update(name.as_bytes());
        let full: [u8; 32] = mac.finalize().into_bytes().into();
        let mut salt = [0; 16];
        salt.copy_from_slice(&full[..16]);
        salt
    }
}

impl std::fmt::Debug for AttemptKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AttemptKey(..)")
    }
}

/// Names are at most 32 bytes, by [`is_name`].
fn length(name: &str) -> u8 {
    u8::try_from(name.len()).unwrap_or(u8::MAX)
}

/// Whether `name` may name a field: `[a-z][a-z0-9_]{0,31}`.
pub fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_lowercase())
        && name.len() <= 32
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// The commitment to a value.
pub fn commit(name: &str, salt: &Salt, value: &[u8]) -> Digest {
    let mut hasher = Sha256::new();
    hasher.update(b"pob/commit/1\0");
    hasher.update([length(name)]);
    hasher.update(name.as_bytes());
    hasher.update(salt);
    hasher.update((value.len() as u64).to_be_bytes());
    hasher.update(Sha256::digest(value));
    Digest(hasher.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::{AttemptKey, commit, is_name};

    /// Computed with Python's hashlib and hmac from the definition, not with this code.
    #[test]
    fn known_answers() {
        let key = AttemptKey::new([0x11; 32]);
        let salt = key.salt(3, "args");
        assert_eq!(hex::encode(salt), "22223b37ac02e1f5b03a57b9f4200a52");
        assert_eq!(
            commit("args", &salt, b"value").to_string(),
            "e8024b0e5212620e58c5c9782d940a19278f2bfa295ba124e99f1040472c1cbf"
        );
    }

    #[test]
    fn names() {
        for good in ["a", "tokens_in", "a2345678901234567890123456789012"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "A", "1a", "a-b", "_a", "a23456789012345678901234567890123", "ä"] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[test]
    fn salts_differ_by_key_index_and_name() {
        let key = AttemptKey::new([1; 32]);
        let salts = [key.salt(0, "a"), key.salt(1, "a"), key.salt(0, "b"), AttemptKey::new([2; 32]).salt(0, "a")];
        let distinct: std::collections::BTreeSet<_> = salts.iter().collect();
        assert_eq!(distinct.len(), salts.len());
        assert!(!format!("{key:?}").contains('1'));
    }
}
