//! `ii verify`: receipts of a run, one receipt file, or an exported folder, without network.

mod audit;
mod countersigned;
mod evidence;
mod log;
mod makers;
mod origin;
mod record;
mod replay;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use agent_runtime::{
    journal::{OutboxRow, Reader},
    publisher::{PinnedLedger, PublishError},
    signer::read_bundle,
};
use common_ground::{ModuleId, RunId};
use receipts::{
    Beacon,
    audit::{MOST, USUAL},
    bundle::{self, Bundle},
    canonical::canonical,
    ledger::{outbox::State, rpc::Proof, trusted::TrustedLedger},
    tlog_proof::TlogProof,
    trust::Trust,
    verify::{Outcome, TrustOrigin, Verification, credited_twice, verify, verify_all},
};
use serde_json::json;

pub(super) use evidence::NAME as EVIDENCE;

use super::{Program, print_json, runs, shown};
use crate::{
    exit::{Exit, Failure},
    failures::{from_journal, from_publisher},
    wiring,
};

/// Arguments of `ii verify`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A run's id, a receipt file, or an exported folder.
    what: String,
    /// Trust these keys and no others.
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    /// The log of an ingest, to check each document by.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Check that the entries which this beacon draws are shown, and no others.
    #[arg(long, value_name = "BEACON")]
    audit: Option<Beacon>,
    /// How many entries the beacon draws.
    #[arg(long, value_name = "K", requires = "audit", default_value_t = USUAL, value_parser = counted())]
    count: u32,
    /// Need counter-signatures by so many different keys that are trusted for it.
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    countersigned: Option<u32>,
    /// Run the steps of a run on record again, where they give the same each time, and say which matched.
    #[arg(long)]
    replay: bool,
    /// Fail for anything that was not checked.
    #[arg(long)]
    strict: bool,
}

/// How many entries an audit may draw.
pub(super) fn counted() -> impl clap::builder::TypedValueParser<Value = u32> {
    clap::value_parser!(u32).range(1..=i64::from(MOST))
}

/// Bundles by the name of their module, with whom to trust.
pub(super) struct Case {
    pub bundles: BTreeMap<String, Bundle>,
    pub trust: Trust,
    pub origin: TrustOrigin,
    /// The run on record that they are of, where they are.
    pub run: Option<RunId>,
    /// The one that is asked about, where the others are only what it rests on.
    pub only: Option<String>,
}

impl Case {
    /// Whether this receipt is asked about.
    pub fn asks(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only == name)
    }
}

/// The largest file that belongs to a receipt, in bytes.
const LARGEST: u64 = 16 << 20;

/// Runs the command.
pub(super) async fn run(args: Args, program: &Program) -> Result<Exit, Failure> {
    let pinned = args.trust.as_deref().map(read_trust).transpose()?;
    let path = Path::new(&args.what);
    if args.replay && path.exists() {
        return Err(replay::needs_a_run(&args.what));
    }
    let case = if path.is_dir() {
        folder(path, pinned)?
    } else if path.is_file() {
        let receipt = path.file_name().is_some_and(|name| name == bundle::RECEIPT);
        let bytes = if receipt { Vec::new() } else { read(path)? };
        if !receipt && evidence::is_meant(path, &bytes) {
            return Ok(evidence::check(program, path, &bytes, pinned.as_ref()));
        }
        file(path, pinned)?
    } else {
        recorded(program, &args.what, pinned).await?
    };
    if case.bundles.is_empty() {
        let what = format!("{} has no receipts", args.what);
        return Err(Failure::new(Exit::Usage, what, "receipts are made for accepted modules only"));
    }
    let mut found = verify_all(&case.bundles, &case.trust, case.origin);
    let twice = credited_twice(&found);
    let log = args.log.as_deref().map(|path| log::check(&case.bundles, &mut found, path)).transpose()?;
    let audits = args.audit.map(|beacon| audit::check(&case, &mut found, beacon, args.count)).transpose()?;
    let needed = args.countersigned.and_then(|needed| usize::try_from(needed).ok());
    let now_ms = program.wiring.clock.now_ms();
    let others = needed.map(|needed| countersigned::check(&case, &mut found, needed, now_ms));
    let origin = origin_of(program, &case).await?;
    let record = record::check(program, &case, &mut found).await?;
    let replayed = if args.replay { Some(replay::check(program, &case, &mut found).await?) } else { None };
    let further = Further {
        log: log.as_ref(),
        audits: audits.as_ref(),
        others: others.as_ref(),
        origin: origin.as_ref(),
        record: record.as_ref(),
        replayed: replayed.as_ref(),
    };
    show(program, &found, &twice, &further);
    let borne_out = log.as_ref().is_none_or(log::Checked::holds)
        && audits.as_ref().is_none_or(audit::Audits::hold)
        && others.as_ref().is_none_or(countersigned::Countersigned::hold)
        && origin.as_ref().is_none_or(origin::Found::holds)
        && record.as_ref().is_none_or(|record| record.holds(args.strict))
        && replayed.as_ref().is_none_or(|replayed| replayed.holds(args.strict));
    let valid = borne_out && found.values().all(|one| one.outcome.is_valid()) && twice.is_empty();
    let whole = found.values().all(|one| one.outcome == Outcome::Valid);
    Ok(if valid && (whole || !args.strict) { Exit::Completed } else { Exit::Verification })
}

