//! Passages under short names: a language model reads and cites `p3` where the tools and the deliverable say digest and
//! span.
//!
//! **Invariant:** a citation made here quotes bytes that stand in the passage, at their own span; words that do not stand
//! there are refused, never mended.

use common_ground::{
    citation::{Citation, Span},
    deliverable::Deliverable,
    port::{
        index::{Passage, PassageId},
        tool::ToolSpec,
    },
};
use receipts::Digest;
use serde::Deserialize;
use serde_json::json;

/// The tool whose answers bring passages by words.
pub(super) const SEARCH: &str = "commons_search";
/// The tool that reads passages by id.
pub(super) const READ: &str = "commons_read";

/// A passage that a name stands for.
#[derive(Debug, Clone)]
struct Known {
    id: PassageId,
    document: Digest,
    path: String,
    collection: Option<String>,
    place: String,
    content: String,
}

/// Names handed out so far: `p1`, `p2` and so on, in the order in which passages came up.
#[derive(Debug, Clone, Default)]
pub(super) struct Passages {
    known: Vec<Known>,
}

#[derive(Deserialize)]
struct Found {
    hits: Vec<Hit>,
    left_out: usize,
}

#[derive(Deserialize)]
struct Hit {
    passage: PassageId,
    document: Digest,
    path: String,
    title: String,
    headings: Vec<String>,
    content: String,
    collection: Option<String>,
}

#[derive(Deserialize)]
struct Opened {
    passages: Vec<Passage>,
    left_out: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ByName {
    passages: Vec<String>,
    beside: Option<u32>,
}

impl Passages {
    /// How many have a name.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// An answer of a commons tool in the words a language model reads; any other tool's as it is.
    pub fn read(&mut self, tool: &str, content: &str) -> String {
        let (passages, left_out): (Vec<Known>, usize) = match tool {
            SEARCH => match serde_json::from_str::<Found>(content) {
                Ok(found) => (found.hits.into_iter().map(Known::from_hit).collect(), found.left_out),
                Err(_other_form) => return content.to_owned(),
            },
            READ => match serde_json::from_str::<Opened>(content) {
                Ok(opened) => (opened.passages.into_iter().map(Known::from_passage).collect(), opened.left_out),
                Err(_other_form) => return content.to_owned(),
            },
            _other_tool => return content.to_owned(),
        };
        if passages.is_empty() {
            return "Nothing was found.".to_owned();
        }
        let mut text: String = passages.into_iter().map(|passage| self.show(passage)).collect();
        if left_out > 0 {
            text.push_str(&format!("({left_out} more were left out)\n"));
        }
        text
    }

    /// A deliverable that is handed over, its citations under names.
    pub fn hand_over(&mut self, deliverable: &Deliverable) -> String {
        let mut text = String::new();
        for claim in &deliverable.claims {
            let names: Vec<String> = claim.citations.iter().map(|citation| self.name_citation(citation)).collect();
            text.push_str(&format!("- {} [{}]\n", claim.text, names.join(", ")));
        }
        if deliverable.claims.is_empty() {
            text.push_str("No answer was found.\n");
        }
        for citation in deliverable.citations() {
            let name = self.name_citation(citation);
            text.push_str(&format!("{name} · {}: {}\n", citation.path, citation.quote));
        }
        text
    }

    /// Arguments by name as the tool wants them.
    ///
    /// # Errors
    /// A name that stands for nothing.
    pub fn arguments(&self, tool: &str, arguments: &str) -> Result<String, String> {
        if tool != READ {
            return Ok(arguments.to_owned());
        }
        let ByName { passages, beside } = serde_json::from_str(arguments).map_err(|error| error.to_string())?;
        let ids: Result<Vec<PassageId>, String> =
            passages.iter().map(|name| self.find(name).map(|known| known.id)).collect();
        let mut arguments = json!({ "passages": ids? });
        if let Some(beside) = beside {
            arguments["beside"] = beside.into();
        }
        Ok(arguments.to_string())
    }

