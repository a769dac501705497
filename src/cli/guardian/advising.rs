//! A model's words on briefs, where the settings name one: each concern is put to it once, and what it said is kept.
//!
//! A model that does not answer, or not in form, takes nothing away: the brief that the rule wrote stands.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use agent_runtime::journal::Reader;
use common_ground::{
    RunId,
    port::model::{Model, ModelError, ModelEvent, ModelRequest},
};
use futures_util::StreamExt;
use guardian::{
    advice::{self, Advice, Witness},
    adviser::Brief,
};

use crate::{
    cli::{Program, runs},
    exit::Failure,
    guardians, models, wiring,
};

/// Concerns that are put to the model at once: the latest, since each costs a call.
pub(super) const MOST: usize = 20;
/// Failures after which the others are not tried.
const ENOUGH: usize = 2;

/// Puts the latest briefs that have no words of the model yet to it, and gives all theirs.
pub(super) async fn advise(program: &Program, by: &str, briefs: &mut [Brief]) -> Result<(), Failure> {
    let (config, _) = program.settings(&[])?;
    let known = guardians::advice(&program.home, by)?;
    briefs.iter_mut().for_each(|brief| brief.advice = known.get(&brief.concern.id).cloned());
    let mut open: Vec<&mut Brief> = briefs.iter_mut().filter(|brief| brief.advice.is_none()).collect();
    let left = open.len().saturating_sub(MOST);
    let open = &mut open[left..];
    if open.is_empty() {
        return Ok(());
    }
    let model = match models::make(by, &program.home, &config).await {
        Ok(model) => model,
        Err(failure) => {
            eprintln!("ii: these briefs are by rule alone: {failure}");
            return Ok(());
        }
    };
    let mut evidence = BTreeMap::new();
    let (count, mut failed) = (open.len(), 0);
    for (brief, number) in open.iter_mut().zip(1..) {
        eprintln!("ii: {by} reads what was found, {number} of {count}");
        match said(program, &model, brief, &mut evidence).await? {
            Ok(advice) => {
                guardians::keep_advice(&program.home, brief.concern.id, &advice)?;
                brief.advice = Some(advice);
            }
            Err(why) => {
                eprintln!("ii: {why}");
                failed += 1;
            }
        }
        if failed == ENOUGH {
            eprintln!("ii: {by} is not asked about the others; `ii models probe {by}` says what it can do");
            break;
        }
    }
    if left > 0 {
        eprintln!("ii: {left} older ones stay by rule alone; --run RUN shows those of one run");
    }
    Ok(())
}

/// Facts of runs as the model may read them, by run and place.
type Evidence = BTreeMap<RunId, BTreeMap<u64, Witness>>;

async fn said(
    program: &Program,
    model: &Arc<dyn Model>,
    brief: &Brief,
    evidence: &mut Evidence,
) -> Result<Result<Advice, String>, Failure> {
    let run = brief.concern.run;
    if let Entry::Vacant(place) = evidence.entry(run) {
        // What a damaged run has to say is what the concern says.
        let facts =
            runs::load(&Reader::at(program.home.clone()), run).await.map(|(facts, _)| facts).unwrap_or_default();
        let facts = facts.iter().map(|placed| (placed.seq, Witness::of(placed.seq, placed.at, &placed.fact)));
        place.insert(facts.collect());
    }
    let facts = evidence.get(&run);
    let witnesses: Vec<Witness> =
        brief.concern.evidence.iter().filter_map(|place| facts?.get(place).cloned()).collect();
    let request = advice::request(model.id(), brief, &witnesses);
    let answer = tokio::time::timeout(wiring::PATIENCE.model, whole(&**model, &request)).await;
    Ok(match answer {
        Ok(Ok(text)) => advice::read(model.id(), &text, brief).map_err(|error| error.to_string()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_elapsed) => Err(format!("{} gave no answer in {} s", model.id(), wiring::PATIENCE.model.as_secs())),
    })
}

/// The text of an answer that came whole.
async fn whole(model: &dyn Model, request: &ModelRequest) -> Result<String, ModelError> {
    let mut stream = model.complete(request);
    let mut text = String::new();
    while let Some(event) = stream.next().await {
        match event? {
            ModelEvent::Text(more) => text.push_str(&more),
            ModelEvent::Done(_) => return Ok(text),
            ModelEvent::Thinking(_) | ModelEvent::Draft { .. } | ModelEvent::Call(_) => {}
        }
    }
    Err(ModelError::Broken { model: request.model.clone(), reason: "the answer broke off".to_owned() })
}
