//! PDF to text: each page under its number, so that a citation says the page; lines and paragraphs by where the words stand.
//! lopdf reads the file and decodes its fonts; its own extraction runs all lines of a page together.
//!
//! lopdf takes what it can of a damaged file without a word; what it had to leave is looked for here, and said.
//!
//! **Invariant:** text that cannot be read leaves a mark where it would stand, and a file without any that can is refused with
//! the reason.
//! **Invariant:** nothing is inflated beyond [`MOST_INFLATED`], no file takes longer than [`LONGEST`] by much, and no broken
//! file ends the program.

use std::{
    collections::BTreeMap,
    io::{self, Read as _},
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use flate2::read::ZlibDecoder;
use lopdf::{Dictionary, Document, Encoding, LoadOptions, Object, ObjectId, content::Content, decode_text_string};

use super::Drawn;
use crate::{
    blocks::{Block, Kind},
    metadata::{Metadata, line},
    scan::SkipReason,
};

/// Most bytes of one inflated stream, and of one page.
const MOST_INFLATED: usize = 16 << 20;
/// Longest time for one file; looked at between pages.
const LONGEST: Duration = Duration::from_secs(60);
/// A gap of this part of a letter's size is a space.
const SPACE: f32 = 0.16;
/// Lines further apart than this many sizes are paragraphs.
const PARAGRAPH: f32 = 1.75;

/// Reads a file.
pub(super) fn read(bytes: &[u8]) -> Result<Drawn, SkipReason> {
    // The parser meets whatever bytes come: where it fails an assertion of its own, the file is malformed and no more.
    let drawn = catch_unwind(AssertUnwindSafe(|| pages(bytes)));
    drawn.unwrap_or_else(|_panic| Err(SkipReason::Malformed { cause: "the parser gave up".to_owned() }))
}

fn pages(bytes: &[u8]) -> Result<Drawn, SkipReason> {
    let began = Instant::now();
    let options = LoadOptions { max_decompressed_size: Some(MOST_INFLATED), ..LoadOptions::default() };
    let malformed = |error: lopdf::Error| SkipReason::Malformed { cause: error.to_string() };
    let document = Document::load_mem_with_options(bytes, options).map_err(malformed)?;
    if document.is_encrypted() {
        return Err(SkipReason::Encrypted);
    }
    let (mut text, mut blocks) = (String::new(), Vec::new());
    let (mut fault, mut read) = (None, false);
    let pages = document.get_pages();
    let all = counted(&document);
    let lost = all.saturating_sub(pages.len());
    for (number, page) in pages {
        let late = began.elapsed() > LONGEST;
        let page = if late { Page::default() } else { page_of(&document, page) };
        let mut block = |kind, part: &str| add(&mut text, &mut blocks, kind, part);
        let words = !page.words.trim().is_empty();
        if words {
            read = true;
            block(Kind::Heading(1), &format!("Page {number}"));
            page.words.split("\n\n").filter(|part| !part.trim().is_empty()).for_each(|part| block(Kind::Prose, part));
        }
        if let Some(cause) = page.fault {
            let what = if words { "is not whole" } else { "left out" };
            block(Kind::Mark, &format!("[page {number} {what}: {cause}]"));
            fault.get_or_insert(cause);
        }
        if late {
            block(Kind::Mark, &format!("[pages from {number} on left out: reading took too long]"));
            break;
        }
    }
    if lost > 0 {
        let cause = format!("{lost} of its {all} pages are not in the file");
        add(&mut text, &mut blocks, Kind::Mark, &format!("[{cause}]"));
        fault.get_or_insert(cause);
    }
    if let Some(cause) = fault.filter(|_| !read) {
        return Err(SkipReason::Malformed { cause });
    }
    let about = document.trailer.get(b"Info").and_then(|info| document.dereference(info)).ok();
    let about = about.and_then(|(_id, info)| info.as_dict().ok());
    let said = |name: &[u8]| line(&decode_text_string(about?.get(name).ok()?).ok()?);
    let language = document.catalog().ok().and_then(|catalog| decode_text_string(catalog.get(b"Lang").ok()?).ok());
    let mut metadata = Metadata { date: said(b"CreationDate").and_then(|date| day(&date)), ..Metadata::default() };
    metadata.take("language", &language.unwrap_or_default());
    // Each page being a heading, the first of them is no title.
    Ok(Drawn { title: said(b"Title"), text, blocks, metadata })
}

/// `D:20240131…` as `2024-01-31`.
fn day(date: &str) -> Option<String> {
    let digits = date.strip_prefix("D:").unwrap_or(date);
    let day = digits.get(..8).filter(|day| day.bytes().all(|b| b.is_ascii_digit()))?;
    Some(format!("{}-{}-{}", &day[..4], &day[4..6], &day[6..]))
}

type Matrix = [f32; 6];
const IDENTITY: Matrix = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0];

