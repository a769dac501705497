//! Verifying a receipt offline: every check, and every check that could not be made.
//!
//! **Invariant:** verify, then parse the verified bytes: nothing of a payload is believed before its signatures are.
//! **Invariant:** a changed byte of any file never verifies.

mod all;
mod authority;
mod believed;
mod claims;
mod code;
mod curation;
mod disclosures;
mod ledger;
mod receipt;
mod verdicts;

use std::collections::BTreeMap;

pub use all::{credited_twice, verify_all};
pub use believed::{Believed, OpenDelegation};
pub use code::Code;
pub use curation::LogCheck;
pub(crate) use curation::curation_refused_by_all;

use claims::{Claiming, Claims};
use ledger::Anchored;

use crate::{
    bundle::{self, Bundle, FileKind},
    checkpoint::Checkpoint,
    class::BenefitClass,
    countersignature::Countersignature,
    curation::CurationPredicate,
    delegation::Delegation,
    digest::{Digest, PublicKey},
    dsse::Envelope,
    ledger::entry::LogEntry,
    statement::{Predicate, Statement, Subject},
    trust::Trust,
};

/// Where the trusted keys came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrustOrigin {
    /// Named by the person who verifies.
    Pinned,
    /// Taken from the folder that is verified, which proves only that it fits itself.
    Folder,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything, with the ledger's evidence.
    Valid,
    /// Everything, by keys that the folder brought itself.
    SelfTrust,
    /// Everything but cosignatures of witnesses.
    Unwitnessed,
    /// Everything but a ledger's evidence.
    Unanchored,
    /// Everything here, but a parent's receipt is not here.
    UnresolvedParent(Digest),
    /// Something does not hold.
    Invalid(Code),
}

impl Outcome {
    /// The result as it is printed.
    pub fn as_text(&self) -> String {
        match self {
            Self::Valid => "VALID".to_owned(),
            Self::SelfTrust => "VALID-SELFTRUST".to_owned(),
            Self::Unwitnessed => "VALID-UNWITNESSED".to_owned(),
            Self::Unanchored => "VALID-UNANCHORED".to_owned(),
            Self::UnresolvedParent(_) => "UNRESOLVED-PARENT".to_owned(),
            Self::Invalid(code) => format!("INVALID({code})"),
        }
    }

    /// Whether it is one of the valid ones.
    pub fn is_valid(&self) -> bool {
        match self {
            Self::Valid | Self::SelfTrust | Self::Unwitnessed | Self::Unanchored => true,
            Self::UnresolvedParent(_) | Self::Invalid(_) => false,
        }
    }
}

/// A finding with all that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// What was found.
    pub outcome: Outcome,
    /// The class of benefit, once its signatures verified.
    pub class: Option<BenefitClass>,
    /// The receipt's id, once its signatures verified.
    pub receipt: Option<Digest>,
    /// Its nullifier, once its signatures verified.
    pub nullifier: Option<Digest>,
    /// Receipts it names as parents.
    pub parents: Vec<Digest>,
    /// The head of its tree, once it is shown to be what the receipt names.
    pub head: Option<Checkpoint>,
    /// Checks made, in order; the last one failed when the outcome is invalid.
    pub made: Vec<&'static str>,
    /// Checks not made, and why.
    pub not_made: Vec<&'static str>,
}

impl Verification {
    fn new() -> Self {
        Self {
            outcome: Outcome::Unanchored,
            class: None,
            receipt: None,
            nullifier: None,
            parents: Vec::new(),
            head: None,
            made: Vec::new(),
            not_made: Vec::new(),
        }
    }

    /// What a ledger reads of it, once its signatures verified.
    fn held(&self) -> Option<Held> {
        Some(Held { receipt: self.receipt?, nullifier: self.nullifier?, class: self.class? })
    }
}

const NO_WITNESSES: &str = "cosignatures of witnesses: there are none here";
const NO_LEDGER: &str = "inclusion in a ledger, and the time by it: there is no ledger evidence here";
const UNTRUSTED_LEDGER: &str =
    "the ledger's evidence that is here: no ledger is trusted; name its keys in the file of --trust";
const NO_BLOCK: &str = "that a block is over the ledger's head: there is none here";
const NOT_DEEP: &str = "that the block stays in the chain: it has fewer blocks after it than are wanted";
const UNKNOWN_BLOCK: &str = "that these blocks are of the chain that others follow: name the last one's id among the blocks of the chain in the file of --trust";
const NOBODY_LOOKS: &str =
    "that no other receipt was anchored for this nullifier: a chain takes what it is paid for and compares nothing";
