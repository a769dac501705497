//! The skills show what is really accepted: an example in a skill is held to the rules it teaches.
//!
//! That every skill loads is `tests/tidy.rs`' business.

use common_ground::deliverable::Deliverable;
use receipts::Digest;

/// What stands between two marks of a text.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = text.split_once(before).expect("the first mark");
    rest.split_once(after).expect("the second mark").0
}

/// What an example deliverable says wrongly of the document it cites.
fn faults(deliverable: &Deliverable, document: &str) -> Vec<String> {
    let digest = Digest::of(document.as_bytes());
    let mut faults = Vec::new();
    for citation in deliverable.citations() {
        let span = citation.span.start.try_into().ok().zip(citation.span.end.try_into().ok());
        let found = span.and_then(|(start, end): (usize, usize)| document.get(start..end));
        faults.extend((found != Some(&citation.quote)).then(|| format!("{} is not at its span", citation.quote)));
        let named = citation.text == digest && citation.document == digest;
        faults.extend((!named).then(|| format!("the document is {digest}")));
    }
    faults
}

#[test]
fn the_example_of_cite_sources_is_a_deliverable_whose_quotes_hold() {
    let skill = include_str!("../skills/cite-sources/SKILL.md");
    let document = format!("{}\n", between(skill, "that holds `", "`"));
    let mut example: Deliverable = serde_json::from_str(between(skill, "```json\n", "```")).expect("a deliverable");
    assert_eq!(example.citations().count(), 1);
    assert_eq!(faults(&example, &document), Vec::<String>::new());

    example.claims[0].citations[0].span.start += 1;
    example.claims[0].citations[0].text = Digest::of(b"another");
    assert_eq!(faults(&example, &document).len(), 2);
}
