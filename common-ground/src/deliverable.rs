//! What an attempt submits: claims, each with the places that bear it out.

use serde::{Deserialize, Serialize};

use crate::citation::Citation;

/// A statement and where it is borne out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The statement. From the extractive engine it is the quoted sentence itself.
    pub text: String,
    /// Where it stands.
    pub citations: Vec<Citation>,
}

/// What an attempt submits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deliverable {
    /// The question it answers.
    pub question: String,
    /// The answer, most telling claim first; empty when no answer was found.
    pub claims: Vec<Claim>,
    /// Further passages that bear on the question, nearest first. With no claims these are the nearest passages.
    pub also: Vec<Citation>,
}

impl Deliverable {
    /// Every citation in it, claims first.
    pub fn citations(&self) -> impl Iterator<Item = &Citation> {
        self.claims.iter().flat_map(|claim| &claim.citations).chain(&self.also)
    }
}