const CREDITED_ONCE: &str = "that the nullifier was credited once: only a ledger can tell";
const CREDITED_ONCE_BY_ITS_WORD: &str = "that no other receipt was credited for this nullifier: the ledger promises it, and who reads its whole log sees it";
/// Of a curation: what its log would show.
pub const NO_LOG: &str =
    "the documents one by one: their log is not here; who has it hands it over with --log, or discloses single lines";
const NEVER: &str = "that the outputs are right, that nothing happened off the record, that wall clocks are true";

/// Of a receipt with counter-signatures: what counting them would show.
pub const NOT_COUNTED: &str =
    "whose word the counter-signatures are: count those of keys you trust with --countersigned";

/// What was not checked of a ledger, and what never can be.
fn left_open(anchored: Anchored, evidence: bool) -> Vec<&'static str> {
    match anchored {
        Anchored::No if evidence => vec![UNTRUSTED_LEDGER, CREDITED_ONCE, NEVER],
        Anchored::No => vec![NO_WITNESSES, NO_LEDGER, CREDITED_ONCE, NEVER],
        Anchored::Logged => vec![NO_BLOCK, CREDITED_ONCE, NEVER],
        Anchored::Unwitnessed => vec![NO_WITNESSES, CREDITED_ONCE_BY_ITS_WORD, NEVER],
        Anchored::Witnessed => vec![CREDITED_ONCE_BY_ITS_WORD, NEVER],
        Anchored::Mined => vec![NOT_DEEP, NOBODY_LOOKS, NEVER],
        Anchored::Buried => vec![UNKNOWN_BLOCK, NOBODY_LOOKS, NEVER],
        Anchored::Known => vec![NOBODY_LOOKS, NEVER],
    }
}

/// The files of a bundle, sorted out.
struct Files<'a> {
    receipt: &'a [u8],
    checkpoint: &'a str,
    disclosures: BTreeMap<u64, &'a [u8]>,
    delegations: BTreeMap<u64, &'a [u8]>,
    verdicts: BTreeMap<u64, &'a [u8]>,
    logged: Option<&'a [u8]>,
    block: Option<&'a [u8]>,
    anchor: Option<&'a [u8]>,
    multiproof: Option<&'a [u8]>,
    countersignatures: Vec<&'a [u8]>,
}

/// Verifies one module's files. `has_parent` says whether a receipt of this id is at hand and valid.
pub fn verify(
    bundle: &Bundle,
    trust: &Trust,
    origin: TrustOrigin,
    has_parent: &dyn Fn(&Digest) -> bool,
) -> Verification {
    let mut found = Verification::new();
    if origin == TrustOrigin::Folder {
        found.not_made.push("that the keys belong to whom you think: they came with the folder; pin them with --trust");
    }
    let believed = Believed::Trusted(trust);
    let checked =
        check(bundle, &believed, &Delegation::open, &mut found).and_then(|()| anchored(bundle, &believed, &mut found));
    let anchored = match checked {
        Ok(anchored) => anchored,
        Err(code) => {
            found.not_made.extend(left_open(Anchored::No, false));
            found.outcome = Outcome::Invalid(code);
            return found;
        }
    };
    match found.class {
        Some(BenefitClass::DataCuration) => found.not_made.insert(0, NO_LOG),
        Some(BenefitClass::AgentOrchestration | BenefitClass::ComputeInference | BenefitClass::ComputeTraining)
        | None => found.made.push("parents are here and valid"),
    }
    found.outcome = match (found.parents.iter().find(|parent| !has_parent(parent)), origin, anchored) {
        (Some(missing), _, _) => Outcome::UnresolvedParent(*missing),
        (None, TrustOrigin::Folder, _) => Outcome::SelfTrust,
        (None, TrustOrigin::Pinned, Anchored::No | Anchored::Logged | Anchored::Mined) => Outcome::Unanchored,
        (None, TrustOrigin::Pinned, Anchored::Unwitnessed | Anchored::Buried) => Outcome::Unwitnessed,
        (None, TrustOrigin::Pinned, Anchored::Witnessed | Anchored::Known) => Outcome::Valid,
    };
    found
}