/// The receipts of a run on record, checked: a line each, then what was checked; and whether all hold.
pub(super) async fn of_run(program: &Program, run: RunId) -> Result<(bool, Vec<String>), Failure> {
    let case = recorded(program, &run.to_string(), None).await?;
    let mut found = verify_all(&case.bundles, &case.trust, case.origin);
    let twice = credited_twice(&found);
    let origin = origin_of(program, &case).await?;
    let record = record::check(program, &case, &mut found).await?;
    let holds = !found.is_empty()
        && twice.is_empty()
        && found.values().all(|one| one.outcome.is_valid())
        && origin.as_ref().is_none_or(origin::Found::holds)
        && record.as_ref().is_none_or(|record| record.holds(false));
    let mut lines = lines(&found, &twice);
    lines.extend(origin.iter().map(origin::Found::line));
    lines.extend(record.iter().flat_map(record::Record::lines));
    if found.is_empty() {
        lines.push("no receipts: they are made for accepted modules only".to_owned());
    }
    Ok((holds, lines))
}

/// Where the run comes from, where it is one on record and a fork.
async fn origin_of(program: &Program, case: &Case) -> Result<Option<origin::Found>, Failure> {
    let (Some(run), Some(reader)) = (case.run, runs::reader(program)) else { return Ok(None) };
    origin::check(&reader, run).await
}

/// What was asked beside the receipts themselves.
struct Further<'a> {
    log: Option<&'a log::Checked>,
    audits: Option<&'a audit::Audits>,
    others: Option<&'a countersigned::Countersigned>,
    origin: Option<&'a origin::Found>,
    record: Option<&'a record::Record>,
    replayed: Option<&'a replay::Replayed>,
}

fn show(program: &Program, found: &BTreeMap<String, Verification>, twice: &[String], further: &Further<'_>) {
    if program.json {
        let rows = found.iter().map(|(name, one)| {
            json!({"module": name, "class": one.class.map(receipts::BenefitClass::as_str), "result": one.outcome.as_text(), "receipt": one.receipt,
                "nullifier": one.nullifier, "parents": one.parents, "made": one.made, "not_made": one.not_made})
        });
        let mut answer = json!({"receipts": rows.collect::<Vec<_>>(), "credited_twice": twice});
        if let Some(log) = further.log {
            answer["log"] = log.json();
        }
        if let Some(audits) = further.audits {
            answer["audit"] = audits.json();
        }
        if let Some(others) = further.others {
            answer["countersigned"] = others.json();
        }
        if let Some(origin) = further.origin {
            answer["origin"] = origin.json();
        }
        if let Some(record) = further.record {
            answer["record"] = record.json();
        }
        if let Some(replayed) = further.replayed {
            answer["replay"] = replayed.json();
        }
        print_json(&answer);
        return;
    }
    lines(found, twice).iter().for_each(|line| println!("{line}"));
    if let Some(log) = further.log {
        println!("\n{}", log.line());
    }
    if let Some(origin) = further.origin {
        println!("\n{}", origin.line());
    }
    let record = further.record.map(record::Record::lines).filter(|lines| !lines.is_empty());
    let audits = further.audits.map(audit::Audits::lines).into_iter();
    let others = further.others.map(countersigned::Countersigned::lines);
    for lines in record.into_iter().chain(audits).chain(others).chain(further.replayed.map(replay::Replayed::lines)) {
        println!();
        lines.iter().for_each(|line| println!("{line}"));
    }
}

