//! From the log of an ingest to its sealed receipt, by the same identities as a module's.
//!
//! **Invariant:** nothing is sealed but what the verifier has read back to its end and found to lead to the signed head.

use std::io::{self, BufRead, Read};

use receipts::{
    Digest,
    bundle::Bundle,
    checkpoint::Checkpoint,
    curation::{CurationInput, Header, LogError, LogReader, seal},
    seal::{SealError as CoreError, SealKeys},
    statement::Custody,
};

use super::{Signer, sealing::bundle_files};

/// The longest line of a log in bytes: a path and a reason, far below it.
const LONGEST: u64 = 1 << 20;

/// Why an ingest could not be sealed.
#[derive(Debug, thiserror::Error)]
pub enum CurationError {
    /// The log could not be read.
    #[error("its log cannot be read: {0}")]
    Read(#[from] io::Error),
    /// The log does not hold.
    #[error("its log does not hold: {0}")]
    Log(#[from] LogError),
    /// The log leads to another head than the collection's.
    #[error("its log leads to another head than the collection's signed one")]
    OtherHead,
    /// The receipt could not be made.
    #[error(transparent)]
    Core(#[from] CoreError),
}

/// A receipt of a curation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedCuration {
    /// Its id.
    pub receipt: Digest,
    /// Its files.
    pub bundle: Bundle,
}

/// The next line of a log, without its end; `None` at the end of the log. A line too long for a log reads as cut off, which no
/// log has.
///
/// # Errors
/// What the system says.
pub fn next_line(log: &mut dyn BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    if log.take(LONGEST).read_until(b'\n', line)? == 0 {
        return Ok(false);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    Ok(true)
}

impl Signer {
    /// Seals the ingest that a log is of, which led a collection of this node to `head`.
    ///
    /// # Errors
    /// [`CurationError`].
    pub fn seal_curation(
        &self,
        log: &mut dyn BufRead,
        head: &Checkpoint,
        now_ms: u64,
    ) -> Result<SealedCuration, CurationError> {
        // There is one associate at least, since the pool is opened with one; any of them may curate.
        let Some((associate, link)) = self.associates.first() else { return Err(CurationError::OtherHead) };
        let mut line = Vec::new();
        next_line(log, &mut line)?;
        let header = Header::parse(&line)?;
        if header.after() != *head {
            return Err(CurationError::OtherHead);
        }
        let began = header.began.0;
        let mut reader = LogReader::new(header, &associate.public())?;
        while next_line(log, &mut line)? {
            reader.line(&line)?;
        }
        let found = reader.finish()?;
        let input = CurationInput {
            network: self.network,
            root: self.root,
            principal: (self.principal.public(), self.principal_link.id),
            associate_delegation: link.id,
            // A clock that went back does not undo what was found.
            judged_ms: now_ms.max(began),
            custody: Custody::OneProcess,
        };
        let keys = SealKeys { log: &self.log, associate, node: &self.node, verifier: &self.verifier };
        let sealed = seal(&input, &found, &keys)?;
        let bundle = bundle_files(&sealed, [&self.principal_link.bytes, &link.bytes]);
        Ok(SealedCuration { receipt: sealed.receipt_id, bundle })
    }
}