    /// The words of a tool as a language model is offered it: the reader takes names.
    pub fn offer(spec: &ToolSpec) -> ToolSpec {
        if spec.name != READ {
            return spec.clone();
        }
        let names = json!({ "type": "string", "pattern": "^p[0-9]{1,4}$", "minLength": 2, "maxLength": 5 });
        let schema = json!({
            "type": "object",
            "properties": {
                "beside": { "type": "integer", "minimum": 0, "maximum": 3 },
                "passages": { "type": "array", "items": names, "minItems": 1, "maxItems": 20 },
            },
            "required": ["passages"],
            "additionalProperties": false,
        });
        let description = "Read passages again by the names commons_search gave them, verbatim. `beside` brings \
            so many passages before and after each in its document."
            .to_owned();
        ToolSpec { description, arguments: schema.to_string(), ..spec.clone() }
    }

    /// The citation of a quote from a named passage. White space may differ from the passage's; the citation then has the
    /// passage's own bytes.
    ///
    /// # Errors
    /// An unknown name, or words that do not stand there.
    pub fn cite(&self, name: &str, quote: &str) -> Result<Citation, String> {
        let known = self.find(name)?;
        let (start, end) = locate(&known.content, quote)
            .ok_or_else(|| format!("these words do not stand in {name}: {}", shortened(quote)))?;
        let span = Span { start: known.id.span.start + start as u64, end: known.id.span.start + end as u64 };
        Ok(Citation {
            path: known.path.clone(),
            document: known.document,
            text: known.id.text,
            span,
            quote: known.content[start..end].to_owned(),
            collection: known.collection.clone(),
        })
    }

    /// The first passages that came up, whole: what is nearest when there is no answer.
    pub fn nearest(&self, most: usize) -> Vec<Citation> {
        let whole = |known: &Known| Citation {
            path: known.path.clone(),
            document: known.document,
            text: known.id.text,
            span: known.id.span,
            quote: known.content.clone(),
            collection: known.collection.clone(),
        };
        self.known.iter().take(most).map(whole).collect()
    }

    /// Names and places, one a line.
    pub fn list(&self) -> String {
        self.known.iter().zip(1..).map(|(known, number)| format!("p{number} · {}\n", known.place)).collect()
    }

    fn find(&self, name: &str) -> Result<&Known, String> {
        let number: Option<usize> = name.strip_prefix('p').and_then(|digits| digits.parse().ok());
        let known = number.and_then(|number| self.known.get(number.checked_sub(1)?));
        known.ok_or_else(|| match self.known.len() {
            0 => format!("there is no passage `{name}`; none was found yet"),
            count => format!("there is no passage `{name}`; there are p1 to p{count}"),
        })
    }

    fn name(&mut self, passage: Known) -> String {
        let place = self.known.iter().position(|known| known.id == passage.id).unwrap_or_else(|| {
            self.known.push(passage);
            self.known.len() - 1
        });
        format!("p{}", place + 1)
    }

    fn name_citation(&mut self, citation: &Citation) -> String {
        self.name(Known {
            id: PassageId { text: citation.text, span: citation.span },
            document: citation.document,
            path: citation.path.clone(),
            collection: citation.collection.clone(),
            place: citation.path.clone(),
            content: citation.quote.clone(),
        })
    }

    fn show(&mut self, passage: Known) -> String {
        let (place, content) = (passage.place.clone(), passage.content.clone());
        let name = self.name(passage);
        format!("{name} · {place}\n{content}\n\n")
    }
}

impl Known {
    fn from_hit(hit: Hit) -> Self {
        let place = place(&hit.path, &hit.title, &hit.headings);
        let Hit { passage, document, path, content, collection, .. } = hit;
        Self { id: passage, document, path, collection, place, content }
    }

