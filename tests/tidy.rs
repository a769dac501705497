//! The rules of the tree that no compiler holds: who may import whom, what the pure crates may touch, where keys are read,
//! what each file and page must have. A rule is a function from a tree of texts to its faults.
//!
//! **Invariant:** each rule is shown a bad example too, so that it cannot pass by looking at nothing.
//! **Invariant:** reads the working tree and nothing else: no network, no git, no build output.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use toml::{Table, Value};

/// Who may import whom, and of whom only some parts. A new crate is a new row; a new edge is a commit of its own with a
/// reason. The same table, with what each crate knows nothing of, is in CONTRIBUTING.md.
const MAY_IMPORT: &[(&str, &[(&str, Parts)])] = &[
    ("receipts", &[]),
    ("common-ground", &[("receipts", Parts::Only(&["Digest", "PublicKey"]))]),
    ("tools", &[("common-ground", Parts::All), ("receipts", UNSIGNED)]),
    ("commons-index", &[("common-ground", Parts::All), ("receipts", LOGGED)]),
    ("agent-runtime", &[("common-ground", Parts::All), ("receipts", Parts::All)]),
    ("guardian", &[("common-ground", Parts::All), ("receipts", SIGNED)]),
    (
        "ii-ledger",
        &[
            ("receipts", Parts::All),
            // The charter under which a guardian is a witness.
            ("common-ground", Parts::Only(&["Millis", "guardian"])),
            ("guardian", Parts::Only(&["charter"])),
        ],
    ),
    ("tui", &[("common-ground", Parts::All)]),
    (
        "ii",
        &[
            ("receipts", Parts::All),
            ("common-ground", Parts::All),
            ("tools", Parts::All),
            ("commons-index", Parts::All),
            ("agent-runtime", Parts::All),
            ("guardian", Parts::All),
            ("tui", Parts::All),
        ],
    ),
];

/// Digests, trees, and the bytes that somebody else signs: what a crate that holds no key can make of evidence.
const UNSIGNED: Parts =
    Parts::Only(&["Digest", "PublicKey", "canonical", "checkpoint", "commit", "corpus", "integer", "merkle"]);

/// The same, and the log of an ingest, which it writes and somebody else seals.
const LOGGED: Parts = Parts::Only(&[
    "Digest",
    "PublicKey",
    "canonical",
    "checkpoint",
    "commit",
    "corpus",
    "curation",
    "integer",
    "merkle",
]);

/// Digests, and the envelopes that somebody else signs and anybody verifies.
const SIGNED: Parts =
    Parts::Only(&["Digest", "PublicKey", "canonical", "dsse", "integer", "keys", "statement", "timestamp"]);

/// How much of a crate another may name.
#[derive(Clone, Copy)]
enum Parts {
    All,
    Only(&'static [&'static str]),
}

/// The pure crates, and the outside crates they may use: formats, arithmetic and errors; nothing that acts.
const PURE: &[(&str, &[&str])] = &[
    (
        "receipts",
        &[
            "base64",
            "ed25519-dalek",
            "hex",
            "hmac",
            "serde",
            "serde_json",
            "serde_json_canonicalizer",
            "sha2",
            "thiserror",
            "time",
            "uuid",
            "zeroize",
        ],
    ),
    ("common-ground", &["futures-core", "serde", "serde_json", "thiserror", "uuid"]),
    ("guardian", &["aho-corasick", "base64", "regex", "serde", "serde_json", "thiserror"]),
];

/// What a pure crate may take from `std`. Not there: fs, net, env, thread, process, io, os, sync.
const PURE_STD: &[&str] = &[
    "array",
    "borrow",
    "cmp",
    "collections",
    "convert",
    "error",
    "fmt",
    "future",
    "hash",
    "iter",
    "marker",
    "mem",
    "num",
    "ops",
    "option",
    "pin",
    "result",
    "slice",
    "str",
    "string",
    "task",
    "time",
    "vec",
];

/// Words that no pure crate says: clocks, randomness, waiting, logs, output, and maps whose order differs from run to run.
const IMPURE: &[&str] = &[
    "HashMap",
    "HashSet",
    "Instant",
    "SystemTime",
    "UNIX_EPOCH",
    "async",
    "await",
    "dbg",
    "eprint",
    "eprintln",
    "getrandom",
    "new_v4",
    "now_local",
    "now_utc",
    "now_v7",
    "print",
    "println",
    "rand",
    "tokio",
    "tracing",
];

