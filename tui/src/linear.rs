//! The conversation as lines of text, one after the other: for screen readers, and for terminals that cannot move their
//! cursor. The terminal itself echoes and edits what is written; nothing is drawn over.

use std::{
    io::{self, BufRead, Write},
    sync::mpsc::Sender,
};

use ratatui::{buffer::Buffer, layout::Rect, text::Line};

use crate::{
    event::{Event, Size},
    render::{Frame, block, render},
    terminal::{Joined, Options, now, take},
    theme::Theme,
    view::{Leaving, Pane, View, Working},
};

/// Columns that a line may have before it is broken; readers break it as they like.
const COLUMNS: u16 = 200;
/// Rows of a pane that are read at most.
const ROWS: u16 = 500;

/// Runs until the person leaves or the input ends.
pub(crate) fn open(options: Options, joined: Joined) -> io::Result<()> {
    let size = Size { columns: COLUMNS, rows: ROWS };
    let mut view = View::new(size, Theme::Plain, options.keys);
    view.at = now();
    read_lines(joined.happens.clone());
    let mut out = io::stdout();
    let mut shown = 0;
    let mut said = String::new();
    while view.leaving != Leaving::Now {
        let Ok(event) = joined.events.recv() else { return Ok(()) };
        if !take(&mut view, event, &joined) {
            return Ok(());
        }
        for line in fresh(&mut view, &mut shown, &mut said) {
            writeln!(out, "{line}")?;
        }
        out.flush()?;
    }
    Ok(())
}

/// Lines that were not read out yet.
pub fn fresh(view: &mut View, shown: &mut usize, said: &mut String) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let add = |line: &Line<'_>| line.to_string().trim_end().to_owned();
    for one in &view.blocks[(*shown).min(view.blocks.len())..] {
        lines.extend(block(view.theme, one, COLUMNS).iter().map(add));
    }
    *shown = view.blocks.len();
    let state = state(view);
    if state != *said && !state.is_empty() {
        lines.push(state.clone());
    }
    *said = state;
    // A pane is read once; what it offers by keys has a command too.
    if view.pane != Pane::Conversation && is_ready(view) {
        lines.extend(pane(view));
        view.pane = Pane::Conversation;
    }
    lines.retain(|line| !line.is_empty());
    lines
}

/// Whether a pane has what it asked for.
fn is_ready(view: &View) -> bool {
    match &view.pane {
        Pane::Runs { .. } => view.runs.is_some(),
        Pane::Briefs { .. } | Pane::Trust { .. } => view.found_by_guardians.is_some(),
        Pane::Changes { module, .. } => crate::update::is_fetched(view, *module),
        Pane::Commons { query, .. } => query.is_empty() || view.found.as_ref().is_some_and(|(found, _)| found == query),
        Pane::Conversation
        | Pane::Help { .. }
        | Pane::Plan { .. }
        | Pane::Module { .. }
        | Pane::Approvals { .. }
        | Pane::Orders { .. }
        | Pane::Settings { .. }
        | Pane::Sources { .. } => true,
    }
}

/// What goes on, in a line.
fn state(view: &View) -> String {
    match &view.work {
        Working::Preparing { words, .. } => format!("… {words}"),
        Working::Stopping => "… stopping".to_owned(),
        Working::Resting | Working::Driving => String::new(),
    }
}

/// A pane as lines.
fn pane(view: &View) -> Vec<String> {
    let mut cells = Buffer::empty(Rect::new(0, 0, COLUMNS, ROWS));
    render(view, &mut Frame::new(&mut cells));
    let row = |row: u16| {
        let cells = (0..COLUMNS).map(|column| cells[(column, row)].symbol());
        cells.collect::<String>().trim_end().to_owned()
    };
    // The last row has keys, which mean nothing here.
    (0..ROWS - 1).map(row).filter(|line| !line.is_empty()).collect()
}

fn read_lines(happens: Sender<Event>) {
    let reads = move || {
        for line in io::stdin().lock().lines() {
            let event = line.map_or(Event::End, Event::Line);
            if happens.send(event).is_err() {
                return;
            }
        }
        // The input ended; where nobody listens any more, there is nobody to tell.
        drop(happens.send(Event::End));
    };
    std::thread::spawn(reads);
}
