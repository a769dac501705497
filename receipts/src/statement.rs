//! The statement of a receipt: in-toto Statement v1 with our predicate, every field typed, none optional by accident.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

use crate::{
    canonical::NotCanonical,
    class::BenefitClass,
    digest::{Digest, PublicKey},
    integer::Decimal,
    presorted,
};

/// in-toto's statement type.
pub const STATEMENT: &str = "https://in-toto.io/Statement/v1";
/// Our predicate type. The domain is a placeholder until one is ours.
pub const PREDICATE: &str = "https://ii.example/pob/agent-orchestration/v1";
/// Version of this predicate.
pub const SPEC: &str = "1.0.0";

/// A statement about things by digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement<P> {
    /// Always [`STATEMENT`].
    #[serde(rename = "_type")]
    pub statement_type: String,
    /// What it says.
    pub predicate: P,
    /// Which predicate.
    #[serde(rename = "predicateType")]
    pub predicate_type: String,
    /// What it is about.
    pub subject: Vec<Subject>,
}

/// A thing by digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// Its digest.
    pub digest: Sha256Digest,
    /// What it is called.
    pub name: String,
}

/// A SHA-256 digest in in-toto's form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sha256Digest {
    /// The digest.
    pub sha256: Digest,
}

impl<P> Statement<P> {
    /// A statement about one thing.
    pub fn about(name: &str, digest: Digest, predicate_type: &str, predicate: P) -> Self {
        Self {
            statement_type: STATEMENT.to_owned(),
            predicate,
            predicate_type: predicate_type.to_owned(),
            subject: vec![Subject { digest: Sha256Digest { sha256: digest }, name: name.to_owned() }],
        }
    }
}

impl<P: Serialize> Statement<P> {
    /// Its canonical bytes.
    ///
    /// # Errors
    /// None in practice; our predicates hold only text.
    pub fn to_bytes(&self) -> Result<Vec<u8>, NotCanonical> {
        let mut bytes = Vec::with_capacity(4096);
        presorted::append(&mut bytes, self)?;
        Ok(bytes)
    }
}

impl<P: Serialize + DeserializeOwned> Statement<P> {
    /// Reads the one spelling.
    ///
    /// # Errors
    /// [`NotCanonical`]; a missing, unknown or wrong field is [`NotCanonical::NotJson`] with its name.
    pub fn parse(bytes: &[u8]) -> Result<Self, NotCanonical> {
        presorted::read(bytes)
    }
}

/// A part of a predicate: every field there, in canonical order, none unknown.
macro_rules! wire {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, rename_all = "camelCase")]
        pub struct $name { $($(#[$field_doc])* pub $field: $type,)* }
    };
}

pub(crate) use wire;

wire!(
    /// What a receipt says.
    Predicate {
        /// Who acted.
        actors: Actors,
        /// The tree of all that happened.
        anchor_set: AnchorSet,
        /// The class of benefit: always [`BenefitClass::AgentOrchestration`].
        benefit_class: BenefitClass,
        /// Corpora that answers came from.
        corpora: Vec<CorpusHead>,
        /// Entries of each kind; all seven always.
        counts: BTreeMap<String, Decimal>,
        /// Attempts before this one.
        earlier: Vec<Earlier>,
        /// Models used.
        models: Vec<ModelUse>,
        /// Which module of which run.
        module: ModuleRef,
        /// The ledger network.
        network: Digest,
        /// What is not claimed.
        non_claims: Vec<String>,
        /// What must be credited once only.
        nullifier: Digest,
        /// Receipts of the modules this one took as input, sorted.
        parents: Vec<Parent>,
        /// The policy in force.
        policy: Policy,
        /// Skills in use.
        skills: Vec<Skill>,
        /// Version of the predicate.
        spec: String,
        /// Always `completed`.
        status: String,
        /// When.
        time: TimeSpan,
        /// What it used.
        usage: Usage,
        /// Findings, one a criterion.
        verdicts: Vec<VerdictRef>,
    }
);

wire!(
    /// Who acted.
    Actors {
        /// Did the work; signature 1.
        associate: Delegated,
        /// How the keys are kept apart.
        custody: Custody,
        /// Signature 2.
        node: Node,
        /// Planned, accepted.
        principal: Delegated,
        /// The root of authority.
        root: Actor,
    }
);

wire!(
    /// A key and its id.
    Actor {
        /// Public key.
        key: PublicKey,
        /// Its id.
        keyid: Digest,
    }
);

wire!(
    /// A key that acts under a delegation.
    Delegated {
        /// SHA-256 of the delegation's pre-authentication encoding.
        delegation: Digest,
        /// Public key.
        key: PublicKey,
        /// Its id.
        keyid: Digest,
    }
);

wire!(
    /// The node and its log.
    Node {
        /// Public key.
        key: PublicKey,
        /// Its id.
        keyid: Digest,
        /// Name of the log key.
        log_origin: String,
    }
);

/// How the keys are kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Custody {
    /// One process holds them all.
    OneProcess,
    /// Two users of one machine.
    TwoUsers,
    /// Two machines.
    TwoHosts,
}

