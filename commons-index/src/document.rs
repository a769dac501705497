//! A candidate file to a document: its digests, its citable text and its passages; or the reason it is none.
//!
//! **Invariant:** the digest is of the very bytes the text was drawn from: a file is read once.

use std::{
    fs::OpenOptions,
    io::{self, Read},
};

use receipts::Digest;

use crate::{
    markdown::{self, Dialect},
    passages::{self, Cut},
    scan::{Candidate, Media, SkipReason},
};

/// A document, read and cut.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) path: String,
    pub(crate) media: Media,
    /// SHA-256 of the file.
    pub(crate) digest: Digest,
    pub(crate) bytes: u64,
    /// SHA-256 of the citable text.
    pub(crate) text_digest: Digest,
    pub(crate) text: String,
    pub(crate) title: String,
    pub(crate) cuts: Vec<Cut>,
}

/// What reading a candidate came to.
#[derive(Debug)]
pub(crate) enum Reading {
    /// The file is as recorded.
    Unchanged,
    /// A new or changed document.
    Document(Box<Document>),
}

/// Reads a candidate. `known` is the digest on record for its path: equal bytes are not cut again.
pub(crate) fn read(candidate: &Candidate, known: Option<Digest>, limit: u64) -> Result<Reading, SkipReason> {
    let bytes = bytes(candidate, limit)?;
    let digest = Digest::of(&bytes);
    if known == Some(digest) {
        return Ok(Reading::Unchanged);
    }
    let length = bytes.len() as u64;
    if bytes.contains(&0) {
        return Err(SkipReason::Binary);
    }
    let source = String::from_utf8(bytes).map_err(|error| {
        // Other encodings are mostly text too, so say where UTF-8 ends instead of calling the file binary.
        SkipReason::NotUtf8 { valid: error.utf8_error().valid_up_to() as u64 }
    })?;
    if candidate.media == Media::Html && crate::html::too_deep(&source) {
        return Err(SkipReason::TooDeep);
    }
    let document = draw(candidate, digest, length, source);
    if document.cuts.is_empty() { Err(SkipReason::Blank) } else { Ok(Reading::Document(Box::new(document))) }
}

fn draw(candidate: &Candidate, digest: Digest, bytes: u64, source: String) -> Document {
    let (text, blocks, title) = match candidate.media {
        Media::Html => {
            let page = crate::html::readable(&source);
            (page.text, page.blocks, page.title)
        }
        Media::Markdown => {
            let blocks = markdown::blocks(&source, Dialect::Markdown);
            let title = passages::first_heading(&source, &blocks);
            (source, blocks, title)
        }
        Media::Plain => {
            let blocks = markdown::blocks(&source, Dialect::Plain);
            (source, blocks, None)
        }
    };
    let title = title.unwrap_or_else(|| stem(&candidate.relative));
    let cuts = passages::cut(&text, &blocks, &title);
    let text_digest = match candidate.media {
        Media::Markdown | Media::Plain => digest,
        Media::Html => Digest::of(text.as_bytes()),
    };
    Document { path: candidate.relative.clone(), media: candidate.media, digest, bytes, text_digest, text, title, cuts }
}

fn stem(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').map_or(name, |(stem, _extension)| stem).to_owned()
}

fn bytes(candidate: &Candidate, limit: u64) -> Result<Vec<u8>, SkipReason> {
    let unreadable = |error: io::Error| SkipReason::Unreadable { cause: error.to_string() };
    let mut options = OpenOptions::new();
    options.read(true);
    let file = options.open(&candidate.absolute).map_err(unreadable)?;
    let mut bytes = Vec::with_capacity(usize::try_from(candidate.bytes).unwrap_or_default());
    // The file may have grown since the walk; one byte past the limit tells, and no more is taken into memory.
    file.take(limit + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > limit {
        return Err(SkipReason::TooLarge { bytes: bytes.len() as u64, limit });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use proptest::prelude::*;
    use receipts::Digest;

    use super::{Document, draw};
    use crate::{
        passages::LONGEST,
        scan::{Candidate, Media},
    };

    fn document(media: Media, source: &str) -> Document {
        let candidate = Candidate { relative: "a/b.md".to_owned(), absolute: PathBuf::new(), media, bytes: 0 };
        draw(&candidate, Digest::of(source.as_bytes()), source.len() as u64, source.to_owned())
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
            for media in [Media::Markdown, Media::Plain, Media::Html] {
                holds(&document(media, &source))?;
            }
        }
    }

    #[test]
    fn title_and_headings_say_where_a_passage_stands() {
        let found = document(
            Media::Markdown,
            "# Title\n\nIntro.\n\n## One\n\nText one.\n\n### Deep\n\nMore.\n\n## Two\n\nEnd.",
        );
        assert_eq!(found.title, "Title");
        let headings: Vec<String> = found.cuts.iter().map(|cut| cut.headings.join("/")).collect();
        assert_eq!(headings, ["", "One", "One/Deep", "Two"]);
        assert_eq!(document(Media::Plain, "words").title, "b");
        assert_eq!(document(Media::Html, "<h1>First</h1><p>x").title, "First");
    }

    #[test]
    fn paragraphs_are_merged_and_long_ones_cut_at_sentence_ends() {
        let short = "A short paragraph here.\n\n".repeat(20);
        assert_eq!(document(Media::Markdown, &short).cuts.len(), 1);
        let long = "This sentence has exactly fifty bytes in it, I say. ".repeat(60);
        let cuts = document(Media::Markdown, &long).cuts;
        assert!(cuts.len() >= 3);
        assert!(cuts.iter().all(|cut| long[cut.range.clone()].ends_with("say.")));
        let head = format!("# Head\n\n{long}");
        assert!(document(Media::Markdown, &head).cuts[0].range.len() > 500, "a heading stands with the text under it");
    }
}
