//! Submitting, judging, accepting, sending back.

use receipts::Digest;

use crate::{
    command::Ctx,
    criterion::Verdict,
    fact::Fact,
    id::{Epoch, ModuleId},
    module::{CallKind, CallOutcome, EndReason, Lease, Life, Module, ModuleKind, Step, StepState, WorkError},
    refusal::{Refusal, Wanted},
    run::Run,
};

pub(super) fn submit(run: &Run, id: ModuleId, epoch: Epoch, deliverable: Digest) -> Result<Vec<Fact>, Refusal> {
    super::at_work(run)?;
    let lease = super::leased(run, id, epoch)?;
    evidence(run, id)?;
    Ok(vec![Fact::ModuleSubmitted { module: id, attempt: lease.attempt, deliverable }])
}

/// An answer needs evidence: a tool call that succeeded, where tools were granted at all, or what was handed over.
fn evidence(run: &Run, id: ModuleId) -> Result<(), Refusal> {
    let module = super::module(run, id)?;
    let brought = |step: &Step| {
        matches!(step.call, CallKind::Tool { .. })
            && matches!(step.state, StepState::Finished { outcome: CallOutcome::Done, .. })
    };
    let steps = module.attempt().map_or(&[][..], |attempt| &attempt.steps);
    let needed = match module.spec.kind {
        ModuleKind::Answer => !module.spec.tools.is_empty() && module.spec.inputs.is_empty(),
        ModuleKind::Merge => false,
    };
    if needed && !steps.iter().any(brought) {
        return Err(Refusal::NoEvidence { module: id });
    }
    Ok(())
}

pub(super) fn give_up(run: &Run, id: ModuleId, epoch: Epoch, error: &WorkError) -> Result<Vec<Fact>, Refusal> {
    let lease = super::leased(run, id, epoch)?;
    Ok(end(run, id, lease, EndReason::Failed { error: error.clone() }))
}

pub(super) fn judge(
    run: &Run,
    ctx: &Ctx,
    id: ModuleId,
    epoch: Epoch,
    deliverable: Digest,
    verdicts: &[Verdict],
) -> Result<Vec<Fact>, Refusal> {
    let module = super::module(run, id)?;
    let Life::Submitted { lease, deliverable: submitted } = &module.life else {
        return Err(Refusal::NotNow { module: id, wanted: Wanted::Submitted });
    };
    fresh(id, *lease, epoch)?;
    if *submitted != deliverable {
        return Err(Refusal::OtherDeliverable { module: id });
    }
    covers(id, module, verdicts)?;
    let mut facts = vec![Fact::ModuleJudged {
        module: id,
        attempt: lease.attempt,
        deliverable,
        by: ctx.by,
        verdicts: verdicts.to_vec(),
    }];
    let findings: Vec<String> = verdicts
        .iter()
        .zip(&module.spec.criteria)
        .filter(|(verdict, _)| !verdict.passed)
        .map(|(verdict, criterion)| format!("{}: {}", criterion.name(), verdict.reason))
        .collect();
    if !findings.is_empty() {
        facts.extend(end(run, id, *lease, EndReason::Rework { findings }));
    }
    Ok(facts)
}

/// Each criterion exactly once, in the module's order.
fn covers(id: ModuleId, module: &Module, verdicts: &[Verdict]) -> Result<(), Refusal> {
    let criteria = u32::try_from(module.spec.criteria.len()).unwrap_or(u32::MAX);
    if (0..criteria).eq(verdicts.iter().map(|verdict| verdict.criterion)) {
        Ok(())
    } else {
        Err(Refusal::BadVerdicts { module: id, criteria })
    }
}

fn fresh(id: ModuleId, lease: Lease, epoch: Epoch) -> Result<(), Refusal> {
    if lease.epoch == epoch { Ok(()) } else { Err(Refusal::Stale { module: id, epoch }) }
}

/// Only a judged module, hence one whose every criterion passed on this deliverable, by another than its maker.
pub(super) fn accept(run: &Run, id: ModuleId, epoch: Epoch, receipt: Digest) -> Result<Vec<Fact>, Refusal> {
    let Life::Judged { lease, deliverable } = &super::module(run, id)?.life else {
        return Err(Refusal::NotNow { module: id, wanted: Wanted::Judged });
    };
    fresh(id, *lease, epoch)?;
    Ok(vec![Fact::ModuleAccepted { module: id, attempt: lease.attempt, deliverable: *deliverable, receipt }])
}

/// Ends an attempt; when it was the last, the module is a dead letter and all that need it are given up.
fn end(run: &Run, id: ModuleId, lease: Lease, reason: EndReason) -> Vec<Fact> {
    let mut facts = vec![Fact::AttemptEnded { module: id, attempt: lease.attempt, end: reason.clone() }];
    if lease.attempt.0 >= run.task.attempts {
        facts.push(Fact::ModuleFailed { module: id, end: reason });
        facts.extend(super::run::cancel_dependents(run, id));
    }
    facts
}
