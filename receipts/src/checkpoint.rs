//! A tree head as a C2SP tlog-checkpoint: origin, size and root, signed by the log key.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use crate::{
    digest::{Digest, PublicKey},
    integer,
    keys::SigningKey,
    note::{self, NoteError},
};

/// A tree head.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Which tree: one origin, one tree.
    pub origin: String,
    /// Entries in it.
    pub size: u64,
    /// Its RFC 6962 root.
    pub root: Digest,
}

impl Checkpoint {
    /// The text that is signed: three lines, the last newline included.
    pub fn body(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root.0))
    }

    /// The signed note.
    pub fn sign(&self, key: &SigningKey) -> String {
        note::sign(&self.body(), key)
    }

    /// Opens a signed checkpoint without extension lines.
    ///
    /// # Errors
    /// [`NoteError`].
    pub fn open(text: &str, key: &PublicKey) -> Result<Self, NoteError> {
        let body = note::open(text, key)?;
        Self::parse(body).ok_or(NoteError::Malformed)
    }

    /// Reads an unsigned body in its one spelling.
    pub fn parse(body: &str) -> Option<Self> {
        let mut lines = body.split('\n');
        let origin = lines.next().filter(|origin| !origin.is_empty())?.to_owned();
        let size = integer::parse(lines.next()?)?;
        let root = STANDARD.decode(lines.next()?).ok()?;
        let checkpoint = Self { origin, size, root: Digest(root.try_into().ok()?) };
        (checkpoint.body() == body).then_some(checkpoint)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Checkpoint;
    use crate::{
        digest::Digest,
        keys::SigningKey,
        note::{self, NoteError},
    };

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn opens_as_it_was_signed_and_no_line_can_pose_as_another(
            origin in "[ -~\n]{0,12}",
            size in any::<u64>(),
            root in any::<[u8; 32]>(),
        ) {
            let key = SigningKey::from_seed(&[3; 32]);
            let head = Checkpoint { origin, size, root: Digest(root) };
            let opened = Checkpoint::open(&head.sign(&key), &key.public());
            if head.origin.is_empty() || head.origin.contains('\n') {
                prop_assert_eq!(opened, Err(NoteError::Malformed));
            } else {
                prop_assert_eq!(opened, Ok(head));
            }
        }
    }

    #[test]
    fn one_spelling_only() {
        let key = SigningKey::from_seed(&[3; 32]);
        let head = Checkpoint { origin: "ii-0/trace/x".to_owned(), size: 12, root: Digest::of(b"r") };
        assert_eq!(Checkpoint::open(&head.sign(&key), &key.public()), Ok(head.clone()));
        for body in [
            head.body().replace("12", "012"),
            head.body().replace("12", "+12"),
            head.body().replace("12", "18446744073709551616"),
            head.body().replace("=\n", "\n"),
            head.body().replacen('\n', "\n\n", 1),
            format!("{}extension\n", head.body()),
            head.body().replace("ii-0/trace/x", ""),
            head.body().trim_end().to_owned(),
        ] {
            assert_eq!(Checkpoint::parse(&body), None, "{body:?}");
            assert_eq!(Checkpoint::open(&note::sign(&body, &key), &key.public()), Err(NoteError::Malformed));
        }
    }
}
