//! What a ledger or the way to it can do to a client, short of lying.

use std::{
    io::{Read, Write},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use agent_runtime::publisher::{LedgerClient, PublishError};
use receipts::{
    integer::Decimal,
    ledger::{
        outbox::{Standing, State},
        rpc::{Call, DyingPoint, Fault},
    },
};

use crate::world::{
    Ledger, PATIENCE, Sealed, all_credited_once, receipt, receipt_elsewhere, second_receipt, settle, settle_within,
};

#[tokio::test]
async fn each_receipt_is_credited_once_and_its_proof_kept() {
    let ledger = Ledger::start(&[]);
    let home = Sealed::new((10..15).map(receipt).collect()).await;
    let mut publisher = home.publisher(&ledger).await;
    assert!(publisher.is_new());
    settle(&mut publisher).await;
    all_credited_once(&home, &ledger).await;
    // What comes later goes the same way, and what was credited stays as it was.
    let before = home.states().await;
    home.add((20..23).map(receipt).collect()).await;
    settle(&mut publisher).await;
    all_credited_once(&home, &ledger).await;
    assert_eq!(home.states().await[..5], before);
    drop(publisher);
    assert!(!home.publisher(&ledger).await.is_new(), "pinned once");
}

#[tokio::test]
async fn more_than_a_batch_goes_in_several() {
    let ledger = Ledger::start(&[]);
    let home = Sealed::new((1000..1600).map(receipt).collect()).await;
    settle(&mut home.publisher(&ledger).await).await;
    assert!(home.standings().await.iter().all(|standing| *standing == Standing::Credited));
    assert_eq!(home.rows().await.len(), 600);
}

/// As many as a long time without a ledger leaves, on a way that loses and holds up answers, to a ledger that is killed twice.
#[tokio::test]
async fn ten_thousand_that_waited_are_credited_each_once_through_every_kind_of_trouble() {
    const MANY: usize = 10_000;
    let patience = PATIENCE * 10;
    let mut ledger = Ledger::start(&["--faults"]);
    let home = Sealed::new((100_000..100_000 + MANY as u128).map(receipt).collect()).await;
    let mut publisher = home.publisher(&ledger).await;
    for part in [1, 2] {
        let handed_in = async {
            loop {
                match publisher.turn().await {
                    Ok(turn) if turn.counts.queued <= (MANY - part * MANY / 3) as u64 => return,
                    Ok(_turn) => {}
                    Err(error) => assert!(error.may_pass(), "{error}"),
                }
            }
        };
        tokio::time::timeout(patience, handed_in).await.expect("goes on");
        ledger.fault(Fault::DropAnswers { count: Decimal(2) }).await;
        ledger.fault(Fault::Delay { count: Decimal(3), ms: Decimal(100) }).await;
        // Silence, or an answer after all: either way it goes on from what both have on disk.
        drop(publisher.turn().await);
        ledger.kill();
        assert!(publisher.turn().await.is_err_and(|error| error.may_pass()));
        ledger.again();
    }
    settle_within(&mut publisher, patience).await;
    assert_eq!(home.rows().await.len(), MANY);
    all_credited_once(&home, &ledger).await;
}

#[tokio::test]
async fn answers_that_are_lost_or_late_credit_nothing_twice() {
    let ledger = Ledger::start(&["--faults"]);
    let home = Sealed::new((10..20).map(receipt).collect()).await;
    let mut publisher = home.publisher(&ledger).await;
    // The batch is taken, and nobody hears of it.
    ledger.fault(Fault::DropAnswers { count: Decimal(1) }).await;
    let error = publisher.turn().await.expect_err("silence");
    assert!(error.may_pass(), "{error}");
    assert_eq!(home.standings().await, [Standing::Sealed; 10]);
    ledger.fault(Fault::DropAnswers { count: Decimal(3) }).await;
    ledger.fault(Fault::Delay { count: Decimal(4), ms: Decimal(200) }).await;
    settle(&mut publisher).await;
    all_credited_once(&home, &ledger).await;
}

#[tokio::test]
async fn a_ledger_that_dies_anywhere_gets_everything_once_it_is_back() {
    for point in
        [DyingPoint::BeforeCommit, DyingPoint::AfterCommit, DyingPoint::BeforePublish, DyingPoint::AfterPublish]
    {
        let (mut ledger, _witness) = Ledger::witnessed(&["--faults"]);
        let home = Sealed::new((10..14).map(receipt).collect()).await;
        let mut publisher = home.publisher(&ledger).await;
        ledger.fault(Fault::Die { point }).await;
        let dying = async { while publisher.turn().await.is_ok() {} };
        tokio::time::timeout(PATIENCE, dying).await.expect("dies");
        ledger.gone();
        let error = publisher.turn().await.expect_err("nobody there");
        assert!(error.may_pass(), "{error}");
        ledger.again();
        settle(&mut publisher).await;
        all_credited_once(&home, &ledger).await;
    }
}

#[tokio::test]
async fn a_receipt_that_is_not_taken_does_not_hold_up_the_others() {
    let ledger = Ledger::start(&[]);
    let mut rows = vec![receipt(10), receipt_elsewhere(11), receipt(12), receipt(13)];
    // Bytes that are no bundle, and the bundle of another receipt.
    rows[0].bundle.truncate(9);
    let other = receipt(14).bundle;
    rows[2].bundle = other;
    let home = Sealed::new(rows).await;
    settle(&mut home.publisher(&ledger).await).await;
    let states = home.states().await;
    let code = |state: &State| match state {
        State::Refused { code } => code.clone(),
        other => format!("{other:?}"),
    };
    assert_eq!((code(&states[0]), code(&states[2])), ("unreadable".to_owned(), "unreadable".to_owned()));
    assert_eq!(code(&states[1]), "network");
    assert_eq!(states[3].standing(), Standing::Credited);
    // Handed in once more, it is refused once more.
    assert!(home.journal.requeue_refused().await.expect("queued") >= 2);
    settle(&mut home.publisher(&ledger).await).await;
    assert_eq!(code(&home.states().await[1]), "network");
}

#[tokio::test]
async fn of_two_receipts_for_the_same_work_one_is_credited_and_the_other_is_in_conflict() {
    let ledger = Ledger::start(&[]);
    let (first, second) = (Sealed::new(vec![receipt(10)]).await, Sealed::new(vec![second_receipt(10)]).await);
    settle(&mut first.publisher(&ledger).await).await;
    settle(&mut second.publisher(&ledger).await).await;
    let credited = first.rows().await[0].receipt_id;
    assert_eq!(second.states().await, [State::Conflict { credited }]);
    assert_eq!(first.standings().await, [Standing::Credited]);
    // Both are kept there as evidence.
    assert_eq!(ledger.credited(first.rows().await[0].nullifier).await, (Some(credited), 2));
}

/// A server of one answer, and how often it was asked.
fn server(answer: impl Fn(&mut std::net::TcpStream) + Send + 'static) -> (String, Arc<AtomicUsize>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    std::thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            count.fetch_add(1, Ordering::SeqCst);
            let mut head = [0; 4096];
            // Whatever is asked.
            let _read = connection.read(&mut head).unwrap_or(0);
            answer(&mut connection);
        }
    });
    (url, asked)
}

