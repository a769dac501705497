//! Trees and heads that others' logs published, told again with ours: a whole log of Tessera, and the conversation of a
//! witness with a log of Sigsum.

mod vectors_folder;

use std::{fs, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD};
use receipts::{
    Digest, PublicKey,
    checkpoint::Checkpoint,
    merkle::{Tree, check_consistency, leaf_hash, root_from_inclusion},
    note::{NoteError, open_as, parse_vkey},
};
use serde_json::Value;
use vectors_folder::vectors;

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON")
}

/// The entries of a tlog-tiles bundle: each after its length in two bytes.
fn entries(mut bundle: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while let Some((length, rest)) = bundle.split_first_chunk() {
        let (entry, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length)));
        found.push(entry);
        bundle = rest;
    }
    found
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
    let leaves: Vec<Digest> = entries(&bundle).into_iter().map(leaf_hash).collect();
    assert_eq!(leaves.len(), 15);
    let mut tree = Tree::new();
    let mut heads = Vec::new();
    for size in 0..=15_usize {
        if size > 0 {
            tree.push(leaves[size - 1]);
            let tile = fs::read(log.join(format!("tile/0/000.p/{size}"))).expect("a tile");
            assert_eq!(tile, leaves[..size].iter().flat_map(|leaf| leaf.0).collect::<Vec<u8>>());
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

/// What a witness remembers of one log, and how it answers, as c2sp.org/tlog-witness has it.
struct Witness {
    origin: String,
    key: PublicKey,
    seen: Option<Checkpoint>,
    refused: Vec<NoteError>,
}

impl Witness {
    fn answer(&mut self, request: &str) -> u64 {
        let (head, note) = request.split_once("\n\n").expect("a note after a blank line");
        let mut lines = head.lines();
        let old = lines.next().and_then(|line| line.strip_prefix("old ")).and_then(receipts::integer::parse);
        let old = old.expect("an old size");
        let path: Vec<Digest> =
            lines.map(|line| Digest(STANDARD.decode(line).expect("base64").try_into().expect("32 bytes"))).collect();
        let body = match open_as(note, &self.origin, &self.key) {
            Ok(body) => body,
            Err(refused) => {
                self.refused.push(refused);
                return 403;
            }
        };
        let new = Checkpoint::parse(body).expect("a checkpoint");
        if old != self.seen.as_ref().map_or(0, |seen| seen.size) {
            return 409;
        }
        let shown = self
            .seen
            .as_ref()
            .is_none_or(|seen| check_consistency((seen.size, seen.root), (new.size, new.root), &path).is_ok());
        if !shown {
            return 422;
        }
        self.seen = Some(new);
        200
    }
}

#[test]
fn a_witness_answers_as_published() {
    let Some(folder) = vectors("signed-note", "a witness's conversation") else { return };
    let script = json(&folder.join("tlog_witness_add_checkpoint.json"));
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let mut witness = Witness {
        origin: text(&script["origin"]),
        key: text(&script["log_public_key_hex"]).parse().expect("a key"),
        seen: None,
        refused: Vec::new(),
    };
    let steps = script["steps"].as_array().expect("steps");
    let answers: Vec<u64> = steps.iter().map(|step| witness.answer(&text(&step["body"]))).collect();
    let expected: Vec<u64> = steps.iter().map(|step| step["expect_status"].as_u64().expect("a status")).collect();
    assert_eq!(answers, expected);
    // The signature that was made wrong there ends in base64 bits that stand for nothing, which we refuse before it.
    assert_eq!(witness.refused, [NoteError::Malformed, NoteError::OtherKey { expected: witness.origin }]);
    assert_eq!((steps.len(), witness.seen.map(|seen| seen.size)), (9, Some(5)));
}
