//! Wikitext to its readable text: headings, paragraphs and items; links as their words; templates, tables and notes left
//! out. No template is expanded: what they would say is not in the page.
//!
//! **Invariant:** any text is some page; brackets nested however deep or never closed cost time in proportion to the text.

use super::Drawn;
use crate::{
    blocks::{Block, Kind},
    metadata::Metadata,
};

/// Elements that go with all that is in them.
const DROPPED: &[&str] =
    &["ref", "gallery", "timeline", "score", "imagemap", "math", "chem", "references", "templatestyles"];
/// Elements in which no mark means anything.
const VERBATIM: &[&str] = &["nowiki", "pre", "code", "syntaxhighlight", "source"];
/// Templates that are words: which of their parameters, counted from 1.
const WORDS: &[(&str, usize)] = &[
    ("lang", 2),
    ("nowrap", 1),
    ("small", 1),
    ("nobold", 1),
    ("abbr", 1),
    ("ill", 1),
    ("interlanguage link", 1),
    ("sic", 1),
    ("circa", 1),
    ("c.", 1),
    ("transl", 2),
    ("transliteration", 2),
    ("math", 1),
    ("var", 1),
    ("em", 1),
    ("strong", 1),
];
/// Links to files and to what only sorts pages, in the languages of the largest wikis.
const NO_WORDS: &[&str] = &[
    "file",
    "image",
    "category",
    "datei",
    "bild",
    "kategorie",
    "fichier",
    "catégorie",
    "archivo",
    "imagen",
    "categoría",
    "immagine",
    "categoria",
    "ficheiro",
    "arquivo",
    "bestand",
    "afbeelding",
    "categorie",
    "файл",
    "категория",
    "ファイル",
    "画像",
    "文件",
    "分类",
    "plik",
    "kategoria",
    "fil",
    "kategori",
    "media",
    "special",
];
/// A template longer than this is a table, whatever its name.
const LONGEST_WORDS: usize = 300;
/// How far the end of each thing is looked for.
const LONGEST_LINK: usize = 4_000;
const LONGEST_TAG: usize = 2_000;
const LONGEST_NAME: usize = 30;
const LONGEST_VERBATIM: usize = 32 << 10;

/// Reads a page.
pub(super) fn readable(source: String) -> Drawn {
    let plain = marks(&source);
    let (mut text, mut blocks): (String, Vec<Block>) = (String::with_capacity(plain.len()), Vec::new());
    let mut open = false;
    for line in plain.lines() {
        let words = line.split_whitespace().collect::<Vec<_>>().join(" ");
        if words.is_empty() || words.bytes().all(|b| b"-|!{}=".contains(&b)) {
            open = false;
            continue;
        }
        let (kind, words) = kind(&words);
        if words.is_empty() || (words.starts_with("__") && words.ends_with("__")) {
            continue;
        }
        if kind == Kind::Prose
            && open
            && let Some(block) = blocks.last_mut()
        {
            text.truncate(block.range.end);
            text.push('\n');
            text.push_str(words);
            block.range.end = text.len();
        } else {
            let start = text.len();
            text.push_str(words);
            blocks.push(Block { kind, range: start..text.len() });
        }
        open = kind == Kind::Prose;
        text.push_str("\n\n");
    }
    // A heading over nothing says nothing: of runs of them only what leads to words stays.
    while blocks.last().is_some_and(|block| matches!(block.kind, Kind::Heading(_))) {
        if let Some(block) = blocks.pop() {
            text.truncate(block.range.start);
        }
    }
    Drawn { title: None, text, blocks, metadata: Metadata::default() }
}

fn kind(words: &str) -> (Kind, &str) {
    let level = words.bytes().take_while(|b| *b == b'=').count();
    let closed = words.bytes().rev().take_while(|b| *b == b'=').count();
    if level > 0 && closed > 0 && words.len() > level + closed {
        let level = level.min(closed);
        return (Kind::Heading(u8::try_from(level.min(6)).unwrap_or(6)), words[level..words.len() - level].trim());
    }
    let item = words.trim_start_matches(['*', '#', ';', ':']);
    if item.len() < words.len() {
        return (Kind::Item, item.trim());
    }
    (Kind::Prose, words)
}

