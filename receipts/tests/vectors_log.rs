//! Trees and heads that others' logs published, told again with ours: a whole log of Tessera, and the conversation of a
//! witness with a log of Sigsum.

mod vectors_folder;

use std::{fs, path::Path};

use receipts::{
    Digest,
    checkpoint::Checkpoint,
    ledger::tile::{Content, Tile, unbundle},
    merkle::{Tree, check_consistency, leaf_hash, root_from_inclusion},
    note::{NoteError, open_as, parse_vkey},
    witness::{AddCheckpoint, Refusal, WatchedLog},
};
use serde_json::Value;
use vectors_folder::vectors;

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON")
}

#[test]
fn a_whole_log_of_tessera() {
    let (Some(log), Some(notes)) = (vectors("tlog-log", "a whole log"), vectors("signed-note", "its key")) else {
        return;
    };
    let log = log.join("tessera");
    let vkey = &json(&notes.join("notes.json"))["tessera_testdata"]["vkey"];
    let (name, key) = parse_vkey(vkey.as_str().expect("a key")).expect("a verifier key");
    let bundle = fs::read(log.join("tile/entries/000.p/15")).expect("entries");
    let leaves: Vec<Digest> = unbundle(&bundle).expect("a bundle").into_iter().map(leaf_hash).collect();
    assert_eq!(leaves.len(), 15);
    let mut tree = Tree::new();
    let mut heads = Vec::new();
    for size in 0..=15_usize {
        if size > 0 {
            tree.push(leaves[size - 1]);
            let tile = fs::read(log.join(format!("tile/0/000.p/{size}"))).expect("a tile");
            let ours = Tile { content: Content::Hashes { level: 0 }, index: 0, width: size as u64 };
            assert_eq!(ours.path(), format!("tile/0/000.p/{size}"));
            assert_eq!(ours.hashes(&tree), Some(tile));
        }
        let note = fs::read_to_string(log.join(format!("checkpoint.{size}"))).expect("a checkpoint");
        let head = Checkpoint::parse(open_as(&note, &name, &key).expect("opens")).expect("a checkpoint");
        assert_eq!(head, Checkpoint { origin: name.clone(), size: tree.size(), root: tree.root() });
        assert_eq!(
            Checkpoint::open(&note, &key),
            Err(NoteError::OtherKey { expected: receipts::note::log_name(&key) })
        );
        heads.push((head.size, head.root));
    }
    let last = heads[15];
    for (leaf, index) in leaves.iter().zip(0..) {
        let path = tree.inclusion(index).expect("in the tree");
        assert_eq!(root_from_inclusion(*leaf, index, last.0, &path), Ok(last.1));
        let head = heads[index as usize + 1];
        assert_eq!(check_consistency(head, last, &tree.consistency(head.0).expect("a proof")), Ok(()));
    }
}

#[test]
fn a_witness_answers_as_published() {
    let Some(folder) = vectors("signed-note", "a witness's conversation") else { return };
    let script = json(&folder.join("tlog_witness_add_checkpoint.json"));
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let log = WatchedLog {
        origin: text(&script["origin"]),
        key: text(&script["log_public_key_hex"]).parse().expect("a key"),
    };
    let mut last: Option<Checkpoint> = None;
    let steps = script["steps"].as_array().expect("steps");
    let mut conflicts = Vec::new();
    let mut answers = Vec::new();
    for step in steps {
        let request = AddCheckpoint::parse(&text(&step["body"])).expect("a request in its one spelling");
        let known = Some(&log).filter(|log| log.origin == request.origin());
        match request.judge(known, last.as_ref()) {
            Ok(head) => {
                last = Some(head);
                answers.push(200);
            }
            Err(refusal) => {
                if let Refusal::Conflict { size } = refusal {
                    conflicts.push(size);
                }
                answers.push(u64::from(refusal.status()));
            }
        }
    }
    let mut expected: Vec<u64> = steps.iter().map(|step| step["expect_status"].as_u64().expect("a status")).collect();
    // The script is older than the specification's answer to an unknown origin.
    assert_eq!(std::mem::replace(&mut expected[2], 404), 403);
    assert_eq!(answers, expected);
    assert_eq!((steps.len(), conflicts, last.map(|last| last.size)), (9, vec![3, 5], Some(5)));
}
