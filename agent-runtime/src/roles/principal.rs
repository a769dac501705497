//! The Principal plans: one module, or more when there is a reason on record.
//!
//! What a plan may do is the core's to decide; here a model's plan becomes the command that proposes it.

use std::collections::BTreeMap;

use common_ground::{
    Command, ModuleId,
    module::{Handover, Input, ModuleKind, ModuleSpec},
    port::model::{ModelRequest, Reply, Turn},
    role::Role,
    run::Task,
};

use super::{
    acts,
    talk::{PLAN, Plan, PlanTask},
};
use crate::driver::{Answer, Desk, Stop};

const RULES: &str = "You plan. One agent answers most questions best, so keep one module unless the question has parts \
    that do not need each other's answers or sets things side by side. Each module's question must stand by itself. \
    A split ends in one merge module. Answer by calling plan once.";

/// Most modules a model may plan.
const MOST_MODULES: u32 = 64;
const ANSWER_TOKENS: u64 = 4096;

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The work stopped.
    #[error(transparent)]
    Stop(#[from] Stop),
    /// The model could not be reached or refused.
    #[error("{reason}")]
    Model {
        /// What it said.
        reason: String,
    },
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
    let request = ModelRequest {
        model: desk.model().to_owned(),
        role: Role::Principal,
        turns: vec![Turn::Rules { text: RULES.to_owned() }, Turn::Task { text }],
        tools: vec![acts::plan()],
        reply: Reply::Calls,
        max_tokens: ANSWER_TOKENS,
    };
    let call = match desk.ask(&request).await? {
        Answer::Said { calls, .. } => calls.into_iter().find(|call| call.tool == PLAN),
        Answer::Failed { error } => return Err(PlanError::Model { reason: error.to_string() }),
    };
    let Some(call) = call else { return Err(PlanError::Protocol { reason: "no call of plan".to_owned() }) };
    let plan: Plan =
        serde_json::from_str(&call.arguments).map_err(|error| PlanError::Protocol { reason: error.to_string() })?;
    let modules = specs(task, &plan, ids)?;
    desk.hand_in(Command::Propose { plan: plan.reason, modules }, Vec::new()).await?;
    Ok(())
}

/// The plan's modules with ids, criteria, tools and limits of the task.
fn specs(
    task: &Task,
    plan: &Plan,
    mut ids: impl FnMut() -> Result<ModuleId, Stop>,
) -> Result<Vec<(ModuleId, ModuleSpec)>, PlanError> {
    let mut named: BTreeMap<&str, ModuleId> = BTreeMap::new();
    let mut modules = Vec::with_capacity(plan.modules.len());
    for planned in &plan.modules {
        let unknown = |name: &String| PlanError::Protocol {
            reason: format!("module {} needs {name}, which is no earlier module", planned.name),
        };
        let share = 100_u32.checked_div(u32::try_from(planned.inputs.len()).unwrap_or(u32::MAX)).unwrap_or(0);
        let inputs = planned.inputs.iter().map(|name| {
            let module = *named.get(name.as_str()).ok_or_else(|| unknown(name))?;
            Ok(Input { module, handover: Handover::Conclusions, share })
        });
        let spec = ModuleSpec {
            kind: planned.kind,
            question: planned.question.clone(),
            inputs: inputs.collect::<Result<_, PlanError>>()?,
            criteria: task.criteria.clone(),
            tools: tools(planned.kind),
            limit: task.limit,
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
fn tools(kind: ModuleKind) -> Vec<String> {
    match kind {
        ModuleKind::Answer | ModuleKind::Merge => vec!["commons_search".to_owned(), "commons_read".to_owned()],
    }
}
