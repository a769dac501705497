//! Which passages matter: hits of all searches in one order.

use std::collections::{BTreeMap, BTreeSet};

use common_ground::port::index::PassageId;

use super::{
    Act,
    conversation::{Conversation, Hit},
    words::{names, terms},
};

/// A passage found, with its score.
#[derive(Debug, Clone)]
pub(super) struct Candidate<'a> {
    pub hit: &'a Hit,
    pub score: f64,
}

/// Softens reciprocal ranks, so that second and third places still count.
const SOFT: f64 = 3.0;

/// Every passage found, best first. Ties by id, so that the order is one.
pub(super) fn candidates<'a>(question: &str, conversation: &'a Conversation) -> Vec<Candidate<'a>> {
    let mut found: BTreeMap<PassageId, Candidate<'a>> = BTreeMap::new();
    let asked = terms(question);
    let named: BTreeSet<String> = names(question).iter().map(|name| name.to_lowercase()).collect();
    for (round, search) in conversation.searches.iter().enumerate() {
        let query = search.query.to_lowercase();
        for (rank, hit) in search.hits.iter().enumerate() {
            let weight = if round == 0 { 1.0 } else { 0.55 };
            let title = hit.title.to_lowercase();
            let mut score = weight / (SOFT + rank as f64);
            if round > 0 && query.starts_with(&title) && title.len() > 2 {
                score += 0.12;
            }
            let entry = found.entry(hit.passage).or_insert(Candidate { hit, score: 0.0 });
            entry.score = entry.score.max(score) + 0.25 * entry.score.min(score);
        }
    }
    let weights = rarity(&found);
    for candidate in found.values_mut() {
        let words = terms(&format!("{} {}", candidate.hit.title, candidate.hit.content));
        let all: f64 = asked.iter().map(|term| weights.get(term).copied().unwrap_or(0.0)).sum();
        let shared: f64 = asked.intersection(&words).map(|term| weights.get(term).copied().unwrap_or(0.0)).sum();
        if all > 0.0 {
            candidate.score += 0.25 * shared / all;
        }
        if named.contains(&candidate.hit.title.to_lowercase()) {
            candidate.score += 0.2;
        }
    }
    let mut ordered: Vec<Candidate<'a>> = found.into_values().collect();
    ordered.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.hit.passage.cmp(&b.hit.passage)));
    ordered
}

/// How telling each term is, by how few of the passages found have it.
fn rarity(found: &BTreeMap<PassageId, Candidate<'_>>) -> BTreeMap<String, f64> {
    let mut counts: BTreeMap<String, f64> = BTreeMap::new();
    for candidate in found.values() {
        for term in terms(&format!("{} {}", candidate.hit.title, candidate.hit.content)) {
            *counts.entry(term).or_default() += 1.0;
        }
    }
    let all = found.len() as f64;
    counts.into_iter().map(|(term, count)| (term, (1.0 + all / count).ln())).collect()
}

/// The passages to cite, at most `most`.
pub(super) fn choose(question: &str, conversation: &Conversation, most: u32) -> Vec<PassageId> {
    candidates(question, conversation).iter().take(most.min(20) as usize).map(|found| found.hit.passage).collect()
}

/// The call that reads them.
pub(super) fn read(chosen: &[PassageId]) -> Result<Act, String> {
    Ok(("commons_read", serde_json::json!({ "passages": chosen }).to_string()))
}
