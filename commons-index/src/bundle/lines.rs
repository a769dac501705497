//! The lines of a bundle as bytes: written with their tree's root growing along, read back one by one in bounded memory.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use receipts::{
    Digest,
    merkle::{Frontier, leaf_hash},
};

use super::Line;
use crate::formats::packed::Bounded;

/// The longest line: a passage of a few kilobytes with its vectors, or paths that one revision ended.
const LONGEST: u64 = 16 << 20;
/// What a frame may ask of a reader's memory, as a power of two.
const WINDOW: u32 = 27;
/// Level 9: a bundle is written once and carried far.
const LEVEL: i32 = 9;

/// Writes lines.
pub(super) struct Writer {
    out: zstd::Encoder<'static, Box<dyn Write + Send>>,
    tree: Frontier,
}

impl Writer {
    pub(super) fn new(out: Box<dyn Write + Send>) -> io::Result<Self> {
        let mut out = zstd::Encoder::new(out, LEVEL)?;
        out.include_checksum(true)?;
        Ok(Self { out, tree: Frontier::new() })
    }

    pub(super) fn line(&mut self, line: &Line) -> io::Result<()> {
        let bytes = serde_json::to_vec(line)?;
        self.tree.push(leaf_hash(&bytes));
        self.out.write_all(&bytes)?;
        self.out.write_all(b"\n")
    }

    /// How many lines there are, and the root over them.
    pub(super) fn head(&self) -> (u64, Digest) {
        (self.tree.size(), self.tree.root())
    }

    /// Ends the frame.
    pub(super) fn finish(self) -> io::Result<()> {
        self.out.finish()?.flush()
    }
}

/// Packed bytes, counted as they come.
struct Counted {
    from: Box<dyn Read + Send>,
    came: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(buffer)?;
        self.came.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// Reads lines.
pub(super) struct Reader {
    from: BufReader<Bounded<zstd::Decoder<'static, BufReader<Counted>>>>,
    tree: Frontier,
}

impl Reader {
    pub(super) fn new(from: Box<dyn Read + Send>) -> io::Result<Self> {
        let came = Arc::new(AtomicU64::new(0));
        let mut plain = zstd::Decoder::new(Counted { from, came: Arc::clone(&came) })?;
        plain.window_log_max(WINDOW)?;
        Ok(Self { from: BufReader::with_capacity(1 << 20, Bounded::new(plain, came)), tree: Frontier::new() })
    }

    /// The next line and how many bytes it has; none at the end.
    ///
    /// # Errors
    /// Why it is none.
    pub(super) fn line(&mut self) -> Result<Option<(Line, usize)>, String> {
        let mut bytes = Vec::new();
        let read = (&mut self.from).take(LONGEST).read_until(b'\n', &mut bytes).map_err(|error| error.to_string())?;
        if read == 0 {
            return Ok(None);
        }
        if bytes.pop() != Some(b'\n') {
            return Err(format!("it ends in the middle, or is longer than {LONGEST} bytes"));
        }
        let line = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
        // The last line is not among those it signs.
        if !matches!(line, Line::Signed(_)) {
            self.tree.push(leaf_hash(&bytes));
        }
        Ok(Some((line, read)))
    }

    /// How many lines there were before the signature, and the root over them.
    pub(super) fn head(&self) -> (u64, Digest) {
        (self.tree.size(), self.tree.root())
    }
}
