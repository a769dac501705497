//! What must hold of a deliverable, and what was found.

use serde::{Deserialize, Serialize};

/// Something that must hold before a module is accepted. The first four are checked by machine, the last is judged by the
/// Verifier's model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "criterion", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Criterion {
    /// Every claim has at least one citation.
    EveryClaimCites,
    /// Every quote stands, byte for byte, at its span of the text with its digest.
    QuotesVerbatim,
    /// The citations of an answer name at least this many different documents.
    MinimumSources {
        /// How many.
        count: u32,
    },
    /// The deliverable, as JSON, fits this JSON Schema.
    AnswerMatchesSchema {
        /// The schema as JSON text.
        schema: String,
    },
    /// A language model that is not the worker's, reading criteria, deliverable and sources, finds that this holds.
    Judged {
        /// What must hold, in words.
        rubric: String,
    },
}

impl Criterion {
    /// Its name in verdicts and receipts.
    pub fn name(&self) -> &'static str {
        match self {
            Self::EveryClaimCites => "every-claim-cites",
            Self::QuotesVerbatim => "quotes-verbatim",
            Self::MinimumSources { .. } => "minimum-sources",
            Self::AnswerMatchesSchema { .. } => "answer-matches-schema",
            Self::Judged { .. } => "judged",
        }
    }
}

/// The finding on one criterion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// The criterion's place in the module's list.
    pub criterion: u32,
    /// Whether it holds.
    pub passed: bool,
    /// What was found, in one line; empty when it holds and there is nothing to say.
    pub reason: String,
}
