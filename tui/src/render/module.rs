//! One module: what is asked, what it may do, what was done, what was found, what it gave.

use common_ground::{
    Digest, ModuleId, Run,
    citation::Citation,
    criterion::Criterion,
    deliverable::Deliverable,
    grant::Tier,
    module::{Attempt, AttemptEnd, CallKind, CallOutcome, Handover, Life, Module, Step, StepState},
};
use ratatui::text::{Line, Span};

use super::{draft, pair, plan, toned};
use crate::{
    text::{count, duration, squeezed},
    theme::{Theme, Tone},
    view::{View, Watched, ended, module_name, who},
};

/// Its lines.
pub(super) fn lines(view: &View, id: ModuleId) -> Vec<Line<'static>> {
    let found = view.watched.as_ref().and_then(|watched| Some((watched, watched.run()?)));
    let Some((watched, run, module)) = found.and_then(|(watched, run)| Some((watched, run, run.modules.get(&id)?)))
    else {
        return vec![toned(view.theme, Tone::Faint, "the run in view has no such module")];
    };
    let theme = view.theme;
    let (mark, word, tone) = plan::place(&module.life);
    let title = format!("{mark} {}: {word}", module_name(run, id));
    let mut lines = vec![toned(theme, tone, title), Line::raw(squeezed(&module.spec.question)), Line::default()];
    lines.extend(asked(theme, run, module));
    lines.extend(told(view, module));
    for attempt in &module.attempts {
        lines.extend(tried(theme, run, module, attempt));
    }
    lines.extend(draft::of_module(view, id));
    lines.extend(given(view, module));
    lines.extend(receipt(theme, watched, module));
    lines
}

/// What it needs, must hold and may do.
fn asked(theme: Theme, run: &Run, module: &Module) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    for input in &module.spec.inputs {
        let what = match input.handover {
            Handover::Conclusions => "its conclusions",
            Handover::Transcript => "its conclusions and its steps",
        };
        lines.push(pair(theme, "needs", format!("{}: {what}", module_name(run, input.module))));
    }
    let (spent, limit) = (module.account.spent(), module.account.limit());
    lines.push(pair(
        theme,
        "budget",
        format!(
            "{} of {} tokens, {} of {} tool calls",
            count(spent.tokens),
            count(limit.tokens),
            count(spent.tool_calls),
            count(limit.tool_calls)
        ),
    ));
    let tools: Vec<String> = module.spec.tools.iter().map(|tool| squeezed(tool)).collect();
    lines.push(pair(theme, "tools", if tools.is_empty() { "none".to_owned() } else { tools.join(", ") }));
    let grant: Vec<String> = module.grant.items.iter().map(|item| squeezed(&item.to_string())).collect();
    lines.push(pair(
        theme,
        "may",
        if grant.is_empty() { "nothing beyond the commons".to_owned() } else { grant.join(", ") },
    ));
    for (criterion, number) in module.spec.criteria.iter().zip(1..) {
        lines.push(pair(theme, &format!("must hold {number}"), self::criterion(criterion)));
    }
    lines.push(Line::default());
    lines
}

/// What the person said to it, and whether the latest attempt has heard it.
fn told(view: &View, module: &Module) -> Vec<Line<'static>> {
    let theme = view.theme;
    if module.words.is_empty() {
        return Vec::new();
    }
    let heard = module.attempt().into_iter().flat_map(|attempt| &attempt.heard);
    let steps: Vec<u32> = heard.flat_map(|heard| heard.words.iter().map(|_| heard.step.0)).collect();
    let mut lines = vec![toned(theme, Tone::Strong, "what you said to it")];
    for (word, place) in module.words.iter().zip(0..) {
        let text = match view.contents.get(&word.text) {
            None => "…".to_owned(),
            Some(Err(why)) => squeezed(why),
            Some(Ok(text)) => squeezed(text),
        };
        let when = match steps.get(place) {
            Some(step) => format!("  heard before step {step}"),
            None => "  not heard yet".to_owned(),
        };
        lines.push(Line::from(vec![
            Span::styled("  › ", theme.style(Tone::Person)),
            Span::raw(text),
            Span::styled(when, theme.style(Tone::Faint)),
        ]));
    }
    lines.push(Line::default());
    lines
}

fn criterion(criterion: &Criterion) -> String {
    match criterion {
        Criterion::EveryClaimCites => "every claim cites a source".to_owned(),
        Criterion::QuotesVerbatim => "every quote stands in its document, byte for byte".to_owned(),
        Criterion::MinimumSources { count } => format!("at least {count} different documents"),
        Criterion::AnswerMatchesSchema { .. } => "the answer fits its schema".to_owned(),
        Criterion::Judged { rubric } => format!("judged: {}", squeezed(rubric)),
    }
}

