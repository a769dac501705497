//! Ed25519 keys: signing, strict verification, and the texts in which other tools read keys.
//!
//! **Invariant:** verification is strict: weak keys, and signatures that another implementation might read otherwise,
//! are refused.
//! **Invariant:** no debug form shows a private key; its bytes are wiped on drop.

use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signature, Signer, SigningKey as DalekKey, Verifier, VerifyingKey};
use zeroize::Zeroizing;

use crate::digest::{Digest, PublicKey};

/// RFC 8410: a PKCS#8 v1 private key of Ed25519 up to its 32 bytes.
const PRIVATE_DER: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
const PEM_BEGIN: &str = "-----BEGIN PRIVATE KEY-----\n";
const PEM_END: &str = "\n-----END PRIVATE KEY-----\n";
/// Its 48 bytes of DER are 64 characters.
const PEM_LENGTH: usize = PEM_BEGIN.len() + 64 + PEM_END.len();
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
        let mut body = Zeroizing::new(String::with_capacity(pem.len()));
        body.extend(pem.split_ascii_whitespace());
        let inner = body.strip_prefix("-----BEGINPRIVATEKEY-----").ok_or(NotAKey)?;
        let inner = inner.strip_suffix("-----ENDPRIVATEKEY-----").ok_or(NotAKey)?;
        let der = Zeroizing::new(STANDARD.decode(inner).map_err(|_base64| NotAKey)?);
        let seed = der.strip_prefix(&PRIVATE_DER).ok_or(NotAKey)?;
        let seed: Zeroizing<[u8; 32]> = Zeroizing::new(seed.try_into().map_err(|_length| NotAKey)?);
        Ok(Self::from_seed(&seed))
    }

    /// The key as `openssl` reads it.
    pub fn to_pem(&self) -> Zeroizing<String> {
        let mut der = Zeroizing::new([0; PRIVATE_DER.len() + 32]);
        let (head, seed) = der.split_at_mut(PRIVATE_DER.len());
        head.copy_from_slice(&PRIVATE_DER);
        seed.copy_from_slice(self.0.as_bytes());
        // A string that grows leaves its old bytes in memory, unwiped.
        let mut pem = Zeroizing::new(String::with_capacity(PEM_LENGTH));
        pem.push_str(PEM_BEGIN);
        STANDARD.encode_string(der.as_slice(), &mut pem);
        pem.push_str(PEM_END);
        pem
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

/// The points of small order, of which a signature's first half may be none: their y, little-endian; x and −x share it.
const SMALL_ORDER: [[u8; 32]; 5] = [
    [0; 32],
    [
        0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    ],
    // The field's −1, of the point of order 2.
    [
        0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
    ],
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
        0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
        0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
];

/// Whether a point's one form is that of a point of small order.
fn is_of_small_order(point: &[u8; 32]) -> bool {
    let mut y = *point;
    y[31] &= 0x7f;
    SMALL_ORDER.contains(&y)
}

/// Checks a signature strictly, as dalek's `verify_strict` does and an eighth faster: that finds the point of the signature's
/// first half only to ask whether it is of small order. Here these bytes are first found to be the one form of the point that
/// they should be; then the few are compared.
///
/// # Errors
/// [`BadSignature`], also for a key that is no point or a weak one.
pub fn verify(key: &PublicKey, message: &[u8], signature: &[u8; 64]) -> Result<(), BadSignature> {
    let signature = Signature::from_bytes(signature);
    let key = VerifyingKey::from_bytes(&key.0).map_err(|_none| BadSignature)?;
    key.verify(message, &signature).map_err(|_refused| BadSignature)?;
    if key.is_weak() || is_of_small_order(signature.r_bytes()) { Err(BadSignature) } else { Ok(()) }
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
    use curve25519_dalek::{EdwardsPoint, Scalar, constants::EIGHT_TORSION};

    use proptest::prelude::*;
    use sha2::{Digest as _, Sha512};
    use zeroize::ZeroizeOnDrop;

    use super::{
        BadSignature, DalekKey, NotAKey, Signature, SigningKey, Verifier, VerifyingKey, is_of_small_order, key_id,
        public_pem, verify,
    };
    use crate::digest::{Digest, PublicKey};

    fn seed(text: &str) -> [u8; 32] {
        hex::decode(text).expect("hex").try_into().expect("32 bytes")
    }

    /// RFC 8032, 7.1, test 1.
    #[test]
    fn known_answers() {
        let key = SigningKey::from_seed(&seed("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"));
        assert_eq!(key.public().to_string(), "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
        let signature = key.sign(b"");
        assert!(hex::encode(signature).starts_with("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974"));
        assert_eq!(verify(&key.public(), b"", &signature), Ok(()));
        assert_eq!(verify(&key.public(), b"x", &signature), Err(BadSignature));
        let described = serde_json::json!({
            "scheme": "ed25519", "keytype": "ed25519", "keyval": {"public": key.public()},
        });
        let canonical = crate::canonical::canonical(&described).expect("canonical");
        assert_eq!(key_id(&key.public()), Digest::of(&canonical));
    }

    /// RFC 8410, 10.1 and 10.3.
    #[test]
    fn the_texts_of_keys_are_those_of_the_rfc() {
        let private = "-----BEGIN PRIVATE KEY-----\n\
             MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
             -----END PRIVATE KEY-----\n";
        let public = "-----BEGIN PUBLIC KEY-----\n\
             MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
             -----END PUBLIC KEY-----\n";
        let key = SigningKey::from_pem(private).expect("a key");
        assert_eq!(key.to_pem().as_str(), private);
        assert_eq!(public_pem(&key.public()), public);
        assert_eq!(SigningKey::from_pem(&private.replace('\n', "\r\n")).expect("a key").public(), key.public());
        for wrong in [
            "",
            public,
            &private.replace("MC4C", "MC5C"),
            &private.replace("K2Vw", "K2Vx"),
            &private.replace("dVhC", ""),
            &private.replace("dVhC", "dVhCdVhC"),
            &private.replace("PRIVATE", "ENCRYPTED PRIVATE"),
        ] {
            let refused = SigningKey::from_pem(wrong).map(|key| key.public());
            assert!(matches!(refused, Err(NotAKey)), "{wrong}");
        }
    }

    #[test]
    fn nothing_private_is_shown_or_left_behind() {
        fn wiped<T: ZeroizeOnDrop>() {}
        wiped::<DalekKey>();
        let key = SigningKey::from_seed(&[0xab; 32]);
        assert_eq!(format!("{key:?}"), format!("SigningKey({})", key.public()));
        let pem = key.to_pem();
        assert_eq!(pem.capacity(), pem.len(), "it grew, and what it grew from is not wiped");
    }

    #[test]
    fn a_weak_key_signs_nothing() {
        let weak = PublicKey([0; 32]);
        assert!(verify(&weak, b"", &[0; 64]).is_err());
    }

    /// Signatures whose first half is each of the points of small order, by a key that has a part of small order itself: the
    /// equation holds for all of them, and a check that is not strict accepts them.
    #[test]
    fn a_first_half_of_small_order_is_refused() {
        let secret = Scalar::from_bytes_mod_order([7; 32]);
        let key = (EdwardsPoint::mul_base(&secret) + EIGHT_TORSION[1]).compress();
        let known = VerifyingKey::from_bytes(key.as_bytes()).expect("a point");
        for point in EIGHT_TORSION {
            let first = point.compress();
            let signed = (0_u32..1_000).find_map(|number| {
                let message = number.to_be_bytes();
                let hash = Sha512::new().chain_update(first.as_bytes()).chain_update(key.as_bytes());
                let hash = hash.chain_update(message).finalize();
                let second = Scalar::from_bytes_mod_order_wide(&hash.into()) * secret;
                let signature = Signature::from_components(first.to_bytes(), second.to_bytes());
                known.verify(&message, &signature).is_ok().then_some((message, signature))
            });
            let (message, signature) = signed.expect("one in eight");
            assert!(is_of_small_order(first.as_bytes()));
            assert!(known.verify_strict(&message, &signature).is_err());
            assert_eq!(verify(&PublicKey(key.to_bytes()), &message, &signature.to_bytes()), Err(BadSignature));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_signature_is_of_one_key_on_one_message(
            seed in any::<[u8; 32]>(),
            message in proptest::collection::vec(any::<u8>(), 1..64),
            at in any::<proptest::sample::Index>(),
            bit in 0..8,
        ) {
            let key = SigningKey::from_seed(&seed);
            let (public, signature) = (key.public(), key.sign(&message));
            prop_assert_eq!(verify(&public, &message, &signature), Ok(()));
            let flip = |bytes: &mut [u8]| bytes[at.index(bytes.len())] ^= 1_u8 << bit;
            let (mut other_public, mut other_message, mut other_signature) = (public, message.clone(), signature);
            flip(&mut other_public.0);
            flip(&mut other_message);
            flip(&mut other_signature);
            prop_assert_eq!(verify(&other_public, &message, &signature), Err(BadSignature));
            prop_assert_eq!(verify(&public, &other_message, &signature), Err(BadSignature));
            prop_assert_eq!(verify(&public, &message, &other_signature), Err(BadSignature));
        }
    }
}
