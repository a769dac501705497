//! The architecture as tests: who may import whom, what the pure crates never mention, and that every file says what it is.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Which of our crates each may import. A new edge is a commit of its own with a reason.
const IMPORTS: &[(&str, &[&str])] = &[
    ("receipts", &[]),
    ("common-ground", &["receipts"]),
    ("tools", &["common-ground", "receipts"]),
    ("commons-index", &["common-ground", "receipts"]),
    ("agent-runtime", &["common-ground", "receipts"]),
    ("ii", &["receipts", "common-ground", "agent-runtime", "tools", "commons-index"]),
];

/// Crates that touch nothing outside, and what they therefore never mention.
const PURE: &[&str] = &["receipts", "common-ground"];
const IMPURE: &[&str] = &[
    "std::fs",
    "std::net",
    "std::env",
    "std::thread",
    "std::process",
    "SystemTime",
    "Instant::",
    "tokio",
    "HashMap",
    "HashSet",
    "getrandom",
    "rand::",
    "println!",
    "tracing::",
    "async fn",
];

/// Longest file before its tests.
const LONGEST: usize = 500;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            rust_files(&path, found);
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
}

fn manifests() -> BTreeMap<String, toml::Table> {
    let mut found = BTreeMap::new();
    for folder in ["", "receipts", "common-ground", "tools", "commons-index", "agent-runtime"] {
        let text = fs::read_to_string(root().join(folder).join("Cargo.toml")).expect("a manifest");
        let table: toml::Table = text.parse().expect("TOML");
        let name = table["package"]["name"].as_str().expect("a name").to_owned();
        found.insert(name, table);
    }
    found
}

/// Edges that the table does not have.
fn forbidden(name: &str, dependencies: &[String]) -> Vec<String> {
    let ours: Vec<&str> = IMPORTS.iter().map(|(name, _)| *name).collect();
    let allowed = IMPORTS.iter().find(|(known, _)| *known == name).map_or(&[][..], |(_, allowed)| *allowed);
    dependencies
        .iter()
        .filter(|one| ours.contains(&one.as_str()) && !allowed.contains(&one.as_str()))
        .cloned()
        .collect()
}

/// What a pure file mentions and must not. Its tests and comments may.
fn impurities(text: &str) -> Vec<&'static str> {
    let code: String = text
        .split("#[cfg(test)]")
        .next()
        .unwrap_or_default()
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n");
    IMPURE.iter().filter(|word| code.contains(**word)).copied().collect()
}

fn says_what_it_is(text: &str) -> bool {
    text.lines().next().is_some_and(|line| line.starts_with("//! ") && line.len() > 12)
}

fn length(text: &str) -> usize {
    text.lines().take_while(|line| *line != "#[cfg(test)]").count()
}

#[test]
fn imports_point_to_what_knows_less() {
    let members = manifests();
    assert_eq!(members.len(), IMPORTS.len(), "every member is in the table");
    for (name, table) in &members {
        let dependencies: Vec<String> = table
            .get("dependencies")
            .and_then(toml::Value::as_table)
            .into_iter()
            .flat_map(|t| t.keys().cloned())
            .collect();
        assert!(!dependencies.is_empty());
        assert_eq!(forbidden(name, &dependencies), Vec::<String>::new(), "{name}");
    }
    assert_eq!(forbidden("receipts", &["common-ground".to_owned(), "serde".to_owned()]), ["common-ground"]);
}

#[test]
fn pure_crates_touch_nothing_outside() {
    for name in PURE {
        let mut files = Vec::new();
        rust_files(&root().join(name).join("src"), &mut files);
        assert!(files.len() > 5);
        for file in files {
            let text = fs::read_to_string(&file).expect("a file");
            assert_eq!(impurities(&text), Vec::<&str>::new(), "{}", file.display());
        }
    }
    assert_eq!(impurities("use std::fs;\n// std::net\n#[cfg(test)]\nuse tokio;"), ["std::fs"]);
}

#[test]
fn every_file_says_what_it_is_and_stays_readable() {
    let mut files = Vec::new();
    rust_files(root(), &mut files);
    assert!(files.len() > 50);
    for file in files {
        let text = fs::read_to_string(&file).expect("a file");
        assert!(says_what_it_is(&text), "{} has no //! line", file.display());
        assert!(length(&text) <= LONGEST, "{} has {} lines before its tests", file.display(), length(&text));
    }
    assert!(!says_what_it_is("use x;"));
    assert!(!says_what_it_is("//! x"));
    assert_eq!(length("a\n#[cfg(test)]\nb\n"), 1);
}

#[test]
fn private_keys_are_read_in_one_place() {
    let mut files = Vec::new();
    rust_files(root(), &mut files);
    let readers: Vec<_> = files
        .iter()
        .filter(|file| !file.components().any(|part| part.as_os_str() == "tests"))
        .filter(|file| {
            fs::read_to_string(file)
                .expect("a file")
                .split("#[cfg(test)]")
                .next()
                .is_some_and(|code| code.contains("SigningKey::from_pem("))
        })
        .collect();
    assert_eq!(readers.len(), 1, "{readers:?}");
    assert!(readers[0].ends_with("agent-runtime/src/signer/keyfile.rs"));
}

/// Relative links of Markdown that lead nowhere.
fn broken_links(folder: &Path, text: &str) -> Vec<String> {
    let mut broken = Vec::new();
    for part in text.split("](").skip(1) {
        let target = part.split(')').next().unwrap_or_default().split('#').next().unwrap_or_default();
        let local = !target.is_empty() && !target.contains("://");
        if local && !folder.join(target).exists() {
            broken.push(target.to_owned());
        }
    }
    broken
}

#[test]
fn links_in_the_documentation_lead_somewhere() {
    let mut pages = vec![root().join("README.md"), root().join("CONTRIBUTING.md"), root().join("CHANGELOG.md")];
    for entry in fs::read_dir(root().join("docs")).expect("docs/") {
        pages.push(entry.expect("an entry").path());
    }
    for page in pages.iter().filter(|page| page.extension().is_some_and(|ending| ending == "md")) {
        let text = fs::read_to_string(page).expect("a page");
        let folder = page.parent().expect("a folder");
        assert_eq!(broken_links(folder, &text), Vec::<String>::new(), "{}", page.display());
    }
    assert_eq!(broken_links(root(), "[a](nowhere.md) [b](README.md#x) [c](https://x)"), ["nowhere.md"]);
}

/// Name and description out of a skill's front matter.
fn skill(text: &str) -> Option<(String, String)> {
    let front = text.strip_prefix("---\n")?.split_once("\n---\n")?.0;
    let field =
        |name: &str| front.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned());
    Some((field("name:")?, field("description:")?)).filter(|(name, about)| !name.is_empty() && !about.is_empty())
}

#[test]
fn every_skill_loads() {
    let mut count = 0;
    for entry in fs::read_dir(root().join("skills")).expect("skills/") {
        let folder = entry.expect("an entry").path();
        let text = fs::read_to_string(folder.join("SKILL.md")).expect("a SKILL.md");
        let (name, _) = skill(&text).unwrap_or_else(|| panic!("{} has no front matter", folder.display()));
        assert_eq!(Some(name.as_str()), folder.file_name().and_then(|name| name.to_str()));
        count += 1;
    }
    assert!(count > 0);
    assert_eq!(skill("no front matter"), None);
}
