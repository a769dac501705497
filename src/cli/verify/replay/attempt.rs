//! One attempt, run again: its trace built from the journal, each repeatable step run on what is on record, each finding of a
//! rule made again.

use std::collections::BTreeMap;

use agent_runtime::{
    driver::ask_alone,
    home::Home,
    journal::{JournalError, Reader},
    models::extractive::{self, Extractive},
    roles::{again::Past, verifier::by_rule},
    signer::trace_of,
};
use common_ground::{
    ModuleId, Run,
    criterion::{Criterion, Verdict},
    module::{Attempt, CallKind, CallOutcome, Module, Step, StepState},
    port::{model::ModelRequest, tool::ToolSpec},
    record::Record,
    repeat::{Means, checkable, repeatable},
};
use receipts::{
    Digest,
    entry::{CallEnd, Entry},
    trace::Trace,
};

use super::{
    component::Components,
    found::{Attempted, Difference, Found, Given, Place, Row, Tree, What, judged},
};
use crate::{
    config::Config,
    exit::{Failure, chain},
    failures::from_journal,
    hands,
};

/// What a module's attempts are run again with.
pub(super) struct Bench<'a> {
    reader: &'a Reader,
    run: &'a Run,
    id: ModuleId,
    module: &'a Module,
    components: Components<'a>,
    /// The words of the tools that the module was granted, as far as they are at hand.
    words: Vec<ToolSpec>,
}

/// A content that the facts name.
#[derive(Debug)]
enum Kept {
    There(Vec<u8>),
    Gone,
    /// Its bytes are not those that the digest is of.
    Altered,
}

/// The contents of one attempt.
#[derive(Debug, Default)]
struct Contents(BTreeMap<Digest, Kept>);

impl Contents {
    fn there(&self, digest: Digest) -> Option<&Vec<u8>> {
        match self.0.get(&digest)? {
            Kept::There(bytes) => Some(bytes),
            Kept::Gone | Kept::Altered => None,
        }
    }

    fn is_altered(&self, digest: Digest) -> bool {
        matches!(self.0.get(&digest), Some(Kept::Altered))
    }
}

/// A call or a finding, at its place in the trace.
struct Placed {
    what: What,
    index: u64,
    given: Given,
    /// The content that its entry names and whose bytes are others.
    altered: Option<Digest>,
}

