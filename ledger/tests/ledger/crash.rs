//! Killing the ledger: at named points by its own hand, and at any moment by ours.
//!
//! Nothing that was acknowledged is lost, nothing is in the log twice, and every head shown before goes on afterwards.

use std::collections::BTreeSet;

use receipts::{
    checkpoint::Checkpoint,
    integer::Decimal,
    ledger::rpc::{Between, Call, Consistency, DyingPoint, Fault, LedgerError, Status, Submitted, read_answer},
    merkle::check_consistency,
};

use crate::world::{World, receipts, second_receipt};

/// The head of before is a beginning of what is shown now.
async fn goes_on(world: &World, before: &Checkpoint) {
    let (now, _) = world.published(before.size).await;
    let call = Call::Consistency(Between { old: Decimal(before.size), new: Some(Decimal(now.size)) });
    let shown: Consistency = world.call(call).await.expect("a proof");
    assert_eq!(check_consistency((before.size, before.root), (now.size, now.root), &shown.hashes), Ok(()));
}

async fn dies_and_loses_nothing(point: DyingPoint) {
    let mut world = World::new(&["--faults"]);
    let (first, kept) = receipts(0..20);
    world.submit_batch(first.clone()).await;
    world.until_final(kept[0].receipt).await;
    let (before, _) = world.published(20).await;
    // Known already, and answered only after the block was dealt with to its end: the fault meets the next one.
    world.submit_batch(first).await;
    world.fault(Fault::Die { point }).await;
    let (submissions, entries) = receipts(20..40);
    let call = Call::SubmitBatch(receipts::ledger::rpc::SubmitBatch { submissions: submissions.clone() });
    let answered = world.raw(call.to_json(1)).await;
    let acknowledged = match &answered {
        Ok(answer) => read_answer::<Vec<Submitted>>(&answer.body).expect("answers").len(),
        Err(_died) => 0,
    };
    // Who dies before a commit or right after it tells nobody; who dies over a block has told before.
    assert!(point == DyingPoint::AfterPublish || acknowledged == 0, "{answered:?}");
    assert_eq!(world.ledger.wait(), None, "by a signal");
    world.restart();
    goes_on(&world, &before).await;
    let stored = match point {
        DyingPoint::BeforeCommit => false,
        DyingPoint::AfterCommit | DyingPoint::BeforePublish | DyingPoint::AfterPublish => true,
    };
    for entry in &entries {
        assert_eq!(world.status(entry.receipt).await != Status::Unknown, stored, "all or nothing of a batch");
    }
    for answer in world.submit_batch(submissions).await {
        assert!(matches!(answer, Submitted::Acknowledged(told) if told.known == stored));
    }
    let all = [kept, entries].concat();
    let mut places = BTreeSet::new();
    for entry in &all {
        let (_, height) = world.until_final(entry.receipt).await;
        places.insert(world.check_proof(entry, Some(height)).await);
    }
    assert_eq!(places, (0..40).collect());
    assert_eq!(world.published(40).await.0.size, 40);
}

#[tokio::test]
async fn dying_before_a_commit_stores_nothing_of_it() {
    dies_and_loses_nothing(DyingPoint::BeforeCommit).await;
}

#[tokio::test]
async fn dying_after_a_commit_loses_nothing_and_credits_nothing_twice() {
    dies_and_loses_nothing(DyingPoint::AfterCommit).await;
}

#[tokio::test]
async fn dying_over_a_block_loses_no_block_and_no_entry() {
    dies_and_loses_nothing(DyingPoint::AfterPublish).await;
}

