//! Keys in panes.

use common_ground::{
    Digest, ModuleId,
    approval::{Answer, Question},
    module::{Life, Module, StepState},
    record::Record,
};

use super::{commands, leave};
use crate::{
    brief::orderable,
    event::{Ask, Steer},
    keys::{Action, Chord, Place},
    text,
    view::{Layout, Pane, View, Watched, changing},
};

/// Lines or rows that a page has.
fn page(view: &View) -> usize {
    usize::from(view.size.rows.saturating_sub(6)).max(1)
}

/// A key in a pane.
pub(super) fn pressed(view: &mut View, chord: Chord) -> Vec<Ask> {
    if writes(view) && (chord.typed().is_some() || chord.code == termina::event::KeyCode::Backspace) {
        return typed(view, chord);
    }
    let places: &[Place] = match view.pane {
        Pane::Approvals { .. } => &[Place::Approvals, Place::Panes],
        Pane::Runs { .. } | Pane::Trust { .. } => &[Place::Runs, Place::Panes],
        Pane::Plan { .. } | Pane::Module { .. } | Pane::Changes { .. } => &[Place::Modules, Place::Runs, Place::Panes],
        Pane::Commons { .. } => &[Place::Searches, Place::Panes],
        Pane::Conversation
        | Pane::Help { .. }
        | Pane::Briefs { .. }
        | Pane::Orders { .. }
        | Pane::Settings { .. }
        | Pane::Sources { .. } => &[Place::Panes],
    };
    match view.keys.action(places, chord) {
        Some(action) => act(view, action),
        None => Vec::new(),
    }
}

/// Whether letters are written here: a search, or an answer in words.
pub(crate) fn writes(view: &View) -> bool {
    match &view.pane {
        Pane::Commons { .. } => true,
        Pane::Approvals { chosen, .. } => {
            let waiting = view.waiting();
            waiting.get(*chosen).is_some_and(|(_, approval)| matches!(approval.question, Question::Words { .. }))
        }
        Pane::Conversation
        | Pane::Help { .. }
        | Pane::Plan { .. }
        | Pane::Module { .. }
        | Pane::Changes { .. }
        | Pane::Trust { .. }
        | Pane::Briefs { .. }
        | Pane::Orders { .. }
        | Pane::Settings { .. }
        | Pane::Runs { .. }
        | Pane::Sources { .. } => false,
    }
}

fn typed(view: &mut View, chord: Chord) -> Vec<Ask> {
    let (Pane::Commons { query: written, chosen: _ } | Pane::Approvals { words: written, .. }) = &mut view.pane else {
        return Vec::new();
    };
    match chord.typed() {
        Some(letter) => written.push(letter),
        None => drop(written.pop()),
    }
    Vec::new()
}

/// A paste, wherever something is written.
pub(super) fn pasted(view: &mut View, pasted: &str) {
    let one_line = || text::squeezed(&pasted.chars().take(2_000).collect::<String>());
    match &mut view.pane {
        Pane::Conversation => view.composer.paste(pasted),
        Pane::Commons { query: written, .. } | Pane::Approvals { words: written, .. } => written.push_str(&one_line()),
        Pane::Help { .. }
        | Pane::Plan { .. }
        | Pane::Module { .. }
        | Pane::Changes { .. }
        | Pane::Trust { .. }
        | Pane::Briefs { .. }
        | Pane::Orders { .. }
        | Pane::Settings { .. }
        | Pane::Runs { .. }
        | Pane::Sources { .. } => {}
    }
}

fn act(view: &mut View, action: Action) -> Vec<Ask> {
    let page = page(view);
    match action {
        Action::Close => close(view),
        Action::Up => return moved(view, |at, _| at.saturating_sub(1)),
        Action::Down => return moved(view, |at, last| (at + 1).min(last)),
        Action::PageUp => return moved(view, |at, _| at.saturating_sub(page)),
        Action::PageDown => return moved(view, |at, last| (at + page).min(last)),
        Action::Top => return moved(view, |_, _| 0),
        Action::Bottom => return moved(view, |_, last| last),
        Action::Open => return open(view),
        Action::Switch => {
            if let Pane::Plan { layout, .. } = &mut view.pane {
                *layout = if *layout == Layout::Tree { Layout::Board } else { Layout::Tree };
            }
        }
        Action::Once => return answer(view, Answer::Once),
        Action::ForRun => return answer(view, Answer::Run),
        Action::Always => return answer(view, Answer::Always),
        Action::Deny => return answer(view, Answer::Deny),
        Action::Resume => return resume(view),
        Action::Cancel => return on_run(view, |run| Ask::Cancel { run }),
        Action::Verify => {
            let asks = on_run(view, |run| Ask::Verify { run });
            view.pane = Pane::Conversation;
            return asks;
        }
        Action::Briefs => {
            view.pane = Pane::Briefs { chosen: 0 };
            return vec![Ask::Briefs];
        }
        Action::Fork => return fork(view),
        Action::Anew => return anew(view),
        Action::Tell => return tell(view),
        Action::Add => return add(view),
        Action::Changes => return changes(view),
        Action::Hold => {
            return steer(view, |life| if let Life::Paused { .. } = life { Steer::Free } else { Steer::Hold });
        }
        Action::GiveUp => return steer(view, |_life| Steer::GiveUp),
        Action::Leave => return leave(view),
        _elsewhere => {}
    }
    Vec::new()
}

