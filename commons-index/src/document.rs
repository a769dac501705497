//! What was read to a document: its digests, its citable text, its passages and what is known of it; or the reason that it
//! is none.
//!
//! **Invariant:** the digest is of the very bytes the text was drawn from: a file is read once.

use std::borrow::Cow;

use encoding_rs::Encoding;
use receipts::Digest;

use crate::{
    formats::{Drawn, Format, Reader, encoding},
    metadata::{self, Declared, Metadata},
    passages::{self, Cut},
    scan::SkipReason,
};

/// A document, read and cut.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) path: String,
    /// The file that holds it among others; none when it is a file.
    pub(crate) file: Option<String>,
    pub(crate) media: Cow<'static, str>,
    /// SHA-256 of its own bytes: of the file, or of its record there.
    pub(crate) digest: Digest,
    pub(crate) bytes: u64,
    /// SHA-256 of the citable text.
    pub(crate) text_digest: Digest,
    pub(crate) text: String,
    pub(crate) title: String,
    pub(crate) cuts: Vec<Cut>,
    pub(crate) metadata: Metadata,
    /// The encoding its bytes were in, by its WHATWG name; none of a format that is no text.
    pub(crate) decoding: Option<Cow<'static, str>>,
}

/// A document as it was read, before anything is drawn from it.
pub(crate) struct Raw {
    pub(crate) path: String,
    pub(crate) file: Option<String>,
    pub(crate) media: &'static str,
    pub(crate) digest: Digest,
    pub(crate) bytes: u64,
    /// What is said of it beside its text.
    pub(crate) title: Option<String>,
    pub(crate) metadata: Metadata,
    pub(crate) body: Body,
}

/// What a text is drawn from.
pub(crate) enum Body {
    /// A whole file, unpacked.
    File(Vec<u8>, &'static Format),
    /// A record, decoded.
    Record(String, &'static Encoding, fn(String) -> Drawn),
}

impl Body {
    /// How much it holds.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::File(bytes, _) => bytes.len(),
            Self::Record(text, _, _) => text.len(),
        }
    }
}

/// Draws a document.
pub(crate) fn draw(raw: Raw, declared: &Declared) -> Result<Document, SkipReason> {
    let mut decoding = None;
    let drawn = match raw.body {
        Body::Record(text, encoding, draw) => {
            decoding = Some(Cow::Borrowed(encoding.name()));
            draw(text)
        }
        Body::File(bytes, format) => match format.reader {
            Reader::Text(declared, draw) => {
                let (text, encoding) = encoding::decoded(bytes, declared)?;
                decoding = Some(Cow::Borrowed(encoding.name()));
                draw(text)?
            }
            Reader::Bytes(draw) => draw(&bytes)?,
            Reader::Records(_) => return Err(SkipReason::Malformed { cause: "it holds many documents".to_owned() }),
        },
    };
    let Drawn { title, text, blocks, metadata } = drawn;
    let title = raw.title.or(title).unwrap_or_else(|| stem(&raw.path));
    let cuts = passages::cut(&text, &blocks, &title);
    if cuts.is_empty() {
        return Err(SkipReason::Blank);
    }
    let mut metadata = raw.metadata.or(&metadata).or(&declared.metadata);
    if let Some(base) = metadata.source.as_mut().filter(|source| source.ends_with('/')) {
        base.push_str(&raw.path);
    }
    metadata.language = metadata.language.or_else(|| metadata::detected(&text));
    let Raw { path, file, media, digest, bytes, .. } = raw;
    let media = Cow::Borrowed(media);
    let text_digest = Digest::of(text.as_bytes());
    Ok(Document { path, file, media, digest, bytes, text_digest, text, title, cuts, metadata, decoding })
}