/// What is open, and where what it holds begins in the text so far.
enum Open {
    Template(usize),
    Table(usize),
    Link(usize),
    /// A link out of the wiki: its words are read as they come.
    Outside,
    Dropped(&'static str, usize),
}

/// How far one end was looked for in vain, so that no stretch of text is searched for it twice: a page of nothing but
/// beginnings takes no time by the square.
#[derive(Default)]
struct Vain(usize);

impl Vain {
    /// Where an end, which `look` finds, is within so many bytes from `at` on, counted from there. `whole` is its length.
    fn find(
        &mut self,
        source: &str,
        (at, most, whole): (usize, usize, usize),
        look: impl FnOnce(&str) -> Option<usize>,
    ) -> Option<usize> {
        let stop = source.floor_char_boundary(at + most);
        let from = at.max(self.0);
        let found = look(source.get(from..stop)?);
        if found.is_none() {
            // It may have begun in what was searched.
            self.0 = from.max(source.floor_char_boundary((stop + 1).saturating_sub(whole)));
        }
        Some(from - at + found?)
    }
}

/// What was looked for in vain, for each kind of end.
#[derive(Default)]
struct Ends {
    link: Vain,
    tag: Vain,
    verbatim: [Vain; VERBATIM.len()],
}

/// The text without its marks: one pass with a stack of what is open.
fn marks(source: &str) -> String {
    let mut ends = Ends::default();
    let mut out = String::with_capacity(source.len());
    let mut open: Vec<Open> = Vec::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let at = source.len() - rest.len();
        let line_start = out.is_empty() || out.ends_with('\n');
        let skip = if rest.starts_with("<!--") {
            rest.find("-->").map_or(rest.len(), |end| end + 3)
        } else if rest.starts_with("{{") {
            open.push(Open::Template(out.len()));
            2
        } else if rest.starts_with("}}") && matches!(open.last(), Some(Open::Template(_))) {
            if let Some(Open::Template(start)) = open.pop() {
                let words = template(&out[start..]);
                out.truncate(start);
                out.push_str(&words);
            }
            2
        } else if rest.starts_with("{|") && line_start {
            open.push(Open::Table(out.len()));
            2
        } else if rest.starts_with("|}") && line_start && matches!(open.last(), Some(Open::Table(_))) {
            if let Some(Open::Table(start)) = open.pop() {
                out.truncate(start);
            }
            2
        } else if rest.starts_with("[[") {
            open.push(Open::Link(out.len()));
            2
        } else if rest.starts_with("]]") && matches!(open.last(), Some(Open::Link(_))) {
            if let Some(Open::Link(start)) = open.pop()
                && out.len() - start <= LONGEST_LINK
            {
                let words = link(&out[start..]).to_owned();
                out.truncate(start);
                out.push_str(&words);
            }
            2
        } else if first == '[' && (rest[1..].starts_with("http") || rest[1..].starts_with("//")) {
            let address = ends.link.find(source, (at, LONGEST_LINK, 1), |text| text.find([' ', ']', '\n']));
            match address {
                Some(end) if rest[end..].starts_with(' ') => {
                    open.push(Open::Outside);
                    end + 1
                }
                Some(end) => end + 1,
                None => {
                    out.push('[');
                    1
                }
            }
        } else if first == ']' && matches!(open.last(), Some(Open::Outside)) {
            open.pop();
            1
        } else if rest.starts_with("''") {
            rest.bytes().take_while(|b| *b == b'\'').count()
        } else if first == '<' {
            element((source, at), &mut ends, &mut out, &mut open)
        } else if first == '&' {
            entity(rest, &mut out)
        } else {
            out.push(first);
            first.len_utf8()
        };
        rest = &rest[skip..];
    }
    // What was never closed is taken as words.
    out
}

/// An element's tag at a place of the source; gives how much is dealt with.
fn element((source, at): (&str, usize), ends: &mut Ends, out: &mut String, open: &mut Vec<Open>) -> usize {
    let rest = &source[at..];
    let closing = rest.starts_with("</");
    let name = &rest[if closing { 2 } else { 1 }..];
    let name: String = name
        .chars()
        .take(LONGEST_NAME)
        .take_while(char::is_ascii_alphanumeric)
        .collect::<String>()
        .to_ascii_lowercase();
    let named = !name.is_empty();
    let end = named.then(|| ends.tag.find(source, (at, LONGEST_TAG, 1), |text| text.find('>'))).flatten();
    let Some(end) = end else {
        out.push('<');
        return 1;
    };
    let empty = rest[..end].ends_with('/');
    if let Some(dropped) = DROPPED.iter().find(|dropped| **dropped == name) {
        if closing {
            if let Some(place) = open.iter().rposition(|one| matches!(one, Open::Dropped(name, _) if name == dropped))
                && let Some(Open::Dropped(_, start)) = open.drain(place..).next()
            {
                out.truncate(start);
            }
        } else if !empty {
            open.push(Open::Dropped(dropped, out.len()));
        }
    } else if let Some(kind) = VERBATIM.iter().position(|verbatim| *verbatim == name).filter(|_| !closing && !empty) {
        let close = format!("</{name}");
        let inside = at + end + 1;
        let range = (inside, LONGEST_VERBATIM, close.len());
        if let Some(stop) = ends.verbatim[kind].find(source, range, |text| text.find(&close)) {
            out.push_str(&source[inside..inside + stop]);
            return end + 1 + stop;
        }
    } else if matches!(name.as_str(), "br" | "hr" | "p" | "div" | "li" | "tr" | "blockquote" | "poem") {
        out.push('\n');
    }
    end + 1
}

