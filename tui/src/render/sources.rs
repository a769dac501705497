//! The sources of the answer, and the one that stands out opened at its passage.

use common_ground::citation::Citation;
use ratatui::{
    layout::Rect,
    text::{Line, Span},
};

use super::{Body, rows, toned};
use crate::{
    text::{self, squeezed, wrapped},
    theme::Tone,
    view::{Pane, View},
};

/// The pane.
pub(super) fn list(view: &View, area: Rect) -> Body {
    let Pane::Sources { chosen } = &view.pane else { return Body::default() };
    let theme = view.theme;
    let Some(report) = view.report().filter(|report| !report.sources.is_empty()) else {
        let lines = vec![toned(theme, Tone::Faint, "there is no answer with sources in view")];
        return Body { lines, ..Body::default() };
    };
    let upper = Rect { height: (area.height / 2).max(4), ..area };
    let mut lines = rows(theme, upper, report.sources.len(), *chosen, |row| {
        let source = &report.sources[row];
        let place = format!(" {}, bytes {}–{}", squeezed(&source.place()), source.span.start, source.span.end);
        Line::from(vec![Span::styled(format!("[{}]", row + 1), theme.style(Tone::Link)), Span::raw(place)])
    });
    lines.push(Line::default());
    let source = &report.sources[(*chosen).min(report.sources.len() - 1)];
    let columns = usize::from(area.width);
    lines.extend(passage(view, source).iter().flat_map(|line| wrapped(line, columns, 0)));
    let note = format!("{} cited, each byte for byte", report.sources.len());
    Body { note, lines, keys: Vec::new(), cursor: None }
}

/// The quote in the midst of its text.
fn passage(view: &View, source: &Citation) -> Vec<Line<'static>> {
    let theme = view.theme;
    let digest = toned(theme, Tone::Faint, format!("SHA-256 {}", source.document));
    let strong = theme.style(Tone::Strong);
    let mut lines = vec![digest, Line::default()];
    match view.passages.get(source) {
        None => lines.extend(text::lines(&source.quote).into_iter().map(|line| Line::styled(line, strong))),
        Some(Err(why)) => {
            lines.extend(text::lines(&source.quote).into_iter().map(|line| Line::styled(line, strong)));
            lines.push(toned(theme, Tone::Warn, format!("its document cannot be opened: {}", squeezed(why))));
        }
        Some(Ok(around)) => {
            let faint = theme.style(Tone::Faint);
            let pieces = [(&around.before, faint), (&around.quote, strong), (&around.after, faint)];
            lines.extend(joined(&pieces));
        }
    }
    lines
}

/// Styled pieces of one running text as lines.
fn joined(pieces: &[(&String, ratatui::style::Style)]) -> Vec<Line<'static>> {
    let mut lines = vec![Line::default()];
    for (piece, style) in pieces {
        for (part, number) in piece.split('\n').zip(0..) {
            if number > 0 {
                lines.push(Line::default());
            }
            if let Some(line) = lines.last_mut() {
                line.spans.push(Span::styled(text::plain(&part.replace('\t', "    ")), *style));
            }
        }
    }
    lines
}
