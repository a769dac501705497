//! How long a backlog of sealed receipts takes to be credited, each with its proof kept, and beside it how long the ledger takes the
//! same receipts where nobody keeps anything: `cargo bench --bench drain`. `II_BENCH_RECEIPTS` says how many.
//!
//! The ledger is a process of its own over HTTP, in a fresh folder each round; the publisher is the one that `ii receipts submit`
//! runs. Both share the processors.

#[path = "../receipts/tests/common/mod.rs"]
mod sealing;
#[allow(dead_code)]
#[path = "../tests/publishing/world.rs"]
mod world;

use std::time::{Duration, Instant};

use agent_runtime::{journal::ReceiptRow, signer::read_bundle};
use receipts::{
    ledger::{
        rpc::{Call, MOST_IN_BATCH, SubmitBatch, Submitted},
        submission::Submission,
    },
    note::vkey,
};
use world::{Ledger, Sealed, all_credited_once, receipt};

const ROUNDS: usize = 3;
/// How long the publisher lets the ledger think when it has nothing to show, in milliseconds.
const BEAT_MS: u64 = 1_000;

/// Until all are handed in, and until all are credited.
async fn drained(backlog: Vec<ReceiptRow>) -> (Duration, Duration) {
    let ledger = Ledger::start(&[]);
    let home = Sealed::new(backlog).await;
    let mut publisher = home.publisher(&ledger).await;
    let began = Instant::now();
    let mut handed_in = None;
    loop {
        let turn = publisher.turn().await.expect("goes on");
        if turn.counts.queued == 0 {
            handed_in.get_or_insert_with(|| began.elapsed());
        }
        if turn.counts.under_way() == 0 {
            break;
        }
        if turn.answered == 0 && turn.proved == 0 {
            publisher.wait_for_head(BEAT_MS).await.expect("a head");
        }
    }
    let credited = began.elapsed();
    all_credited_once(&home, &ledger).await;
    (handed_in.expect("all are"), credited)
}

/// One batch after the other, from memory.
async fn handed_in(backlog: &[ReceiptRow]) -> Duration {
    let ledger = Ledger::start(&[]);
    let log = vkey(&sealing::keys().log.public());
    let submission =
        |row: &ReceiptRow| Submission::from_bundle(&read_bundle(&row.bundle).expect("reads"), &log).expect("all files");
    let batch =
        |rows: &[ReceiptRow]| Call::SubmitBatch(SubmitBatch { submissions: rows.iter().map(submission).collect() });
    let calls: Vec<Call> = backlog.chunks(MOST_IN_BATCH).map(batch).collect();
    let client = ledger.client();
    let began = Instant::now();
    for call in &calls {
        let answers: Vec<Submitted> = client.ask(call).await.expect("an answer");
        assert!(answers.iter().all(|answer| matches!(answer, Submitted::Acknowledged(new) if !new.known)));
    }
    began.elapsed()
}

#[tokio::main]
async fn main() {
    let many = std::env::var("II_BENCH_RECEIPTS").map_or(10_000, |many| many.parse().expect("a number"));
    let backlog: Vec<ReceiptRow> = (1..=many).map(receipt).collect();
    let rate = |time: Duration| backlog.len() as f64 / time.as_secs_f64();
    for _ in 0..ROUNDS {
        let plain = handed_in(&backlog).await;
        let (handed, credited) = drained(backlog.clone()).await;
        println!(
            "{} receipts: credited at {:.0}/s, in {:.1} s; handed in at {:.0}/s; the ledger alone takes {:.0}/s: {:.0} % of it",
            backlog.len(),
            rate(credited),
            credited.as_secs_f64(),
            rate(handed),
            rate(plain),
            100.0 * plain.as_secs_f64() / credited.as_secs_f64(),
        );
    }
}