/// Lines of a source file before its tests.
const MOST_LINES: usize = 500;

/// Texts that a committed file must not hold, in two halves so that this file holds none of them: hosts of package
/// registries and settings that send package clients elsewhere, which bind a checkout to one place, and words that tell
/// how a file was written rather than what it is.
const UNWANTED: &[(&str, &str)] = &[
    ("registry.npmjs", ".org"),
    ("pypi", ".org"),
    ("pythonhosted", ".org"),
    ("static.crates", ".io"),
    ("index.crates", ".io"),
    ("deb.debian", ".org"),
    ("security.debian", ".org"),
    ("proxy.golang", ".org"),
    ("replace", "-with ="),
    ("index", "-url"),
    ("assistant", " session"),
];

/// The files by their paths with `/`; `None` for one that is no text.
type Tree = BTreeMap<String, Option<String>>;

fn working_tree() -> Tree {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let ignored = fs::read_to_string(root.join(".gitignore")).expect(".gitignore is there");
    let built: BTreeSet<&str> = ignored.lines().map(|line| line.trim_matches('/')).chain([".git"]).collect();
    let mut tree = Tree::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder)).expect("a folder of the tree") {
            let entry = entry.expect("an entry of the tree");
            let name = entry.file_name().into_string().expect("names are UTF-8");
            let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            if built.contains(path.as_str()) {
                continue;
            }
            if entry.file_type().expect("the type of an entry").is_dir() {
                folders.push(path);
            } else {
                tree.insert(path, String::from_utf8(fs::read(entry.path()).expect("a file of the tree")).ok());
            }
        }
    }
    assert!(tree.len() > 50, "{} files are not the whole tree", tree.len());
    tree
}

fn example(files: &[(&str, &str)]) -> Tree {
    files.iter().map(|(path, text)| ((*path).to_owned(), Some((*text).to_owned()))).collect()
}

fn texts(tree: &Tree) -> impl Iterator<Item = (&str, &str)> {
    tree.iter().filter_map(|(path, text)| Some((path.as_str(), text.as_deref()?)))
}

fn rust_files<'a>(tree: &'a Tree, folder: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    texts(tree).filter(move |(path, _)| path.starts_with(folder) && path.ends_with(".rs"))
}

/// A source text without the lines that are only comments.
fn code(text: &str) -> String {
    text.lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| format!("{line}\n")).collect()
}

fn before_tests(text: &str) -> &str {
    text.split("\n#[cfg(test)]\n").next().unwrap_or(text)
}

/// The names of Rust in a text.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// What is named directly below `root::`, also in `use root::{a, b::c}`. `*` and renamings count as names.
fn named_below(code: &str, root: &str) -> BTreeSet<String> {
    let start = format!("{root}::");
    let mut names = BTreeSet::new();
    for (at, _) in code.match_indices(&start) {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &code[at + start.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            names.insert(words(rest).next().filter(|word| rest.starts_with(*word)).unwrap_or("*").to_owned());
            continue;
        };
        let (mut depth, mut name) = (0_u32, String::new());
        for letter in group.chars() {
            match letter {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => names.extend([std::mem::take(&mut name)]),
                other if depth == 0 => name.push(other),
                _inside_a_part => {}
            }
        }
        names.insert(name);
    }
    let first = |name: &String| words(name).next().map_or_else(|| name.trim().to_owned(), str::to_owned);
    names.iter().map(first).filter(|name| !name.is_empty()).collect()
}

/// A member of the workspace.
struct Member {
    name: String,
    folder: String,
    manifest: Table,
}

impl Member {
    /// The folder of its sources; the root package's is `src/`.
    fn sources(&self) -> String {
        if self.folder.is_empty() { "src/".to_owned() } else { format!("{}/src/", self.folder) }
    }

    /// Tables of dependencies of this kind, also those for some targets only.
    fn dependencies(&self, kind: &str) -> Vec<(String, Value)> {
        let targets = self.manifest.get("target").and_then(Value::as_table).into_iter().flatten();
        let tables = targets.filter_map(|(_, target)| target.as_table()).chain([&self.manifest]);
        tables.filter_map(|table| table.get(kind)?.as_table()).flatten().map(|(n, v)| (n.clone(), v.clone())).collect()
    }
}

