//! The statement of a curation: the same envelope as every receipt's, with a predicate of its own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::log::Head;
use crate::{
    class::BenefitClass,
    digest::Digest,
    integer::Decimal,
    statement::{Actors, AnchorSet, Custody, Policy, TimeSpan, VerdictRef, wire},
};

/// Our predicate type. The domain is a placeholder until one is ours.
pub const PREDICATE: &str = "https://ii.example/pob/data-curation/v1";
/// Version of this predicate.
pub(crate) const SPEC: &str = "1.0.0";

wire!(
    /// What a receipt of a curation says.
    CurationPredicate {
        /// Who acted.
        actors: Actors,
        /// The tree over the log.
        anchor_set: AnchorSet,
        /// The class of benefit: always [`BenefitClass::DataCuration`].
        benefit_class: BenefitClass,
        /// Which collection, from which head to which.
        collection: CollectionChange,
        /// Documents by what happened to them; all four always.
        counts: BTreeMap<String, Decimal>,
        /// The ledger network.
        network: Digest,
        /// What is not claimed.
        non_claims: Vec<String>,
        /// What must be credited once only.
        nullifier: Digest,
        /// How documents were read.
        policy: Policy,
        /// Version of the predicate.
        spec: String,
        /// Always `completed`.
        status: String,
        /// From the beginning of the ingest to the verifier's finding.
        time: TimeSpan,
        /// Findings, one a criterion.
        verdicts: Vec<VerdictRef>,
    }
);

wire!(
    /// What an ingest did to a collection.
    CollectionChange {
        /// Its corpus after.
        after: Head,
        /// Its corpus before.
        before: Head,
        /// Origin of its corpus.
        origin: String,
        /// The revision it led to.
        revision: Decimal,
    }
);

/// What a receipt under this custody does not claim, sorted.
pub(crate) fn non_claims(custody: Custody) -> Vec<String> {
    let all = ["key-separation", "licence-beyond-statement", "output-correctness", "source-beyond-bytes-read"];
    let separate = !matches!(custody, Custody::OneProcess);
    all.iter().filter(|claim| !(separate && **claim == "key-separation")).map(|claim| (*claim).to_owned()).collect()
}

/// The origin of the tree over an ingest's log, by the collection's corpus origin; `None` for what is none.
pub(crate) fn origin(collection: &str, revision: u64) -> Option<String> {
    let (node, name) = collection.split_once("/corpus/")?;
    Some(format!("{node}/curation/{name}/{revision}"))
}
