//! Drawing: from the view to cells. One pane, one file.
//!
//! **Invariant:** pure. Draws what the view says and changes nothing; the same view gives the same cells.

mod approvals;
mod briefs;
mod changes;
mod commons;
mod conversation;
mod draft;
mod help;
mod module;
mod plan;
mod runs;
mod settings;
mod sources;
mod trust;

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    text::{Line, Span},
};

pub use conversation::{block, live_rows};

use crate::{
    keys::Action,
    text::{self, cut},
    theme::{Theme, Tone},
    view::{Pane, View, Watched, may_have_changed},
};

/// Cells to draw on.
pub struct Frame<'a> {
    /// Where.
    pub area: Rect,
    /// The cells.
    pub cells: &'a mut Buffer,
    /// Where the cursor is to stand; none hides it.
    pub cursor: Option<(u16, u16)>,
}

impl<'a> Frame<'a> {
    /// All of these cells.
    pub fn new(cells: &'a mut Buffer) -> Self {
        Self { area: cells.area, cells, cursor: None }
    }

    fn line(&mut self, row: u16, line: &Line<'_>) {
        if row < self.area.height {
            self.cells.set_line(self.area.x, self.area.y + row, line, self.area.width);
        }
    }
}

/// Draws what is not in the scrollback: the pane, or the composer with what goes on.
pub fn render(view: &View, frame: &mut Frame<'_>) {
    match &view.pane {
        Pane::Conversation => conversation::live(view, frame),
        Pane::Plan { .. } => over(view, frame, "Plan", &plan::list(view, frame.area)),
        Pane::Approvals { .. } => over(view, frame, "Approvals", &approvals::list(view, frame.area)),
        Pane::Commons { .. } => over(view, frame, "Commons", &commons::list(view, frame.area)),
        Pane::Briefs { .. } => over(view, frame, "Guardians", &briefs::list(view, frame.area)),
        Pane::Orders { .. } => over(view, frame, "Orders", &briefs::orders(view, frame.area)),
        Pane::Settings { .. } => over(view, frame, "Settings", &settings::list(view, frame.area)),
        Pane::Runs { .. } => over(view, frame, "Runs", &runs::list(view, frame.area)),
        Pane::Sources { .. } => over(view, frame, "Sources", &sources::list(view, frame.area)),
        Pane::Help { top } => scrolled(view, frame, "Help", *top),
        Pane::Module { top, .. } => scrolled(view, frame, "Module", *top),
        Pane::Changes { top, .. } => scrolled(view, frame, "Changes", *top),
        Pane::Trust { top } => scrolled(view, frame, "Trust", *top),
    }
}

/// Lines of a pane that is read from top to bottom, wrapped to its width.
fn text_of(view: &View, columns: usize) -> Vec<Line<'static>> {
    let lines = match &view.pane {
        Pane::Help { .. } => help::lines(view),
        Pane::Module { module, .. } => module::lines(view, *module),
        Pane::Changes { module, .. } => changes::lines(view, *module),
        Pane::Trust { .. } => trust::lines(view),
        Pane::Conversation
        | Pane::Plan { .. }
        | Pane::Approvals { .. }
        | Pane::Commons { .. }
        | Pane::Briefs { .. }
        | Pane::Orders { .. }
        | Pane::Settings { .. }
        | Pane::Runs { .. }
        | Pane::Sources { .. } => Vec::new(),
    };
    lines.iter().flat_map(|line| text::wrapped(line, columns, indent_of(line))).collect()
}

/// How many lines the pane in front has, where it is read from top to bottom.
pub fn lines_of_pane(view: &View) -> usize {
    text_of(view, usize::from(view.size.columns)).len()
}

/// What a wrapped line is set in by: as far as its own beginning.
fn indent_of(line: &Line<'_>) -> usize {
    let text = line.to_string();
    text.len() - text.trim_start_matches([' ', '·']).len()
}

/// A title, the body, and the keys that apply, for panes whose body is ready.
fn over(view: &View, frame: &mut Frame<'_>, title: &str, body: &Body) {
    title_line(view, frame, title, &body.note);
    for (row, line) in (2..frame.area.height.saturating_sub(1)).zip(&body.lines) {
        frame.line(row, line);
    }
    if let Some((column, row)) = body.cursor {
        frame.cursor = Some((column, row + 2));
    }
    let last = frame.area.height.saturating_sub(1);
    frame.line(last, &keys_line(view, &body.keys));
}

