//! `ii receipts status`: where receipts are on their way to a ledger.

use agent_runtime::{
    journal::{LedgerRow, OutboxCounts, OutboxRow, ReceiptOf},
    publisher::{Contradiction, PinnedLedger},
};
use receipts::{bitcoin::record::Record, ledger::outbox::State};
use serde_json::{Value, json};

use super::super::{Program, print_json, runs};
use crate::{
    exit::{Exit, Failure},
    failures::from_journal,
};

/// Arguments of `ii receipts status`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run's id, or its beginning; without one all receipts, those of ingests with them.
    run: Option<String>,
}

/// Receipts shown in words without a run named; the rest is counted.
const SHOWN: usize = 20;

/// Runs the command.
pub(super) async fn run(args: Args, program: &Program) -> Result<Exit, Failure> {
    let named = match &args.run {
        Some(text) => Some(runs::find(program, text).await?.1),
        None => None,
    };
    let Some(reader) = runs::reader(program) else {
        if program.json {
            print_json(&json!({"ledger": null, "receipts": [], "contradictions": []}));
        } else {
            eprintln!("ii: no receipts yet; they are made for accepted modules and for ingests");
        }
        return Ok(Exit::Completed);
    };
    let lift = |error| from_journal(&error);
    let rows = reader.outbox_of(named).await.map_err(lift)?;
    let ledger = reader.ledger().await.map_err(lift)?;
    let contradictions = reader.contradictions().await.map_err(lift)?;
    let counts = reader.outbox().await.map_err(lift)?;
    if program.json {
        let ledger = ledger.as_ref().map(|ledger| {
            let pinned = serde_json::from_slice::<Value>(&ledger.pinned).unwrap_or(Value::Null);
            json!({"url": ledger.url, "pinned": pinned, "head": ledger.head, "tip": Chain::of(ledger).map(|chain| chain.tip)})
        });
        let receipts: Vec<Value> = rows.iter().map(row_json).collect();
        let contradictions: Vec<Value> =
            contradictions.iter().filter_map(|body| serde_json::from_slice(body).ok()).collect();
        print_json(&json!({"ledger": ledger, "receipts": receipts, "contradictions": contradictions}));
        return Ok(if contradictions.is_empty() { Exit::Completed } else { Exit::Ledger });
    }
    match &ledger {
        Some(ledger) => {
            let name = serde_json::from_slice(&ledger.pinned).map(|pinned| name(&pinned));
            println!("ledger   {} at {}", name.unwrap_or_default(), ledger.url);
        }
        None => println!("ledger   none; `ii receipts submit --ledger URL` hands receipts in"),
    }
    let chain = ledger.as_ref().and_then(Chain::of);
    let first = if named.is_some() { 0 } else { rows.len().saturating_sub(SHOWN) };
    for row in &rows[first..] {
        println!("{:<8} {}  {}", row.state.standing().as_str(), whose(&row.of), more(&row.state, chain));
    }
    if named.is_none() {
        println!("{}", sum(&counts));
    }
    for body in &contradictions {
        println!("CONTRADICTION  {}", contradiction(body));
    }
    Ok(if contradictions.is_empty() { Exit::Completed } else { Exit::Ledger })
}

/// What a ledger is called.
pub(super) fn name(pinned: &PinnedLedger) -> String {
    match pinned {
        PinnedLedger::Log(pinned) => pinned.ledger.vkey.clone(),
        PinnedLedger::Chain(pinned) => format!("chain {}", pinned.genesis),
    }
}

/// How far the home followed a chain.
#[derive(Clone, Copy)]
struct Chain {
    /// Height of the last block seen.
    tip: u64,
    /// How many blocks are wanted.
    depth: u64,
}

impl Chain {
    /// None for a log, or before the first block.
    fn of(ledger: &LedgerRow) -> Option<Self> {
        let PinnedLedger::Chain(pinned) = serde_json::from_slice(&ledger.pinned).ok()? else { return None };
        let (tip, _) = serde_json::from_slice::<Record>(ledger.block.as_deref()?).ok()?.tip()?;
        Some(Self { tip, depth: pinned.depth.0 })
    }
}

fn row_json(row: &OutboxRow) -> Value {
    let mut shown = json!({"receipt": row.receipt_id, "nullifier": row.nullifier,
        "standing": row.state.standing().as_str(), "way": row.state, "changed_ms": row.changed_ms});
    match &row.of {
        ReceiptOf::Module { run, module } => {
            shown["run"] = json!(run);
            shown["module"] = json!(module);
        }
        ReceiptOf::Ingest { collection, revision } => {
            shown["collection"] = json!(collection);
            shown["revision"] = json!(revision);
        }
    }
    shown
}

/// What a receipt is of, in words.
fn whose(of: &ReceiptOf) -> String {
    match of {
        ReceiptOf::Module { module, .. } => format!("module {module}"),
        ReceiptOf::Ingest { collection, revision } => format!("ingest {collection}, revision {revision}"),
    }
}

/// How many are where, in words.
pub(super) fn sum(counts: &OutboxCounts) -> String {
    let mut words = vec![format!("{} receipts", counts.all())];
    let mut add = |count: u64, what: &str| {
        if count > 0 {
            words.push(format!("{count} {what}"));
        }
    };
    add(counts.queued, "wait");
    add(counts.acknowledged, "handed in");
    add(counts.logged, "logged");
    add(counts.credited, "credited");
    add(counts.refused, "refused");
    add(counts.conflict, "in conflict");
    words.join(", ")
}

/// What a state says beyond its word.
fn more(state: &State, chain: Option<Chain>) -> String {
    let under = |height: u64| {
        let deep = chain.map(|chain| chain.tip.saturating_sub(height).saturating_add(1));
        chain.zip(deep).map_or_else(String::new, |(chain, deep)| format!(", {} of {} blocks deep", deep, chain.depth))
    };
    match state {
        State::InFlight { index, root } => {
            format!("at {} of the batch {root}, whose transaction no block has yet", index.0)
        }
        State::Mined { index, height, .. } => {
            format!("at {} of a batch in block {}{}", index.0, height.0, under(height.0))
        }
        State::Buried { index, height, .. } => format!("at {} of a batch in block {}", index.0, height.0),
        State::Queued => "waits to be handed in".to_owned(),
        State::Acknowledged { index } => format!("handed in; the ledger says at {}, and has proved nothing", index.0),
        State::Included { index, size } => format!("at {} of {}", index.0, size.0),
        State::Final { index, height } => format!("at {}, block {}", index.0, height.0),
        State::Refused { code } => format!("{code}; `ii receipts submit --again` hands it in once more"),
        State::Conflict { credited } => format!("receipt {credited} was credited for the same work"),
    }
}

fn contradiction(body: &[u8]) -> &'static str {
    match serde_json::from_slice::<Contradiction>(body) {
        Ok(Contradiction::Heads { .. }) => "the ledger's log signed two heads of one size; --json shows both",
        Ok(Contradiction::Blocks { .. }) => {
            "the ledger's validators certified two blocks of one height; --json shows both"
        }
        Err(_unreadable) => "evidence that does not read",
    }
}
