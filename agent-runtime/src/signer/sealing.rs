//! From the facts of an accepted module to its sealed receipt.
//!
//! **Invariant:** what is sealed is read from facts, attempt keys and identities alone: no clock, no randomness.

use common_ground::{
    AttemptNumber, ModuleId,
    criterion::Criterion,
    fork::Origin,
    guardian::OrderLeaf,
    module::{
        Attempt, AttemptEnd, CallKind, CallOutcome, EndReason, Life, Module, ModuleKind, Step, StepState, WorkError,
    },
    run::{Run, Skill},
};
use receipts::{
    Digest, PublicKey,
    bundle::{self, Bundle},
    canonical::{NotCanonical, canonical},
    commit::AttemptKey,
    entry::{CallEnd, Entry},
    integer::Decimal,
    seal::{SealError as CoreError, SealInput, SealKeys, Sealed, UsedModel, seal},
    statement::{CorpusHead, Custody, Earlier, ModelLevel, Parent, Relation, Skill as UsedSkill, Usage},
    trace::{Trace, TraceEntry},
};
use serde_json::Value;

use super::Signer;
use crate::{
    driver::request_digest,
    journal::ReceiptRow,
    skills::{READ, body_request},
};

/// Why a module could not be sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The facts do not bear out a receipt; a fault of the program.
    #[error("module {module} cannot be sealed: {why}")]
    Facts {
        /// The module.
        module: ModuleId,
        /// What is missing.
        why: &'static str,
    },
    /// The secret of an attempt is gone.
    #[error("the key of attempt {attempt} of module {module} is missing", attempt = .attempt.0)]
    AttemptKey {
        /// The module.
        module: ModuleId,
        /// The attempt.
        attempt: AttemptNumber,
    },
    /// The associate's key is no longer in the home.
    #[error("the key of associate {0} is not in the home")]
    NoAssociate(PublicKey),
    /// The receipt could not be made.
    #[error(transparent)]
    Core(#[from] CoreError),
    /// A value does not encode.
    #[error(transparent)]
    Encoding(#[from] NotCanonical),
    /// A value is no JSON.
    #[error("encoding failed")]
    Json(#[from] serde_json::Error),
    /// A trace could not be built.
    #[error(transparent)]
    Trace(#[from] receipts::trace::TraceError),
}

impl Signer {
    /// Seals the module, which every criterion holds of and which is about to be accepted.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn seal<'k>(
        &self,
        run: &Run,
        id: ModuleId,
        keys: impl Fn(AttemptNumber) -> Option<&'k [u8; 32]>,
    ) -> Result<ReceiptRow, SealError> {
        let missing = |why| SealError::Facts { module: id, why };
        let module = run.modules.get(&id).ok_or(missing("no such module"))?;
        let attempt = module.attempt().ok_or(missing("no attempt"))?;
        let key_of = |number: AttemptNumber| {
            keys(number).map(|key| AttemptKey::new(*key)).ok_or(SealError::AttemptKey { module: id, attempt: number })
        };
        let (associate, link) = self
            .associates
            .iter()
            .find(|(key, _)| key.public() == attempt.lease.associate)
            .ok_or(SealError::NoAssociate(attempt.lease.associate))?;
        let mut earlier = Vec::new();
        for before in module.attempts.iter().filter(|before| before.number != attempt.number) {
            let trace = Trace::new(&key_of(before.number)?, entries(run, id, module, before)?)?;
            earlier.push(Earlier {
                attempt: Decimal(before.number.0.into()),
                outcome: ending(&before.end).0.to_owned(),
                root: trace.root(),
                size: Decimal(trace.size()),
            });
        }
        let judgement = attempt.judgement.as_ref().ok_or(missing("not judged"))?;
        let input = SealInput {
            network: self.network,
            kind: kind(module.spec.kind).to_owned(),
            earlier,
            entries: entries(run, id, module, attempt)?,
            root: self.root,
            principal: (self.principal.public(), self.principal_link.id),
            associate_delegation: link.id,
            criteria: module.spec.criteria.iter().map(|criterion| criterion.name().to_owned()).collect(),
            judged_ms: judgement.at.0,
            parents: parents(run, module),
            corpora: corpora(run),
            policy_decision: "allow".to_owned(),
            skills: skills(run, attempt),
            models: models(attempt),
            usage: usage(run, attempt, judgement.at.since(attempt.started)),
            start_ms: attempt.started.0,
            end_ms: judgement.at.0,
            custody: Custody::OneProcess,
        };
        let seal_keys = SealKeys { log: &self.log, associate, node: &self.node, verifier: &self.verifier };
        let sealed = seal(&input, &key_of(attempt.number)?, &seal_keys)?;
        let bundle = bundle_files(&sealed, [&self.principal_link.bytes, &link.bytes]);
        Ok(ReceiptRow {
            module: id,
            receipt_id: sealed.receipt_id,
            nullifier: sealed.nullifier,
            bundle: bundle_of(&bundle)?,
        })
    }
}

/// The trace of one attempt at a module, from its facts and the attempt's key: of an accepted one, what its receipt's tree is
/// made of; of one before it, what the receipt names among the earlier ones.
///
/// # Errors
/// [`SealError`].
pub fn trace_of(run: &Run, id: ModuleId, number: AttemptNumber, key: &[u8; 32]) -> Result<Trace, SealError> {
    let missing = |why| SealError::Facts { module: id, why };
    let module = run.modules.get(&id).ok_or(missing("no such module"))?;
    let attempt = module.attempts.iter().find(|attempt| attempt.number == number).ok_or(missing("no such attempt"))?;
    Ok(Trace::new(&AttemptKey::new(*key), entries(run, id, module, attempt)?)?)
}

pub(super) fn bundle_files(sealed: &Sealed, delegations: [&Vec<u8>; 2]) -> Bundle {
    let mut files = Bundle::default();
    let mut add = |name: String, bytes: Vec<u8>| files.0.insert(name, bytes);
    add(bundle::RECEIPT.to_owned(), sealed.receipt.clone());
    add(bundle::CHECKPOINT.to_owned(), sealed.checkpoint.clone().into_bytes());
    add(bundle::disclosure(0), sealed.disclosure.clone().into_bytes());
    add(bundle::verdict(0), sealed.verdict.clone());
    for (bytes, number) in delegations.into_iter().zip(0..) {
        add(bundle::delegation(number), bytes.clone());
    }
    files
}

/// A bundle as the journal keeps it: each name and length on a line, then the files' bytes in that order.
///
/// # Errors
/// None in practice.
pub fn bundle_of(bundle: &Bundle) -> Result<Vec<u8>, SealError> {
    let index: Vec<(&String, usize)> = bundle.0.iter().map(|(name, bytes)| (name, bytes.len())).collect();
    let mut packed = serde_json::to_vec(&index)?;
    packed.push(b'\n');
    for bytes in bundle.0.values() {
        packed.extend_from_slice(bytes);
    }
    Ok(packed)
}

/// The bundle that was packed; `None` for bytes that are none.
pub fn read_bundle(packed: &[u8]) -> Option<Bundle> {
    let end = packed.iter().position(|byte| *byte == b'\n')?;
    let (index, mut rest) = (packed.get(..end)?, packed.get(end + 1..)?);
    let index: Vec<(String, usize)> = serde_json::from_slice(index).ok()?;
    let mut bundle = Bundle::default();
    for (name, length) in index {
        let (bytes, more) = rest.split_at_checked(length)?;
        bundle.0.insert(name, bytes.to_vec());
        rest = more;
    }
    rest.is_empty().then_some(bundle)
}

fn kind(kind: ModuleKind) -> &'static str {
    match kind {
        ModuleKind::Answer => "answer",
        ModuleKind::Merge => "merge",
    }
}

fn parents(run: &Run, module: &Module) -> Vec<Parent> {
    let rel = match module.spec.kind {
        ModuleKind::Answer => Relation::Input,
        ModuleKind::Merge => Relation::Joins,
    };
    let accepted =
        module.spec.inputs.iter().filter_map(|input| match run.modules.get(&input.module).map(|m| &m.life) {
            Some(Life::Accepted { receipt, .. }) => Some(Parent { receipt: *receipt, rel }),
            Some(_) | None => None,
        });
    accepted.collect()
}

fn corpora(run: &Run) -> Vec<CorpusHead> {
    let heads = run.task.corpora.iter();
    heads.map(|head| CorpusHead { origin: head.origin.clone(), root: head.root, size: Decimal(head.size) }).collect()
}

/// The models the attempt called, each once.
fn models(attempt: &Attempt) -> Vec<UsedModel> {
    let mut ids: Vec<&String> = attempt
        .steps
        .iter()
        .filter_map(|step| match &step.call {
            CallKind::Model { model } => Some(model),
            CallKind::Tool { .. } => None,
        })
        .collect();
    ids.sort_unstable();
    ids.dedup();
    let used = |id: &String| UsedModel { id: id.clone(), level: ModelLevel::Own, provider: provider(id).to_owned() };
    ids.into_iter().map(used).collect()
}

/// Who serves a model: what stands before the colon of its id, unless this program runs it itself.
fn provider(id: &str) -> &str {
    match id.split_once(':') {
        Some((provider, _)) if provider != "llama" => provider,
        Some(_) | None => "local",
    }
}

/// The skills whose text the attempt read.
fn skills(run: &Run, attempt: &Attempt) -> Vec<UsedSkill> {
    let read = |skill: &&Skill| {
        let request = request_digest(READ, &body_request(&skill.name));
        let asks =
            |step: &Step| matches!(&step.call, CallKind::Tool { tool, .. } if tool == READ) && step.request == request;
        attempt.steps.iter().any(asks)
    };
    let used = |skill: &Skill| UsedSkill { name: skill.name.clone(), digest: skill.digest };
    run.task.skills.iter().filter(read).map(used).collect()
}

fn usage(run: &Run, attempt: &Attempt, wall_ms: u64) -> Usage {
    let used = attempt.usage();
    Usage {
        cost_micro: Decimal(used.cost_micro),
        cpu_ms: Decimal(0),
        currency: run.task.currency.clone(),
        tokens_in: Decimal(used.tokens_in),
        tokens_out: Decimal(used.tokens_out),
        tool_calls: Decimal(used.tool_calls),
        wall_ms: Decimal(wall_ms),
    }
}

/// How an attempt ended, and the error class when a worker failed.
fn ending(end: &AttemptEnd) -> (&'static str, Option<(&'static str, String)>) {
    match end {
        AttemptEnd::Open | AttemptEnd::Accepted { .. } => ("completed", None),
        AttemptEnd::Ended { reason, .. } => match reason {
            EndReason::Rework { .. } => ("rework", None),
            EndReason::Cancelled => ("cancelled", None),
            EndReason::Failed { error } => ("failed", Some(class(error))),
        },
    }
}