fn close(view: &mut View) {
    view.pane = match &view.pane {
        // A module was opened from the plan.
        Pane::Module { module, .. } => {
            let number = view.watched.as_ref().and_then(|watched| watched.modules().find(|(_, id, _)| id == module));
            Pane::Plan { layout: Layout::Tree, chosen: number.map_or(0, |(number, ..)| number - 1) }
        }
        Pane::Changes { module, .. } => Pane::Module { module: *module, top: 0 },
        Pane::Briefs { .. } => Pane::Trust { top: 0 },
        Pane::Orders { .. } => Pane::Briefs { chosen: 0 },
        Pane::Conversation
        | Pane::Help { .. }
        | Pane::Plan { .. }
        | Pane::Approvals { .. }
        | Pane::Trust { .. }
        | Pane::Commons { .. }
        | Pane::Settings { .. }
        | Pane::Runs { .. }
        | Pane::Sources { .. } => Pane::Conversation,
    };
}

/// Moves the row that stands out, or the first line shown; `to` has where it is and the last place there is.
fn moved(view: &mut View, to: impl Fn(usize, usize) -> usize) -> Vec<Ask> {
    let rows = match &view.pane {
        Pane::Plan { .. } => view.watched.as_ref().map_or(0, |watched| watched.modules().count()),
        Pane::Approvals { .. } => view.waiting().len(),
        Pane::Commons { .. } => view.found.as_ref().map_or(0, |(_, hits)| hits.as_ref().map_or(0, Vec::len)),
        Pane::Briefs { .. } => view.briefs().len(),
        Pane::Orders { brief, .. } => orderable(brief.as_deref()).len(),
        Pane::Settings { .. } => view.setup.as_ref().map_or(0, |setup| setup.settings.len()),
        Pane::Runs { .. } => view.runs.as_ref().map_or(0, Vec::len),
        Pane::Sources { .. } => view.report().map_or(0, |report| report.sources.len()),
        // How many lines there are is known when they are drawn; drawing holds the place at the last.
        Pane::Conversation | Pane::Help { .. } | Pane::Module { .. } | Pane::Changes { .. } | Pane::Trust { .. } => {
            crate::render::lines_of_pane(view)
        }
    };
    let last = rows.saturating_sub(1);
    match &mut view.pane {
        Pane::Plan { chosen: at, .. }
        | Pane::Approvals { chosen: at, .. }
        | Pane::Commons { chosen: at, .. }
        | Pane::Briefs { chosen: at }
        | Pane::Orders { chosen: at, .. }
        | Pane::Settings { chosen: at }
        | Pane::Runs { chosen: at }
        | Pane::Sources { chosen: at }
        | Pane::Help { top: at }
        | Pane::Module { top: at, .. }
        | Pane::Changes { top: at, .. }
        | Pane::Trust { top: at } => *at = to((*at).min(last), last),
        Pane::Conversation => {}
    }
    if matches!(view.pane, Pane::Sources { .. }) { passage(view) } else { Vec::new() }
}