/// What was found, for people.
fn lines(found: &BTreeMap<String, Verification>, twice: &[String]) -> Vec<String> {
    let mut lines: Vec<String> = found.iter().map(|(name, one)| format!("{}  {name}", one.outcome.as_text())).collect();
    let Some(example) = found.values().find(|one| !one.outcome.is_valid()).or_else(|| found.values().next()) else {
        return lines;
    };
    lines.extend(["".to_owned(), "checked".to_owned()]);
    for (check, number) in example.made.iter().zip(1..) {
        let failed = matches!(example.outcome, Outcome::Invalid(_)) && number == example.made.len();
        lines.push(format!("  {} {check}", if failed { "FAILED" } else { "ok    " }));
    }
    if let Outcome::UnresolvedParent(parent) = example.outcome {
        lines.push(format!("  MISSING the receipt {parent} that this one names as its parent"));
    }
    lines.push("not checked".to_owned());
    lines.extend(example.not_made.iter().map(|check| format!("  {check}")));
    for name in twice {
        lines.push(String::new());
        lines.push(format!("INVALID(credited-twice)  {name}: its nullifier stands on another receipt here"));
    }
    lines
}

fn unreadable(path: &Path, error: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Usage, format!("cannot read {}: {error}", path.display()), "name a readable file or folder")
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let length = std::fs::metadata(path).map_err(|error| unreadable(path, error))?.len();
    if length > LARGEST {
        return Err(unreadable(path, "too large for a file of a receipt"));
    }
    std::fs::read(path).map_err(|error| unreadable(path, error))
}

fn read_trust(path: &Path) -> Result<Trust, Failure> {
    Trust::parse(&read(path)?).map_err(|error| {
        Failure::new(Exit::Verification, format!("{}: {error}", path.display()), "use the trust.json of an export")
    })
}

/// The trust file that stands in a folder.
fn own_trust(folder: &Path, pinned: Option<Trust>) -> Result<(Trust, TrustOrigin), Failure> {
    match pinned {
        Some(trust) => Ok((trust, TrustOrigin::Pinned)),
        None => {
            let path = folder.join("trust.json");
            if !path.is_file() {
                let what = format!("{} has no trust.json", folder.display());
                return Err(Failure::new(Exit::Usage, what, "say whom you trust with --trust"));
            }
            read_trust(&path).map(|trust| (trust, TrustOrigin::Folder))
        }
    }
}

/// Receipts in a folder, by the keys of a file of the checker's own.
pub(super) fn strangers(path: &Path, trust: &Path) -> Result<Case, Failure> {
    let case = folder(path, Some(read_trust(trust)?))?;
    if case.bundles.is_empty() {
        let what = format!("{} has no receipts", path.display());
        return Err(Failure::new(Exit::Usage, what, "name a folder that `ii receipts export` wrote"));
    }
    Ok(case)
}

/// An exported folder, or that of one module in it.
fn folder(path: &Path, pinned: Option<Trust>) -> Result<Case, Failure> {
    if path.join(bundle::RECEIPT).exists() {
        return file(&path.join(bundle::RECEIPT), pinned);
    }
    let (trust, origin) = own_trust(path, pinned)?;
    Ok(Case { bundles: bundles_in(path)?, trust, origin, run: None, only: None })
}

fn bundles_in(path: &Path) -> Result<BTreeMap<String, Bundle>, Failure> {
    let mut bundles = BTreeMap::new();
    for entry in std::fs::read_dir(path).map_err(|error| unreadable(path, error))? {
        let entry = entry.map_err(|error| unreadable(path, error))?.path();
        let name = entry.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if entry.is_dir() {
            bundles.insert(name, module(&entry)?);
        } else if name != "trust.json" {
            let what = format!("{} is no part of an export", shown(&entry));
            return Err(Failure::new(Exit::Verification, what, "verify the folder as it was exported"));
        }
    }
    Ok(bundles)
}

fn module(path: &Path) -> Result<Bundle, Failure> {
    let mut bundle = Bundle::default();
    for entry in std::fs::read_dir(path).map_err(|error| unreadable(path, error))? {
        let file = entry.map_err(|error| unreadable(path, error))?.path();
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        bundle.0.insert(name, read(&file)?);
    }
    Ok(bundle)
}

