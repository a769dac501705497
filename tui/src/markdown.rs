//! Markdown as styled lines: headings, lists, code, tables, links. What it says of links is shown, never followed.

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use ratatui::{
    style::{Modifier, Style},
    text::{Line, Span},
};

use crate::{
    text::{plain, width},
    theme::{Theme, Tone},
};

/// The lines of a text. They are as long as they are; who shows them wraps them.
pub fn lines(theme: Theme, markdown: &str) -> Vec<Line<'static>> {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut page = Page {
        theme,
        lines: Vec::new(),
        line: Vec::new(),
        styles: Vec::new(),
        lists: Vec::new(),
        state: State::Flow,
        link: None,
    };
    for event in Parser::new_ext(markdown, options) {
        page.event(event);
    }
    page.end_line();
    while page.lines.last().is_some_and(|line| line.spans.is_empty()) {
        page.lines.pop();
    }
    page.lines
}

/// Where the reading is.
enum State {
    Flow,
    Code,
    Table { rows: Vec<Vec<String>>, cell: String },
}

struct Page {
    theme: Theme,
    lines: Vec<Line<'static>>,
    line: Vec<Span<'static>>,
    styles: Vec<Style>,
    /// Number of the next point, where the list is numbered.
    lists: Vec<Option<u64>>,
    state: State,
    link: Option<String>,
}

