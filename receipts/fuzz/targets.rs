//! What each fuzz target does with its bytes: for libFuzzer, a program a target, and for `cargo test`, which runs what was kept.
//!
//! **Invariant:** a target panics where something is wrong, and does nothing else.
#![allow(dead_code, reason = "a fuzz program runs one of them")]

use std::collections::BTreeMap;

use receipts::{
    Beacon, BenefitClass, Digest, PublicKey,
    bitcoin::{
        self,
        anchor::Anchor,
        header::Target,
        rpc::{BlockTransactions, ChainInfo, Estimate, ListedCoin, Signed},
        transaction::Transaction,
    },
    bundle::{self, Bundle, FileKind},
    canonical,
    checkpoint::Checkpoint,
    cosignature::{Cosigner, open_cosigned},
    countersignature::Countersignature,
    curation::{CurationPredicate, Header, LogReader},
    delegation::Delegation,
    dsse::Envelope,
    entry::Disclosure,
    ledger::{
        block::CertifiedBlock,
        entry::LogEntry,
        evidence::Evidence,
        rpc::{Heads, Info, Proof, Request, Status, Submitted, read_answer},
        submission::{Admission, Submission, admit},
        tile::{self, Tile},
    },
    multiproof::Multiproof,
    note,
    statement::{Predicate, Statement},
    timestamp::{format_millis, parse_millis},
    tlog_proof::TlogProof,
    trust::{Trust, TrustedLog},
    verify::{TrustOrigin, verify},
    witness::AddCheckpoint,
};

