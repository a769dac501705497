//! DSSE v1.0.2 envelopes, in one spelling.
//!
//! **Invariant:** what is signed is the pre-authentication encoding of type and payload; what is parsed afterwards is the
//! payload that was verified.
//! **Invariant:** an envelope that parses is, byte for byte, the one its own values would be written as.

use std::collections::BTreeSet;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use crate::{
    canonical::{NotCanonical, parse_canonical},
    digest::{Digest, PublicKey},
    keys::{SigningKey, key_id, verify},
    presorted,
};

/// Payload type of in-toto statements.
pub const IN_TOTO: &str = "application/vnd.in-toto+json";

/// Why an envelope is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DsseError {
    /// Not an envelope in its one spelling.
    #[error("envelope: {0}")]
    NotCanonical(#[from] NotCanonical),
    /// A field is missing, unknown, or not what it should be.
    #[error("envelope: {reason}")]
    Shape {
        /// What the reader said.
        reason: String,
    },
    /// Not base64, or not in its padded form.
    #[error("envelope: bad base64")]
    Base64,
    /// Signatures out of order, or two by one key.
    #[error("envelope: signatures are not in strict order of their key ids")]
    Order,
    /// No signature by this key.
    #[error("no signature by key {0}")]
    Unsigned(PublicKey),
    /// The key's signature does not verify.
    #[error("the signature by key {0} does not verify")]
    BadSignature(PublicKey),
}

/// One signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Id of the key.
    pub keyid: Digest,
    /// Over the pre-authentication encoding.
    pub sig: [u8; 64],
}

/// A payload and who signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// What the payload is.
    pub payload_type: String,
    /// The payload.
    pub payload: Vec<u8>,
    /// Sorted by key id.
    pub signatures: Vec<Signature>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireSignature {
    keyid: Digest,
    sig: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    payload: String,
    #[serde(rename = "payloadType")]
    payload_type: String,
    signatures: Vec<WireSignature>,
}

/// The bytes that are signed.
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

impl Envelope {
    /// Signs a payload with each key.
    ///
    /// # Errors
    /// As [`key_id`].
    pub fn sign(payload_type: &str, payload: Vec<u8>, keys: &[&SigningKey]) -> Result<Self, NotCanonical> {
        let message = pae(payload_type, &payload);
        let mut signatures = Vec::with_capacity(keys.len());
        for key in keys {
            signatures.push(Signature { keyid: key_id(&key.public()), sig: key.sign(&message) });
        }
        signatures.sort_by_key(|signature| signature.keyid);
        Ok(Self { payload_type: payload_type.to_owned(), payload, signatures })
    }

    /// The envelope as a file: canonical JSON, no newline.
    ///
    /// # Errors
    /// None in practice; an envelope has only text in it.
    pub fn to_bytes(&self) -> Result<Vec<u8>, NotCanonical> {
        let signatures = self
            .signatures
            .iter()
            .map(|signature| WireSignature { keyid: signature.keyid, sig: STANDARD.encode(signature.sig) })
            .collect();
        let mut bytes = Vec::new();
        let payload = STANDARD.encode(&self.payload);
        presorted::append(&mut bytes, &Wire { payload, payload_type: self.payload_type.clone(), signatures })?;
        Ok(bytes)
    }

    /// Reads an envelope.
    ///
    /// # Errors
    /// [`DsseError`] for anything that [`Envelope::to_bytes`] would write otherwise.
    pub fn parse(bytes: &[u8]) -> Result<Self, DsseError> {
        let wire: Wire = presorted::read(bytes).map_err(|refused| match refused {
            // What is canonical and has other fields is no other spelling of an envelope: it is none.
            NotCanonical::NotJson { reason } if parse_canonical(bytes).is_ok() => DsseError::Shape { reason },
            other => DsseError::NotCanonical(other),
        })?;
        let payload = STANDARD.decode(&wire.payload).map_err(|_base64| DsseError::Base64)?;
        let mut signatures = Vec::with_capacity(wire.signatures.len());
        for signature in &wire.signatures {
            let sig = STANDARD.decode(&signature.sig).map_err(|_base64| DsseError::Base64)?;
            let sig = sig.try_into().map_err(|_length| DsseError::Base64)?;
            signatures.push(Signature { keyid: signature.keyid, sig });
        }
        let ids: BTreeSet<Digest> = signatures.iter().map(|signature| signature.keyid).collect();
        if !ids.iter().eq(signatures.iter().map(|signature| &signature.keyid)) {
            return Err(DsseError::Order);
        }
        Ok(Self { payload_type: wire.payload_type, payload, signatures })
    }

    /// SHA-256 of what is signed: the id of a receipt, whoever signed it.
    pub fn id(&self) -> Digest {
        Digest::of(&pae(&self.payload_type, &self.payload))
    }

