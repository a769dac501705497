//! A word of the person to one module while it works: what was said, and which attempt heard it before which step.
//!
//! **Invariant:** facts name a word by its digest alone; its text is kept as content and stands in no fact.

use receipts::{Digest, PublicKey};

use crate::id::StepIndex;

/// Something that the person said to a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    /// SHA-256 of its text, which is UTF-8.
    pub text: Digest,
    /// Who said it.
    pub by: PublicKey,
}

/// Words that an attempt heard, in the order in which they were said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The step before which they were put into its conversation.
    pub step: StepIndex,
    /// SHA-256 of each text.
    pub words: Vec<Digest>,
}
