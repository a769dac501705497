//! What a watch takes, beside what nobody can do without: facts through all rules beside reading the same facts from JSON, and
//! contents looked through beside their digest.

use common_ground::{
    AttemptNumber, Epoch, Fact, Millis, ModuleId, RunId, StepIndex,
    budget::Amount,
    module::{CallKind, CallOutcome, Owner, Usage},
};
use divan::{
    Bencher, black_box,
    counter::{BytesCount, ItemsCount},
};
use guardian::{
    Contents, Seen, Watch,
    scan::{For, Scanner},
    sentinels::Thresholds,
};
use receipts::Digest;
use uuid::Uuid;

fn main() {
    if std::env::args().any(|argument| argument == "--memory") {
        return memory();
    }
    divan::main();
}

const MODULES: u64 = 50;

/// The fact at a place of a long run: calls that begin and end, in many modules and attempts, never quite the same.
fn fact(seq: u64) -> Fact {
    let module = ModuleId(Uuid::from_u128(u128::from(seq / 2 % MODULES)));
    let owner = Owner::Attempt { module, attempt: AttemptNumber((seq / 100_000) as u32), epoch: Epoch(seq / 100_000) };
    let step = StepIndex((seq / (2 * MODULES)) as u32);
    let mut name = [0; 32];
    name[..8].copy_from_slice(&(seq / 2).to_be_bytes());
    if seq.is_multiple_of(2) {
        let call = CallKind::Tool {
            tool: "commons_search".to_owned(),
            tool_digest: Digest(name),
            idempotent: true,
            needs: Vec::new(),
            refused: false,
        };
        let reserved = Amount { tokens: 0, cost_micro: 0, tool_calls: 1 };
        return Fact::StepStarted { owner, step, call, request: Digest(name), reserved };
    }
    let usage = Usage { tool_calls: 1, wall_ms: 3, ..Usage::default() };
    Fact::StepFinished { owner, step, outcome: CallOutcome::Done, response: Digest(name), usage, traced: None }
}

const FACTS: u64 = 100_000;

fn watch() -> Watch {
    Watch::new(Thresholds::default()).expect("automata")
}

fn look(watch: &mut Watch, seq: u64, fact: &Fact, contents: &Contents) -> usize {
    let run = RunId(Uuid::from_u128(u128::from(seq % 8)));
    watch.assess(Seen { run, seq, at: Millis(seq * 40), fact, contents }).len()
}

#[divan::bench(sample_count = 10)]
fn facts_through_all_rules(bencher: Bencher) {
    let facts: Vec<Fact> = (0..FACTS).map(fact).collect();
    let contents = Contents::default();
    bencher.counter(ItemsCount::new(FACTS)).with_inputs(watch).bench_local_values(|mut watch| {
        facts.iter().zip(0..).map(|(fact, seq)| look(&mut watch, seq, fact, &contents)).sum::<usize>()
    });
}

#[divan::bench(sample_count = 10)]
fn the_same_facts_read_from_json(bencher: Bencher) {
    let facts: Vec<String> = (0..FACTS).map(|seq| serde_json::to_string(&fact(seq)).expect("encodes")).collect();
    bencher.counter(ItemsCount::new(FACTS)).bench_local(|| {
        facts
            .iter()
            .map(|text| serde_json::from_str::<Fact>(text).expect("a fact").attempt().is_some())
            .filter(|is| *is)
            .count()
    });
}

/// Eight MiB of prose, numbers and code, as tools return it.
fn content() -> Vec<u8> {
    let paragraph = "The harbour was built in 1871 by people from over the hills; for 40 years it carried timber (Smith 2019, \
        p. 12). See https://example.org/harbour?id=4111 and fn main() { println!(\"{}\", 3.14159); } AKIA is a beginning.\n";
    paragraph.bytes().cycle().take(8 << 20).collect()
}

fn scanned(bencher: Bencher, what: For) {
    let (scanner, content) = (Scanner::new().expect("automata"), content());
    bencher.counter(BytesCount::new(content.len())).bench_local(|| scanner.whole(what, black_box(&content)).len());
}

#[divan::bench(sample_count = 10)]
fn contents_for_secrets_and_personal_data(bencher: Bencher) {
    scanned(bencher, For::Leaks);
}

#[divan::bench(sample_count = 10)]
fn contents_for_orders_to_a_model(bencher: Bencher) {
    scanned(bencher, For::Orders);
}

#[divan::bench(sample_count = 10)]
fn the_same_contents_digest(bencher: Bencher) {
    let content = content();
    bencher.counter(BytesCount::new(content.len())).bench_local(|| Digest::of(black_box(&content)));
}

/// Memory of this process after more and more facts, in KiB: `cargo bench -p guardian -- --memory`.
fn memory() {
    let mut watch = watch();
    let contents = Contents::default();
    let mut said = 0;
    for seq in 0..10_000_000_u64 {
        said += look(&mut watch, seq, &fact(seq), &contents);
        if [100_000, 1_000_000, 10_000_000].contains(&(seq + 1)) {
            let status = std::fs::read_to_string("/proc/self/status").expect("a status");
            let line = status.lines().find(|line| line.starts_with("VmRSS")).expect("its memory");
            println!("{} facts: {line}, {said} concerns", seq + 1);
        }
    }
}