fn members(tree: &Tree) -> Vec<Member> {
    let read = |path: &str| tree.get(path).and_then(Option::as_deref).and_then(|text| text.parse::<Table>().ok());
    let workspace = read("Cargo.toml").expect("the root manifest");
    let listed = workspace["workspace"]["members"].as_array().expect("members").iter().filter_map(Value::as_str);
    let folders = listed.map(str::to_owned).chain([String::new()]);
    folders
        .map(|folder| {
            let path = if folder.is_empty() { "Cargo.toml".to_owned() } else { format!("{folder}/Cargo.toml") };
            let manifest = read(&path).expect("a member has a manifest");
            let name = manifest["package"]["name"].as_str().expect("a package has a name").to_owned();
            Member { name, folder, manifest }
        })
        .collect()
}

const KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// Edges between our crates are those of the table; versions stand in the workspace's manifest only.
fn imports(tree: &Tree) -> Vec<String> {
    let members = members(tree);
    let mut faults = Vec::new();
    for member in &members {
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == member.name) else {
            faults.push(format!("{} has no row in the table of imports", member.name));
            continue;
        };
        for (name, value) in KINDS.iter().flat_map(|kind| member.dependencies(kind)) {
            if value.get("workspace").and_then(Value::as_bool) != Some(true) {
                faults.push(format!("{}: {name} does not come from [workspace.dependencies]", member.name));
            }
            let ours = members.iter().any(|other| other.name == name);
            let Some((_, parts)) = allowed.iter().find(|(other, _)| *other == name) else {
                faults.extend(ours.then(|| format!("{} may not import {name}", member.name)));
                continue;
            };
            let Parts::Only(parts) = parts else { continue };
            for (path, text) in rust_files(tree, &member.sources()) {
                let named = named_below(&code(text), &name.replace('-', "_"));
                let more = named.iter().filter(|part| !parts.contains(&part.as_str()));
                faults.extend(more.map(|part| format!("{path} may not use {name}::{part}")));
            }
        }
    }
    faults
}

/// Each outside dependency says in one line above it why the project carries it.
fn reasons(tree: &Tree) -> Vec<String> {
    let manifest = tree.get("Cargo.toml").and_then(Option::as_deref).expect("the root manifest");
    let section = manifest.split("[workspace.dependencies]\n").nth(1).expect("workspace dependencies");
    let mut faults = Vec::new();
    let mut said = false;
    for line in section.lines().take_while(|line| !line.starts_with('[')) {
        match line.split_once(" = ") {
            _ if line.starts_with("# ") => said = true,
            Some((name, value)) if !value.contains("path = ") => {
                faults.extend((!said).then(|| format!("{name} says not why the project carries it")));
                said = false;
            }
            Some(_) | None => {}
        }
    }
    faults
}

/// The pure crates name nothing that acts: no file, network, clock, randomness, thread, process, executor, or map order.
fn purity(tree: &Tree) -> Vec<String> {
    let members = members(tree);
    let mut faults = Vec::new();
    for (name, outside) in PURE {
        let member = members.iter().find(|member| member.name == *name).expect("a pure crate is a member");
        for (dependency, _) in
            member.dependencies("dependencies").iter().chain(&member.dependencies("build-dependencies"))
        {
            let ours = members.iter().any(|other| other.name == *dependency);
            faults.extend((!ours && !outside.contains(&dependency.as_str())).then(|| format!("{name}: {dependency}")));
        }
        for (path, text) in rust_files(tree, &member.sources()) {
            let code = code(text);
            let std = named_below(&code, "std");
            faults.extend(std.iter().filter(|n| !PURE_STD.contains(&n.as_str())).map(|n| format!("{path}: std::{n}")));
            let impure = words(&code).filter(|word| IMPURE.contains(word));
            faults.extend(impure.map(|word| format!("{path}: {word}")));
        }
    }
    faults
}

/// Private keys exist in the signer only, and one file of it makes them from what a disk holds; the ledger, which is another
/// program, has one file for both. (The `receipts` crate defines keys; it knows no files.)
fn keys(tree: &Tree) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, text) in rust_files(tree, "").filter(|(path, _)| path.contains("src/") && !path.starts_with("receipts/"))
    {
        let code = code(before_tests(text));
        let says = |name: &str| words(&code).any(|word| word == name);
        if path == "ledger/src/keys.rs" {
            continue;
        }
        if (says("SigningKey") || says("to_pem")) && !path.starts_with("agent-runtime/src/signer/") {
            faults.push(format!("{path} handles private keys outside the signer"));
        }
        if says("from_pem") && path != "agent-runtime/src/signer/keyfile.rs" {
            faults.push(format!("{path} reads private keys beside signer/keyfile.rs"));
        }
    }
    faults
}