/// A target and its name.
pub type Named = (&'static str, fn(&[u8]));

/// Every target by its name, which is that of its program and of the folder of what was kept.
pub const ALL: &[Named] = &[
    ("bitcoin", bitcoin),
    ("canonical", canonical),
    ("checkpoint", checkpoint),
    ("curation_log", curation_log),
    ("disclosed", disclosed),
    ("envelope", envelope),
    ("evidence", evidence),
    ("log", log),
    ("multiproof", multiproof),
    ("note", note),
    ("parts", parts),
    ("receipt", receipt),
    ("rpc", rpc),
    ("submission", submission),
    ("tlog_proof", tlog_proof),
    ("witness", witness),
    ("words", words),
];

/// What a node of Bitcoin's family says, and anchors: whatever parses is spelled as it was, and no number asks for memory.
pub fn bitcoin(bytes: &[u8]) {
    if let Ok(transaction) = Transaction::parse(bytes) {
        assert_eq!(transaction.to_bytes(), bytes);
    }
    if let Ok(anchor) = Anchor::parse(bytes) {
        assert_eq!(anchor.to_bytes().as_deref(), Ok(bytes));
        // As hard as Bitcoin was at its first block: nothing made by chance has so much work.
        let easiest = Target::from_bits(0x1d00_ffff).expect("a target");
        assert!(anchor.check(Digest([0; 32]), &easiest).is_err());
    }
    drop(bitcoin::rpc::read_answer::<ChainInfo>(bytes));
    drop(bitcoin::rpc::read_answer::<BlockTransactions>(bytes));
    drop(bitcoin::rpc::read_answer::<Vec<ListedCoin>>(bytes));
    drop(bitcoin::rpc::read_answer::<Signed>(bytes));
    drop(bitcoin::rpc::read_answer::<Estimate>(bytes));
}

/// Canonical JSON: what parses as it is written as it was.
pub fn canonical(bytes: &[u8]) {
    if let Ok(value) = canonical::parse_canonical(bytes) {
        assert_eq!(canonical::canonical(&value).expect("canonical"), bytes);
    }
}

/// Heads of trees: a body has one spelling.
pub fn checkpoint(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(head) = Checkpoint::parse(text) {
        assert_eq!(head.body(), text);
    }
}

/// The log of an ingest: a header and its lines. What is read is one spelling, and nothing made by chance is ever a whole log.
pub fn curation_log(bytes: &[u8]) {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let Ok(header) = Header::parse(lines.next().unwrap_or_default()) else { return };
    let associate = PublicKey([5; 32]);
    let Ok(mut reader) = LogReader::new(header, &associate) else { return };
    for line in lines {
        if let Ok(read) = reader.line(line) {
            assert!(read.record.fields.contains_key("source"));
        }
    }
    drop(reader.finish());
}

/// Envelopes, delegations and trust files: an envelope has one spelling.
pub fn envelope(bytes: &[u8]) {
    if let Ok(envelope) = Envelope::parse(bytes) {
        assert_eq!(envelope.to_bytes().expect("canonical"), bytes);
    }
    drop(Delegation::open(bytes));
    if let Ok(trust) = Trust::parse(bytes) {
        let again = Trust::parse(&trust.to_bytes().expect("canonical")).expect("reads");
        assert_eq!(again, trust);
    }
}

/// Files of evidence and counter-signatures: one spelling each, and nothing made by chance proves or counts.
pub fn evidence(bytes: &[u8]) {
    if let Ok(evidence) = Evidence::parse(bytes) {
        assert_eq!(evidence.to_bytes().as_deref(), Ok(bytes));
        assert!(evidence.check(None).is_err());
    }
    assert!(Countersignature::open(bytes).is_err());
}

/// Paths of tiles, bundles of entries, entries: each has one spelling.
pub fn log(bytes: &[u8]) {
    if let Some(entry) = LogEntry::parse(bytes) {
        assert_eq!(entry.to_bytes(), bytes);
    }
    if let Some(entries) = tile::unbundle(bytes) {
        assert_eq!(tile::bundle(entries).expect("short"), bytes);
    }
    if let Some(tile) = std::str::from_utf8(bytes).ok().and_then(Tile::parse) {
        assert_eq!(tile.path().as_bytes(), bytes);
    }
}

/// Several entries under one proof: a file has one spelling, and nothing made by chance leads to a root that is known.
pub fn multiproof(bytes: &[u8]) {
    if let Ok(proof) = Multiproof::parse(bytes) {
        assert_eq!(proof.to_bytes().as_deref(), Ok(bytes));
        assert!(proof.hashes.len() <= 64 * proof.entries.len());
        assert!(proof.leads_to().is_ok_and(|root| root != Digest::of(b"root")));
    }
}

/// Signed notes and their signature lines: nothing that is not signed by the key opens.
pub fn note(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // A key that nobody has.
    let key = PublicKey([7; 32]);
    assert!(note::open(text, &key).is_err());
    assert!(open_cosigned(text, "ii-0000000000000000", &key).is_err());
    assert!(Cosigner { name: "w".to_owned(), key }.signed(text).is_none());
    if let Some((name, key)) = note::parse_vkey(text) {
        assert!(!name.is_empty() && !name.contains(['+', ' ', '\n']));
        assert!(note::open(text, &key).is_err());
    }
    if let Some(cosigner) = Cosigner::parse(text) {
        assert_eq!(cosigner.vkey(), text);
    }
}

/// A whole folder of a receipt: the input is cut into its files. Nothing made by chance is ever valid.
pub fn receipt(bytes: &[u8]) {
    let names = [
        bundle::RECEIPT,
        bundle::CHECKPOINT,
        "disclosure-0.tlog-proof",
        "delegation-0.intoto.json",
        "delegation-1.intoto.json",
        "verdict-0.intoto.json",
        bundle::LOGGED,
        bundle::BLOCK,
        bundle::ANCHOR,
    ];
    let parts = bytes.split(|byte| *byte == 0xff);
    let files: BTreeMap<String, Vec<u8>> =
        names.iter().zip(parts).map(|(name, part)| ((*name).to_owned(), part.to_vec())).collect();
    let log = TrustedLog { vkey: String::new() };
    let trust = Trust { network: Digest([0; 32]), keys: Vec::new(), log, ledger: None, chain: None };
    assert!(!verify(&Bundle(files), &trust, TrustOrigin::Pinned, &|_| true).outcome.is_valid());
}

/// Requests to a ledger and its answers.
pub fn rpc(bytes: &[u8]) {
    if let Ok(value) = serde_json::from_slice(bytes) {
        drop(Request::read(value));
    }
    drop(read_answer::<Info>(bytes));
    drop(read_answer::<Heads>(bytes));
    drop(read_answer::<Proof>(bytes));
    drop(read_answer::<Status>(bytes));
    drop(read_answer::<Vec<Submitted>>(bytes));
}

/// Proofs of inclusion: a text has one spelling.
pub fn tlog_proof(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(proof) = TlogProof::parse(text) {
        assert_eq!(proof.to_text(), text);
    }
}

/// What a witness is asked: a request has one spelling, and an unknown log is never cosigned.
pub fn witness(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(request) = AddCheckpoint::parse(text) {
        assert_eq!(request.to_text(), text);
        assert!(request.judge(None, None).is_err());
    }
}

/// What goes with a proof of inclusion: a record and what is opened of it, in one spelling.
pub fn disclosed(bytes: &[u8]) {
    if let Some(disclosure) = Disclosure::parse(bytes) {
        assert_eq!(disclosure.to_extra().expect("canonical"), bytes);
        assert!(disclosure.record.leaf().is_ok());
        let named = disclosure.open.keys().all(|name| disclosure.record.fields.contains_key(name));
        assert!(named || !disclosure.is_true());
    }
}

/// What stands inside envelopes, and blocks: a statement has one spelling, and no block is certified by nobody.
pub fn parts(bytes: &[u8]) {
    if let Ok(statement) = Statement::<Predicate>::parse(bytes) {
        assert_eq!(statement.to_bytes().expect("canonical"), bytes);
    }
    if let Ok(statement) = Statement::<CurationPredicate>::parse(bytes) {
        assert_eq!(statement.to_bytes().expect("canonical"), bytes);
    }
    if let Ok(block) = serde_json::from_slice::<CertifiedBlock>(bytes) {
        assert!(block.check(&[PublicKey([7; 32])]).is_err());
        assert!(!block.block.follows(Some(&block.block)));
    }
}

/// What is submitted to a ledger that takes anybody's: nothing made by chance is admitted.
pub fn submission(bytes: &[u8]) {
    if let Ok(submission) = serde_json::from_slice::<Submission>(bytes) {
        let log = submission.log.clone();
        let again = Submission::from_bundle(&submission.clone().into_bundle(), &log);
        assert_eq!(again.as_ref(), Some(&submission));
        assert!(admit(submission, &Digest([0; 32]), &Admission::Open, &Delegation::open).is_err());
    }
}

/// Words that people and other programs write: each has one spelling.
pub fn words(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(beacon) = text.parse::<Beacon>() {
        assert_eq!(beacon.to_string(), text);
    }
    if let Ok(digest) = text.parse::<Digest>() {
        assert_eq!(digest.to_string(), text);
    }
    if let Ok(ms) = parse_millis(text) {
        assert_eq!(format_millis(ms).as_deref(), Ok(text));
    }
    if let Some(class) = BenefitClass::parse(text) {
        assert_eq!(class.as_str(), text);
    }
    if let Some(number) = receipts::integer::parse(text) {
        assert_eq!(number.to_string(), text);
    }
    match bundle::kind(text) {
        Some(FileKind::Disclosure(index)) => assert_eq!(bundle::disclosure(index), text),
        Some(FileKind::Delegation(number)) => assert_eq!(bundle::delegation(number), text),
        Some(FileKind::Verdict(number)) => assert_eq!(bundle::verdict(number), text),
        Some(FileKind::Countersignature(number)) => assert_eq!(bundle::countersignature(number), text),
        Some(_) | None => {}
    }
    if let Some(header) = bitcoin::header::Header::parse_hex(text) {
        assert!(!header.has_work(&Target::from_bits(0x1d00_ffff).expect("a target")));
    }
    if let Ok(transaction) = Transaction::parse_hex(text) {
        assert_eq!(transaction.to_bytes().len() * 2, text.len());
    }
}
