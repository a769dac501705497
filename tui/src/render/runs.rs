//! The runs there are. Opening one only reads; going on is a key of its own.

use ratatui::{
    layout::Rect,
    text::{Line, Span},
};

use super::{Body, fit, rows, toned};
use crate::{
    keys::Action,
    text::{duration, squeezed},
    theme::Tone,
    view::{Pane, View},
};

/// The pane.
pub(super) fn list(view: &View, area: Rect) -> Body {
    let Pane::Runs { chosen } = &view.pane else { return Body::default() };
    let theme = view.theme;
    let keys = vec![
        (Action::Open, "open"),
        (Action::Resume, "go on"),
        (Action::Cancel, "give up"),
        (Action::Verify, "verify"),
        (Action::Fork, "fork"),
    ];
    let Some(runs) = &view.runs else {
        return Body { lines: vec![toned(theme, Tone::Faint, "…")], keys, ..Body::default() };
    };
    if runs.is_empty() {
        return Body { lines: vec![toned(theme, Tone::Faint, "no runs yet: ask something")], keys, ..Body::default() };
    }
    let lines = rows(theme, area, runs.len(), *chosen, |row| {
        let run = &runs[row];
        let ago = duration(view.at.since(run.opened));
        let head = format!("{:<13} {:>9} ago  ", squeezed(&run.state), ago);
        let question = fit(&squeezed(&run.question), area.width, head.len() + 2);
        Line::from(vec![Span::styled(head, theme.style(Tone::Faint)), Span::raw(question)])
    });
    Body { note: format!("{} runs", runs.len()), lines, keys, cursor: None }
}
