//! `ii guardian status`: which guardians there are, how far the watch has looked, and what it found.

use std::collections::BTreeMap;

use agent_runtime::signer;
use guardian::Severity;
use serde_json::json;

use crate::{
    cli::{Program, print_json},
    exit::{Exit, Failure},
    failures::from_signer,
    guardians,
    identities::{self, Set},
    show,
};

/// Runs the command.
pub(super) fn run(program: &Program) -> Result<Exit, Failure> {
    let (charters, bad) = guardians::charters(&program.home)?;
    let concerns = guardians::concerns(&program.home)?;
    let places = guardians::places(&program.home)?;
    let keys = signer::list(&program.home).map_err(|error| from_signer(&error))?;
    let log = keys.iter().find(|row| row.name == "log").map(|row| row.public);
    let set = identities::check(&program.home, log.as_ref())?;
    let exit = match &set {
        Set::Empty | Set::Good { .. } => Exit::Completed,
        Set::Bad { .. } => Exit::Verification,
    };
    let (size, wrong) = match &set {
        Set::Empty => (0, None),
        Set::Good { size } => (*size, None),
        Set::Bad { why } => (0, Some(*why)),
    };
    let mut counts: BTreeMap<Severity, usize> = BTreeMap::new();
    concerns.iter().for_each(|concern| *counts.entry(concern.severity).or_default() += 1);
    let count = |severity| counts.get(&severity).copied().unwrap_or_default();
    let now = common_ground::Millis(program.wiring.clock.now_ms());
    if program.json {
        let charters: Vec<_> = charters.iter().map(|kept| super::charters::json_of(kept, now)).collect();
        print_json(&json!({"charters": charters, "unreadable_charters": bad, "runs_watched": places.len(),
            "identities": {"size": size, "wrong": wrong},
            "concerns": {"notice": count(Severity::Notice), "warning": count(Severity::Warning),
            "critical": count(Severity::Critical)}}));
        return Ok(exit);
    }
    for kept in &charters {
        println!("charter  {:<16} {}", show::plain(&kept.name), super::charters::state(&kept.terms, now));
    }
    for name in &bad {
        println!("charter  {:<16} not believed: it is no charter, or a signature does not verify", show::plain(name));
    }
    match wrong {
        None => println!("chartered {size} in all, under a signed head"),
        Some(why) => println!("the set of identities is not to be believed: {why}"),
    }
    println!("watched  {} runs", places.len());
    let (critical, warning, notice) = (count(Severity::Critical), count(Severity::Warning), count(Severity::Notice));
    println!("found    {critical} critical, {warning} warnings, {notice} notices");
    if charters.is_empty() {
        eprintln!("ii: no charter yet, so no guardian can have anything done; `ii guardian charters make` makes one");
    }
    Ok(exit)
}
