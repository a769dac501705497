//! The Verifier finds, criterion by criterion, on a deliverable somebody else made.
//!
//! It sees the criteria, the deliverable and the sources, never the worker's reasoning, and reads every source anew.
//! **Invariant:** a verdict rests on what the commons answer now, not on what the worker recorded.

use std::{collections::BTreeSet, sync::Arc};

use common_ground::{
    AttemptNumber, Epoch, ModuleId, RunId, StepIndex,
    citation::Citation,
    criterion::{Criterion, Verdict},
    deliverable::Deliverable,
    grant::Grant,
    port::{
        index::{Passage, PassageId},
        tool::{StepKey, Tool, ToolCall},
    },
};
use serde::Deserialize;

use super::judge;
use crate::driver::{Desk, Stop};

/// What is to be found on.
pub(crate) struct Examination {
    pub run: RunId,
    pub module: ModuleId,
    pub attempt: AttemptNumber,
    pub epoch: Epoch,
    pub criteria: Vec<Criterion>,
    /// The deliverable's bytes.
    pub deliverable: Vec<u8>,
}

/// One verdict a criterion, in their order. `read` is the tool that opens passages; `desk` is where the Verifier's model
/// is asked.
pub(crate) async fn examine(
    examination: &Examination,
    read: Option<&Arc<dyn Tool>>,
    desk: &mut Desk,
) -> Result<Vec<Verdict>, Stop> {
    let parsed: Result<Deliverable, _> = serde_json::from_slice(&examination.deliverable);
    let mut verdicts = Vec::with_capacity(examination.criteria.len());
    for (criterion, number) in examination.criteria.iter().zip(0_u32..) {
        let found = match (&parsed, criterion) {
            (Ok(deliverable), Criterion::Judged { rubric }) => judge::judge(desk, rubric, deliverable).await?,
            (Ok(deliverable), _) => found(examination, criterion, deliverable, read).await.map(|()| String::new()),
            (Err(error), _) => Err(unreadable(error)),
        };
        let (passed, reason) = match found {
            Ok(reason) => (true, reason),
            Err(reason) => (false, reason),
        };
        verdicts.push(Verdict { criterion: number, passed, reason });
    }
    Ok(verdicts)
}

/// The finding on a criterion that the deliverable alone decides; none for another one.
pub fn by_rule(criterion: &Criterion, deliverable: &[u8]) -> Option<Result<(), String>> {
    let parsed = || serde_json::from_slice::<Deliverable>(deliverable).map_err(|error| unreadable(&error));
    Some(match criterion {
        Criterion::EveryClaimCites => parsed().and_then(|parsed| every_claim_cites(&parsed)),
        Criterion::MinimumSources { count } => parsed().and_then(|parsed| minimum_sources(&parsed, *count)),
        Criterion::AnswerMatchesSchema { schema } => parsed().and_then(|_form| matches_schema(deliverable, schema)),
        Criterion::QuotesVerbatim | Criterion::Judged { .. } => return None,
    })
}

fn unreadable(error: &serde_json::Error) -> String {
    format!("the deliverable cannot be read: {error}")
}

async fn found(
    examination: &Examination,
    criterion: &Criterion,
    deliverable: &Deliverable,
    read: Option<&Arc<dyn Tool>>,
) -> Result<(), String> {
    let Criterion::QuotesVerbatim = criterion else {
        let by_rule = by_rule(criterion, &examination.deliverable);
        return by_rule.unwrap_or_else(|| Err("this criterion needs a model to judge it".to_owned()));
    };
    let mut seen = BTreeSet::new();
    for citation in deliverable.citations() {
        if seen.insert(citation) {
            verbatim(examination, citation, read).await?;
        }
    }
    Ok(())
}

fn every_claim_cites(deliverable: &Deliverable) -> Result<(), String> {
    for (claim, number) in deliverable.claims.iter().zip(1..) {
        if claim.text.trim().is_empty() {
            return Err(format!("claim {number} is empty"));
        }
        if claim.citations.is_empty() {
            return Err(format!("claim {number} cites nothing"));
        }
    }
    Ok(())
}

fn minimum_sources(deliverable: &Deliverable, count: u32) -> Result<(), String> {
    if deliverable.claims.is_empty() {
        return Ok(());
    }
    let different: BTreeSet<_> =
        deliverable.claims.iter().flat_map(|claim| &claim.citations).map(|citation| citation.document).collect();
    if different.len() >= count as usize {
        return Ok(());
    }
    Err(format!("{} different documents are cited and {count} are asked for", different.len()))
}

fn matches_schema(deliverable: &[u8], schema: &str) -> Result<(), String> {
    let schema = serde_json::from_str(schema).map_err(|error| format!("the schema is not JSON: {error}"))?;
    let validator = jsonschema::validator_for(&schema).map_err(|error| format!("the schema is none: {error}"))?;
    let value = serde_json::from_slice(deliverable).map_err(|error| format!("not JSON: {error}"))?;
    match validator.iter_errors(&value).next() {
        None => Ok(()),
        Some(error) => Err(format!("at {:?}: {error}", error.instance_path().to_string())),
    }
}

#[derive(Deserialize)]
struct Read {
    passages: Vec<Passage>,
}

/// Whether the quote stands at its span of the text with that digest, in the document named.
async fn verbatim(examination: &Examination, citation: &Citation, read: Option<&Arc<dyn Tool>>) -> Result<(), String> {
    let at = || format!("{}:{}..{}", citation.path, citation.span.start, citation.span.end);
    let Some(read) = read else { return Err("there is no tool to read sources with".to_owned()) };
    let id = PassageId { text: citation.text, span: citation.span };
    let arguments = serde_json::json!({ "passages": [id] }).to_string();
    let key = StepKey {
        run: examination.run,
        module: examination.module,
        attempt: examination.attempt,
        epoch: examination.epoch,
        step: StepIndex(u32::MAX),
    };
    let call = ToolCall { key, grant: &Grant::default(), allowed: &[], arguments: &arguments };
    let answer = read.call(call).await.answer.map_err(|error| format!("{}: {error}", at()))?;
    let read: Read = serde_json::from_str(&answer).map_err(|error| format!("{}: {error}", at()))?;
    let Some(passage) = read.passages.into_iter().next() else { return Err(format!("{}: not found", at())) };
    if passage.content != citation.quote {
        return Err(format!("{}: the quote is not what stands there", at()));
    }
    let place = (&passage.document, &passage.path, &passage.collection);
    if place != (&citation.document, &citation.path, &citation.collection) {
        return Err(format!("{}: the text belongs to {}", at(), passage.path));
    }
    Ok(())
}