impl<'a> Bench<'a> {
    /// For one module of a run.
    pub fn new(
        reader: &'a Reader,
        (home, config): (&'a Home, &'a Config),
        run: &'a Run,
        (id, module): (ModuleId, &'a Module),
    ) -> Result<Self, Failure> {
        let words = hands::words(home, config, &module.spec.tools)?;
        Ok(Self { reader, run, id, module, components: Components::new(home, config), words })
    }

    /// Runs an attempt again; `signed` is the size and the root of its tree as the receipt has them. `step` is told of each.
    pub async fn attempt(
        &mut self,
        attempt: &Attempt,
        signed: Option<(u64, Digest)>,
        step: &mut (dyn FnMut() + Send),
    ) -> Result<Attempted, Failure> {
        let unbuilt = |why: String| Attempted { number: attempt.number, tree: Tree::Unbuilt(why), rows: Vec::new() };
        let key = self.reader.attempt_key(self.run.id, self.id, attempt.number.0).await;
        let Some(key) = key.map_err(|error| from_journal(&error))? else {
            return Ok(unbuilt("the key of the attempt is gone, without which its entries cannot be told".to_owned()));
        };
        let trace = match trace_of(self.run, self.id, attempt.number, &key) {
            Ok(trace) => trace,
            Err(error) => return Ok(unbuilt(chain(&error))),
        };
        let contents = self.contents(attempt).await?;
        let placed = self.given(attempt, &trace, &contents, step).await?;
        let tree = tree(&trace, signed, &placed);
        let rows = placed.into_iter().map(|one| row(one, &trace, &tree)).collect();
        Ok(Attempted { number: attempt.number, tree, rows })
    }

    /// Every content that the attempt rests on.
    async fn contents(&self, attempt: &Attempt) -> Result<Contents, Failure> {
        let of = |step: &Step| match &step.state {
            StepState::Started => Vec::new(),
            StepState::Finished { response, traced, .. } => {
                traced.iter().map(|traced| traced.record).chain([*response]).collect()
            }
        };
        let inputs = self.module.spec.inputs.iter().filter_map(|input| self.run.modules.get(&input.module));
        let inputs = inputs.filter_map(|module| module.attempt()?.deliverable);
        let mut contents = Contents::default();
        for digest in attempt.steps.iter().flat_map(of).chain(inputs).chain(attempt.deliverable) {
            let kept = match self.reader.blob(digest).await {
                Ok(Some(bytes)) => Kept::There(bytes),
                Ok(None) => Kept::Gone,
                Err(JournalError::Damaged(_)) => Kept::Altered,
                Err(error) => return Err(from_journal(&error)),
            };
            contents.0.insert(digest, kept);
        }
        Ok(contents)
    }

    /// What each step and each finding of the attempt gives again.
    async fn given(
        &mut self,
        attempt: &Attempt,
        trace: &Trace,
        contents: &Contents,
        step: &mut (dyn FnMut() + Send),
    ) -> Result<Vec<Placed>, Failure> {
        let read = |digest: Digest| contents.there(digest).cloned();
        let words = self.words.clone();
        let spec = |name: &str| words.iter().find(|spec| spec.name == name).cloned();
        let past = Past { run: self.run, module: self.id, attempt: attempt.number, contents: &read, words: &spec };
        let engine_worked = attempt.steps.iter().any(|step| called(step) == extractive::ID);
        let (asked, unbuilt) = if engine_worked { past.asked() } else { (Vec::new(), None) };
        let entries = trace.entries();
        let is_call = |entry: &Entry| matches!(entry, Entry::ModelCall { .. } | Entry::ToolCall { .. });
        let calls = entries.iter().zip(0_u64..).filter(|(entry, _)| is_call(entry));
        let mut placed = Vec::new();
        for ((one, place), (entry, index)) in attempt.steps.iter().zip(0_usize..).zip(calls) {
            let record = record(one, contents);
            let exit = record.as_ref().and_then(|record| record.as_ref().ok()).map(|record| record.exit);
            let given = match repeatable(one, extractive::ID, exit) {
                Err(varies) => Given::Varies(varies),
                Ok(Means::Engine) => match asked.iter().find(|asked| asked.step == place) {
                    Some(asked) => engine(one, &asked.request, entry).await?,
                    None => Given::Not(
                        unbuilt
                            .as_ref()
                            .map_or_else(|| "the answers before it do not lead to it".to_owned(), ToString::to_string),
                    ),
                },
                Ok(Means::Component) => match record {
                    Some(Ok(record)) => {
                        let name = called(one);
                        // Words are those of the component that is there now; its digest says whether it is the same.
                        let arguments = spec(&name).and_then(|spec| past.arguments(place, &spec));
                        let response = response(one).and_then(|digest| contents.there(digest));
                        self.components.again(self.run, self.module, (one, entry), &record, arguments, response).await
                    }
                    Some(Err(why)) => Given::Not(why),
                    None => Given::Not("there is no record of the call".to_owned()),
                },
            };
            let altered = response(one).filter(|digest| contents.is_altered(*digest));
            placed.push(Placed { what: What::Step { step: place, call: called(one) }, index, given, altered });
            step();
        }
        placed.extend(self.findings(attempt, trace, contents));
        Ok(placed)
    }

    /// What the rules find again.
    fn findings(&self, attempt: &Attempt, trace: &Trace, contents: &Contents) -> Vec<Placed> {
        let entries = trace.entries();
        let output = entries.iter().position(|entry| matches!(entry, Entry::Output { .. }));
        let decisions = entries.iter().zip(0_u64..).skip(output.unwrap_or(entries.len()));
        let decisions = decisions.filter(|(entry, _)| matches!(entry, Entry::Decision { .. }));
        let verdicts: &[Verdict] = attempt.judgement.as_ref().map_or(&[], |judgement| &judgement.verdicts);
        let criteria = self.module.spec.criteria.iter().zip(verdicts);
        let deliverable = attempt.deliverable.and_then(|digest| contents.there(digest));
        let altered = attempt.deliverable.filter(|digest| contents.is_altered(*digest));
        let found = criteria.zip(decisions).map(|((criterion, _verdict), (entry, index))| Placed {
            what: What::Verdict { criterion: criterion.name() },
            index,
            given: finding(criterion, deliverable, entry),
            altered,
        });
        found.collect()
    }
}

/// The record of a tool's call, or why there is none; none for a model's.
fn record(step: &Step, contents: &Contents) -> Option<Result<Record, String>> {
    let StepState::Finished { traced: Some(traced), .. } = &step.state else { return None };
    let read = contents.there(traced.record).and_then(|bytes| serde_json::from_slice(bytes).ok());
    Some(read.ok_or_else(|| format!("the record {} of the call cannot be read", traced.record)))
}

fn response(step: &Step) -> Option<Digest> {
    match &step.state {
        StepState::Started => None,
        StepState::Finished { response, .. } => Some(*response),
    }
}

fn called(step: &Step) -> String {
    match &step.call {
        CallKind::Model { model } => model.clone(),
        CallKind::Tool { tool, .. } => tool.clone(),
    }
}

/// How a call ended, as the trace says it.
pub(super) fn end(outcome: CallOutcome) -> CallEnd {
    match outcome {
        CallOutcome::Done => CallEnd::Done,
        CallOutcome::Failed => CallEnd::Failed,
    }
}

/// Asks the engine once more.
async fn engine(step: &Step, asked: &ModelRequest, entry: &Entry) -> Result<Given, Failure> {
    let bytes = serde_json::to_vec(asked).map_err(Failure::internal)?;
    let mut again = entry.clone();
    let Entry::ModelCall { request, response, tokens_in, tokens_out, cost_micro, outcome, .. } = &mut again else {
        return Ok(Given::Not("its entry is not that of a model's call".to_owned()));
    };
    *request = Digest::of(&bytes);
    if *request != step.request {
        return Ok(Given::Asked(again));
    }
    let (answer, used) = ask_alone(&Extractive::new(), asked).await.map_err(Failure::internal)?;
    *response = Digest::of(&serde_json::to_vec(&answer).map_err(Failure::internal)?);
    (*tokens_in, *tokens_out, *cost_micro) = (used.tokens_in, used.tokens_out, 0);
    *outcome = end(answer.outcome());
    Ok(Given::Entry(again))
}

/// Checks a criterion once more.
fn finding(criterion: &Criterion, deliverable: Option<&Vec<u8>>, entry: &Entry) -> Given {
    if let Err(varies) = checkable(criterion) {
        return Given::Varies(varies);
    }
    let found = deliverable.and_then(|deliverable| by_rule(criterion, deliverable));
    let (Some(found), Entry::Decision { subject, by, .. }) = (found, entry) else {
        return Given::Not("the deliverable cannot be read".to_owned());
    };
    let outcome = if found.is_ok() { "passed" } else { "failed" };
    Given::Entry(Entry::Decision {
        subject: subject.clone(),
        outcome: outcome.to_owned(),
        by: *by,
        reason: found.err().unwrap_or_default(),
    })
}

/// Whether the journal gives the signed tree, or would with what steps give again.
fn tree(trace: &Trace, signed: Option<(u64, Digest)>, placed: &[Placed]) -> Tree {
    let (size, root) = (trace.size(), trace.root());
    let Some(signed) = signed else { return Tree::Other { signed: None, found: root } };
    if signed == (size, root) {
        return Tree::Held;
    }
    let other: BTreeMap<u64, Entry> = placed
        .iter()
        .filter_map(|one| match &one.given {
            Given::Entry(entry) | Given::Asked(entry) => Some((one.index, entry.clone())),
            Given::Varies(_) | Given::Not(_) => None,
        })
        .filter(|(index, entry)| usize::try_from(*index).is_ok_and(|at| trace.entries().get(at) != Some(entry)))
        .collect();
    // All of them, then each alone: an altered answer makes what was asked after it look altered too.
    let alone = other.iter().map(|(index, entry)| BTreeMap::from([(*index, entry.clone())]));
    let all = std::iter::once(other.clone()).chain(alone);
    let mends =
        |with: &BTreeMap<u64, Entry>| trace.with(with).is_ok_and(|mended| (mended.size(), mended.root()) == signed);
    match all.into_iter().find(mends) {
        Some(with) => Tree::Mended(with.into_keys().collect()),
        None => Tree::Other { signed: Some(signed.1), found: root },
    }
}

fn row(one: Placed, trace: &Trace, tree: &Tree) -> Row {
    let Placed { what, index, given, altered } = one;
    let entry = usize::try_from(index).ok().and_then(|at| trace.entries().get(at));
    let mut found = match entry {
        Some(entry) => judged(index, entry, given, tree),
        None => Found::Not("it has no entry in the trace".to_owned()),
    };
    if let Some(digest) = altered {
        let difference = Difference {
            field: "content",
            expected: digest.to_string(),
            found: "other bytes".to_owned(),
            place: Place::Journal,
        };
        found = match found {
            Found::Differs(mut differences) => {
                differences.push(difference);
                Found::Differs(differences)
            }
            Found::Matched | Found::Varies(_) | Found::Not(_) => Found::Differs(vec![difference]),
        };
    }
    Row { what, entry: Some(index), found }
}