/// `a`, then `b` (PDF 32000-1, 8.3.4).
fn then(a: &Matrix, b: &Matrix) -> Matrix {
    let [a0, a1, a2, a3, a4, a5] = a;
    let [b0, b1, b2, b3, b4, b5] = b;
    [
        a0 * b0 + a1 * b2,
        a0 * b1 + a1 * b3,
        a2 * b0 + a3 * b2,
        a2 * b1 + a3 * b3,
        a4 * b0 + a5 * b2 + b4,
        a4 * b1 + a5 * b3 + b5,
    ]
}

struct Font<'a> {
    encoding: Encoding<'a>,
    widths: BTreeMap<u32, f32>,
    usual: f32,
    wide: bool,
}

fn numbers(operands: &[Object]) -> Vec<f32> {
    operands.iter().filter_map(|operand| operand.as_float().ok()).collect()
}

fn font<'a>(document: &'a Document, about: &'a Dictionary) -> Option<Font<'a>> {
    let encoding = about.get_font_encoding_with_limit(document, MOST_INFLATED).ok()?;
    let object = |of: &'a Dictionary, name: &[u8]| document.dereference(of.get(name).ok()?).ok().map(|(_id, it)| it);
    let mut widths = BTreeMap::new();
    let wide = object(about, b"Subtype").and_then(|kind| kind.as_name().ok()) == Some(b"Type0");
    let mut usual = 500.0;
    if wide {
        let below = object(about, b"DescendantFonts")?.as_array().ok()?.first()?;
        let below = document.dereference(below).ok()?.1.as_dict().ok()?;
        usual = object(below, b"DW").and_then(|width| width.as_float().ok()).unwrap_or(1000.0);
        let mut rest: &[Object] = object(below, b"W").and_then(|all| all.as_array().ok()).map_or(&[], |all| all);
        while let [first, second, tail @ ..] = rest {
            let first = first.as_i64().ok().and_then(|code| u32::try_from(code).ok()).unwrap_or(u32::MAX);
            if let Ok(list) = document.dereference(second).and_then(|(_id, list)| list.as_array()) {
                widths.extend((first..).zip(numbers(list)));
                rest = tail;
            } else if let [width, tail @ ..] = tail {
                let last = second.as_i64().ok().and_then(|code| u32::try_from(code).ok()).unwrap_or_default();
                let width = width.as_float().unwrap_or(usual);
                widths.extend((first..=last.min(first.saturating_add(0xffff))).map(|code| (code, width)));
                rest = tail;
            } else {
                break;
            }
        }
    } else if let Some(list) = object(about, b"Widths").and_then(|list| list.as_array().ok()) {
        let first = object(about, b"FirstChar").and_then(|code| code.as_i64().ok()).unwrap_or_default();
        let first = u32::try_from(first).unwrap_or_default();
        let width = |width: &Object| document.dereference(width).ok()?.1.as_float().ok();
        widths.extend((first..).zip(list.iter().map(|one| width(one).unwrap_or(usual))));
    }
    Some(Font { encoding, widths, usual, wide })
}

impl Font<'_> {
    /// How far the pen goes over these codes, in thousandths of the size, and how many codes and spaces these are.
    fn advance(&self, bytes: &[u8]) -> (f32, f32, f32) {
        let step = if self.wide { 2 } else { 1 };
        let codes = bytes.chunks(step).map(|code| code.iter().fold(0, |all, byte| all << 8 | u32::from(*byte)));
        let width = codes.map(|code| self.widths.get(&code).copied().unwrap_or(self.usual)).sum();
        let spaces = if self.wide { 0 } else { bytes.iter().filter(|byte| **byte == b' ').count() };
        (width, (bytes.len() / step) as f32, spaces as f32)
    }
}

