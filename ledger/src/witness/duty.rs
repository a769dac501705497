//! The charter under which a guardian is a witness: which logs, from when until when, signed by whom its operator trusts.
//!
//! **Invariant:** without a charter that holds now there is no cosignature, and none on a log that it does not name.

use std::{collections::BTreeSet, path::Path};

use common_ground::Millis;
use receipts::PublicKey;

/// Largest charter that is read, in bytes.
const LARGEST: u64 = 64 * 1024;

/// See the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duty {
    cosigns: BTreeSet<String>,
    not_before: Millis,
    not_after: Millis,
}

/// Why a file is no charter for this witness.
#[derive(Debug, thiserror::Error)]
pub enum DutyError {
    /// It cannot be read.
    #[error("charter {path}: {source}")]
    Io {
        /// The file.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is no charter, or a signature on it does not verify.
    #[error(
        "{path} is no charter whose signatures verify; `ii guardian charters make --guardian KEY --cosign LOG` makes one"
    )]
    NoCharter {
        /// The file.
        path: std::path::PathBuf,
    },
    /// It is for another guardian.
    #[error(
        "{path} charters guardian {found}, and this witness is {own}; name its key with --guardian when it is made"
    )]
    Other {
        /// The file.
        path: std::path::PathBuf,
        /// Whom it charters.
        found: PublicKey,
        /// This witness's key.
        own: PublicKey,
    },
    /// Somebody else signed it.
    #[error("{path} is not signed by a key that --person names")]
    Unauthorised {
        /// The file.
        path: std::path::PathBuf,
    },
    /// It names no log.
    #[error("{path} lets its guardian cosign no log; name one with --cosign when it is made")]
    NoLog {
        /// The file.
        path: std::path::PathBuf,
    },
}

/// Why a head is not cosigned, whatever it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OffDuty {
    /// Another log.
    #[error("the witness's charter does not name the log {origin}")]
    OtherLog {
        /// The log.
        origin: String,
    },
    /// Another time.
    #[error("the witness's charter is over, or its time has not come")]
    OtherTime,
}

impl Duty {
    /// Reads a charter of the witness `own`, signed by one of `persons` and not by the witness itself.
    ///
    /// # Errors
    /// [`DutyError`].
    pub fn read(file: &Path, own: PublicKey, persons: &BTreeSet<PublicKey>) -> Result<Self, DutyError> {
        let path = || file.to_owned();
        let io_error = |source| DutyError::Io { path: path(), source };
        if std::fs::metadata(file).map_err(io_error)?.len() > LARGEST {
            return Err(DutyError::NoCharter { path: path() });
        }
        let bytes = std::fs::read(file).map_err(io_error)?;
        let signed = guardian::charter::open(&bytes).said.map_err(|_defect| DutyError::NoCharter { path: path() })?;
        let terms = signed.terms;
        if terms.guardian != own {
            return Err(DutyError::Other { path: path(), found: terms.guardian, own });
        }
        if signed.by.contains(&own) || signed.by.is_disjoint(persons) {
            return Err(DutyError::Unauthorised { path: path() });
        }
        if terms.cosigns.is_empty() {
            return Err(DutyError::NoLog { path: path() });
        }
        Ok(Self { cosigns: terms.cosigns, not_before: terms.not_before, not_after: terms.not_after })
    }

    /// Whether a head of this log may be cosigned now.
    ///
    /// # Errors
    /// [`OffDuty`].
    pub fn allows(&self, origin: &str, now: Millis) -> Result<(), OffDuty> {
        if !self.cosigns.contains(origin) {
            return Err(OffDuty::OtherLog { origin: origin.to_owned() });
        }
        if now < self.not_before || now > self.not_after {
            return Err(OffDuty::OtherTime);
        }
        Ok(())
    }
}
