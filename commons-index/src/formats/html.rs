//! HTML to its readable text. The text is made here once, kept by its digest, and cited; the file is never rendered again.
//!
//! **Invariant:** what a browser would not show as reading matter (scripts, styles, templates, navigation) is not in it.
//! **Invariant:** depth of nesting is no danger: the tree is walked, never recursed into, and a page that nests thousands deep
//! is told before it is parsed.

use encoding_rs::Encoding;
use scraper::{Html, Node, node::Element};

use super::Drawn;
use crate::{
    blocks::{Block, Kind},
    metadata::Metadata,
    passages,
    scan::SkipReason,
};

/// What is dropped with all that is in it.
const DROPPED: &[&str] = &[
    "script", "style", "nav", "template", "noscript", "head", "svg", "math", "iframe", "object", "canvas", "button",
    "select", "textarea", "input", "form", "dialog",
];
/// Elements whose text runs on in the line; everything else starts a new block.
const INLINE: &[&str] = &[
    "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em", "font", "i", "img",
    "ins", "kbd", "label", "mark", "q", "rp", "rt", "ruby", "s", "samp", "small", "span", "strike", "strong", "sub",
    "sup", "time", "tt", "u", "var", "wbr", "td", "th", "tbody", "thead", "tfoot",
];

struct Writer {
    text: String,
    blocks: Vec<Block>,
    start: usize,
    kinds: Vec<Kind>,
    space: bool,
}

impl Writer {
    fn kind(&self) -> Kind {
        self.kinds.last().copied().unwrap_or(Kind::Prose)
    }

    fn words(&mut self, words: &str) {
        if self.kind() == Kind::Code {
            self.text.push_str(&words.replace('\r', ""));
            return;
        }
        for c in words.chars() {
            if c.is_whitespace() {
                self.space = true;
                continue;
            }
            if std::mem::take(&mut self.space) && self.text.len() > self.start {
                self.text.push(' ');
            }
            self.text.push(c);
        }
    }

    /// Ends the block in progress, if it has any words.
    fn end(&mut self) {
        self.space = false;
        let length = self.text.trim_end().len().max(self.start);
        self.text.truncate(length);
        if self.text[self.start..].trim().is_empty() {
            self.text.truncate(self.start);
            return;
        }
        self.blocks.push(Block { kind: self.kind(), range: self.start..self.text.len() });
        self.text.push_str("\n\n");
        self.start = self.text.len();
    }
}

fn kind_of(name: &str) -> Option<Kind> {
    match name {
        "h1" => Some(Kind::Heading(1)),
        "h2" => Some(Kind::Heading(2)),
        "h3" => Some(Kind::Heading(3)),
        "h4" => Some(Kind::Heading(4)),
        "h5" => Some(Kind::Heading(5)),
        "h6" => Some(Kind::Heading(6)),
        "li" | "dt" | "dd" => Some(Kind::Item),
        "tr" => Some(Kind::Row),
        "pre" => Some(Kind::Code),
        _other => None,
    }
}

/// Browsers stop at 512. Parsing takes time by the square of the depth: 100,000 took 40 s.
const DEEPEST: usize = 4_000;
/// Elements that never hold others, or that end by themselves.
const SHALLOW: &[&str] = &[
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr", "p", "li",
    "dt", "dd", "option", "optgroup", "tr", "td", "th", "tbody", "thead", "tfoot", "rp", "rt", "!doctype",
];

/// Whether a page nests deeper than any reader's would, by a count of tags that may err, so far off the usual, only upwards.
pub(crate) fn too_deep(page: &str) -> bool {
    let mut depth: usize = 0;
    for rest in page.split('<').skip(1) {
        if let Some(_closing) = rest.strip_prefix('/') {
            depth = depth.saturating_sub(1);
            continue;
        }
        let name = rest.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
        if !name.is_empty() && !SHALLOW.contains(&name.to_ascii_lowercase().as_str()) {
            depth += 1;
            if depth > DEEPEST {
                return true;
            }
        }
    }
    false
}

/// The encoding that a page declares in its first kilobyte, as browsers look for it.
pub(super) fn declared(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(1024)]).to_ascii_lowercase();
    let (_before, rest) = head.split_once("charset=")?;
    let name = rest.trim_start_matches(['"', '\'']).split(['"', '\'', '>', ';', ' ', '/']).next()?;
    Encoding::for_label(name.as_bytes())
}

/// Reads a page.
pub(super) fn page(text: String) -> Result<Drawn, SkipReason> {
    if too_deep(&text) { Err(SkipReason::TooDeep) } else { Ok(readable(&text)) }
}

/// What an element says of the page it stands in.
fn said(about: &mut Metadata, element: &Element) {
    let attribute = |name| element.attr(name).unwrap_or_default();
    match element.name() {
        "html" => about.take("lang", attribute("lang")),
        "link" => match attribute("rel").to_ascii_lowercase().as_str() {
            "canonical" => about.take("canonical", attribute("href")),
            "license" => about.take("license", attribute("href")),
            _other => {}
        },
        "meta" => {
            let name = if attribute("name").is_empty() { attribute("property") } else { attribute("name") };
            let name = match name.to_ascii_lowercase().as_str() {
                "dc.rights" | "dcterms.rights" | "dcterms.license" | "license" | "licence" => "license",
                "dc.date" | "dcterms.date" | "date" | "article:published_time" => "date",
                "og:url" => "source",
                "dc.language" | "language" => "lang",
                _other => return,
            };
            about.take(name, attribute("content"));
        }
        _other => {}
    }
}