/// Where text is written, and what of it there is.
struct Pen<'a> {
    text: String,
    page: Matrix,
    saved: Vec<Matrix>,
    line: Matrix,
    at: Matrix,
    font: Option<&'a Font<'a>>,
    size: f32,
    leading: f32,
    between: f32,
    between_words: f32,
    scale: f32,
    /// Where the last letters ended.
    end: Option<(f32, f32)>,
    /// Texts whose letters nobody knows.
    unread: usize,
}

impl Pen<'_> {
    fn newline(&mut self, dx: f32, dy: f32) {
        self.line = then(&[1.0, 0.0, 0.0, 1.0, dx, dy], &self.line);
        self.at = self.line;
    }

    fn show(&mut self, bytes: &[u8]) {
        let Some((font, words)) =
            self.font.and_then(|font| Some((font, Document::decode_text(&font.encoding, bytes).ok()?)))
        else {
            self.unread += usize::from(!bytes.is_empty());
            return;
        };
        let place = then(&self.at, &self.page);
        let (x, y) = (place[4], place[5]);
        let size = (self.size * place[2].hypot(place[3])).abs().max(0.1);
        if let Some((end, last)) = self.end.filter(|_| !words.is_empty()) {
            let down = (y - last).abs();
            if down > size * PARAGRAPH {
                self.text.push_str("\n\n");
            } else if down > size * 0.6 || x < end - size * 4.0 {
                self.text.push('\n');
            } else if x - end > size * SPACE && !self.text.ends_with(' ') && !words.starts_with(' ') {
                self.text.push(' ');
            }
        }
        words.chars().for_each(|c| push(&mut self.text, c));
        let (width, codes, spaces) = font.advance(bytes);
        let forth = (width / 1000.0 * self.size + codes * self.between + spaces * self.between_words) * self.scale;
        self.at = then(&[1.0, 0.0, 0.0, 1.0, forth, 0.0], &self.at);
        let after = then(&self.at, &self.page);
        if !words.is_empty() {
            self.end = Some((after[4], y));
        }
    }
}

/// Ligatures as their letters, so that the words can be found; hyphens that only a line's end shows are kept.
fn push(text: &mut String, c: char) {
    match c {
        '\u{fb00}' => text.push_str("ff"),
        '\u{fb01}' => text.push_str("fi"),
        '\u{fb02}' => text.push_str("fl"),
        '\u{fb03}' => text.push_str("ffi"),
        '\u{fb04}' => text.push_str("ffl"),
        '\u{fb05}' | '\u{fb06}' => text.push_str("st"),
        '\u{a0}' => text.push(' '),
        c if c.is_control() => {}
        c => text.push(c),
    }
}

fn add(text: &mut String, blocks: &mut Vec<Block>, kind: Kind, part: &str) {
    let start = text.len();
    text.push_str(part.trim());
    blocks.push(Block { kind, range: start..text.len() });
    text.push_str("\n\n");
}

/// How many pages the file says that it has.
fn counted(document: &Document) -> usize {
    let tree = document.catalog().and_then(|catalog| document.dereference(catalog.get(b"Pages")?));
    let count = tree.and_then(|(_id, tree)| tree.as_dict()?.get(b"Count")?.as_i64());
    count.ok().and_then(|count| usize::try_from(count).ok()).unwrap_or_default()
}

/// What could be read of a page.
#[derive(Default)]
struct Page {
    words: String,
    /// Why that is not all of it.
    fault: Option<String>,
}

fn page_of(document: &Document, page: ObjectId) -> Page {
    let mut fault = None;
    if document.get_dictionary(page).is_err() {
        // lopdf has it as a page without anything.
        return Page { words: String::new(), fault: Some(format!("object {} is not in the file", page.0)) };
    }
    match words(document, page, &mut fault) {
        Ok(words) => Page { words, fault },
        Err(error) => Page { words: String::new(), fault: Some(error.to_string()) },
    }
}

/// The content of a page, one stream after another; where one of them is not there or does not inflate to its end, `fault`
/// says so.
fn content(document: &Document, page: ObjectId, fault: &mut Option<String>) -> Result<Vec<u8>, lopdf::Error> {
    for id in document.get_page_contents(page) {
        let Ok(stream) = document.get_object(id).and_then(Object::as_stream) else {
            fault.get_or_insert(format!("its content, object {}, is not in the file", id.0));
            continue;
        };
        let filters = stream.filters().unwrap_or_default();
        let undone = match filters.as_slice() {
            [b"FlateDecode"] => {
                let inflating = ZlibDecoder::new(stream.content.as_slice()).take(MOST_INFLATED as u64);
                io::copy(&mut { inflating }, &mut io::sink()).err().map(|error| error.to_string())
            }
            [] => None,
            _others => stream.decompressed_content_with_limit(MOST_INFLATED).err().map(|error| error.to_string()),
        };
        if let Some(cause) = undone {
            fault.get_or_insert(format!("its content, object {}, does not unpack: {cause}", id.0));
        }
    }
    document.get_page_content_with_limit(page, MOST_INFLATED)
}

