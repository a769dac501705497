//! The conversation: its blocks as lines for the scrollback, and what lives below them: what goes on, the composer.

use common_ground::{
    module::{CallKind, Life, Module, StepState},
    report::Report,
    run::Phase,
};
use ratatui::text::{Line, Span};
use unicode_segmentation::UnicodeSegmentation;

use super::{Frame, draft, fit, toned};
use crate::{
    event::{TellTone, Told},
    keys::Action,
    markdown,
    text::{count, duration, money, squeezed, width, wrapped},
    theme::{Theme, Tone},
    update::proposals,
    view::{Block, Leaving, View, Watched, Working, who},
};

/// Modules at work that are shown by name.
const AT_WORK: usize = 5;
/// Rows that the composer takes at most.
const COMPOSER_ROWS: usize = 10;
/// What stands before the person's words.
const PROMPT: &str = "› ";

/// The lines of a block at this width.
pub fn block(theme: Theme, block: &Block, columns: u16) -> Vec<Line<'static>> {
    let columns = usize::from(columns);
    match block {
        Block::Asked(question) => {
            let line = Line::from(vec![
                Span::styled(PROMPT, theme.style(Tone::Person)),
                Span::styled(squeezed(question), theme.style(Tone::Person)),
            ]);
            [Line::default()].into_iter().chain(wrapped(&line, columns, 2)).collect()
        }
        Block::Line { tone, mark, text } => {
            let style = theme.style(*tone);
            let words = if matches!(tone, Tone::Faint) { style } else { theme.style(Tone::Text) };
            let line = Line::from(vec![Span::styled(format!("{mark} "), style), Span::styled(text.clone(), words)]);
            wrapped(&line, columns, 2)
        }
        Block::Answer(report) => answer(theme, report, columns),
        Block::Told(told) => self::told(theme, told, columns),
    }
}

fn told(theme: Theme, told: &Told, columns: usize) -> Vec<Line<'static>> {
    let tone = match told.tone {
        TellTone::Note => Tone::Text,
        TellTone::Good => Tone::Good,
        TellTone::Bad => Tone::Bad,
        TellTone::Output => Tone::Code,
    };
    let lines = told.lines.iter().map(|line| toned(theme, tone, format!("  {line}")));
    lines.flat_map(|line| wrapped(&line, columns, 4)).collect()
}

/// An answer: its claims as Markdown with the numbers of their sources, then the sources, then what is missing.
fn answer(theme: Theme, report: &Report, columns: usize) -> Vec<Line<'static>> {
    let mut lines = vec![Line::default()];
    let mut add = |line: Line<'static>, indent| lines.extend(wrapped(&line, columns, indent));
    for section in &report.sections {
        if report.sections.len() > 1 || section.question != report.question {
            add(toned(theme, Tone::Strong, squeezed(&section.question)), 0);
        }
        for claim in &section.claims {
            let numbers: String = claim.sources.iter().map(|number| format!("[{number}]")).collect();
            let mut said = markdown::lines(theme, &claim.text);
            if let Some(last) = said.last_mut() {
                last.spans.push(Span::raw(" "));
                last.spans.push(Span::styled(numbers, theme.style(Tone::Link)));
            }
            said.into_iter().for_each(|line| add(set_in(line), 2));
        }
        if section.claims.is_empty() && report.answered {
            add(toned(theme, Tone::Faint, "  no answer was found to this"), 2);
        }
    }
    if !report.answered {
        let nearest = if report.sources.is_empty() { "" } else { "; the nearest passages:" };
        add(toned(theme, Tone::Warn, format!("no answer was found{nearest}")), 0);
    }
    for (source, number) in report.sources.iter().zip(1_u32..) {
        let place = format!(" {}, bytes {}–{}", squeezed(&source.place()), source.span.start, source.span.end);
        let number = Span::styled(format!("[{number}]"), theme.style(Tone::Link));
        add(Line::from(vec![Span::raw("  "), number, Span::styled(place, theme.style(Tone::Faint))]), 6);
    }
    for gap in &report.gaps {
        add(toned(theme, Tone::Warn, format!("  missing: {} ({})", squeezed(&gap.question), squeezed(&gap.reason))), 4);
    }
    let engine = match report.engine.as_str() {
        "extractive" => "quoted by the extractive engine; no language model was used".to_owned(),
        other => format!("by {}", squeezed(other)),
    };
    add(toned(theme, Tone::Faint, format!("  {engine}")), 2);
    lines
}

