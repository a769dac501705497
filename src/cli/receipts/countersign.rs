//! `ii receipts countersign`: receipts of somebody else are verified here, and a key of one's own says so beside them.

use std::path::PathBuf;

use agent_runtime::signer::Signatory;
use receipts::{
    PublicKey,
    bundle::{self, Bundle, FileKind},
    countersignature::{Countersignature, own_keys},
    keys::key_id,
    trust::{TrustedKey, TrustedRole},
    verify::{credited_twice, verify_all},
};
use serde_json::json;

use super::{
    super::{Program, print_json, verify},
    export::write,
};
use crate::{
    exit::{Exit, Failure, chain},
    failures::from_signer,
};

/// Milliseconds of a day.
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Arguments of `ii receipts countersign`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// An exported folder, or that of one module in it.
    folder: PathBuf,
    /// Whom you trust, from a source of yours: the file that came with the folder shows nothing.
    #[arg(long, value_name = "FILE")]
    trust: PathBuf,
    /// Sign with the key in this file; with this home's key for it without.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// For how many days your word counts.
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: u32,
}

/// Runs the command.
pub(super) async fn run(args: Args, program: &Program) -> Result<Exit, Failure> {
    let case = verify::strangers(&args.folder, &args.trust)?;
    let found = verify_all(&case.bundles, &case.trust, case.origin);
    let twice = credited_twice(&found);
    let signatory = args.key.as_deref().map_or(Signatory::Countersigner, Signatory::File);
    let signer = signatory.public(&program.home).map_err(|error| from_signer(&error))?;
    let now_ms = program.wiring.clock.now_ms();
    let until_ms = now_ms.saturating_add(u64::from(args.days) * DAY_MS);
    let mut files = Vec::new();
    for (name, bundle) in case.bundles.iter().filter(|(name, _)| case.asks(name)) {
        let refused = |why: &str| {
            let what = format!("{name} is not counter-signed: {why}");
            Failure::new(Exit::Verification, what, "`ii verify` shows every check; only what holds is counter-signed")
        };
        let one = found.get(name).ok_or_else(|| refused("it was not verified"))?;
        if twice.contains(name) {
            return Err(refused("its nullifier stands on another receipt here"));
        }
        let receipt = one.receipt.ok_or_else(|| refused(&one.outcome.as_text()))?;
        if own_keys(bundle, &case.trust).contains(&signer) {
            return Err(refused("this key had a part in the receipt itself"));
        }
        let word = Countersignature::of(receipt, &one.outcome, signer, (now_ms, until_ms))
            .map_err(|error| refused(&chain(&error)))?;
        let payload = word.payload().map_err(Failure::internal)?;
        let bytes = signatory.sign(&program.home, payload).map_err(|error| from_signer(&error))?;
        let folder = if case.only.is_some() { args.folder.clone() } else { args.folder.join(name) };
        files.push((folder.join(bundle::countersignature(number(bundle, &signer))), bytes));
    }
    // All or none: what does not hold leaves nothing behind.
    for (path, bytes) in &files {
        write(path, bytes)?;
    }
    let key = TrustedKey { role: TrustedRole::Countersigner, keyid: key_id(&signer), public: signer };
    if program.json {
        let paths: Vec<&PathBuf> = files.iter().map(|(path, _bytes)| path).collect();
        print_json(&json!({"files": paths, "key": key, "until_ms": until_ms}));
    } else {
        let line = serde_json::to_string(&key).map_err(Failure::internal)?;
        eprintln!("ii: {} receipts counter-signed; who trusts you has this among the keys of trust.json:", files.len());
        println!("{line}");
    }
    Ok(Exit::Completed)
}

/// Where the counter-signature of a key goes: in the place of its last one, or behind all others.
fn number(bundle: &Bundle, signer: &PublicKey) -> u64 {
    let mut next = 0;
    for (name, bytes) in &bundle.0 {
        let Some(FileKind::Countersignature(number)) = bundle::kind(name) else { continue };
        if Countersignature::open(bytes).is_ok_and(|one| one.signer == *signer) {
            return number;
        }
        next = next.max(number.saturating_add(1));
    }
    next
}
