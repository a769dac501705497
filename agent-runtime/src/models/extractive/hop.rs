//! What to search for: the question first, then its names and the names that the first hits bring up.

use std::collections::BTreeSet;

use super::{
    Act,
    conversation::Conversation,
    words::{names, terms},
};

/// Hits asked for of the question itself.
const WIDE: u32 = 30;
/// Hits asked for of a name.
const NARROW: u32 = 8;
/// Most searches of the second round.
const MOST: usize = 10;
/// How many of the first hits are looked at for new names.
const LEADING: usize = 4;
/// The longest query, in bytes.
const LONGEST: usize = 1_000;

fn search(query: &str, limit: u32) -> Act {
    let end = query.char_indices().map(|(at, _)| at).take_while(|at| *at <= LONGEST).last().unwrap_or(0);
    let query = if query.len() <= LONGEST { query } else { &query[..end] };
    ("commons_search", serde_json::json!({ "limit": limit, "query": query }).to_string())
}

/// The first search.
pub(super) fn first(question: &str) -> Vec<Act> {
    vec![search(question, WIDE)]
}

/// The second hop: the question's own names, and names of the best hits joined with what the hit leaves unanswered.
pub(super) fn further(question: &str, conversation: &Conversation) -> Vec<Act> {
    let asked = terms(question);
    let mut queries: Vec<(String, u32)> = names(question).into_iter().map(|name| (name, NARROW)).take(4).collect();
    let hits = conversation.searches.first().map(|search| search.hits.as_slice()).unwrap_or_default();
    let mut known: BTreeSet<String> = queries.iter().map(|(query, _)| query.to_lowercase()).collect();
    for hit in hits.iter().take(LEADING) {
        let covered = terms(&format!("{} {}", hit.title, hit.content));
        let open: Vec<&str> = asked.iter().filter(|term| !covered.contains(*term)).map(String::as_str).collect();
        for name in bridges(&hit.title, &hit.content, &asked) {
            if queries.len() >= MOST {
                break;
            }
            if known.insert(name.to_lowercase()) {
                queries.push((format!("{name} {}", open.join(" ")).trim().to_owned(), NARROW));
            }
        }
    }
    queries.iter().take(MOST).map(|(query, limit)| search(query, *limit)).collect()
}

/// Names in a passage that the question does not have: those of its most telling sentence first.
fn bridges(title: &str, content: &str, asked: &BTreeSet<String>) -> Vec<String> {
    let mut sentences: Vec<(usize, usize, &str)> = content
        .split_inclusive(['.', '!', '?'])
        .enumerate()
        .map(|(place, sentence)| (terms(sentence).intersection(asked).count(), place, sentence))
        .collect();
    sentences.sort_by_key(|(shared, place, _)| (std::cmp::Reverse(*shared), *place));
    let new = |name: &String| terms(name).iter().any(|term| !asked.contains(term));
    let from_title = std::iter::once(title.to_owned()).filter(|title| new(title));
    let found = sentences.iter().take(2).flat_map(|(_, _, sentence)| names(sentence)).filter(new);
    from_title.chain(found).take(3).collect()
}
