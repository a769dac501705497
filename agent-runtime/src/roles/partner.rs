//! The Partner makes the report from what was accepted.
//!
//! **Invariant:** the report is a pure function of facts and deliverables: no id, time or duration gets in.

use std::collections::BTreeMap;

use common_ground::{
    ModuleId,
    citation::Citation,
    deliverable::Deliverable,
    module::{EndReason, Life},
    report::{Gap, Report, ReportClaim, Section},
    run::{Outcome, Run},
};

/// How the run's modules bear it out.
pub(crate) fn outcome(run: &Run) -> Outcome {
    let mut outcome = Outcome::Completed;
    if run.modules.is_empty() {
        return Outcome::Failed;
    }
    for module in run.modules.values() {
        match &module.life {
            Life::Accepted { .. } => {}
            Life::Failed { reason: EndReason::Failed { .. } } => return Outcome::Failed,
            Life::Failed { reason: EndReason::Rework { .. } | EndReason::Cancelled }
            | Life::Cancelled
            | Life::Proposed
            | Life::Ready(_)
            | Life::Leased(_)
            | Life::Blocked { .. }
            | Life::Submitted { .. }
            | Life::Judged { .. }
            | Life::Paused { .. } => outcome = Outcome::NotAccepted,
        }
    }
    outcome
}

/// The report. `deliverables` holds those of the accepted modules that nothing else takes as input; a module that was
/// not accepted is a gap, and the accepted inputs of a gap are shown in its place.
pub(crate) fn report(run: &Run, deliverables: &BTreeMap<ModuleId, Deliverable>) -> Report {
    let mut report = Report {
        question: run.task.question.clone(),
        answered: false,
        sections: Vec::new(),
        sources: Vec::new(),
        gaps: Vec::new(),
        engine: run.task.models.distinct().join(", "),
        accepted: 0,
    };
    for id in &run.order {
        let Some(module) = run.modules.get(id) else { continue };
        match &module.life {
            Life::Accepted { .. } => report.accepted += 1,
            other => report.gaps.push(Gap { question: module.spec.question.clone(), reason: why(other) }),
        }
    }
    for id in shown(run) {
        if let Some(deliverable) = deliverables.get(&id) {
            section(&mut report, deliverable);
        }
    }
    report.answered = report.sections.iter().any(|section| !section.claims.is_empty());
    report
}

/// Accepted modules whose work shows: those that no other accepted module took as input.
pub(crate) fn shown(run: &Run) -> Vec<ModuleId> {
    let accepted = |id: &ModuleId| matches!(run.modules.get(id).map(|m| &m.life), Some(Life::Accepted { .. }));
    let used: std::collections::BTreeSet<ModuleId> = run
        .modules
        .iter()
        .filter(|(id, _)| accepted(id))
        .flat_map(|(_, module)| module.spec.inputs.iter().map(|input| input.module))
        .collect();
    run.order.iter().copied().filter(|id| accepted(id) && !used.contains(id)).collect()
}

fn section(report: &mut Report, deliverable: &Deliverable) {
    let mut claims = Vec::with_capacity(deliverable.claims.len());
    for claim in &deliverable.claims {
        let sources = claim.citations.iter().map(|citation| source(&mut report.sources, citation)).collect();
        claims.push(ReportClaim { text: claim.text.clone(), sources });
    }
    for citation in &deliverable.also {
        source(&mut report.sources, citation);
    }
    report.sections.push(Section { question: deliverable.question.clone(), claims });
}

/// The number of a source, adding it when it is new.
fn source(sources: &mut Vec<Citation>, citation: &Citation) -> u32 {
    let place = sources.iter().position(|known| known == citation).unwrap_or_else(|| {
        sources.push(citation.clone());
        sources.len() - 1
    });
    u32::try_from(place + 1).unwrap_or(u32::MAX)
}

fn why(life: &Life) -> String {
    match life {
        Life::Failed { reason: EndReason::Rework { findings } } => format!("not accepted: {}", findings.join("; ")),
        Life::Failed { reason: EndReason::Failed { error } } => error.to_string(),
        Life::Failed { reason: EndReason::Cancelled } | Life::Cancelled => "given up".to_owned(),
        Life::Proposed
        | Life::Ready(_)
        | Life::Leased(_)
        | Life::Blocked { .. }
        | Life::Submitted { .. }
        | Life::Judged { .. }
        | Life::Accepted { .. }
        | Life::Paused { .. } => "not finished".to_owned(),
    }
}
