//! Dumps of MediaWiki in XML: each article a document, page by page as the dump is read.
//!
//! **Invariant:** what is no article (talk, templates, redirects) is counted, and not listed page by page.

use std::io::{BufRead, Cursor, Read};

use quick_xml::{Reader, XmlVersion, events::Event};
use receipts::Digest;

use super::{
    Found, Reading, Record, Sink, Stop, encoding,
    pieces::{Piece, Pieces},
    source, wikitext,
};
use crate::{
    metadata::{Metadata, line},
    scan::SkipReason,
};

/// Where the licence of the texts is known.
const FREE: &[&str] = &["wikipedia", "wiktionary", "wikibooks", "wikiquote", "wikisource", "wikiversity", "wikivoyage"];
const LICENCE: &str = "CC-BY-SA-4.0";
/// How far into a file its first element is looked for.
const HEAD: usize = 4 << 10;

/// What a dump says of all its pages.
#[derive(Default)]
struct Site {
    language: String,
    base: String,
}

/// What stands in a page.
#[derive(Default)]
struct Page {
    title: String,
    namespace: String,
    redirect: bool,
    revision: String,
    date: String,
    text: String,
}

/// Reads a dump; other XML is read as source, whole.
pub(super) fn read(stream: &mut dyn BufRead, reading: &Reading, sink: &mut Sink<'_>) -> Result<(), Stop> {
    let mut head = Vec::new();
    (&mut *stream).take(HEAD as u64).read_to_end(&mut head)?;
    let dump = head.windows(10).any(|window| window == b"<mediawiki");
    let mut stream = Cursor::new(head).chain(stream);
    if !dump {
        return other(&mut stream, reading, sink);
    }
    let mut pieces = Pieces::new(&mut stream, b"</page>", reading.record_bytes);
    let mut site: Option<Site> = None;
    let mut passed: u64 = 0;
    while let Some(piece) = pieces.next()? {
        let found = match piece {
            Piece::TooLong { at, bytes } => {
                Found::Skipped(SkipReason::RecordTooLarge { at, bytes, limit: reading.record_bytes })
            }
            Piece::Whole { at, bytes } => {
                let start = bytes.windows(5).position(|window| window == b"<page");
                let site = site.get_or_insert_with(|| siteinfo(&bytes[..start.unwrap_or(bytes.len())]));
                let Some(bytes) = start.map(|start| &bytes[start..]) else { continue };
                match page(bytes) {
                    Ok(page) if page.redirect || !matches!(page.namespace.trim(), "" | "0") => {
                        passed += 1;
                        continue;
                    }
                    Ok(page) => Found::Record(Box::new(record(page, site, bytes))),
                    Err(error) => Found::Skipped(SkipReason::BadRecord { at, cause: error.to_string() }),
                }
            }
        };
        sink(found)?;
    }
    if passed > 0 {
        sink(Found::Skipped(SkipReason::NoArticles { pages: passed }))?;
    }
    Ok(())
}

fn other(stream: &mut dyn BufRead, reading: &Reading, sink: &mut Sink<'_>) -> Result<(), Stop> {
    let limit = reading.file_bytes;
    let mut bytes = Vec::new();
    stream.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(Stop::Reason(SkipReason::TooLarge { bytes: bytes.len() as u64, limit }));
    }
    let (digest, length) = (Digest::of(&bytes), bytes.len() as u64);
    let draw =
        |text: String| super::Drawn { title: None, blocks: source::blocks(&text), text, metadata: Metadata::default() };
    let (body, encoding) = encoding::decoded(bytes, encoding::undeclared).map_err(Stop::Reason)?;
    let metadata = Metadata::default();
    let record = Record { id: None, digest, bytes: length, title: None, metadata, body, encoding, draw };
    sink(Found::Record(Box::new(record)))
}

fn record(page: Page, site: &Site, bytes: &[u8]) -> Record {
    let title = line(&page.title).unwrap_or_default();
    // `https://en.wikipedia.org/wiki/Main_Page`: what stands before the page's name is of all pages.
    let place = site.base.rsplit_once('/').map(|(place, _main)| format!("{place}/{}", title.replace(' ', "_")));
    let host = site.base.split("//").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_default();
    let free =
        host.strip_suffix(".org").and_then(|host| host.rsplit('.').next()).is_some_and(|name| FREE.contains(&name));
    let mut metadata = Metadata {
        source: place.and_then(|place| line(&place)),
        licence: free.then(|| LICENCE.to_owned()),
        revision: line(&page.revision),
        language: None,
        date: line(&page.date),
    };
    metadata.take("language", &site.language);
    Record {
        id: Some(title.clone()),
        digest: Digest::of(bytes),
        bytes: bytes.len() as u64,
        title: Some(title),
        metadata,
        body: page.text,
        encoding: encoding_rs::UTF_8,
        draw: wikitext::readable,
    }
}

fn siteinfo(head: &[u8]) -> Site {
    let mut site = Site::default();
    // A head that cannot be read only says less.
    drop(each(head, |path, text| match path.last().map(String::as_str) {
        Some("base") => site.base.push_str(text),
        Some("@lang") => site.language.push_str(text),
        Some(_) | None => {}
    }));
    site
}

