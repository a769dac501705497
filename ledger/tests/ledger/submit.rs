//! Handing in: once, again, twice, wrongly, many at once; and what is answered afterwards.

use std::collections::BTreeSet;

use receipts::{
    Digest,
    integer::Decimal,
    ledger::{
        block::CertifiedBlock,
        rpc::{
            AtHeight, Between, Call, Consistency, Counts, Credited, Info, LedgerError, OfNullifier, ProofAt, Status,
            Submitted, WatchFrom,
        },
    },
    merkle::check_consistency,
    note::log_name,
};

use crate::{
    sealing,
    world::{World, receipt, receipt_elsewhere, receipts, second_receipt},
};

#[tokio::test]
async fn a_receipt_handed_in_becomes_final_with_evidence_that_a_stranger_can_check() {
    let world = World::new(&[]);
    let (submission, entry) = receipt(1);
    assert_eq!(world.status(entry.receipt).await, Status::Unknown);
    let told = world.submit(submission).await.expect("acknowledged");
    assert_eq!((told.receipt, told.nullifier), (entry.receipt, entry.nullifier));
    assert_eq!((told.index, told.known), (Decimal(0), false));
    assert_eq!(world.check_proof(&entry, None).await, 0);
    let (index, height) = world.until_final(entry.receipt).await;
    assert_eq!((index, height), (0, 1));
    assert_eq!(world.check_proof(&entry, Some(height)).await, 0);
    let info: Info = world.call(Call::Info).await.expect("info");
    assert_eq!(info.vkey, world.ledger.vkey);
    assert_eq!((info.size, info.height, info.quorum), (Decimal(1), Decimal(1), Decimal(3)));
    let [validators, witnesses] = [info.validators.len(), info.witnesses.len()];
    assert_eq!((validators, witnesses, info.open, info.faults), (4, 0, true, false));
    let block: CertifiedBlock = world.call(Call::Block(AtHeight { height: None })).await.expect("a block");
    assert!(block.block.follows(None));
    assert_eq!(block.block.network, Digest::of(b"ii dev network 1"));
}

#[tokio::test]
async fn the_same_receipt_again_is_the_same_entry() {
    let world = World::new(&[]);
    let (submission, entry) = receipt(1);
    let first = world.submit(submission.clone()).await.expect("acknowledged");
    let again = world.submit(submission.clone()).await.expect("acknowledged");
    assert_eq!((first.index, first.known, again.index, again.known), (Decimal(0), false, Decimal(0), true));
    // Also within one batch, and beside one that is new.
    let (other, _) = receipt(2);
    let answers = world.submit_batch(vec![other.clone(), submission, other]).await;
    let places: Vec<(u64, bool)> = answers
        .into_iter()
        .map(|answer| match answer {
            Submitted::Acknowledged(told) => (told.index.0, told.known),
            Submitted::Error(error) => panic!("{error}"),
        })
        .collect();
    assert_eq!(places, [(1, false), (0, true), (1, true)]);
    let (head, _) = world.published(2).await;
    assert_eq!(head.size, 2);
    assert_eq!(world.check_proof(&entry, None).await, 0);
}

#[tokio::test]
async fn a_second_receipt_for_a_nullifier_is_a_conflict_for_good_and_both_are_kept() {
    let mut world = World::new(&[]);
    let ((first, credited), (second, late)) = (receipt(1), second_receipt(1));
    assert_eq!(credited.nullifier, late.nullifier);
    assert_ne!(credited.receipt, late.receipt);
    world.submit(first.clone()).await.expect("acknowledged");
    let conflict = LedgerError::Conflict { nullifier: credited.nullifier, credited: credited.receipt };
    assert_eq!(world.submit(second.clone()).await, Err(conflict.clone()));
    world.restart();
    assert_eq!(world.submit(second.clone()).await, Err(conflict), "for good");
    let status = Status::Conflict { nullifier: credited.nullifier, credited: credited.receipt };
    assert_eq!(world.status(late.receipt).await, status);
    let asked = Call::ByNullifier(OfNullifier { nullifier: credited.nullifier });
    let found: Credited = world.call(asked).await.expect("found");
    assert_eq!(found.credited.expect("credited").receipt, credited.receipt);
    assert_eq!(found.receipts, [first.receipt, second.receipt], "the evidence, once each");
    let counts: Counts = world.call(Call::Counts).await.expect("counts");
    assert_eq!((counts.size, counts.conflicts), (Decimal(1), Decimal(1)));
    let classes: Vec<(&str, u64)> = counts.classes.iter().map(|(name, count)| (name.as_str(), count.0)).collect();
    assert_eq!(
        classes,
        [("Agent-Orchestration", 1), ("Compute-Inference", 0), ("Compute-Training", 0), ("Data-Curation", 0)]
    );
    let none: Credited =
        world.call(Call::ByNullifier(OfNullifier { nullifier: Digest([0; 32]) })).await.expect("an answer");
    assert_eq!((none.credited, none.receipts.len()), (None, 0));
}