    fn from_passage(passage: Passage) -> Self {
        let place = place(&passage.path, &passage.title, &passage.headings);
        let Passage { id, document, path, content, collection, .. } = passage;
        Self { id, document, path, collection, place, content }
    }
}

fn place(path: &str, title: &str, headings: &[String]) -> String {
    let above: Vec<&str> = std::iter::once(title).chain(headings.iter().map(String::as_str)).collect();
    format!("{path} · {}", above.join(" › "))
}

/// Where the quote stands: as it is, else word for word with other white space between.
fn locate(content: &str, quote: &str) -> Option<(usize, usize)> {
    let quote = quote.trim();
    if quote.is_empty() {
        return None;
    }
    if let Some(start) = content.find(quote) {
        return Some((start, start + quote.len()));
    }
    let words: Vec<&str> = quote.split_whitespace().collect();
    let first = words.first()?;
    content.match_indices(first).find_map(|(start, _)| Some((start, follow(content, start, &words)?)))
}

/// The end of the words from `start` on, when they stand there with nothing but white space between.
fn follow(content: &str, start: usize, words: &[&str]) -> Option<usize> {
    let mut rest = &content[start..];
    for (word, number) in words.iter().zip(0..) {
        let trimmed = rest.trim_start();
        if number > 0 && trimmed.len() == rest.len() {
            return None;
        }
        rest = trimmed.strip_prefix(word)?;
    }
    Some(content.len() - rest.len())
}

fn shortened(quote: &str) -> String {
    const SHOWN: usize = 120;
    let cut: String = quote.chars().take(SHOWN).collect();
    if cut.len() < quote.len() { format!("{cut} …") } else { cut }
}

#[cfg(test)]
mod tests {
    use receipts::Digest;
    use serde_json::json;

    use super::{Passages, READ, SEARCH, locate};

    fn found(contents: &[&str]) -> String {
        let hit = |(content, number): (&&str, u64)| {
            json!({
                "passage": { "text": Digest::of(content.as_bytes()), "span": { "start": number * 100, "end": number * 100 + content.len() as u64 } },
                "document": Digest::of(content.as_bytes()), "path": "a.md", "title": "A", "headings": ["B"],
                "score_milli": 1, "content": content,
            })
        };
        let hits: Vec<_> = contents.iter().zip(1..).map(hit).collect();
        json!({ "hits": hits, "left_out": 2 }).to_string()
    }

    #[test]
    fn names_stay_with_their_passages_and_turn_back_into_ids() {
        let mut passages = Passages::default();
        let text = passages.read(SEARCH, &found(&["One thing.", "Another."]));
        assert_eq!(text, "p1 · a.md · A › B\nOne thing.\n\np2 · a.md · A › B\nAnother.\n\n(2 more were left out)\n");
        let again = passages.read(SEARCH, &found(&["One thing."]));
        assert!(again.starts_with("p1 ·"), "{again}");
        let arguments = passages.arguments(READ, r#"{"passages":["p2"]}"#).expect("known");
        assert!(arguments.contains(&Digest::of(b"Another.").to_string()), "{arguments}");
        let fault = passages.arguments(READ, r#"{"passages":["p3"]}"#).expect_err("unknown");
        assert!(fault.contains("p1 to p2"), "{fault}");
        assert_eq!(passages.read("other", "as it is"), "as it is");
        assert_eq!(passages.read(SEARCH, "not JSON"), "not JSON");
        assert_eq!(passages.nearest(1).len(), 1);
    }

    #[test]
    fn a_citation_has_the_bytes_that_stand_there() {
        let mut passages = Passages::default();
        passages.read(SEARCH, &found(&["It was\n  the  year 1969."]));
        let citation = passages.cite("p1", " the year\t1969 ").expect("stands there");
        assert_eq!((citation.quote.as_str(), citation.span.start, citation.span.end), ("the  year 1969", 109, 123));
        let whole = passages.cite("p1", "It was\n  the").expect("byte for byte");
        assert_eq!(whole.span.start, 100);
        for (name, quote) in [("p1", "the year 1970"), ("p2", "the"), ("p1", " "), ("q1", "the"), ("p0", "the")] {
            assert!(passages.cite(name, quote).is_err(), "{name} {quote}");
        }
    }

    #[test]
    fn words_are_found_whatever_stands_between_and_never_run_together() {
        assert_eq!(locate("a ab  a b", "a b"), Some((6, 9)));
        assert_eq!(locate("ab", "a b"), None);
        assert_eq!(locate("Über alles", "Über alles"), Some((0, 11)));
        assert_eq!(locate("é é é x", "é x"), Some((6, 10)));
    }
}
