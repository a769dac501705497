//! Texts of others made safe to show, measured in columns, cut and wrapped.
//!
//! **Invariant:** what leaves here holds nothing that a terminal obeys: no control character, no mark that turns the
//! direction of writing.

use ratatui::{
    style::Style,
    text::{Line, Span},
};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Columns that a tab takes.
const TAB: &str = "    ";

/// Whether a terminal, or a reader's eye, would be led by this character instead of shown it.
fn obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

/// One line of it: controls and marks of direction stand as U+FFFD, line breaks and tabs as blanks.
pub fn plain(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\r' | '\t' => ' ',
            other if obeyed(other) => char::REPLACEMENT_CHARACTER,
            other => other,
        })
        .collect()
}

/// White space as single blanks, so that a quote stays on its line.
pub fn squeezed(text: &str) -> String {
    plain(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Its lines, each plain, tabs as blanks.
pub fn lines(text: &str) -> Vec<String> {
    text.lines().map(|line| plain(&line.trim_end_matches('\r').replace('\t', TAB))).collect()
}

/// Columns that a text takes.
pub fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// The text, or as much of it as fits into so many columns with an ellipsis.
pub fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 0;
    for grapheme in text.graphemes(true) {
        let more = width(grapheme);
        if used + more + 1 > columns {
            break;
        }
        kept.push_str(grapheme);
        used += more;
    }
    if columns > 0 {
        kept.push('…');
    }
    kept
}

/// A styled line broken between words at so many columns; what follows the first line begins with `indent` blanks. A word
/// that is longer than a line is broken within.
pub fn wrapped(line: &Line<'_>, columns: usize, indent: usize) -> Vec<Line<'static>> {
    let columns = columns.max(2);
    if line.width() <= columns {
        let own = |span: &Span<'_>| Span::styled(span.content.to_string(), line.style.patch(span.style));
        return vec![Line::from(line.spans.iter().map(own).collect::<Vec<_>>())];
    }
    let indent = if indent + 2 > columns { 0 } else { indent };
    let mut wrap = Wrap { columns, indent, rows: Vec::new(), row: Vec::new(), used: 0, at_start: true };
    for span in &line.spans {
        let style = line.style.patch(span.style);
        for word in span.content.split_word_bounds() {
            wrap.word(word, style);
        }
    }
    wrap.end_row();
    wrap.rows
}

/// A line on its way to rows.
struct Wrap {
    columns: usize,
    indent: usize,
    rows: Vec<Line<'static>>,
    row: Vec<Span<'static>>,
    used: usize,
    at_start: bool,
}

impl Wrap {
    fn word(&mut self, word: &str, style: Style) {
        let blank = word.chars().all(char::is_whitespace);
        let wide = width(word);
        if self.used + wide <= self.columns {
            // Blanks at the place where a line was broken belong to no row.
            if !(blank && self.at_start && !self.rows.is_empty()) {
                self.push(word, wide, style);
            }
            return;
        }
        if blank {
            self.end_row();
            return;
        }
        if !self.at_start && wide <= self.columns - self.indent {
            self.end_row();
            self.push(word, wide, style);
            return;
        }
        for grapheme in word.graphemes(true) {
            let wide = width(grapheme);
            if self.used + wide > self.columns {
                self.end_row();
            }
            self.push(grapheme, wide, style);
        }
    }

    fn push(&mut self, text: &str, wide: usize, style: Style) {
        if self.row.is_empty() && !self.rows.is_empty() && self.indent > 0 {
            self.row.push(Span::raw(" ".repeat(self.indent)));
            self.used = self.indent;
        }
        match self.row.last_mut() {
            Some(last) if last.style == style => last.content.to_mut().push_str(text),
            _other_style => self.row.push(Span::styled(text.to_owned(), style)),
        }
        self.used += wide;
        self.at_start = false;
    }

    fn end_row(&mut self) {
        self.rows.push(Line::from(std::mem::take(&mut self.row)));
        self.used = if self.indent > 0 { self.indent } else { 0 };
        self.at_start = true;
    }
}

/// A duration for people: `0:07`, `12:30`, `3:07:00`.
pub fn duration(ms: u64) -> String {
    let seconds = ms / 1000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// A count for people: `950`, `12.3k`, `4.1M`.
pub fn count(number: u64) -> String {
    let tenths = |unit: u64| {
        let tenths = number / (unit / 10);
        format!("{}.{}", tenths / 10, tenths % 10)
    };
    match number {
        0..=9_999 => number.to_string(),
        10_000..=999_999 => tenths(1_000) + "k",
        1_000_000..=999_999_999 => tenths(1_000_000) + "M",
        _more => tenths(1_000_000_000) + "G",
    }
}

/// Millionths of a currency unit as a decimal number with at least two places.
pub fn money(micro: u64) -> String {
    let digits = format!("{}.{:06}", micro / 1_000_000, micro % 1_000_000);
    let shortest = digits.len() - 4;
    let end = digits.trim_end_matches('0').len().max(shortest);
    digits[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::{count, cut, duration, lines, money, plain, squeezed, width, wrapped};
    use proptest::prelude::*;
    use ratatui::text::Line;

    fn texts(line: &str, columns: usize, indent: usize) -> Vec<String> {
        wrapped(&Line::raw(line.to_owned()), columns, indent).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        assert_eq!(plain("a\u{1b}[2Jb\u{202e}c\u{9b}d\ne"), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d e");
        assert_eq!(squeezed(" a\t\n b\u{7}"), "a b\u{fffd}");
        assert_eq!(lines("a\tb\r\nc\u{8}"), ["a    b", "c\u{fffd}"]);
    }

    #[test]
    fn wide_text_is_measured_in_columns() {
        assert_eq!(width("日本"), 4);
        assert_eq!(cut("日本語", 5), "日本…");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(texts("日本語の文", 4, 0), ["日本", "語の", "文"]);
    }

    #[test]
    fn words_stay_whole_where_they_fit() {
        assert_eq!(texts("one two three", 8, 0), ["one two ", "three"]);
        assert_eq!(texts("one two three", 8, 2), ["one two ", "  three"]);
        assert_eq!(texts("a verylongword", 6, 0), ["a very", "longwo", "rd"]);
        assert_eq!(texts("", 6, 0), [""]);
    }

    #[test]
    fn figures_are_short() {
        assert_eq!([0, 9_999, 12_345, 4_100_000].map(count), ["0", "9999", "12.3k", "4.1M"]);
        assert_eq!([7_000, 750_000, 11_220_000].map(duration), ["0:07", "12:30", "3:07:00"]);
        assert_eq!([0, 1, 2_500_000].map(money), ["0.00", "0.000001", "2.50"]);
    }

    proptest! {
        #[test]
        fn no_row_is_wider_than_asked_and_no_letter_is_lost(text in "[a-z日 ]{0,60}", columns in 2_usize..20, indent in 0_usize..4) {
            let rows = texts(&text, columns, indent);
            prop_assert!(rows.iter().all(|row| width(row) <= columns), "{rows:?}");
            let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(letters(&rows.concat()), letters(&text));
        }
    }
}