fn class(error: &WorkError) -> (&'static str, String) {
    match error {
        WorkError::Model { detail } => ("model", detail.clone()),
        WorkError::Protocol { detail } => ("protocol", detail.clone()),
        WorkError::Context { need, window } => ("context", format!("{need} of {window} tokens")),
        WorkError::InDoubt { step } => ("in_doubt", step.0.to_string()),
        WorkError::Storage { detail } => ("storage", detail.clone()),
    }
}

/// The trace of one attempt, in the order of RECEIPTS' kinds: start, inputs, calls, output, findings, end.
fn entries(run: &Run, id: ModuleId, module: &Module, attempt: &Attempt) -> Result<Vec<TraceEntry>, SealError> {
    let under = |parent| move |entry| TraceEntry { entry, parent: Some(parent) };
    let start = Entry::ModuleStart {
        run: run.id.0,
        module: id.0,
        attempt: attempt.number.0,
        epoch: attempt.lease.epoch.0,
        spec: committed(&module.spec)?,
        associate: attempt.lease.associate,
        policy: run.task.policy,
    };
    let mut entries = vec![TraceEntry { entry: start, parent: None }];
    for input in &module.spec.inputs {
        if let Some(Life::Accepted { deliverable, .. }) = run.modules.get(&input.module).map(|module| &module.life) {
            entries.push(under(0)(Entry::Input { source: input.module.to_string(), digest: *deliverable }));
        }
    }
    if let Some(origin) = &run.origin {
        entries.push(under(0)(forked(origin, run.roster.person)));
    }
    let mut asked_by = 0;
    let worked = attempt.submitted_after.map_or(attempt.steps.len(), |steps| steps as usize);
    let (work, examination) = attempt.steps.split_at(worked.min(attempt.steps.len()));
    for (step, index) in work.iter().zip(0..) {
        entries.extend(heard(attempt, index).map(under(0)));
        let parent = match &step.call {
            CallKind::Model { .. } => 0,
            CallKind::Tool { .. } => asked_by,
        };
        if matches!(step.call, CallKind::Model { .. }) {
            asked_by = entries.len() as u64;
        }
        entries.push(under(parent)(call(step)?));
    }
    entries.extend(attempt.orders.iter().map(ordered).map(under(0)));
    let (outcome, error) = ending(&attempt.end);
    if let Some((class, detail)) = error {
        entries.push(under(0)(Entry::Error { class: class.to_owned(), detail }));
    }
    if let Some(deliverable) = attempt.deliverable {
        let output = entries.len() as u64;
        entries.push(under(0)(Entry::Output { deliverable }));
        for step in examination {
            entries.push(under(output)(call(step)?));
        }
        if let Some(judgement) = &attempt.judgement {
            for (verdict, criterion) in judgement.verdicts.iter().zip(&module.spec.criteria) {
                entries.push(under(output)(decision(criterion, verdict, judgement.by)));
            }
        }
    }
    let deliverable = attempt.deliverable.unwrap_or(Digest::of(b""));
    entries.push(under(0)(Entry::ModuleEnd { outcome: outcome.to_owned(), deliverable }));
    Ok(entries)
}

