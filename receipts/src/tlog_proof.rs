//! C2SP tlog-proof v1: an entry's place in a tree, as text that needs nothing else to be checked.

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{digest::Digest, integer, merkle::MOST_HASHES};

const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// A proof with the checkpoint it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlogProof {
    /// What goes with the proof; opaque to the format.
    pub extra: Option<Vec<u8>>,
    /// The entry's index.
    pub index: u64,
    /// The inclusion proof, leaf to root.
    pub hashes: Vec<Digest>,
    /// The signed checkpoint, as it is.
    pub checkpoint: String,
}

/// The text is not a tlog-proof in its one spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a tlog-proof in its one spelling")]
pub struct NotAProof;

impl TlogProof {
    /// The text.
    pub fn to_text(&self) -> String {
        let mut text = format!("{HEADER}\n");
        if let Some(extra) = &self.extra {
            text.push_str(&format!("extra {}\n", STANDARD.encode(extra)));
        }
        text.push_str(&format!("index {}\n", self.index));
        for hash in &self.hashes {
            text.push_str(&STANDARD.encode(hash.0));
            text.push('\n');
        }
        text.push('\n');
        text.push_str(&self.checkpoint);
        text
    }

    /// Reads a text.
    ///
    /// # Errors
    /// [`NotAProof`], also for one that would be written otherwise.
    pub fn parse(text: &str) -> Result<Self, NotAProof> {
        let (head, checkpoint) = text.split_once("\n\n").ok_or(NotAProof)?;
        let mut lines = head.split('\n');
        if lines.next() != Some(HEADER) {
            return Err(NotAProof);
        }
        let mut line = lines.next().ok_or(NotAProof)?;
        let mut extra = None;
        if let Some(encoded) = line.strip_prefix("extra ") {
            extra = Some(STANDARD.decode(encoded).map_err(|_base64| NotAProof)?);
            line = lines.next().ok_or(NotAProof)?;
        }
        let index = line.strip_prefix("index ").and_then(integer::parse).ok_or(NotAProof)?;
        let mut hashes = Vec::new();
        for line in lines {
            let hash = STANDARD.decode(line).map_err(|_base64| NotAProof)?;
            hashes.push(Digest(hash.try_into().map_err(|_length| NotAProof)?));
            if hashes.len() > MOST_HASHES {
                return Err(NotAProof);
            }
        }
        let proof = Self { extra, index, hashes, checkpoint: checkpoint.to_owned() };
        if proof.to_text() == text { Ok(proof) } else { Err(NotAProof) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{NotAProof, TlogProof};
    use crate::{digest::Digest, merkle::MOST_HASHES};

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_changed_byte_is_refused_or_is_another_proof(
            extra in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..9)),
            index in any::<u64>(),
            hashes in proptest::collection::vec(any::<[u8; 32]>(), 0..4),
            at in any::<proptest::sample::Index>(),
            byte in 0..128_u8,
        ) {
            let hashes = hashes.into_iter().map(Digest).collect();
            let proof = TlogProof { extra, index, hashes, checkpoint: "origin\n4\nroot\n\n- name sig\n".to_owned() };
            let text = proof.to_text();
            prop_assert_eq!(TlogProof::parse(&text), Ok(proof.clone()));
            let mut bytes = text.clone().into_bytes();
            bytes[at.index(text.len())] = byte;
            let changed = String::from_utf8(bytes).expect("ASCII");
            if changed != text {
                prop_assert_ne!(TlogProof::parse(&changed), Ok(proof));
            }
        }
    }

    #[test]
    fn as_many_hashes_as_a_tree_can_need() {
        let proof =
            TlogProof { extra: None, index: 0, hashes: vec![Digest::of(b""); MOST_HASHES], checkpoint: "c".to_owned() };
        let text = proof.to_text();
        assert!(text.starts_with("c2sp.org/tlog-proof@v1\nindex 0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"));
        assert_eq!(TlogProof::parse(&text), Ok(proof));
    }

    #[test]
    fn reads_what_it_writes_and_refuses_other_spellings() {
        let proof = TlogProof {
            extra: Some(b"x".to_vec()),
            index: 3,
            hashes: vec![Digest::of(b"a"), Digest::of(b"b")],
            checkpoint: "origin\n4\nroot\n\n\u{2014} name sig\n".to_owned(),
        };
        let text = proof.to_text();
        assert_eq!(TlogProof::parse(&text), Ok(proof.clone()));
        for changed in [
            text.replace("v1", "v2"),
            text.replace("index 3", "index 03"),
            text.replace("extra eA==", "extra eB=="),
            text.replace("extra eA==\n", "extra eA==\nextra eA==\n"),
            text.replacen('\n', "\r\n", 1),
            text.replace("\n\n", "\n"),
            text.replacen("\n\n", "\nAAAA\n\n", 1),
            text.replace("extra eA==\nindex 3", "index 3\nextra eA=="),
            text.replace("index 3\n", ""),
            text.replace("extra", "Extra"),
            String::new(),
        ] {
            assert_eq!(TlogProof::parse(&changed), Err(NotAProof), "{changed:?}");
        }
        let long = TlogProof { hashes: vec![Digest::of(b""); 64], ..proof };
        assert_eq!(TlogProof::parse(&long.to_text()), Err(NotAProof));
    }
}
