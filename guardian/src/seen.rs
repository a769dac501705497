//! What a sentinel is shown: one fact with its place, and the contents that came with it.

use common_ground::{AttemptNumber, Fact, Millis, ModuleId, RunId, module::Owner};
use receipts::Digest;

/// Contents by digest, as many as came with one fact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents(Vec<(Digest, Vec<u8>)>);

impl Contents {
    /// Adds one, when its bytes have that digest.
    pub fn add(&mut self, digest: Digest, bytes: Vec<u8>) -> bool {
        let fits = Digest::of(&bytes) == digest;
        if fits {
            self.0.push((digest, bytes));
        }
        fits
    }

    /// Adds the beginning of one that was too large to come whole: it cannot be checked.
    pub fn add_part(&mut self, digest: Digest, bytes: Vec<u8>) {
        self.0.push((digest, bytes));
    }

    /// The bytes of a digest.
    pub fn get(&self, digest: &Digest) -> Option<&[u8]> {
        self.0.iter().find(|(known, _)| known == digest).map(|(_, bytes)| bytes.as_slice())
    }

    /// Bytes in all.
    pub fn len(&self) -> usize {
        self.0.iter().map(|(_, bytes)| bytes.len()).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// A fact on record.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The run.
    pub run: RunId,
    /// Its place in the run, from 1.
    pub seq: u64,
    /// When.
    pub at: Millis,
    /// What happened.
    pub fact: &'a Fact,
    /// Contents that it names, as far as they came.
    pub contents: &'a Contents,
}

/// An attempt by its module and number.
pub(crate) type Try = (ModuleId, u32);

/// The attempt that a call belongs to.
pub(crate) fn try_of(owner: Owner) -> Option<Try> {
    owner.attempt().map(|(module, AttemptNumber(number), _)| (module, number))
}