/// Receipts come in a stream, each module once as it should be and once as it should not, while the ledger is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment_it_keeps_what_it_acknowledged() {
    let mut world = World::new(&[]);
    let mut acknowledged = Vec::new();
    for round in 0..4_u128 {
        let (mut submissions, entries) = receipts(round * 100..round * 100 + 60);
        let seconds = (0..5).map(|number| second_receipt(round * 100 + number));
        let (late, late_entries): (Vec<_>, Vec<_>) = seconds.unzip();
        submissions.extend(late);
        let all = [entries, late_entries].concat();
        let calls = submissions.iter().map(|submission| world.submit(submission.clone()));
        let mut calls: futures_util::stream::FuturesUnordered<_> = calls.collect();
        // At another answer each round, with some on their way and some not begun.
        for _ in 0..round * 13 {
            let Some(answer) = futures_util::StreamExt::next(&mut calls).await else { break };
            acknowledged.extend(answer.ok());
        }
        drop(calls);
        world.restart();
        for (submission, entry) in submissions.into_iter().zip(&all) {
            match world.submit(submission).await {
                Ok(told) => {
                    assert_eq!(told.receipt, entry.receipt);
                    acknowledged.push(told);
                }
                Err(LedgerError::Conflict { credited, nullifier }) => {
                    assert!(nullifier == entry.nullifier && credited != entry.receipt);
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
    let mut by_place = std::collections::BTreeMap::new();
    let mut nullifiers = BTreeSet::new();
    for told in &acknowledged {
        let before = by_place.insert(told.index.0, (told.receipt, told.nullifier));
        assert!(before.is_none_or(|before| before == (told.receipt, told.nullifier)), "one place, one receipt");
    }
    for (receipt, nullifier) in by_place.values() {
        assert!(nullifiers.insert(*nullifier), "one credit a nullifier");
        world.until_final(*receipt).await;
    }
    assert_eq!(by_place.keys().copied().collect::<Vec<_>>(), (0..240).collect::<Vec<_>>());
    assert_eq!(world.published(240).await.0.size, 240);
}

#[tokio::test]
async fn told_to_end_it_ends_in_good_order_and_goes_on_where_it_was() {
    let mut world = World::new(&[]);
    let (submissions, entries) = receipts(0..3);
    world.submit_batch(submissions).await;
    let (before, _) = world.published(3).await;
    assert_eq!(world.ledger.terminate(), Some(0));
    let folder = std::mem::replace(&mut world.folder, tempfile::tempdir().expect("a folder"));
    let world = World::over(folder, &[]);
    goes_on(&world, &before).await;
    assert_eq!(world.check_proof(&entries[2], None).await, 2);
}

/// Files may not grow beyond a limit, which to SQLite is a full disk.
#[tokio::test]
async fn a_full_disk_is_told_and_loses_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let shell = "trap '' XFSZ; ulimit -f 512; exec \"$0\" \"$@\"";
    let mut world = World::behind(&["sh", "-c", shell], folder, &[]);
    let (mut kept, mut lost) = (Vec::new(), Vec::new());
    for batch in 0..64_u128 {
        let (submissions, _) = receipts(batch * 16..batch * 16 + 16);
        let answers = world.submit_batch(submissions.clone()).await;
        let acknowledged = answers.iter().filter(|answer| matches!(answer, Submitted::Acknowledged(_))).count();
        assert!(acknowledged == 0 || acknowledged == 16, "a batch is stored whole or not at all");
        if acknowledged == 0 {
            assert!(matches!(&answers[0], Submitted::Error(error @ LedgerError::Transient { .. }) if error.may_pass()));
            lost = submissions;
            break;
        }
        kept.extend(answers);
    }
    assert!(!kept.is_empty() && !lost.is_empty(), "{} stored", kept.len());
    let (before, _) = world.published(kept.len() as u64).await;
    world.command.clear();
    world.restart();
    goes_on(&world, &before).await;
    for (told, index) in kept.iter().zip(0_u64..) {
        let Submitted::Acknowledged(told) = told else { panic!("kept") };
        assert_eq!(told.index.0, index);
        assert_ne!(world.status(told.receipt).await, Status::Unknown);
    }
    for (answer, index) in world.submit_batch(lost).await.iter().zip(kept.len() as u64..) {
        assert!(matches!(answer, Submitted::Acknowledged(told) if told.index.0 == index && !told.known));
    }
}
