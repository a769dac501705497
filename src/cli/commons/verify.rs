//! `ii commons verify`: whether collections are what their signed heads say.

use std::{sync::Arc, time::Instant};

use agent_runtime::signer::Signer;
use commons_index::{Audit, Auditor, Collection, Fault};
use receipts::verify::{TrustOrigin, verify};
use serde_json::json;

use super::{named, places};
use crate::{
    cli::{Program, print_json},
    commons::open_head,
    curations,
    exit::{Exit, Failure, chain},
    failures::from_store,
    progress::Progress,
    show, wiring,
};

pub(super) async fn run(program: &Program, wanted: Option<&str>) -> Result<Exit, Failure> {
    let (config, _) = program.settings(&[])?;
    let signer = Arc::new(wiring::signer(&program.home, &config, &program.wiring.clock)?);
    let progress = Progress::new(program.json);
    let (mut rows, mut faults) = (Vec::new(), 0);
    let commons = places(program).await?;
    for name in named(&commons, wanted).await? {
        let began = Instant::now();
        let index = commons.named(&name).await?;
        let mut told = |at| progress.counting("texts", at, began);
        let kept = index.kept().cloned();
        let opening = Arc::clone(&signer);
        let open = move |head: &str| match &kept {
            Some(kept) => open_head(&kept.vkey, head),
            None => opening.open_checkpoint(head).map_err(|error| error.to_string()),
        };
        let audit = index.audit(Auditor { open: &open, progress: &mut told }).await;
        let mut audit = audit.map_err(|error| from_store(&error))?;
        if index.kept().is_none_or(|kept| kept.vkey == signer.log_vkey()) {
            audit.faults.extend(of_receipts(&index, &signer).await?);
        }
        faults += audit.faults.len();
        if !program.json {
            progress.suspend(|| tell(&name, &audit));
        }
        rows.push(json!({"collection": name, "revisions": audit.revisions, "entries": audit.entries,
            "documents": audit.documents, "texts": audit.texts, "text_bytes": audit.text_bytes,
            "passages": audit.passages,
            "faults": audit.faults.iter().map(|fault| json!({"what": fault.what, "why": fault.why})).collect::<Vec<_>>()}));
    }
    progress.clear();
    if program.json {
        print_json(&json!({ "collections": rows, "verified": faults == 0 }));
    }
    Ok(if faults == 0 { Exit::Completed } else { Exit::Verification })
}

/// What does not fit of the receipts of a collection of this home, and of the logs beside them.
async fn of_receipts(index: &Collection, signer: &Signer) -> Result<Vec<Fault>, Failure> {
    let trust = signer.trust().map_err(Failure::internal)?;
    let mut faults = Vec::new();
    for one in curations::of(index).await? {
        let mut fault = |what: &str, why: String| {
            faults.push(Fault { what: format!("{what} of revision {}", one.revision.number), why });
        };
        let found = verify(&one.bundle, &trust, TrustOrigin::Pinned, &|_parent| false).outcome;
        if !found.is_valid() {
            fault("the receipt", found.as_text());
        } else if one.says.collection.after.root != one.revision.root {
            fault("the receipt", "it is of another root".to_owned());
        } else if one.log.exists()
            && let Err(error) = curations::check(&one.bundle, &one.log)
        {
            fault("the log", chain(&error));
        }
    }
    Ok(faults)
}

fn tell(name: &str, audit: &Audit) {
    for fault in &audit.faults {
        println!("{name}: {}", show::plain(&fault.to_string()));
    }
    let verdict = if audit.faults.is_empty() { "verified" } else { "NOT verified" };
    println!(
        "{name}: {verdict}: {} signed heads, {} entries, {} documents, {} texts ({} bytes), {} passages",
        audit.revisions, audit.entries, audit.documents, audit.texts, audit.text_bytes, audit.passages
    );
}
