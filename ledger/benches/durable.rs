//! How many sealed receipts a second a ledger takes durably, in batches of 256 with every check on; and beside it what cannot
//! be done without: the signatures to verify, and flushing to disk. `cargo bench -p ii-ledger`.
//!
//! The ledger is a process of its own over HTTP, in a fresh folder each round; who hands in shares its processors. Receipts
//! are sealed and written as requests beforehand.

mod common;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use common::{LIMIT, Program, request};
use ledger::ask;
use receipts::{
    keys::{SigningKey, verify},
    ledger::rpc::{MOST_IN_BATCH, Submitted, read_answer},
};
use sqlx::ConnectOptions;

const BATCHES: usize = 64;
const ROUNDS: usize = 5;
/// Signatures to verify of each receipt: associate, node, tree head and verdict. Delegations are remembered.
const SIGNATURES: u32 = 4;

fn requests() -> Vec<bytes::Bytes> {
    (0..BATCHES).map(|number| request(number * MOST_IN_BATCH..(number + 1) * MOST_IN_BATCH)).collect()
}

/// What a round shows.
struct Round {
    /// Receipts a second.
    rate: f64,
    /// The time of each batch.
    times: Vec<Duration>,
    /// The ledger's processor time for a receipt, in microseconds; it does not grow when others use the machine.
    worked: f64,
}

/// Processor time of a process in seconds, its threads together, by the kernel's clock of 100 ticks a second.
fn worked(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // Behind the name, which may hold anything, user and system time are the 12th and 13th field.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    fields.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// With so many batches under way at once.
async fn round(requests: &[bytes::Bytes], at_once: usize) -> Round {
    let folder = tempfile::tempdir().expect("a folder");
    let program = Program::start(folder.path());
    let queue = Arc::new(std::sync::Mutex::new(requests.to_vec()));
    let began = Instant::now();
    let hands = (0..at_once).map(|_| {
        let (queue, url) = (Arc::clone(&queue), program.url.clone());
        tokio::spawn(async move {
            let mut times = Vec::new();
            loop {
                let Some(request) = queue.lock().expect("a lock").pop() else { return times };
                let began = Instant::now();
                let answer = ask::post(&url, "application/json", request, LIMIT).await.expect("an answer");
                times.push(began.elapsed());
                let told: Vec<Submitted> = read_answer(&answer.body).expect("answers");
                assert!(told.iter().all(|told| matches!(told, Submitted::Acknowledged(new) if !new.known)));
            }
        })
    });
    let mut times = Vec::new();
    for hand in hands.collect::<Vec<_>>() {
        times.extend(hand.await.expect("ends"));
    }
    let receipts = (requests.len() * MOST_IN_BATCH) as f64;
    let rate = receipts / began.elapsed().as_secs_f64();
    Round { rate, times, worked: worked(program.id()) * 1e6 / receipts }
}

/// The time of one strict verification, on one processor.
fn one_verification() -> Duration {
    let key = SigningKey::from_seed(&[1; 32]);
    let message = [7; 3000];
    let (public, signature) = (key.public(), key.sign(&message));
    let began = Instant::now();
    for _ in 0..2000 {
        verify(&public, std::hint::black_box(&message), &signature).expect("verifies");
    }
    began.elapsed() / 2000
}

/// The time of one durable row in bare SQLite, as the ledger sets it up.
async fn one_flush() -> Duration {
    let folder = tempfile::tempdir().expect("a folder");
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(folder.path().join("floor.sqlite"))
        .create_if_missing(true)
        .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal)
        .synchronous(sqlx::sqlite::SqliteSynchronous::Full);
    let mut connection = options.connect().await.expect("opens");
    sqlx::query("CREATE TABLE row (value BLOB)").execute(&mut connection).await.expect("makes");
    let began = Instant::now();
    for _ in 0..100 {
        sqlx::query("INSERT INTO row VALUES (zeroblob(64))").execute(&mut connection).await.expect("stores");
    }
    began.elapsed() / 100
}

fn middle<T: Copy + PartialOrd>(values: &mut [T]) -> T {
    values.sort_by(|one, other| one.partial_cmp(other).expect("ordered"));
    values[values.len() / 2]
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let requests = requests();
    let size = requests[0].len() / MOST_IN_BATCH;
    println!("{} receipts of {size} bytes a round, {ROUNDS} rounds, in turns", BATCHES * MOST_IN_BATCH);
    let (mut verifications, mut flushes) = (Vec::new(), Vec::new());
    let ways = [1, 2, 4];
    let mut rates = vec![Vec::new(); ways.len()];
    let mut times = vec![Vec::new(); ways.len()];
    let mut work = vec![Vec::new(); ways.len()];
    for _ in 0..ROUNDS {
        verifications.push(one_verification());
        flushes.push(one_flush().await);
        for (at, at_once) in ways.iter().enumerate() {
            let round = round(&requests, *at_once).await;
            rates[at].push(round.rate);
            times[at].extend(round.times);
            work[at].push(round.worked);
        }
    }
    let verification = middle(&mut verifications);
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let ceiling = processors as f64 / (verification * SIGNATURES).as_secs_f64();
    println!("floor: one durable row in SQLite {:.2} ms", middle(&mut flushes).as_secs_f64() * 1e3);
    println!(
        "floor: one strict verification {:.1} µs; {SIGNATURES} a receipt on {processors} processors: {ceiling:.0} receipts/s",
        verification.as_secs_f64() * 1e6
    );
    for (at, at_once) in ways.iter().enumerate() {
        let rate = middle(&mut rates[at]);
        times[at].sort();
        let quantile = |part: f64| times[at][((times[at].len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3;
        println!(
            "{at_once} batches at once: {rate:.0} receipts/s ({:.0} % of that), a batch p50 {:.1} ms, p99 {:.1} ms; {:.0} µs of processor time a receipt",
            100.0 * rate / ceiling,
            quantile(0.5),
            quantile(0.99),
            middle(&mut work[at])
        );
    }
}
