//! What a file is read as: one table, one reader a file. A reader turns bytes into a citable text with its structure, or a
//! stream of bytes into many such documents; it knows no folders, no digests on record and no store.
//!
//! **Invariant:** the table is the only place that says which name is read how.
//! **Invariant:** no reader keeps more than one record of a stream in memory.

mod csv;
pub(crate) mod encoding;
mod html;
mod json;
mod jsonl;
mod markdown;
mod mediawiki;
pub(crate) mod packed;
mod pdf;
mod pieces;
mod source;
mod wikitext;

use std::io::BufRead;

use encoding_rs::Encoding;
use receipts::Digest;

use crate::{
    blocks::Block,
    metadata::{Fields, Metadata},
    scan::SkipReason,
};
pub(crate) use packed::Packing;

/// A document as its reader drew it.
#[derive(Debug)]
pub(crate) struct Drawn {
    /// Its own title, where it has one.
    pub(crate) title: Option<String>,
    /// The citable text.
    pub(crate) text: String,
    /// The structure of that text.
    pub(crate) blocks: Vec<Block>,
    /// What it says of itself.
    pub(crate) metadata: Metadata,
}

/// A document of a file that holds many.
pub(crate) struct Record {
    /// Its name within the file; none when it is all of the file.
    pub(crate) id: Option<String>,
    /// SHA-256 of its own bytes in the file.
    pub(crate) digest: Digest,
    /// How many these are.
    pub(crate) bytes: u64,
    /// What it is named, where its text does not say it.
    pub(crate) title: Option<String>,
    /// What is said of it beside its text.
    pub(crate) metadata: Metadata,
    /// What its text is drawn from.
    pub(crate) body: String,
    /// The encoding that was in.
    pub(crate) encoding: &'static Encoding,
    /// How.
    pub(crate) draw: fn(String) -> Drawn,
}

/// What a stream of records gives, one at a time.
pub(crate) enum Found {
    /// A document.
    Record(Box<Record>),
    /// Something that is none, at this byte of the (unpacked) stream.
    Skipped(SkipReason),
}

/// Why a stream was left before its end.
pub(crate) enum Stop {
    /// Nobody wants more.
    Unwanted,
    /// It cannot be read on.
    Reason(SkipReason),
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        Self::Reason(packed::reason(&error))
    }
}

/// Takes what a stream gives.
pub(crate) type Sink<'a> = dyn FnMut(Found) -> Result<(), Stop> + 'a;

/// What bounds and steers the reading of records.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    /// The largest file that is read whole.
    pub(crate) file_bytes: u64,
    /// The largest record.
    pub(crate) record_bytes: u64,
    /// Where records keep what is read of them.
    pub(crate) fields: Fields,
}

/// How a format is read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reader {
    /// A text of any encoding: which it declares, and the reader of the decoded text.
    Text(fn(&[u8]) -> Option<&'static Encoding>, fn(String) -> Result<Drawn, SkipReason>),
    /// Bytes of its own kind.
    Bytes(fn(&[u8]) -> Result<Drawn, SkipReason>),
    /// Many documents, one after the other.
    Records(fn(&mut dyn BufRead, &Reading, &mut Sink<'_>) -> Result<(), Stop>),
}

/// One kind of file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Format {
    /// The media type as the corpus records it.
    pub(crate) media: &'static str,
    /// Extensions of its files, lower case.
    extensions: &'static [&'static str],
    /// How it is read.
    pub(crate) reader: Reader,
}

/// Changes with what readers draw, so that a new reader reads files again that are as they were.
pub(crate) const READERS: u32 = 2;

/// All kinds of file.
const FORMATS: &[Format] = &[
    Format {
        media: "text/markdown",
        extensions: &["md", "markdown"],
        reader: Reader::Text(encoding::undeclared, markdown::markdown),
    },
    Format {
        media: "text/plain",
        extensions: &["txt", "text"],
        reader: Reader::Text(encoding::undeclared, markdown::plain),
    },
    Format {
        media: "text/html",
        extensions: &["html", "htm", "xhtml"],
        reader: Reader::Text(html::declared, html::page),
    },
    Format { media: "application/pdf", extensions: &["pdf"], reader: Reader::Bytes(pdf::read) },
    Format { media: "text/csv", extensions: &["csv"], reader: Reader::Text(encoding::undeclared, csv::commas) },
    Format {
        media: "text/tab-separated-values",
        extensions: &["tsv", "tab"],
        reader: Reader::Text(encoding::undeclared, csv::tabs),
    },
    Format { media: "application/jsonl", extensions: &["jsonl", "ndjson"], reader: Reader::Records(jsonl::read) },
    Format { media: "application/json", extensions: &["json"], reader: Reader::Records(json::read) },
    Format { media: "application/mediawiki+xml", extensions: &["xml"], reader: Reader::Records(mediawiki::read) },
    Format {
        media: "text/x-source",
        extensions: source::EXTENSIONS,
        reader: Reader::Text(encoding::undeclared, source::read),
    },
];

impl Format {
    /// The format and the packing of a file of this name, or the extension that is no format.
    pub(crate) fn of_name(name: &str) -> Result<(&'static Self, Packing), String> {
        let (rest, packing) = Packing::of_name(name);
        let extension =
            rest.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).map_or("", |(_, extension)| extension);
        let lower = extension.to_ascii_lowercase();
        let found = FORMATS.iter().find(|format| format.extensions.contains(&lower.as_str()));
        found.map(|format| (format, packing)).ok_or_else(|| extension.to_owned())
    }

    /// The format of a media type, as a server names it.
    pub(crate) fn of_media(media: &str) -> Option<&'static Self> {
        let name = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let same = match name.as_str() {
            "application/xhtml+xml" => "text/html",
            "text/x-markdown" => "text/markdown",
            "application/x-ndjson" | "application/ndjson" => "application/jsonl",
            other => other,
        };
        FORMATS.iter().find(|format| format.media == same)
    }

    /// Whether a file of this kind holds many documents.
    pub(crate) fn is_stream(&self) -> bool {
        matches!(self.reader, Reader::Records(_))
    }
}

/// Plain paragraphs of a record.
fn paragraphs(text: String) -> Drawn {
    let blocks = markdown::blocks(&text, markdown::Dialect::Plain);
    Drawn { title: None, text, blocks, metadata: Metadata::default() }
}

#[cfg(test)]
mod tests {
    use super::{Format, Packing};

    #[test]
    fn names_say_what_a_file_is_and_how_it_is_packed() {
        let of = |name: &str| Format::of_name(name).map(|(format, packing)| (format.media, packing));
        assert_eq!(of("a/B.MD"), Ok(("text/markdown", Packing::None)));
        assert_eq!(of("x.jsonl.gz"), Ok(("application/jsonl", Packing::Gzip)));
        assert_eq!(of("dump.xml.bz2"), Ok(("application/mediawiki+xml", Packing::Bzip2)));
        assert_eq!(of("x.txt.zst"), Ok(("text/plain", Packing::Zstd)));
        assert_eq!(of("main.rs"), Ok(("text/x-source", Packing::None)));
        assert_eq!(of("x.tar.gz"), Err("tar".to_owned()));
        assert_eq!(of("README"), Err(String::new()));
        assert_eq!(of("x.zip"), Err("zip".to_owned()));
        assert_eq!(Format::of_media("text/html; charset=utf-8").map(|format| format.media), Some("text/html"));
    }
}
