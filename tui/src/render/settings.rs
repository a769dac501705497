//! Settings: what each is set to and where that came from; of the one that stands out, how it is changed. Changes nothing.
//!
//! **Invariant:** shows what it is given; secrets were left out before.

use ratatui::{
    layout::Rect,
    text::{Line, Span},
};

use super::{Body, fit, pair, rows, toned};
use crate::{
    event::SettingLine,
    text::{cut, squeezed, wrapped},
    theme::{Theme, Tone},
    view::{Pane, View},
};

/// Lines below the list, for the one that stands out.
const DETAILS: u16 = 9;
/// Columns of a name in the list.
const NAME: usize = 26;
/// Columns of where a value came from.
const SOURCE: usize = 12;

/// The pane.
pub(super) fn list(view: &View, area: Rect) -> Body {
    let Pane::Settings { chosen } = &view.pane else { return Body::default() };
    let settings = view.setup.as_ref().map(|setup| setup.settings.as_slice()).unwrap_or_default();
    let Some(setting) = settings.get((*chosen).min(settings.len().saturating_sub(1))) else {
        return Body { lines: vec![toned(view.theme, Tone::Faint, "…")], ..Body::default() };
    };
    let above = Rect { height: area.height.saturating_sub(DETAILS).max(4), ..area };
    let mut lines =
        rows(view.theme, above, settings.len(), *chosen, |row| line(view.theme, &settings[row], area.width));
    lines.push(Line::default());
    let columns = usize::from(area.width);
    lines.extend(details(view.theme, setting).iter().flat_map(|line| wrapped(line, columns, 12)));
    let set = settings.iter().filter(|setting| !setting.from.is_empty() && setting.from != "default").count();
    Body { note: format!("{} of {}, {set} set by somebody", chosen + 1, settings.len()), lines, ..Body::default() }
}

/// One setting in one line: name, where it came from in a word, value.
fn line(theme: Theme, setting: &SettingLine, columns: u16) -> Line<'static> {
    let source = setting.from.split_whitespace().next().unwrap_or_default();
    let head = format!("{:<NAME$} {:<SOURCE$}", cut(&squeezed(&setting.name), NAME), cut(&squeezed(source), SOURCE));
    let tone = if source == "default" { Tone::Faint } else { Tone::Strong };
    let value = fit(&squeezed(&setting.value), columns, NAME + SOURCE + 3);
    Line::from(vec![Span::styled(head, theme.style(tone)), Span::raw(value)])
}

/// All of it.
fn details(theme: Theme, setting: &SettingLine) -> Vec<Line<'static>> {
    let mut lines = vec![toned(theme, Tone::Strong, squeezed(&setting.name))];
    if !setting.about.is_empty() {
        lines.push(pair(theme, "what", squeezed(&setting.about)));
    }
    lines.push(pair(theme, "value", squeezed(&setting.value)));
    if !setting.from.is_empty() {
        lines.push(pair(theme, "from", squeezed(&setting.from)));
    }
    for (way, number) in setting.change.iter().zip(0..) {
        lines.push(pair(theme, if number == 0 { "change it" } else { "" }, squeezed(way)));
    }
    lines
}
