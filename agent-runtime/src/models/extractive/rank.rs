//! Which passages matter: every passage found in one order, by what it covers of the question, by itself and together
//! with passages it is linked to by a name.

use std::collections::BTreeMap;

use common_ground::port::index::PassageId;

use super::{
    Act,
    pool::{Candidate, Pool},
    question::Question,
};

/// What is measured of a passage.
pub(super) const FEATURES: usize = 12;
/// Passages among which links are looked for.
const LINKED: usize = 60;

/// What a passage is worth on its own: enough to say which ones to follow.
pub(super) fn alone(question: &Question, pool: &Pool<'_>, candidate: &Candidate<'_>) -> f64 {
    let titled = titled(question, candidate);
    0.6 * candidate.asked + 1.0 * pool.covered(candidate.cover) + 0.4 * titled + 0.2 * candidate.named
}

/// Whether the question names the passage's document.
pub(super) fn titled(question: &Question, candidate: &Candidate<'_>) -> f64 {
    f64::from(u8::from(candidate.title.len() > 3 && question.flat.contains(&candidate.title)))
}

/// A link between two passages by a name that is not in the question: how telling it is.
#[derive(Debug, Clone, Copy, Default)]
struct Link {
    /// The first mentions the title of the second.
    forth: f64,
    /// The second mentions the title of the first.
    back: f64,
    /// Both have a rare name.
    name: f64,
}

/// Measures all candidates.
pub(super) fn measure(question: &Question, pool: &Pool<'_>) -> Vec<[f64; FEATURES]> {
    let found = &pool.candidates;
    let alone: Vec<f64> = found.iter().map(|candidate| alone(question, pool, candidate)).collect();
    let mut order: Vec<usize> = (0..found.len()).collect();
    order.sort_by(|a, b| alone[*b].total_cmp(&alone[*a]).then(a.cmp(b)));
    let mut counts: BTreeMap<&str, f64> = BTreeMap::new();
    for name in found.iter().flat_map(|candidate| candidate.names.keys()) {
        *counts.entry(name).or_default() += 1.0;
    }
    let known: BTreeMap<&str, bool> = counts.keys().map(|name| (*name, question.holds(name))).collect();
    let most = (1.0 + found.len() as f64).ln();
    let rare = |name: &str| {
        let count = counts.get(name).copied().unwrap_or(1.0).max(2.0);
        ((1.0 + found.len() as f64) / count).ln() / most
    };
    let new = |name: &str| !known.get(name).copied().unwrap_or_else(|| question.holds(name));
    let link = |from: &Candidate<'_>, to: &Candidate<'_>| {
        let says = |one: &Candidate<'_>, other: &Candidate<'_>| {
            let long = other.title.len() > 4;
            let told = long && one.title != other.title && new(&other.title) && one.flat.contains(&other.title);
            if told { 1.0 } else { 0.0 }
        };
        let shared = from.names.keys().filter(|name| to.names.contains_key(*name) && new(name));
        let name = shared.map(|name| rare(name)).fold(0.0, f64::max);
        Link { forth: says(from, to), back: says(to, from), name }
    };
    let top = order.first().map_or(1.0, |first| alone[*first].max(f64::MIN_POSITIVE));
    let mut measured = Vec::with_capacity(found.len());
    for (at, candidate) in found.iter().enumerate() {
        let own = pool.covered(candidate.cover);
        let (mut forth, mut back, mut name, mut joint): (f64, f64, f64, f64) = (0.0, 0.0, 0.0, 0.0);
        for other in order.iter().take(LINKED).copied().filter(|other| *other != at) {
            let partner = &found[other];
            let Link { forth: f, back: b, name: n } = link(partner, candidate);
            let worth = alone[other] / top;
            forth = forth.max(f * worth);
            back = back.max(b * worth);
            name = name.max(n * worth);
            let strength = f.max(b).max(n);
            let more = pool.covered(candidate.cover.with(partner.cover)) - pool.covered(partner.cover);
            joint = joint.max(strength * more * worth);
        }
        let earlier = order.iter().take_while(|other| **other != at);
        let same = earlier.filter(|other| found[**other].hit.title == candidate.hit.title).count();
        measured.push([
            candidate.asked,
            own,
            titled(question, candidate),
            candidate.named,
            candidate.hopped,
            forth,
            back,
            name,
            joint,
            pool.covered(question.cover(&candidate.hit.title)),
            same.min(4) as f64 / 4.0,
            alone[at] / top,
        ]);
    }
    measured
}

/// What each measure is worth.
const WORTH: [f64; FEATURES] = [0.6, 1.0, 0.4, 0.2, 0.2, 0.3, 0.1, 0.2, 0.5, 0.2, -0.2, 0.0];

/// Every passage found, best first. Ties by id, so that the order is one.
pub(super) fn order<'a>(question: &Question, pool: &'a Pool<'_>) -> Vec<(&'a Candidate<'a>, f64)> {
    let score = |measures: &[f64; FEATURES]| measures.iter().zip(WORTH).map(|(m, w)| m * w).sum::<f64>();
    let scores = measure(question, pool).iter().map(score).collect::<Vec<f64>>();
    let mut ordered: Vec<(&Candidate<'_>, f64)> = pool.candidates.iter().zip(scores).collect();
    ordered.sort_by(|(a, one), (b, two)| two.total_cmp(one).then_with(|| a.hit.passage.cmp(&b.hit.passage)));
    ordered
}

/// The passages to cite, at most `most`.
pub(super) fn choose(question: &Question, pool: &Pool<'_>, most: u32) -> Vec<PassageId> {
    order(question, pool).iter().take(most.min(20) as usize).map(|(found, _)| found.hit.passage).collect()
}

/// The call that reads them.
pub(super) fn read(chosen: &[PassageId]) -> Result<Act, String> {
    Ok(("commons_read", serde_json::json!({ "passages": chosen }).to_string()))
}
