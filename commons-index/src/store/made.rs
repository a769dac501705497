//! What a revision's new documents were made of: a row that only the log of its ingest asks for.

use receipts::Digest;

use super::rows::Columns;
use crate::error::StoreError;

/// A document of a revision, as the log of its ingest tells of it.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) path: String,
    /// The file that holds it among others.
    pub(crate) file: Option<String>,
    pub(crate) text: Digest,
    pub(crate) licence: Option<String>,
    /// The encoding it was in; none of a format that is no text.
    pub(crate) decoding: Option<String>,
}

impl Made {
    pub(super) fn of(row: &impl Columns) -> Result<Self, StoreError> {
        Ok(Self {
            path: row.text("path")?,
            file: row.maybe_text("file")?,
            text: row.digest("text")?,
            licence: row.maybe_text("licence")?,
            decoding: row.maybe_text("decoding")?,
        })
    }
}
