//! The report of a run, as the person reads it and as programs read it.
//!
//! **Invariant:** holds no id, time or duration, so the same facts give the same bytes.

use serde::{Deserialize, Serialize};

use crate::citation::Citation;

/// One part of the answer: the question it is on and the claims found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// The part of the question.
    pub question: String,
    /// Claims in order.
    pub claims: Vec<ReportClaim>,
}

/// A claim with the numbers of its sources.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportClaim {
    /// The statement.
    pub text: String,
    /// Places in [`Report::sources`], from 1.
    pub sources: Vec<u32>,
}

/// A module that did not end in acceptance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gap {
    /// The part of the question.
    pub question: String,
    /// Why there is no accepted answer.
    pub reason: String,
}

/// The report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// The person's question.
    pub question: String,
    /// Whether any claim answers it.
    pub answered: bool,
    /// The answer.
    pub sections: Vec<Section>,
    /// Passages cited, numbered from 1 in this order.
    pub sources: Vec<Citation>,
    /// What is missing.
    pub gaps: Vec<Gap>,
    /// What made the answer, said plainly.
    pub engine: String,
    /// Modules accepted, each with a receipt.
    pub accepted: u32,
}