fn set_in(line: Line<'static>) -> Line<'static> {
    Line::from([Span::raw("  ")].into_iter().chain(line.spans).collect::<Vec<_>>()).style(line.style)
}

/// Rows that the live part wants at the view's size.
pub fn live_rows(view: &View) -> u16 {
    let rows = live_lines(view, view.size.columns).0.len();
    u16::try_from(rows).unwrap_or(u16::MAX).min(view.size.rows.saturating_sub(1)).max(1)
}

/// Draws the live part. Where it has more lines than rows, the composer and the state are kept.
pub(super) fn live(view: &View, frame: &mut Frame<'_>) {
    let (lines, cursor) = live_lines(view, frame.area.width);
    let over = lines.len().saturating_sub(usize::from(frame.area.height));
    for (row, line) in (0..).zip(&lines[over..]) {
        frame.line(row, line);
    }
    frame.cursor = u16::try_from(usize::from(cursor.1).saturating_sub(over)).ok().map(|row| (cursor.0, row));
}

/// The lines of the live part, and where the cursor stands in them.
fn live_lines(view: &View, columns: u16) -> (Vec<Line<'static>>, (u16, u16)) {
    let mut lines = vec![Line::default()];
    lines.extend(at_work(view, columns));
    lines.extend(
        view.queue
            .iter()
            .map(|next| toned(view.theme, Tone::Faint, fit(&format!("+ next: {}", squeezed(next)), columns, 0))),
    );
    let (composer, cursor) = composer(view, columns);
    let row = lines.len() + cursor.1;
    lines.extend(composer);
    for (proposal, number) in proposals::of(view).iter().zip(0..) {
        let tone = if number == view.proposal { Tone::Chosen } else { Tone::Faint };
        let mark = if number == view.proposal { "›" } else { " " };
        let text = format!("{mark} {:<16} {}", proposal.text, proposal.about);
        lines.push(toned(view.theme, tone, fit(&text, columns, 0)));
    }
    lines.push(state(view, columns));
    (lines, (u16::try_from(cursor.0).unwrap_or(0), u16::try_from(row).unwrap_or(0)))
}

/// What goes on now.
fn at_work(view: &View, columns: u16) -> Vec<Line<'static>> {
    let theme = view.theme;
    let mut lines = Vec::new();
    match &view.work {
        Working::Preparing { question, words } => {
            if !question.is_empty() {
                lines.push(toned(theme, Tone::Person, fit(&format!("{PROMPT}{}", squeezed(question)), columns, 0)));
            }
            lines.push(toned(theme, Tone::Faint, fit(&format!("… {words}"), columns, 0)));
        }
        Working::Driving | Working::Stopping => {
            let stopping = view.work == Working::Stopping;
            if let Some(watched) = &view.watched {
                lines.extend(running(view, watched, stopping, columns));
            }
        }
        Working::Resting => {
            let watched = view.watched.as_ref().filter(|watched| watched.goes_on());
            lines.extend(watched.map(|watched| running(view, watched, false, columns)).unwrap_or_default());
            lines.extend(standing_still(view));
        }
    }
    if let Some(words) = &view.adding {
        let ends = match view.work {
            Working::Resting => format!(" · {} stops it", view.keys.of(Action::Interrupt)),
            Working::Preparing { .. } | Working::Driving | Working::Stopping => String::new(),
        };
        lines.push(toned(theme, Tone::Faint, fit(&format!("… {words}{ends}"), columns, 0)));
    }
    let waiting = view.waiting().len();
    if waiting > 0 {
        let plural = if waiting == 1 { "question waits" } else { "questions wait" };
        let key = view.keys.of(Action::Approvals);
        lines.push(toned(theme, Tone::Warn, format!("? {waiting} {plural} for you: {key} opens them")));
    }
    lines
}

/// A paused run says how it goes on.
fn standing_still(view: &View) -> Option<Line<'static>> {
    let run = view.watched.as_ref()?.run()?;
    match run.phase {
        Phase::Paused { .. } => {
            Some(toned(view.theme, Tone::Warn, "‖ this run stands still: /resume lets it go on, /cancel gives it up"))
        }
        Phase::Open if !view.is_busy() && !view.watched.as_ref().is_some_and(Watched::goes_on) => Some(toned(
            view.theme,
            Tone::Warn,
            "‖ this run was interrupted: /resume lets it go on, /cancel gives it up",
        )),
        Phase::Open | Phase::Closed { .. } => None,
    }
}

