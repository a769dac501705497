//! `ii commons import`: a bundle into this home or its database.

use std::{fs, path::Path, time::Instant};

use serde_json::json;

use super::places;
use crate::{
    cli::{Program, print_json},
    exit::{Exit, Failure},
    progress::Progress,
    show,
};

pub(super) async fn run(program: &Program, file: &Path, key: Option<&str>) -> Result<Exit, Failure> {
    let commons = places(program).await?;
    let source = fs::File::open(file).map_err(|error| {
        Failure::new(
            Exit::Usage,
            format!("cannot read {}: {error}", file.display()),
            "name a file of `ii commons export`",
        )
    })?;
    let progress = Progress::new(program.json);
    let began = Instant::now();
    let mut told = |at| progress.counting("documents", at, began);
    let done = commons.import(Box::new(source), key, &mut told).await;
    progress.clear();
    let done = done?;
    if program.json {
        print_json(&json!({"collection": done.collection, "origin": done.origin, "keeper": done.keeper, "by": done.by,
            "revisions": done.revisions, "documents": done.documents, "passages": done.passages, "vectors": done.vectors}));
        return Ok(Exit::Completed);
    }
    let new = match done.revisions {
        0 => "was here already".to_owned(),
        1 => "1 new revision".to_owned(),
        many => format!("{many} new revisions"),
    };
    println!(
        "{}: {new}; {} documents, {} passages, {} vectors of {}",
        done.collection,
        done.documents,
        done.passages,
        done.vectors,
        show::plain(&done.origin)
    );
    println!("kept under {}", show::plain(&done.keeper));
    if done.by != done.keeper {
        println!("the bundle is signed under {}: texts drawn from files are as it says", show::plain(&done.by));
    }
    Ok(Exit::Completed)
}
