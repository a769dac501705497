//! What a witness of C2SP's tlog-witness decides: whether a log's new head goes on from the last one it cosigned.
//!
//! The state is one head a log; who keeps it must make it durable before the answer leaves, and let one request in at a
//! time for each log.
//!
//! **Invariant:** never lets a head be cosigned that is smaller than the last, or of which the last is no beginning.

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{
    checkpoint::Checkpoint,
    cosignature::open_cosigned,
    digest::{Digest, PublicKey},
    integer,
    merkle::{MOST_HASHES, check_consistency},
};

/// A log that is watched, by its origin, which is also the name of its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchedLog {
    /// The origin.
    pub origin: String,
    /// The log's key.
    pub key: PublicKey,
}

/// A request to cosign a head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// The size that the log thinks was cosigned last.
    pub old: u64,
    /// The consistency proof from there.
    pub proof: Vec<Digest>,
    /// The new head, a signed note.
    pub note: String,
}

/// Why a head is not cosigned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not a request in its one spelling, or not a checkpoint without extension lines.
    #[error("malformed request")]
    Malformed,
    /// No log of this origin is watched.
    #[error("unknown origin {origin}")]
    UnknownOrigin {
        /// The origin.
        origin: String,
    },
    /// The log's key did not sign.
    #[error("not signed by the key of {origin}")]
    Unsigned {
        /// The origin.
        origin: String,
    },
    /// The old size is larger than the new one.
    #[error("old size {old} is larger than size {new}")]
    Order {
        /// The old size.
        old: u64,
        /// The new size.
        new: u64,
    },
    /// The last head cosigned has another size than the request says, or another root at the same size.
    #[error("the last head cosigned has size {size}")]
    Conflict {
        /// Its size.
        size: u64,
    },
    /// The proof does not show that the last head is a beginning of this one.
    #[error("the consistency proof does not verify")]
    Proof,
}

impl Refusal {
    /// The HTTP status that says it.
    pub fn status(&self) -> u16 {
        match self {
            Self::Malformed | Self::Order { .. } => 400,
            Self::Unsigned { .. } => 403,
            Self::UnknownOrigin { .. } => 404,
            Self::Conflict { .. } => 409,
            Self::Proof => 422,
        }
    }
}

impl AddCheckpoint {
    /// The body of the request.
    pub fn to_text(&self) -> String {
        let mut text = format!("old {}\n", self.old);
        for hash in &self.proof {
            text.push_str(&STANDARD.encode(hash.0));
            text.push('\n');
        }
        text.push('\n');
        text.push_str(&self.note);
        text
    }

    /// Reads the body of a request; `None` for one that would be written otherwise.
    pub fn parse(text: &str) -> Option<Self> {
        let (head, note) = text.split_once("\n\n")?;
        let mut lines = head.split('\n');
        let old = integer::parse(lines.next()?.strip_prefix("old ")?)?;
        let mut proof = Vec::new();
        for line in lines {
            if proof.len() == MOST_HASHES {
                return None;
            }
            proof.push(Digest(STANDARD.decode(line).ok()?.try_into().ok()?));
        }
        let request = Self { old, proof, note: note.to_owned() };
        (request.to_text() == text).then_some(request)
    }

    /// The origin that the new head names, before anything of it is checked.
    pub fn origin(&self) -> &str {
        self.note.split('\n').next().unwrap_or_default()
    }

    /// The head to record and cosign. `log` is the one watched under [`Self::origin`], `last` what was cosigned of it last.
    ///
    /// # Errors
    /// [`Refusal`]; nothing may be signed then.
    pub fn judge(&self, log: Option<&WatchedLog>, last: Option<&Checkpoint>) -> Result<Checkpoint, Refusal> {
        let origin = self.origin().to_owned();
        let Some(log) = log.filter(|log| log.origin == origin) else {
            return Err(Refusal::UnknownOrigin { origin });
        };
        let body = open_cosigned(&self.note, &log.origin, &log.key).map_err(|_refused| Refusal::Unsigned { origin })?;
        let new = Checkpoint::parse(body).ok_or(Refusal::Malformed)?;
        if self.old > new.size {
            return Err(Refusal::Order { old: self.old, new: new.size });
        }
        let size = last.map_or(0, |last| last.size);
        if self.old != size {
            return Err(Refusal::Conflict { size });
        }
        // Every tree goes on from the empty one, so there is nothing to prove; but the empty tree has one root.
        let Some(last) = last.filter(|last| last.size > 0) else {
            let fits = self.proof.is_empty() && (new.size > 0 || new.root == Digest::of(b""));
            return if fits { Ok(new) } else { Err(Refusal::Proof) };
        };
        if last.size == new.size && last.root != new.root {
            return Err(Refusal::Conflict { size });
        }
        check_consistency((last.size, last.root), (new.size, new.root), &self.proof)
            .map_err(|_wrong| Refusal::Proof)?;
        Ok(new)
    }
}

#[cfg(test)]
mod tests {
    use super::{AddCheckpoint, Refusal, WatchedLog};
    use crate::{
        checkpoint::Checkpoint,
        digest::Digest,
        keys::SigningKey,
        merkle::{MOST_HASHES, Tree, leaf_hash},
        note::log_name,
    };

