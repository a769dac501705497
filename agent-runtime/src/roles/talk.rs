//! What roles and models say to each other: the task a role hands over and the act a model answers with, as JSON.
//!
//! Every model is asked in these words, whichever wire it speaks. Nothing here decides; a role parses once and refuses
//! what does not parse.

use common_ground::{
    deliverable::Deliverable,
    module::{Handover, ModuleKind},
    run::PlanReason,
};
use serde::{Deserialize, Serialize};

/// Name of the act that makes a plan.
pub const PLAN: &str = "plan";
/// Name of the act that hands in a deliverable.
pub const SUBMIT: &str = "submit";

/// What the Principal asks a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanTask {
    /// The person's question.
    pub question: String,
    /// Most modules the plan may have.
    pub max_modules: u32,
}

/// A plan as a model proposes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Why it is so.
    pub reason: PlanReason,
    /// The modules; inputs name earlier ones.
    pub modules: Vec<PlannedModule>,
}

/// One module of a proposed plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedModule {
    /// Its name within the plan.
    pub name: String,
    /// The sort of work.
    pub kind: ModuleKind,
    /// The question, self-contained.
    pub question: String,
    /// Names of modules whose deliverables it needs.
    pub inputs: Vec<String>,
    /// How much of its inputs' work it sees; the conclusions where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handover: Option<Handover>,
}

/// What an Associate asks a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkTask {
    /// The sort of work.
    pub kind: ModuleKind,
    /// The question of the module.
    pub question: String,
    /// Accepted deliverables that are handed over.
    pub inputs: Vec<WorkInput>,
    /// Most different passages to cite.
    pub max_passages: u32,
    /// Most words in all claims together.
    pub max_words: u32,
    /// Fewest different documents to cite in an answer.
    pub min_sources: u32,
    /// Why the last attempt was sent back; empty on the first.
    pub findings: Vec<String>,
}

/// An accepted deliverable that is handed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkInput {
    /// The question it answers.
    pub question: String,
    /// The answer.
    pub deliverable: Deliverable,
}
