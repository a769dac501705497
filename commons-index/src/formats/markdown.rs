//! Markdown and plain text to blocks, line by line. Not a renderer: quotes must be the file's own bytes, so all that is
//! needed is where headings, paragraphs, items, rows and code begin and end.
//!
//! **Invariant:** any text at all gives blocks that hold everything not blank; there is no such thing as bad Markdown.

use std::ops::Range;

use super::Drawn;
use crate::{
    blocks::{Block, Kind, item_marker, lines},
    metadata::Metadata,
    passages,
    scan::SkipReason,
};

/// Which marks mean something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Headings, fences, tables, lists, front matter.
    Markdown,
    /// Paragraphs and list items only: a `#` in a text file may be anything.
    Plain,
}

struct Reader {
    dialect: Dialect,
    blocks: Vec<Block>,
    /// The block still growing, and whether the last line was blank.
    open: Option<Block>,
    after_blank: bool,
    in_list: bool,
}

impl Reader {
    fn close(&mut self) {
        self.blocks.extend(self.open.take());
    }

    fn alone(&mut self, kind: Kind, range: Range<usize>) {
        self.close();
        self.in_list = false;
        self.blocks.push(Block { kind, range });
    }

    fn grow(&mut self, kind: Kind, range: Range<usize>) {
        match &mut self.open {
            Some(block) if block.kind == kind => block.range.end = range.end,
            Some(_) | None => {
                self.close();
                self.open = Some(Block { kind, range });
            }
        }
    }

    fn line(&mut self, range: Range<usize>, line: &str) {
        let words = line.trim();
        if words.is_empty() {
            // Blank lines inside code belong to it as long as more code follows; closing here is simpler and loses nothing.
            self.close();
            self.after_blank = true;
            return;
        }
        let after_blank = std::mem::replace(&mut self.after_blank, false);
        let marker = item_marker(line);
        if self.dialect == Dialect::Markdown && self.markdown_line(&range, line, after_blank) {
            return;
        }
        if marker.is_some() {
            self.close();
            self.in_list = true;
            self.open = Some(Block { kind: Kind::Item, range });
        } else if matches!(&self.open, Some(block) if block.kind == Kind::Item) {
            self.grow(Kind::Item, range);
        } else {
            self.in_list = self.in_list && line.starts_with([' ', '\t']);
            self.grow(Kind::Prose, range);
        }
    }

    /// Handles a line that is a Markdown structure of its own; false when it is prose or an item.
    fn markdown_line(&mut self, range: &Range<usize>, line: &str, after_blank: bool) -> bool {
        let words = line.trim();
        let indent = line.len() - line.trim_start().len();
        let underline = words.bytes().all(|b| b == b'=') || words.bytes().all(|b| b == b'-');
        if let Some(block) = &mut self.open
            && block.kind == Kind::Prose
            && underline
            && indent <= 3
        {
            block.kind = Kind::Heading(if words.starts_with('=') { 1 } else { 2 });
            block.range.end = range.end;
            self.close();
            self.in_list = false;
            return true;
        }
        if indent <= 3 && is_rule(words) {
            self.alone(Kind::Mark, range.clone());
            return true;
        }
        if let Some(level) = heading_level(line) {
            self.alone(Kind::Heading(level), range.clone());
            return true;
        }
        if words.starts_with('|') {
            let separator = words.contains('-') && words.bytes().all(|b| b"|-: \t".contains(&b));
            self.alone(if separator { Kind::Mark } else { Kind::Row }, range.clone());
            return true;
        }
        let code_open = matches!(&self.open, Some(block) if block.kind == Kind::Code);
        let deep = line.starts_with("    ") || line.starts_with('\t');
        if deep && !self.in_list && (after_blank || code_open || self.blocks.is_empty() && self.open.is_none()) {
            self.grow(Kind::Code, range.clone());
            return true;
        }
        false
    }
}

/// Reads a Markdown file.
pub(super) fn markdown(text: String) -> Result<Drawn, SkipReason> {
    let blocks = blocks(&text, Dialect::Markdown);
    let title = passages::first_heading(&text, &blocks);
    let matter = blocks.first().filter(|block| block.kind == Kind::FrontMatter);
    let metadata = matter.map_or_else(Metadata::default, |block| said(&text[block.range.clone()]));
    Ok(Drawn { title, text, blocks, metadata })
}

/// Reads a text file.
pub(super) fn plain(text: String) -> Result<Drawn, SkipReason> {
    Ok(super::paragraphs(text))
}

/// What front matter says: one scalar a line, in YAML or in TOML.
fn said(matter: &str) -> Metadata {
    let mut found = Metadata::default();
    for line in matter.lines() {
        let Some((name, value)) = line.split_once([':', '=']) else { continue };
        let value = value.trim();
        let quoted = |mark: char| value.strip_prefix(mark).and_then(|value| value.strip_suffix(mark));
        // An indented name belongs to another one.
        if !name.starts_with(char::is_whitespace) {
            found.take(name.trim_end(), quoted('"').or_else(|| quoted('\'')).unwrap_or(value));
        }
    }
    found
}

/// Blocks of a text.
pub(crate) fn blocks(text: &str, dialect: Dialect) -> Vec<Block> {
    let mut reader = Reader { dialect, blocks: Vec::new(), open: None, after_blank: true, in_list: false };
    let mut from = 0;
    if dialect == Dialect::Markdown
        && let Some(end) = front_matter_end(text)
    {
        reader.blocks.push(Block { kind: Kind::FrontMatter, range: 0..end });
        from = end;
    }
    let mut fence: Option<(Fence, usize)> = None;
    for (range, line) in lines(&text[from..]) {
        let range = range.start + from..range.end + from;
        if let Some((open, start)) = fence {
            if open.closed_by(line) {
                reader.alone(Kind::Code, start..range.end);
                fence = None;
            }
            continue;
        }
        match Fence::opened_by(line).filter(|_| dialect == Dialect::Markdown) {
            Some(open) => fence = Some((open, range.start)),
            None => reader.line(range, line),
        }
    }
    if let Some((_open, start)) = fence {
        reader.alone(Kind::Code, start..text.len());
    }
    reader.close();
    reader.blocks
}

