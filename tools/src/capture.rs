//! Output as it comes, kept whole up to a bound, then head and tail of it, and an end to floods.
//!
//! **Invariant:** however much comes, no more than [`MOST_KEPT`] or the limit is in memory.

use std::collections::VecDeque;

/// The most kept whole, where a call's own limit is not higher.
const MOST_KEPT: usize = 4 << 20;

/// So many times its limit a command may put out before it is ended: a long build log is cut, a flood is stopped.
const FLOOD: u64 = 64;

/// What one command puts out.
#[derive(Debug)]
pub(crate) struct Capture {
    half: usize,
    most: u64,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    total: u64,
}

/// Whether more is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum More {
    Wanted,
    Flood,
}

impl Capture {
    /// For a limit on what a model reads.
    pub fn new(output_bytes: u64) -> Self {
        let limit = usize::try_from(output_bytes).unwrap_or(usize::MAX);
        Self {
            half: limit.max(MOST_KEPT).div_ceil(2),
            most: output_bytes.saturating_mul(FLOOD),
            head: Vec::new(),
            tail: VecDeque::new(),
            total: 0,
        }
    }

    /// Takes what came.
    pub fn take(&mut self, bytes: &[u8]) -> More {
        self.total += bytes.len() as u64;
        let room = self.half.saturating_sub(self.head.len()).min(bytes.len());
        let (first, rest) = bytes.split_at(room);
        self.head.extend_from_slice(first);
        self.tail.extend(rest);
        self.tail.drain(..self.tail.len().saturating_sub(self.half));
        if self.total > self.most { More::Flood } else { More::Wanted }
    }

    /// All of it, or head and tail and how much is not there.
    pub fn finish(self) -> Vec<u8> {
        let mut all = self.head;
        let left_out = self.total - (all.len() + self.tail.len()) as u64;
        if left_out > 0 {
            all.extend_from_slice(format!("\n[{left_out} bytes left out]\n").as_bytes());
        }
        all.extend(self.tail);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::{Capture, FLOOD, MOST_KEPT, More};

    #[test]
    fn little_is_kept_whole() {
        let mut capture = Capture::new(10);
        assert_eq!(capture.take(b"hello "), More::Wanted);
        assert_eq!(capture.take(b"world"), More::Wanted);
        assert_eq!(capture.finish(), b"hello world");
    }

    #[test]
    fn a_flood_is_said_and_does_not_fill_memory() {
        let limit = MOST_KEPT as u64;
        let mut capture = Capture::new(limit);
        let piece = vec![b'x'; 1 << 20];
        let mut taken = 0;
        while capture.take(&piece) == More::Wanted {
            taken += piece.len() as u64;
            assert!(capture.head.len() + capture.tail.len() <= MOST_KEPT);
        }
        assert_eq!(taken, limit * FLOOD);
        let said = format!("[{} bytes left out]", taken + piece.len() as u64 - limit);
        assert!(String::from_utf8(capture.finish()).expect("letters").contains(&said));
    }

    #[test]
    fn the_end_is_kept() {
        let mut capture = Capture::new(0);
        for _ in 0..6 {
            capture.take(&vec![b'a'; 1 << 20]);
        }
        capture.take(b"the end");
        assert!(capture.finish().ends_with(b"the end"));
    }
}