/// The words of a page.
fn words(document: &Document, page: ObjectId, fault: &mut Option<String>) -> Result<String, lopdf::Error> {
    let about = document.get_page_fonts(page)?;
    let fonts: BTreeMap<Vec<u8>, Font<'_>> =
        about.into_iter().filter_map(|(name, about)| Some((name, font(document, about)?))).collect();
    let content = content(document, page, fault)?;
    let content = match Content::decode_strict(&content) {
        Ok(content) => content,
        Err(_) => {
            fault.get_or_insert_with(|| "its content cannot be read to its end".to_owned());
            Content::decode(&content)?
        }
    };
    let mut pen = Pen {
        text: String::new(),
        page: IDENTITY,
        saved: Vec::new(),
        line: IDENTITY,
        at: IDENTITY,
        font: None,
        size: 1.0,
        leading: 0.0,
        between: 0.0,
        between_words: 0.0,
        scale: 1.0,
        end: None,
        unread: 0,
    };
    for operation in &content.operations {
        step(&mut pen, &fonts, &operation.operator, &operation.operands);
    }
    if pen.unread > 0 {
        fault.get_or_insert(format!("{} texts are in fonts that cannot be read", pen.unread));
    }
    Ok(pen.text)
}

fn step<'a>(pen: &mut Pen<'a>, fonts: &'a BTreeMap<Vec<u8>, Font<'a>>, operator: &str, operands: &[Object]) {
    let all = numbers(operands);
    let first = all.first().copied();
    let matrix = <Matrix>::try_from(all.as_slice()).ok();
    match operator {
        "q" => pen.saved.push(pen.page),
        "Q" => pen.page = pen.saved.pop().unwrap_or(IDENTITY),
        "cm" => pen.page = matrix.map_or(pen.page, |matrix| then(&matrix, &pen.page)),
        "BT" => (pen.line, pen.at) = (IDENTITY, IDENTITY),
        "Tm" => (pen.line, pen.at) = matrix.map_or((pen.line, pen.at), |matrix| (matrix, matrix)),
        "Tf" => {
            pen.font = operands.first().and_then(|name| name.as_name().ok()).and_then(|name| fonts.get(name));
            pen.size = first.unwrap_or(pen.size);
        }
        "TL" => pen.leading = first.unwrap_or_default(),
        "Tc" => pen.between = first.unwrap_or_default(),
        "Tw" => pen.between_words = first.unwrap_or_default(),
        "Tz" => pen.scale = first.unwrap_or(100.0) / 100.0,
        "Td" | "TD" => {
            if let [dx, dy] = all[..] {
                if operator == "TD" {
                    pen.leading = -dy;
                }
                pen.newline(dx, dy);
            }
        }
        "T*" => pen.newline(0.0, -pen.leading),
        "Tj" | "'" | "\"" => {
            if operator != "Tj" {
                pen.newline(0.0, -pen.leading);
            }
            if let Some(bytes) = operands.last().and_then(|bytes| bytes.as_str().ok()) {
                pen.show(bytes);
            }
        }
        "TJ" => {
            for part in operands.first().and_then(|parts| parts.as_array().ok()).into_iter().flatten() {
                match (part.as_str(), part.as_float()) {
                    (Ok(bytes), _) => pen.show(bytes),
                    (Err(_), Ok(back)) => {
                        let forth = -back / 1000.0 * pen.size * pen.scale;
                        pen.at = then(&[1.0, 0.0, 0.0, 1.0, forth, 0.0], &pen.at);
                    }
                    (Err(_), Err(_)) => {}
                }
            }
        }
        _other => {}
    }
}

#[cfg(test)]
mod tests {
    use lopdf::{
        Document, Object, Stream,
        content::{Content, Operation},
        dictionary,
    };

    use super::read;
    use crate::{blocks::Kind, scan::SkipReason};

