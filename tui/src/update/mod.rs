//! What an event changes in the view, and what is asked of the program for it.
//!
//! **Invariant:** pure. Nothing here waits, reads a clock, a file or a terminal; what must be done is an [`Ask`] in the
//! answer.

pub mod commands;
mod panes;
pub mod proposals;
mod writing;

pub(crate) use panes::is_fetched;

use common_ground::{Fact, RunId};

use crate::{
    event::{Ask, Event, Placed, Setup, TellTone, Told, Work},
    keys::{Action, Chord, Place},
    text,
    theme::Tone,
    view::{Block, Leaving, Pane, View, Watched, Working},
};

/// Longest question in bytes; the program takes no longer one.
pub const LONGEST_QUESTION: usize = 64 * 1024;

/// Takes one event.
pub fn update(view: &mut View, event: Event) -> Vec<Ask> {
    match event {
        Event::Key(chord) => return pressed(view, chord),
        Event::Pasted(pasted) => panes::pasted(view, &pasted),
        Event::Line(line) => return writing::line(view, &line),
        Event::Resized(size) => view.size = size,
        Event::Looking(looking) => view.looking = looking,
        Event::Clock(at) => view.at = view.at.max(at),
        Event::Ready(setup) => {
            if view.setup.is_none() {
                welcome(view, &setup);
            }
            view.setup = Some(*setup);
        }
        Event::Fact { run, placed } => {
            if matches!(view.work, Working::Preparing { .. }) {
                view.work = Working::Driving;
            }
            fact(view, run, &placed);
            return panes::contents(view);
        }
        // Who reads events takes what waits, and gives it as the next one.
        Event::Heard => {}
        Event::Spoken(said) => {
            let of = view.watched.as_ref().map(|watched| watched.run);
            said.into_iter().filter(|one| of == Some(one.run)).for_each(|one| view.drafts.hear(one));
        }
        Event::Opened { run, facts, worked_on } => opened(view, run, &facts, worked_on),
        Event::Recorded { run, facts } => {
            if view.watched.as_ref().is_some_and(|watched| watched.run == run) {
                facts.iter().for_each(|placed| fact(view, run, placed));
            }
            return panes::contents(view);
        }
        Event::Preparing(words) => {
            if let Working::Preparing { words: shown, .. } = &mut view.work {
                *shown = text::plain(&words);
            }
        }
        Event::Adding(words) => view.adding = words.map(|words| text::plain(&words)),
        Event::Rested { detail } => return rested(view, &detail),
        Event::NotAsked { question, why } => not_asked(view, &question, &why),
        Event::Told(told) => tell(view, told),
        Event::Runs(runs) => view.runs = Some(runs),
        Event::Briefs(briefs) => view.found_by_guardians = Some(briefs),
        Event::Content { digest, text } => {
            panes::came(view, digest, text);
        }
        Event::Found { query, hits } => view.found = Some((query, hits)),
        Event::Passage { citation, text } => {
            view.passages.insert(*citation, text);
        }
        Event::Write(text) => view.composer.insert(&text::plain(&text)),
        Event::Names(names) => view.names = Some(names),
        Event::Receipt { receipt, state } => {
            if let Some(watched) = &mut view.watched {
                watched.further.insert(receipt, state);
            }
        }
        Event::End => {
            view.leaving = Leaving::Now;
            return vec![Ask::Quit];
        }
    }
    Vec::new()
}

/// What the person can do now, and next; said once.
fn welcome(view: &mut View, setup: &Setup) {
    let extractive = setup.models == ["extractive"];
    let how = if extractive {
        "It works now, without a key, a model or a network: it quotes your documents, and says where each quote stands."
    } else {
        "Ask something: answers quote your documents, and say where each quote stands."
    };
    let from = setup.source.as_ref().map(|source| format!("Answers come from {}.", text::plain(source)));
    let checked = "Each part is checked by another than its worker, and gets a signed receipt.";
    let lines = [how.to_owned(), checked.to_owned()].into_iter().chain(from);
    let offers = setup.offers.iter().map(|offer| format!("  {}", text::plain(offer)));
    view.say(Block::Told(Told { tone: TellTone::Note, lines: lines.chain(offers).collect() }));
}

/// A fact of the run at work. The first one of another run takes the place of what was watched.
fn fact(view: &mut View, run: RunId, placed: &Placed) {
    if view.watched.as_ref().is_none_or(|watched| watched.run != run) {
        view.watched = Some(Watched::new(run));
        view.drafts.clear();
    }
    view.at = view.at.max(placed.at);
    let Some(watched) = &mut view.watched else { return };
    let before = watched.seq;
    let more = watched.take(placed);
    if watched.seq == before {
        return;
    }
    view.blocks.extend(more);
    view.drafts.follow(&placed.fact);
    match &placed.fact {
        Fact::ModuleBlocked { .. } | Fact::RunClosed { .. } | Fact::RunPaused { .. } => view.call(),
        _not_worth_a_call => {}
    }
}