fn open(view: &mut View) -> Vec<Ask> {
    match &view.pane {
        Pane::Plan { chosen, .. } => {
            let chosen = view.watched.as_ref().and_then(|watched| watched.modules().nth(*chosen));
            let Some((_, module, _)) = chosen else { return Vec::new() };
            view.pane = Pane::Module { module, top: 0 };
            contents(view)
        }
        Pane::Commons { query, .. } => {
            let query = query.trim().to_owned();
            if query.is_empty() { Vec::new() } else { vec![Ask::Search { query }] }
        }
        Pane::Runs { chosen } => {
            let run = view.runs.as_ref().and_then(|runs| runs.get(*chosen)).map(|line| line.run);
            run.map(|run| Ask::Open { run }).into_iter().collect()
        }
        Pane::Briefs { chosen } => {
            let brief = view.briefs().get(*chosen).map(|brief| Box::new((*brief).clone()));
            if view.watched.is_some() {
                view.pane = Pane::Orders { brief, chosen: 0 };
            }
            Vec::new()
        }
        Pane::Orders { brief, chosen } => {
            let run = view.watched.as_ref().map(|watched| watched.run);
            let Some((run, one)) = run.zip(orderable(brief.as_deref()).into_iter().nth(*chosen)) else {
                return Vec::new();
            };
            view.pane = Pane::Conversation;
            vec![Ask::Order { run, module: one.module, act: one.act }]
        }
        Pane::Approvals { words, .. } if writes(view) && !words.trim().is_empty() => {
            let text = words.trim().to_owned();
            answer(view, Answer::Words { text })
        }
        Pane::Conversation
        | Pane::Help { .. }
        | Pane::Module { .. }
        | Pane::Changes { .. }
        | Pane::Approvals { .. }
        | Pane::Trust { .. }
        | Pane::Settings { .. }
        | Pane::Sources { .. } => Vec::new(),
    }
}

/// Has the folder that is written in the search taken in.
fn add(view: &mut View) -> Vec<Ask> {
    let Pane::Commons { query, .. } = &mut view.pane else { return Vec::new() };
    let folder = std::mem::take(query).trim().to_owned();
    if folder.is_empty() { Vec::new() } else { vec![Ask::Add { folder }] }
}

/// The module that stands out.
fn chosen(view: &View) -> Option<ModuleId> {
    let watched = view.watched.as_ref()?;
    match &view.pane {
        Pane::Plan { chosen, .. } => watched.modules().nth(*chosen).map(|(_, module, _)| module),
        Pane::Module { module, .. } | Pane::Changes { module, .. } => Some(*module),
        Pane::Conversation
        | Pane::Help { .. }
        | Pane::Approvals { .. }
        | Pane::Trust { .. }
        | Pane::Commons { .. }
        | Pane::Briefs { .. }
        | Pane::Orders { .. }
        | Pane::Settings { .. }
        | Pane::Runs { .. }
        | Pane::Sources { .. } => None,
    }
}

/// Opens what the module that stands out changed.
fn changes(view: &mut View) -> Vec<Ask> {
    let Some(module) = chosen(view) else { return Vec::new() };
    view.pane = Pane::Changes { module, top: 0 };
    contents(view)
}

/// Asks for what a module's pane shows and was not asked for yet.
pub(super) fn contents(view: &mut View) -> Vec<Ask> {
    let run = view.watched.as_ref().and_then(Watched::run);
    let shown = match &view.pane {
        Pane::Module { module, .. } => run.and_then(|run| run.modules.get(module)).map(texts),
        Pane::Changes { module, .. } => run.and_then(|run| run.modules.get(module)).map(records),
        Pane::Conversation
        | Pane::Help { .. }
        | Pane::Plan { .. }
        | Pane::Approvals { .. }
        | Pane::Trust { .. }
        | Pane::Commons { .. }
        | Pane::Briefs { .. }
        | Pane::Orders { .. }
        | Pane::Settings { .. }
        | Pane::Runs { .. }
        | Pane::Sources { .. } => None,
    };
    let fresh = shown.unwrap_or_default().into_iter().filter(|digest| view.asked.insert(*digest));
    fresh.map(Ask::Content).collect()
}

/// What it gave, and what it was told.
fn texts(module: &Module) -> Vec<Digest> {
    let told = module.words.iter().map(|word| word.text);
    module.attempts.iter().filter_map(|attempt| attempt.deliverable).chain(told).collect()
}

/// The records of calls that may have changed files.
fn records(module: &Module) -> Vec<Digest> {
    let steps = module.attempts.iter().flat_map(|attempt| &attempt.steps).filter(|step| changing(step));
    let traced = steps.filter_map(|step| match &step.state {
        StepState::Finished { traced, .. } => traced.as_ref().map(|traced| traced.record),
        StepState::Started => None,
    });
    traced.collect()
}

/// Whether everything that a module's changes are read from is there.
pub(crate) fn is_fetched(view: &View, module: ModuleId) -> bool {
    let run = view.watched.as_ref().and_then(Watched::run);
    let wanted = run.and_then(|run| run.modules.get(&module)).map(records).unwrap_or_default();
    wanted.iter().all(|digest| view.changes.contains_key(digest) || view.contents.contains_key(digest))
}

