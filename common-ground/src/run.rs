//! A run: the task, its roster, its modules and its phase.

use std::collections::{BTreeMap, BTreeSet};

use receipts::{Digest, PublicKey};
use serde::{Deserialize, Serialize};

use crate::{
    approval::{Answer, Approval},
    budget::{Account, Amount, BudgetPart},
    criterion::Criterion,
    fork::Origin,
    grant::{Grant, Item, Policy},
    guardian::{Registered, RequiredVerdict, Suspect},
    id::{ApprovalId, Epoch, Millis, ModuleId, RunId, StepIndex},
    module::{Module, Step, StepState},
    picture::Picture,
    port::index::CorpusHead,
    role::{Role, Roster},
};

/// What the person asked, with everything a later process needs to go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// The question.
    pub question: String,
    /// Name of the commons collection that answers come from.
    pub collection: String,
    /// Names of further collections that answer together with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub further: Vec<String>,
    /// Its heads when the run was opened.
    pub corpora: Vec<CorpusHead>,
    /// Which model plays which role.
    pub models: Models,
    /// What must hold of every module.
    pub criteria: Vec<Criterion>,
    /// The most the whole tree may use.
    pub limit: Amount,
    /// ISO 4217 code of what the limit's money is counted in; `XXX` where nothing has a price.
    pub currency: String,
    /// Wall time in milliseconds after which the run pauses; 0 for none.
    pub wall_ms: u64,
    /// Whether the plan waits for the person before any module starts.
    pub approve_plan: bool,
    /// Modules worked on at once.
    pub parallel: u32,
    /// Attempts a module has.
    pub attempts: u32,
    /// Length of a lease in milliseconds.
    pub lease_ms: u64,
    /// Most passages cited in the report.
    pub max_passages: u32,
    /// Most words of answer in the report.
    pub max_words: u32,
    /// SHA-256 of the canonical policy in force.
    pub policy: Digest,
    /// The person's and the project's own rules, in the order they are read. Fixed when the run is opened.
    pub rules: Vec<Rules>,
    /// Skills on offer. Fixed when the run is opened.
    pub skills: Vec<Skill>,
    /// Pictures that belong to the question, for models that see.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pictures: Vec<Picture>,
    // Runs opened before tools reached outside have none of what follows.
    /// Tools on offer beside those of the commons.
    #[serde(default)]
    pub tools: Vec<String>,
    /// What calls may do without asking.
    #[serde(default)]
    pub grant: Grant,
    /// The person's rules beside it, and what was allowed for good when the run was opened.
    #[serde(default)]
    pub permissions: Policy,
    /// Who is asked what no rule decides.
    #[serde(default)]
    pub asks: Asks,
    // Runs opened before there were guardians have none of what follows.
    /// Whether modules wait for a verdict before their first tool call.
    #[serde(default)]
    pub verdict: RequiredVerdict,
}

/// Who answers questions while a run goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asks {
    /// The person; the module waits.
    Person,
    /// Nobody: what would be asked is refused.
    #[default]
    Nobody,
}

/// Model ids by role. The Partner writes nothing of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Models {
    /// Who plans.
    pub principal: String,
    /// Who works.
    pub associate: String,
    /// Who finds on criteria that need judgement.
    pub verifier: String,
}

impl Models {
    /// One model for all roles.
    pub fn one(id: &str) -> Self {
        Self { principal: id.to_owned(), associate: id.to_owned(), verifier: id.to_owned() }
    }

    /// Whether this is a model that one of the roles has.
    pub fn names(&self, what: &Suspect) -> bool {
        matches!(what, Suspect::Model(id) if self.distinct().contains(&id.as_str()))
    }

    /// Each model once, in the order of the roles.
    pub fn distinct(&self) -> Vec<&str> {
        let mut distinct: Vec<&str> = Vec::new();
        for id in [&self.principal, &self.associate, &self.verifier] {
            if !distinct.contains(&id.as_str()) {
                distinct.push(id);
            }
        }
        distinct
    }
}

/// A file of rules for agents (AGENTS.md) whose text is kept as content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Where it was read, for people.
    pub source: String,
    /// SHA-256 of its bytes.
    pub digest: Digest,
}

/// A skill on offer: a folder with SKILL.md.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skill {
    /// Its name, which is its folder's.
    pub name: String,
    /// What it does and when to use it.
    pub description: String,
    /// SHA-256 of SKILL.md, whose text is kept as content.
    pub digest: Digest,
    /// Its further files by path within the folder, kept as content too.
    pub files: BTreeMap<String, Digest>,
}

/// Why a run stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseReason {
    /// The person interrupted it.
    Interrupt,
    /// Tokens, money, calls or time are used up.
    Budget,
    /// It waits for the person's answer.
    Approval,
    /// A guardian's order.
    Guardian,
    /// A model cannot be reached, or refuses.
    Model,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every module accepted.
    Completed,
    /// A module's deliverables never passed.
    NotAccepted,
    /// A module's worker could not go on.
    Failed,
    /// Refused by policy.
    Refused,
    /// Cancelled by the person.
    Cancelled,
}

/// Where a run is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// At work.
    Open,
    /// Standing still.
    Paused {
        /// Why.
        reason: PauseReason,
    },
    /// Over.
    Closed {
        /// How it ended.
        outcome: Outcome,
        /// SHA-256 of the report, when one was made.
        report: Option<Digest>,
    },
}

