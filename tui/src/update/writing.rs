//! The composer: keys that write, sending, queueing.

use super::{LONGEST_QUESTION, commands, interrupt, leave, proposals};
use crate::{
    event::{Ask, TellTone, Told},
    keys::{Action, Chord, Place},
    text,
    theme::Tone,
    view::{Block, View, Working},
};

/// A key in the composer.
pub(super) fn pressed(view: &mut View, chord: Chord) -> Vec<Ask> {
    let Some(action) = view.keys.action(&[Place::Composer], chord) else {
        if let Some(typed) = chord.typed() {
            view.composer.insert(typed.encode_utf8(&mut [0; 4]));
            return wrote(view);
        }
        return Vec::new();
    };
    match action {
        Action::Send => return send(view),
        Action::Interrupt => return interrupt(view),
        Action::Picture => return vec![Ask::Clipboard],
        Action::Complete => return complete(view),
        Action::Leave if view.composer.is_empty() => return leave(view),
        Action::Leave => view.composer.delete_forward(),
        Action::Newline => view.composer.insert("\n"),
        Action::Earlier if proposals::of(view).len() > 1 => view.proposal = view.proposal.saturating_sub(1),
        Action::Later if proposals::of(view).len() > 1 => {
            view.proposal = (view.proposal + 1).min(proposals::of(view).len() - 1);
        }
        Action::Earlier => view.composer.up(),
        Action::Later => view.composer.down(),
        Action::Left => view.composer.left(),
        Action::Right => view.composer.right(),
        Action::WordLeft => view.composer.word_left(),
        Action::WordRight => view.composer.word_right(),
        Action::LineStart => view.composer.line_start(),
        Action::LineEnd => view.composer.line_end(),
        Action::DeleteBack => view.composer.delete_back(),
        Action::DeleteForward => view.composer.delete_forward(),
        Action::DeleteWord => view.composer.delete_word(),
        Action::DeleteToStart => view.composer.delete_to_start(),
        Action::DeleteToEnd => view.composer.delete_to_end(),
        _elsewhere => return Vec::new(),
    }
    match action {
        Action::DeleteBack | Action::DeleteForward | Action::DeleteWord => wrote(view),
        _moved => Vec::new(),
    }
}

/// The text changed: proposals begin anew, and names are fetched when the first `@` is written.
pub(super) fn wrote(view: &mut View) -> Vec<Ask> {
    view.proposal = 0;
    let wants_names = view.names.is_none() && proposals::mention(&view.composer).is_some();
    if wants_names {
        view.names = Some(Vec::new());
        return vec![Ask::Names];
    }
    Vec::new()
}

fn complete(view: &mut View) -> Vec<Ask> {
    if let Some(chosen) = proposals::of(view).into_iter().nth(view.proposal) {
        view.composer.replace_before(chosen.from, &chosen.text);
        view.proposal = 0;
    }
    Vec::new()
}

/// A whole line, where there are no keys.
pub(super) fn line(view: &mut View, line: &str) -> Vec<Ask> {
    view.composer.set(line);
    send(view)
}

fn send(view: &mut View) -> Vec<Ask> {
    // A command that was only begun is taken as it is proposed.
    let begun = view.composer.text().starts_with('/') && !view.composer.text().contains(char::is_whitespace);
    if begun && commands::find(view.composer.text()).is_none() {
        complete(view);
    }
    let whole = view.composer.whole();
    let trimmed = whole.trim();
    if trimmed.is_empty() {
        return Vec::new();
    }
    if let Some(command) = trimmed.strip_prefix('!') {
        let command = command.trim().to_owned();
        view.composer.take();
        if command.is_empty() {
            return Vec::new();
        }
        view.say(Block::line(Tone::Person, '!', text::plain(&command)));
        return vec![Ask::Shell(command)];
    }
    if trimmed.starts_with('/') {
        let command = trimmed.to_owned();
        view.composer.take();
        return commands::run(view, &command);
    }
    if trimmed.len() > LONGEST_QUESTION {
        let text = format!(
            "this has {} bytes and a question at most {LONGEST_QUESTION}: put long material into a document of the folder",
            trimmed.len()
        );
        view.say(Block::line(Tone::Bad, '!', text));
        return Vec::new();
    }
    let question = trimmed.to_owned();
    view.composer.take();
    ask(view, question)
}

/// Asks, or queues while a run goes on.
pub(super) fn ask(view: &mut View, question: String) -> Vec<Ask> {
    if view.is_busy() {
        view.queue.push_back(question);
        return Vec::new();
    }
    if view.setup.as_ref().is_some_and(|setup| setup.source.is_none()) {
        view.composer.set(&question);
        let lines = vec![
            "no documents are named yet, and an answer comes from documents:".to_owned(),
            "  /docs FOLDER         a folder, read as it is now".to_owned(),
            "  /collection NAME     a collection that was taken in before".to_owned(),
        ];
        view.say(Block::Told(Told { tone: TellTone::Note, lines }));
        return Vec::new();
    }
    view.work = Working::Preparing { question: question.clone(), words: "getting ready".to_owned() };
    vec![Ask::Run { question }]
}