/// Each Rust file begins by saying what it is, and each invariant says something.
fn said(tree: &Tree) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, text) in rust_files(tree, "") {
        faults.extend((!text.starts_with("//! ")).then(|| format!("{path} does not begin with `//! `")));
        for line in text.lines().map(str::trim_start).filter(|line| line.starts_with("//")) {
            let Some((before, after)) = line.split_once("Invariant:") else { continue };
            let whole = before.ends_with("**") && after.strip_prefix("** ").is_some_and(|rest| rest.len() > 10);
            faults.extend((!whole).then(|| format!("{path}: `{line}` is no `**Invariant:** …`")));
        }
    }
    faults
}

/// A source file is read in one sitting. Programs under `tests/` are tests throughout.
fn lengths(tree: &Tree) -> Vec<String> {
    let sources = rust_files(tree, "").filter(|(path, _)| !path.starts_with("tests/") && !path.contains("/tests/"));
    let counted = sources.map(|(path, text)| (path, before_tests(text).lines().count()));
    let long = counted.filter(|(_, lines)| *lines > MOST_LINES);
    long.map(|(path, lines)| format!("{path} has {lines} lines before its tests, {MOST_LINES} at most")).collect()
}

/// A Markdown text without code: what is left is prose, links and headings.
fn prose(text: &str) -> Vec<String> {
    let mut fenced = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            lines.push(line.split('`').step_by(2).collect());
        }
    }
    lines
}

/// Where the links and pictures of a page lead.
fn targets(text: &str) -> Vec<String> {
    let mut targets = Vec::new();
    for line in prose(text) {
        for (start, end) in [("](", ')'), ("src=\"", '"'), ("href=\"", '"')] {
            let found = line.split(start).skip(1).filter_map(|rest| rest.split([end, ' ']).next());
            targets.extend(found.map(str::to_owned));
        }
    }
    targets
}

/// The anchors of a page's headings, as code forges make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut fenced = false;
    let mut anchors = BTreeSet::new();
    for line in text.lines() {
        fenced ^= line.trim_start().starts_with("```");
        if let Some(heading) = line.strip_prefix('#').filter(|_| !fenced) {
            let heading = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
            anchors.insert(heading.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect());
        }
    }
    anchors
}

/// `target` as seen from the page `from`; `None` when it leads out of the tree.
fn resolve(from: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in target.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." { parts.pop().map(|_up| ())? } else { parts.push(part) }
    }
    Some(parts.join("/"))
}

/// Links between the pages, and from pages to files, lead somewhere.
fn links(tree: &Tree) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, text) in texts(tree).filter(|(path, _)| path.ends_with(".md")) {
        for target in targets(text).iter().filter(|target| !target.contains("://") && !target.starts_with("mailto:")) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let place = if file.is_empty() { Some(path.to_owned()) } else { resolve(path, file) };
            let known = place.filter(|place| {
                tree.contains_key(place) || tree.keys().any(|other| other.starts_with(&format!("{place}/")))
            });
            let page = known.as_ref().and_then(|place| tree.get(place)?.as_deref());
            let anchored = anchor.is_empty() || page.is_some_and(|page| anchors(page).contains(anchor));
            faults.extend((known.is_none() || !anchored).then(|| format!("{path}: {target} leads nowhere")));
        }
    }
    faults
}

