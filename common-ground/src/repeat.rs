//! Which steps on record give the same when they are run again, and why the others need not.
//!
//! **Invariant:** a step is repeatable only where all that it depends on is on record: what it was given, and the code that ran.

use crate::{
    criterion::Criterion,
    grant::{Item, Tier},
    module::{CallKind, Step, StepState},
    record::{Exit, Limit},
};

/// By what a step is run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// The engine that is no language model.
    Engine,
    /// The component that the tool is, which may still turn out to ask for the time or for chance.
    Component,
}

/// Why a step may give something else when it is run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Varies {
    /// A model answers differently from time to time, and none is asked for this.
    Model,
    /// It was not made: refused, or cancelled before it ended.
    NotMade,
    /// Nobody knows how it ended.
    InDoubt,
    /// It went to the network.
    Network,
    /// It read or wrote files, which are not on record.
    Files,
    /// It saw variables of the environment.
    Environment,
    /// It used a secret.
    Secret,
    /// It ran a native process.
    Process,
    /// It ran in a container.
    Container,
    /// It used a browser.
    Browser,
    /// Another program served it.
    Server,
    /// It asked for the time.
    Clock,
    /// It asked for random numbers.
    Chance,
    /// A clock ended it.
    TimeLimit,
    /// It read what the program has now: the commons, a skill, the person's answer.
    Own,
}

impl Varies {
    /// One word for programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::NotMade => "not_made",
            Self::InDoubt => "in_doubt",
            Self::Network => "network",
            Self::Files => "files",
            Self::Environment => "environment",
            Self::Secret => "secret",
            Self::Process => "process",
            Self::Container => "container",
            Self::Browser => "browser",
            Self::Server => "server",
            Self::Clock => "clock",
            Self::Chance => "chance",
            Self::TimeLimit => "time_limit",
            Self::Own => "own",
        }
    }
}

impl std::fmt::Display for Varies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Model => "a model answered it, and may answer otherwise",
            Self::NotMade => "the call was refused or cancelled, so nothing ran to its end",
            Self::InDoubt => "nobody knows how it ended",
            Self::Network => "it used the network",
            Self::Files => "it used files, which are not on record",
            Self::Environment => "it saw variables of the environment",
            Self::Secret => "it used a secret",
            Self::Process => "it ran a native process",
            Self::Container => "it ran in a container",
            Self::Browser => "it used a browser",
            Self::Server => "an MCP server answered it",
            Self::Clock => "it asked for the time",
            Self::Chance => "it asked for random numbers",
            Self::TimeLimit => "a clock ended it",
            Self::Own => "it read what changes here: the commons, skills, or what the person answers",
        })
    }
}

/// Whether a step can be run again, and by what. `engine` is the id of the engine that is no language model; `exit` is how a
/// tool's call ended, by its record.
///
/// # Errors
/// Why it may give something else.
pub fn repeatable(step: &Step, engine: &str, exit: Option<Exit>) -> Result<Means, Varies> {
    let StepState::Finished { traced, .. } = &step.state else { return Err(Varies::InDoubt) };
    match &step.call {
        CallKind::Model { model } if model == engine => Ok(Means::Engine),
        CallKind::Model { .. } => Err(Varies::Model),
        CallKind::Tool { refused: true, .. } => Err(Varies::NotMade),
        CallKind::Tool { needs, .. } => {
            if let Some(why) = exit.and_then(ended) {
                return Err(why);
            }
            // What it needed says more than where it ran.
            match needs.iter().find_map(used) {
                Some(why) => Err(why),
                None => traced.map_or(Err(Varies::Own), |traced| by(traced.tier)),
            }
        }
    }
}

/// Whether the finding on a criterion is made from the deliverable alone.
///
/// # Errors
/// Why it may come out otherwise.
pub fn checkable(criterion: &Criterion) -> Result<(), Varies> {
    match criterion {
        Criterion::EveryClaimCites | Criterion::MinimumSources { .. } | Criterion::AnswerMatchesSchema { .. } => Ok(()),
        Criterion::QuotesVerbatim => Err(Varies::Own),
        Criterion::Judged { .. } => Err(Varies::Model),
    }
}

fn by(tier: Tier) -> Result<Means, Varies> {
    match tier {
        Tier::Wasm => Ok(Means::Component),
        Tier::Builtin => Err(Varies::Own),
        Tier::Process => Err(Varies::Process),
        Tier::Docker => Err(Varies::Container),
        Tier::Browser => Err(Varies::Browser),
        Tier::Mcp => Err(Varies::Server),
    }
}

fn ended(exit: Exit) -> Option<Varies> {
    match exit {
        Exit::Refused | Exit::Unasked | Exit::Cancelled => Some(Varies::NotMade),
        Exit::Limit { limit: Limit::Cpu | Limit::Wall } => Some(Varies::TimeLimit),
        Exit::Limit { limit: Limit::Net } => Some(Varies::Network),
        Exit::Done
        | Exit::Failed
        | Exit::Code { .. }
        | Exit::Signal { .. }
        | Exit::Trapped
        | Exit::Limit { limit: Limit::Memory | Limit::Output | Limit::Written | Limit::OpenFiles | Limit::Processes } => {
            None
        }
    }
}

fn used(need: &Item) -> Option<Varies> {
    match need {
        Item::Path { .. } => Some(Varies::Files),
        Item::Net { .. } => Some(Varies::Network),
        Item::Env { .. } => Some(Varies::Environment),
        Item::Secret { .. } => Some(Varies::Secret),
        Item::Run { tier, .. } => by(*tier).err(),
    }
}
