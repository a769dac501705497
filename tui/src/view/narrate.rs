//! What a fact means for the person: the lines that it adds to the conversation.
//!
//! **Invariant:** depends on the run's facts alone, so that a run that is opened again reads as it did live.

use common_ground::{
    Fact, ModuleId, Run,
    approval::{Answer, Question},
    budget::BudgetPart,
    guardian::Act,
    module::{EndReason, Life},
    run::{Outcome, PauseReason, PlanReason},
};

use super::Block;
use crate::{
    event::Placed,
    text::{duration, money, squeezed},
    theme::Tone,
};

/// The lines of a fact. `run` is the state after it.
pub fn blocks(run: &Run, placed: &Placed) -> Vec<Block> {
    let name = |module: &ModuleId| name(run, *module);
    let one = |tone, mark, text: String| vec![Block::line(tone, mark, text)];
    match &placed.fact {
        Fact::RunOpened { task, .. } => vec![Block::Asked(task.question.clone())],
        Fact::RunForked { from, begins, .. } => {
            let (kept, all) = (begins.kept(), begins.modules.len());
            let text = format!(
                "forked from run {} at place {}: {kept} of {all} modules stay accepted; /resume lets it go on",
                from.run, from.place
            );
            vec![Block::Asked(begins.task.question.clone()), Block::line(Tone::Strong, '▸', text)]
        }
        Fact::PlanRecorded { plan, modules } => planned(plan, *modules).into_iter().collect(),
        Fact::ModuleProposed { module, spec }
            if run.modules.len() > 1 || run.plan.last() != Some(&PlanReason::Single) =>
        {
            one(Tone::Faint, '·', format!("{}: {}", name(module), squeezed(&spec.question)))
        }
        Fact::ModuleAccepted { module, attempt, .. } => {
            let tries = if attempt.0 > 1 { format!(" at attempt {}", attempt.0) } else { String::new() };
            one(Tone::Good, '✓', format!("{} accepted{tries}, its receipt sealed", name(module)))
        }
        Fact::AttemptEnded { module, attempt, end } => {
            let text = format!("attempt {} of {} ended: {}", attempt.0, name(module), ended(end));
            one(Tone::Warn, '↺', text)
        }
        Fact::ModuleFailed { module, end } => one(Tone::Bad, '✗', format!("{} failed: {}", name(module), ended(end))),
        Fact::ModuleCancelled { module } => one(Tone::Warn, '✗', format!("{} was given up", name(module))),
        Fact::ModuleBlocked { module, question, .. } => {
            one(Tone::Warn, '?', format!("{} waits for you: {}", name(module), asked(question)))
        }
        Fact::ApprovalAnswered { answer, .. } => one(Tone::Person, '›', answered(answer)),
        Fact::ModuleTold { module, .. } => one(Tone::Person, '›', format!("{} was told something", name(module))),
        Fact::WordsHeard { owner, .. } => match owner.attempt() {
            Some((module, ..)) => one(Tone::Faint, '·', format!("{} hears what it was told", name(&module))),
            None => Vec::new(),
        },
        Fact::ModulePaused { module, reason } => {
            one(Tone::Warn, '‖', format!("{} is held: {}", name(module), paused(*reason)))
        }
        Fact::ModuleResumed { module } => one(Tone::Faint, '·', format!("{} goes on", name(module))),
        Fact::ContextCompacted { compaction, .. } => {
            let text = format!(
                "a conversation was made to fit its model's window: {} to {} tokens",
                compaction.before, compaction.after
            );
            one(Tone::Faint, '·', text)
        }
        Fact::BudgetWarned { part, spent, limit } => one(
            Tone::Warn,
            '!',
            format!("the budget runs short: {}", budget(*part, *spent, *limit, &run.task.currency)),
        ),
        Fact::BudgetRaised { .. } => one(Tone::Faint, '·', "the budget was raised".to_owned()),
        Fact::RunPaused { reason, .. } => one(Tone::Warn, '‖', format!("the run stands still: {}", paused(*reason))),
        Fact::RunResumed { .. } => one(Tone::Faint, '·', "the run goes on".to_owned()),
        Fact::CommandRefused { command, refusal, .. } => {
            one(Tone::Bad, '!', format!("`{}` was refused: {}", squeezed(command), squeezed(&refusal.to_string())))
        }
        Fact::CharterRegistered { terms, .. } => {
            one(Tone::Faint, '·', format!("a guardian's charter holds: {}", squeezed(&terms.name)))
        }
        Fact::CharterRefused { why, .. } => {
            one(Tone::Bad, '!', format!("a charter was refused: {}", squeezed(&why.to_string())))
        }
        Fact::OrderExecuted { act, .. } => one(Tone::Warn, '‖', format!("an order was carried out: {}", ordered(act))),
        Fact::OrderRefused { why, .. } => {
            one(Tone::Bad, '!', format!("an order was refused: {}", squeezed(&why.to_string())))
        }
        Fact::RunClosed { outcome, .. } => closed(run, *outcome, placed),
        Fact::ModuleProposed { .. }
        | Fact::AttemptLeased { .. }
        | Fact::LeaseRenewed { .. }
        | Fact::LeaseLost { .. }
        | Fact::StepStarted { .. }
        | Fact::StepRetried { .. }
        | Fact::StepFinished { .. }
        | Fact::ModuleSubmitted { .. }
        | Fact::ModuleJudged { .. } => Vec::new(),
    }
}