/// One receipt file, with the files beside it; its siblings' receipts count as parents.
fn file(path: &Path, pinned: Option<Trust>) -> Result<Case, Failure> {
    let own = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let own = own.canonicalize().map_err(|error| unreadable(own, error))?;
    if path.file_name().is_none_or(|name| name != bundle::RECEIPT) {
        let what = format!("{} is no receipt", path.display());
        return Err(Failure::new(Exit::Usage, what, format!("name a {} or an exported folder", bundle::RECEIPT)));
    }
    let Some(export) = own.parent() else { return Err(unreadable(&own, "it lies in no folder")) };
    let trust_at = if export.join("trust.json").is_file() { export } else { &own };
    let (trust, origin) = own_trust(trust_at, pinned)?;
    let mut bundles = if trust_at == export { bundles_in(export)? } else { BTreeMap::new() };
    let name = own.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut one = module(&own)?;
    if trust_at == own {
        one.0.remove("trust.json");
    }
    // Only this receipt and those it rests on are of interest.
    let case = Case { bundles: std::mem::take(&mut bundles), trust, origin, run: None, only: Some(name.clone()) };
    let mut kept = ancestors(&case, &name);
    kept.insert(name, one);
    Ok(Case { bundles: kept, ..case })
}

/// The bundles that one rests on, directly or not.
fn ancestors(case: &Case, name: &str) -> BTreeMap<String, Bundle> {
    let parsed: BTreeMap<&String, Verification> =
        case.bundles.iter().map(|(name, bundle)| (name, verify(bundle, &case.trust, case.origin, &|_| true))).collect();
    let mut kept = BTreeMap::new();
    let mut open = vec![name.to_owned()];
    while let Some(next) = open.pop() {
        let parents = parsed.get(&next).map(|one| one.parents.clone()).unwrap_or_default();
        for (other, one) in &parsed {
            if one.receipt.is_some_and(|id| parents.contains(&id))
                && !kept.contains_key(*other)
                && let Some(bundle) = case.bundles.get(*other)
            {
                kept.insert((*other).clone(), bundle.clone());
                open.push((*other).clone());
            }
        }
    }
    kept
}

/// A run's receipts from the journal, trusted by this home's own keys.
async fn recorded(program: &Program, text: &str, pinned: Option<Trust>) -> Result<Case, Failure> {
    if text.contains('/') || text.contains('.') {
        let what = format!("no such file or folder: {text}");
        return Err(Failure::new(Exit::Usage, what, "name a run, a receipt file or an exported folder"));
    }
    let (reader, id) = runs::find(program, text).await?;
    let trust = match pinned {
        Some(trust) => trust,
        None => own_keys(program, &reader).await?,
    };
    let bundles = from_journal_of(&reader, id).await?;
    Ok(Case { bundles, trust, origin: TrustOrigin::Pinned, run: Some(id), only: None })
}

/// Whom this home's receipts are to be trusted by: its own keys, and the ledger that it pinned.
pub(super) async fn own_keys(program: &Program, reader: &Reader) -> Result<Trust, Failure> {
    let (config, _) = program.settings(&[])?;
    let signer = wiring::signer(&program.home, &config, &program.wiring.clock)?;
    let own = signer.trust().map_err(Failure::internal)?;
    Ok(match pinned(reader).await? {
        None => own,
        Some(PinnedLedger::Log(pinned)) => Trust { ledger: Some(pinned.ledger), ..own },
        Some(PinnedLedger::Chain(pinned)) => {
            let rows = reader.finals().await.map_err(|error| from_journal(&error))?;
            // The blocks that this home saw in its node's chain, as the last over receipts that are final.
            let last = rows.iter().filter_map(|row| match &row.state {
                State::Buried { last, .. } => Some(*last),
                _no_chain => None,
            });
            let blocks = last.collect::<BTreeSet<_>>().into_iter().collect();
            Trust { chain: Some(pinned.trusted(blocks)), ..own }
        }
    })
}

/// The ledger that the home pinned.
async fn pinned(reader: &Reader) -> Result<Option<PinnedLedger>, Failure> {
    let Some(row) = reader.ledger().await.map_err(|error| from_journal(&error))? else { return Ok(None) };
    let pinned = serde_json::from_slice(&row.pinned);
    pinned.map(Some).map_err(|error| from_publisher(&PublishError::Record(error)))
}