/// Where a forked run comes from.
fn forked(origin: &Origin, by: PublicKey) -> Entry {
    Entry::Decision {
        subject: "forked".to_owned(),
        outcome: format!("place {}", origin.place),
        by,
        reason: format!("{} {}", origin.run, origin.link),
    }
}

/// What the person said that was put into the conversation before a step.
fn heard(attempt: &Attempt, step: u32) -> impl Iterator<Item = Entry> {
    let at = attempt.heard.iter().filter(move |heard| heard.step.0 == step);
    at.flat_map(|heard| &heard.words).map(|text| Entry::Input { source: "person".to_owned(), digest: *text })
}

/// An order that concerned the attempt, carried out or refused.
fn ordered(leaf: &OrderLeaf) -> Entry {
    Entry::Decision {
        subject: leaf.act.map_or_else(|| "order".to_owned(), |act| format!("order:{}", act.name())),
        outcome: leaf.refused.map_or_else(|| "executed".to_owned(), |why| format!("refused: {why}")),
        by: leaf.by.unwrap_or(PublicKey([0; 32])),
        reason: leaf.order.to_string(),
    }
}

fn decision(criterion: &Criterion, verdict: &common_ground::criterion::Verdict, by: PublicKey) -> Entry {
    let outcome = if verdict.passed { "passed" } else { "failed" };
    Entry::Decision {
        subject: criterion.name().to_owned(),
        outcome: outcome.to_owned(),
        by,
        reason: verdict.reason.clone(),
    }
}

