//! `ii commons verify`: whether collections are what their signed heads say.

use std::{sync::Arc, time::Instant};

use commons_index::{Audit, Auditor};
use serde_json::json;

use super::{named, open};
use crate::{
    cli::{Program, print_json},
    exit::{Exit, Failure},
    failures::from_store,
    progress::Progress,
    show, wiring,
};

pub(super) async fn run(program: &Program, wanted: Option<&str>) -> Result<Exit, Failure> {
    let (config, _) = program.settings(&[])?;
    let signer = Arc::new(wiring::signer(&program.home, &config, &program.wiring.clock)?);
    let progress = Progress::new(program.json);
    let opening = Arc::clone(&signer);
    let open_head = move |text: &str| opening.open_checkpoint(text).map_err(|error| error.to_string());
    let (mut rows, mut faults) = (Vec::new(), 0);
    for name in named(program, wanted)? {
        let began = Instant::now();
        let index = open(program, &name).await?;
        let mut told = |at| progress.counting("texts", at, began);
        let audit = index.audit(Auditor { open: &open_head, progress: &mut told }).await;
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
