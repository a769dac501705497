//! A language model's answer, with passages by name, made into the deliverable that is judged.

use std::collections::BTreeSet;

use common_ground::{
    citation::Citation,
    deliverable::{Claim, Deliverable},
};
use serde::Deserialize;

use super::{passages::Passages, talk::WorkTask};

/// What the model hands in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Claims {
    claims: Vec<Stated>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stated {
    text: String,
    citations: Vec<Quoted>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Quoted {
    passage: String,
    quote: String,
}

impl Claims {
    /// The deliverable.
    ///
    /// # Errors
    /// The first thing that does not hold, in words the model can act on.
    pub fn deliverable(&self, work: &WorkTask, passages: &Passages) -> Result<Deliverable, String> {
        let mut claims = Vec::with_capacity(self.claims.len());
        for (stated, number) in self.claims.iter().zip(1..) {
            if stated.text.trim().is_empty() {
                return Err(format!("claim {number} is empty"));
            }
            let citations: Result<Vec<Citation>, String> =
                stated.citations.iter().map(|quoted| passages.cite(&quoted.passage, &quoted.quote)).collect();
            let citations = citations.map_err(|why| format!("claim {number}: {why}"))?;
            claims.push(Claim { text: stated.text.trim().to_owned(), citations });
        }
        let words: usize = claims.iter().map(|claim| claim.text.split_whitespace().count()).sum();
        if words > work.max_words as usize {
            return Err(format!("the claims have {words} words together and may have {}", work.max_words));
        }
        let cited: BTreeSet<&Citation> = claims.iter().flat_map(|claim| &claim.citations).collect();
        if cited.len() > work.max_passages as usize {
            return Err(format!("{} passages are cited and {} may be", cited.len(), work.max_passages));
        }
        let also = if claims.is_empty() { passages.nearest(work.max_passages as usize) } else { Vec::new() };
        Ok(Deliverable { question: work.question.clone(), claims, also })
    }
}