fn running(view: &View, watched: &Watched, stopping: bool, columns: u16) -> Vec<Line<'static>> {
    let theme = view.theme;
    let Some(run) = watched.run() else { return Vec::new() };
    let (accepted, all) = watched.done();
    let spent = run.account.spent();
    let what = if all == 0 { "planning".to_owned() } else { format!("{accepted} of {all} accepted") };
    let ends = if stopping { "stopping".to_owned() } else { format!("{} interrupts", view.keys.of(Action::Interrupt)) };
    let figures = format!(
        " · {} tokens · {} calls · {} · {ends}",
        count(spent.tokens),
        count(spent.tool_calls),
        duration(watched.age(view.at))
    );
    let mut lines = vec![Line::from(vec![
        Span::styled(format!("● {what}"), theme.style(Tone::Good)),
        Span::styled(fit(&figures, columns, width(&what) + 2), theme.style(Tone::Faint)),
    ])];
    let busy = watched.modules().filter_map(|(number, _, module)| Some((number, module, busy(run, module)?)));
    let busy: Vec<_> = busy.collect();
    for (number, module, words) in busy.iter().take(AT_WORK) {
        let text = format!("  {number} {words} · {}", squeezed(&module.spec.question));
        lines.push(toned(theme, Tone::Faint, fit(&text, columns, 0)));
    }
    if busy.len() > AT_WORK {
        lines.push(toned(theme, Tone::Faint, format!("  and {} more", busy.len() - AT_WORK)));
    }
    lines.extend(draft::last_rows(view, columns));
    lines
}

/// Who does what on a module, where somebody does.
fn busy(run: &common_ground::Run, module: &Module) -> Option<String> {
    match &module.life {
        Life::Leased(lease) => {
            let doing = match module.attempt().and_then(|attempt| attempt.steps.last()) {
                Some(step) if step.state == StepState::Started => match &step.call {
                    CallKind::Model { model } => format!("asks {}", squeezed(model)),
                    CallKind::Tool { tool, .. } => squeezed(tool),
                },
                Some(_) | None => "at work".to_owned(),
            };
            Some(format!("{}, attempt {}: {doing}", who(&run.roster, lease.associate), lease.attempt.0))
        }
        Life::Submitted { .. } => Some("Verifier reads it".to_owned()),
        Life::Judged { .. } => Some("accepted, its receipt is being sealed".to_owned()),
        Life::Proposed
        | Life::Ready(_)
        | Life::Blocked { .. }
        | Life::Accepted { .. }
        | Life::Paused { .. }
        | Life::Cancelled
        | Life::Failed { .. } => None,
    }
}

/// The composer's rows, and column and row of the cursor in them.
fn composer(view: &View, columns: u16) -> (Vec<Line<'static>>, (usize, usize)) {
    let room = usize::from(columns).saturating_sub(2).max(2);
    let mut rows = vec![String::new()];
    let (mut column, mut cursor) = (0, (2, 0));
    for (at, grapheme) in view.composer.text().grapheme_indices(true) {
        let wide = width(grapheme);
        if grapheme != "\n" && column + wide > room {
            rows.push(String::new());
            column = 0;
        }
        if at == view.composer.cursor() {
            cursor = (column + 2, rows.len() - 1);
        }
        if grapheme == "\n" {
            rows.push(String::new());
            column = 0;
        } else if let Some(row) = rows.last_mut() {
            row.push_str(&crate::text::plain(grapheme));
            column += wide;
        }
    }
    if view.composer.cursor() == view.composer.text().len() {
        if column == room {
            rows.push(String::new());
            column = 0;
        }
        cursor = (column + 2, rows.len() - 1);
    }
    let first = (cursor.1 + 1).saturating_sub(COMPOSER_ROWS);
    let shown = rows.into_iter().zip(0..).skip(first).take(COMPOSER_ROWS);
    let prompt = view.theme.style(Tone::Person);
    let mut lines: Vec<Line<'static>> = shown
        .map(|(row, number)| {
            let mark = if number == 0 { PROMPT } else { "  " };
            Line::from(vec![Span::styled(mark, prompt), Span::raw(row)])
        })
        .collect();
    if view.composer.is_empty() {
        let hint = "ask something, / for commands, @ for documents";
        let hint = fit(hint, columns, 2);
        lines = vec![Line::from(vec![Span::styled(PROMPT, prompt), Span::styled(hint, view.theme.style(Tone::Faint))])];
    }
    (lines, (cursor.0, cursor.1 - first))
}

/// The last line: what the program is set to, what it cost, and the way to help.
fn state(view: &View, columns: u16) -> Line<'static> {
    let theme = view.theme;
    if view.leaving == Leaving::Asked {
        return toned(theme, Tone::Warn, format!("{} again leaves", view.keys.of(Action::Stop)));
    }
    let Some(setup) = &view.setup else { return toned(theme, Tone::Faint, "…") };
    let mut parts = vec![setup.models.join(" + ")];
    parts.push(setup.source.clone().unwrap_or_else(|| "no documents named".to_owned()));
    if let Some(run) = view.watched.as_ref().and_then(Watched::run) {
        let (spent, limit) = (run.account.spent(), run.account.limit());
        if run.task.currency != "XXX" {
            parts.push(format!("{} of {} {}", money(spent.cost_micro), money(limit.cost_micro), run.task.currency));
        }
    }
    let help = format!("{} help", view.keys.of(Action::Help));
    let left = fit(&parts.join(" · "), columns, width(&help) + 3);
    toned(theme, Tone::Faint, format!("{left} · {help}"))
}
