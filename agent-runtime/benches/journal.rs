//! What an append costs beside a bare one-row SQLite commit with the same settings. `cargo bench -p agent-runtime --bench journal`.

use std::path::Path;
use std::time::{Duration, Instant};

use agent_runtime::home::Home;
use agent_runtime::journal::{Batch, Blob, FactRow, Journal};
use common_ground::RunId;
use receipts::Digest;
use sqlx::ConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use uuid::Uuid;

const ROUNDS: u64 = 1_000;

fn hex(seed: u64) -> Vec<u8> {
    let mut text = String::new();
    for n in 0..64u64 {
        text.push_str(&Digest::of(&[seed.to_be_bytes(), n.to_be_bytes()].concat()).to_string());
    }
    text.into_bytes()
}

fn batch(run: RunId, first_seq: u64, facts: u64, blobs: u64) -> Batch {
    let body = |seq: u64| format!("{{\"fact\":\"step\",\"seq\":{seq},\"pad\":\"{}\"}}", "x".repeat(150)).into_bytes();
    let facts = (0..facts).map(|n| FactRow { attempt: None, at_ms: 1, body: body(first_seq + n) }).collect();
    let content = |n: u64| {
        let bytes = hex(first_seq * 1_000 + n);
        Blob { digest: Digest::of(&bytes), bytes }
    };
    Batch { facts, blobs: (0..blobs).map(content).collect(), ..Batch::new(run, 1, first_seq) }
}

async fn bare(path: &Path) -> SqliteConnection {
    let mut connection = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .connect()
        .await
        .expect("connected");
    sqlx::raw_sql("CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB)").execute(&mut connection).await.expect("table");
    connection
}

fn report(name: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |part: usize| times[(times.len() - 1) * part / 100].as_secs_f64() * 1e6;
    println!("{name:<42} p50 {:>7.0} us   p95 {:>7.0} us", at(50), at(95));
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // In a task, as drivers run: the main thread is no worker and would pay two more thread switches per call.
    tokio::spawn(measure()).await.expect("measured");
}

async fn measure() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let mut connection = bare(&dir.path().join("bare.sqlite")).await;
    let journal = Journal::open(Home::at(dir.path().join("home")), Uuid::from_u128(1)).await.expect("opened");
    let run = |n: u128| RunId(Uuid::from_u128(n));
    for n in 1..=40 {
        journal.acquire(run(n), 0, 1).await.expect("acquired");
    }
    let (mut plain, mut one, mut three) = (Vec::new(), Vec::new(), Vec::new());
    // Interleaved, so that a slow moment of the disk falls on all alike.
    for round in 0..ROUNDS {
        let start = Instant::now();
        sqlx::query("INSERT INTO t (body) VALUES (?)")
            .bind(vec![1u8; 180])
            .execute(&mut connection)
            .await
            .expect("row");
        plain.push(start.elapsed());
        let next = batch(run(1), round + 1, 1, 0);
        let start = Instant::now();
        journal.append(next).await.expect("appended");
        one.push(start.elapsed());
        let next = batch(run(2), round * 3 + 1, 3, 2);
        let start = Instant::now();
        journal.append(next).await.expect("appended");
        three.push(start.elapsed());
    }
    report("bare one-row commit", plain);
    report("append, 1 fact", one);
    report("append, 3 facts + 2 contents of 4 KiB", three);
    let mut bulk = Vec::new();
    for round in 0..40 {
        let next = batch(run(3), round * 500 + 1, 500, 0);
        let start = Instant::now();
        journal.append(next).await.expect("appended");
        bulk.push(start.elapsed());
    }
    report("append, 500 facts", bulk);
    let start = Instant::now();
    for seq in 1..=50 {
        let together = (8..=39).map(|n| journal.append(batch(run(n), seq, 1, 0)));
        for answer in futures_util::future::join_all(together).await {
            answer.expect("appended");
        }
    }
    println!("32 runs at once: {:.0} appends/s", 1_600.0 / start.elapsed().as_secs_f64());
    let start = Instant::now();
    let facts = journal.reader().load(run(3)).await.expect("loaded").len();
    println!("load of {facts} facts, chain verified: {:.0} ms", start.elapsed().as_secs_f64() * 1e3);
    journal.close().await.expect("closed");
}