/// Each folder of `skills/` holds a skill in agentskills.io form.
fn skills(tree: &Tree) -> Vec<String> {
    let folders = tree.keys().filter_map(|path| path.strip_prefix("skills/")?.split_once('/'));
    let names: BTreeSet<&str> = folders.map(|(name, _)| name).collect();
    let mut faults = Vec::new();
    for name in names {
        let text = tree.get(&format!("skills/{name}/SKILL.md")).and_then(Option::as_deref);
        let parts = text.and_then(|text| text.strip_prefix("---\n")?.split_once("\n---\n"));
        let Some((matter, body)) = parts else {
            faults.push(format!("skills/{name}/SKILL.md has no front matter"));
            continue;
        };
        let field = |key: &str| {
            let value = matter.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": ")).unwrap_or_default();
            value.trim().trim_matches('"').to_owned()
        };
        let plain = name
            .split('-')
            .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));
        faults.extend((field("name") != name || !plain || name.len() > 64).then(|| format!("skills/{name}: its name")));
        let described = (1..=1024).contains(&field("description").chars().count());
        faults.extend((!described).then(|| format!("skills/{name}: its description")));
        faults.extend(body.trim().is_empty().then(|| format!("skills/{name} says nothing")));
    }
    faults
}

/// No committed text binds the checkout to a place or tells how it was written.
fn unwanted(tree: &Tree) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, text) in texts(tree) {
        let lower = text.to_lowercase();
        for (first, second) in UNWANTED {
            let whole = format!("{first}{second}");
            faults.extend(lower.contains(&whole).then(|| format!("{path} says {whole}")));
        }
    }
    faults
}

