//! The files that one accepted module leaves, by name.

use std::collections::BTreeMap;

/// The receipt.
pub const RECEIPT: &str = "receipt.intoto.json";
/// The tree head.
pub const CHECKPOINT: &str = "anchor-set.checkpoint";
/// Where a ledger has the receipt, and under which of its heads.
pub const LOGGED: &str = "ledger.tlog-proof";
/// The certified block over that head.
pub const BLOCK: &str = "ledger-block.json";
/// Where a chain of Bitcoin's family has the receipt.
pub const ANCHOR: &str = "ledger-anchor.json";
/// Several entries of the trace under one proof.
pub const MULTIPROOF: &str = "audit.multiproof";
/// The most disclosures, delegations or verdicts a folder may have.
pub const MOST: usize = 4096;

/// Name of the disclosure of entry `index`.
pub fn disclosure(index: u64) -> String {
    format!("disclosure-{index}.tlog-proof")
}

/// Name of delegation `number`: 0 is root to principal, 1 principal to associate.
pub fn delegation(number: u64) -> String {
    format!("delegation-{number}.intoto.json")
}

/// Name of verdict `number`.
pub fn verdict(number: u64) -> String {
    format!("verdict-{number}.intoto.json")
}

/// Name of counter-signature `number`.
pub fn countersignature(number: u64) -> String {
    format!("countersignature-{number}.intoto.json")
}

/// Files by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bundle(pub BTreeMap<String, Vec<u8>>);

/// What a file of a bundle is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileKind {
    /// The receipt.
    Receipt,
    /// The tree head.
    Checkpoint,
    /// A disclosed entry.
    Disclosure(u64),
    /// Several disclosed entries.
    Multiproof,
    /// A link of the chain of authority.
    Delegation(u64),
    /// A verdict.
    Verdict(u64),
    /// The word of somebody else who verified the receipt.
    Countersignature(u64),
    /// A ledger's proof.
    Logged,
    /// A ledger's block.
    Block,
    /// A chain's proof.
    Anchor,
}

/// What a name stands for; `None` for no file of a bundle.
pub fn kind(name: &str) -> Option<FileKind> {
    let number = |text: &str, end: &str| crate::integer::parse(text.strip_suffix(end)?);
    match name {
        RECEIPT => Some(FileKind::Receipt),
        CHECKPOINT => Some(FileKind::Checkpoint),
        LOGGED => Some(FileKind::Logged),
        BLOCK => Some(FileKind::Block),
        ANCHOR => Some(FileKind::Anchor),
        MULTIPROOF => Some(FileKind::Multiproof),
        _numbered => None
            .or_else(|| Some(FileKind::Disclosure(number(name.strip_prefix("disclosure-")?, ".tlog-proof")?)))
            .or_else(|| Some(FileKind::Delegation(number(name.strip_prefix("delegation-")?, ".intoto.json")?)))
            .or_else(|| Some(FileKind::Verdict(number(name.strip_prefix("verdict-")?, ".intoto.json")?)))
            .or_else(|| {
                Some(FileKind::Countersignature(number(name.strip_prefix("countersignature-")?, ".intoto.json")?))
            }),
    }
}
