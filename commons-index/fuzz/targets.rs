//! What each fuzz target does with its bytes: for libFuzzer, a program a target, and for `cargo test`, which runs what was kept.
//!
//! **Invariant:** a target panics where something is wrong, and does nothing else.
#![allow(dead_code, reason = "a fuzz program runs one of them")]

use std::{fs, io, path::Path, sync::LazyLock};

use commons_index::{Auditor, Caller, Collection, Importer, IngestError, Limits, collections};
use receipts::{
    checkpoint::Checkpoint,
    merkle::{Frontier, leaf_hash},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

/// A target and its name.
pub type Named = (&'static str, fn(&[u8]));

/// Every target by its name, which is that of its program and of the folder of what was kept.
pub const ALL: &[Named] = &[("bundle", bundle), ("document", document)];

const READER: &str = "ii-0000000000000000";
/// Endings of the names that a document may have, by its first byte.
const ENDINGS: [&str; 13] =
    ["md", "txt", "html", "pdf", "csv", "tsv", "json", "jsonl", "xml", "rs", "txt.gz", "xml.bz2", "jsonl.zst"];

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_all().build().expect("a runtime"));

/// Takes the word of everybody: what lies behind the signatures is reached only so.
fn believe(note: &str) -> Result<Checkpoint, String> {
    let body = note.split_once("\n\n").map_or(note, |(body, _signatures)| body);
    let body = if body.ends_with('\n') { body.to_owned() } else { format!("{body}\n") };
    Checkpoint::parse(&body).ok_or_else(|| "no head".to_owned())
}

async fn faults(index: &Collection) -> Vec<String> {
    let audit = index.audit(Auditor { open: &believe, progress: &mut |_at| {} }).await.expect("audited");
    audit.faults.iter().map(ToString::to_string).collect()
}

fn home() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// A bundle as anybody may hand one on, packed, or as plain lines that are signed here: what is refused leaves nothing behind, and
/// what is taken in is whole and is known the second time.
pub fn bundle(bytes: &[u8]) {
    const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
    let packed =
        if bytes.starts_with(ZSTD) { bytes.to_vec() } else { zstd::bulk::compress(&signed(bytes), 1).expect("packed") };
    let home = home();
    let import = async || {
        let importer = Importer { keeper: None, open: &|_vkey, note| believe(note), progress: &mut |_at| {} };
        Collection::import(home.path(), READER, Box::new(io::Cursor::new(packed.clone())), importer).await
    };
    RUNTIME.block_on(async {
        let Ok(done) = import().await else {
            assert_eq!(collections(home.path()).expect("listed"), [""; 0]);
            let left = fs::read_dir(home.path().join("commons")).map_or(0, Iterator::count);
            assert_eq!(left, 0, "something of a refused bundle is there");
            return;
        };
        let index = Collection::open_collection(home.path(), &done.collection, READER).await.expect("opens");
        assert_eq!(faults(&index).await, [""; 0]);
        assert_eq!(import().await.expect("known").revisions, 0);
    });
}

/// The lines with a head over them, as their writer would have signed it.
fn signed(lines: &[u8]) -> Vec<u8> {
    let mut tree = Frontier::new();
    let mut by = String::new();
    let mut plain = Vec::with_capacity(lines.len() + 200);
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.starts_with(b"{\"signed\"") && !line.is_empty())
    {
        if by.is_empty()
            && let Ok(head) = serde_json::from_slice::<Value>(line)
            && let Some(vkey) = head["bundle"]["by"].as_str()
        {
            vkey.clone_into(&mut by);
        }
        tree.push(leaf_hash(line));
        plain.extend_from_slice(line);
        plain.push(b'\n');
    }
    let node = by.split_once('+').map_or(by.as_str(), |(node, _key)| node);
    let head = Checkpoint { origin: format!("{node}/bundle/{}", tree.root()), size: tree.size(), root: tree.root() };
    plain.extend_from_slice(json!({ "signed": head.body() }).to_string().as_bytes());
    plain.push(b'\n');
    plain
}

/// A file of any format that is read, its ending by the first byte: it is taken in or named with the reason, and what is taken in is
/// whole, to the last span.
pub fn document(bytes: &[u8]) {
    let Some((ending, content)) = bytes.split_first() else { return };
    let ending = ENDINGS[usize::from(*ending) % ENDINGS.len()];
    let home = home();
    let (own, folder) = (home.path().join("home"), home.path().join("folder"));
    for place in [&own, &folder] {
        fs::create_dir(place).expect("a folder");
    }
    fs::write(folder.join(format!("a.{ending}")), content).expect("written");
    RUNTIME.block_on(taken(&own, &folder));
}

async fn taken(home: &Path, folder: &Path) {
    let mut index = Collection::open(home, folder, READER, Limits::default()).await.expect("opens");
    let mut number = 0_u8;
    let mut entropy = |salt: &mut [u8]| -> io::Result<()> {
        number = number.wrapping_add(1);
        salt.fill(number);
        Ok(())
    };
    let mut sign = |body: &[u8]| -> io::Result<Vec<u8>> { Ok(body.to_vec()) };
    let caller = Caller { began_ms: 1, entropy: &mut entropy, sign: &mut sign, progress: &mut |_at| {} };
    let done = match index.ingest(caller).await {
        Ok(done) => done,
        Err(IngestError::NothingReadable { skipped, .. }) => return assert!(!skipped.is_empty()),
        Err(error) => panic!("{error}"),
    };
    let documents = index.documents().await.expect("documents");
    assert_eq!(documents.len() as u64, done.documents);
    assert!(done.documents > 0 || !done.skipped.is_empty(), "a file is taken in or named");
    assert_eq!(faults(&index).await, [""; 0]);
}