/// A module in words: its number in the plan.
pub fn name(run: &Run, module: ModuleId) -> String {
    let place = run.order.iter().position(|id| *id == module);
    place.map_or_else(|| "a module".to_owned(), |place| format!("module {}", place + 1))
}

/// One question that one agent answers needs no words on its plan.
fn planned(plan: &PlanReason, modules: u32) -> Option<Block> {
    let text = match plan {
        PlanReason::Single => return None,
        PlanReason::IndependentParts { parts } => format!("the plan: {parts} parts that need not wait for each other"),
        PlanReason::Comparison { sides } => format!("the plan: {sides} things set side by side"),
        PlanReason::Given => format!("the plan was given: {modules} modules"),
    };
    Some(Block::line(Tone::Strong, '▸', text))
}

/// Why an attempt ended, in words.
pub fn ended(end: &EndReason) -> String {
    match end {
        EndReason::Rework { findings } => {
            let findings: Vec<String> = findings.iter().map(|finding| squeezed(finding)).collect();
            format!("sent back, {}", findings.join("; "))
        }
        EndReason::Failed { error } => squeezed(&error.to_string()),
        EndReason::Cancelled => "it was given up".to_owned(),
    }
}

fn ordered(act: &Act) -> &'static str {
    match act {
        Act::Pause { .. } => "stand still",
        Act::Resume => "go on",
        Act::Cancel => "give it up",
        Act::Revoke { .. } => "take a permission back",
        Act::Quarantine(_) => "use this no more",
        Act::Drain => "end what has begun, begin nothing",
        Act::Answer { .. } => "answer a question",
    }
}

/// A question in one line.
pub fn asked(question: &Question) -> String {
    match question {
        Question::Words { text, .. } => squeezed(text),
        Question::Verdict { tool, .. } => format!("your verdict before its first tool, {}", squeezed(tool)),
        Question::Permission { tool, needs, .. } => {
            let needs: Vec<String> = needs.iter().map(|needed| squeezed(&needed.need.to_string())).collect();
            format!("{} wants {}", squeezed(tool), needs.join(", "))
        }
    }
}

fn answered(answer: &Answer) -> String {
    match answer {
        Answer::Deny => "no".to_owned(),
        Answer::Once => "yes, this call".to_owned(),
        Answer::Run => "yes, exactly this in this run".to_owned(),
        Answer::Always => "yes, exactly this from now on".to_owned(),
        Answer::Words { text } => squeezed(text),
    }
}

/// A pause in words.
pub fn paused(reason: PauseReason) -> &'static str {
    match reason {
        PauseReason::Interrupt => "you interrupted it",
        PauseReason::Budget => "the budget is used up",
        PauseReason::Approval => "its plan waits for you",
        PauseReason::Model => "its model cannot be used",
        PauseReason::Guardian => "a guardian ordered it",
    }
}

/// A part of a budget in words.
pub fn budget(part: BudgetPart, spent: u64, limit: u64, currency: &str) -> String {
    match part {
        BudgetPart::Tokens => format!("{spent} of {limit} tokens"),
        BudgetPart::Cost => format!("{} of {} {currency}", money(spent), money(limit)),
        BudgetPart::ToolCalls => format!("{spent} of {limit} tool calls"),
        BudgetPart::Wall => format!("{} of {}", duration(spent), duration(limit)),
    }
}

/// An outcome in words.
pub fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Completed => "completed",
        Outcome::NotAccepted => "not accepted",
        Outcome::Failed => "failed",
        Outcome::Refused => "refused",
        Outcome::Cancelled => "cancelled",
    }
}

fn closed(run: &Run, how: Outcome, placed: &Placed) -> Vec<Block> {
    let receipts = run.modules.values().filter(|module| matches!(module.life, Life::Accepted { .. })).count();
    let (tone, mark) = match how {
        Outcome::Completed => (Tone::Good, '●'),
        Outcome::NotAccepted | Outcome::Failed | Outcome::Refused => (Tone::Bad, '●'),
        Outcome::Cancelled => (Tone::Warn, '●'),
    };
    let plural = if receipts == 1 { "receipt" } else { "receipts" };
    let spent = run.account.spent();
    let money = if run.task.currency == "XXX" {
        String::new()
    } else {
        format!(", {} {}", money(spent.cost_micro), run.task.currency)
    };
    let text = format!(
        "{} in {}: {receipts} {plural} sealed, {} tokens, {} tool calls{money}",
        outcome(how),
        duration(placed.at.since(run.opened)),
        spent.tokens,
        spent.tool_calls
    );
    let answer = placed.report.clone().map(Block::Answer);
    answer.into_iter().chain([Block::line(tone, mark, text)]).collect()
}
