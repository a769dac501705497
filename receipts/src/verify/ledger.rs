//! What a ledger gave: the place of the receipt in its log, and the block over it; or its place in a chain.
//!
//! **Invariant:** evidence is checked under keys that the verifier trusts, never under keys that come with it; headers count by
//! the work that the verifier asks for.

use super::{Believed, Code, Files, Held};
use crate::{
    bitcoin::anchor::{Anchor, NoAnchor, TrustedChain},
    canonical::canonical,
    digest::Digest,
    ledger::{block::CertifiedBlock, trusted::TrustedLedger},
    merkle::root_from_inclusion,
    tlog_proof::TlogProof,
};

/// What the evidence shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchored {
    /// There is none, or nobody said which ledger counts.
    No,
    /// In the log, and under no block.
    Logged,
    /// Under a certified block, whose head no witness cosigned.
    Unwitnessed,
    /// Under a certified block, whose head as many witnesses cosigned as are wanted.
    Witnessed,
    /// In a block of a chain, which is not as deep as is wanted.
    Mined,
    /// In a block of a chain, deep enough, by headers of which the verifier knows none.
    Buried,
    /// In a block of a chain, deep enough, below a block that the verifier knows.
    Known,
}

/// Whether the files hold evidence of a log.
pub(super) fn is_logged(files: &Files<'_>) -> bool {
    files.logged.is_some() || files.block.is_some()
}

/// Whether the files hold evidence.
pub(super) fn is_there(files: &Files<'_>) -> bool {
    is_logged(files) || files.anchor.is_some()
}

pub(super) fn check(files: &Files<'_>, held: &Held, trust: &Believed<'_>) -> Result<Anchored, Code> {
    let Some(ledger) = trust.ledger() else { return Ok(Anchored::No) };
    let Some(logged) = files.logged else {
        return if files.block.is_some() { Err(Code::LedgerProof) } else { Ok(Anchored::No) };
    };
    let text = std::str::from_utf8(logged).map_err(|_binary| Code::LedgerProof)?;
    let proof = TlogProof::parse(text).map_err(|_other| Code::LedgerProof)?;
    if proof.extra.is_some() {
        return Err(Code::LedgerProof);
    }
    let head = ledger.open_whole(&proof.checkpoint).map_err(|_other| Code::LedgerHead)?;
    let entry = held.entry();
    if root_from_inclusion(entry.leaf(), proof.index, head.size, &proof.hashes) != Ok(head.root) {
        return Err(Code::LedgerProof);
    }
    let Some(block) = files.block else { return Ok(Anchored::Logged) };
    let block = block_of(block, ledger, trust.network())?;
    if (block.block.size.0, block.block.root) != (head.size, head.root) {
        return Err(Code::LedgerBlock);
    }
    Ok(if ledger.witness_quorum.0 == 0 { Anchored::Unwitnessed } else { Anchored::Witnessed })
}

/// What a chain shows; none where it has nothing to show, or nobody said which chain counts.
pub(super) fn check_chain(files: &Files<'_>, held: &Held, trust: &Believed<'_>) -> Result<Option<Anchored>, Code> {
    let (Some(bytes), Some(chain)) = (files.anchor, trust.chain()) else { return Ok(None) };
    let TrustedChain { easiest, depth, blocks, .. } = chain;
    let proof = Anchor::parse(bytes).map_err(|_spelling| Code::LedgerAnchor)?;
    let shown = proof.check(held.entry().leaf(), easiest).map_err(|error| match error {
        NoAnchor::Spelling | NoAnchor::Batch | NoAnchor::Block => Code::LedgerAnchor,
        NoAnchor::Work => Code::LedgerWork,
    })?;
    Ok(Some(if shown.depth < depth.0.max(1) {
        Anchored::Mined
    } else if blocks.contains(&shown.last) {
        Anchored::Known
    } else {
        Anchored::Buried
    }))
}

fn block_of(bytes: &[u8], ledger: &TrustedLedger, network: &Digest) -> Result<CertifiedBlock, Code> {
    let block: CertifiedBlock = serde_json::from_slice(bytes).map_err(|_shape| Code::LedgerBlock)?;
    if canonical(&block).map_err(|_never| Code::LedgerBlock)? != bytes {
        return Err(Code::LedgerBlock);
    }
    ledger.check_block(None, &block, network).map_err(|_refused| Code::LedgerBlock)?;
    Ok(block)
}
