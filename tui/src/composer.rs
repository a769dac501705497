//! What the person writes: lines with a cursor, what was said before, and pastes too large to show.
//!
//! **Invariant:** the cursor stands between two graphemes of the text.

use crate::pictures;
use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation};

/// A paste of more lines than this, or of more bytes than [`LONG_BYTES`], stands in the text as a mark.
const LONG_LINES: usize = 10;
/// See [`LONG_LINES`].
const LONG_BYTES: usize = 2_000;
/// What the person said, kept for the arrow keys.
const REMEMBERED: usize = 500;

/// A text being written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Composer {
    text: String,
    cursor: usize,
    pastes: Vec<(String, String)>,
    said: Vec<String>,
    /// How far back in what was said, and what was being written before.
    looking_back: Option<(usize, String)>,
}

impl Composer {
    /// What is written, with marks for long pastes.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where the cursor stands, in bytes.
    pub fn cursor(&self) -> usize {
        self.cursor
    }

    /// Whether nothing is written.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// What was said so far, oldest first.
    pub fn said(&self) -> &[String] {
        &self.said
    }

    /// What is written, with pastes in full.
    pub fn whole(&self) -> String {
        let mut text = self.text.clone();
        for (mark, paste) in &self.pastes {
            if let Some(at) = text.find(mark) {
                text.replace_range(at..at + mark.len(), "");
                pictures::put(&mut text, at, paste);
            }
        }
        text
    }

    /// Writes at the cursor.
    pub fn insert(&mut self, more: &str) {
        self.text.insert_str(self.cursor, more);
        self.written(self.cursor + more.len());
    }

    /// Stands behind what was just written.
    fn written(&mut self, end: usize) {
        self.cursor = end;
        // A letter may have joined the one before or after into one grapheme.
        self.cursor = self.boundary_from(self.cursor);
        self.looking_back = None;
    }

    /// Writes a pasted text; a long one stands as a mark until it is sent. One that is the path of a picture, and nothing
    /// else, becomes that picture's mark.
    pub fn paste(&mut self, pasted: &str) {
        if let Some(mark) = pictures::dropped(pasted).and_then(|path| pictures::mark(&path)) {
            let end = pictures::put_mark(&mut self.text, self.cursor, &mark);
            return self.written(end);
        }
        let pasted = pasted.replace("\r\n", "\n").replace('\r', "\n");
        let lines = pasted.lines().count();
        if lines <= LONG_LINES && pasted.len() <= LONG_BYTES {
            let end = pictures::put(&mut self.text, self.cursor, &pasted);
            return self.written(end);
        }
        let number = self.pastes.len() + 1;
        let mark = format!("[paste {number}: {lines} lines, {} bytes]", pasted.len());
        self.insert(&mark);
        self.pastes.push((mark, pasted));
    }

    /// Replaces everything.
    pub fn set(&mut self, text: &str) {
        text.clone_into(&mut self.text);
        self.cursor = self.text.len();
        self.pastes.clear();
        self.looking_back = None;
    }

    /// Replaces the bytes `from..cursor`.
    pub fn replace_before(&mut self, from: usize, with: &str) {
        if self.text.is_char_boundary(from) && from <= self.cursor {
            self.text.replace_range(from..self.cursor, with);
            self.cursor = from + with.len();
        }
    }

    /// Takes what is written, pastes in full, and remembers it.
    pub fn take(&mut self) -> String {
        let whole = self.whole();
        if self.said.last() != Some(&self.text) && !self.text.trim().is_empty() && self.pastes.is_empty() {
            self.said.push(self.text.clone());
            let over = self.said.len().saturating_sub(REMEMBERED);
            self.said.drain(..over);
        }
        self.set("");
        whole
    }

    /// One grapheme back.
    pub fn left(&mut self) {
        self.cursor = self.before(self.cursor);
    }

    /// One grapheme on.
    pub fn right(&mut self) {
        self.cursor = self.after(self.cursor);
    }

    /// To the start of the word before.
    pub fn word_left(&mut self) {
        let words = self.text[..self.cursor].split_word_bound_indices();
        let mut starts = words.filter(|(_, word)| !word.trim().is_empty()).map(|(at, _)| at);
        self.cursor = starts.next_back().unwrap_or(0);
    }

    /// Past the end of the word after.
    pub fn word_right(&mut self) {
        let rest = &self.text[self.cursor..];
        let mut words = rest.split_word_bound_indices().filter(|(_, word)| !word.trim().is_empty());
        self.cursor += words.next().map_or(rest.len(), |(at, word)| at + word.len());
    }