#[tokio::test]
async fn two_receipts_for_a_nullifier_in_one_batch_are_one_credit_and_one_conflict() {
    let world = World::new(&[]);
    let ((first, credited), (second, late)) = (receipt(1), second_receipt(1));
    let answers = world.submit_batch(vec![first, second]).await;
    let conflict = LedgerError::Conflict { nullifier: late.nullifier, credited: credited.receipt };
    assert!(matches!(&answers[0], Submitted::Acknowledged(told) if told.receipt == credited.receipt));
    assert_eq!(answers[1], Submitted::Error(conflict));
}

#[tokio::test]
async fn what_does_not_verify_is_refused_with_its_code_and_leaves_nothing() {
    let world = World::new(&[]);
    let (good, entry) = receipt(1);
    let refused = |code: &str| Err(LedgerError::Refused { code: code.to_owned() });
    let mut noncanonical = good.clone();
    noncanonical.receipt.push(' ');
    assert_eq!(world.submit(noncanonical).await, refused("noncanonical"));
    let mut checkpoint = good.clone();
    checkpoint.checkpoint = receipt(2).0.checkpoint;
    assert_eq!(world.submit(checkpoint).await, refused("subject"));
    let mut delegation = good.clone();
    delegation.delegations.pop();
    assert_eq!(world.submit(delegation).await, refused("missing-delegation"));
    let mut verdict = good.clone();
    verdict.verdicts.clear();
    assert_eq!(world.submit(verdict).await, refused("missing-verdict"));
    let mut receipt_byte = good.clone();
    receipt_byte.receipt = receipt_byte.receipt.replacen("\"payload\":\"ey", "\"payload\":\"eY", 1);
    assert!(matches!(world.submit(receipt_byte).await, Err(LedgerError::Refused { .. })));
    let wanted = LedgerError::WrongNetwork { expected: Digest::of(b"ii dev network 1") };
    assert_eq!(world.submit(receipt_elsewhere(1)).await, Err(wanted));
    // One bad receipt of a batch takes no other with it.
    let mut bad = receipt(3).0;
    bad.verdicts.clear();
    let answers = world.submit_batch(vec![bad, good]).await;
    assert!(matches!(&answers[0], Submitted::Error(LedgerError::Refused { code }) if code == "missing-verdict"));
    assert!(matches!(&answers[1], Submitted::Acknowledged(told) if told.index == Decimal(0)));
    let (head, _) = world.published(1).await;
    assert_eq!(head.size, 1);
    assert_eq!(world.check_proof(&entry, None).await, 0);
}

#[tokio::test]
async fn a_ledger_of_one_node_takes_its_receipts_and_no_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let trusted = folder.path().join("trust.json");
    let keys = sealing::keys();
    let mut trust = sealing::trust(&keys);
    std::fs::write(&trusted, trust.to_bytes().expect("bytes")).expect("writes");
    let world = World::new(&["--trust", trusted.to_str().expect("text")]);
    let info: Info = world.call(Call::Info).await.expect("info");
    assert!(!info.open);
    world.submit(receipt(1).0).await.expect("acknowledged");
    let node = receipts::keys::SigningKey::from_seed(&[99; 32]).public();
    for key in trust.keys.iter_mut().filter(|key| key.role == receipts::trust::TrustedRole::Node) {
        (key.public, key.keyid) = (node, receipts::keys::key_id(&node));
    }
    std::fs::write(&trusted, trust.to_bytes().expect("bytes")).expect("writes");
    let world = World::new(&["--trust", trusted.to_str().expect("text")]);
    let refused = LedgerError::Unauthorised { code: "node-untrusted".to_owned() };
    assert_eq!(world.submit(receipt(1).0).await, Err(refused));
}

