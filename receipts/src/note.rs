//! Signed notes of C2SP with one Ed25519 signature: a text, a blank line, and a line that names its signer.
//!
//! **Invariant:** a note that opens is, byte for byte, the one that signing its text again would give.

use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};

use crate::{
    digest::{Digest, PublicKey},
    keys::{SigningKey, verify},
};

/// C2SP's number for a plain Ed25519 signature.
pub(crate) const ED25519: u8 = 1;

/// Why a note does not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not a text, a blank line and exactly one signature line in their one spelling.
    #[error("malformed note")]
    Malformed,
    /// Signed under another name or key hash.
    #[error("signed by another key than {expected}")]
    OtherKey {
        /// The name that was expected.
        expected: String,
    },
    /// The signature does not verify.
    #[error("the note's signature does not verify")]
    BadSignature,
}

/// The name of a log key: `ii-` and 16 hex of the digest of its public key.
pub fn log_name(key: &PublicKey) -> String {
    format!("ii-{}", &Digest::of(&key.0).to_string()[..16])
}

/// The id of a key under a name, for signatures of C2SP's kind `kind`.
pub(crate) fn key_hash(name: &str, kind: u8, key: &PublicKey) -> [u8; 4] {
    let mut hasher = Sha256::new();
    hasher.update(name.as_bytes());
    hasher.update([b'\n', kind]);
    hasher.update(key.0);
    let hash: [u8; 32] = hasher.finalize().into();
    [hash[0], hash[1], hash[2], hash[3]]
}

/// The verifier key in C2SP's form, `name+hash+key`.
pub fn vkey(key: &PublicKey) -> String {
    typed_vkey(&log_name(key), ED25519, key)
}

/// The verifier key of a key that makes signatures of C2SP's kind `kind`.
pub(crate) fn typed_vkey(name: &str, kind: u8, key: &PublicKey) -> String {
    let mut typed = vec![kind];
    typed.extend_from_slice(&key.0);
    format!("{name}+{}+{}", hex::encode(key_hash(name, kind, key)), STANDARD.encode(typed))
}

/// The name and key of a verifier key; `None` for any other text than [`vkey`] gives, whatever its name.
pub fn parse_vkey(text: &str) -> Option<(String, PublicKey)> {
    parse_typed_vkey(text, ED25519)
}

/// The name and key of a verifier key for signatures of C2SP's kind `kind`.
pub(crate) fn parse_typed_vkey(text: &str, kind: u8) -> Option<(String, PublicKey)> {
    let (name, rest) = text.split_once('+')?;
    let (hash, key) = rest.split_once('+')?;
    let typed = STANDARD.decode(key).ok()?;
    let key = PublicKey(typed.strip_prefix(&[kind])?.try_into().ok()?);
    let fits =
        !name.is_empty() && !name.contains(char::is_whitespace) && hash == hex::encode(key_hash(name, kind, &key));
    fits.then(|| (name.to_owned(), key))
}

/// Signs a text, which ends in a newline, under the log name of the key.
pub fn sign(text: &str, key: &SigningKey) -> String {
    let public = key.public();
    let name = log_name(&public);
    let mut signature = key_hash(&name, ED25519, &public).to_vec();
    signature.extend_from_slice(&key.sign(text.as_bytes()));
    format!("{text}\n\u{2014} {name} {}\n", STANDARD.encode(signature))
}

/// The text of a note signed by `key` under its log name.
///
/// # Errors
/// [`NoteError`].
pub fn open<'a>(note: &'a str, key: &PublicKey) -> Result<&'a str, NoteError> {
    open_as(note, &log_name(key), key)
}

