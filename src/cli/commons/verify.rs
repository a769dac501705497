//! `ii commons verify`: whether collections are what their signed heads say.

use std::{sync::Arc, time::Instant};

use commons_index::{Audit, Auditor};
use serde_json::json;

use super::{named, places};
use crate::{
    cli::{Program, print_json},
    commons::open_head,
    exit::{Exit, Failure},
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
        let audit = audit.map_err(|error| from_store(&error))?;
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