/// A character reference; anything else is an ampersand.
fn entity(rest: &str, out: &mut String) -> usize {
    let Some(end) = rest.bytes().take(12).position(|b| b == b';') else {
        out.push('&');
        return 1;
    };
    let name = &rest[1..end];
    let number = name.strip_prefix('#').and_then(|number| match number.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => number.parse().ok(),
    });
    let letter = match name {
        "nbsp" | "thinsp" | "ensp" | "emsp" => Some(' '),
        "ndash" => Some('–'),
        "mdash" => Some('—'),
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "minus" => Some('−'),
        "times" => Some('×'),
        "deg" => Some('°'),
        "hellip" => Some('…'),
        _other => number.and_then(char::from_u32).filter(|c| !c.is_control()),
    };
    match letter {
        Some(letter) => {
            out.push(letter);
            end + 1
        }
        None => {
            out.push('&');
            1
        }
    }
}

/// The words of a template, where it is one that is words; nothing otherwise.
fn template(inside: &str) -> String {
    if inside.len() > LONGEST_WORDS {
        return String::new();
    }
    let mut parts = inside.split('|');
    let name = parts.next().unwrap_or_default().trim().to_lowercase().replace('_', " ");
    let values: Vec<&str> = parts.map(str::trim).filter(|part| !part.contains('=')).collect();
    if name == "convert" || name == "cvt" {
        return values.iter().take(2).copied().collect::<Vec<_>>().join(" ");
    }
    if matches!(name.as_str(), "snd" | "spnd" | "ndash" | "spaced ndash" | "–") {
        return " – ".to_owned();
    }
    let place = WORDS
        .iter()
        .find(|(words, _)| *words == name || name.strip_prefix("lang-").is_some_and(|_| *words == "nowrap"));
    place.and_then(|(_, place)| values.get(place - 1)).map_or(String::new(), |words| (*words).to_owned())
}

/// The words of a link: what stands behind its last bar, else its target.
fn link(inside: &str) -> &str {
    let (target, words) = inside.split_once('|').map_or((inside, None), |(target, words)| (target, Some(words)));
    if let Some((space, _)) = target.split_once(':') {
        let space = space.trim().to_lowercase();
        if NO_WORDS.contains(&space.as_str()) {
            return "";
        }
    }
    let words = words.map(|words| words.rsplit('|').next().unwrap_or(words)).filter(|words| !words.trim().is_empty());
    words.unwrap_or_else(|| target.trim_start_matches(':'))
}

#[cfg(test)]
mod tests {
    use super::readable;
    use crate::blocks::Kind;

    fn blocks(source: &str) -> Vec<(Kind, String)> {
        let drawn = readable(source.to_owned());
        drawn.blocks.iter().map(|block| (block.kind, drawn.text[block.range.clone()].to_owned())).collect()
    }

    #[test]
    fn what_a_reader_sees_stays_and_the_rest_goes() {
        let source = "{{Infobox|name={{nowrap|X}}\n|a=b}}\n'''Ada''' ({{lang|fr|Adé}}, ''born'' {{convert|5|km|mi}} away<ref name=\"x\">A [[note]].</ref>) was \
            a [[mathematician|great mathematician]] of [[London]]<!-- no -->.<ref name=\"x\" />\nIt goes on&nbsp;&ndash; see [https://x.example the site] and [https://y.example].\n\n\
            [[File:A.jpg|thumb|A [[caption]] here]]\n== Life ==\n* One [[thing]]\n# two\n{| class=\"wikitable\"\n! a\n|-\n| b [[c]]\n|}\n=== Empty ===\n== Work ==\n<pre>x [[y]]</pre>\n\
            After.\n[[Category:People]]\n== Notes ==\n{{Reflist}}\n";
        assert_eq!(
            blocks(source),
            [
                (
                    Kind::Prose,
                    "Ada (Adé, born 5 km away) was a great mathematician of London.\nIt goes on – see the site and ."
                        .to_owned()
                ),
                (Kind::Heading(2), "Life".to_owned()),
                (Kind::Item, "One thing".to_owned()),
                (Kind::Item, "two".to_owned()),
                (Kind::Heading(3), "Empty".to_owned()),
                (Kind::Heading(2), "Work".to_owned()),
                (Kind::Prose, "x [[y]]\nAfter.".to_owned()),
            ]
        );
    }

    #[test]
    fn broken_marks_are_words_and_depth_is_no_danger() {
        assert_eq!(blocks("a {{b c ]] d }} e [f] | [[g"), [(Kind::Prose, "a e [f] | g".to_owned())]);
        assert_eq!(blocks("x < y & z &bad; <"), [(Kind::Prose, "x < y & z &bad; <".to_owned())]);
        assert!(blocks("{{").is_empty() && blocks("").is_empty());
        let deep = format!("{}word{}", "{{a|[[".repeat(200_000), "]]}}".repeat(200_000));
        // Each of these would take hours by the square of its length.
        drop(blocks(&deep));
        drop(blocks(&"[http".repeat(300_000)));
        drop(blocks(&"<ref>[[x]]".repeat(200_000)));
        drop(blocks(&"<nowiki>".repeat(200_000)));
        drop(blocks(&format!("{}{}", "[[x|".repeat(100_000), "]]".repeat(100_000))));
    }
}