#[tokio::test]
async fn who_stands_before_a_ledger_can_neither_send_it_elsewhere_nor_fill_memory() {
    let (elsewhere, asked) = server(|_connection| {});
    let (url, _) = server(move |connection| {
        let answer = format!("HTTP/1.1 307 Elsewhere\r\nlocation: {elsewhere}\r\ncontent-length: 0\r\n\r\n");
        // Who hung up has heard enough.
        drop(connection.write_all(answer.as_bytes()));
    });
    let info = |url: String| async move {
        let client = LedgerClient::new(&url).expect("an address");
        client.ask::<serde_json::Value>(&Call::Info).await.expect_err("no ledger").to_string()
    };
    let said = info(url).await;
    assert!(said.contains("status 307"), "{said}");
    assert_eq!(asked.load(Ordering::SeqCst), 0, "a redirect was followed");
    let (endless, _) = server(|connection| {
        let mut open = connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n").is_ok();
        while open {
            open = connection.write_all(&[b' '; 65_536]).is_ok();
        }
    });
    let said = info(endless).await;
    assert!(said.contains("longer than"), "{said}");
}

#[tokio::test]
async fn a_home_has_one_publisher() {
    let ledger = Ledger::start(&[]);
    let home = Sealed::new(vec![receipt(10)]).await;
    let publisher = home.publisher(&ledger).await;
    let second = home.open(home.way(&ledger)).await;
    assert!(matches!(second, Err(PublishError::Taken)), "{second:?}");
    drop(publisher);
    settle(&mut home.publisher(&ledger).await).await;
}

#[tokio::test]
async fn a_clock_that_is_a_day_off_changes_nothing() {
    let ledger = Ledger::start(&["--faults"]);
    let home = Sealed::new(vec![receipt(10)]).await;
    let mut publisher = home.publisher(&ledger).await;
    for (seconds, number) in [("-86400", 20), ("86400", 21)] {
        ledger.fault(Fault::Clock { seconds: seconds.to_owned() }).await;
        home.add(vec![receipt(number)]).await;
        settle(&mut publisher).await;
    }
    all_credited_once(&home, &ledger).await;
}