/// Reads a page. Any text is some page by browser rules, so this cannot fail; it may come out empty.
fn readable(page: &str) -> Drawn {
    let html = Html::parse_document(page);
    let mut writer = Writer { text: String::new(), blocks: Vec::new(), start: 0, kinds: Vec::new(), space: false };
    let mut title = String::new();
    let mut metadata = Metadata::default();
    let mut dropped: usize = 0;
    let mut in_title = false;
    let mut visit = |node: &Node, open: bool| match node {
        Node::Text(words) if open && in_title => title.push_str(&words.text),
        Node::Text(words) if open && dropped == 0 => writer.words(&words.text),
        Node::Element(element) => {
            let name = element.name();
            if open {
                said(&mut metadata, element);
            }
            // An SVG has titles of its own; the page's comes first.
            if name == "title" && (title.is_empty() || in_title) {
                in_title = open;
            }
            if DROPPED.contains(&name) || element.attr("hidden").is_some() {
                dropped = if open { dropped + 1 } else { dropped - 1 };
            } else if dropped == 0 {
                self::element(&mut writer, name, open);
            }
        }
        Node::Document
        | Node::Fragment
        | Node::Doctype(_)
        | Node::Comment(_)
        | Node::Text(_)
        | Node::ProcessingInstruction(_) => {}
    };
    let mut node = html.tree.root();
    'walk: loop {
        visit(node.value(), true);
        if let Some(child) = node.first_child() {
            node = child;
            continue;
        }
        loop {
            visit(node.value(), false);
            match (node.next_sibling(), node.parent()) {
                (Some(sibling), _) => {
                    node = sibling;
                    break;
                }
                (None, Some(parent)) => node = parent,
                (None, None) => break 'walk,
            }
        }
    }
    writer.end();
    let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
    let title = Some(title).filter(|words| !words.is_empty());
    Drawn {
        title: title.or_else(|| passages::first_heading(&writer.text, &writer.blocks)),
        text: writer.text,
        blocks: writer.blocks,
        metadata,
    }
}

fn element(writer: &mut Writer, name: &str, open: bool) {
    match name {
        "br" if open && writer.kind() == Kind::Code => writer.text.push('\n'),
        "br" | "img" | "wbr" => writer.space |= name == "br",
        "td" | "th" if !open => {
            writer.space = false;
            writer.text.push_str(" | ");
        }
        _other if INLINE.contains(&name) => {}
        _other => {
            writer.end();
            if let Some(kind) = kind_of(name) {
                if open {
                    writer.kinds.push(kind);
                } else {
                    writer.kinds.pop();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{declared, readable, too_deep};
    use crate::blocks::Kind;

    #[test]
    fn a_page_says_what_it_is() {
        let page = "<html lang='de-AT'><head><link rel=canonical href='https://x.example/p'><meta name='dcterms.rights' content='CC0'>\
            <meta property='article:published_time' content='2024-01-02'></head><body><p>x <link rel=license href=no></body>";
        let about = readable(page).metadata;
        assert_eq!((about.language.as_deref(), about.source.as_deref()), (Some("de"), Some("https://x.example/p")));
        assert_eq!((about.licence.as_deref(), about.date.as_deref()), (Some("CC0"), Some("2024-01-02")));
        let charset = |page: &[u8]| declared(page).map(encoding_rs::Encoding::name);
        assert_eq!(charset(b"<meta charset=\"Shift_JIS\">"), Some("Shift_JIS"));
        assert_eq!(charset(b"<meta http-equiv=x content='text/html; charset=iso-8859-1'>"), Some("windows-1252"));
        assert_eq!(charset(b"<p>charset"), None);
    }

    #[test]
    fn reading_matter_stays_and_the_rest_goes() {
        let page = "<html><head><title>The  Page</title><style>p{}</style></head><body><nav>menu</nav><h1>Head &amp; shoulders</h1>\
            <p>One <b>bold</b>\n word&nbsp;here.<br>next</p><script>alert(1)</script><template>t</template>\
            <ul><li>first<li>second</ul><table><tr><td>a<td>b</table><pre>x = 1\n  y</pre><p hidden>no</p></body>";
        let found = readable(page);
        assert_eq!(found.title.as_deref(), Some("The Page"));
        let blocks: Vec<(Kind, &str)> =
            found.blocks.iter().map(|block| (block.kind, &found.text[block.range.clone()])).collect();
        assert_eq!(
            blocks,
            [
                (Kind::Heading(1), "Head & shoulders"),
                (Kind::Prose, "One bold word here. next"),
                (Kind::Item, "first"),
                (Kind::Item, "second"),
                (Kind::Row, "a | b |"),
                (Kind::Code, "x = 1\n  y"),
            ]
        );
    }

    #[test]
    fn deep_nesting_is_read_up_to_a_depth_and_told_beyond_it() {
        let page = |depth| format!("{}deep{}", "<div>".repeat(depth), "</div>".repeat(depth));
        assert!(!too_deep(&page(4_000)));
        assert_eq!(readable(&page(4_000)).text.trim(), "deep");
        assert!(too_deep(&page(100_000)));
        assert!(!too_deep(&"<p>one<br>two<li>three".repeat(10_000)));
    }
}
