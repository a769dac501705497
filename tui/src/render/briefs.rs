//! What guardians found of the run in view, with its evidence and what comes next; and the orders that can be signed on it.

use common_ground::Run;
use ratatui::{
    layout::Rect,
    text::{Line, Span},
};

use super::{Body, fit, pair, rows, toned};
use crate::{
    brief::{Brief, orderable},
    keys::Action,
    text::{squeezed, wrapped},
    theme::{Theme, Tone},
    view::{Pane, View, Watched, module_name},
};

/// Lines below the list, for the brief that stands out.
const DETAILS: u16 = 11;

/// The pane of briefs.
pub(super) fn list(view: &View, area: Rect) -> Body {
    let Pane::Briefs { chosen } = view.pane else { return Body::default() };
    let theme = view.theme;
    let keys = vec![(Action::Open, "order something")];
    let Some(run) = view.watched.as_ref().and_then(Watched::run) else {
        let lines = vec![toned(theme, Tone::Faint, "no run is in view: ask something, or choose one with /runs")];
        return Body { lines, ..Body::default() };
    };
    let briefs = view.briefs();
    let Some(brief) = briefs.get(chosen.min(briefs.len().saturating_sub(1))) else {
        let what = "no guardian found anything in this run; `ii guardian watch` looks";
        return Body { lines: vec![toned(theme, Tone::Faint, what)], keys, ..Body::default() };
    };
    let above = Rect { height: area.height.saturating_sub(DETAILS).max(4), ..area };
    let mut lines = rows(theme, above, briefs.len(), chosen, |row| line(theme, run, briefs[row], area.width));
    lines.push(Line::default());
    let columns = usize::from(area.width);
    lines.extend(details(theme, brief).iter().flat_map(|line| wrapped(line, columns, 12)));
    Body { note: format!("{} of {}", chosen.min(briefs.len() - 1) + 1, briefs.len()), lines, keys, cursor: None }
}

/// One brief in one line.
pub(super) fn line(theme: Theme, run: &Run, brief: &Brief, columns: u16) -> Line<'static> {
    let of = brief.module.map_or_else(|| "the run".to_owned(), |module| module_name(run, module));
    let head = format!("{:<9} {:<11} {of:<10} ", brief.severity.word(), squeezed(&brief.rule));
    let found = fit(&squeezed(&brief.found), columns, head.len() + 2);
    Line::from(vec![Span::styled(head, theme.style(brief.severity.tone())), Span::raw(found)])
}

/// The facts that show it.
pub(super) fn evidence(brief: &Brief) -> String {
    let places: Vec<String> = brief.evidence.iter().map(u64::to_string).collect();
    format!("facts {}", places.join(", "))
}

fn details(theme: Theme, brief: &Brief) -> Vec<Line<'static>> {
    let mut lines = vec![
        pair(theme, "found", squeezed(&brief.found)),
        pair(theme, "evidence", evidence(brief)),
        pair(theme, "next", squeezed(&brief.next)),
    ];
    for (what, command) in &brief.options {
        lines.push(pair(theme, "in a shell", format!("{}: {}", squeezed(what), squeezed(command))));
    }
    lines
}

/// The pane of orders.
pub(super) fn orders(view: &View, area: Rect) -> Body {
    let Pane::Orders { brief, chosen } = &view.pane else { return Body::default() };
    let theme = view.theme;
    let Some(run) = view.watched.as_ref().and_then(Watched::run) else { return Body::default() };
    let brief = brief.as_deref();
    let mut lines = Vec::new();
    if let Some(brief) = brief {
        lines.push(line(theme, run, brief, area.width));
        lines.push(Line::default());
    }
    lines.push(Line::raw(
        "An order is signed with your key, handed to the run under the charter of this home, and stands in its record.",
    ));
    lines.push(Line::default());
    let acts = orderable(brief);
    let room = Rect { height: area.height.saturating_sub(6), ..area };
    lines.extend(rows(theme, room, acts.len(), *chosen, |row| {
        let of = acts[row].module.map_or_else(|| "the run".to_owned(), |module| module_name(run, module));
        let head = format!("{:<8} {of:<10} ", acts[row].act.kind().name());
        Line::from(vec![Span::styled(head, theme.style(Tone::Strong)), Span::raw(acts[row].what.clone())])
    }));
    let columns = usize::from(area.width);
    let lines = lines.iter().flat_map(|line| wrapped(line, columns, 2)).collect();
    Body { note: "sign one".to_owned(), lines, keys: vec![(Action::Open, "sign and hand in")], cursor: None }
}