/// What a ledger's evidence shows of a receipt that holds.
fn anchored(bundle: &Bundle, believed: &Believed<'_>, found: &mut Verification) -> Result<Anchored, Code> {
    let files = sort(bundle)?;
    let held = found.held().ok_or(Code::MissingReceipt)?;
    if believed.ledger().is_some() && ledger::is_logged(&files) {
        found
            .made
            .push("the receipt lies in the trusted ledger's log, under a head with the cosignatures that are wanted");
    }
    let logged = ledger::check(&files, &held, believed)?;
    if matches!(logged, Anchored::Unwitnessed | Anchored::Witnessed) {
        found.made.push("the trusted ledger's validators certified a block over that head");
    }
    if believed.chain().is_some() && files.anchor.is_some() {
        found.made.push("a transaction in a block of the chain carries the root of a batch with the receipt, by headers with the work that counts");
    }
    let anchored = ledger::check_chain(&files, &held, believed)?.unwrap_or(logged);
    if matches!(anchored, Anchored::Buried | Anchored::Known) {
        found.made.push("as many blocks as are wanted lie over that block");
    }
    if anchored == Anchored::Known {
        found.made.push("the last of them is a block that the trust file names");
    }
    found.not_made.extend(left_open(anchored, ledger::is_there(&files)));
    Ok(anchored)
}

/// What a ledger reads of a receipt that holds in all its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// The receipt's id.
    pub receipt: Digest,
    /// What must be credited once only, computed anew.
    pub nullifier: Digest,
    /// For what.
    pub class: BenefitClass,
}

impl Held {
    /// Its entry in a ledger's log.
    pub fn entry(&self) -> LogEntry {
        LogEntry { receipt: self.receipt, nullifier: self.nullifier, class: self.class }
    }
}

/// Verifies one module's files as [`verify()`] does, but for its parents, which a ledger may not have yet.
///
/// # Errors
/// The first thing that does not hold.
pub fn hold(bundle: &Bundle, believed: &Believed<'_>, open: &OpenDelegation<'_>) -> Result<Held, Code> {
    let mut found = Verification::new();
    check(bundle, believed, open, &mut found)?;
    found.held().ok_or(Code::MissingReceipt)
}

fn check(
    bundle: &Bundle,
    trust: &Believed<'_>,
    open: &OpenDelegation<'_>,
    found: &mut Verification,
) -> Result<(), Code> {
    found.made.push("the files of a receipt are here, and no others");
    let files = sort(bundle)?;
    found.made.push("the receipt is in its one spelling, signed by associate and node");
    let (envelope, class) = receipt::envelope(files.receipt)?;
    match class {
        BenefitClass::DataCuration => curated(&envelope, &files, trust, open, found),
        BenefitClass::AgentOrchestration | BenefitClass::ComputeInference | BenefitClass::ComputeTraining => {
            orchestrated(&envelope, &files, trust, open, found)
        }
    }
}

const FIELDS: &str = "the statement's fields fit each other";
const DISCLOSED: &str = "disclosed entries are in the tree and open to what was committed";

fn orchestrated(
    envelope: &Envelope,
    files: &Files<'_>,
    trust: &Believed<'_>,
    open: &OpenDelegation<'_>,
    found: &mut Verification,
) -> Result<(), Code> {
    let statement: Statement<Predicate> = receipt::open(envelope, trust)?;
    let predicate = &statement.predicate;
    let claims = predicate.claims();
    found.parents = predicate.parents.iter().map(|parent| parent.receipt).collect();
    let checkpoint = headed(envelope, &claims, &statement.subject, files, trust, found)?;
    found.made.push(FIELDS);
    receipt::fields(predicate, trust.network())?;
    found.made.push(DISCLOSED);
    disclosures::check(predicate, files, &checkpoint)?;
    let finding = "a trusted verifier, not the worker, found every criterion to hold of this deliverable";
    accounted(&claims, files, (trust, open), found, finding)
}

fn curated(
    envelope: &Envelope,
    files: &Files<'_>,
    trust: &Believed<'_>,
    open: &OpenDelegation<'_>,
    found: &mut Verification,
) -> Result<(), Code> {
    let statement: Statement<CurationPredicate> = receipt::open(envelope, trust)?;
    let predicate = &statement.predicate;
    let claims = predicate.claims();
    let checkpoint = headed(envelope, &claims, &statement.subject, files, trust, found)?;
    found.made.push(FIELDS);
    curation::fields(predicate, trust.network())?;
    found.made.push(DISCLOSED);
    disclosures::check_curation(predicate, files, &checkpoint)?;
    let finding =
        "a trusted verifier, not the curator, found that the log leads from the corpus before to the one after";
    accounted(&claims, files, (trust, open), found, finding)
}

