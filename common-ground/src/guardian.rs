//! What a guardian may ask for, and who must have signed it: charters and orders, as the edge read and verified them.
//!
//! Signatures are checked before a value of this module exists ([`Signed::by`] holds keys whose signatures verified); what a
//! signature is good for is decided in the core, by [`crate::decide()`].
//!
//! **Invariant:** no charter, no effect: an order is carried out only under a charter that the run's person signed.

use std::collections::{BTreeMap, BTreeSet};

use receipts::{Digest, PublicKey};
use serde::{Deserialize, Serialize};

use crate::{
    grant::Item,
    id::{ApprovalId, Millis, ModuleId, RunId},
};

/// What a guardian can ask for, without its particulars: what charters allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActKind {
    /// Stand still.
    Pause,
    /// Go on.
    Resume,
    /// Be given up.
    Cancel,
    /// Something granted is forbidden from now on.
    Revoke,
    /// A tool is not called any more.
    Quarantine,
    /// Nothing new is begun; then stand still.
    Drain,
    /// A question gets its answer.
    Answer,
}

impl ActKind {
    /// Every kind, in order.
    pub const ALL: [Self; 7] =
        [Self::Pause, Self::Resume, Self::Cancel, Self::Revoke, Self::Quarantine, Self::Drain, Self::Answer];

    /// Its name in charters.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Cancel => "cancel",
            Self::Revoke => "revoke",
            Self::Quarantine => "quarantine",
            Self::Drain => "drain",
            Self::Answer => "answer",
        }
    }

    /// The kind of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Exactly what is to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case", deny_unknown_fields)]
pub enum Act {
    /// Stand still, until somebody with authority lets it go on or this many milliseconds are over.
    Pause {
        /// The longest it stands still; none for as long as nobody says otherwise.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        most_ms: Option<u64>,
    },
    /// Go on.
    Resume,
    /// Give up.
    Cancel,
    /// Forbid this from now on, whatever grants and approvals say.
    Revoke {
        /// What.
        item: Item,
    },
    /// Use this no more.
    Quarantine(Suspect),
    /// Begin nothing new, then stand still.
    Drain,
    /// Answer a question: a permission for this one call, a required verdict for its module.
    Answer {
        /// Which question.
        approval: ApprovalId,
        /// What is said.
        says: Says,
    },
}

/// What a run uses no more, from an order on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Suspect {
    /// A tool, by its name: it is not called.
    Tool(String),
    /// A model, by its id: it is not asked. A run one of whose roles has it stands still.
    Model(String),
    /// A skill, by its name: it is not read.
    Skill(String),
}

impl std::fmt::Display for Suspect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tool(name) => write!(f, "tool {name}"),
            Self::Model(id) => write!(f, "model {id}"),
            Self::Skill(name) => write!(f, "skill {name}"),
        }
    }
}

/// A guardian's answer to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Says {
    /// Go on.
    Yes,
    /// Do not.
    No,
}

impl Act {
    /// Its kind.
    pub fn kind(&self) -> ActKind {
        match self {
            Self::Pause { .. } => ActKind::Pause,
            Self::Resume => ActKind::Resume,
            Self::Cancel => ActKind::Cancel,
            Self::Revoke { .. } => ActKind::Revoke,
            Self::Quarantine(_) => ActKind::Quarantine,
            Self::Drain => ActKind::Drain,
            Self::Answer { .. } => ActKind::Answer,
        }
    }
}

/// Which runs a charter speaks of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "runs", rename_all = "snake_case", deny_unknown_fields)]
pub enum Scope {
    /// All of its person.
    Every,
    /// Those that answer from this collection.
    Collection {
        /// Its name.
        name: String,
    },
    /// This one.
    One {
        /// Which.
        run: RunId,
    },
}

/// What a guardian may have done by itself: no more than a pause that ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// The rule whose concern calls for it.
    pub rule: String,
    /// The longest pause, in milliseconds.
    pub most_ms: u64,
}

/// What a guardian is, what it watches and what it may ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Charter {
    /// Its name, for people.
    pub name: String,
    /// Its identity.
    pub guardian: PublicKey,
    /// Grows with each charter of the same guardian.
    pub version: u64,
    /// Which runs.
    pub scope: Scope,
    /// Rules it watches by, each with its threshold; none for all with their usual ones.
    pub rules: BTreeMap<String, u64>,
    /// What orders under it may do.
    pub acts: BTreeSet<ActKind>,
    /// Those of them that need `quorum` signatures.
    pub critical: BTreeSet<ActKind>,
    /// Who may sign orders.
    pub persons: BTreeSet<PublicKey>,
    /// Signatures that a critical act needs.
    pub quorum: u32,
    /// What it may have done by its own signature.
    pub standing: Vec<Standing>,
    /// Logs whose heads it may cosign as their witness, by origin.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub cosigns: BTreeSet<String>,
    /// From when.
    pub not_before: Millis,
    /// Until when.
    pub not_after: Millis,
}

