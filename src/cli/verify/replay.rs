//! Steps on record run again: what each gives, held against what the receipt's trace committed to.
//!
//! **Invariant:** nothing is written, no model and no server is asked, and no component gets a file, a host or a variable.

mod attempt;
mod component;
mod found;

use std::{collections::BTreeMap, time::Instant};

use agent_runtime::{home::Home, journal::Reader};
use common_ground::{AttemptNumber, RunId, module::Module};
use receipts::{
    BenefitClass, Digest,
    bundle::{self, Bundle},
    dsse::Envelope,
    statement::{Predicate, Statement},
    verify::Verification,
};
use serde_json::{Value, json};

use super::{Case, makers::Makers};
use crate::{
    cli::{Program, runs},
    config::Config,
    exit::{Exit, Failure},
    progress::Progress,
};
use attempt::Bench;
use found::Attempted;

/// What running a run's steps again came to.
pub(super) struct Replayed {
    /// By module; a line where nothing of one could be repeated.
    modules: BTreeMap<String, Result<Vec<Attempted>, String>>,
}

/// What replaying is done with.
struct Stage<'a> {
    reader: &'a Reader,
    home: &'a Home,
    config: Config,
    progress: Progress,
    began: Instant,
    done: u64,
    total: u64,
    makers: Makers,
}

/// What is not a run on record has no contents to run anything on.
pub(super) fn needs_a_run(what: &str) -> Failure {
    let what = format!("{what} holds digests and none of the contents that steps ran on");
    Failure::new(Exit::Usage, what, "name the run where it is on record: `ii verify RUN --replay`")
}

/// Runs again what can be of the modules that these receipts are of.
///
/// # Errors
/// A journal that cannot be read, settings that make no sense.
pub(super) async fn check(
    program: &Program,
    case: &Case,
    found: &mut BTreeMap<String, Verification>,
) -> Result<Replayed, Failure> {
    let (Some(id), Some(reader)) = (case.run, runs::reader(program)) else { return Err(needs_a_run("this")) };
    let (config, _) = program.settings(&[])?;
    let mut stage = Stage {
        reader: &reader,
        home: &program.home,
        config,
        progress: Progress::new(program.json),
        began: Instant::now(),
        done: 0,
        total: 0,
        makers: Makers::default(),
    };
    let mut of = BTreeMap::new();
    for (name, bundle) in case.bundles.iter().filter(|(name, _)| is_of_a_module(found, name)) {
        let by = stage.makers.of(&reader, id, name).await?;
        stage.total += by.and_then(|by| stage.makers.module(by, name)).map_or(0, |(_, _, module)| steps(module));
        of.insert(name.clone(), (bundle, by));
    }
    let mut modules = BTreeMap::new();
    for (name, (bundle, by)) in of {
        let Some(one) = found.get_mut(&name) else { continue };
        let replayed = stage.replay(&name, bundle, one, by).await?;
        if replayed
            .as_ref()
            .is_ok_and(|all| all.iter().all(|attempt| attempt.holds(true)) && all.iter().any(Attempted::matched))
        {
            one.made.push("every step that can be repeated was, and gives what the trace has");
        }
        modules.insert(name, replayed);
    }
    stage.progress.clear();
    Ok(Replayed { modules })
}

fn is_of_a_module(found: &BTreeMap<String, Verification>, name: &str) -> bool {
    found.get(name).is_some_and(|one| one.class != Some(BenefitClass::DataCuration))
}

fn steps(module: &Module) -> u64 {
    module.attempts.iter().map(|attempt| attempt.steps.len() as u64).sum()
}

impl Stage<'_> {
    async fn replay(
        &mut self,
        name: &str,
        bundle: &Bundle,
        one: &Verification,
        by: Option<RunId>,
    ) -> Result<Result<Vec<Attempted>, String>, Failure> {
        let Some(by) = by else {
            return Ok(Err("the run that accepted it was deleted, and with it the key of its trace".to_owned()));
        };
        let Some(head) = &one.head else { return Ok(Err("its receipt does not hold".to_owned())) };
        let Self { reader, home, config, progress, began, done, total, makers } = self;
        let Some((run, id, module)) = makers.module(by, name) else {
            return Ok(Err("its run's facts name no such module".to_owned()));
        };
        let earlier = earlier(bundle);
        let mut attempts = Vec::with_capacity(module.attempts.len());
        let mut bench = Bench::new(reader, (home, config), run, (id, module))?;
        let mut step = || {
            *done += 1;
            progress.repeating(*done, *total, *began);
        };
        for attempt in &module.attempts {
            let is_last = module.attempt().is_some_and(|last| last.number == attempt.number);
            let signed = if is_last { Some((head.size, head.root)) } else { earlier.get(&attempt.number).copied() };
            attempts.push(bench.attempt(attempt, signed, &mut step).await?);
        }
        Ok(Ok(attempts))
    }
}

/// Size and root of the attempts before the accepted one, as the receipt names them.
pub(super) fn earlier(bundle: &Bundle) -> BTreeMap<AttemptNumber, (u64, Digest)> {
    let envelope = bundle.0.get(bundle::RECEIPT).and_then(|bytes| Envelope::parse(bytes).ok());
    let statement = envelope.and_then(|envelope| Statement::<Predicate>::parse(&envelope.payload).ok());
    let earlier = statement.into_iter().flat_map(|statement| statement.predicate.earlier);
    let place = |number: u64| u32::try_from(number).ok().map(AttemptNumber);
    earlier.filter_map(|one| Some((place(one.attempt.0)?, (one.size.0, one.root)))).collect()
}

impl Replayed {
    /// Whether nothing differs; `strict`: and nothing that is repeatable could not be repeated.
    pub(super) fn holds(&self, strict: bool) -> bool {
        self.modules.values().all(|module| match module {
            Ok(attempts) => attempts.iter().all(|attempt| attempt.holds(strict)),
            Err(_nothing) => !strict,
        })
    }

    /// For people.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = vec!["steps run again".to_owned()];
        for (name, module) in &self.modules {
            match module {
                Ok(attempts) => lines.extend(attempts.iter().flat_map(|attempt| attempt.lines(name))),
                Err(why) => lines.push(format!("COULD NOT BE REPEATED  {name}: {why}")),
            }
        }
        lines
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let modules = self.modules.iter().map(|(name, module)| match module {
            Ok(attempts) => {
                let attempts: Vec<Value> = attempts.iter().map(Attempted::json).collect();
                json!({"module": name, "attempts": attempts})
            }
            Err(why) => json!({"module": name, "attempts": [], "reason": why}),
        });
        json!({"holds": self.holds(false), "complete": self.holds(true), "modules": modules.collect::<Vec<_>>()})
    }
}
