//! A ledger that lies, goes back or is another: nothing of it is believed, and what shows it is kept.

use agent_runtime::{
    journal::{Journal, Reader},
    publisher::{Contradiction, OtherLedger, Pinned, PinnedLedger, PublishError, Publisher, Repin},
};
use receipts::{
    Digest,
    integer::Decimal,
    ledger::{
        outbox::{Standing, State},
        rpc::Fault,
        trusted::HeadError,
    },
};

use crate::world::{Ledger, PATIENCE, Sealed, all_credited_once, receipt, settle};

fn log_of(publisher: &Publisher) -> Pinned {
    match publisher.pinned() {
        PinnedLedger::Log(pinned) => pinned,
        PinnedLedger::Chain(pinned) => panic!("{pinned:?}"),
    }
}

async fn contradictions(journal: &Journal) -> Vec<Contradiction> {
    let bodies = Reader::contradictions(journal.reader()).await.expect("read");
    bodies.iter().map(|body| serde_json::from_slice(body).expect("reads")).collect()
}

/// Turns until one fails.
async fn failing(publisher: &mut Publisher) -> PublishError {
    let failing = async {
        loop {
            if let Err(error) = publisher.turn().await {
                return error;
            }
        }
    };
    tokio::time::timeout(PATIENCE, failing).await.expect("fails")
}

#[tokio::test]
async fn two_heads_of_one_size_are_kept_as_evidence_and_the_second_is_not_taken() {
    let ledger = Ledger::start(&["--faults"]);
    let home = Sealed::new((10..13).map(receipt).collect()).await;
    let mut publisher = home.publisher(&ledger).await;
    settle(&mut publisher).await;
    let before = (home.states().await, home.journal.reader().ledger().await.expect("read"));
    ledger.fault(Fault::Equivocate).await;
    let error = failing(&mut publisher).await;
    assert!(matches!(error, PublishError::Head(HeadError::Forked { size: 3 })), "{error}");
    assert_eq!((home.states().await, home.journal.reader().ledger().await.expect("read")), before);
    let found = contradictions(&home.journal).await;
    let [Contradiction::Heads { one, other }] = found.as_slice() else { panic!("{found:?}") };
    // Anybody with the log's key sees that it signed both.
    let trusted = log_of(&publisher).ledger;
    let (one, other) = (trusted.open(one).expect("signed"), trusted.open(other).expect("signed"));
    assert!(one.size == other.size && one.root != other.root && one.origin == other.origin);
    // Asked again it is the same evidence, once; healed, it goes on.
    failing(&mut publisher).await;
    assert_eq!(contradictions(&home.journal).await.len(), 1);
    ledger.fault(Fault::Heal).await;
    home.add(vec![receipt(20)]).await;
    settle(&mut publisher).await;
    all_credited_once(&home, &ledger).await;
}

#[tokio::test]
async fn a_log_that_goes_back_is_not_followed() {
    let ledger = Ledger::start(&["--faults"]);
    let home = Sealed::new((10..14).map(receipt).collect()).await;
    let mut publisher = home.publisher(&ledger).await;
    settle(&mut publisher).await;
    ledger.fault(Fault::Rollback { size: Decimal(1) }).await;
    let error = failing(&mut publisher).await;
    assert!(matches!(error, PublishError::Head(HeadError::Smaller { known: 4, shown: 1 })), "{error}");
    // Grown again with other entries, it is another history.
    let stranger = Sealed::new((30..36).map(receipt).collect()).await;
    settle(&mut stranger.publisher(&ledger).await).await;
    let error = failing(&mut publisher).await;
    assert!(matches!(error, PublishError::Head(HeadError::Inconsistent { known: 4, shown: 7 })), "{error}");
    assert_eq!(home.standings().await, [Standing::Credited; 4], "what was proved stays proved");
}

#[tokio::test]
async fn blocks_that_are_taken_back_take_the_credit_back_until_it_is_there_again() {
    for depth in 1..=6 {
        let ledger = Ledger::start(&["--faults"]);
        let home = Sealed::new(vec![receipt(10)]).await;
        let mut publisher = home.publisher(&ledger).await;
        settle(&mut publisher).await;
        for number in 11..17 {
            home.add(vec![receipt(number)]).await;
            settle(&mut publisher).await;
        }
        let before = home.states().await;
        let heights = |states: &[State]| -> Vec<u64> {
            let height = |state: &State| match state {
                State::Final { height, .. } => height.0,
                _other => 0,
            };
            states.iter().map(height).collect()
        };
        assert_eq!(heights(&before), [1, 2, 3, 4, 5, 6, 7]);
        ledger.fault(Fault::Reorg { depth: Decimal(depth) }).await;
        // In the same place now stands another block, or none yet: either way the credit is gone for a while.
        let mut seen = false;
        let following = async {
            loop {
                let turned = publisher.turn().await;
                let now = home.states().await;
                seen |= now[6].standing() == Standing::Logged || !contradictions(&home.journal).await.is_empty();
                if turned.is_ok_and(|turn| turn.counts.under_way() == 0) && seen {
                    return;
                }
            }
        };
        tokio::time::timeout(PATIENCE, following).await.expect("follows");
        let after = home.states().await;
        let kept = 7 - usize::try_from(depth).expect("small");
        assert_eq!(after[..kept], before[..kept], "what lies under blocks that stayed");
        all_credited_once(&home, &ledger).await;
    }
}

#[tokio::test]
async fn another_ledger_or_network_is_refused_until_the_person_says_so() {
    let (one, other) = (Ledger::start(&[]), Ledger::start(&[]));
    let home = Sealed::new((10..12).map(receipt).collect()).await;
    settle(&mut home.publisher(&one).await).await;
    let found = home.open(home.way(&other)).await;
    assert!(matches!(found, Err(PublishError::Other(OtherLedger::Log { .. }))), "{found:?}");
    let key = |vkey: &str| agent_runtime::publisher::Way { key: Some(vkey.to_owned()), ..home.way(&one) };
    let wanted = log_of(&home.publisher(&one).await).ledger.vkey;
    assert!(home.open(key(&wanted)).await.is_ok());
    let found = home.open(key("ii-0000000000000000+00000000+AAAA")).await;
    assert!(matches!(found, Err(PublishError::Other(OtherLedger::Log { .. }))), "{found:?}");
    let mut elsewhere = home.way(&one);
    elsewhere.network = Digest([1; 32]);
    let found = home.open(elsewhere).await;
    assert!(matches!(found, Err(PublishError::Other(OtherLedger::Network { .. }))), "{found:?}");
    assert_eq!(home.standings().await, [Standing::Credited; 2], "nothing changed by that");
    let mut way = home.way(&other);
    way.repin = Repin::Asked;
    let mut publisher = home.open(way).await.expect("taken");
    assert_eq!(home.standings().await, [Standing::Sealed; 2], "its word is nothing to another");
    settle(&mut publisher).await;
    all_credited_once(&home, &other).await;
}