/// The text of a note signed by `key` under any name: another's log, as its verifier key names it.
///
/// # Errors
/// [`NoteError`].
pub fn open_as<'a>(note: &'a str, name: &str, key: &PublicKey) -> Result<&'a str, NoteError> {
    let at = note.rfind("\n\n").ok_or(NoteError::Malformed)?;
    let (text, line) = (&note[..=at], &note[at + 2..]);
    let line = line.strip_suffix('\n').ok_or(NoteError::Malformed)?;
    if line.contains('\n') || text.chars().any(|c| c != '\n' && c.is_control()) {
        return Err(NoteError::Malformed);
    }
    let signed = line.strip_prefix("\u{2014} ").ok_or(NoteError::Malformed)?;
    let (signer, encoded) = signed.split_once(' ').ok_or(NoteError::Malformed)?;
    let bytes = STANDARD.decode(encoded).map_err(|_base64| NoteError::Malformed)?;
    let (hash, signature) = bytes.split_at_checked(4).ok_or(NoteError::Malformed)?;
    let signature: &[u8; 64] = signature.try_into().map_err(|_length| NoteError::Malformed)?;
    if signer != name || hash != key_hash(name, ED25519, key) {
        return Err(NoteError::OtherKey { expected: name.to_owned() });
    }
    verify(key, text.as_bytes(), signature).map_err(|_bad| NoteError::BadSignature)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::{NoteError, log_name, open, parse_vkey, sign, vkey};
    use crate::keys::SigningKey;

    #[test]
    fn opens_what_it_signs_and_nothing_changed() {
        let key = SigningKey::from_seed(&[7; 32]);
        let note = sign("a\nb\n", &key);
        assert_eq!(open(&note, &key.public()), Ok("a\nb\n"));
        for at in 0..note.len() {
            let mut bytes = note.clone().into_bytes();
            bytes[at] ^= 1;
            if let Ok(changed) = String::from_utf8(bytes) {
                assert!(open(&changed, &key.public()).is_err(), "byte {at}");
            }
        }
        let other = SigningKey::from_seed(&[8; 32]);
        assert!(matches!(open(&note, &other.public()), Err(NoteError::OtherKey { .. })));
        let line = note.rsplit_once("\n\n").expect("a note").1;
        assert_eq!(open(&format!("{note}{line}"), &key.public()), Err(NoteError::Malformed));
    }

    /// An insider may sign any text; what is no note of the one form does not open for all that.
    #[test]
    fn a_good_signature_mends_no_bad_form() {
        let key = SigningKey::from_seed(&[7; 32]);
        for text in ["a", "a\tb\n", "a\r\n", "a\u{7f}\n"] {
            assert_eq!(open(&sign(text, &key), &key.public()), Err(NoteError::Malformed), "{text:?}");
        }
        assert_eq!(open(&sign("a\n\nb\n", &key), &key.public()), Ok("a\n\nb\n"));
        let good = sign("a\n", &key);
        for wrong in [
            good.trim_end().to_owned(),
            format!("{good}\n"),
            good.replace("\n\n", "\n"),
            good.replace("\u{2014} ", "- "),
            good.replace("\u{2014} ", "\u{2014}  "),
            good.replace("=\n", "\n"),
            good.replace('\n', "\r\n"),
        ] {
            assert_ne!(wrong, good);
            assert_eq!(open(&wrong, &key.public()), Err(NoteError::Malformed), "{wrong:?}");
        }
    }

    #[test]
    fn verifier_keys_round_trip() {
        let key = SigningKey::from_seed(&[7; 32]).public();
        assert_eq!(parse_vkey(&vkey(&key)), Some((log_name(&key), key)));
        assert_eq!(parse_vkey(&vkey(&key).replace("ii-", "ij-")), None);
        let good = vkey(&key);
        let other_type = good.replace("+Ae", "+Ee");
        let spaced = good.replacen("ii-", "i i-", 1);
        for wrong in [
            "",
            "name",
            "++",
            &good[..good.len() - 1],
            &good.to_uppercase(),
            &format!("{good}\n"),
            &other_type,
            &spaced,
        ] {
            assert_ne!(wrong, good);
            assert_eq!(parse_vkey(wrong), None, "{wrong}");
        }
    }
}