/// Everything known of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// What was asked.
    pub task: Task,
    /// Who plays which role.
    pub roster: Roster,
    /// The run that it was forked from, if it was.
    pub origin: Option<Origin>,
    /// When it was opened.
    pub opened: Millis,
    /// Where it is.
    pub phase: Phase,
    /// The budget of the whole tree.
    pub account: Account,
    /// Wall time the run may take, in milliseconds since it was opened; 0 for none.
    pub wall_ms: u64,
    /// Parts of the budget that the person was warned of.
    pub warned: BTreeSet<BudgetPart>,
    /// Why the plan is as it is; empty before the plan.
    pub plan: Vec<PlanReason>,
    /// All modules.
    pub modules: BTreeMap<ModuleId, Module>,
    /// Modules in the order they were proposed.
    pub order: Vec<ModuleId>,
    /// Calls of roles at the level of the run.
    pub role_steps: BTreeMap<Role, Vec<Step>>,
    /// Questions put to the person.
    pub approvals: BTreeMap<ApprovalId, Approval>,
    /// Charters in force, by guardian.
    pub charters: BTreeMap<PublicKey, Registered>,
    /// Ids of the orders that were carried out.
    pub orders: BTreeSet<Digest>,
    /// What is used no more, by order, and since when.
    pub quarantined: BTreeMap<Suspect, Millis>,
    /// When a pause by order ends by itself, while there is one that does.
    pub held_until: Option<Millis>,
    /// Whether nothing new is begun.
    pub draining: bool,
    pub(crate) dependents: BTreeMap<ModuleId, Vec<ModuleId>>,
    pub(crate) ready: BTreeSet<ModuleId>,
    pub(crate) leased: BTreeMap<ModuleId, Epoch>,
    pub(crate) submitted: BTreeSet<ModuleId>,
    pub(crate) judged: BTreeSet<ModuleId>,
    pub(crate) free: BTreeSet<PublicKey>,
    pub(crate) live: usize,
    /// Modules that the plans on record speak of, and those of the latest plan.
    pub(crate) announced: usize,
    pub(crate) latest: usize,
}

impl Run {
    /// What the person allowed in this run that holds for a step of a module, each exactly as it was asked.
    pub fn approved(&self, module: ModuleId, step: StepIndex) -> BTreeSet<Item> {
        self.approvals.values().flat_map(|approval| approval.allows(module, step)).cloned().collect()
    }

    /// What the required verdict on a module says, once there is one.
    pub fn verdict(&self, module: ModuleId) -> Option<&Answer> {
        self.approvals.values().find_map(|approval| approval.verdict_on(module))
    }

    /// Whether a drained run has nothing under way any more.
    pub fn is_drained(&self) -> bool {
        self.draining && self.leased.is_empty() && self.submitted.is_empty() && self.judged.is_empty()
    }

    /// Modules that are not over.
    pub fn live(&self) -> usize {
        self.live
    }

    /// Whether every module is on record that the plans speak of.
    pub(crate) fn is_plan_whole(&self) -> bool {
        self.order.len() >= self.announced
    }

    /// The modules of plans that are wholly on record, in the order they were proposed.
    pub(crate) fn whole(&self) -> &[ModuleId] {
        let whole = if self.is_plan_whole() { self.order.len() } else { self.announced.saturating_sub(self.latest) };
        self.order.get(..whole).unwrap_or_default()
    }

    /// Digests of every content that must be at hand: recorded responses, deliverables and the report.
    pub fn contents(&self) -> Vec<Digest> {
        let responses = |steps: &[Step]| {
            let of = |step: &Step| match &step.state {
                StepState::Started => Vec::new(),
                StepState::Finished { response, traced, .. } => {
                    traced.iter().map(|traced| traced.record).chain([*response]).collect()
                }
            };
            steps.iter().flat_map(of).collect::<Vec<_>>()
        };
        let mut contents: BTreeSet<Digest> = self.role_steps.values().flat_map(|steps| responses(steps)).collect();
        for attempt in self.modules.values().flat_map(|module| &module.attempts) {
            contents.extend(responses(&attempt.steps));
            contents.extend(attempt.deliverable);
        }
        contents.extend(self.modules.values().flat_map(|module| &module.words).map(|word| word.text));
        contents.extend(self.task.rules.iter().map(|rules| rules.digest));
        contents.extend(self.task.pictures.iter().map(|picture| picture.digest));
        for skill in &self.task.skills {
            contents.insert(skill.digest);
            contents.extend(skill.files.values());
        }
        if let Phase::Closed { report: Some(report), .. } = self.phase {
            contents.insert(report);
        }
        contents.into_iter().collect()
    }

    /// Modules nothing else takes as input: what the report is made of, in order of proposal.
    pub fn ends(&self) -> impl Iterator<Item = ModuleId> + '_ {
        self.order.iter().copied().filter(|id| !self.dependents.contains_key(id))
    }
}

/// Why the Principal planned as it did. A task that is one module stays one module; a split needs one of these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case", deny_unknown_fields)]
pub enum PlanReason {
    /// One question that one agent answers best.
    Single,
    /// Questions joined by a conjunction that do not need each other's answers.
    IndependentParts {
        /// How many.
        parts: u32,
    },
    /// One question on several things that are set side by side.
    Comparison {
        /// How many things.
        sides: u32,
    },
    /// The plan was given, not made.
    Given,
}

/// A run, or nothing yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// No fact yet.
    #[default]
    Unopened,
    /// A run.
    Run(Box<Run>),
}

impl State {
    /// The run, once opened.
    pub fn run(&self) -> Option<&Run> {
        match self {
            Self::Unopened => None,
            Self::Run(run) => Some(run),
        }
    }
}