/// What a pane shows below its title.
#[derive(Default)]
struct Body {
    /// Beside the title.
    note: String,
    /// The lines, as many as fit.
    lines: Vec<Line<'static>>,
    /// Keys beside those of every pane.
    keys: Vec<(Action, &'static str)>,
    /// Where something is written, from the body's own corner.
    cursor: Option<(u16, u16)>,
}

fn scrolled(view: &View, frame: &mut Frame<'_>, title: &str, top: usize) {
    let lines = text_of(view, usize::from(frame.area.width));
    let room = usize::from(frame.area.height.saturating_sub(3));
    let top = top.min(lines.len().saturating_sub(room));
    let end = (top + room).min(lines.len());
    let note = if lines.len() > room { format!("lines {}–{end} of {}", top + 1, lines.len()) } else { String::new() };
    let keys = match &view.pane {
        Pane::Module { module, .. } => {
            let run = view.watched.as_ref().and_then(Watched::run);
            let module = run.and_then(|run| run.modules.get(module));
            let changes = module.is_some_and(may_have_changed).then_some((Action::Changes, "changes"));
            let steers = [(Action::Hold, "hold"), (Action::GiveUp, "give up"), (Action::Tell, "tell")];
            changes.into_iter().chain(steers).chain([(Action::Verify, "verify"), (Action::PageDown, "on")]).collect()
        }
        Pane::Trust { .. } => {
            vec![(Action::Briefs, "guardians, orders"), (Action::Verify, "verify"), (Action::PageDown, "on")]
        }
        _reads => vec![(Action::PageDown, "on")],
    };
    over(view, frame, title, &Body { note, lines: lines[top..end].to_vec(), keys, cursor: None });
}

fn title_line(view: &View, frame: &mut Frame<'_>, title: &str, note: &str) {
    let theme = view.theme;
    let mut spans = vec![Span::styled(format!(" {title} "), theme.style(Tone::Chosen))];
    if !note.is_empty() {
        spans.push(Span::styled(format!("  {note}"), theme.style(Tone::Faint)));
    }
    frame.line(0, &Line::from(spans));
}

/// Keys with what they do, as many as fit.
fn keys_line(view: &View, own: &[(Action, &'static str)]) -> Line<'static> {
    let theme = view.theme;
    let all = own.iter().copied().chain([(Action::Close, "back"), (Action::Help, "help")]);
    let mut spans = Vec::new();
    for (action, does) in all {
        spans.push(Span::styled(view.keys.of(action), theme.style(Tone::Strong)));
        spans.push(Span::styled(format!(" {does}   "), theme.style(Tone::Faint)));
    }
    Line::from(spans)
}

/// The rows of a list that fit, with the one that stands out among them, marked by more than its colour. Only these are
/// made.
fn rows(
    theme: Theme,
    area: Rect,
    all: usize,
    chosen: usize,
    line: impl Fn(usize) -> Line<'static>,
) -> Vec<Line<'static>> {
    let room = usize::from(area.height.saturating_sub(3)).max(1);
    let chosen = chosen.min(all.saturating_sub(1));
    let top = chosen.saturating_sub(room / 2).min(all.saturating_sub(room));
    (top..all.min(top + room)).map(|row| marked(theme, line(row), row == chosen)).collect()
}

fn marked(theme: Theme, line: Line<'static>, stands_out: bool) -> Line<'static> {
    let mark = if stands_out { Span::styled("› ", theme.style(Tone::Person)) } else { Span::raw("  ") };
    let style = if stands_out { theme.style(Tone::Chosen) } else { Default::default() };
    let spans = line.spans.into_iter().map(|span| {
        let style = span.style.patch(style);
        span.style(style)
    });
    Line::from([mark].into_iter().chain(spans).collect::<Vec<_>>())
}

/// A line of one tone.
fn toned(theme: Theme, tone: Tone, text: impl Into<String>) -> Line<'static> {
    Line::styled(text.into(), theme.style(tone))
}

/// A name and what it is, in two columns.
fn pair(theme: Theme, name: &str, value: impl Into<String>) -> Line<'static> {
    Line::from(vec![Span::styled(format!("{name:<12}"), theme.style(Tone::Faint)), Span::raw(value.into())])
}

/// A text cut to the columns that are left.
fn fit(text: &str, columns: u16, taken: usize) -> String {
    cut(text, usize::from(columns).saturating_sub(taken))
}