/// One attempt: its steps, and what the Verifier found.
fn tried(theme: Theme, run: &Run, module: &Module, attempt: &Attempt) -> Vec<Line<'static>> {
    let head = format!("attempt {} by {}", attempt.number.0, who(&run.roster, attempt.lease.associate));
    let mut lines = vec![toned(theme, Tone::Strong, head)];
    for (step, number) in attempt.steps.iter().zip(0_u32..) {
        let checks = attempt.submitted_after.is_some_and(|after| number >= after);
        lines.push(self::step(theme, step, number, if checks { "Verifier " } else { "" }));
    }
    if let Some(judgement) = &attempt.judgement {
        let by = who(&run.roster, judgement.by);
        for verdict in &judgement.verdicts {
            let (mark, tone) = if verdict.passed { ('✓', Tone::Good) } else { ('✗', Tone::Bad) };
            let place = usize::try_from(verdict.criterion).ok();
            let what = place.and_then(|place| module.spec.criteria.get(place)).map_or("unknown", Criterion::name);
            let reason =
                if verdict.reason.is_empty() { String::new() } else { format!(": {}", squeezed(&verdict.reason)) };
            lines.push(Line::from(vec![
                Span::styled(format!("  {mark} "), theme.style(tone)),
                Span::raw(format!("{what}{reason}")),
                Span::styled(format!(" ({by})"), theme.style(Tone::Faint)),
            ]));
        }
    }
    match &attempt.end {
        AttemptEnd::Open => {}
        AttemptEnd::Accepted { .. } => lines.push(toned(theme, Tone::Good, "  ✓ accepted")),
        AttemptEnd::Ended { reason, .. } => lines.push(toned(theme, Tone::Warn, format!("  ↺ {}", ended(reason)))),
    }
    lines.push(Line::default());
    lines
}

fn step(theme: Theme, step: &Step, number: u32, by: &str) -> Line<'static> {
    let call = match &step.call {
        CallKind::Model { model } => format!("model {}", squeezed(model)),
        CallKind::Tool { tool, needs, .. } => {
            let needs: Vec<String> = needs.iter().map(|need| squeezed(&need.to_string())).collect();
            let needs = if needs.is_empty() { String::new() } else { format!(" [{}]", needs.join(", ")) };
            format!("{}{needs}", squeezed(tool))
        }
    };
    let (mark, tone, more) = match &step.state {
        StepState::Started => ('●', Tone::Link, "under way".to_owned()),
        StepState::Finished { outcome, usage, traced, .. } => {
            let (mark, tone) = match outcome {
                CallOutcome::Done => ('·', Tone::Faint),
                CallOutcome::Failed => ('✗', Tone::Bad),
            };
            let tier = traced.map_or(String::new(), |traced| format!(", {}", tier(traced.tier)));
            let tokens = usage.tokens_in + usage.tokens_out;
            let tokens = if tokens > 0 { format!(", {} tokens", count(tokens)) } else { String::new() };
            (mark, tone, format!("{}{tokens}{tier}", duration(usage.wall_ms)))
        }
    };
    Line::from(vec![
        Span::styled(format!("  {mark} {number:>3} "), theme.style(tone)),
        Span::raw(format!("{by}{call}  ")),
        Span::styled(more, theme.style(Tone::Faint)),
    ])
}

/// Where a call ran, in words.
pub(super) fn tier(tier: Tier) -> &'static str {
    match tier {
        Tier::Builtin => "in this program",
        Tier::Wasm => "in WebAssembly",
        Tier::Process => "in a jailed process",
        Tier::Docker => "in a container",
        Tier::Browser => "in a browser",
        Tier::Mcp => "at an MCP server",
    }
}

/// The latest deliverable.
fn given(view: &View, module: &Module) -> Vec<Line<'static>> {
    let theme = view.theme;
    let Some(digest) = module.attempts.iter().rev().find_map(|attempt| attempt.deliverable) else { return Vec::new() };
    let mut lines = vec![toned(theme, Tone::Strong, format!("deliverable {}", short(digest)))];
    match view.contents.get(&digest) {
        None => lines.push(toned(theme, Tone::Faint, "  …")),
        Some(Err(why)) => lines.push(toned(theme, Tone::Bad, format!("  {}", squeezed(why)))),
        Some(Ok(text)) => match serde_json::from_str::<Deliverable>(text) {
            Err(error) => lines.push(toned(theme, Tone::Bad, format!("  it cannot be read: {error}"))),
            Ok(deliverable) => lines.extend(claims(theme, &deliverable)),
        },
    }
    lines.push(Line::default());
    lines
}

fn claims(theme: Theme, deliverable: &Deliverable) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    let place = |citation: &Citation| {
        let (start, end) = (citation.span.start, citation.span.end);
        toned(theme, Tone::Faint, format!("      {}, bytes {start}–{end}", squeezed(&citation.path)))
    };
    for claim in &deliverable.claims {
        lines.push(Line::raw(format!("  {}", squeezed(&claim.text))));
        lines.extend(claim.citations.iter().map(place));
    }
    if deliverable.claims.is_empty() {
        lines.push(toned(theme, Tone::Warn, "  no answer was found; the nearest passages:"));
    }
    lines.extend(deliverable.also.iter().map(place));
    lines
}

fn receipt(theme: Theme, watched: &Watched, module: &Module) -> Vec<Line<'static>> {
    let Life::Accepted { receipt, .. } = &module.life else { return Vec::new() };
    let state = watched.receipt(*receipt).word();
    let by =
        module.kept_from.map(|run| pair(theme, "accepted in", format!("run {run}, from which this one was forked")));
    by.into_iter().chain([pair(theme, "receipt", format!("{state}  {receipt}"))]).collect()
}

/// The beginning of a digest.
pub(super) fn short(digest: Digest) -> String {
    digest.to_string().chars().take(12).collect()
}