/// Keeps a content that came. The record of a call is kept as what it changed.
pub(super) fn came(view: &mut View, digest: Digest, text: Result<String, String>) {
    // Only a record has its form: what is none is kept as it came.
    let record = text.as_ref().ok().and_then(|text| serde_json::from_str::<Record>(text).ok());
    match record {
        Some(record) => drop(view.changes.insert(digest, record.changes)),
        None => drop(view.contents.insert(digest, text)),
    }
}

/// Asks for the cited passage that stands out, where it was not opened yet.
pub(super) fn passage(view: &View) -> Vec<Ask> {
    let (Pane::Sources { chosen }, Some(watched)) = (&view.pane, &view.watched) else { return Vec::new() };
    let source = watched.report.as_ref().and_then(|report| report.sources.get(*chosen));
    let unopened = source.filter(|source| !view.passages.contains_key(source));
    unopened.map(|source| Ask::Passage { run: watched.run, citation: Box::new(source.clone()) }).into_iter().collect()
}

/// Answers the question that stands out. What is no answer to it is not sent.
pub(super) fn answer(view: &mut View, answer: Answer) -> Vec<Ask> {
    let Pane::Approvals { chosen, .. } = view.pane else { return Vec::new() };
    let waiting = view.waiting();
    let Some((approval, asked)) = waiting.get(chosen).or(waiting.last()) else { return Vec::new() };
    if !asked.question.takes(&answer) {
        return Vec::new();
    }
    let (approval, left) = (*approval, waiting.len() - 1);
    let Some(run) = view.watched.as_ref().map(|watched| watched.run) else { return Vec::new() };
    view.sent.insert(approval);
    view.pane = if left == 0 {
        Pane::Conversation
    } else {
        Pane::Approvals { chosen: chosen.min(left - 1), words: String::new() }
    };
    vec![Ask::Answer { run, approval, answer }]
}

/// Steers the module that stands out, where it is not over.
fn steer(view: &View, to: impl Fn(&Life) -> Steer) -> Vec<Ask> {
    let Some(watched) = &view.watched else { return Vec::new() };
    let stands_out = chosen(view);
    let found = watched.modules().find(|(_, id, module)| Some(*id) == stands_out && !module.life.is_over());
    found.map(|(_, module, of)| Ask::Steer { run: watched.run, module, to: to(&of.life) }).into_iter().collect()
}

/// Begins a run from the one that stands out, as it is.
fn fork(view: &mut View) -> Vec<Ask> {
    let asks = on_run(view, |run| Ask::Fork { run, place: None });
    view.pane = Pane::Conversation;
    match asks.first() {
        Some(Ask::Fork { run, .. }) if !commands::may_fork(view, *run) => commands::refuse_fork(view),
        Some(_) => asks,
        None => commands::fork(view, ""),
    }
}

/// Begins a run from before the module that stands out was accepted; as it is, where it was not.
fn anew(view: &mut View) -> Vec<Ask> {
    let (Some(watched), Some(module)) = (&view.watched, chosen(view)) else { return Vec::new() };
    let place = watched.accepted.get(&module).map(|seq| (seq - 1).to_string()).unwrap_or_default();
    view.pane = Pane::Conversation;
    commands::fork(view, &place)
}

/// Begins a word to the module that stands out, where nothing else is being written.
fn tell(view: &mut View) -> Vec<Ask> {
    let (Some(watched), Some(module)) = (&view.watched, chosen(view)) else { return Vec::new() };
    let found = watched.modules().find(|(_, id, of)| *id == module && !of.life.is_over());
    let Some((number, ..)) = found.filter(|_| view.composer.is_empty()) else { return Vec::new() };
    view.composer.set(&format!("/tell {number} "));
    view.pane = Pane::Conversation;
    Vec::new()
}

fn on_run(view: &View, ask: fn(common_ground::RunId) -> Ask) -> Vec<Ask> {
    let in_view = view.watched.as_ref().map(|watched| watched.run);
    let run = match &view.pane {
        Pane::Runs { chosen } => view.runs.as_ref().and_then(|runs| runs.get(*chosen)).map(|line| line.run),
        _other => in_view,
    };
    run.map(ask).into_iter().collect()
}

/// Lets the run that stands out go on. One that is not in view is opened on the way.
fn resume(view: &mut View) -> Vec<Ask> {
    let run = on_run(view, |run| Ask::Resume { run });
    if view.is_busy() || run.is_empty() {
        return commands::resume(view);
    }
    view.pane = Pane::Conversation;
    view.work = crate::view::Working::Preparing { question: String::new(), words: "getting ready".to_owned() };
    run
}