fn holds(rule: fn(&Tree) -> Vec<String>) {
    let faults = rule(&working_tree());
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// The faults of a bad example, in their order.
fn breaks(rule: fn(&Tree) -> Vec<String>, files: &[(&str, &str)], faults: &[&str]) {
    assert_eq!(rule(&example(files)), faults);
}

#[test]
fn our_crates_import_each_other_by_the_table_only() {
    holds(imports);
    let root = "[workspace]\nmembers = [\"receipts\", \"tools\", \"extra\"]\n[package]\nname = \"ii\"\n";
    let tools = "[package]\nname = \"tools\"\n[dev-dependencies]\nreceipts.workspace = true\n\
                 [target.'cfg(unix)'.dependencies]\nii.workspace = true\nserde = \"1\"\n";
    let files = [
        ("Cargo.toml", root),
        ("receipts/Cargo.toml", "[package]\nname = \"receipts\"\n"),
        ("extra/Cargo.toml", "[package]\nname = \"extra\"\n"),
        ("tools/Cargo.toml", tools),
        ("tools/src/lib.rs", "use receipts::{Digest, keys::{SigningKey, verify}};\n// receipts::note in a comment\n"),
    ];
    let faults = [
        "tools may not import ii",
        "tools: serde does not come from [workspace.dependencies]",
        "tools/src/lib.rs may not use receipts::keys",
        "extra has no row in the table of imports",
    ];
    breaks(imports, &files, &faults);
}

#[test]
fn each_outside_dependency_has_its_reason() {
    holds(reasons);
    let manifest = "[workspace.dependencies]\n# Why.\nhex = \"1\"\ntime = \"1\"\n[package]\nname = \"ii\"\n";
    breaks(reasons, &[("Cargo.toml", manifest)], &["time says not why the project carries it"]);
}

#[test]
fn the_pure_crates_name_nothing_that_acts() {
    holds(purity);
    let files = [
        (
            "Cargo.toml",
            "[workspace]\nmembers = [\"receipts\", \"common-ground\", \"guardian\"]\n[package]\nname = \"ii\"\n",
        ),
        ("guardian/Cargo.toml", "[package]\nname = \"guardian\"\n"),
        (
            "receipts/Cargo.toml",
            "[package]\nname = \"receipts\"\n[dependencies]\ntokio.workspace = true\nhex = \"1\"\n",
        ),
        ("receipts/src/lib.rs", "use std::{\n    fmt, fs,\n    time::{Duration, SystemTime},\n};\n"),
        ("common-ground/Cargo.toml", "[package]\nname = \"common-ground\"\n"),
        (
            "common-ground/src/lib.rs",
            "// std::fs and HashMap in a comment\nfn a() { std::env::var(\"A\"); HashMap::new() }\n",
        ),
        ("common-ground/src/id.rs", "use std::*;\nlet id = Uuid::now_v7();\n"),
    ];
    let faults = [
        "receipts: tokio",
        "receipts/src/lib.rs: std::fs",
        "receipts/src/lib.rs: SystemTime",
        "common-ground/src/id.rs: std::*",
        "common-ground/src/id.rs: now_v7",
        "common-ground/src/lib.rs: std::env",
        "common-ground/src/lib.rs: HashMap",
    ];
    breaks(purity, &files, &faults);
}

#[test]
fn one_file_reads_private_keys() {
    holds(keys);
    let files = [
        ("agent-runtime/src/signer/keyfile.rs", "SigningKey::from_pem(&text)"),
        ("agent-runtime/src/signer/mod.rs", "fs::write(path, key.to_pem()); Key::from_pem(text)"),
        ("agent-runtime/src/journal/mod.rs", "fn sign(key: &SigningKey) {}"),
        ("ledger/src/keys.rs", "SigningKey::from_pem(&text)"),
        ("ledger/src/writer.rs", "fn sign(key: &SigningKey) {}"),
        ("receipts/src/keys.rs", "pub struct SigningKey;"),
        ("src/cli/keys.rs", "// SigningKey\n\n#[cfg(test)]\nmod tests { SigningKey }"),
        ("src/wiring.rs", "key.to_pem()"),
    ];
    let faults = [
        "agent-runtime/src/journal/mod.rs handles private keys outside the signer",
        "agent-runtime/src/signer/mod.rs reads private keys beside signer/keyfile.rs",
        "ledger/src/writer.rs handles private keys outside the signer",
        "src/wiring.rs handles private keys outside the signer",
    ];
    breaks(keys, &files, &faults);
}

#[test]
fn each_file_says_what_it_is_and_each_invariant_says_something() {
    holds(said);
    let files = [
        ("a.rs", "//! A.\n//!\n//! **Invariant:** it holds always.\nlet text = \"Invariant:\";\n"),
        ("b.rs", "//! B.\n//! **Invariant:**\n//! Invariant: in plain letters\n"),
        ("c.rs", "#![allow(x)]\n//! C.\n"),
    ];
    let faults = [
        "b.rs: `//! **Invariant:**` is no `**Invariant:** …`",
        "b.rs: `//! Invariant: in plain letters` is no `**Invariant:** …`",
        "c.rs does not begin with `//! `",
    ];
    breaks(said, &files, &faults);
}

#[test]
fn source_files_are_short_before_their_tests() {
    holds(lengths);
    let (short, long) = ("a\n".repeat(500), "a\n".repeat(501));
    let tested = format!("{short}\n#[cfg(test)]\n{long}");
    let files =
        [("a/src/a.rs", tested.as_str()), ("a/src/b.rs", &long), ("a/tests/c.rs", &long), ("tests/d.rs", &long)];
    breaks(lengths, &files, &["a/src/b.rs has 501 lines before its tests, 500 at most"]);
}

#[test]
fn links_lead_somewhere() {
    holds(links);
    let page = "# Top of all\n[up](../README.md) [top](#top-of-all) [no](#bottom) [out](../../x) [web](https://ii.example/x)\n\
                `[code](gone.md)`\n```\n# not a heading\n[code](gone.md)\n```\n![picture](run.svg) [folder](.) [gone](gone.md \"t\")\n";
    let files = [
        ("README.md", "<img src=\"docs/run.svg\"> [a](docs/a.md#top-of-all)"),
        ("docs/a.md", page),
        ("docs/run.svg", ""),
    ];
    let faults =
        ["docs/a.md: #bottom leads nowhere", "docs/a.md: ../../x leads nowhere", "docs/a.md: gone.md leads nowhere"];
    breaks(links, &files, &faults);
}

#[test]
fn skills_have_the_form_that_other_programs_read() {
    holds(skills);
    let files = [
        ("skills/good-one/SKILL.md", "---\nname: good-one\ndescription: \"Does it: well.\"\n---\n# How\n"),
        ("skills/good-one/table.csv", ""),
        ("skills/Loud/SKILL.md", "---\nname: Loud\ndescription: x\n---\n# How\n"),
        ("skills/none/notes.md", ""),
        ("skills/other/SKILL.md", "---\nname: another\n---\n\n"),
    ];
    let faults = [
        "skills/Loud: its name",
        "skills/none/SKILL.md has no front matter",
        "skills/other: its name",
        "skills/other: its description",
        "skills/other says nothing",
    ];
    breaks(skills, &files, &faults);
}

#[test]
fn no_text_names_a_registry_or_how_it_was_written() {
    holds(unwanted);
    let host = format!("fetched from https://{}{}/simple\n", "PyPI", ".org");
    breaks(unwanted, &[("a.md", &host), ("b.md", "crates.io")], &[&format!("a.md says {}{}", "pypi", ".org")]);
}