    fn key() -> SigningKey {
        SigningKey::from_seed(&[1; 32])
    }

    fn log() -> WatchedLog {
        WatchedLog { origin: log_name(&key().public()), key: key().public() }
    }

    fn tree(size: u64, salt: u8) -> Tree {
        let mut tree = Tree::new();
        (0..size).for_each(|index| tree.push(leaf_hash(&[salt, index as u8])));
        tree
    }

    fn head(tree: &Tree) -> Checkpoint {
        Checkpoint { origin: log().origin, size: tree.size(), root: tree.root() }
    }

    fn request(old: u64, tree: &Tree) -> AddCheckpoint {
        let proof = tree.consistency(old).unwrap_or_default();
        AddCheckpoint { old, proof, note: head(tree).sign(&key()) }
    }

    #[test]
    fn a_head_that_goes_on_is_cosigned_and_no_other() {
        let (three, seven, fork) = (tree(3, 0), tree(7, 0), tree(7, 1));
        let judge = |request: AddCheckpoint, last: Option<&Checkpoint>| request.judge(Some(&log()), last);
        assert_eq!(judge(request(0, &three), None), Ok(head(&three)));
        let last = Some(&head(&three));
        assert_eq!(judge(request(3, &seven), last), Ok(head(&seven)));
        assert_eq!(judge(request(3, &three), last), Ok(head(&three)), "the same again");
        assert_eq!(judge(request(3, &fork), last), Err(Refusal::Proof));
        assert_eq!(judge(request(0, &seven), last), Err(Refusal::Conflict { size: 3 }));
        assert_eq!(judge(request(2, &seven), last), Err(Refusal::Conflict { size: 3 }));
        assert_eq!(judge(request(3, &tree(3, 1)), last), Err(Refusal::Conflict { size: 3 }), "another root");
        assert_eq!(judge(request(2, &tree(2, 0)), last), Err(Refusal::Conflict { size: 3 }), "a rollback");
        assert_eq!(judge(request(3, &tree(2, 0)), last), Err(Refusal::Order { old: 3, new: 2 }));
        let proved = AddCheckpoint { proof: vec![Digest::of(b"")], ..request(0, &three) };
        assert_eq!(judge(proved, None), Err(Refusal::Proof), "a proof from nothing");
        let mut long = request(3, &seven);
        long.proof.push(Digest::of(b""));
        assert_eq!(judge(long, last), Err(Refusal::Proof));
    }

    #[test]
    fn the_empty_tree_has_one_root() {
        let empty = request(0, &Tree::new());
        assert_eq!(empty.judge(Some(&log()), None), Ok(head(&Tree::new())));
        let wrong = Checkpoint { root: Digest::of(b"x"), ..head(&Tree::new()) };
        let wrong = AddCheckpoint { old: 0, proof: Vec::new(), note: wrong.sign(&key()) };
        assert_eq!(wrong.judge(Some(&log()), None), Err(Refusal::Proof));
        assert_eq!(request(0, &tree(2, 0)).judge(Some(&log()), Some(&head(&Tree::new()))), Ok(head(&tree(2, 0))));
    }

    #[test]
    fn who_did_not_sign_is_refused() {
        let other = SigningKey::from_seed(&[2; 32]);
        let forged = AddCheckpoint { note: head(&tree(3, 0)).sign(&other), ..request(0, &tree(3, 0)) };
        assert_eq!(forged.judge(Some(&log()), None), Err(Refusal::Unsigned { origin: log().origin }));
        let unknown = request(0, &tree(3, 0));
        assert_eq!(unknown.judge(None, None), Err(Refusal::UnknownOrigin { origin: log().origin }));
        let elsewhere = WatchedLog { origin: "elsewhere".to_owned(), ..log() };
        assert_eq!(unknown.judge(Some(&elsewhere), None), Err(Refusal::UnknownOrigin { origin: log().origin }));
        let extended = crate::note::sign(&format!("{}more\n", head(&tree(3, 0)).body()), &key());
        let extended = AddCheckpoint { note: extended, ..request(0, &tree(3, 0)) };
        assert_eq!(extended.judge(Some(&log()), None), Err(Refusal::Malformed));
    }

    #[test]
    fn a_request_has_one_spelling() {
        let good = request(3, &tree(7, 0));
        let text = good.to_text();
        assert_eq!(AddCheckpoint::parse(&text), Some(good.clone()));
        for wrong in [
            text.replacen("old 3", "old 03", 1),
            text.replacen("old 3", "Old 3", 1),
            text.replacen("old 3\n", "", 1),
            text.replacen("=\n", "\n", 1),
            text.replacen("old 3\n", "old 3\nAAAA\n", 1),
            String::new(),
        ] {
            assert_eq!(AddCheckpoint::parse(&wrong), None, "{wrong:?}");
        }
        let most = AddCheckpoint { proof: vec![Digest::of(b""); MOST_HASHES], ..good.clone() };
        assert_eq!(AddCheckpoint::parse(&most.to_text()), Some(most));
        let more = AddCheckpoint { proof: vec![Digest::of(b""); MOST_HASHES + 1], ..good };
        assert_eq!(AddCheckpoint::parse(&more.to_text()), None);
    }
}