#[tokio::test]
async fn every_stored_proof_verifies_at_every_block_and_head() {
    let world = World::new(&[]);
    let mut all = Vec::new();
    let mut heads = Vec::new();
    for batch in 0..6_u128 {
        let (submissions, entries) = receipts(batch * 10..batch * 10 + batch + 1);
        world.submit_batch(submissions).await;
        let (_, height) = world.until_final(entries[0].receipt).await;
        all.extend(entries);
        let (head, _) = world.published(all.len() as u64).await;
        heads.push((head, height));
    }
    let size = all.len() as u64;
    let mut previous: Option<CertifiedBlock> = None;
    for height in 1..=heads.last().expect("a head").1 {
        let block: CertifiedBlock =
            world.call(Call::Block(AtHeight { height: Some(Decimal(height)) })).await.expect("a block");
        assert!(block.block.follows(previous.as_ref().map(|previous| &previous.block)), "block {height}");
        let fetched = world.get(&format!("/block/{height}")).await;
        assert_eq!(serde_json::from_slice::<CertifiedBlock>(&fetched.body).expect("a block"), block);
        for (entry, index) in all.iter().zip(0_u64..) {
            if index < block.block.size.0 {
                assert_eq!(world.check_proof(entry, Some(height)).await, index);
            } else {
                let at = ProofAt { receipt: entry.receipt, height: Some(Decimal(height)) };
                let absent = world.call::<receipts::ledger::rpc::Proof>(Call::Proof(at)).await;
                assert!(matches!(absent, Err(LedgerError::Absent { .. })), "{absent:?}");
            }
        }
        previous = Some(block);
    }
    for (entry, index) in all.iter().zip(0..) {
        assert_eq!(world.check_proof(entry, None).await, index);
    }
    let last = heads.last().expect("a head").0.clone();
    for (head, _) in &heads {
        for new in [None, Some(Decimal(size))] {
            let call = Call::Consistency(Between { old: Decimal(head.size), new });
            let shown: Consistency = world.call(call).await.expect("a proof");
            assert_eq!(shown.new, Decimal(size));
            assert_eq!(check_consistency((head.size, head.root), (last.size, last.root), &shown.hashes), Ok(()));
        }
    }
    for (old, new) in [(0, None), (size + 1, None), (1, Some(size + 1)), (3, Some(2))] {
        let call = Call::Consistency(Between { old: Decimal(old), new: new.map(Decimal) });
        assert!(matches!(world.call::<Consistency>(call).await, Err(LedgerError::Absent { .. })), "{old} {new:?}");
    }
}

/// A block waits for the commit that is under way, after which another head is published than the one that the block is over.
#[tokio::test]
async fn a_block_over_a_log_that_grows_meanwhile_carries_the_head_that_it_is_over() {
    let world = World::new(&[]);
    let (submissions, entries) = receipts(0..400);
    let handing_in = submissions.chunks(100).map(async |some| {
        for submission in some {
            world.submit(submission.clone()).await.expect("acknowledged");
        }
    });
    futures_util::future::join_all(handing_in).await;
    world.published(400).await;
    let (_, last) = world.until_final(entries[399].receipt).await;
    assert!(last > 3, "{last} blocks");
    for height in 1..=last {
        let block: CertifiedBlock =
            world.call(Call::Block(AtHeight { height: Some(Decimal(height)) })).await.expect("a block");
        let mut under = 0;
        for entry in &entries {
            let at = ProofAt { receipt: entry.receipt, height: Some(Decimal(height)) };
            if world.call::<receipts::ledger::rpc::Proof>(Call::Proof(at)).await.is_ok() {
                world.check_proof(entry, Some(height)).await;
                under += 1;
            }
            if under == 3 {
                break;
            }
        }
        assert_eq!(under, block.block.size.0.min(3), "block {height}");
    }
}

#[tokio::test]
async fn many_at_once_share_transactions_and_each_has_its_own_place() {
    let world = World::new(&[]);
    let (submissions, entries) = receipts(0..120);
    let twice = submissions.iter().chain(&submissions).cloned();
    let answers = futures_util::future::join_all(twice.map(|submission| world.submit(submission))).await;
    let told: Vec<_> = answers.into_iter().map(|answer| answer.expect("acknowledged")).collect();
    for (told, entry) in told.iter().zip(entries.iter().chain(&entries)) {
        assert_eq!((told.receipt, told.nullifier), (entry.receipt, entry.nullifier));
    }
    let all: BTreeSet<u64> = told.iter().map(|told| told.index.0).collect();
    assert_eq!(all, (0..120).collect(), "each index once, none left out");
    assert_eq!(told.iter().filter(|told| !told.known).count(), 120, "each is new once");
    let (head, _) = world.published(120).await;
    assert_eq!(head.size, 120);
    for (entry, told) in entries.iter().zip(&told) {
        assert_eq!(world.check_proof(entry, None).await, told.index.0);
    }
}

#[tokio::test]
async fn who_watches_is_told_of_a_larger_head() {
    let world = World::new(&[]);
    let empty = world.open(std::str::from_utf8(&world.get("/checkpoint").await.body).expect("text"));
    assert_eq!(
        (empty.size, empty.origin),
        (0, log_name(&receipts::note::parse_vkey(&world.ledger.vkey).expect("a key").1))
    );
    let watching = world.call(Call::Watch(WatchFrom { size: Decimal(0), wait_ms: Decimal(30_000) }));
    let handing_in = async { world.submit(receipt(1).0).await.expect("acknowledged") };
    let (heads, _) = futures_util::future::join(watching, handing_in).await;
    let heads: receipts::ledger::rpc::Heads = heads.expect("heads");
    assert_eq!(world.open(&heads.checkpoint).size, 1);
    // Nothing larger comes, and that is an answer too.
    let call = Call::Watch(WatchFrom { size: Decimal(1), wait_ms: Decimal(10) });
    let same: receipts::ledger::rpc::Heads = world.call(call).await.expect("heads");
    assert_eq!(world.open(&same.checkpoint).size, 1);
}
