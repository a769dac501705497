//! Evidence that signers contradicted themselves: two things that they signed and that cannot both be true, in one file that
//! anybody can check who has nothing else.
//!
//! The file is canonical JSON: `{"kind":"heads","one","other","v":"1","vkey"}` with two signed notes and the verifier key of the
//! log, or `{"kind":"blocks","one","other","v":"1","validators"}` with two certified blocks and who certifies them.
//!
//! **Invariant:** what two honest signers could have signed is no evidence.
//! **Invariant:** the keys come with the file; whose they are is never said by it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::block::{CertificateError, CertifiedBlock};
use crate::{
    canonical::{NotCanonical, canonical},
    checkpoint::Checkpoint,
    cosignature::open_cosigned,
    digest::PublicKey,
    note::parse_vkey,
    trust::Trust,
};

/// The version of the file.
const VERSION: &str = "1";

/// Two things signed by the same keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Evidence {
    /// Heads of one tree.
    Heads {
        /// One signed note.
        one: String,
        /// The other.
        other: String,
        /// Version of the file.
        v: String,
        /// Verifier key of the log that signed both, in C2SP's form.
        vkey: String,
    },
    /// Blocks of one height.
    Blocks {
        /// One block.
        one: Box<CertifiedBlock>,
        /// The other.
        other: Box<CertifiedBlock>,
        /// Version of the file.
        v: String,
        /// Who certifies blocks: 3f+1 keys.
        validators: Vec<PublicKey>,
    },
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The first.
    One,
    /// The second.
    Other,
}

impl std::fmt::Display for Which {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::One => "one",
            Self::Other => "other",
        })
    }
}

/// Why a file proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoEvidence {
    /// Not such a file in its one spelling.
    #[error("it is not evidence in its one spelling")]
    Spelling,
    /// The log's key does not read.
    #[error("`{vkey}` is no verifier key of a log")]
    Key {
        /// The key.
        vkey: String,
    },
    /// A head is none, or the log did not sign it.
    #[error("head `{which}` is not signed by {name}")]
    Unsigned {
        /// Which.
        which: Which,
        /// The log's name.
        name: String,
    },
    /// The heads are of two trees.
    #[error("the heads are of two trees: {one} and {other}")]
    Trees {
        /// Origin of the first.
        one: String,
        /// Origin of the second.
        other: String,
    },
    /// A block is not certified by these validators.
    #[error("block `{which}`: {source}")]
    Uncertified {
        /// Which.
        which: Which,
        /// Why.
        source: CertificateError,
    },
    /// The blocks are of two heights or networks.
    #[error("the blocks are not of one height of one network")]
    Heights,
    /// Both can be true.
    #[error("consistent: {why}")]
    Consistent {
        /// Why.
        why: &'static str,
    },
    /// The keys are not those that the checker trusts.
    #[error("the keys in it are not those of the log or ledger in the trust file")]
    Untrusted,
}

/// What is proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proved {
    /// Who signed both: a log's verifier key, or validators' keys in hex.
    pub signers: Vec<String>,
    /// What they signed twice.
    pub about: String,
    /// What differs, as the first and the second have it.
    pub differs: [String; 2],
    /// Checks made.
    pub made: Vec<&'static str>,
    /// Checks not made, and why.
    pub not_made: Vec<&'static str>,
}

impl Evidence {
    /// That a log signed two heads.
    pub fn of_heads(one: String, other: String, vkey: String) -> Self {
        Self::Heads { one, other, v: VERSION.to_owned(), vkey }
    }

    /// That validators certified two blocks.
    pub fn of_blocks(one: CertifiedBlock, other: CertifiedBlock, validators: Vec<PublicKey>) -> Self {
        Self::Blocks { one: Box::new(one), other: Box::new(other), v: VERSION.to_owned(), validators }
    }

    /// The file.
    ///
    /// # Errors
    /// None in practice; it holds only text.
    pub fn to_bytes(&self) -> Result<Vec<u8>, NotCanonical> {
        canonical(self)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`NoEvidence::Spelling`].
    pub fn parse(bytes: &[u8]) -> Result<Self, NoEvidence> {
        let read: Self = serde_json::from_slice(bytes).map_err(|_shape| NoEvidence::Spelling)?;
        let (Self::Heads { v, .. } | Self::Blocks { v, .. }) = &read;
        let own = v == VERSION && read.to_bytes().is_ok_and(|own| own == bytes);
        if own { Ok(read) } else { Err(NoEvidence::Spelling) }
    }