    fn file(pages: &[Vec<Operation>]) -> Vec<u8> {
        let mut document = Document::with_version("1.5");
        let tree = document.new_object_id();
        let font = document.add_object(dictionary! { "Type" => "Font", "Subtype" => "Type1", "BaseFont" => "Courier",
        "FirstChar" => 32, "Widths" => vec![Object::Integer(600); 95], "Encoding" => "WinAnsiEncoding" });
        let kids: Vec<Object> = pages
            .iter()
            .map(|operations| {
                let content = Content { operations: operations.clone() }.encode().expect("encodes");
                let content = document.add_object(Stream::new(dictionary! {}, content));
                let about = dictionary! { "Type" => "Page", "Parent" => tree, "Contents" => content,
                "Resources" => dictionary! { "Font" => dictionary! { "F1" => font } } };
                document.add_object(about).into()
            })
            .collect();
        let all = dictionary! { "Type" => "Pages", "Count" => pages.len() as i64, "Kids" => kids };
        document.objects.insert(tree, Object::Dictionary(all));
        let catalog = document.add_object(dictionary! { "Type" => "Catalog", "Pages" => tree,
        "Lang" => Object::string_literal("de-DE") });
        let info = document.add_object(dictionary! { "Title" => Object::string_literal("A Title"),
        "CreationDate" => Object::string_literal("D:20240131120000Z") });
        document.trailer.set("Root", catalog);
        document.trailer.set("Info", info);
        let mut bytes = Vec::new();
        document.compress();
        document.save_to(&mut bytes).expect("saves");
        bytes
    }

    fn op(operator: &str, operands: Vec<Object>) -> Operation {
        Operation::new(operator, operands)
    }

    #[test]
    fn lines_and_paragraphs_are_where_they_stand_and_pages_are_headings() {
        let first = vec![
            op("BT", vec![]),
            op("Tf", vec!["F1".into(), 10.into()]),
            op("Td", vec![50.into(), 700.into()]),
            op("Tj", vec![Object::string_literal("The \"first")]),
            op("TD", vec![0.into(), (-12).into()]),
            // Kerning is no space, a wide gap is one.
            op(
                "TJ",
                vec![
                    vec![
                        Object::string_literal("l"),
                        60.into(),
                        Object::string_literal("ine"),
                        (-500).into(),
                        Object::string_literal("ends."),
                    ]
                    .into(),
                ],
            ),
            op("Td", vec![0.into(), (-30).into()]),
            op("Tj", vec![Object::string_literal("Second para")]),
            // The same line again, right behind the last letter.
            op("Td", vec![66.into(), 0.into()]),
            op("Tj", vec![Object::string_literal("graph.")]),
            op("ET", vec![]),
        ];
        let mut second = vec![op("q", vec![]), op("cm", [1, 0, 0, 1, 0, 500].map(Object::from).to_vec())];
        second.extend([op("BT", vec![]), op("Tf", vec!["F1".into(), 10.into()])]);
        second.extend([op("Tj", vec![Object::string_literal("Next page.")]), op("ET", vec![]), op("Q", vec![])]);
        let drawn = read(&file(&[first, vec![], second])).expect("reads");
        let told: Vec<(Kind, &str)> =
            drawn.blocks.iter().map(|block| (block.kind, &drawn.text[block.range.clone()])).collect();
        assert_eq!(
            told,
            [
                (Kind::Heading(1), "Page 1"),
                (Kind::Prose, "The \"first\nline ends."),
                (Kind::Prose, "Second paragraph."),
                (Kind::Heading(1), "Page 3"),
                (Kind::Prose, "Next page."),
            ]
        );
        assert_eq!((drawn.title.as_deref(), drawn.metadata.language.as_deref()), (Some("A Title"), Some("de")));
        assert_eq!(drawn.metadata.date.as_deref(), Some("2024-01-31"));
    }

    /// A page of many different words, which is packed.
    fn page(word: &str) -> Vec<Operation> {
        let mut page = vec![op("BT", vec![]), op("Tf", vec!["F1".into(), 10.into()])];
        for line in 0..60 {
            page.push(op("Td", vec![0.into(), (-12).into()]));
            page.push(op("Tj", vec![Object::string_literal(format!("{word} {} of {line}.", line * line * 7919))]));
        }
        page.push(op("ET", vec![]));
        page
    }