/// The bundles of a run, by module, with what the ledger proved of them; also of modules that a fork took over accepted.
pub(super) async fn from_journal_of(reader: &Reader, id: RunId) -> Result<BTreeMap<String, Bundle>, Failure> {
    let mut bundles = bundles_of(reader, id, |_module| true).await?;
    let (_, state) = runs::load(reader, id).await?;
    let mut kept: BTreeMap<RunId, Vec<ModuleId>> = BTreeMap::new();
    for (module, of) in state.run().into_iter().flat_map(|run| &run.modules) {
        if let Some(from) = of.kept_from {
            kept.entry(from).or_default().push(*module);
        }
    }
    for (from, modules) in kept {
        bundles.extend(bundles_of(reader, from, |module| modules.contains(&module)).await?);
    }
    Ok(bundles)
}

/// The bundles that one run sealed.
async fn bundles_of(
    reader: &Reader,
    id: RunId,
    wanted: impl Fn(ModuleId) -> bool,
) -> Result<BTreeMap<String, Bundle>, Failure> {
    let mut bundles = BTreeMap::new();
    let ledger = pinned(reader).await?;
    let ways = reader.outbox_of(Some(id)).await.map_err(|error| from_journal(&error))?;
    let sealed = reader.receipts(id).await.map_err(|error| from_journal(&error))?;
    for row in sealed.into_iter().filter(|row| wanted(row.module)) {
        let bundle = read_bundle(&row.bundle).ok_or_else(|| {
            let what = format!("the journal is damaged: the receipt of module {} cannot be read", row.module);
            Failure::new(Exit::Storage, what, "`ii doctor` shows what is hit")
        })?;
        let way = ways.iter().find(|way| way.receipt_id == row.receipt_id);
        bundles.insert(row.module.to_string(), with_evidence(bundle, way, ledger.as_ref())?);
    }
    Ok(bundles)
}

/// A bundle with what the ledger that the home pinned proved of it.
pub(super) async fn proved(reader: &Reader, bundle: Bundle, way: Option<&OutboxRow>) -> Result<Bundle, Failure> {
    with_evidence(bundle, way, pinned(reader).await?.as_ref())
}

/// Adds a ledger's proof as the files that show it.
fn with_evidence(
    mut bundle: Bundle,
    way: Option<&OutboxRow>,
    ledger: Option<&PinnedLedger>,
) -> Result<Bundle, Failure> {
    let evidence = way.and_then(|way| Some((&way.state, way.evidence.as_deref()?)));
    match (evidence, ledger) {
        (Some((_state, evidence)), Some(PinnedLedger::Log(pinned))) => with_place(bundle, evidence, &pinned.ledger),
        // What no block has yet is shown by nothing.
        (Some((State::Mined { .. } | State::Buried { .. }, evidence)), Some(PinnedLedger::Chain(_))) => {
            bundle.0.insert(bundle::ANCHOR.to_owned(), evidence.to_vec());
            Ok(bundle)
        }
        (Some(_) | None, _) => Ok(bundle),
    }
}

/// Adds the place in a ledger's log: under its head, without the lines of signers nobody pinned.
fn with_place(mut bundle: Bundle, evidence: &[u8], ledger: &TrustedLedger) -> Result<Bundle, Failure> {
    let unreadable = || {
        let what = "the journal is damaged: a ledger's proof cannot be read";
        Failure::new(Exit::Storage, what, "`ii receipts submit --repin` asks the ledger for its proofs anew")
    };
    let proof: Proof = serde_json::from_slice(evidence).map_err(|_other| unreadable())?;
    let placed = TlogProof::parse(&proof.proof).map_err(|_other| unreadable())?;
    let checkpoint = ledger.stripped(&placed.checkpoint).ok_or_else(unreadable)?;
    let placed = TlogProof { checkpoint, extra: None, ..placed };
    bundle.0.insert(bundle::LOGGED.to_owned(), placed.to_text().into_bytes());
    if let Some(block) = &proof.block {
        bundle.0.insert(bundle::BLOCK.to_owned(), canonical(block).map_err(Failure::internal)?);
    }
    Ok(bundle)
}
