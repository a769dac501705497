//! Every home of a test is shown to a guardian when the test has gone well: what its rules say of runs that went well is
//! printed, a line each, and counted by `scripts/watched.py`.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::{Command, Stdio},
    thread,
};

use serde_json::Value;

use super::Place;

/// Shows the home to a sentinel by the program's own commands, and prints what is found:
/// `watched: TEST | RUN | OUTCOME | RULES`, the rules being those the test did not say it gives something to find. Where nothing
/// can be read, `watched: TEST | - | unreadable | WHY`.
pub fn show(place: &Place, expected: &BTreeSet<&str>) {
    if thread::panicking() || !place.home().join("journal.sqlite").exists() {
        return;
    }
    let test = thread::current().name().unwrap_or("a test without a name").to_owned();
    let declared = if expected.is_empty() { "" } else { "troubled " };
    match outcomes(place).and_then(|outcomes| Ok((outcomes, concerns(place)?))) {
        Err(why) => println!("watched: {test} | - | {declared}unreadable | {}", why.trim().replace(['\n', '|'], " ")),
        Ok((outcomes, concerns)) => {
            for (run, outcome) in outcomes {
                let spoke = concerns.get(&run).into_iter().flatten();
                let unexpected: Vec<&str> = spoke.map(String::as_str).filter(|rule| !expected.contains(rule)).collect();
                println!("watched: {test} | {run} | {declared}{outcome} | {}", unexpected.join(", "));
            }
        }
    }
}

/// The state of each run, or how it ended.
fn outcomes(place: &Place) -> Result<BTreeMap<String, String>, String> {
    let listed = place.ii(&["runs", "list", "--json"]);
    if !listed.status.success() {
        return Err(String::from_utf8_lossy(&listed.stderr).into_owned());
    }
    let rows: Vec<Value> = serde_json::from_slice(&listed.stdout).map_err(|error| error.to_string())?;
    let word = |row: &Value| row["outcome"].as_str().or_else(|| row["state"].as_str()).unwrap_or("?").to_owned();
    Ok(rows.iter().filter_map(|row| Some((row["id"].as_str()?.to_owned(), word(row)))).collect())
}

/// The rules that spoke, by run.
fn concerns(place: &Place) -> Result<BTreeMap<String, BTreeSet<String>>, String> {
    let program = Path::new(env!("CARGO_BIN_EXE_ii"));
    let told = place.ii(&["journal", "follow", "--once"]);
    if !told.status.success() {
        return Err(String::from_utf8_lossy(&told.stderr).into_owned());
    }
    let mut sentinel = Command::new(program)
        .args(["guardian", "sentinel"])
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    let mut pipe = sentinel.stdin.take().expect("piped");
    let writes = thread::spawn(move || std::io::Write::write_all(&mut pipe, &told.stdout));
    let said = sentinel.wait_with_output().map_err(|error| error.to_string())?;
    // A sentinel that ends early says why by itself.
    drop(writes.join());
    if !said.status.success() {
        return Err(String::from_utf8_lossy(&said.stderr).into_owned());
    }
    let mut found = BTreeMap::<String, BTreeSet<String>>::new();
    for line in String::from_utf8_lossy(&said.stdout).lines() {
        let said: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let (Some(run), Some(rule)) = (said["concern"]["run"].as_str(), said["concern"]["rule"].as_str()) else {
            continue;
        };
        found.entry(run.to_owned()).or_default().insert(rule.to_owned());
    }
    Ok(found)
}