/// One act on one target, once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// Id of the charter it is under.
    pub charter: Digest,
    /// What is to be done.
    pub act: Act,
    /// In which run.
    pub run: RunId,
    /// To which module; none for the run itself.
    pub module: Option<ModuleId>,
    /// The rule that calls for it, where it is carried out under a standing order.
    pub rule: Option<String>,
    /// From when.
    pub not_before: Millis,
    /// Until when.
    pub not_after: Millis,
    /// What makes it differ from any other.
    pub nonce: Digest,
}

/// What was signed, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed<T> {
    /// What.
    pub terms: T,
    /// Keys whose signatures verified: all that the text names, at least one.
    pub by: BTreeSet<PublicKey>,
}

/// A charter or an order as it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presented<T> {
    /// SHA-256 of what is signed; of the bytes where nothing can be read.
    pub id: Digest,
    /// SHA-256 of the bytes, which are kept as content.
    pub envelope: Digest,
    /// What it says.
    pub said: Result<Signed<T>, Defect>,
}

/// Why nothing can be made of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// Not of this form.
    Malformed,
    /// A key that it names did not sign it.
    BadSignature,
}

/// Why a charter is not registered. The one before it stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CharterRefusal {
    /// Not a charter.
    #[error("it is no charter")]
    Malformed,
    /// A key that it names did not sign it.
    #[error("a signature on it does not verify")]
    BadSignature,
    /// Its guardian signed it.
    #[error("a guardian cannot charter itself")]
    SelfSigned,
    /// Another than the run's person signed it.
    #[error("it is not signed by the person whose run this is")]
    Unauthorised,
    /// Its guardian, or one who may sign orders under it, works in the run.
    #[error("one of its keys has another job in this run")]
    SharedKey,
    /// Its time is over or has not come.
    #[error("its time is over or has not come")]
    Expired,
    /// A newer one is registered.
    #[error("a charter of this guardian with this version or a newer one is registered")]
    Superseded,
    /// Fewer persons than signatures wanted, or none wanted.
    #[error("its quorum can never be met, or asks for nobody")]
    Quorum,
    /// It speaks of other runs.
    #[error("it speaks of other runs")]
    WrongScope,
    /// The run is over.
    #[error("the run is over")]
    Over,
}

/// Why an order is not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case", deny_unknown_fields)]
pub enum OrderRefusal {
    /// Not an order.
    #[error("it is no order")]
    Malformed,
    /// A key that it names did not sign it.
    #[error("a signature on it does not verify")]
    BadSignature,
    /// Carried out before.
    #[error("it was carried out before")]
    Replayed,
    /// Another run, no such module, or an act that has no such target.
    #[error("it is for another target")]
    WrongTarget,
    /// Its charter is not registered in the run, or a newer one took its place.
    #[error("its charter is not registered in this run")]
    NoCharter,
    /// Its charter's time is over or has not come.
    #[error("the time of its charter is over or has not come")]
    CharterExpired,
    /// Its own time is over.
    #[error("its time is over")]
    Expired,
    /// Its own time has not come.
    #[error("its time has not come")]
    NotYet,
    /// The guardian signed it by itself, and no standing order of its charter says that it may.
    #[error("the guardian signed it itself, and no standing order covers it")]
    SelfSigned,
    /// Somebody signed it whom the charter does not name.
    #[error("a key signed it that its charter does not name")]
    Unauthorised,
    /// A critical act with too few signatures.
    #[error("it needs {need} signatures and has {have}")]
    TooFew {
        /// Signatures it has.
        have: u32,
        /// Signatures it needs.
        need: u32,
    },
    /// Its charter does not allow the act, or not for so long.
    #[error("its charter does not allow this act")]
    WrongScope,
    /// There is nothing to do it to: the run is not paused, the module is over, the question has its answer.
    #[error("there is nothing now that it could be done to")]
    NotNow,
}

/// A charter in force in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// Its id.
    pub id: Digest,
    /// What it says.
    pub terms: Charter,
}

/// An order that concerned an attempt while it was open: a leaf of its trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderLeaf {
    /// Its id.
    pub order: Digest,
    /// What was to be done; none where nothing could be read.
    pub act: Option<ActKind>,
    /// Who signed it first, in the order of keys; none where nothing could be read.
    pub by: Option<PublicKey>,
    /// Why it was not carried out; none where it was.
    pub refused: Option<OrderRefusal>,
}

/// Whether modules wait for a verdict before their first tool call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequiredVerdict {
    /// No.
    #[default]
    None,
    /// Each module waits for the person, or for an order, before its first tool call.
    Tools,
}
