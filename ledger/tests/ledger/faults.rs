//! Faults that a client must survive: each does what it says, and nothing else.

use receipts::{
    integer::Decimal,
    ledger::{
        block::CertifiedBlock,
        rpc::{AtHeight, Call, Fault, Info, LedgerError, ProtocolFault, Status},
    },
};

use crate::world::{World, receipt, receipts};

async fn block(world: &World, height: Option<u64>) -> CertifiedBlock {
    world.call(Call::Block(AtHeight { height: height.map(Decimal) })).await.expect("a block")
}

#[tokio::test]
async fn a_dropped_answer_is_a_receipt_stored_all_the_same() {
    let world = World::new(&["--faults"]);
    world.fault(Fault::DropAnswers { count: Decimal(1) }).await;
    let (submission, entry) = receipt(1);
    let call = Call::Submit(Box::new(submission.clone())).to_json(1);
    assert!(world.raw(call).await.is_err(), "nobody is told");
    let again = world.submit(submission).await.expect("acknowledged");
    assert_eq!((again.index, again.known), (Decimal(0), true));
    world.check_proof(&entry, None).await;
}

#[tokio::test]
async fn a_late_answer_comes() {
    let world = World::new(&["--faults"]);
    world.fault(Fault::Delay { count: Decimal(2), ms: Decimal(50) }).await;
    let (submission, _) = receipt(1);
    assert!(!world.submit(submission.clone()).await.expect("acknowledged").known);
    assert!(world.submit(submission).await.expect("acknowledged").known);
}

#[tokio::test]
async fn blocks_taken_back_come_again_as_others() {
    let world = World::new(&["--faults"]);
    let mut entries = Vec::new();
    for number in 0..7 {
        let (submission, entry) = receipt(number);
        world.submit(submission).await.expect("acknowledged");
        world.until_final(entry.receipt).await;
        entries.push(entry);
    }
    for depth in 1..=6_u64 {
        let before = block(&world, None).await;
        let kept = before.block.height.0 - depth;
        let first = block(&world, Some(kept + 1)).await;
        // A clock that jumps makes the new blocks others, whatever the time of the machine.
        world.fault(Fault::Clock { seconds: format!("{}", depth * 1000) }).await;
        world.fault(Fault::Reorg { depth: Decimal(depth) }).await;
        let (_, height) = world.until_final(entries[6].receipt).await;
        let now = block(&world, Some(kept + 1)).await;
        assert_ne!(now.block.id(), first.block.id(), "depth {depth}");
        let below = if kept == 0 { None } else { Some(block(&world, Some(kept)).await.block) };
        assert!(now.block.follows(below.as_ref()));
        assert_eq!(world.check_proof(&entries[6], Some(height)).await, 6, "the log kept its entries");
        assert_eq!(height, kept + 1, "one block over all that was taken back");
        // Blocks again, so that the next depth can be taken back.
        for number in 0..depth {
            let (submission, entry) = receipt(u128::from(depth * 100 + number));
            world.submit(submission).await.expect("acknowledged");
            world.until_final(entry.receipt).await;
        }
    }
}

#[tokio::test]
async fn a_clock_a_day_off_changes_times_and_nothing_else() {
    let world = World::new(&["--faults"]);
    let mut times = Vec::new();
    for (seconds, number) in [("0", 0), ("86400", 1), ("-86400", 2)] {
        world.fault(Fault::Clock { seconds: seconds.to_owned() }).await;
        let (submission, entry) = receipt(number);
        world.submit(submission).await.expect("acknowledged");
        let (_, height) = world.until_final(entry.receipt).await;
        world.check_proof(&entry, Some(height)).await;
        times.push(block(&world, Some(height)).await.block.time.0);
    }
    let day = 86_400_000;
    assert!(times[1] >= times[0] + day && times[2] < times[0], "{times:?}");
    let wrong = world.call::<serde_json::Value>(Call::Fault(Fault::Clock { seconds: "soon".to_owned() })).await;
    assert!(matches!(wrong, Err(LedgerError::Protocol { fault: ProtocolFault::Parameters, .. })));
}

#[tokio::test]
async fn a_rollback_forgets_what_was_acknowledged_and_the_client_can_see_it() {
    let mut world = World::new(&["--faults"]);
    let (submissions, entries) = receipts(0..6);
    world.submit_batch(submissions.clone()).await;
    let (before, _) = world.published(6).await;
    world.until_final(entries[5].receipt).await;
    world.fault(Fault::Rollback { size: Decimal(2) }).await;
    for restarted in [false, true] {
        if restarted {
            world.restart();
        }
        let info: Info = world.call(Call::Info).await.expect("info");
        assert_eq!(info.size, Decimal(2), "smaller than a head that was shown");
        assert_eq!(world.status(entries[5].receipt).await, Status::Unknown);
        assert_eq!(world.check_proof(&entries[1], None).await, 1);
    }
    // Handed in again in another order they are another log, with which the old head does not agree.
    for submission in submissions.into_iter().rev() {
        world.submit(submission).await.expect("acknowledged");
    }
    let (after, _) = world.published(6).await;
    assert_eq!(after.size, before.size);
    assert_ne!(after.root, before.root);
}