/// Who gave the authority for the work, and who found that it holds; `finding` says the latter for people.
fn accounted(
    claims: &Claims<'_>,
    files: &Files<'_>,
    (trust, open): (&Believed<'_>, &OpenDelegation<'_>),
    found: &mut Verification,
    finding: &'static str,
) -> Result<(), Code> {
    found.made.push("authority goes from a trusted root to the principal to the associate, for this time and work");
    authority::check(claims, files, open)?;
    found.made.push(finding);
    verdicts::check(claims, files, trust)?;
    if !files.countersignatures.is_empty() {
        found.made.push("counter-signatures are of this receipt, each signed by the key it names");
        found.not_made.push(NOT_COUNTED);
    }
    for bytes in &files.countersignatures {
        let one = Countersignature::open(bytes).map_err(|_refused| Code::Countersignature)?;
        if found.receipt != Some(one.receipt) {
            return Err(Code::CountersignatureReceipt);
        }
    }
    Ok(())
}

/// Notes what a receipt is whose signatures verified, and opens the head of its tree.
fn headed(
    envelope: &Envelope,
    claims: &Claims<'_>,
    subject: &[Subject],
    files: &Files<'_>,
    trust: &Believed<'_>,
    found: &mut Verification,
) -> Result<Checkpoint, Code> {
    found.class = Some(claims.class);
    found.receipt = Some(envelope.id());
    found.nullifier = Some(claims.nullifier);
    found.made.push("the tree head is signed by the log and is what the receipt names");
    let head = receipt::checkpoint(claims, subject, files.checkpoint, trust)?;
    found.head = Some(head.clone());
    Ok(head)
}

/// Why every verifier would refuse a receipt that says this, whomever it trusts: what [`crate::seal`] asks before it signs.
/// `judged_ms` is when the verifier found.
pub(crate) fn refused_by_all(
    predicate: &Predicate,
    network: &Digest,
    log: &PublicKey,
    judged_ms: u64,
) -> Result<(), Code> {
    receipt::apart(&predicate.claims(), log)?;
    receipt::fields(predicate, network)?;
    findings_refused_by_all(&predicate.claims(), judged_ms)
}

/// The same of the findings that receipts of every class name.
fn findings_refused_by_all(claims: &Claims<'_>, judged_ms: u64) -> Result<(), Code> {
    verdicts::references(claims)?;
    let (start, end) = claims.times()?;
    if start <= judged_ms && judged_ms <= end { Ok(()) } else { Err(Code::VerdictTime) }
}

fn sort(bundle: &Bundle) -> Result<Files<'_>, Code> {
    let mut disclosures = BTreeMap::new();
    let mut delegations = BTreeMap::new();
    let mut verdicts = BTreeMap::new();
    let mut countersignatures = Vec::new();
    let (mut logged, mut block, mut anchor, mut multiproof) = (None, None, None, None);
    if bundle.0.len() > bundle::MOST {
        return Err(Code::UnknownFile);
    }
    for (name, bytes) in &bundle.0 {
        match bundle::kind(name).ok_or(Code::UnknownFile)? {
            FileKind::Receipt | FileKind::Checkpoint => {}
            FileKind::Logged => logged = Some(bytes.as_slice()),
            FileKind::Block => block = Some(bytes.as_slice()),
            FileKind::Anchor => anchor = Some(bytes.as_slice()),
            FileKind::Countersignature(_number) => countersignatures.push(bytes.as_slice()),
            FileKind::Multiproof => multiproof = Some(bytes.as_slice()),
            FileKind::Disclosure(index) => drop(disclosures.insert(index, bytes.as_slice())),
            FileKind::Delegation(number) => drop(delegations.insert(number, bytes.as_slice())),
            FileKind::Verdict(number) => drop(verdicts.insert(number, bytes.as_slice())),
        }
    }
    let receipt = bundle.0.get(bundle::RECEIPT).ok_or(Code::MissingReceipt)?;
    let checkpoint = bundle.0.get(bundle::CHECKPOINT).ok_or(Code::MissingCheckpoint)?;
    let checkpoint = std::str::from_utf8(checkpoint).map_err(|_binary| Code::Checkpoint)?;
    Ok(Files {
        receipt,
        checkpoint,
        disclosures,
        delegations,
        verdicts,
        logged,
        block,
        anchor,
        multiproof,
        countersignatures,
    })
}
