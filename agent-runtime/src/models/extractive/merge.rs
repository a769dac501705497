//! Merging: claims and passages of the inputs, turn by turn, within the limits.

use std::collections::BTreeSet;

use common_ground::{
    citation::Citation,
    deliverable::{Claim, Deliverable},
};

use crate::roles::talk::WorkTask;

/// One deliverable out of the inputs'. Each input gives its next best in turn, so that none is crowded out.
pub(super) fn merge(task: &WorkTask) -> Deliverable {
    let mut merged = Deliverable { question: task.question.clone(), claims: Vec::new(), also: Vec::new() };
    let mut words = task.max_words as usize;
    let mut cited = BTreeSet::new();
    let most = task.max_passages as usize;
    for claim in in_turn(task, |deliverable| &deliverable.claims) {
        let length = claim.text.split_whitespace().count();
        let known = merged.claims.iter().any(|taken: &Claim| taken.text == claim.text);
        let fresh: BTreeSet<&Citation> = claim.citations.iter().filter(|citation| !cited.contains(citation)).collect();
        if !known && length <= words && cited.len() + fresh.len() <= most {
            words -= length;
            cited.extend(claim.citations.iter());
            merged.claims.push(claim.clone());
        }
    }
    for citation in in_turn(task, |deliverable| &deliverable.also) {
        let inside = cited.iter().any(|known| covers(citation, known));
        if cited.len() < most && !inside && cited.insert(citation) {
            merged.also.push(citation.clone());
        }
    }
    merged
}

/// Whether `whole` contains `part`, so that citing both would count one place twice.
fn covers(whole: &Citation, part: &Citation) -> bool {
    whole.text == part.text && whole.span.start <= part.span.start && part.span.end <= whole.span.end
}

fn in_turn<'a, T>(task: &'a WorkTask, of: impl Fn(&'a Deliverable) -> &'a Vec<T>) -> Vec<&'a T> {
    let lists: Vec<&Vec<T>> = task.inputs.iter().map(|input| of(&input.deliverable)).collect();
    let longest = lists.iter().map(|list| list.len()).max().unwrap_or(0);
    (0..longest).flat_map(|place| lists.iter().filter_map(move |list| list.get(place))).collect()
}