    /// Checks that `key` signed.
    ///
    /// # Errors
    /// [`DsseError::Unsigned`] or [`DsseError::BadSignature`].
    pub fn verified_by(&self, key: &PublicKey) -> Result<(), DsseError> {
        let id = key_id(key);
        let signature =
            self.signatures.iter().find(|signature| signature.keyid == id).ok_or(DsseError::Unsigned(*key))?;
        verify(key, &pae(&self.payload_type, &self.payload), &signature.sig)
            .map_err(|_bad| DsseError::BadSignature(*key))
    }
}

#[cfg(test)]
mod tests {
    use super::{DsseError, Envelope, pae};
    use crate::{canonical::NotCanonical, digest::Digest, keys::SigningKey};

    /// The example of the DSSE protocol document.
    #[test]
    fn pre_authentication_encoding_as_published() {
        assert_eq!(
            pae("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
        assert_eq!(
            pae("\u{e9}", "\u{20ac}".as_bytes()),
            "DSSEv1 2 \u{e9} 3 \u{20ac}".as_bytes(),
            "lengths are of bytes"
        );
    }

    #[test]
    fn what_was_signed_is_told_from_what_it_resembles() {
        let key = SigningKey::from_seed(&[1; 32]);
        let one = Envelope::sign("a", b"1 b".to_vec(), &[&key]).expect("signs");
        let mut moved = Envelope { payload_type: "a 3 1".to_owned(), payload: b"b".to_vec(), ..one.clone() };
        assert_ne!(moved.id(), one.id());
        assert_eq!(moved.verified_by(&key.public()), Err(DsseError::BadSignature(key.public())));
        moved.signatures.clear();
        assert_eq!(moved.verified_by(&key.public()), Err(DsseError::Unsigned(key.public())));
        let more = Envelope::sign("a", b"1 b".to_vec(), &[&key, &SigningKey::from_seed(&[2; 32])]).expect("signs");
        assert_eq!(more.id(), one.id(), "whoever signed it");
        assert_eq!(one.id(), Digest::of(b"DSSEv1 1 a 3 1 b"));
    }

    #[test]
    fn other_shapes_are_refused_with_their_cause() {
        let text = String::from_utf8(
            Envelope::sign("t", b"p".to_vec(), &[&SigningKey::from_seed(&[1; 32])])
                .expect("signs")
                .to_bytes()
                .expect("bytes"),
        )
        .expect("text");
        let refused = |text: String| Envelope::parse(text.as_bytes()).expect_err("refused");
        assert!(matches!(refused(text.replace("}]}", "}],\"x\":\"\"}")), DsseError::Shape { .. }));
        assert!(matches!(refused(text.replace("\"payloadType\":\"t\",", "")), DsseError::Shape { .. }));
        assert!(matches!(refused(text.replace("\"keyid\"", "\"kid\"")), DsseError::Shape { .. }));
        assert_eq!(refused(text.replace("\"cA==\"", "\"cA\"")), DsseError::Base64);
        assert_eq!(refused(text.replace("\"cA==\"", "\"cB==\"")), DsseError::Base64);
        assert_eq!(refused(text.replace("==\"}]", "\"}]")), DsseError::Base64);
        assert_eq!(refused(format!("{text}\n")), DsseError::NotCanonical(NotCanonical::Spelling));
        assert_eq!(refused(text.replace("\"t\"", "1")), DsseError::NotCanonical(NotCanonical::Number));
    }

    #[test]
    fn every_changed_byte_shows() {
        let (a, b) = (SigningKey::from_seed(&[1; 32]), SigningKey::from_seed(&[2; 32]));
        let envelope = Envelope::sign("t", b"payload".to_vec(), &[&a, &b]).expect("signs");
        let bytes = envelope.to_bytes().expect("bytes");
        assert_eq!(Envelope::parse(&bytes), Ok(envelope.clone()));
        let good = |bytes: &[u8]| {
            let read = Envelope::parse(bytes)?;
            read.verified_by(&a.public()).and(read.verified_by(&b.public()))
        };
        assert_eq!(good(&bytes), Ok(()));
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << bit;
                assert!(good(&changed).is_err(), "byte {at} bit {bit}");
            }
        }
        let c = SigningKey::from_seed(&[3; 32]);
        assert_eq!(envelope.verified_by(&c.public()), Err(DsseError::Unsigned(c.public())));
    }

    #[test]
    fn signatures_have_one_order_and_no_doubles() {
        let (a, b) = (SigningKey::from_seed(&[1; 32]), SigningKey::from_seed(&[2; 32]));
        let mut envelope = Envelope::sign("t", b"p".to_vec(), &[&a, &b]).expect("signs");
        envelope.signatures.reverse();
        assert_eq!(Envelope::parse(&envelope.to_bytes().expect("bytes")), Err(DsseError::Order));
        envelope.signatures[0] = envelope.signatures[1].clone();
        assert_eq!(Envelope::parse(&envelope.to_bytes().expect("bytes")), Err(DsseError::Order));
    }
}
