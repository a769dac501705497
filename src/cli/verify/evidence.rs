//! A file of evidence: whether it proves that somebody signed two things that cannot both be true.

use std::path::Path;

use receipts::{
    ledger::evidence::{Evidence, NoEvidence, Proved},
    trust::Trust,
};
use serde_json::json;

use super::{Program, print_json, shown};
use crate::exit::Exit;

/// What files of evidence are called before their number.
pub(in crate::cli) const NAME: &str = "equivocation-";

/// Whether a file means to be evidence: by its name, or by what it holds.
pub(super) fn is_meant(path: &Path, bytes: &[u8]) -> bool {
    let named = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(NAME));
    named || serde_json::from_slice::<Evidence>(bytes).is_ok()
}

/// Checks a file and says what it proves.
pub(super) fn check(program: &Program, path: &Path, bytes: &[u8], trust: Option<&Trust>) -> Exit {
    let found = Evidence::parse(bytes).and_then(|evidence| evidence.check(trust));
    show(program, path, &found);
    if found.is_ok() { Exit::Completed } else { Exit::Verification }
}

fn show(program: &Program, path: &Path, found: &Result<Proved, NoEvidence>) {
    match found {
        Ok(proved) if program.json => {
            let [one, other] = &proved.differs;
            print_json(&json!({"evidence": {"file": path, "result": "PROVED", "about": proved.about,
                "signers": proved.signers, "one": one, "other": other, "made": proved.made,
                "not_made": proved.not_made}}));
        }
        Err(why) if program.json => {
            print_json(&json!({"evidence": {"file": path, "result": "INVALID(no-evidence)", "why": why.to_string()}}));
        }
        Ok(proved) => lines(proved).iter().for_each(|line| println!("{line}")),
        Err(why) => println!("INVALID(no-evidence)  {}: {why}", shown(path)),
    }
}

fn lines(proved: &Proved) -> Vec<String> {
    let [one, other] = &proved.differs;
    let mut lines = vec![format!("PROVED  two contradicting signatures over {}", proved.about)];
    lines.extend(proved.signers.iter().map(|signer| format!("  signed both  {signer}")));
    lines.extend([format!("  one          {one}"), format!("  other        {other}"), String::new()]);
    lines.push("checked".to_owned());
    lines.extend(proved.made.iter().map(|check| format!("  ok     {check}")));
    lines.push("not checked".to_owned());
    lines.extend(proved.not_made.iter().map(|check| format!("  {check}")));
    lines
}