impl Page {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) | Event::Html(text) | Event::InlineHtml(text) => self.text(&text),
            Event::Code(text) | Event::InlineMath(text) | Event::DisplayMath(text) => {
                self.styles.push(self.theme.style(Tone::Code));
                self.text(&text);
                self.styles.pop();
            }
            Event::SoftBreak => self.text(" "),
            Event::HardBreak => self.end_line(),
            Event::Rule => {
                self.end_line();
                self.lines.push(Line::styled("────────", self.theme.style(Tone::Faint)));
            }
            Event::TaskListMarker(done) => self.text(if done { "[x] " } else { "[ ] " }),
            Event::FootnoteReference(name) => self.text(&format!("[{name}]")),
        }
    }

    fn style(&self) -> Style {
        self.styles.iter().fold(Style::default(), |all, style| all.patch(*style))
    }

    fn text(&mut self, text: &str) {
        match &mut self.state {
            State::Table { cell, .. } => cell.push_str(&plain(text)),
            State::Code => {
                let style = self.theme.style(Tone::Code);
                for line in crate::text::lines(text) {
                    self.lines.push(Line::from(vec![Span::raw("    "), Span::styled(line, style)]));
                }
            }
            State::Flow => {
                let style = self.style();
                self.line.push(Span::styled(plain(text), style));
            }
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        let plain_style = Style::default();
        match tag {
            Tag::Heading { level, .. } => {
                self.blank();
                let style = self.theme.style(Tone::Strong);
                let under = if level == HeadingLevel::H1 { style.add_modifier(Modifier::UNDERLINED) } else { style };
                self.styles.push(under);
            }
            Tag::Emphasis => self.styles.push(plain_style.add_modifier(Modifier::ITALIC)),
            Tag::Strong => self.styles.push(plain_style.add_modifier(Modifier::BOLD)),
            Tag::Strikethrough => self.styles.push(plain_style.add_modifier(Modifier::CROSSED_OUT)),
            Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. } => {
                self.styles.push(self.theme.style(Tone::Link));
                self.link = Some(plain(&dest_url));
            }
            Tag::List(first) => {
                self.end_line();
                self.lists.push(first);
            }
            Tag::Item => self.item(),
            Tag::CodeBlock(_) => {
                self.end_line();
                self.state = State::Code;
            }
            Tag::Table(_) => {
                self.end_line();
                self.state = State::Table { rows: Vec::new(), cell: String::new() };
            }
            Tag::TableHead | Tag::TableRow => {
                if let State::Table { rows, .. } = &mut self.state {
                    rows.push(Vec::new());
                }
            }
            Tag::BlockQuote(_) => self.styles.push(self.theme.style(Tone::Faint)),
            _flows => {}
        }
    }

    fn item(&mut self) {
        self.end_line();
        let depth = "  ".repeat(self.lists.len().saturating_sub(1));
        let mark = match self.lists.last_mut() {
            Some(Some(number)) => {
                *number += 1;
                format!("{depth}{}. ", *number - 1)
            }
            Some(None) | None => format!("{depth}• "),
        };
        self.line.push(Span::raw(mark));
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(_) | TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough | TagEnd::BlockQuote(_) => {
                self.styles.pop();
                if matches!(tag, TagEnd::Heading(_)) {
                    self.end_line();
                }
            }
            TagEnd::Link | TagEnd::Image => {
                self.styles.pop();
                let shown: String = self.line.last().map(|span| span.content.to_string()).unwrap_or_default();
                if let Some(target) = self.link.take().filter(|target| *target != shown && !target.is_empty()) {
                    let style = self.theme.style(Tone::Faint);
                    self.line.push(Span::styled(format!(" ({target})"), style));
                }
            }
            TagEnd::Paragraph => {
                self.end_line();
                if self.lists.is_empty() {
                    self.blank();
                }
            }
            TagEnd::Item => self.end_line(),
            TagEnd::List(_) => {
                self.lists.pop();
                if self.lists.is_empty() {
                    self.blank();
                }
            }
            TagEnd::CodeBlock => {
                self.state = State::Flow;
                self.blank();
            }
            TagEnd::TableCell => {
                if let State::Table { rows, cell } = &mut self.state
                    && let Some(row) = rows.last_mut()
                {
                    row.push(std::mem::take(cell));
                }
            }
            TagEnd::Table => self.table(),
            _flows => {}
        }
    }

    /// Rows in columns as wide as their widest cell.
    fn table(&mut self) {
        let State::Table { rows, .. } = std::mem::replace(&mut self.state, State::Flow) else { return };
        let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
        let cell = |row: &Vec<String>, column: usize| row.get(column).cloned().unwrap_or_default();
        let wide: Vec<usize> =
            (0..columns).map(|column| rows.iter().map(|row| width(&cell(row, column))).max().unwrap_or(0)).collect();
        for (row, number) in rows.iter().zip(0..) {
            let cells = wide.iter().enumerate().map(|(column, wide)| {
                let text = cell(row, column);
                let blanks = " ".repeat(wide - width(&text));
                text + &blanks
            });
            let text = cells.collect::<Vec<_>>().join(" │ ");
            let tone = if number == 0 { Tone::Strong } else { Tone::Text };
            self.lines.push(Line::styled(text, self.theme.style(tone)));
            if number == 0 {
                let rule = wide.iter().map(|wide| "─".repeat(*wide)).collect::<Vec<_>>().join("─┼─");
                self.lines.push(Line::styled(rule, self.theme.style(Tone::Faint)));
            }
        }
        self.blank();
    }

    fn end_line(&mut self) {
        if !self.line.is_empty() {
            self.lines.push(Line::from(std::mem::take(&mut self.line)));
        }
    }

    /// An empty line, but never two and never the first.
    fn blank(&mut self) {
        self.end_line();
        if self.lines.last().is_some_and(|line| !line.spans.is_empty()) {
            self.lines.push(Line::default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::lines;
    use crate::theme::Theme;

    fn shown(markdown: &str) -> Vec<String> {
        lines(Theme::Plain, markdown).iter().map(|line| line.to_string().trim_end().to_owned()).collect()
    }

    #[test]
    fn each_form_has_its_lines() {
        let table: &[(&str, &[&str])] = &[
            ("one\ntwo\n\nthree", &["one two", "", "three"]),
            ("# Top\ntext", &["Top", "text"]),
            ("- a\n- b\n  1. c\n  2. d", &["• a", "• b", "  1. c", "  2. d"]),
            ("```rust\nlet a;\n\tb\n```", &["    let a;", "        b"]),
            ("[here](https://x.example/y) `code`", &["here (https://x.example/y) code"]),
            ("<https://x.example>", &["https://x.example"]),
            ("|a|bb|\n|-|-|\n|日本|c|", &["a    │ bb", "─────┼───", "日本 │ c"]),
            ("a\u{1b}]0;x\u{7}b", &["a\u{fffd}]0;x\u{fffd}b"]),
            ("", &[]),
        ];
        for (markdown, expected) in table {
            assert_eq!(shown(markdown), *expected, "{markdown:?}");
        }
    }
}
