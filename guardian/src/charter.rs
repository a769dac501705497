//! Charters as files: what a guardian is, what it watches and what it may ask for, signed by the person.
//!
//! `charter.intoto.json` is a DSSE envelope over an in-toto statement whose subject is the guardian's key.

use std::collections::{BTreeMap, BTreeSet};

use common_ground::{
    Millis, RunId,
    guardian::{ActKind, Charter, Presented, Scope, Standing},
};
use receipts::{
    Digest, PublicKey,
    integer::Decimal,
    keys::key_id,
    timestamp::{format_millis, parse_millis},
};
use serde::{Deserialize, Serialize};

use crate::signed::{self, Form, Unwritable};

/// The predicate type.
pub const PREDICATE: &str = "https://ii.example/guardian/charter/v1";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct WireStanding {
    most_ms: Decimal,
    rule: String,
}

/// Neither for all runs.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireScope {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    collection: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run: Option<RunId>,
}

/// Fields in canonical order.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Wire {
    acts: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    cosigns: Vec<String>,
    critical: Vec<String>,
    guardian: PublicKey,
    name: String,
    not_after: String,
    not_before: String,
    persons: Vec<PublicKey>,
    quorum: Decimal,
    rules: BTreeMap<String, Decimal>,
    scope: WireScope,
    signers: Vec<PublicKey>,
    standing: Vec<WireStanding>,
    version: Decimal,
}

fn names(kinds: &BTreeSet<ActKind>) -> Vec<String> {
    kinds.iter().map(|kind| kind.name().to_owned()).collect()
}

/// Kinds by name; none for a name that is none, or where one is named twice or out of order.
fn kinds(names: &[String]) -> Option<BTreeSet<ActKind>> {
    let kinds: Vec<ActKind> = names.iter().map(|name| ActKind::named(name)).collect::<Option<_>>()?;
    let set: BTreeSet<ActKind> = kinds.iter().copied().collect();
    set.iter().eq(&kinds).then_some(set)
}

/// What is to be signed by each of `signers`, whom the text names.
///
/// # Errors
/// [`Unwritable`].
pub fn payload(charter: &Charter, signers: &BTreeSet<PublicKey>) -> Result<Vec<u8>, Unwritable> {
    let scope = match &charter.scope {
        Scope::Every => WireScope { collection: None, run: None },
        Scope::Collection { name } => WireScope { collection: Some(name.clone()), run: None },
        Scope::One { run } => WireScope { collection: None, run: Some(*run) },
    };
    let standing = charter.standing.iter();
    let wire = Wire {
        acts: names(&charter.acts),
        cosigns: charter.cosigns.iter().cloned().collect(),
        critical: names(&charter.critical),
        guardian: charter.guardian,
        name: charter.name.clone(),
        not_after: format_millis(charter.not_after.0)?,
        not_before: format_millis(charter.not_before.0)?,
        persons: charter.persons.iter().copied().collect(),
        quorum: Decimal(charter.quorum.into()),
        rules: charter.rules.iter().map(|(rule, threshold)| (rule.clone(), Decimal(*threshold))).collect(),
        scope,
        signers: signers.iter().copied().collect(),
        standing: standing.map(|one| WireStanding { most_ms: Decimal(one.most_ms), rule: one.rule.clone() }).collect(),
        version: Decimal(charter.version),
    };
    signed::payload("guardian", key_id(&charter.guardian), PREDICATE, wire, signers.len())
}

impl Form for Wire {
    type Terms = Charter;
    const PREDICATE: &'static str = PREDICATE;
    const SUBJECT: &'static str = "guardian";

    fn signers(&self) -> &[PublicKey] {
        &self.signers
    }

    fn terms(self) -> Option<(Charter, Digest)> {
        let persons: BTreeSet<PublicKey> = self.persons.iter().copied().collect();
        let cosigns: BTreeSet<String> = self.cosigns.iter().cloned().collect();
        let scope = match (self.scope.collection, self.scope.run) {
            (None, None) => Scope::Every,
            (Some(name), None) => Scope::Collection { name },
            (None, Some(run)) => Scope::One { run },
            (Some(_), Some(_)) => return None,
        };
        let standing = self.standing.into_iter();
        let charter = Charter {
            name: self.name,
            guardian: self.guardian,
            version: self.version.0,
            scope,
            rules: self.rules.into_iter().map(|(rule, threshold)| (rule, threshold.0)).collect(),
            acts: kinds(&self.acts)?,
            critical: kinds(&self.critical)?,
            quorum: u32::try_from(self.quorum.0).ok()?,
            standing: standing.map(|one| Standing { rule: one.rule, most_ms: one.most_ms.0 }).collect(),
            cosigns: cosigns.iter().eq(&self.cosigns).then_some(cosigns)?,
            not_before: Millis(parse_millis(&self.not_before).ok()?),
            not_after: Millis(parse_millis(&self.not_after).ok()?),
            persons: persons.iter().eq(&self.persons).then_some(persons)?,
        };
        let subject = key_id(&charter.guardian);
        Some((charter, subject))
    }
}

/// Reads a charter and verifies it: every key that it names as signer signed.
pub fn open(bytes: &[u8]) -> Presented<Charter> {
    signed::open::<Wire>(bytes)
}
