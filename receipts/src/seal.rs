//! Sealing: the facts of an accepted module become a receipt and the files that stand beside it.
//!
//! **Invariant:** a pure function: the same input and keys give the same bytes.
//! **Invariant:** never makes a receipt that every verifier would refuse.

use uuid::Uuid;

use crate::{
    canonical::NotCanonical,
    checkpoint::Checkpoint,
    class::BenefitClass,
    commit::AttemptKey,
    digest::{Digest, PublicKey},
    dsse::{Envelope, IN_TOTO},
    entry::{Entry, OPEN},
    integer::Decimal,
    keys::{SigningKey, key_id},
    note::log_name,
    nullifier::nullifier,
    statement::{
        Actor, Actors, AnchorSet, CorpusHead, Custody, Delegated, Earlier, ModelLevel, ModelUse, ModuleRef, Node,
        PREDICATE, Parent, Policy, Predicate, SPEC, Skill, Statement, TimeSpan, Usage, VerdictRef,
    },
    timestamp::{NotATime, format_millis},
    trace::{Trace, TraceEntry, TraceError},
    verdict::{VerdictError, VerificationResult},
    verify::{Code, refused_by_all},
};

/// A model that was used, in the clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedModel {
    /// Its id, as the trace's calls have it.
    pub id: String,
    /// How its identity is known.
    pub level: ModelLevel,
    /// What serves it.
    pub provider: String,
}

/// Everything a receipt says, in the clear.
#[derive(Clone, Debug)]
pub struct SealInput {
    /// The ledger network.
    pub network: Digest,
    /// Sort of work.
    pub kind: String,
    /// Attempts before this one.
    pub earlier: Vec<Earlier>,
    /// All that happened; the first entry names run, module, attempt, epoch, spec and policy.
    pub entries: Vec<TraceEntry>,
    /// Root of authority.
    pub root: PublicKey,
    /// The principal and its delegation's id.
    pub principal: (PublicKey, Digest),
    /// Id of the associate's delegation.
    pub associate_delegation: Digest,
    /// Names of the criteria, all of which hold.
    pub criteria: Vec<String>,
    /// When the verifier found.
    pub judged_ms: u64,
    /// Receipts of the inputs.
    pub parents: Vec<Parent>,
    /// Corpora.
    pub corpora: Vec<CorpusHead>,
    /// What the policy decided.
    pub policy_decision: String,
    /// Skills.
    pub skills: Vec<Skill>,
    /// Models.
    pub models: Vec<UsedModel>,
    /// Usage.
    pub usage: Usage,
    /// First lease.
    pub start_ms: u64,
    /// Acceptance.
    pub end_ms: u64,
    /// How keys are kept.
    pub custody: Custody,
}

/// The keys that sign.
#[derive(Debug, Clone, Copy)]
pub struct SealKeys<'a> {
    /// Checkpoints.
    pub log: &'a SigningKey,
    /// Signature 1.
    pub associate: &'a SigningKey,
    /// Signature 2.
    pub node: &'a SigningKey,
    /// Verdicts.
    pub verifier: &'a SigningKey,
}

/// A sealed receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// `receipt.intoto.json`.
    pub receipt: Vec<u8>,
    /// Its id.
    pub receipt_id: Digest,
    /// `anchor-set.checkpoint`.
    pub checkpoint: String,
    /// `verdict-0.intoto.json`.
    pub verdict: Vec<u8>,
    /// `disclosure-0.tlog-proof`, which opens run, module, attempt and epoch.
    pub disclosure: String,
    /// What must be credited once only.
    pub nullifier: Digest,
    /// Root of the trace.
    pub root: Digest,
    /// Entries of the trace.
    pub size: u64,
}

