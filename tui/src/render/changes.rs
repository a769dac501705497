//! The files that a module's calls changed, each as a unified difference, read from the records of those calls.
//!
//! **Invariant:** of the record alone: no file is opened, and what a file holds now is not told.

use common_ground::{
    ModuleId,
    module::{Module, StepState},
    record::Change,
};
use ratatui::text::{Line, Span};

use super::{module::short, toned};
use crate::{
    text::{self, squeezed},
    theme::{Theme, Tone},
    view::{View, Watched, changing, module_name},
};

/// Most lines of all differences together.
const MOST_LINES: usize = 5_000;

/// The pane's lines.
pub(super) fn lines(view: &View, id: ModuleId) -> Vec<Line<'static>> {
    let theme = view.theme;
    let run = view.watched.as_ref().and_then(Watched::run);
    let Some((run, module)) = run.and_then(|run| Some((run, run.modules.get(&id)?))) else {
        return vec![toned(theme, Tone::Faint, "the run in view has no such module")];
    };
    let mut lines = vec![toned(theme, Tone::Strong, format!("what {} changed", module_name(run, id)))];
    let mut calls = of_calls(view, module);
    if calls.is_empty() {
        calls.push(toned(theme, Tone::Faint, "no call of it that is over may have changed a file"));
    }
    let over = calls.len().saturating_sub(MOST_LINES);
    calls.truncate(MOST_LINES);
    lines.extend(calls);
    if over > 0 {
        lines.push(toned(theme, Tone::Warn, format!("… {over} lines more; `ii receipts export` has all records")));
    }
    lines
}

fn of_calls(view: &View, module: &Module) -> Vec<Line<'static>> {
    let theme = view.theme;
    let mut lines = Vec::new();
    for attempt in &module.attempts {
        for (step, number) in attempt.steps.iter().zip(0_u32..).filter(|(step, _)| changing(step)) {
            let StepState::Finished { traced: Some(traced), .. } = &step.state else { continue };
            let head = format!("attempt {}, step {number}", attempt.number.0);
            match (view.changes.get(&traced.record), view.contents.get(&traced.record)) {
                (Some(changes), _) if changes.is_empty() => {
                    lines.extend([Line::default(), toned(theme, Tone::Faint, format!("{head}: nothing was changed"))]);
                }
                (Some(changes), _) => lines.extend(changes.iter().flat_map(|change| difference(theme, &head, change))),
                (None, Some(Err(why))) => lines.push(toned(theme, Tone::Bad, format!("{head}: {}", squeezed(why)))),
                (None, Some(Ok(_))) => {
                    lines.push(toned(theme, Tone::Bad, format!("{head}: its record cannot be read")));
                }
                (None, None) => lines.push(toned(theme, Tone::Faint, format!("{head}: …"))),
            }
        }
    }
    lines
}

/// One file. The marks at the beginning of the lines say what the colours say.
fn difference(theme: Theme, head: &str, change: &Change) -> Vec<Line<'static>> {
    let lines_of = match counted(&change.diff) {
        (0, 0) => String::new(),
        (added, removed) => format!(", lines: +{added} -{removed}"),
    };
    let (mark, tone, what) = match (change.before, change.after) {
        (None, Some(after)) => ('+', Tone::Good, format!("made, {}", short(after))),
        (Some(before), Some(after)) => ('~', Tone::Warn, format!("changed, {} to {}", short(before), short(after))),
        (Some(before), None) => ('-', Tone::Bad, format!("removed, it was {}", short(before))),
        (None, None) => ('·', Tone::Faint, "as it was: not there".to_owned()),
    };
    let mut lines = vec![
        Line::default(),
        Line::from(vec![
            Span::styled(format!("{mark} {}", squeezed(&change.path)), theme.style(tone)),
            Span::styled(format!("  ({head})"), theme.style(Tone::Faint)),
        ]),
        Line::raw(format!("  {what}{lines_of}")),
    ];
    if change.diff.is_empty() {
        lines.push(toned(theme, Tone::Faint, "  no difference is kept: it is no text, too large, or the same"));
    }
    let body = text::lines(&change.diff).into_iter().skip_while(|line| !line.starts_with("@@"));
    lines.extend(body.map(|line| {
        let tone = match line.chars().next() {
            Some('+') => Tone::Good,
            Some('-') => Tone::Bad,
            Some('@') => Tone::Link,
            Some(_) | None => Tone::Text,
        };
        toned(theme, tone, format!("  {line}"))
    }));
    lines
}

/// Lines that were added and removed, without the two that name the file.
fn counted(diff: &str) -> (usize, usize) {
    let body = || diff.lines().skip_while(|line| !line.starts_with("@@"));
    (body().filter(|line| line.starts_with('+')).count(), body().filter(|line| line.starts_with('-')).count())
}