fn call(step: &Step) -> Result<Entry, SealError> {
    let (outcome, response, usage, traced) = match &step.state {
        StepState::Started => (CallEnd::InDoubt, Digest::of(b""), Default::default(), None),
        StepState::Finished { outcome, response, usage, traced } => {
            let end = match outcome {
                CallOutcome::Done => CallEnd::Done,
                CallOutcome::Failed => CallEnd::Failed,
            };
            (end, *response, *usage, *traced)
        }
    };
    Ok(match &step.call {
        CallKind::Model { model } => Entry::ModelCall {
            model: model.clone(),
            request: step.request,
            response,
            tokens_in: usage.tokens_in,
            tokens_out: usage.tokens_out,
            cost_micro: usage.cost_micro,
            outcome,
        },
        CallKind::Tool { tool, tool_digest, .. } => Entry::ToolCall {
            tool: tool.clone(),
            tool_digest: *tool_digest,
            grant: traced.map_or_else(|| "none".to_owned(), |traced| traced.grant.to_string()),
            args: step.request,
            output: response,
            tier: traced.map_or("none", |traced| traced.tier.name()).to_owned(),
            egress: traced.and_then(|traced| traced.egress).map_or_else(|| "none".to_owned(), |list| list.to_string()),
            usage: committed(&Used { usage, record: traced.map(|traced| traced.record) })?,
            outcome,
        },
    })
}

/// What a tool call used, and the digest of all else on record of it.
#[derive(serde::Serialize)]
struct Used {
    #[serde(flatten)]
    usage: common_ground::module::Usage,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<Digest>,
}

/// A structure as the canonical JSON that is committed to, its integers as decimal text.
fn committed(value: &impl serde::Serialize) -> Result<Vec<u8>, SealError> {
    Ok(canonical(&spelled(serde_json::to_value(value)?))?)
}

fn spelled(value: Value) -> Value {
    match value {
        Value::Number(number) => Value::String(number.to_string()),
        Value::Array(items) => Value::Array(items.into_iter().map(spelled).collect()),
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(|(name, value)| (name, spelled(value))).collect())
        }
        other @ (Value::Null | Value::Bool(_) | Value::String(_)) => other,
    }
}
