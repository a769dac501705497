//! The hash chain of one run: each fact's link covers the link before it, so a changed, removed or moved row shows.
//!
//! `link(0) = SHA-256("ii journal 1" ‖ run)`, and
//! `link(n) = SHA-256(link(n-1) ‖ at_ms ‖ stream ‖ length ‖ body)` with integers as eight big-endian bytes; `stream` is one
//! zero byte for the run's own, else a one byte, the module's 16 bytes, the attempt and the epoch.
//!
//! **Invariant:** the chain detects accident and clumsy editing. It is no proof against an owner who recomputes it: that
//! proof is the receipt's.

use receipts::Digest;
use serde::{Deserialize, Serialize};

use crate::id::{AttemptNumber, Epoch, ModuleId, RunId};

/// A run's last link and how many facts lead to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// How many facts.
    pub seq: u64,
    /// The link of the last.
    pub link: Digest,
}

impl Head {
    /// The head of a run without facts.
    pub fn genesis(run: RunId) -> Self {
        let mut bytes = b"ii journal 1".to_vec();
        bytes.extend_from_slice(run.0.as_bytes());
        Self { seq: 0, link: Digest::of(&bytes) }
    }

    /// The head after one more fact, which belongs to an attempt's stream or to the run's own.
    #[must_use]
    pub fn after(self, at_ms: u64, stream: Option<(ModuleId, AttemptNumber, Epoch)>, body: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(body.len() + 96);
        bytes.extend_from_slice(&self.link.0);
        bytes.extend_from_slice(&at_ms.to_be_bytes());
        match stream {
            None => bytes.push(0),
            Some((module, attempt, epoch)) => {
                bytes.push(1);
                bytes.extend_from_slice(module.0.as_bytes());
                bytes.extend_from_slice(&u64::from(attempt.0).to_be_bytes());
                bytes.extend_from_slice(&epoch.0.to_be_bytes());
            }
        }
        bytes.extend_from_slice(&(body.len() as u64).to_be_bytes());
        bytes.extend_from_slice(body);
        Self { seq: self.seq + 1, link: Digest::of(&bytes) }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::Head;
    use crate::id::{AttemptNumber, Epoch, ModuleId, RunId};

    #[test]
    fn every_part_of_a_fact_is_in_its_link() {
        let head = Head::genesis(RunId(Uuid::from_u128(1)));
        assert_ne!(head, Head::genesis(RunId(Uuid::from_u128(2))));
        let module = ModuleId(Uuid::from_u128(3));
        let stream = |module, attempt, epoch| Some((module, AttemptNumber(attempt), Epoch(epoch)));
        let base = head.after(5, stream(module, 1, 1), b"body");
        let others = [
            head.after(6, stream(module, 1, 1), b"body"),
            head.after(5, None, b"body"),
            head.after(5, stream(module, 1, 2), b"body"),
            head.after(5, stream(module, 2, 1), b"body"),
            head.after(5, stream(ModuleId(Uuid::from_u128(4)), 1, 1), b"body"),
            head.after(5, stream(module, 1, 1), b"bodY"),
            base.after(5, stream(module, 1, 1), b"body"),
        ];
        for other in others {
            assert_ne!(other.link, base.link);
        }
    }
}