impl Custody {
    /// What a receipt under this custody does not claim, sorted.
    pub fn non_claims(self) -> Vec<String> {
        let all =
            ["completeness-outside-runtime", "key-separation", "model-identity-beyond-level", "output-correctness"];
        let separate = !matches!(self, Self::OneProcess);
        all.iter().filter(|claim| !(separate && **claim == "key-separation")).map(|claim| (*claim).to_owned()).collect()
    }
}

wire!(
    /// Head of a corpus tree.
    CorpusHead {
        /// Its origin.
        origin: String,
        /// Its root.
        root: Digest,
        /// Its size.
        size: Decimal,
    }
);

wire!(
    /// Head of the trace tree, equal to the checkpoint's.
    AnchorSet {
        /// Always `sha256`.
        hash: String,
        /// Always `trace`.
        leaf: String,
        /// Origin.
        origin: String,
        /// Root.
        root: Digest,
        /// Size.
        size: Decimal,
    }
);

wire!(
    /// An attempt that was not accepted.
    Earlier {
        /// Its number.
        attempt: Decimal,
        /// How it ended.
        outcome: String,
        /// Root of its trace.
        root: Digest,
        /// Size of its trace.
        size: Decimal,
    }
);

wire!(
    /// A model in use.
    ModelUse {
        /// The commitment to its id, as the first call of it in the trace has it.
        commitment: Digest,
        /// How its identity is known.
        level: ModelLevel,
        /// What serves it.
        provider: String,
    }
);

/// How a model's identity is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelLevel {
    /// By its own word.
    #[serde(rename = "self")]
    Own,
    /// By a fingerprint.
    Fingerprint,
    /// By its weights' digest.
    Weights,
}

wire!(
    /// Which module.
    ModuleRef {
        /// Which try.
        attempt: Decimal,
        /// Under which lease epoch.
        epoch: Decimal,
        /// The sort of work.
        kind: String,
        /// Id.
        module_id: Uuid,
        /// Id of the run.
        run_id: Uuid,
        /// Commitment to what was asked.
        spec_commit: Digest,
    }
);

wire!(
    /// The receipt of an input.
    Parent {
        /// Its id.
        receipt: Digest,
        /// What it is to this module.
        rel: Relation,
    }
);

/// What a parent is to a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relation {
    /// Its deliverable was handed over.
    Input,
    /// This module is a part of it.
    Splits,
    /// This module joins it with others.
    Joins,
}

wire!(
    /// The policy in force.
    Policy {
        /// What it decided.
        decision: String,
        /// SHA-256 of its canonical form.
        digest: Digest,
    }
);

wire!(
    /// A skill in use.
    Skill {
        /// Digest of the skill.
        digest: Digest,
        /// Name.
        name: String,
    }
);

wire!(
    /// When it happened, by the node's clock.
    TimeSpan {
        /// The attempt ended.
        end: String,
        /// The attempt began.
        start: String,
    }
);

wire!(
    /// What the attempt used.
    Usage {
        /// Millionths of the currency.
        cost_micro: Decimal,
        /// Processor time in milliseconds; 0 when it was not measured.
        cpu_ms: Decimal,
        /// ISO 4217, or `XXX` for none.
        currency: String,
        /// Tokens read.
        tokens_in: Decimal,
        /// Tokens written.
        tokens_out: Decimal,
        /// Tool calls.
        tool_calls: Decimal,
        /// Wall time in milliseconds.
        wall_ms: Decimal,
    }
);

wire!(
    /// A finding and where it is signed.
    VerdictRef {
        /// Who found.
        by: PublicKey,
        /// On what.
        criterion: String,
        /// Commitment to the deliverable.
        deliverable: Digest,
        /// Whether it holds.
        passed: bool,
        /// SHA-256 of the verdict statement's pre-authentication encoding.
        statement: Digest,
    }
);
