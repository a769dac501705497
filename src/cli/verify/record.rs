//! What the journal has of a run, held against its receipts: the tree of each attempt, and the contents that its facts name.
//! Nothing is run again: that is `--replay`.
//!
//! **Invariant:** nothing is written.

use std::collections::{BTreeMap, BTreeSet};

use agent_runtime::{journal::JournalError, signer::trace_of};
use common_ground::module::{Attempt, StepState};
use receipts::{BenefitClass, Digest, verify::Verification};
use serde_json::{Value, json};

use super::{Case, makers::Makers, replay::earlier};
use crate::{
    cli::{Program, runs},
    exit::{Failure, chain},
    failures::from_journal,
};

/// What was found.
#[derive(Default)]
pub(super) struct Record {
    /// Attempts whose facts give the tree that was signed.
    attempts: u64,
    /// Contents that are as their digests say.
    contents: u64,
    /// Contents that are not kept, or were lost.
    gone: u64,
    altered: Vec<Altered>,
    /// Modules and attempts that nothing can be said of, and why.
    untold: Vec<(String, String)>,
}

/// What is not as it was signed.
struct Altered {
    module: String,
    attempt: u32,
    what: What,
}

enum What {
    /// The facts give another root.
    Facts { signed: Digest, found: Digest },
    /// The receipt names no such attempt.
    Unnamed,
    /// A content has other bytes than its digest is of.
    Content(Digest),
}

/// Holds the record of a run against its receipts; none where they are not of a run on record.
pub(super) async fn check(
    program: &Program,
    case: &Case,
    found: &mut BTreeMap<String, Verification>,
) -> Result<Option<Record>, Failure> {
    let (Some(id), Some(reader)) = (case.run, runs::reader(program)) else { return Ok(None) };
    let (mut record, mut makers) = (Record::default(), Makers::default());
    for (name, bundle) in &case.bundles {
        let Some(one) = found.get_mut(name).filter(|one| one.class != Some(BenefitClass::DataCuration)) else {
            continue;
        };
        // Of a receipt that does not hold there is nothing to hold the record against.
        let Some(head) = &one.head else { continue };
        let last = (head.size, head.root);
        let earlier = earlier(bundle);
        let Some(by) = makers.of(&reader, id, name).await? else {
            let why = "the run that accepted it was deleted, and with it the key of its trace";
            record.untold.push((name.clone(), why.to_owned()));
            continue;
        };
        let Some((run, module_id, module)) = makers.module(by, name) else { continue };
        let before = (record.altered.len(), record.untold.len());
        for attempt in &module.attempts {
            let is_last = module.attempt().is_some_and(|last| last.number == attempt.number);
            let signed = if is_last { Some(last) } else { earlier.get(&attempt.number).copied() };
            let altered = |what| Altered { module: name.clone(), attempt: attempt.number.0, what };
            let key =
                reader.attempt_key(by, module_id, attempt.number.0).await.map_err(|error| from_journal(&error))?;
            let built = key.map(|key| trace_of(run, module_id, attempt.number, &key));
            let untold = |why: String| (name.clone(), format!("attempt {}: {why}", attempt.number.0));
            match (built, signed) {
                (None, _) => {
                    record.untold.push(untold("its key is gone, without which its entries cannot be told".to_owned()))
                }
                (Some(Err(error)), _) => record.untold.push(untold(chain(&error))),
                (Some(Ok(_)), None) => record.altered.push(altered(What::Unnamed)),
                (Some(Ok(trace)), Some(signed)) if signed == (trace.size(), trace.root()) => record.attempts += 1,
                (Some(Ok(trace)), Some((_size, signed))) => {
                    record.altered.push(altered(What::Facts { signed, found: trace.root() }));
                }
            }
            for digest in named(attempt) {
                match reader.blob(digest).await {
                    Ok(Some(_as_it_was)) => record.contents += 1,
                    Ok(None) => record.gone += 1,
                    Err(JournalError::Damaged(_)) => record.altered.push(altered(What::Content(digest))),
                    Err(error) => return Err(from_journal(&error)),
                }
            }
        }
        if before == (record.altered.len(), record.untold.len()) {
            one.made.push("what is on record gives the trees that were signed, and its contents are as they were");
        }
    }
    Ok(Some(record))
}

/// The contents that an attempt's facts name.
fn named(attempt: &Attempt) -> BTreeSet<Digest> {
    let steps = attempt.steps.iter().flat_map(|step| match &step.state {
        StepState::Started => Vec::new(),
        StepState::Finished { response, traced, .. } => {
            traced.iter().map(|traced| traced.record).chain([*response]).collect()
        }
    });
    steps.chain(attempt.deliverable).collect()
}

impl Record {
    /// Whether nothing on record is other than it was signed; `strict`: and all of it could be told.
    pub fn holds(&self, strict: bool) -> bool {
        self.altered.is_empty() && (self.untold.is_empty() || !strict)
    }

    /// What speaks against the record, or could not be told, for people.
    pub fn lines(&self) -> Vec<String> {
        let altered = self.altered.iter().map(|Altered { module, attempt, what }| {
            let what = match what {
                What::Facts { signed, found } => format!("the journal gives the root {found}, and {signed} was signed"),
                What::Unnamed => "the receipt names no such attempt".to_owned(),
                What::Content(digest) => format!("the bytes of content {digest} are others"),
            };
            format!("ALTERED  {module}, attempt {attempt}: {what}")
        });
        let untold = self.untold.iter().map(|(module, why)| format!("NOT TOLD  {module}: {why}"));
        altered.chain(untold).collect()
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let altered = self.altered.iter().map(|Altered { module, attempt, what }| match what {
            What::Facts { signed, found } => {
                json!({"module": module, "attempt": attempt, "what": "facts", "signed": signed, "found": found})
            }
            What::Unnamed => json!({"module": module, "attempt": attempt, "what": "unnamed"}),
            What::Content(digest) => {
                json!({"module": module, "attempt": attempt, "what": "content", "content": digest})
            }
        });
        let untold = self.untold.iter().map(|(module, why)| json!({"module": module, "reason": why}));
        json!({"holds": self.holds(false), "attempts": self.attempts, "contents": self.contents, "contents_not_kept": self.gone,
            "altered": altered.collect::<Vec<_>>(), "untold": untold.collect::<Vec<_>>()})
    }
}