fn stem(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').map_or(name, |(stem, _extension)| stem).to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use receipts::Digest;

    use super::{Body, Document, Raw, draw};
    use crate::{
        formats::Format,
        metadata::{Declared, Metadata},
        passages::LONGEST,
        scan::SkipReason,
    };

    fn drawn(name: &str, source: &[u8]) -> Result<Document, SkipReason> {
        let (format, _packing) = Format::of_name(name).expect("a format");
        let raw = Raw {
            path: format!("a/{name}"),
            file: None,
            media: format.media,
            digest: Digest::of(source),
            bytes: source.len() as u64,
            title: None,
            metadata: Metadata::default(),
            body: Body::File(source.to_vec(), format),
        };
        let declared = Metadata { source: Some("https://x.example/".to_owned()), ..Metadata::default() };
        draw(raw, &Declared { metadata: declared, ..Declared::default() })
    }

    fn document(name: &str, source: &str) -> Document {
        drawn(name, source.as_bytes()).expect("a document")
    }

    fn holds(document: &Document) -> Result<(), TestCaseError> {
        let text = &document.text;
        prop_assert_eq!(document.text_digest, Digest::of(text.as_bytes()));
        let mut last = 0;
        for cut in &document.cuts {
            prop_assert!(cut.range.start >= last, "passages overlap");
            prop_assert!(
                text[last..cut.range.start].trim().is_empty(),
                "text lost: {:?}",
                &text[last..cut.range.start]
            );
            prop_assert!(!text[cut.range.clone()].trim().is_empty());
            prop_assert!(cut.range.len() <= LONGEST, "passage of {} bytes", cut.range.len());
            let mut at = cut.range.start;
            for sentence in &cut.sentences {
                prop_assert!(sentence.start >= at && sentence.end <= cut.range.end, "sentence outside its passage");
                prop_assert!(!text[sentence.clone()].trim().is_empty());
                at = sentence.end;
            }
            last = cut.range.end;
        }
        prop_assert!(text[last..].trim().is_empty(), "text lost at the end");
        Ok(())
    }

    /// Pieces that make structure likely, with any text between.
    fn source() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            3 => "\\PC{0,40}",
            2 => "[a-zA-Z .!?é日。]{0,1500}",
            1 => any::<String>(),
            4 => prop::sample::select(vec![
                "\n", "\n\n", "# ", "## H\n", "- ", "1. ", "```\n", "~~~", "---\n", "| a | b |\n", "|---|\n", "===\n", "    ",
                "\t", "Dr. ", "U.S. ", ". ", "<p>", "</p>", "<h1>", "<li>", "<script>", "</script>", "<pre>", "</pre>", "&amp;",
                "<td>", "<br>", "\r\n", "\u{2029}", "\u{feff}",
            ]).prop_map(str::to_owned),
        ];
        prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
        #[test]
        fn passages_and_sentences_are_verbatim_whole_and_cover_the_text(source in source()) {
            for name in ["b.md", "b.txt", "b.html", "b.csv", "b.tsv", "b.rs"] {
                match drawn(name, source.as_bytes()) {
                    Ok(document) => {
                        holds(&document)?;
                        let verbatim = matches!(name, "b.md" | "b.txt" | "b.rs") && !source.starts_with('\u{feff}');
                        prop_assert!(!verbatim || document.text == source, "{}", name);
                    }
                    Err(SkipReason::Blank) => {}
                    Err(SkipReason::Binary) => prop_assert!(source.contains('\0')),
                    Err(other) => prop_assert!(false, "{}: {}", name, other),
                }
            }
        }
    }

    #[test]
    fn title_and_headings_say_where_a_passage_stands() {
        let found = document("b.md", "# Title\n\nIntro.\n\n## One\n\nText one.\n\n### Deep\n\nMore.\n\n## Two\n\nEnd.");
        assert_eq!(found.title, "Title");
        let headings: Vec<String> = found.cuts.iter().map(|cut| cut.headings.join("/")).collect();
        assert_eq!(headings, ["", "One", "One/Deep", "Two"]);
        assert_eq!(document("b.txt", "words").title, "b");
        assert_eq!(document("b.html", "<h1>First</h1><p>x").title, "First");
    }

    #[test]
    fn paragraphs_are_merged_and_long_ones_cut_at_sentence_ends() {
        let short = "A short paragraph here.\n\n".repeat(20);
        assert_eq!(document("b.md", &short).cuts.len(), 1);
        let long = "This sentence has exactly fifty bytes in it, I say. ".repeat(60);
        let cuts = document("b.md", &long).cuts;
        assert!(cuts.len() >= 3);
        assert!(cuts.iter().all(|cut| long[cut.range.clone()].ends_with("say.")));
        let head = format!("# Head\n\n{long}");
        assert!(document("b.md", &head).cuts[0].range.len() > 500, "a heading stands with the text under it");
    }
}