/// Where YAML (`---`) or TOML (`+++`) front matter ends, when the text opens with it and it is closed.
fn front_matter_end(text: &str) -> Option<usize> {
    let mut all = lines(text);
    let (_range, first) = all.next()?;
    let mark = first.trim_start_matches('\u{feff}').trim_end();
    if mark != "---" && mark != "+++" {
        return None;
    }
    let mut keys = false;
    for (range, line) in all {
        let line = line.trim_end();
        if line == mark || (mark == "---" && line == "...") {
            return keys.then_some(range.end);
        }
        // A blank line or a sentence after `---` is a rule and prose, not metadata.
        keys |= line.contains(':') || line.contains('=');
        if line.is_empty() && !keys {
            return None;
        }
    }
    None
}

#[derive(Clone, Copy)]
struct Fence {
    mark: u8,
    length: usize,
}

impl Fence {
    fn run(line: &str) -> Option<(Self, &str)> {
        let rest = line.trim_start_matches(' ');
        let mark = *rest.as_bytes().first().filter(|b| b"`~".contains(b))?;
        let length = rest.bytes().take_while(|b| *b == mark).count();
        (length >= 3).then_some((Self { mark, length }, &rest[length..]))
    }

    fn opened_by(line: &str) -> Option<Self> {
        // ``` a `b` ``` on one line is inline code, not a fence (CommonMark 4.5).
        Self::run(line).filter(|(fence, rest)| fence.mark == b'~' || !rest.contains('`')).map(|(fence, _rest)| fence)
    }

    fn closed_by(self, line: &str) -> bool {
        Self::run(line).is_some_and(|(other, rest)| {
            other.mark == self.mark && other.length >= self.length && rest.trim().is_empty()
        })
    }
}

fn heading_level(line: &str) -> Option<u8> {
    let rest = line.trim_start_matches(' ');
    if line.len() - rest.len() > 3 {
        return None;
    }
    let marks = rest.bytes().take_while(|b| *b == b'#').count();
    let level = u8::try_from(marks).ok().filter(|level| (1..=6).contains(level))?;
    match rest.as_bytes().get(marks) {
        Some(b' ' | b'\t' | b'\n' | b'\r') | None => Some(level),
        Some(_) => None,
    }
}

fn is_rule(words: &str) -> bool {
    let marks: Vec<u8> = words.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    marks.len() >= 3 && b"-*_".contains(&marks[0]) && marks.iter().all(|b| *b == marks[0])
}

#[cfg(test)]
mod tests {
    use super::{Dialect, blocks, markdown};
    use crate::blocks::Kind;

    #[test]
    fn front_matter_says_what_a_document_is() {
        let text = "---\nlicense: \"CC BY 4.0\"\nlang: en-GB\nauthor:\n  source: no\nsource: https://x.example/a:b\ndate: 2024-05-06\n---\n# T\n";
        let about = markdown(text.to_owned()).expect("reads").metadata;
        assert_eq!((about.licence.as_deref(), about.language.as_deref()), (Some("CC BY 4.0"), Some("en")));
        assert_eq!(
            (about.source.as_deref(), about.date.as_deref()),
            (Some("https://x.example/a:b"), Some("2024-05-06"))
        );
        let toml = markdown("+++\nlicence = 'MIT'\n+++\nwords".to_owned()).expect("reads");
        assert_eq!(toml.metadata.licence.as_deref(), Some("MIT"));
    }

    fn kinds(text: &str) -> Vec<(Kind, &str)> {
        blocks(text, Dialect::Markdown).into_iter().map(|block| (block.kind, text[block.range].trim_end())).collect()
    }

    #[test]
    fn structure_is_found_line_by_line() {
        let text = "---\ntitle: x\n---\n# A #\nprose one\ngoes on\n\nB\n---\n- item\n  more\n- next\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```rust\n# not a heading\n\nx\n```\n\n    code\n\n***\nend";
        assert_eq!(
            kinds(text),
            [
                (Kind::FrontMatter, "---\ntitle: x\n---"),
                (Kind::Heading(1), "# A #"),
                (Kind::Prose, "prose one\ngoes on"),
                (Kind::Heading(2), "B\n---"),
                (Kind::Item, "- item\n  more"),
                (Kind::Item, "- next"),
                (Kind::Row, "| a | b |"),
                (Kind::Mark, "|---|---|"),
                (Kind::Row, "| 1 | 2 |"),
                (Kind::Code, "```rust\n# not a heading\n\nx\n```"),
                (Kind::Code, "    code"),
                (Kind::Mark, "***"),
                (Kind::Prose, "end"),
            ]
        );
    }

    #[test]
    fn a_rule_at_the_top_is_not_front_matter_and_an_open_fence_runs_to_the_end() {
        assert_eq!(kinds("---\n\nwords: here"), [(Kind::Mark, "---"), (Kind::Prose, "words: here")]);
        assert_eq!(kinds("~~~\n# x"), [(Kind::Code, "~~~\n# x")]);
    }

    #[test]
    fn plain_text_has_no_headings() {
        let text = "# a comment\n\n1. one\n2. two";
        let found: Vec<Kind> = blocks(text, Dialect::Plain).into_iter().map(|block| block.kind).collect();
        assert_eq!(found, [Kind::Prose, Kind::Item, Kind::Item]);
    }
}
