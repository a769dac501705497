//! The lines of a bundle as bytes: written with their tree growing along, read back one by one in bounded memory.

use std::io::{self, BufRead, BufReader, Read, Write};

use receipts::{
    Digest,
    merkle::{Tree, leaf_hash},
};

use super::{BundleError, Line};

/// The longest line: a passage of a few kilobytes with its vectors, or the paths that one revision ended.
const LONGEST: u64 = 64 << 20;
/// What a frame may ask of a reader's memory, as a power of two.
const WINDOW: u32 = 27;
/// Level 9: a bundle is written once and carried far.
const LEVEL: i32 = 9;

/// Writes lines.
pub(super) struct Writer {
    out: zstd::Encoder<'static, Box<dyn Write + Send>>,
    tree: Tree,
}

impl Writer {
    pub(super) fn new(out: Box<dyn Write + Send>) -> io::Result<Self> {
        let mut out = zstd::Encoder::new(out, LEVEL)?;
        out.include_checksum(true)?;
        Ok(Self { out, tree: Tree::new() })
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

/// Reads lines.
pub(super) struct Reader {
    from: BufReader<zstd::Decoder<'static, BufReader<Box<dyn Read + Send>>>>,
    tree: Tree,
    number: u64,
}

impl Reader {
    pub(super) fn new(from: Box<dyn Read + Send>) -> io::Result<Self> {
        let mut from = zstd::Decoder::new(from)?;
        from.window_log_max(WINDOW)?;
        Ok(Self { from: BufReader::with_capacity(1 << 20, from), tree: Tree::new(), number: 0 })
    }

    /// The next line; none at the end.
    pub(super) fn line(&mut self) -> Result<Option<Line>, BundleError> {
        self.number += 1;
        let mut bytes = Vec::new();
        let read = (&mut self.from).take(LONGEST).read_until(b'\n', &mut bytes);
        let read = read.map_err(|error| self.malformed(error.to_string()))?;
        if read == 0 {
            return Ok(None);
        }
        if bytes.pop() != Some(b'\n') {
            return Err(self.malformed(format!("it ends in the middle, or is longer than {LONGEST} bytes")));
        }
        let line = serde_json::from_slice(&bytes).map_err(|error| self.malformed(error.to_string()))?;
        // The last line is not among those it signs.
        if !matches!(line, Line::Signed(_)) {
            self.tree.push(leaf_hash(&bytes));
        }
        Ok(Some(line))
    }

    /// What is wrong with the line that was read last.
    pub(super) fn malformed(&self, cause: impl Into<String>) -> BundleError {
        BundleError::Malformed { line: self.number, cause: cause.into() }
    }

    /// How many lines there were before the signature, and the root over them.
    pub(super) fn head(&self) -> (u64, Digest) {
        (self.tree.size(), self.tree.root())
    }
}
