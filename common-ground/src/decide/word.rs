//! Saying something to one module, and hearing it: once an attempt, in order, before a step that was not begun.

use receipts::Digest;

use crate::{
    command::Ctx,
    fact::Fact,
    id::{ModuleId, StepIndex},
    module::Owner,
    refusal::{Refusal, Wanted},
    run::{Phase, Run},
};

/// A module that is over hears nothing any more; one that waits hears it when it goes on.
pub(super) fn tell(run: &Run, id: ModuleId, text: Digest, ctx: &Ctx) -> Result<Vec<Fact>, Refusal> {
    if matches!(run.phase, Phase::Closed { .. }) {
        return Err(Refusal::NotOpen);
    }
    if super::module(run, id)?.life.is_over() {
        return Err(Refusal::NotNow { module: id, wanted: Wanted::Live });
    }
    Ok(vec![Fact::ModuleTold { module: id, text, by: ctx.by }])
}

/// Only an attempt hears, only what it has not heard, in the order in which it was said. A step that is on record was made
/// without it, so that making it again from the record would be another request.
pub(super) fn hear(run: &Run, owner: Owner, step: StepIndex, words: &[Digest]) -> Result<Vec<Fact>, Refusal> {
    super::at_work(run)?;
    let Owner::Attempt { module: id, attempt, epoch } = owner else { return Err(Refusal::WrongStep { step }) };
    let lease = super::leased(run, id, epoch)?;
    let module = super::module(run, id)?;
    let next = module.attempt().filter(|open| open.number == attempt).map(|open| open.steps.len());
    if lease.attempt != attempt || next != Some(step.0 as usize) {
        return Err(Refusal::WrongStep { step });
    }
    let said = module.unheard().iter().map(|word| word.text).take(words.len());
    if words.is_empty() || !said.eq(words.iter().copied()) {
        return Err(Refusal::NotSaid { module: id });
    }
    Ok(vec![Fact::WordsHeard { owner, step, words: words.to_vec() }])
}
