//! `ii receipts export`: receipts as files that tools which know nothing of us can check.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use receipts::{bundle::Bundle, trust::Trust};
use serde_json::json;

use super::super::{Program, print_json, runs, verify};
use crate::exit::{Exit, Failure};

/// Arguments of `ii receipts export`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run's id, or its beginning.
    run: String,
    /// The folder, which is made and must be empty.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Runs the command.
pub(super) async fn run(args: Args, program: &Program) -> Result<Exit, Failure> {
    let Args { run, out } = args;
    let (reader, id) = runs::find(program, &run).await?;
    let bundles = verify::from_journal_of(&reader, id).await?;
    if bundles.is_empty() {
        let what = format!("run {id} has no receipts");
        return Err(Failure::new(Exit::Usage, what, "receipts are made for accepted modules only"));
    }
    let trust = verify::own_keys(program, &reader).await?;
    write_all(&out, &bundles, &trust)?;
    if program.json {
        print_json(&json!({"run": id, "out": out, "modules": bundles.keys().collect::<Vec<_>>()}));
    } else {
        eprintln!("ii: {} receipts in {}; check them with `ii verify {}`", bundles.len(), out.display(), out.display());
    }
    Ok(Exit::Completed)
}

/// Writes receipts into a new folder, one folder a module, and whom to trust beside them.
pub(super) fn write_all(out: &Path, bundles: &BTreeMap<String, Bundle>, trust: &Trust) -> Result<(), Failure> {
    let taken = fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some());
    if taken {
        let what = format!("{} is not empty", out.display());
        return Err(Failure::new(Exit::Usage, what, "name a new folder with --out"));
    }
    for (module, bundle) in bundles {
        let folder = out.join(module);
        fs::create_dir_all(&folder).map_err(|error| unwritable(&folder, &error))?;
        for (name, bytes) in &bundle.0 {
            write(&folder.join(name), bytes)?;
        }
    }
    write(&out.join("trust.json"), &trust.to_bytes().map_err(Failure::internal)?)
}

pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    fs::write(path, bytes).map_err(|error| unwritable(path, &error))
}

pub(super) fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    let exit = Exit::Storage;
    Failure::new(exit, format!("cannot write {}: {error}", path.display()), "name a folder you may write with --out")
}
