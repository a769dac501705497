//! What to search for: the question and its names first, then names that the first hits bring up.

use std::collections::BTreeMap;

use super::{
    Act,
    pool::{Candidate, Pool},
    question::{Cover, Question},
    rank,
    words::beginning,
};

/// Hits asked for of the question itself.
const WIDE: u32 = 40;
/// Hits asked for of a name.
const NARROW: u32 = 12;
/// Most searches for names of the question.
const NAMES: usize = 3;
/// Most searches altogether.
const MOST: usize = 11;
/// How many of the first hits are looked at for new names.
const LEADING: usize = 10;
/// Most names followed out of one passage.
const OF_ONE: usize = 3;
/// Most words of the question put beside a followed name.
const OPEN: usize = 6;

fn search(query: &str, limit: u32) -> Act {
    ("commons_search", serde_json::json!({ "limit": limit, "query": query }).to_string())
}

/// The first round: the question as it stands, and its names.
pub(super) fn first(text: &str, question: &Question) -> Vec<Act> {
    let whole = search(beginning(text, super::question::LONGEST), WIDE);
    let names = question.names.iter().take(NAMES).map(|name| search(name, NARROW));
    std::iter::once(whole).chain(names).collect()
}

/// The second round: names of the best hits, each with words of the question that its passage leaves open.
pub(super) fn further(question: &Question, pool: &Pool<'_>, made: usize) -> Vec<Act> {
    let mut leading: Vec<(&Candidate<'_>, f64)> =
        pool.candidates.iter().map(|found| (found, rank::alone(question, pool, found))).collect();
    leading.sort_by(|(a, one), (b, two)| two.total_cmp(one).then_with(|| a.hit.passage.cmp(&b.hit.passage)));
    let mut bridges: BTreeMap<String, (f64, String)> = BTreeMap::new();
    for (found, worth) in leading.iter().take(LEADING) {
        let open = open(question, found.cover);
        for (name, strength) in names(question, pool, found) {
            let query = format!("{name} {open}").trim().to_owned();
            let score = worth * strength;
            let known = bridges.entry(super::question::flat(&name)).or_insert((score, query.clone()));
            if known.0 < score {
                *known = (score, query);
            }
        }
    }
    let mut ordered: Vec<(f64, String)> = bridges.into_values().collect();
    ordered.sort_by(|(one, a), (two, b)| two.total_cmp(one).then_with(|| a.cmp(b)));
    ordered.into_iter().take(MOST.saturating_sub(made)).map(|(_, query)| search(&query, NARROW)).collect()
}

/// Words of the question that a passage does not have.
fn open(question: &Question, cover: Cover) -> String {
    let missing = question.terms.iter().enumerate().filter(|(at, _)| cover.any() & (1 << at) == 0);
    missing.take(OPEN).map(|(_, term)| term.word.as_str()).collect::<Vec<_>>().join(" ")
}

/// Names in a passage that the question does not have, with how near they stand to what the question asks.
fn names(question: &Question, pool: &Pool<'_>, found: &Candidate<'_>) -> Vec<(String, f64)> {
    let title = question.cover(&found.hit.title);
    let mut names: Vec<(String, f64)> = Vec::new();
    let sentences = found.hit.content.split_inclusive(['.', '!', '?', '\n']);
    let covers: Vec<(String, f64)> = sentences
        .map(|sentence| (super::question::flat(sentence), pool.covered(question.cover(sentence).with(title))))
        .collect();
    for (flat, name) in &found.names {
        if question.holds(name) {
            continue;
        }
        let near = covers.iter().filter(|(sentence, _)| sentence.contains(flat.as_str())).map(|(_, covered)| *covered);
        let titled = if *flat == found.title { 0.3 } else { 0.0 };
        names.push((name.clone(), 0.2 + titled + near.fold(0.0, f64::max)));
    }
    names.sort_by(|(a, one), (b, two)| two.total_cmp(one).then_with(|| a.cmp(b)));
    names.truncate(OF_ONE);
    names
}