fn page(bytes: &[u8]) -> Result<Page, quick_xml::Error> {
    let mut page = Page::default();
    each(bytes, |path, text| {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        match path.as_slice() {
            ["page", "title"] => page.title.push_str(text),
            ["page", "ns"] => page.namespace.push_str(text),
            ["page", "redirect"] => page.redirect = true,
            // Of a page with its history the last revision is the page.
            ["page", "revision"] => {
                page.revision.clear();
                page.date.clear();
                page.text.clear();
            }
            ["page", "revision", "id"] => page.revision.push_str(text),
            ["page", "revision", "timestamp"] => page.date.push_str(text),
            ["page", "revision", "text"] => page.text.push_str(text),
            _ => {}
        }
    })?;
    Ok(page)
}

/// Tells each element by its path as it begins (with no text), then its texts, and the language of the outermost.
fn each(bytes: &[u8], mut tell: impl FnMut(&[String], &str)) -> Result<(), quick_xml::Error> {
    let mut reader = Reader::from_reader(bytes);
    // Pages are cut from a dump, whose own element is then neither opened nor closed.
    reader.config_mut().check_end_names = false;
    let mut path: Vec<String> = Vec::new();
    loop {
        match reader.read_event()? {
            Event::Start(start) => {
                path.push(start.local_name().as_ref().to_owned());
                tell(&path, "");
                if let Some(language) = start.attributes().flatten().find(|one| one.key.as_ref() == "xml:lang") {
                    path.push("@lang".to_owned());
                    tell(&path, &language.value);
                    path.pop();
                }
            }
            Event::Empty(start) => {
                path.push(start.local_name().as_ref().to_owned());
                tell(&path, "");
                path.pop();
            }
            Event::End(_) => drop(path.pop()),
            Event::Text(text) => tell(&path, &text.xml_content(XmlVersion::Implicit1_0)),
            Event::CData(text) => tell(&path, &text.xml_content(XmlVersion::Implicit1_0)),
            Event::GeneralRef(name) => {
                let letter = match name.resolve_char_ref() {
                    Ok(Some(letter)) => Some(letter.to_string()),
                    Ok(None) | Err(_) => {
                        let name = name.xml_content(XmlVersion::Implicit1_0);
                        quick_xml::escape::resolve_predefined_entity(&name).map(str::to_owned)
                    }
                };
                tell(&path, letter.as_deref().unwrap_or_default());
            }
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
            Event::Eof => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::read;
    use crate::{
        formats::{Found, Reading, Record},
        metadata::Fields,
        scan::SkipReason,
    };

    fn records(text: &str) -> (Vec<Record>, Vec<SkipReason>) {
        let reading = Reading { file_bytes: 100_000, record_bytes: 2_000, fields: Fields::default() };
        let (mut records, mut skipped) = (Vec::new(), Vec::new());
        let end = read(&mut Cursor::new(text.to_owned()), &reading, &mut |found| {
            match found {
                Found::Record(record) => records.push(*record),
                Found::Skipped(reason) => skipped.push(reason),
            }
            Ok(())
        });
        assert!(end.is_ok());
        (records, skipped)
    }

    fn page(title: &str, inside: &str, text: &str) -> String {
        format!(
            "  <page>\n<title>{title}</title><ns>0</ns><id>12</id>{inside}<revision><id>345</id><timestamp>2024-01-31T00:00:00Z</timestamp>\
             <contributor><username>X</username><id>9</id></contributor><text bytes=\"3\" xml:space=\"preserve\">{text}</text></revision></page>\n"
        )
    }

    #[test]
    fn articles_are_documents_and_the_rest_is_counted() {
        let head = "<mediawiki xmlns=\"http://www.mediawiki.org/xml/export-0.11/\" xml:lang=\"en\">\n<siteinfo><sitename>Wikipedia</sitename>\
            <base>https://en.wikipedia.org/wiki/Main_Page</base></siteinfo>\n";
        let talk = page("Talk:A", "", "talk").replace("<ns>0", "<ns>1");
        let pages = [
            page("A &amp; B", "", "'''A''' &lt;b&gt;is&lt;/b&gt; [[C|c]] &amp;ndash; &#233;."),
            page("R", "<redirect title=\"A\" />", "#REDIRECT [[A]]"),
            talk,
            page("Long", "", &"x".repeat(5_000)),
            page("Last", "<revision><id>1</id><text>old</text></revision>", "new"),
        ];
        let (found, skipped) = records(&format!("{head}{}</mediawiki>", pages.concat()));
        let told: Vec<(Option<&str>, &str)> = found.iter().map(|one| (one.id.as_deref(), one.body.as_str())).collect();
        assert_eq!(told, [(Some("A & B"), "'''A''' <b>is</b> [[C|c]] &ndash; é."), (Some("Last"), "new")]);
        let about = &found[0].metadata;
        assert_eq!(about.source.as_deref(), Some("https://en.wikipedia.org/wiki/A_&_B"));
        assert_eq!((about.licence.as_deref(), about.language.as_deref()), (Some("CC-BY-SA-4.0"), Some("en")));
        assert_eq!((about.revision.as_deref(), about.date.as_deref()), (Some("345"), Some("2024-01-31T00:00:00Z")));
        assert!(matches!(skipped[0], SkipReason::RecordTooLarge { limit: 2_000, .. }), "{skipped:?}");
        assert_eq!(skipped[1], SkipReason::NoArticles { pages: 2 });
    }

    #[test]
    fn other_xml_is_one_document_as_it_stands() {
        let (found, _) = records("<project><name>x</name></project>");
        assert_eq!((found[0].id.as_deref(), found[0].body.as_str()), (None, "<project><name>x</name></project>"));
    }
}