/// Why nothing was sealed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The entries are no trace.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// A value does not encode.
    #[error(transparent)]
    Encoding(#[from] NotCanonical),
    /// A time out of range.
    #[error(transparent)]
    Time(#[from] NotATime),
    /// The verdict.
    #[error(transparent)]
    Verdict(#[from] VerdictError),
    /// The trace has no output, so nothing was accepted.
    #[error("the trace has no output")]
    NoOutput,
    /// The last entry does not say that the output was completed.
    #[error("the trace does not end with its output completed")]
    OtherEnd,
    /// Every verifier would refuse the receipt.
    #[error("every verifier would refuse the receipt: {code}")]
    Refused {
        /// By this code.
        code: Code,
    },
    /// The first entry names another associate than the key that signs.
    #[error("the trace names another associate")]
    OtherAssociate,
    /// A model is listed that the trace never called.
    #[error("the trace never called model {id}")]
    UnusedModel {
        /// The model.
        id: String,
    },
}

struct Start {
    run: Uuid,
    module: Uuid,
    attempt: u32,
    epoch: u64,
    policy: Digest,
}

/// Seals an accepted module.
///
/// # Errors
/// [`SealError`].
pub fn seal(input: &SealInput, key: &AttemptKey, keys: &SealKeys<'_>) -> Result<Sealed, SealError> {
    let start = start(&input.entries, &keys.associate.public())?;
    let trace = Trace::new(key, input.entries.clone())?;
    let node_name = log_name(&keys.log.public());
    let checkpoint = Checkpoint {
        origin: format!("{node_name}/trace/{}/{}/{}", start.run, start.module, start.attempt),
        size: trace.size(),
        root: trace.root(),
    };
    let note = checkpoint.sign(keys.log);
    let output = trace.find(|entry| matches!(entry, Entry::Output { .. })).ok_or(SealError::NoOutput)?;
    let deliverable = field(&trace, output, "deliverable").ok_or(SealError::NoOutput)?;
    if !completed(&input.entries) {
        return Err(SealError::OtherEnd);
    }
    let found = VerificationResult {
        verifier: keys.verifier.public(),
        deliverable,
        policy: start.policy,
        criteria: input.criteria.clone(),
        at_ms: input.judged_ms,
    };
    let verdict = found.sign(keys.verifier)?;
    let nullifier = nullifier(&input.network, &input.root, start.run, start.module);
    let predicate = predicate(input, keys, &start, &trace, &checkpoint, nullifier, (deliverable, verdict.id()))?;
    refused_by_all(&predicate, &input.network, &keys.log.public(), input.judged_ms)
        .map_err(|code| SealError::Refused { code })?;
    let subject = Digest::of(checkpoint.body().as_bytes());
    let payload = Statement::about("anchor-set", subject, PREDICATE, predicate).to_bytes()?;
    let receipt = Envelope::sign(IN_TOTO, payload, &[keys.associate, keys.node])?;
    let disclosure = trace.disclose(0, &OPEN, &note)?.ok_or(SealError::Trace(TraceError::Ends))?;
    Ok(Sealed {
        receipt: receipt.to_bytes()?,
        receipt_id: receipt.id(),
        checkpoint: note,
        verdict: verdict.to_bytes()?,
        disclosure: disclosure.to_text(),
        nullifier,
        root: checkpoint.root,
        size: checkpoint.size,
    })
}

fn start(entries: &[TraceEntry], signer: &PublicKey) -> Result<Start, SealError> {
    match entries.first().map(|first| &first.entry) {
        Some(Entry::ModuleStart { run, module, attempt, epoch, associate, policy, .. }) => {
            if associate != signer {
                return Err(SealError::OtherAssociate);
            }
            Ok(Start { run: *run, module: *module, attempt: *attempt, epoch: *epoch, policy: *policy })
        }
        Some(_) | None => Err(SealError::Trace(TraceError::Ends)),
    }
}

/// Whether the last entry says that what was handed in was completed.
fn completed(entries: &[TraceEntry]) -> bool {
    let handed_in = entries.iter().find_map(|entry| match &entry.entry {
        Entry::Output { deliverable } => Some(deliverable),
        Entry::ModuleStart { .. }
        | Entry::ModelCall { .. }
        | Entry::ToolCall { .. }
        | Entry::Input { .. }
        | Entry::Artifact { .. }
        | Entry::Decision { .. }
        | Entry::Error { .. }
        | Entry::ModuleEnd { .. } => None,
    });
    let end = entries.last().map(|last| &last.entry);
    matches!(end, Some(Entry::ModuleEnd { outcome, deliverable }) if outcome == "completed" && Some(deliverable) == handed_in)
}

fn field(trace: &Trace, index: u64, name: &str) -> Option<Digest> {
    trace.record(index)?.fields.get(name).copied()
}

fn predicate(
    input: &SealInput,
    keys: &SealKeys<'_>,
    start: &Start,
    trace: &Trace,
    checkpoint: &Checkpoint,
    nullifier: Digest,
    (deliverable, verdict): (Digest, Digest),
) -> Result<Predicate, SealError> {
    let mut parents = input.parents.clone();
    parents.sort_by_key(|parent| (parent.receipt, parent.rel));
    let mut models = Vec::with_capacity(input.models.len());
    for model in &input.models {
        let call = trace
            .find(|entry| matches!(entry, Entry::ModelCall { model: called, .. } if *called == model.id))
            .and_then(|index| field(trace, index, "model"))
            .ok_or_else(|| SealError::UnusedModel { id: model.id.clone() })?;
        models.push(ModelUse { commitment: call, level: model.level, provider: model.provider.clone() });
    }
    let verdicts = input.criteria.iter().map(|criterion| VerdictRef {
        by: keys.verifier.public(),
        criterion: criterion.clone(),
        deliverable,
        passed: true,
        statement: verdict,
    });
    Ok(Predicate {
        actors: actors(input.root, input.principal, input.associate_delegation, input.custody, keys),
        anchor_set: AnchorSet {
            hash: "sha256".to_owned(),
            leaf: "trace".to_owned(),
            origin: checkpoint.origin.clone(),
            root: checkpoint.root,
            size: Decimal(checkpoint.size),
        },
        benefit_class: BenefitClass::AgentOrchestration,
        corpora: input.corpora.clone(),
        counts: trace.counts().into_iter().map(|(kind, count)| (kind, Decimal(count))).collect(),
        earlier: input.earlier.clone(),
        models,
        module: ModuleRef {
            attempt: Decimal(start.attempt.into()),
            epoch: Decimal(start.epoch),
            kind: input.kind.clone(),
            module_id: start.module,
            run_id: start.run,
            spec_commit: field(trace, 0, "spec").ok_or(SealError::Trace(TraceError::Ends))?,
        },
        network: input.network,
        non_claims: input.custody.non_claims(),
        nullifier,
        parents,
        policy: Policy { decision: input.policy_decision.clone(), digest: start.policy },
        skills: input.skills.clone(),
        spec: SPEC.to_owned(),
        status: "completed".to_owned(),
        time: TimeSpan { end: format_millis(input.end_ms)?, start: format_millis(input.start_ms)? },
        usage: input.usage.clone(),
        verdicts: verdicts.collect(),
    })
}

/// Who acts in a receipt, whatever its class: the root, the principal with its delegation's id, and the associate by its.
pub(crate) fn actors(
    root: PublicKey,
    (principal, given): (PublicKey, Digest),
    passed_on: Digest,
    custody: Custody,
    keys: &SealKeys<'_>,
) -> Actors {
    let (associate, node) = (keys.associate.public(), keys.node.public());
    Actors {
        associate: Delegated { delegation: passed_on, key: associate, keyid: key_id(&associate) },
        custody,
        node: Node { key: node, keyid: key_id(&node), log_origin: log_name(&keys.log.public()) },
        principal: Delegated { delegation: given, key: principal, keyid: key_id(&principal) },
        root: Actor { key: root, keyid: key_id(&root) },
    }
}
