//! The Adviser: a brief for people on a concern, written by rule. It names what stands where, what would happen next, and what
//! can be done; it does nothing.

use serde::{Deserialize, Serialize};

use crate::{
    advice::Advice,
    concern::{Concern, Severity},
};

/// Something that can be done, and the command that does it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// What, in words.
    pub what: String,
    /// The command.
    pub command: String,
}

/// A brief.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Brief {
    /// What it is on.
    pub concern: Concern,
    /// What would happen if nobody did anything.
    pub next: String,
    /// What can be done, the mildest first.
    pub options: Vec<Choice>,
    /// What a model said on it, where one was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<Advice>,
}

/// What would happen next, by rule.
fn next(rule: &str) -> &'static str {
    match rule {
        "loops" => "the attempt goes on calling until its budget or its steps are used up",
        "stalls" => "the module keeps its lease and its place until the lease ends or somebody cancels it",
        "spend" => "the run pauses when its budget is used up; until then the money goes",
        "errors" => "attempts fail and are tried again until none are left",
        "evidence" => "what depends on the module builds on something that nobody checked",
        "citations" => "deliverables are sent back until their attempts are used up",
        "secrets" => "what was found is on record, and leaves with the report or the call it stands in",
        "injection" => "a language model that reads it may do what it says, within its grants",
        "refusals" => "each further try is refused as well; what is tried tells what is wanted",
        "limits" => "calls are ended at the same limits again",
        "epochs" => "the journal refuses what is stale; that something got in means that it was written past it",
        "journal" => "nothing after the break can be trusted; receipts sealed before it still verify",
        "sealing" => "a verifier of the receipts will find the contradiction",
        "heads" => "two histories of one collection stay signed by one key: keep both, they are the evidence",
        "timing" => "nothing; somebody may be answering from a recording",
        "duplicates" => "both modules are accepted if their criteria hold",
        _other => "nothing that is known",
    }
}

/// The brief on a concern.
pub fn brief(concern: Concern) -> Brief {
    let run = concern.run;
    let choice = |what: &str, command: String| Choice { what: what.to_owned(), command };
    let mut options = vec![choice("look at the facts", format!("ii runs show {run}"))];
    let pause = match concern.module {
        Some(module) => choice("hold the module", format!("ii guardian order pause {run} --module {module}")),
        None => choice("hold the run", format!("ii guardian order pause {run}")),
    };
    match concern.severity {
        Severity::Notice => {}
        Severity::Warning => options.push(pause),
        Severity::Critical => {
            options.push(pause);
            options.push(choice("give the run up", format!("ii guardian order cancel {run}")));
        }
    }
    if concern.rule == "journal" {
        options.push(choice("check the home", "ii doctor".to_owned()));
    }
    if concern.rule == "sealing" || concern.rule == "evidence" {
        options.push(choice("verify its receipts", format!("ii verify {run}")));
    }
    let next = next(&concern.rule).to_owned();
    Brief { concern, next, options, advice: None }
}
