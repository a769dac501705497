//! Questions that wait, as a queue: what exactly would happen, which rule asked, what it adds to the grant.

use common_ground::approval::{Approval, Question};
use ratatui::{
    layout::Rect,
    text::{Line, Span},
};

use super::{Body, rows, toned};
use crate::{
    keys::Action,
    text::{self, squeezed, width, wrapped},
    theme::{Theme, Tone},
    view::{Pane, View, Watched, asked, module_name},
};

/// Questions shown in the list above the one that stands out.
const LISTED: u16 = 5;

/// The pane.
pub(super) fn list(view: &View, area: Rect) -> Body {
    let Pane::Approvals { chosen, words } = &view.pane else { return Body::default() };
    let waiting = view.waiting();
    let Some(run) = view.watched.as_ref().and_then(Watched::run).filter(|_| !waiting.is_empty()) else {
        return Body { lines: vec![toned(view.theme, Tone::Faint, "nothing waits for you")], ..Body::default() };
    };
    let chosen = (*chosen).min(waiting.len() - 1);
    let some = Rect { height: LISTED + 3, ..area };
    let mut lines = rows(view.theme, some, waiting.len(), chosen, |row| {
        let approval = waiting[row].1;
        Line::raw(format!("{}: {}", module_name(run, approval.module), asked(&approval.question)))
    });
    lines.push(Line::default());
    let columns = usize::from(area.width);
    lines.extend(details(view, waiting[chosen].1).iter().flat_map(|line| wrapped(line, columns, 4)));
    let mut cursor = None;
    let keys = match &waiting[chosen].1.question {
        Question::Permission { .. } => {
            vec![
                (Action::Once, "once"),
                (Action::ForRun, "in this run"),
                (Action::Always, "always, exactly this"),
                (Action::Deny, "no"),
            ]
        }
        Question::Verdict { .. } => vec![(Action::ForRun, "it may begin"), (Action::Deny, "no, give it up")],
        Question::Words { .. } => {
            let line = format!("› {}", text::plain(words));
            cursor = u16::try_from(width(&line)).ok().zip(u16::try_from(lines.len()).ok());
            lines.push(toned(view.theme, Tone::Person, line));
            vec![(Action::Open, "answer")]
        }
    };
    let note = format!("{} of {}", chosen + 1, waiting.len());
    Body { note, lines, keys, cursor }
}

/// What exactly would happen.
fn details(view: &View, approval: &Approval) -> Vec<Line<'static>> {
    let theme = view.theme;
    match &approval.question {
        Question::Words { text, .. } => vec![Line::raw(squeezed(text)), Line::default()],
        Question::Verdict { tool, arguments, .. } => {
            let mut lines = vec![Line::raw("Your verdict is required before this module uses its first tool.")];
            lines.extend(call(theme, tool, arguments));
            lines
        }
        Question::Permission { tool, arguments, needs, .. } => {
            let mut lines = call(theme, tool, arguments);
            lines.push(Line::default());
            lines.push(Line::raw("It would add to what the module may do:"));
            for needed in needs {
                lines.push(Line::from(vec![
                    Span::styled(format!("  + {}", squeezed(&needed.need.to_string())), theme.style(Tone::Warn)),
                    Span::styled(format!("  ({})", squeezed(&needed.basis.to_string())), theme.style(Tone::Faint)),
                ]));
            }
            lines
        }
    }
}

/// The call that would be made, as it would be made.
fn call(theme: Theme, tool: &str, arguments: &str) -> Vec<Line<'static>> {
    let mut lines = vec![Line::from(vec![
        Span::styled(squeezed(tool), theme.style(Tone::Strong)),
        Span::raw(" would be called with:"),
    ])];
    lines.extend(text::lines(arguments).into_iter().map(|line| toned(theme, Tone::Code, format!("    {line}"))));
    lines
}
