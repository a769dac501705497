//! The Principal plans: one module, or more when there is a reason on record.
//!
//! What a plan may do is the core's to decide; here a model's plan becomes the command that proposes it.

use std::collections::BTreeMap;

use common_ground::{
    Command, ModuleId,
    module::{Handover, Input, ModuleKind, ModuleSpec},
    port::model::{Call, ModelRequest, Reply, Turn},
    role::Role,
    run::Task,
};

use super::{
    acts,
    context::answer_tokens,
    faults::{Faults, check, printed},
    passages::{READ, SEARCH},
    pictures,
    prompts::PRINCIPAL,
    talk::{PLAN, Plan, PlanTask},
};
use crate::{
    driver::{Answer, Desk, Stop},
    skills,
};

/// Most modules a model may plan.
const MOST_MODULES: u32 = 64;
const ANSWER_TOKENS: u64 = 4096;

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The work stopped.
    #[error(transparent)]
    Stop(#[from] Stop),
    /// The model's plan makes no sense.
    #[error("the plan cannot be read: {reason}")]
    Protocol {
        /// What is wrong with it.
        reason: String,
    },
}

/// Asks for a plan and proposes it. `ids` makes a new module id each time it is asked.
pub(crate) async fn plan(
    mut desk: Desk,
    task: &Task,
    ids: impl FnMut() -> Result<ModuleId, Stop>,
) -> Result<(), PlanError> {
    let words = PlanTask { question: task.question.clone(), max_modules: MOST_MODULES };
    let text = serde_json::to_string(&words).map_err(Stop::Encoding)?;
    let language = desk.model().is_language_model();
    let rules = if language { rules(&desk, task).await? } else { PRINCIPAL.text.to_owned() };
    let first = [Turn::Rules { text: rules }, Turn::Task { text }];
    let mut request = ModelRequest {
        model: desk.model().id().to_owned(),
        role: Role::Principal,
        turns: first.into_iter().chain(pictures::turn(&desk, task).await?).collect(),
        tools: vec![acts::plan()],
        reply: Reply::Calls,
        max_tokens: answer_tokens(desk.model().window(), ANSWER_TOKENS),
    };
    let mut ids = ids;
    let mut faults = Faults::default();
    let (reason, modules) = loop {
        let answer = desk.ask(&request).await?;
        let (said, why) = match answer {
            Answer::Said { text, calls } => {
                let calls = if calls.is_empty() && language {
                    printed(&text, &request.tools, "printed").into_iter().collect()
                } else {
                    calls
                };
                match read(&calls, &request, language).and_then(|plan| Ok((specs(&desk, task, &plan, &mut ids)?, plan)))
                {
                    Ok((modules, plan)) => break (plan.reason, modules),
                    Err(PlanError::Protocol { reason }) if language => ((text, calls), reason),
                    Err(error) => return Err(error),
                }
            }
            Answer::Failed { error } => ((String::new(), Vec::new()), error.to_string()),
        };
        match faults.add(why) {
            Ok(why) if language => request.turns.extend(shown(said, &why)),
            Ok(reason) => return Err(PlanError::Protocol { reason }),
            Err(error) => return Err(PlanError::Protocol { reason: error.to_string() }),
        }
    };
    desk.hand_in(Command::Propose { plan: reason, modules }, Vec::new()).await?;
    Ok(())
}

/// The role's rules, then the person's and the project's.
async fn rules(desk: &Desk, task: &Task) -> Result<String, Stop> {
    let mut text = PRINCIPAL.text.to_owned();
    for rules in &task.rules {
        text.push_str(&super::handover::own_rules(desk, rules).await?);
    }
    Ok(text)
}

/// The plan in an answer.
fn read(calls: &[Call], request: &ModelRequest, language: bool) -> Result<Plan, PlanError> {
    let protocol = |reason: String| PlanError::Protocol { reason };
    let call = calls.iter().find(|call| call.tool == PLAN).ok_or_else(|| protocol("no call of plan".to_owned()))?;
    if language {
        check(call, &request.tools).map_err(protocol)?;
    }
    serde_json::from_str(&call.arguments).map_err(|error| protocol(error.to_string()))
}

/// A fault as the model is shown it.
fn shown((text, calls): (String, Vec<Call>), why: &str) -> Vec<Turn> {
    if calls.is_empty() {
        let said = (!text.trim().is_empty()).then_some(Turn::Model { text, calls });
        let note = Turn::Task { text: format!("That was no plan: {why}. Answer by calling plan once.") };
        return said.into_iter().chain([note]).collect();
    }
    let answers: Vec<Turn> =
        calls.iter().map(|call| Turn::Tool { call: call.id.clone(), content: why.to_owned(), failed: true }).collect();
    std::iter::once(Turn::Model { text, calls }).chain(answers).collect()
}

/// The plan's modules with ids, criteria, tools and limits of the task.
fn specs(
    desk: &Desk,
    task: &Task,
    plan: &Plan,
    ids: &mut impl FnMut() -> Result<ModuleId, Stop>,
) -> Result<Vec<(ModuleId, ModuleSpec)>, PlanError> {
    let skilled = desk.associates_speak() && !task.skills.is_empty();
    let mut named: BTreeMap<&str, ModuleId> = BTreeMap::new();
    let mut modules = Vec::with_capacity(plan.modules.len());
    for planned in &plan.modules {
        let unknown = |name: &String| PlanError::Protocol {
            reason: format!("module {} needs {name}, which is no earlier module", planned.name),
        };
        let share = 100_u32.checked_div(u32::try_from(planned.inputs.len()).unwrap_or(u32::MAX)).unwrap_or(0);
        let inputs = planned.inputs.iter().map(|name| {
            let module = *named.get(name.as_str()).ok_or_else(|| unknown(name))?;
            Ok(Input { module, handover: planned.handover.unwrap_or(Handover::Conclusions), share })
        });
        let spec = ModuleSpec {
            kind: planned.kind,
            question: planned.question.clone(),
            inputs: inputs.collect::<Result<_, PlanError>>()?,
            criteria: task.criteria.clone(),
            tools: tools(planned.kind, skilled, &task.tools),
            limit: task.limit,
            grant: task.grant.clone(),
        };
        let id = ids()?;
        if named.insert(&planned.name, id).is_some() {
            return Err(PlanError::Protocol { reason: format!("two modules are named {}", planned.name) });
        }
        modules.push((id, spec));
    }
    Ok(modules)
}

/// What a module of this kind is granted.
fn tools(kind: ModuleKind, skilled: bool, more: &[String]) -> Vec<String> {
    let names: &[&str] = match kind {
        ModuleKind::Answer | ModuleKind::Merge => &[SEARCH, READ],
    };
    let skills = skilled.then_some(skills::READ);
    names.iter().copied().chain(skills).chain(more.iter().map(String::as_str)).map(str::to_owned).collect()
}
