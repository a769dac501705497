//! What the dependency tree may hold, by `deny.toml`: licences, places, and crates that stay out. cargo-deny reads the same
//! file and checks more; this holds on every machine.

use std::{collections::BTreeSet, process::Command};

use serde_json::Value;

/// Whether a licence expression can be met by licences that are allowed. `/` is the old way to write OR.
fn met(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    either(&words, &mut at, allowed) && at == words.len()
}

fn either(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let mut holds = both(words, at, allowed);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        holds |= both(words, at, allowed);
    }
    holds
}

fn both(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let mut holds = one(words, at, allowed);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        holds &= one(words, at, allowed);
    }
    holds
}

fn one(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let word = words.get(*at);
    *at += 1;
    let Some(word) = word else { return false };
    if *word == "(" {
        let holds = either(words, at, allowed);
        *at += 1;
        return holds && words.get(*at - 1) == Some(&")");
    }
    let mut name = (*word).to_owned();
    if words.get(*at) == Some(&"WITH") {
        name = format!("{name} WITH {}", words.get(*at + 1).unwrap_or(&""));
        *at += 2;
    }
    allowed.contains(&name)
}

/// What is wrong with the packages, one line each.
fn faults(packages: &[Value], allowed: &BTreeSet<String>, banned: &BTreeSet<String>) -> Vec<String> {
    let mut faults = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let licence = package["license"].as_str().unwrap_or_default();
        faults.extend((!met(licence, allowed)).then(|| format!("{name} is under `{licence}`")));
        let place = package["source"].as_str();
        let known = place.is_none_or(|place| place.starts_with("registry+"));
        faults.extend((!known).then(|| format!("{name} comes from {}", place.unwrap_or_default())));
        faults.extend(banned.contains(name).then(|| format!("{name} is to stay out")));
    }
    faults
}

fn texts(value: &toml::Value) -> BTreeSet<String> {
    value.as_array().into_iter().flatten().filter_map(|one| one.as_str().map(str::to_owned)).collect()
}

#[test]
fn every_crate_has_an_allowed_licence_and_comes_from_where_crates_come_from() {
    let file = include_str!("../deny.toml");
    let rules: toml::Table = file.parse().expect("TOML");
    let allowed = texts(&rules["licenses"]["allow"]);
    let banned: BTreeSet<String> = rules["bans"]["deny"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|ban| ban.get("wrappers").is_none())
        .filter_map(|ban| ban["crate"].as_str().map(str::to_owned))
        .collect();
    assert!(!banned.is_empty() && !allowed.is_empty());
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--offline", "--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let used: BTreeSet<&str> =
        metadata["resolve"]["nodes"].as_array().expect("nodes").iter().filter_map(|node| node["id"].as_str()).collect();
    let packages: Vec<Value> = metadata["packages"]
        .as_array()
        .expect("packages")
        .iter()
        .filter(|package| package["id"].as_str().is_some_and(|id| used.contains(id)))
        .cloned()
        .collect();
    assert!(packages.len() > 100, "the whole tree is looked at");
    assert_eq!(faults(&packages, &allowed, &banned), Vec::<String>::new());

    let odd = serde_json::json!([
        { "name": "copyleft", "license": "GPL-3.0", "source": null },
        { "name": "elsewhere", "license": "MIT", "source": "git+https://example.org/x" },
        { "name": "openssl-sys", "license": "MIT", "source": null },
        { "name": "unlicensed", "license": null, "source": null },
    ]);
    assert_eq!(faults(odd.as_array().expect("an array"), &allowed, &banned).len(), 4);
}

#[test]
fn licence_expressions_are_met_as_they_are_written() {
    let allowed: BTreeSet<String> = ["MIT", "Zlib", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned).into();
    for good in ["MIT", "GPL-3.0 OR MIT", "MIT/GPL-3.0", "(GPL-3.0 OR MIT) AND Zlib", "Apache-2.0 WITH LLVM-exception"]
    {
        assert!(met(good, &allowed), "{good}");
    }
    for bad in
        ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT", "MIT Zlib", "Apache-2.0", "MIT OR", "GPL-3.0 AND MIT OR Apache-2.0"]
    {
        assert!(!met(bad, &allowed), "{bad}");
    }
}