    /// Where the packed contents of pages lie in a file.
    fn streams(bytes: &[u8]) -> Vec<std::ops::Range<usize>> {
        let find = |from: usize, what: &[u8]| {
            bytes[from..].windows(what.len()).position(|window| window == what).map(|at| from + at)
        };
        let (mut all, mut from) = (Vec::new(), 0);
        while let Some(start) = find(from, b">>stream\n") {
            let start = start + 9;
            let end = find(start, b"endstream").expect("its end");
            // What ends a line before it is no part of it.
            all.push(start..end - 1);
            from = end;
        }
        all
    }

    fn marks(bytes: &[u8]) -> (Vec<String>, Vec<String>) {
        let drawn = read(bytes).expect("reads");
        let of = |wanted: fn(&Kind) -> bool| {
            let blocks = drawn.blocks.iter().filter(|block| wanted(&block.kind));
            blocks.map(|block| drawn.text[block.range.clone()].to_owned()).collect()
        };
        (of(|kind| matches!(kind, Kind::Heading(_))), of(|kind| *kind == Kind::Mark))
    }

    #[test]
    fn a_page_that_cannot_be_read_leaves_a_mark_and_a_file_of_none_is_refused() {
        let whole = file(&[page("alpha"), page("beta"), page("gamma")]);
        assert_eq!(marks(&whole), (["Page 1", "Page 2", "Page 3"].map(str::to_owned).to_vec(), Vec::new()));
        // After those of the pages comes the table of all objects.
        let places = &streams(&whole)[..3];
        // The second page's first packed bytes are gone: nothing of it inflates. The third one's are damaged in the middle.
        let mut damaged = whole.clone();
        damaged[places[1].clone()].fill(0xff);
        let middle = places[2].start + places[2].len() / 2;
        damaged[middle..middle + 40].fill(0xff);
        let (pages, told) = marks(&damaged);
        assert_eq!((pages, told.len()), (["Page 1", "Page 3"].map(str::to_owned).to_vec(), 2), "{told:?}");
        assert!(
            told[0].starts_with("[page 2 left out: its content, object ") && told[0].contains("does not unpack"),
            "{told:?}"
        );
        assert!(told[1].starts_with("[page 3 is not whole: its content, object "), "{told:?}");
        for place in places {
            damaged[place.clone()].fill(0xff);
        }
        let refused = read(&damaged);
        assert!(
            matches!(&refused, Err(SkipReason::Malformed { cause }) if cause.contains("does not unpack")),
            "{refused:?}"
        );
    }

    #[test]
    fn letters_of_unknown_fonts_missing_content_and_missing_pages_are_told() {
        let mut unknown = page("alpha");
        unknown.insert(3, op("Tf", vec!["F9".into(), 10.into()]));
        unknown.insert(3, op("Tj", vec![Object::string_literal("First.")]));
        let (pages, told) = marks(&file(&[unknown]));
        assert_eq!(
            (pages.len(), told),
            (1, vec!["[page 1 is not whole: 60 texts are in fonts that cannot be read]".to_owned()])
        );
        let mut document = Document::load_mem(&file(&[page("alpha"), page("beta"), page("gamma")])).expect("loads");
        let pages: Vec<_> = document.get_pages().into_values().collect();
        let content = document.get_page_contents(pages[0])[0];
        document.objects.remove(&content);
        document.objects.remove(&pages[2]);
        let tree = document.catalog().and_then(|catalog| catalog.get(b"Pages")?.as_reference()).expect("a tree");
        document.get_dictionary_mut(tree).expect("a tree").set("Count", 5);
        let mut bytes = Vec::new();
        document.save_to(&mut bytes).expect("saves");
        let lost = pages[2];
        let (pages, told) = marks(&bytes);
        assert_eq!(pages, ["Page 2"]);
        let first = format!("[page 1 left out: its content, object {}, is not in the file]", content.0);
        let third = format!("[page 3 left out: object {} is not in the file]", lost.0);
        assert_eq!(told, [first, third, "[2 of its 5 pages are not in the file]".to_owned()]);
    }

    #[test]
    fn broken_files_are_told() {
        let whole = file(&[vec![op("BT", vec![])]]);
        for bytes in [&b"%PDF-1.5"[..], b"", &whole[..whole.len() / 2]] {
            assert!(matches!(read(bytes), Err(SkipReason::Malformed { .. })), "{} bytes", bytes.len());
        }
        for cut in (9..whole.len()).step_by(7) {
            let mut bytes = whole.clone();
            bytes[cut] ^= 0x15;
            drop(read(&bytes));
        }
    }
}