    /// Checks it. `trust` is whom the checker trusts, where somebody said so: then the keys must be theirs.
    ///
    /// # Errors
    /// [`NoEvidence`].
    pub fn check(&self, trust: Option<&Trust>) -> Result<Proved, NoEvidence> {
        let mut proved = match self {
            Self::Heads { one, other, vkey, .. } => heads(one, other, vkey)?,
            Self::Blocks { one, other, validators, .. } => blocks(one, other, validators)?,
        };
        match trust {
            Some(trust) if self.is_of(trust) => proved.made.push("the keys are those of the trust file"),
            Some(_) => return Err(NoEvidence::Untrusted),
            None => proved.not_made.push("whose keys they are: they came with the file; pin them with --trust"),
        }
        proved.not_made.push("which of the two is true, if any, and why both were signed");
        Ok(proved)
    }

    fn is_of(&self, trust: &Trust) -> bool {
        let ledger = trust.ledger.as_ref();
        match self {
            Self::Heads { vkey, .. } => trust.log.vkey == *vkey || ledger.is_some_and(|ledger| ledger.vkey == *vkey),
            Self::Blocks { validators, .. } => ledger.is_some_and(|ledger| {
                ledger.validators.iter().collect::<BTreeSet<_>>() == validators.iter().collect::<BTreeSet<_>>()
            }),
        }
    }
}

fn heads(one: &str, other: &str, vkey: &str) -> Result<Proved, NoEvidence> {
    let (name, key) = parse_vkey(vkey).ok_or_else(|| NoEvidence::Key { vkey: vkey.to_owned() })?;
    let open = |note: &str, which| {
        let body = open_cosigned(note, &name, &key).ok();
        body.and_then(Checkpoint::parse).ok_or_else(|| NoEvidence::Unsigned { which, name: name.clone() })
    };
    let (first, second) = (open(one, Which::One)?, open(other, Which::Other)?);
    if first.origin != second.origin {
        return Err(NoEvidence::Trees { one: first.origin, other: second.origin });
    }
    // The tree of an attempt or an ingest is sealed once, whole: of those any second head is one too many. A log grows.
    let sealed = ["/trace/", "/curation/"].iter().any(|part| first.origin.starts_with(&format!("{name}{part}")));
    if first == second {
        return Err(NoEvidence::Consistent { why: "it is one head twice" });
    }
    if first.size != second.size && !sealed {
        return Err(NoEvidence::Consistent { why: "a log grows, and heads of two sizes can both be its own" });
    }
    let says = |head: &Checkpoint| format!("size {}, root {}", head.size, head.root);
    Ok(Proved {
        signers: vec![vkey.to_owned()],
        about: format!("the tree {}", first.origin),
        differs: [says(&first), says(&second)],
        made: vec![
            "the key of the log signed both heads",
            "both are heads of the same tree",
            if sealed {
                "such a tree is sealed once, and the heads differ"
            } else {
                "they are of the same size, and their roots differ"
            },
        ],
        not_made: Vec::new(),
    })
}

fn blocks(one: &CertifiedBlock, other: &CertifiedBlock, validators: &[PublicKey]) -> Result<Proved, NoEvidence> {
    for (block, which) in [(one, Which::One), (other, Which::Other)] {
        block.check(validators).map_err(|source| NoEvidence::Uncertified { which, source })?;
    }
    if (one.block.height, one.block.network) != (other.block.height, other.block.network) {
        return Err(NoEvidence::Heights);
    }
    if one.block == other.block {
        return Err(NoEvidence::Consistent { why: "it is one block twice" });
    }
    let voters = |block: &CertifiedBlock| -> BTreeSet<PublicKey> {
        block.certificate.iter().map(|vote| vote.validator).collect()
    };
    let both: Vec<String> = voters(one).intersection(&voters(other)).map(ToString::to_string).collect();
    let says = |block: &CertifiedBlock| {
        let id = block.block.id();
        format!("block {id}, size {}, root {}, time {}", block.block.size.0, block.block.root, block.block.time.0)
    };
    Ok(Proved {
        signers: both,
        about: format!("height {} of network {}", one.block.height.0, one.block.network),
        differs: [says(one), says(other)],
        made: vec![
            "as many of the validators as it takes voted for each block",
            "both are of the same height and network, and differ",
            "the signers named voted for both",
        ],
        not_made: Vec::new(),
    })
}
