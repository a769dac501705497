//! The hash chain of one run: each fact's link covers the link before it, so a changed, removed or moved row shows.
//!
//! `link(0) = SHA-256("ii journal 1" ‖ run)`, and
//! `link(n) = SHA-256(link(n-1) ‖ at_ms ‖ stream ‖ length ‖ body)` with integers as eight big-endian bytes; `stream` is one
//! zero byte for the run's own, else a one byte, the module's 16 bytes, the attempt and the epoch.
//!
//! **Invariant:** the chain detects accident and clumsy editing. It is no proof against an owner who recomputes it: that
//! proof is the receipt's.

use common_ground::RunId;
use receipts::Digest;

use super::row::AttemptStream;

/// A run's last link and how many facts lead to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) seq: u64,
    pub(crate) link: Digest,
}

impl Head {
    /// The head of a run without facts.
    pub(crate) fn genesis(run: RunId) -> Self {
        let mut bytes = b"ii journal 1".to_vec();
        bytes.extend_from_slice(run.0.as_bytes());
        Self { seq: 0, link: Digest::of(&bytes) }
    }

    /// The head after one more fact.
    pub(crate) fn after(self, at_ms: u64, attempt: Option<&AttemptStream>, body: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(body.len() + 96);
        bytes.extend_from_slice(&self.link.0);
        bytes.extend_from_slice(&at_ms.to_be_bytes());
        match attempt {
            None => bytes.push(0),
            Some(stream) => {
                bytes.push(1);
                bytes.extend_from_slice(stream.module.0.as_bytes());
                bytes.extend_from_slice(&u64::from(stream.attempt).to_be_bytes());
                bytes.extend_from_slice(&stream.epoch.to_be_bytes());
            }
        }
        bytes.extend_from_slice(&(body.len() as u64).to_be_bytes());
        bytes.extend_from_slice(body);
        Self { seq: self.seq + 1, link: Digest::of(&bytes) }
    }
}

#[cfg(test)]
mod tests {
    use super::{AttemptStream, Head};
    use common_ground::{ModuleId, RunId};
    use uuid::Uuid;

    #[test]
    fn every_part_of_a_fact_is_in_its_link() {
        let head = Head::genesis(RunId(Uuid::from_u128(1)));
        assert_ne!(head, Head::genesis(RunId(Uuid::from_u128(2))));
        let stream = AttemptStream { module: ModuleId(Uuid::from_u128(3)), attempt: 1, epoch: 1 };
        let base = head.after(5, Some(&stream), b"body");
        let others = [
            head.after(6, Some(&stream), b"body"),
            head.after(5, None, b"body"),
            head.after(5, Some(&AttemptStream { epoch: 2, ..stream }), b"body"),
            head.after(5, Some(&AttemptStream { attempt: 2, ..stream }), b"body"),
            head.after(5, Some(&AttemptStream { module: ModuleId(Uuid::from_u128(4)), ..stream }), b"body"),
            head.after(5, Some(&stream), b"bodY"),
            base.after(5, Some(&stream), b"body"),
        ];
        for other in others {
            assert_ne!(other.link, base.link);
        }
    }
}
