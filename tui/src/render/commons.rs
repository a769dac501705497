//! Search: what is looked for, and the passages found with where they stand.

use ratatui::{
    layout::Rect,
    text::{Line, Span},
};

use super::{Body, fit, rows, toned};
use crate::{
    keys::Action,
    text::{self, squeezed, width, wrapped},
    theme::Tone,
    view::{Pane, View},
};

/// The pane.
pub(super) fn list(view: &View, area: Rect) -> Body {
    let Pane::Commons { query, chosen } = &view.pane else { return Body::default() };
    let theme = view.theme;
    let line = format!("› {}", text::plain(query));
    let cursor = u16::try_from(width(&line)).ok().map(|column| (column, 0));
    let going = view.adding.as_ref().map(|words| toned(theme, Tone::Good, fit(&format!("… {words}"), area.width, 0)));
    let mut lines = vec![toned(theme, Tone::Person, line), going.unwrap_or_default()];
    let source = view.setup.as_ref().and_then(|setup| setup.source.clone());
    let note = source.unwrap_or_else(|| "no documents named: /docs FOLDER".to_owned());
    match &view.found {
        None => lines.push(toned(theme, Tone::Faint, "plain words; enter searches")),
        Some((_, Err(why))) => lines.push(toned(theme, Tone::Bad, squeezed(why))),
        Some((found, Ok(hits))) if hits.is_empty() => {
            lines.push(toned(theme, Tone::Faint, format!("nothing was found for {}", squeezed(found))));
        }
        Some((_, Ok(hits))) => {
            let upper = Rect { height: (area.height / 2).max(4), ..area };
            lines.extend(rows(theme, upper, hits.len(), *chosen, |row| {
                let (cited, title) = (&hits[row].citation, &hits[row].title);
                let place = format!("{}, bytes {}–{}", squeezed(&cited.path), cited.span.start, cited.span.end);
                let head = format!("[{}] {}  ", row + 1, fit(&squeezed(title), area.width, 30));
                Line::from(vec![Span::raw(head), Span::styled(place, theme.style(Tone::Faint))])
            }));
            lines.push(Line::default());
            if let Some(hit) = hits.get((*chosen).min(hits.len() - 1)) {
                let columns = usize::from(area.width);
                let quote = text::lines(&hit.citation.quote);
                lines.extend(quote.into_iter().flat_map(|line| wrapped(&Line::raw(line), columns, 0)));
            }
        }
    }
    Body { note, lines, keys: vec![(Action::Open, "search"), (Action::Add, "take in this folder")], cursor }
}
