//! What a receipt costs a ledger as its log grows, by handing in each of them over HTTP, and what a proof costs then:
//! `cargo bench -p ii-ledger --bench growth`; `II_BENCH_SIZES=10000,100000,1000000` says where to look. One line of JSON for each
//! size goes to `II_BENCH_OUT`, where that names a file; `scripts/draw-growth.py` draws it.
//!
//! Receipts are sealed in turns with handing in, so that a million need no memory; only the handing in is timed.

mod common;

use std::{
    io::Write,
    time::{Duration, Instant},
};

use common::{LIMIT, Program, request};
use ledger::ask;
use receipts::{
    Digest,
    integer::Decimal,
    ledger::rpc::{Between, Call, Consistency, MOST_IN_BATCH, Proof, ProofAt, Submitted, read_answer},
};
use serde::de::DeserializeOwned;

/// The last batches before a size are those that are looked at.
const LOOKED_AT: usize = 30;
/// Proofs of each kind at each size.
const PROOFS: u64 = 200;

/// Requests for these receipts, sealed on both processors.
fn requests(from: usize, to: usize) -> Vec<bytes::Bytes> {
    let starts: Vec<usize> = (from..to).step_by(MOST_IN_BATCH).collect();
    let request = |start: &usize| request(*start..(start + MOST_IN_BATCH).min(to));
    let (one, other) = starts.split_at(starts.len() / 2);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| other.iter().map(request).collect::<Vec<_>>());
        let mut all: Vec<_> = one.iter().map(request).collect();
        all.extend(other.join().expect("sealed"));
        all
    })
}

async fn asked<T: DeserializeOwned>(url: &str, request: bytes::Bytes) -> (Duration, T) {
    let began = Instant::now();
    let answer = ask::post(url, "application/json", request, LIMIT).await.expect("an answer");
    let took = began.elapsed();
    (took, read_answer(&answer.body).expect("what was asked for"))
}

fn quantile(times: &mut [Duration], part: f64) -> f64 {
    times.sort();
    times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3
}

/// What a process holds in memory, in MiB; nothing where the system does not tell.
fn memory(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? / 1024)
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let sizes = std::env::var("II_BENCH_SIZES").unwrap_or_else(|_unset| "10000,100000".to_owned());
    let sizes: Vec<usize> = sizes.split(',').map(|size| size.parse().expect("a number")).collect();
    let folder = tempfile::tempdir().expect("a folder");
    let program = Program::start(folder.path());
    let mut out = std::env::var("II_BENCH_OUT").ok().map(|path| std::fs::File::create(path).expect("a file"));
    let mut there = 0;
    let mut receipts: Vec<Digest> = Vec::new();
    for size in sizes {
        let (mut times, mut handing_in) = (Vec::new(), Duration::ZERO);
        let before = there;
        while there < size {
            let next = (there + 64 * MOST_IN_BATCH).min(size);
            for request in requests(there, next) {
                let (took, told): (_, Vec<Submitted>) = asked(&program.url, request).await;
                handing_in += took;
                // A batch that is not whole says nothing about whole ones.
                if told.len() == MOST_IN_BATCH {
                    times.push(took);
                }
                receipts.extend(told.into_iter().map(|told| match told {
                    Submitted::Acknowledged(new) if !new.known => new.receipt,
                    other => panic!("{other:?}"),
                }));
            }
            there = next;
            eprint!("\r{there} of {size} ");
        }
        eprintln!();
        let rate = (size - before) as f64 / handing_in.as_secs_f64();
        let mut last = times.split_off(times.len().saturating_sub(LOOKED_AT));
        let (mut inclusion, mut consistency) = (Vec::new(), Vec::new());
        let (mut hashes, mut extension) = (0, 0);
        for number in 0..PROOFS {
            let at = (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % size as u64) as usize;
            let call = Call::Proof(ProofAt { receipt: receipts[at], height: None });
            let (took, proof): (_, Proof) = asked(&program.url, call.to_json(1).into()).await;
            inclusion.push(took);
            hashes = hashes.max(proof.proof.lines().count());
            let call = Call::Consistency(Between { old: Decimal(at as u64 + 1), new: None });
            let (took, proof): (_, Consistency) = asked(&program.url, call.to_json(1).into()).await;
            consistency.push(took);
            extension = extension.max(proof.hashes.len());
        }
        let told = serde_json::json!({
            "size": size, "receipts_per_second": rate.round(), "memory_mib": memory(program.id()),
            "batch_p50_ms": quantile(&mut last, 0.5), "batch_p99_ms": quantile(&mut last, 0.99),
            "inclusion_p50_ms": quantile(&mut inclusion, 0.5), "inclusion_p99_ms": quantile(&mut inclusion, 0.99),
            "inclusion_lines": hashes,
            "consistency_p50_ms": quantile(&mut consistency, 0.5), "consistency_hashes": extension,
        });
        println!("{told}");
        if let Some(out) = &mut out {
            writeln!(out, "{told}").expect("written");
        }
    }
}