    /// To the start of the line.
    pub fn line_start(&mut self) {
        self.cursor = self.start_of_line(self.cursor);
    }

    /// To the end of the line.
    pub fn line_end(&mut self) {
        self.cursor = self.end_of_line(self.cursor);
    }

    /// Deletes the grapheme before.
    pub fn delete_back(&mut self) {
        let from = self.before(self.cursor);
        self.delete(from, self.cursor);
    }

    /// Deletes the grapheme after.
    pub fn delete_forward(&mut self) {
        let to = self.after(self.cursor);
        self.delete(self.cursor, to);
    }

    /// Deletes the word before.
    pub fn delete_word(&mut self) {
        let to = self.cursor;
        self.word_left();
        self.delete(self.cursor, to);
    }

    /// Deletes to the start of the line.
    pub fn delete_to_start(&mut self) {
        let to = self.cursor;
        self.line_start();
        self.delete(self.cursor, to);
    }

    /// Deletes to the end of the line.
    pub fn delete_to_end(&mut self) {
        let to = self.end_of_line(self.cursor);
        self.delete(self.cursor, to);
    }

    /// The line above; from the first line, what was said before.
    pub fn up(&mut self) {
        let start = self.start_of_line(self.cursor);
        if start > 0 {
            let column = self.text[start..self.cursor].graphemes(true).count();
            self.cursor = self.at_column(self.start_of_line(start - 1), column);
            return;
        }
        let back = self.looking_back.as_ref().map_or(0, |(back, _)| *back) + 1;
        self.look_back(back);
    }

    /// The line below; from the last line, what was said after.
    pub fn down(&mut self) {
        let end = self.end_of_line(self.cursor);
        if end < self.text.len() {
            let column = self.text[self.start_of_line(self.cursor)..self.cursor].graphemes(true).count();
            self.cursor = self.at_column(end + 1, column);
            return;
        }
        let Some((back, draft)) = self.looking_back.clone() else { return };
        if back > 1 {
            self.look_back(back - 1);
        } else {
            self.set(&draft);
        }
    }

    fn look_back(&mut self, back: usize) {
        let Some(index) = self.said.len().checked_sub(back) else { return };
        let draft = self.looking_back.take().map_or_else(|| self.text.clone(), |(_, draft)| draft);
        let said = self.said[index].clone();
        self.set(&said);
        self.looking_back = Some((back, draft));
    }

    fn delete(&mut self, from: usize, to: usize) {
        self.text.replace_range(from..to, "");
        self.cursor = self.boundary_from(from);
        self.looking_back = None;
    }

    fn before(&self, at: usize) -> usize {
        let mut cursor = GraphemeCursor::new(at, self.text.len(), true);
        cursor.prev_boundary(&self.text, 0).ok().flatten().unwrap_or(0)
    }

    fn after(&self, at: usize) -> usize {
        let mut cursor = GraphemeCursor::new(at, self.text.len(), true);
        cursor.next_boundary(&self.text, 0).ok().flatten().unwrap_or(self.text.len())
    }

    /// This place, or the next one between two graphemes.
    fn boundary_from(&self, at: usize) -> usize {
        let mut cursor = GraphemeCursor::new(at, self.text.len(), true);
        if cursor.is_boundary(&self.text, 0).unwrap_or(true) { at } else { self.after(at) }
    }

    fn start_of_line(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(0, |newline| newline + 1)
    }

    fn end_of_line(&self, at: usize) -> usize {
        self.text[at..].find('\n').map_or(self.text.len(), |more| at + more)
    }

