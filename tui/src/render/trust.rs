//! What a run cost, what really ran and where, and its receipts.

use std::collections::BTreeMap;

use common_ground::{
    Run,
    budget::Account,
    grant::Tier,
    module::{CallKind, CallOutcome, Life, Step, StepState},
    role::Role,
    run::{PauseReason, Phase},
};
use ratatui::text::Line;

use super::{briefs, module, pair, toned};
use crate::{
    text::{count, duration, money, squeezed},
    theme::{Theme, Tone},
    view::{View, Watched},
};

/// Its lines.
pub(super) fn lines(view: &View) -> Vec<Line<'static>> {
    let theme = view.theme;
    let Some((watched, run)) = view.watched.as_ref().and_then(|watched| Some((watched, watched.run()?))) else {
        return vec![toned(theme, Tone::Faint, "no run is in view: ask something, or choose one with /runs")];
    };
    let mut lines = vec![
        pair(theme, "run", run.id.to_string()),
        pair(theme, "asked", squeezed(&run.task.question)),
        Line::default(),
    ];
    lines.extend(costs(theme, view, watched, run));
    lines.extend(really_ran(theme, run));
    lines.extend(guardians(view, run));
    lines.extend(receipts(theme, watched));
    lines
}

fn costs(theme: Theme, view: &View, watched: &Watched, run: &Run) -> Vec<Line<'static>> {
    let mut lines = vec![toned(theme, Tone::Strong, "used, of what it may")];
    lines.extend(account(theme, "all", &run.account, &run.task.currency));
    let wall = if run.wall_ms == 0 { String::new() } else { format!(" of {}", duration(run.wall_ms)) };
    lines.push(pair(theme, "  time", format!("{}{wall}", duration(watched.age(view.at)))));
    let branches: Vec<_> = watched.modules().collect();
    if branches.len() > 1 {
        for (number, _, module) in branches {
            lines.extend(account(theme, &format!("module {number}"), &module.account, &run.task.currency));
        }
    }
    lines.push(Line::default());
    lines
}

/// One branch of the tree in one line.
fn account(theme: Theme, name: &str, account: &Account, currency: &str) -> Option<Line<'static>> {
    let (spent, held, limit) = (account.spent(), account.reserved(), account.limit());
    let under_way = if held.tokens > 0 { format!(" (+{} under way)", count(held.tokens)) } else { String::new() };
    let money = if currency == "XXX" {
        String::new()
    } else {
        format!(", {} of {} {currency}", money(spent.cost_micro), money(limit.cost_micro))
    };
    let text = format!(
        "{} of {} tokens{under_way}, {} of {} tool calls{money}",
        count(spent.tokens),
        count(limit.tokens),
        count(spent.tool_calls),
        count(limit.tool_calls)
    );
    Some(pair(theme, &format!("  {name}"), text))
}

/// Calls by model and by sandbox tier, from the steps themselves: what was configured is not asked.
fn really_ran(theme: Theme, run: &Run) -> Vec<Line<'static>> {
    let roles = run.role_steps.iter().flat_map(|(role, steps)| steps.iter().map(move |step| (role_name(*role), step)));
    let attempts = run.modules.values().flat_map(|module| &module.attempts).flat_map(|attempt| {
        let after = attempt.submitted_after.map_or(usize::MAX, |after| after as usize);
        attempt
            .steps
            .iter()
            .zip(0..)
            .map(move |(step, place)| (if place >= after { "Verifier" } else { "Associate" }, step))
    });
    let (mut models, mut tiers) = (BTreeMap::new(), BTreeMap::new());
    for (who, step) in roles.chain(attempts) {
        match (&step.call, tier_of(step)) {
            (CallKind::Model { model }, _) => *models.entry((squeezed(model), who)).or_insert(0_u64) += 1,
            (CallKind::Tool { .. }, Some(tier)) => *tiers.entry(tier).or_insert(0_u64) += 1,
            (CallKind::Tool { .. }, None) => {}
        }
    }
    let mut lines = vec![toned(theme, Tone::Strong, "what really ran")];
    for ((model, who), calls) in models {
        lines.push(pair(theme, &format!("  {who}"), format!("{model}, {}", called(calls))));
    }
    for (tier, calls) in tiers {
        lines.push(pair(theme, "  tools", format!("{}, {}", module::tier(tier), called(calls))));
    }
    if lines.len() == 1 {
        lines.push(toned(theme, Tone::Faint, "  nothing yet"));
    }
    lines.push(Line::default());
    lines
}

fn called(calls: u64) -> String {
    if calls == 1 { "1 call".to_owned() } else { format!("{calls} calls") }
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Person => "you",
        Role::Partner => "Partner",
        Role::Principal => "Principal",
        Role::Associate => "Associate",
        Role::Verifier => "Verifier",
        Role::Node => "node",
    }
}

fn tier_of(step: &Step) -> Option<Tier> {
    match &step.state {
        StepState::Started => None,
        StepState::Finished { outcome: CallOutcome::Done | CallOutcome::Failed, traced, .. } => {
            traced.map(|traced| traced.tier)
        }
    }
}

/// What guardians found, what they may do here, and what was ordered.
fn guardians(view: &View, run: &Run) -> Vec<Line<'static>> {
    let theme = view.theme;
    let mut lines = vec![toned(theme, Tone::Strong, "guardians")];
    if matches!(run.phase, Phase::Paused { reason: PauseReason::Guardian }) {
        lines.push(toned(theme, Tone::Warn, "  an order holds this run"));
    }
    for charter in run.charters.values() {
        let standing: Vec<String> =
            charter.terms.standing.iter().map(|one| format!("{} may pause it", squeezed(&one.rule))).collect();
        let standing = if standing.is_empty() { "nothing by itself".to_owned() } else { standing.join(", ") };
        lines.push(pair(theme, "  charter", format!("{}: {standing}", squeezed(&charter.terms.name))));
    }
    if !run.orders.is_empty() {
        lines.push(pair(theme, "  orders", format!("{} carried out", run.orders.len())));
    }
    for what in run.quarantined.keys() {
        lines.push(pair(theme, "  no more", squeezed(&what.to_string())));
    }
    for brief in view.briefs() {
        lines.push(briefs::line(theme, run, brief, u16::MAX));
        lines.push(toned(theme, Tone::Faint, format!("    {}", briefs::evidence(brief))));
    }
    if lines.len() == 1 {
        lines.push(toned(theme, Tone::Faint, "  nothing was found, nothing was ordered"));
    }
    lines.push(Line::default());
    lines
}

fn receipts(theme: Theme, watched: &Watched) -> Vec<Line<'static>> {
    let mut lines = vec![toned(theme, Tone::Strong, "receipts")];
    for (number, _, module) in watched.modules() {
        if let Life::Accepted { receipt, .. } = &module.life {
            let state = watched.receipt(*receipt).word();
            lines.push(pair(theme, &format!("  module {number}"), format!("{state:<9} {receipt}")));
        }
    }
    if lines.len() == 1 {
        lines.push(toned(theme, Tone::Faint, "  none yet: one is sealed for each module that is accepted"));
    }
    lines
}
