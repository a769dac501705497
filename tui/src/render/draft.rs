//! What a model is saying now: its last rows in the conversation, all that is kept of it in its module's pane.

use common_ground::{ModuleId, module::Owner};
use ratatui::text::{Line, Span};

use super::toned;
use crate::{
    text::{self, wrapped},
    theme::{Theme, Tone},
    view::{Draft, View},
};

/// Rows that all of it takes in the conversation.
const ROWS: usize = 6;
/// What stands before each row, so that it is not taken for the answer.
const MARK: &str = "  │ ";

/// The last rows of what is being said, shared among those who speak.
pub(super) fn last_rows(view: &View, columns: u16) -> Vec<Line<'static>> {
    let speaking: Vec<&Draft> = view.drafts.iter().filter(|draft| !draft.text.trim().is_empty()).take(ROWS).collect();
    let each = ROWS / speaking.len().max(1);
    speaking.into_iter().flat_map(|draft| last(view.theme, draft, usize::from(columns), each)).collect()
}

fn last(theme: Theme, draft: &Draft, columns: usize, most: usize) -> Vec<Line<'static>> {
    let room = columns.saturating_sub(MARK.len()).max(2);
    let mut rows: Vec<Line<'static>> = Vec::new();
    // From the end, so that no more is broken into rows than is shown.
    for line in text::lines(draft.text.trim_end()).into_iter().rev() {
        let end = &line[beginning(&line, most * room)..];
        rows.extend(wrapped(&Line::raw(end.to_owned()), room, 0).into_iter().rev());
        if rows.len() >= most {
            break;
        }
    }
    rows.truncate(most);
    rows.into_iter().rev().map(|row| marked(theme, row)).collect()
}

/// Where to begin with a line of which the last columns are shown: at a word, and at the same one until much more was said,
/// so that what stands there does not move.
fn beginning(line: &str, columns: usize) -> usize {
    const STEP: usize = 1024;
    // A letter of four bytes takes a column.
    let from = line.len().saturating_sub(4 * columns) / STEP * STEP;
    let word = |at: &usize| line.is_char_boundary(*at) && line[*at..].starts_with(' ');
    let next = || (from..line.len()).find(word).unwrap_or(from);
    let at = if from == 0 { 0 } else { next() };
    (at..=line.len()).find(|at| line.is_char_boundary(*at)).unwrap_or(0)
}

fn marked(theme: Theme, row: Line<'static>) -> Line<'static> {
    let mark = Span::styled(MARK, theme.style(Tone::Faint));
    Line::from([mark].into_iter().chain(row.spans).collect::<Vec<_>>())
}

/// What is being said of a module.
pub(super) fn of_module(view: &View, module: ModuleId) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    for draft in view.drafts.of(module).filter(|draft| !draft.text.trim().is_empty()) {
        let who = match draft.owner {
            Owner::Verifier { .. } => "the Verifier says now; nothing of it counts yet",
            Owner::Attempt { .. } | Owner::Role { .. } => "being said now; nothing of it counts yet",
        };
        lines.push(toned(view.theme, Tone::Strong, who));
        lines.extend(text::lines(draft.text.trim_end()).into_iter().map(|line| marked(view.theme, Line::raw(line))));
        lines.push(Line::default());
    }
    lines
}