    fn at_column(&self, start: usize, column: usize) -> usize {
        let line = &self.text[start..self.end_of_line(start)];
        start + line.grapheme_indices(true).nth(column).map_or(line.len(), |(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::{Composer, pictures};
    use proptest::prelude::*;
    use unicode_segmentation::UnicodeSegmentation;

    type Act = fn(&mut Composer);

    /// A composer from a text with `|` at the cursor.
    fn at(text: &str) -> Composer {
        let (before, after) = text.split_once('|').unwrap_or((text, ""));
        Composer { text: format!("{before}{after}"), cursor: before.len(), ..Composer::default() }
    }

    fn shown(composer: &Composer) -> String {
        format!("{}|{}", &composer.text[..composer.cursor], &composer.text[composer.cursor..])
    }

    #[test]
    fn each_movement_and_each_deletion() {
        let table: &[(&str, Act, &str)] = &[
            ("ab|", Composer::left, "a|b"),
            ("e\u{301}|", Composer::left, "|e\u{301}"),
            ("|日本", Composer::right, "日|本"),
            ("|", Composer::left, "|"),
            ("one two|", Composer::word_left, "one |two"),
            ("one  |two", Composer::word_left, "|one  two"),
            ("one| two", Composer::word_right, "one two|"),
            ("one\ntw|o", Composer::line_start, "one\n|two"),
            ("o|ne\ntwo", Composer::line_end, "one|\ntwo"),
            ("a👨‍👩‍👧|", Composer::delete_back, "a|"),
            ("|日本", Composer::delete_forward, "|本"),
            ("one two|", Composer::delete_word, "one |"),
            ("a\nbc|d", Composer::delete_to_start, "a\n|d"),
            ("a|b\nc", Composer::delete_to_end, "a|\nc"),
            ("abc\nx|", Composer::up, "a|bc\nx"),
            ("abc|\nx", Composer::down, "abc\nx|"),
            ("abc|", Composer::down, "abc|"),
        ];
        for (before, act, after) in table {
            let mut composer = at(before);
            act(&mut composer);
            assert_eq!(shown(&composer), *after, "{before}");
        }
    }

    #[test]
    fn what_was_said_comes_back_and_the_draft_too() {
        let mut composer = Composer::default();
        for said in ["one", "two", "two"] {
            composer.insert(said);
            assert_eq!(composer.take(), said);
        }
        composer.insert("draft");
        let mut seen = Vec::new();
        for act in [Composer::up as Act, Composer::up, Composer::up, Composer::down, Composer::down, Composer::down] {
            act(&mut composer);
            seen.push(composer.text().to_owned());
        }
        assert_eq!(seen, ["two", "one", "one", "two", "draft", "draft"]);
    }

    #[test]
    fn a_large_paste_is_a_mark_until_it_is_sent() {
        let mut composer = Composer::default();
        composer.insert("read ");
        composer.paste("x\r\ny");
        assert_eq!(composer.text(), "read x\ny");
        let large = "line\n".repeat(2_000_000);
        composer.paste(&large);
        assert_eq!(composer.text(), "read x\ny[paste 1: 2000000 lines, 10000000 bytes]");
        assert_eq!(composer.take(), format!("read x\ny{large}"));
        assert!(composer.is_empty() && composer.said().is_empty());
    }

    proptest! {
        #[test]
        fn the_cursor_stands_between_graphemes(acts in prop::collection::vec(0_usize..14, 0..60)) {
            let texts = ["a", "e\u{301}", "\u{301}", "日", "👨‍👩‍👧", "\u{200d}", " ", "\n", "word"];
            let moves: [Act; 8] = [Composer::left, Composer::right, Composer::up, Composer::down, Composer::delete_back,
                Composer::delete_forward, Composer::delete_word, Composer::word_left];
            let mut composer = Composer::default();
            for (act, turn) in acts.iter().zip(0..) {
                match moves.get(*act) {
                    Some(act) => act(&mut composer),
                    None => composer.insert(texts[(act + turn) % texts.len()]),
                }
                let bounds = composer.text.grapheme_indices(true).map(|(at, _)| at);
                let stands = bounds.chain([composer.text.len()]).any(|at| at == composer.cursor);
                prop_assert!(stands, "{:?} at {}", composer.text, composer.cursor);
            }
        }

        #[test]
        fn only_what_was_dropped_is_a_picture(acts in prop::collection::vec(0_usize..16, 0..40)) {
            let long = format!("{}[picture", "line\n".repeat(11));
            let texts = ["[picture", ": /x.png]", ":", " ", "/x.png]", "[", "[picture: ", "[picture: /x.png] ", "\r\n",
                &long, "/a.png"];
            let moves: [Act; 5] = [Composer::left, Composer::right, Composer::word_left, Composer::up, Composer::down];
            let mut composer = Composer::default();
            for act in acts {
                match moves.get(act) {
                    Some(act) => act(&mut composer),
                    None => composer.paste(texts[act - moves.len()]),
                }
            }
            let whole = composer.take();
            let (_, paths) = pictures::taken(&whole);
            prop_assert!(paths.iter().all(|path| path == "/a.png"), "{whole:?}");
        }
    }
}