/// A run on record takes the place of what was watched, and is told from its beginning.
fn opened(view: &mut View, run: RunId, facts: &[Placed], worked_on: Work) {
    let mut watched = Watched::new(run);
    let mut blocks: Vec<Block> = facts.iter().flat_map(|placed| watched.take(placed)).collect();
    if blocks.is_empty() {
        blocks.push(Block::line(Tone::Faint, '·', "nothing is recorded of this run"));
    }
    view.blocks.extend(blocks);
    view.pane = Pane::Conversation;
    view.drafts.clear();
    if worked_on == Work::Rests {
        watched.work = Work::Rests;
    }
    view.watched = Some(watched);
}

/// The drive ended. What was queued meanwhile is asked now, unless the person stopped the run.
fn rested(view: &mut View, detail: &str) -> Vec<Ask> {
    let stopped = view.work == Working::Stopping;
    view.work = Working::Resting;
    view.drafts.clear();
    if let Some(watched) = &mut view.watched {
        watched.work = Work::Rests;
    }
    if !detail.is_empty() {
        view.say(Block::line(Tone::Warn, '!', text::plain(detail)));
    }
    if stopped {
        // The person gets the first of them back to change or send again.
        if let Some(question) = view.queue.pop_front().filter(|_| view.composer.is_empty()) {
            view.composer.set(&question);
        }
        return Vec::new();
    }
    match view.queue.pop_front() {
        Some(question) => writing::ask(view, question),
        None => Vec::new(),
    }
}

fn not_asked(view: &mut View, question: &str, why: &str) {
    view.work = Working::Resting;
    if view.composer.is_empty() {
        view.composer.set(question);
    }
    view.say(Block::line(Tone::Bad, '!', text::plain(why)));
}

fn tell(view: &mut View, told: Told) {
    let lines = told.lines.iter().flat_map(|line| text::lines(line)).collect();
    view.say(Block::Told(Told { lines, ..told }));
}

fn pressed(view: &mut View, chord: Chord) -> Vec<Ask> {
    if view.keys.action(&[Place::Everywhere], chord) == Some(Action::Stop) {
        return stop(view);
    }
    view.leaving = Leaving::No;
    let writes = matches!(view.pane, Pane::Conversation);
    if let Some(action) = view.keys.action(&[Place::Everywhere], chord) {
        return everywhere(view, action);
    }
    if writes { writing::pressed(view, chord) } else { panes::pressed(view, chord) }
}

/// Interrupts what goes on; at rest asks once whether to leave.
fn stop(view: &mut View) -> Vec<Ask> {
    match (&view.work, view.leaving) {
        (Working::Driving | Working::Preparing { .. }, _) => interrupt(view),
        (Working::Resting | Working::Stopping, Leaving::No) if !view.composer.is_empty() => {
            view.composer.take();
            Vec::new()
        }
        (Working::Resting | Working::Stopping, Leaving::No) => {
            view.leaving = Leaving::Asked;
            Vec::new()
        }
        (Working::Resting | Working::Stopping, Leaving::Asked | Leaving::Now) => leave(view),
    }
}

/// Tells the run at work to stand still, here or at another program.
fn interrupt(view: &mut View) -> Vec<Ask> {
    match view.work {
        Working::Driving | Working::Preparing { .. } => {
            view.work = Working::Stopping;
            vec![Ask::Interrupt]
        }
        Working::Resting if view.adding.is_some() => vec![Ask::StopAdding],
        Working::Resting => {
            let elsewhere = view.watched.as_ref().filter(|watched| watched.goes_on());
            elsewhere.map(|watched| Ask::Pause { run: watched.run }).into_iter().collect()
        }
        Working::Stopping => Vec::new(),
    }
}

fn leave(view: &mut View) -> Vec<Ask> {
    view.leaving = Leaving::Now;
    vec![Ask::Quit]
}

/// What can be done in every place.
fn everywhere(view: &mut View, action: Action) -> Vec<Ask> {
    match action {
        Action::Help => show(view, Pane::Help { top: 0 }),
        Action::Plan => show(view, Pane::Plan { layout: Default::default(), chosen: 0 }),
        Action::Approvals => show(view, Pane::Approvals { chosen: 0, words: String::new() }),
        Action::Trust => show(view, Pane::Trust { top: 0 }),
        Action::Commons => show(view, Pane::Commons { query: String::new(), chosen: 0 }),
        Action::Settings => show(view, Pane::Settings { chosen: 0 }),
        Action::Runs => show(view, Pane::Runs { chosen: 0 }),
        Action::Sources => show(view, Pane::Sources { chosen: 0 }),
        Action::Redraw => {
            view.redraws += 1;
            Vec::new()
        }
        _elsewhere => Vec::new(),
    }
}

/// Opens a pane, and asks for what it needs. The same key again closes it.
fn show(view: &mut View, pane: Pane) -> Vec<Ask> {
    if std::mem::discriminant(&view.pane) == std::mem::discriminant(&pane) {
        view.pane = Pane::Conversation;
        return Vec::new();
    }
    view.pane = pane;
    match view.pane {
        Pane::Runs { .. } => vec![Ask::Runs],
        Pane::Briefs { .. } | Pane::Trust { .. } => vec![Ask::Briefs],
        Pane::Sources { .. } => panes::passage(view),
        Pane::Conversation
        | Pane::Help { .. }
        | Pane::Plan { .. }
        | Pane::Module { .. }
        | Pane::Changes { .. }
        | Pane::Approvals { .. }
        | Pane::Orders { .. }
        | Pane::Settings { .. }
        | Pane::Commons { .. } => Vec::new(),
    }
}
