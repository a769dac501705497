//! `ii receipts disclose`: the entries that a beacon draws of each receipt, with the receipts they belong to.

use std::{collections::BTreeSet, path::PathBuf};

use agent_runtime::{journal::Reader, signer::trace_of};
use common_ground::{ModuleId, RunId, run::Run};
use receipts::{
    Beacon,
    audit::{USUAL, draw},
    bundle::{self, Bundle},
    checkpoint::Checkpoint,
    entry::is_field,
    trace::Trace,
    trust::Trust,
};
use serde_json::json;

use super::{
    super::{Program, print_json, runs, verify},
    export,
};
use crate::{
    exit::{Exit, Failure, chain},
    failures::from_journal,
};

/// Arguments of `ii receipts disclose`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run's id, or its beginning.
    run: String,
    /// 32 bytes as 64 hex characters, which nobody could know before the modules were accepted.
    #[arg(long, value_name = "BEACON")]
    audit: Beacon,
    /// How many entries the beacon draws.
    #[arg(long, value_name = "K", default_value_t = USUAL, value_parser = verify::counted())]
    count: u32,
    /// Open this field of each entry that has it, or `all`; without it the entries stay closed.
    #[arg(long, value_name = "FIELD")]
    open: Vec<String>,
    /// The folder, which is made and must be empty.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Runs the command.
pub(super) async fn run(args: Args, program: &Program) -> Result<Exit, Failure> {
    if let Some(unknown) = args.open.iter().find(|name| *name != "all" && !is_field(name)) {
        let what = format!("no entry has a field {unknown}");
        return Err(Failure::new(Exit::Usage, what, "docs/RECEIPT-FORMAT.md lists the fields; `all` opens every one"));
    }
    let (reader, id) = runs::find(program, &args.run).await?;
    let mut bundles = verify::from_journal_of(&reader, id).await?;
    let (_facts, state) = runs::load(&reader, id).await?;
    let (Some(run), false) = (state.run(), bundles.is_empty()) else {
        let what = format!("run {id} has no receipts");
        return Err(Failure::new(Exit::Usage, what, "receipts are made for accepted modules only"));
    };
    let trust = verify::own_keys(program, &reader).await?;
    let mut shown = 0;
    for (module, bundle) in &mut bundles {
        let head = head_of(bundle, &trust, module)?;
        let trace = trace(&reader, (id, run), module, &head).await?;
        let indices: BTreeSet<u64> = draw(&args.audit, &head.root, head.size, args.count).into_iter().collect();
        shown += indices.len();
        show(bundle, &trace, &indices, &args.open)?;
    }
    export::write_all(&args.out, &bundles, &trust)?;
    if program.json {
        print_json(&json!({"run": id, "out": args.out, "beacon": args.audit, "count": args.count, "entries": shown,
            "modules": bundles.keys().collect::<Vec<_>>()}));
    } else {
        let out = args.out.display();
        eprintln!(
            "ii: {shown} entries of {} receipts in {out}; check them with `ii verify {out} --audit {} --count {}`",
            bundles.len(),
            args.audit,
            args.count
        );
    }
    Ok(Exit::Completed)
}

fn damaged(module: &str, why: &str) -> Failure {
    let what = format!("module {module} cannot be disclosed: {why}");
    Failure::new(Exit::Storage, what, "bring the journal back from a backup; `ii doctor` shows what is hit")
}

/// The head of a receipt's tree.
fn head_of(bundle: &Bundle, trust: &Trust, module: &str) -> Result<Checkpoint, Failure> {
    let text = bundle.0.get(bundle::CHECKPOINT).and_then(|bytes| std::str::from_utf8(bytes).ok());
    let key = trust.log_key().map_err(Failure::internal)?;
    Checkpoint::open(text.unwrap_or_default(), &key).map_err(|error| damaged(module, &chain(&error)))
}

/// The trace of an accepted module, built again and held against the signed head.
async fn trace(reader: &Reader, (id, run): (RunId, &Run), module: &str, head: &Checkpoint) -> Result<Trace, Failure> {
    let kept = run.modules.iter().find(|(key, _)| key.to_string() == module).and_then(|(_, of)| of.kept_from);
    let Some(other) = kept else { return own_trace(reader, (id, run), module, head).await };
    // A fork took it over: its trace is that of the run that accepted it.
    let (_facts, state) = runs::load(reader, other).await?;
    let gone = || damaged(module, "the run that accepted it was deleted");
    own_trace(reader, (other, state.run().ok_or_else(gone)?), module, head).await
}

/// The trace of a module that this run accepted itself.
async fn own_trace(
    reader: &Reader,
    (id, run): (RunId, &Run),
    module: &str,
    head: &Checkpoint,
) -> Result<Trace, Failure> {
    let wanted = |key: &&ModuleId| key.to_string() == module;
    let found = run.modules.keys().find(wanted).and_then(|key| Some((*key, run.modules.get(key)?.attempt()?)));
    let (key, attempt) = found.ok_or_else(|| damaged(module, "the run's facts name no attempt at it"))?;
    let secret = reader.attempt_key(id, key, attempt.number.0).await.map_err(|error| from_journal(&error))?;
    let secret = secret.ok_or_else(|| damaged(module, "the key of its attempt is gone"))?;
    let trace = trace_of(run, key, attempt.number, &secret).map_err(|error| damaged(module, &chain(&error)))?;
    if (trace.size(), trace.root()) == (head.size, head.root) {
        Ok(trace)
    } else {
        Err(damaged(module, "its facts, or the key of its attempt, no longer give the tree that was signed"))
    }
}

/// Adds entries to a receipt's files: each as a tlog-proof, and all in one file.
fn show(bundle: &mut Bundle, trace: &Trace, indices: &BTreeSet<u64>, open: &[String]) -> Result<(), Failure> {
    let opens = |field: &str| open.iter().any(|name| name == "all" || name == field);
    let gone = || Failure::internal("an entry that was drawn is not in its trace");
    let checkpoint = String::from_utf8_lossy(bundle.0.get(bundle::CHECKPOINT).ok_or_else(gone)?).into_owned();
    // The first entry is disclosed in every receipt, with more open than an audit asks for.
    for index in indices.iter().copied().filter(|index| *index > 0) {
        let mut fields = trace.fields(index).ok_or_else(gone)?;
        fields.retain(|field| opens(field));
        let proof = trace.disclose(index, &fields, &checkpoint).map_err(Failure::internal)?.ok_or_else(gone)?;
        bundle.0.insert(bundle::disclosure(index), proof.to_text().into_bytes());
    }
    let proof = trace.disclose_all(indices, &opens).ok_or_else(gone)?;
    bundle.0.insert(bundle::MULTIPROOF.to_owned(), proof.to_bytes().map_err(Failure::internal)?);
    Ok(())
}
