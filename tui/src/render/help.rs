//! Help: the keys by where they apply, and the commands; from the tables that the program acts by.

use ratatui::text::{Line, Span};

use super::toned;
use crate::{
    keys::{ACTIONS, Place},
    theme::Tone,
    update::commands::COMMANDS,
    view::View,
};

/// Its lines.
pub(super) fn lines(view: &View) -> Vec<Line<'static>> {
    let theme = view.theme;
    let mut lines = Vec::new();
    for place in [
        Place::Everywhere,
        Place::Composer,
        Place::Panes,
        Place::Approvals,
        Place::Searches,
        Place::Runs,
        Place::Modules,
    ] {
        lines.push(toned(theme, Tone::Strong, place.name()));
        for (action, _, _, _, about) in ACTIONS.iter().filter(|(_, _, of, ..)| *of == place) {
            let keys = Span::styled(format!("  {:<28}", view.keys.all_of(*action)), theme.style(Tone::Link));
            lines.push(Line::from(vec![keys, Span::raw(*about)]));
        }
        lines.push(Line::default());
    }
    lines.push(toned(theme, Tone::Strong, "commands"));
    for command in COMMANDS {
        let name = format!("  {:<28}", format!("/{} {}", command.name, command.takes));
        lines.push(Line::from(vec![Span::styled(name, theme.style(Tone::Link)), Span::raw(command.about)]));
    }
    lines.push(Line::default());
    for line in [
        "@NAME     names a document; some of its letters find it",
        "!COMMAND  runs a command of your own, in your shell, with your rights; nothing of it goes to a model",
        "Other keys: eyes.keys in the settings, such as [\"plan=alt+p\"]. Text is marked and copied as in any terminal.",
    ] {
        lines.push(Line::raw(line));
    }
    lines
}
