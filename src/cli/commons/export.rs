//! `ii commons export`: a collection into a bundle.

use std::{fs, io, path::Path, time::Instant};

use commons_index::Exporter;
use serde_json::json;

use crate::{
    cli::{Program, print_json},
    commons::Commons,
    exit::{Exit, Failure},
    failures::from_bundle,
    progress::Progress,
    wiring,
};

pub(super) async fn run(program: &Program, wanted: &str, file: &Path) -> Result<Exit, Failure> {
    let (config, _) = program.settings(&[])?;
    let signer = wiring::signer(&program.home, &config, &program.wiring.clock)?;
    let commons = Commons::open(&program.home, &config, &signer).await?;
    let index = commons.named(&commons.find(wanted).await?).await?;
    let shown = file.display();
    if file.exists() {
        return Err(Failure::new(Exit::Usage, format!("{shown} is there already"), "name a new file"));
    }
    // Under its name only when it is whole.
    let mut part = file.as_os_str().to_owned();
    part.push(".part");
    let part = Path::new(&part);
    let unwritable = |error: io::Error| {
        Failure::new(Exit::Storage, format!("{shown} cannot be written: {error}"), "name another file")
    };
    let out = fs::File::create(part).map_err(unwritable)?;
    let progress = Progress::new(program.json);
    let began = Instant::now();
    let exporter = Exporter {
        by: &signer.log_vkey(),
        sign: &mut |body: &[u8]| signer.sign_checkpoint(body).map_err(io::Error::other),
        progress: &mut |at| progress.counting("documents", at, began),
    };
    let done = index.export(Box::new(io::BufWriter::new(out)), exporter).await;
    progress.clear();
    let made = match done {
        Ok(done) => {
            fs::File::open(part).and_then(|whole| whole.sync_all()).and_then(|()| fs::rename(part, file)).map(|()| done)
        }
        Err(error) => {
            // The reason counts, whether or not what was begun could be taken away.
            drop(fs::remove_file(part));
            return Err(from_bundle(&error));
        }
    };
    let done = made.map_err(unwritable)?;
    let bytes = fs::metadata(file).map_err(unwritable)?.len();
    if program.json {
        print_json(&json!({"collection": index.collection(), "origin": index.origin(), "file": file, "bytes": bytes,
            "revisions": done.revisions, "documents": done.documents, "gone": done.gone, "passages": done.passages,
            "vectors": done.vectors, "lines": done.lines, "root": done.root, "by": signer.log_vkey()}));
        return Ok(Exit::Completed);
    }
    if done.gone > 0 {
        eprintln!(
            "ii: it holds {} documents that are gone or replaced by now: later revisions are proved to follow them",
            done.gone
        );
    }
    println!(
        "{shown}: {bytes} bytes; {} revisions, {} documents, {} passages, {} vectors; signed by {}",
        done.revisions,
        done.documents,
        done.passages,
        done.vectors,
        signer.node_name()
    );
    Ok(Exit::Completed)
}
