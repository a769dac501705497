//! Ed25519 keys: signing, strict verification, and the texts in which other tools read keys.
//!
//! **Invariant:** verification is strict: weak keys, and signatures that another implementation might read otherwise,
//! are refused.
//! **Invariant:** no debug form shows a private key; its bytes are wiped on drop.

use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signature, Signer, SigningKey as DalekKey, VerifyingKey};
use zeroize::Zeroizing;

use crate::digest::{Digest, PublicKey};

/// RFC 8410: a PKCS#8 v1 private key of Ed25519 up to its 32 bytes.
const PRIVATE_DER: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
/// RFC 8410: a public key of Ed25519 up to its 32 bytes.
const PUBLIC_DER: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];

/// The signature is not this key's on this message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct BadSignature;

/// The text is not an Ed25519 private key in PKCS#8 PEM as openssl writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an Ed25519 private key in PKCS#8 PEM form")]
pub struct NotAKey;

/// A private key.
pub struct SigningKey(DalekKey);

impl SigningKey {
    /// The key of a 32-byte seed.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(DalekKey::from_bytes(seed))
    }

    /// Reads `-----BEGIN PRIVATE KEY-----` as `openssl genpkey -algorithm ed25519` writes it.
    ///
    /// # Errors
    /// [`NotAKey`].
    pub fn from_pem(pem: &str) -> Result<Self, NotAKey> {
        let body: Zeroizing<String> = Zeroizing::new(pem.split_ascii_whitespace().collect());
        let inner = body.strip_prefix("-----BEGINPRIVATEKEY-----").ok_or(NotAKey)?;
        let inner = inner.strip_suffix("-----ENDPRIVATEKEY-----").ok_or(NotAKey)?;
        let der = Zeroizing::new(STANDARD.decode(inner).map_err(|_base64| NotAKey)?);
        let seed = der.strip_prefix(&PRIVATE_DER).ok_or(NotAKey)?;
        let seed: Zeroizing<[u8; 32]> = Zeroizing::new(seed.try_into().map_err(|_length| NotAKey)?);
        Ok(Self::from_seed(&seed))
    }

    /// The key as `openssl` reads it.
    pub fn to_pem(&self) -> Zeroizing<String> {
        let mut der = Zeroizing::new(PRIVATE_DER.to_vec());
        der.extend_from_slice(self.0.as_bytes());
        let body = Zeroizing::new(STANDARD.encode(&*der));
        Zeroizing::new(format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", &*body))
    }

    /// Its public key.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs a message (pure Ed25519).
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({})", self.public())
    }
}

/// Checks a signature strictly.
///
/// # Errors
/// [`BadSignature`], also for a key that is no point or a weak one.
pub fn verify(key: &PublicKey, message: &[u8], signature: &[u8; 64]) -> Result<(), BadSignature> {
    let key = VerifyingKey::from_bytes(&key.0).map_err(|_point| BadSignature)?;
    key.verify_strict(message, &Signature::from_bytes(signature)).map_err(|_refused| BadSignature)
}

/// A key's id by the rule of securesystemslib: the digest of its canonical description, which is written out here since
/// only the key differs.
pub fn key_id(key: &PublicKey) -> Digest {
    let description = format!(r#"{{"keytype":"ed25519","keyval":{{"public":"{key}"}},"scheme":"ed25519"}}"#);
    Digest::of(description.as_bytes())
}

/// A public key as `openssl` reads it.
pub fn public_pem(key: &PublicKey) -> String {
    let mut der = PUBLIC_DER.to_vec();
    der.extend_from_slice(&key.0);
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der))
}

#[cfg(test)]
mod tests {
    use super::{BadSignature, SigningKey, key_id, verify};

    /// RFC 8032, 7.1, test 1 and RFC 8410, 10.3's form of a private key.
    #[test]
    fn known_answers() {
        let mut seed = [0; 32];
        hex::decode_to_slice("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", &mut seed)
            .expect("hex");
        let key = SigningKey::from_seed(&seed);
        assert_eq!(key.public().to_string(), "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
        let signature = key.sign(b"");
        assert!(hex::encode(signature).starts_with("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974"));
        assert_eq!(verify(&key.public(), b"", &signature), Ok(()));
        assert_eq!(verify(&key.public(), b"x", &signature), Err(BadSignature));
        let pem = key.to_pem();
        assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEI"));
        assert_eq!(SigningKey::from_pem(&pem).expect("own form").public(), key.public());
        assert!(SigningKey::from_pem("-----BEGIN PRIVATE KEY-----\nMC4C\n-----END PRIVATE KEY-----\n").is_err());
        assert!(!format!("{key:?}").contains("9d61"));
        let described = serde_json::json!({
            "scheme": "ed25519", "keytype": "ed25519", "keyval": {"public": key.public()},
        });
        let canonical = crate::canonical::canonical(&described).expect("canonical");
        assert_eq!(key_id(&key.public()), crate::Digest::of(&canonical));
    }

    #[test]
    fn a_weak_key_signs_nothing() {
        let weak = crate::PublicKey([0; 32]);
        assert!(verify(&weak, b"", &[0; 64]).is_err());
    }
}
