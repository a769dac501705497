//! The plan: the modules as a tree of what needs what, or as a board of where each is.

use std::collections::BTreeMap;

use common_ground::{
    ModuleId, Run,
    module::{Life, Module},
};
use ratatui::{
    layout::Rect,
    text::{Line, Span},
};

use super::{Body, fit, rows, toned};
use crate::{
    keys::Action,
    text::{count, cut, squeezed, width},
    theme::{Theme, Tone},
    view::{Layout, Pane, View, Watched, who},
};

/// The pane.
pub(super) fn list(view: &View, area: Rect) -> Body {
    let Pane::Plan { layout, chosen } = view.pane else { return Body::default() };
    let Some((watched, run)) = view.watched.as_ref().and_then(|watched| Some((watched, watched.run()?))) else {
        let lines = vec![toned(view.theme, Tone::Faint, "no run is in view: ask something, or choose one with /runs")];
        return Body { lines, ..Body::default() };
    };
    let (accepted, all) = watched.done();
    let note = format!("{accepted} of {all} accepted · {}", cut(&squeezed(&run.task.question), 60));
    let keys = vec![
        (Action::Open, "open"),
        (Action::Switch, "tree/board"),
        (Action::Hold, "hold"),
        (Action::GiveUp, "give up"),
        (Action::Tell, "tell"),
        (Action::Anew, "fork"),
    ];
    let lines = match layout {
        Layout::Tree => tree(view.theme, area, watched, run, chosen),
        Layout::Board => board(view.theme, area, watched, chosen),
    };
    Body { note, lines, keys, cursor: None }
}

/// Where a module is: a mark, a word, and how it is meant.
pub(super) fn place(life: &Life) -> (char, &'static str, Tone) {
    match life {
        Life::Proposed => ('○', "waits for others", Tone::Faint),
        Life::Ready(_) => ('○', "ready", Tone::Faint),
        Life::Leased(_) => ('●', "at work", Tone::Link),
        Life::Blocked { .. } => ('?', "waits for you", Tone::Warn),
        Life::Submitted { .. } => ('◐', "being checked", Tone::Link),
        Life::Judged { .. } => ('◑', "passed", Tone::Good),
        Life::Accepted { .. } => ('✓', "accepted", Tone::Good),
        Life::Paused { .. } => ('‖', "held", Tone::Warn),
        Life::Cancelled => ('✗', "given up", Tone::Faint),
        Life::Failed { .. } => ('✗', "failed", Tone::Bad),
    }
}

/// How deep each module stands: below the deepest of what it needs.
fn depths(run: &Run) -> BTreeMap<ModuleId, usize> {
    let mut depths = BTreeMap::new();
    for id in &run.order {
        let inputs = run.modules.get(id).map(|module| module.spec.inputs.as_slice()).unwrap_or_default();
        let depth = inputs.iter().filter_map(|input| depths.get(&input.module)).max().map_or(0, |deepest| deepest + 1);
        depths.insert(*id, depth);
    }
    depths
}

fn tree(theme: Theme, area: Rect, watched: &Watched, run: &Run, chosen: usize) -> Vec<Line<'static>> {
    let depths = depths(run);
    let modules: Vec<(usize, ModuleId, &Module)> = watched.modules().collect();
    let number: BTreeMap<ModuleId, usize> = modules.iter().map(|(number, id, _)| (*id, *number)).collect();
    rows(theme, area, modules.len(), chosen, |row| {
        let (own, id, module) = modules[row];
        let (mark, word, tone) = place(&module.life);
        let deep = "  ".repeat(depths.get(&id).copied().unwrap_or(0).min(8));
        let needs: Vec<String> =
            module.spec.inputs.iter().filter_map(|input| number.get(&input.module)).map(usize::to_string).collect();
        let after = if needs.is_empty() { String::new() } else { format!(" after {}", needs.join(", ")) };
        let head = format!("{deep}{mark} {own:>3} {word:<16}");
        let figures = format!(" {} ", figures(run, module));
        let taken = width(&head) + width(&figures) + 2;
        let question = fit(&format!("{}{after}", squeezed(&module.spec.question)), area.width, taken);
        Line::from(vec![
            Span::styled(head, theme.style(tone)),
            Span::styled(figures, theme.style(Tone::Faint)),
            Span::raw(question),
        ])
    })
}

/// Attempt, who, and what it used, in fixed columns.
fn figures(run: &Run, module: &Module) -> String {
    let spent = module.account.spent();
    let attempt = module.attempt();
    let number = attempt.map_or("–".to_owned(), |attempt| attempt.number.0.to_string());
    let who = attempt.map_or(String::new(), |attempt| who(&run.roster, attempt.lease.associate));
    format!("{number:>2} {:<12} {:>6}t {:>4}c", cut(&who, 12), count(spent.tokens), count(spent.tool_calls))
}

/// Columns of the board, from asked to over.
const COLUMNS: [&str; 4] = ["to do", "at work", "being checked", "over"];

fn column(life: &Life) -> usize {
    match life {
        Life::Proposed | Life::Ready(_) => 0,
        Life::Leased(_) | Life::Blocked { .. } | Life::Paused { .. } => 1,
        Life::Submitted { .. } | Life::Judged { .. } => 2,
        Life::Accepted { .. } | Life::Cancelled | Life::Failed { .. } => 3,
    }
}

fn board(theme: Theme, area: Rect, watched: &Watched, chosen: usize) -> Vec<Line<'static>> {
    let wide = (usize::from(area.width) / COLUMNS.len()).max(8);
    let mut columns: [Vec<(usize, &Module)>; 4] = Default::default();
    for (number, _, module) in watched.modules() {
        columns[column(&module.life)].push((number, module));
    }
    let head = COLUMNS.iter().zip(&columns).map(|(name, modules)| {
        Span::styled(padded(&format!("{name} ({})", modules.len()), wide), theme.style(Tone::Strong))
    });
    let mut lines = vec![Line::from(head.collect::<Vec<_>>())];
    let room = usize::from(area.height.saturating_sub(4)).max(1);
    // Each column is moved so that the one that stands out is in sight.
    let tops: Vec<usize> = columns
        .iter()
        .map(|modules| {
            let place = modules.iter().position(|(number, _)| number - 1 == chosen).unwrap_or(0);
            place.saturating_sub(room / 2).min(modules.len().saturating_sub(room))
        })
        .collect();
    let longest = columns.iter().map(Vec::len).max().unwrap_or(0).min(room);
    for row in 0..longest {
        let cells = columns.iter().zip(&tops).map(|(modules, top)| match modules.get(top + row) {
            None => Span::raw(" ".repeat(wide)),
            Some((number, module)) => {
                let (mark, _, tone) = place(&module.life);
                let stands_out = number - 1 == chosen;
                let arrow = if stands_out { "›" } else { " " };
                let text = format!("{arrow}{mark} {number} {}", squeezed(&module.spec.question));
                let style = theme.style(tone);
                let style = if stands_out { style.patch(theme.style(Tone::Chosen)) } else { style };
                Span::styled(padded(&cut(&text, wide - 1), wide), style)
            }
        });
        lines.push(Line::from(cells.collect::<Vec<_>>()));
    }
    lines
}

fn padded(text: &str, columns: usize) -> String {
    let blanks = " ".repeat(columns.saturating_sub(width(text)));
    format!("{text}{blanks}")
}
