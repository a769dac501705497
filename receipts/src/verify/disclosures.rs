//! Disclosed entries: in the tree, at their index, and open to what was committed.

use super::{Code, Files};
use crate::{
    checkpoint::Checkpoint,
    curation::{self, CurationPredicate},
    entry::{self, Disclosure, Kinds, OPEN},
    merkle::root_from_inclusion,
    multiproof::Multiproof,
    presorted,
    statement::Predicate,
    tlog_proof::TlogProof,
};

pub(super) fn check(predicate: &Predicate, files: &Files<'_>, head: &Checkpoint) -> Result<(), Code> {
    let mut first = None;
    for (index, bytes) in &files.disclosures {
        let disclosure = open(*index, bytes, files.checkpoint, head, &entry::MODULE)?;
        handed_in(predicate, &disclosure)?;
        if *index == 0 {
            first = Some(disclosure);
        }
    }
    if let Some(bytes) = files.multiproof {
        for disclosure in open_all(bytes, head)? {
            handed_in(predicate, &disclosure)?;
        }
    }
    let first = first.ok_or(Code::MissingDisclosure)?;
    let module = &predicate.module;
    let opened = |name: &str| first.open.get(name).map(|opening| opening.value.as_slice());
    let closed_or = |name: &str, value: &[u8]| opened(name).is_none_or(|opened| opened == value);
    let is_module = OPEN.iter().all(|name| first.open.contains_key(*name))
        && opened("run") == Some(module.run_id.as_bytes().as_slice())
        && opened("module") == Some(module.module_id.as_bytes().as_slice())
        && opened("attempt") == Some(module.attempt.0.to_string().as_bytes())
        && opened("epoch") == Some(module.epoch.0.to_string().as_bytes())
        && closed_or("associate", &predicate.actors.associate.key.0)
        && closed_or("policy", &predicate.policy.digest.0);
    if !is_module {
        return Err(Code::Entry0);
    }
    if first.record.fields.get("spec") != Some(&module.spec_commit) {
        return Err(Code::SpecCommit);
    }
    Ok(())
}

/// Whether an entry, where it hands something in, hands in what the verdicts are on.
fn handed_in(predicate: &Predicate, disclosure: &Disclosure) -> Result<(), Code> {
    let handed_in = disclosure.record.fields.get("deliverable").filter(|_| disclosure.record.kind == "output");
    let other = handed_in.is_some_and(|output| predicate.verdicts.iter().any(|verdict| verdict.deliverable != *output));
    if other { Err(Code::VerdictDeliverable) } else { Ok(()) }
}

/// The disclosed entries of a curation: the first says of which ingest they are.
pub(super) fn check_curation(predicate: &CurationPredicate, files: &Files<'_>, head: &Checkpoint) -> Result<(), Code> {
    if files.multiproof.is_some() {
        return Err(Code::UnknownFile);
    }
    let mut first = None;
    for (index, bytes) in &files.disclosures {
        let disclosure = open(*index, bytes, files.checkpoint, head, &curation::KINDS)?;
        if *index == 0 {
            first = Some(disclosure);
        }
    }
    let first = first.ok_or(Code::MissingDisclosure)?;
    let collection = &predicate.collection;
    let opened = |name: &str| first.open.get(name).map(|opening| opening.value.as_slice());
    let closed_or = |name: &str, value: &[u8]| opened(name).is_none_or(|opened| opened == value);
    let is_head = |name: &str, head: &curation::Head| {
        opened(name).is_some_and(|bytes| presorted::read::<curation::Head>(bytes).as_ref() == Ok(head))
    };
    let is_ingest = curation::OPEN.iter().all(|name| first.open.contains_key(*name))
        && is_head("after", &collection.after)
        && is_head("before", &collection.before)
        && opened("collection") == Some(collection.origin.as_bytes())
        && opened("revision") == Some(collection.revision.0.to_string().as_bytes())
        && closed_or("associate", &predicate.actors.associate.key.0)
        && closed_or("policy", &predicate.policy.digest.0);
    if !is_ingest {
        return Err(Code::Entry0);
    }
    let after = first.record.fields.get("after");
    if predicate.verdicts.iter().any(|verdict| after != Some(&verdict.deliverable)) {
        return Err(Code::VerdictDeliverable);
    }
    Ok(())
}

fn open(index: u64, bytes: &[u8], checkpoint: &str, head: &Checkpoint, kinds: &Kinds) -> Result<Disclosure, Code> {
    let text = std::str::from_utf8(bytes).map_err(|_binary| Code::Disclosure)?;
    let proof = TlogProof::parse(text).map_err(|_spelling| Code::Disclosure)?;
    let extra = proof.extra.as_deref().ok_or(Code::Disclosure)?;
    let disclosure = Disclosure::parse(extra).ok_or(Code::Disclosure)?;
    if proof.checkpoint != checkpoint {
        return Err(Code::DisclosureCheckpoint);
    }
    if proof.index != index || disclosure.record.i.0 != index {
        return Err(Code::DisclosureIndex);
    }
    if !disclosure.record.fits_among(kinds, head.size) {
        return Err(Code::Record);
    }
    let leaf = disclosure.record.leaf().map_err(|_spelling| Code::Disclosure)?;
    let root = root_from_inclusion(leaf, index, head.size, &proof.hashes).map_err(|_length| Code::Inclusion)?;
    if root != head.root {
        return Err(Code::Inclusion);
    }
    if disclosure.is_true() { Ok(disclosure) } else { Err(Code::Opening) }
}

/// The entries of a multiproof, which are looked at as those of single proofs are.
fn open_all(bytes: &[u8], head: &Checkpoint) -> Result<Vec<Disclosure>, Code> {
    let proof = Multiproof::parse(bytes).map_err(|_spelling| Code::Disclosure)?;
    if (proof.size, proof.root) != (head.size, head.root) {
        return Err(Code::DisclosureCheckpoint);
    }
    if !proof.entries.iter().all(|entry| entry.record.fits_among(&entry::MODULE, head.size)) {
        return Err(Code::Record);
    }
    if proof.leads_to() != Ok(head.root) {
        return Err(Code::Inclusion);
    }
    if proof.entries.iter().all(Disclosure::is_true) { Ok(proof.entries) } else { Err(Code::Opening) }
}
