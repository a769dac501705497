//! `ii commons receipts`: what vouches for the ingests of a collection, to be shown and handed on.

use std::{fs, path::Path};

use agent_runtime::journal::OutboxRow;
use commons_index::Collection;
use receipts::{
    Digest, bundle,
    ledger::outbox::{Standing, State},
    verify::{TrustOrigin, verify},
};
use serde_json::{Value, json};

use super::{add::sealed, places};
use crate::{
    cli::{
        Program, print_json, runs,
        verify::{own_keys, proved},
    },
    curations::{self, Curation},
    exit::{Exit, Failure, chain},
    failures::from_journal,
    show, wiring,
};

/// What is wanted of the receipts.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The collection's folder, its name, or the beginning of its name.
    collection: String,
    /// Write them into this folder, one folder a receipt, and `trust.json`.
    #[arg(long, value_name = "DIR")]
    out: Option<std::path::PathBuf>,
    /// Disclose what was done to this document, and to no other, with the proof of it.
    #[arg(long, value_name = "PATH", requires = "out")]
    document: Option<String>,
}

pub(super) async fn run(program: &Program, args: Args) -> Result<Exit, Failure> {
    let (config, _) = program.settings(&[])?;
    let signer = wiring::signer(&program.home, &config, &program.wiring.clock)?;
    let commons = places(program).await?;
    let name = commons.find(&args.collection).await?;
    let index = commons.named(&name).await?;
    sealed(program, &index, &signer).await?;
    let mut found = curations::of(&index).await?;
    let (trust, ways) = match runs::reader(program) {
        None => (signer.trust().map_err(Failure::internal)?, Vec::new()),
        Some(reader) => {
            let ways = reader.outbox_of_collection(&name).await.map_err(|error| from_journal(&error))?;
            for one in &mut found {
                let way = ways.iter().find(|way| way.receipt_id == one.receipt);
                one.bundle = proved(&reader, std::mem::take(&mut one.bundle), way).await?;
            }
            (own_keys(program, &reader).await?, ways)
        }
    };
    let standing = |one: &Curation| standing(one, &ways);
    if let Some(out) = &args.out {
        let disclosed = disclose(&mut found, args.document.as_deref())?;
        export(out, &index, &found, &trust.to_bytes().map_err(Failure::internal)?)?;
        if program.json {
            print_json(&json!({"collection": name, "out": out, "receipts": found.len(), "disclosed": disclosed}));
        } else {
            eprintln!(
                "ii: {} receipts in {}; check them with `ii verify {}`",
                found.len(),
                out.display(),
                out.display()
            );
        }
        return Ok(Exit::Completed);
    }
    let results: Vec<_> =
        found.iter().map(|one| verify(&one.bundle, &trust, TrustOrigin::Pinned, &|_parent| false).outcome).collect();
    let valid = results.iter().all(receipts::verify::Outcome::is_valid);
    if program.json {
        let rows: Vec<Value> = found
            .iter()
            .zip(&results)
            .map(|(one, result)| {
                json!({"revision": one.revision.number, "receipt": one.receipt, "result": result.as_text(),
                    "nullifier": one.says.nullifier, "before": one.says.collection.before,
                    "after": one.says.collection.after, "counts": one.says.counts, "log": one.log,
                    "standing": standing(one).map(|(standing, _)| standing.as_str()),
                    "claimed_by": standing(one).and_then(|(_, other)| other)})
            })
            .collect();
        print_json(&json!({"collection": name, "receipts": rows}));
    } else {
        for (one, result) in found.iter().zip(&results) {
            let (standing, other) = standing(one).unwrap_or((Standing::Sealed, None));
            let (number, result) = (one.revision.number, result.as_text());
            println!("revision {number}  {}  {result}  {}  {}", standing.as_str(), one.receipt, counted(one));
            if let Some(other) = other {
                println!("  receipt {other} claims the same growth and stands before it; this one is not handed in");
            }
        }
        if found.is_empty() {
            eprintln!("ii: no receipts; an ingest that changes something leaves one");
        }
    }
    Ok(if valid { Exit::Completed } else { Exit::Verification })
}

/// Where a receipt is on its way, and which other one claims what it claims, where that is why; none for one not queued yet.
fn standing(one: &Curation, ways: &[OutboxRow]) -> Option<(Standing, Option<Digest>)> {
    let own = ways.iter().find(|way| way.receipt_id == one.receipt).map(|way| match way.state {
        State::Conflict { credited } => (Standing::Conflict, Some(credited)),
        ref other => (other.standing(), None),
    });
    let same = || ways.iter().find(|way| way.nullifier == one.says.nullifier);
    own.or_else(|| Some((Standing::Conflict, Some(same()?.receipt_id))))
}

/// How many documents were what, in words.
fn counted(one: &Curation) -> String {
    let words: Vec<String> = one.says.counts.iter().map(|(word, count)| format!("{} {word}", count.0)).collect();
    words.join(", ")
}

/// Adds the disclosure of a document to each receipt that tells of it.
fn disclose(found: &mut [Curation], document: Option<&str>) -> Result<u64, Failure> {
    let Some(document) = document else { return Ok(0) };
    let mut disclosed = 0;
    for one in found {
        let proof = curations::disclosed(one, document).map_err(|error| {
            let what = format!("{}: {}", one.log.display(), chain(&error));
            Failure::new(Exit::Verification, what, "bring the log back as the ingest wrote it")
        })?;
        if let Some((index, proof)) = proof {
            one.bundle.0.insert(bundle::disclosure(index), proof.to_text().into_bytes());
            disclosed += 1;
        }
    }
    if disclosed == 0 {
        let what = format!("no receipt tells of {}", show::plain(document));
        return Err(Failure::new(Exit::Usage, what, "name it as `ii commons show` does"));
    }
    Ok(disclosed)
}

fn export(out: &Path, index: &Collection, found: &[Curation], trust: &[u8]) -> Result<(), Failure> {
    let unwritable = |path: &Path, error: &std::io::Error| {
        let what = format!("cannot write {}: {error}", path.display());
        Failure::new(Exit::Storage, what, "name a folder you may write with --out")
    };
    if found.is_empty() {
        let what = format!("collection {} has no receipts", index.collection());
        return Err(Failure::new(Exit::Usage, what, "an ingest that changes something leaves one"));
    }
    if fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some()) {
        let what = format!("{} is not empty", out.display());
        return Err(Failure::new(Exit::Usage, what, "name a new folder with --out"));
    }
    for one in found {
        let folder = out.join(format!("{}-{}", index.collection(), one.revision.number));
        fs::create_dir_all(&folder).map_err(|error| unwritable(&folder, &error))?;
        for (name, bytes) in &one.bundle.0 {
            let path = folder.join(name);
            fs::write(&path, bytes).map_err(|error| unwritable(&path, &error))?;
        }
    }
    let path = out.join("trust.json");
    fs::write(&path, trust).map_err(|error| unwritable(&path, &error))
}
