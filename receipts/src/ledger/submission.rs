//! What is handed to a ledger: the files of one receipt, and what a ledger makes of them before it acknowledges.
//!
//! **Invariant:** a receipt is admitted only when every check that `ii verify` makes of it holds, but for its parents.
//! **Invariant:** a submission has no room for more disclosed entries than the one that names the work.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{entry::LogEntry, rpc::LedgerError};
use crate::{
    bundle::{self, Bundle},
    digest::{Digest, PublicKey},
    note::parse_vkey,
    trust::Trust,
    verify::{Believed, Code, OpenDelegation, hold},
};

/// The files of one receipt, each as it is: they are texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Submission {
    /// `receipt.intoto.json`.
    pub receipt: String,
    /// `anchor-set.checkpoint`.
    pub checkpoint: String,
    /// `disclosure-0.tlog-proof`.
    pub disclosure: String,
    /// `delegation-0.intoto.json` and `delegation-1.intoto.json`.
    pub delegations: Vec<String>,
    /// `verdict-0.intoto.json` and so on.
    pub verdicts: Vec<String>,
    /// The verifier key of the log that signed the checkpoint, of which the receipt has the name only.
    pub log: String,
}

/// Whose receipts a ledger takes.
#[derive(Clone, Debug)]
pub enum Admission {
    /// Those of any root of authority.
    Open,
    /// Those of these keys, by the key of the log.
    Trusted(BTreeMap<PublicKey, Trust>),
}

impl Submission {
    /// The submission of an exported folder's files; `None` when one of them is missing or no text. Disclosures of other
    /// entries stay behind: a ledger has no use for them.
    pub fn from_bundle(bundle: &Bundle, log: &str) -> Option<Self> {
        let text = |name: &str| String::from_utf8(bundle.0.get(name)?.clone()).ok();
        let numbered = |name: fn(u64) -> String| (0..).map_while(|number| text(&name(number))).collect();
        let submission = Self {
            receipt: text(bundle::RECEIPT)?,
            checkpoint: text(bundle::CHECKPOINT)?,
            disclosure: text(&bundle::disclosure(0))?,
            delegations: numbered(bundle::delegation),
            verdicts: numbered(bundle::verdict),
            log: log.to_owned(),
        };
        Some(submission)
    }

    /// The files by name.
    pub fn into_bundle(self) -> Bundle {
        let mut files = BTreeMap::from([
            (bundle::RECEIPT.to_owned(), self.receipt.into_bytes()),
            (bundle::CHECKPOINT.to_owned(), self.checkpoint.into_bytes()),
            (bundle::disclosure(0), self.disclosure.into_bytes()),
        ]);
        files.extend(
            self.delegations.into_iter().zip(0..).map(|(text, at)| (bundle::delegation(at), text.into_bytes())),
        );
        files.extend(self.verdicts.into_iter().zip(0..).map(|(text, at)| (bundle::verdict(at), text.into_bytes())));
        Bundle(files)
    }
}

/// A receipt that holds: its entry for the log, and its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// What goes into the log.
    pub entry: LogEntry,
    /// `receipt.intoto.json`, kept as evidence.
    pub receipt: String,
}

/// Checks everything of a submission that can be checked without looking at other receipts: both signatures, the tree head,
/// the disclosed entry, the chain of authority, the verdicts, the network, the nullifier computed anew.
///
/// # Errors
/// [`LedgerError::Refused`], [`LedgerError::WrongNetwork`] or [`LedgerError::Unauthorised`].
pub fn admit(
    submission: Submission,
    network: &Digest,
    admission: &Admission,
    open: &OpenDelegation<'_>,
) -> Result<Admitted, LedgerError> {
    let refused = |code: Code| refusal(code, network);
    let (_name, log) = parse_vkey(&submission.log).ok_or_else(|| refused(Code::LogUntrusted))?;
    let mut bundle = submission.into_bundle();
    let believed = match admission {
        Admission::Open => Believed::AsNamed { network, log: &log },
        Admission::Trusted(by_log) => Believed::Trusted(by_log.get(&log).ok_or_else(|| refused(Code::LogUntrusted))?),
    };
    let held = hold(&bundle, &believed, open).map_err(refused)?;
    let receipt = bundle.0.remove(bundle::RECEIPT).and_then(|bytes| String::from_utf8(bytes).ok());
    let receipt = receipt.ok_or_else(|| refused(Code::MissingReceipt))?;
    Ok(Admitted { entry: held.entry(), receipt })
}

fn refusal(code: Code, network: &Digest) -> LedgerError {
    let name = code.as_str().to_owned();
    if code == Code::Network {
        LedgerError::WrongNetwork { expected: *network }
    } else if [Code::RootUntrusted, Code::NodeUntrusted, Code::LogUntrusted, Code::VerifierUntrusted].contains(&code) {
        LedgerError::Unauthorised { code: name }
    } else {
        LedgerError::Refused { code: name }
    }
}
