//! Audits and counter-signatures through the real program: shown by who has the run, checked by strangers, and tampered with.

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use common::{Place, SIX_MODULES, code, json, stderr, stdout};
use serde_json::Value;

const BEACON: &str = "1111111111111111111111111111111111111111111111111111111111111111";
const LATER: &str = "2222222222222222222222222222222222222222222222222222222222222222";

/// A place with a run of six accepted modules.
fn ran() -> (Place, String) {
    let place = Place::new();
    let output = place.ii(&place.run_args(SIX_MODULES));
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let run = place.only_run().expect("a run");
    (place, run)
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// What the run's home discloses, in a folder.
fn disclosed(place: &Place, run: &str, name: &str, more: &[&str]) -> PathBuf {
    let out = place.folder.path().join(name);
    let out_text = text(&out);
    let asked = [&["receipts", "disclose", run, "--audit", BEACON, "--out", &out_text], more].concat();
    let output = place.ii(&asked);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    out
}

fn exported(place: &Place, run: &str) -> PathBuf {
    let out = place.folder.path().join("exported");
    assert_eq!(code(&place.ii(&["receipts", "export", run, "--out", &text(&out)])), 0);
    out
}

fn modules(folder: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = fs::read_dir(folder).expect("a folder").map(|one| one.expect("one").path()).collect();
    all.retain(|path| path.is_dir());
    all.sort();
    all
}

/// The audits that a stranger makes, and the exit code.
fn audit(folder: &Path, beacon: &str, more: &[&str]) -> (i32, Vec<Value>) {
    let what = text(folder);
    let output = Place::new().ii(&[&["verify", &what, "--audit", beacon, "--json"], more].concat());
    let modules = json(&output)["audit"]["modules"].as_array().expect("modules").clone();
    (code(&output), modules)
}

fn faults(audits: &[Value]) -> Vec<String> {
    let all = audits.iter().flat_map(|one| one["faults"].as_array().expect("faults").clone());
    all.map(|fault| fault.as_str().expect("words").to_owned()).collect()
}

#[test]
fn what_a_beacon_draws_is_disclosed_and_a_stranger_draws_the_same() {
    let (place, run) = ran();
    let out = disclosed(&place, &run, "audited", &[]);
    let (exit, audits) = audit(&out, BEACON, &[]);
    assert_eq!((exit, faults(&audits).len(), audits.len()), (0, 0, 6), "{audits:?}");
    assert!(audits.iter().all(|one| one["drawn"].as_array().is_some_and(|drawn| drawn.len() == 8)), "{audits:?}");
    let said = stdout(&Place::new().ii(&["verify", &text(&out), "--audit", BEACON]));
    assert_eq!(said.matches("AUDIT HOLDS").count(), 6, "{said}");
    let chance = "8 draws meet a bad entry with 57 % when 10 % are bad, with 8 % when 1 % are bad";
    assert!(said.contains(chance) && said.contains("that nobody knew the beacon before"), "{said}");
    // One module alone is asked about where one is named.
    let one = modules(&out).remove(0);
    let (exit, alone) = audit(&one, BEACON, &[]);
    assert_eq!((exit, alone.len()), (0, 1), "{alone:?}");
    // Either form is enough.
    for module in modules(&out) {
        fs::remove_file(module.join("audit.multiproof")).expect("removed");
    }
    assert_eq!(audit(&out, BEACON, &[]).0, 0);
}

#[test]
fn another_beacon_or_number_of_draws_names_what_is_missing_or_extra() {
    let (place, run) = ran();
    let out = disclosed(&place, &run, "audited", &["--count", "3"]);
    assert_eq!(audit(&out, BEACON, &["--count", "3"]).0, 0);
    let (exit, audits) = audit(&out, BEACON, &["--count", "40"]);
    let found = faults(&audits);
    assert!(exit == 7 && found.iter().any(|fault| fault.starts_with("missing: entry ")), "{found:?}");
    let (exit, audits) = audit(&out, LATER, &["--count", "3"]);
    let found = faults(&audits);
    assert!(exit == 7 && found.iter().any(|fault| fault.starts_with("extra: entry ")), "{found:?}");
    let said = stdout(&Place::new().ii(&["verify", &text(&out), "--audit", LATER, "--count", "3"]));
    assert!(said.contains("AUDIT DOES NOT HOLD") && said.contains("was not drawn"), "{said}");
    // Receipts that disclose nothing more than they always do.
    let (exit, audits) = audit(&exported(&place, &run), BEACON, &[]);
    assert!(exit == 7 && faults(&audits).iter().all(|fault| fault.starts_with("missing: ")), "{audits:?}");
}

#[test]
fn a_form_that_lacks_an_entry_is_not_made_up_for_by_the_other() {
    let (place, run) = ran();
    let out = disclosed(&place, &run, "audited", &[]);
    let module = modules(&out).remove(0);
    let shown = fs::read_dir(&module).expect("a folder").map(|one| one.expect("one").path());
    let disclosure = |path: &PathBuf| {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        name.starts_with("disclosure-") && name != "disclosure-0.tlog-proof"
    };
    let gone = shown.into_iter().find(disclosure).expect("a disclosure");
    fs::remove_file(&gone).expect("removed");
    let (exit, audits) = audit(&out, BEACON, &[]);
    let found = faults(&audits);
    assert!(exit == 7 && found.len() == 1 && found[0].ends_with("is not in the tlog-proofs"), "{found:?}");
    let multiproof = module.join("audit.multiproof");
    let mut bytes = fs::read(&multiproof).expect("read");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&multiproof, bytes).expect("written");
    let output = Place::new().ii(&["verify", &text(&out)]);
    assert_eq!(code(&output), 7, "a changed byte shows without an audit too");
}

#[test]
fn fields_are_opened_by_name_and_what_makes_no_sense_is_refused() {
    let (place, run) = ran();
    let closed = disclosed(&place, &run, "closed", &[]);
    let open = disclosed(&place, &run, "open", &["--open", "all"]);
    let size = |folder: &Path| -> u64 {
        let length = |module: &PathBuf| fs::metadata(module.join("audit.multiproof")).expect("a file").len();
        modules(folder).iter().map(length).sum()
    };
    assert!(size(&open) > size(&closed));
    assert_eq!(audit(&open, BEACON, &[]).0, 0);
    let out = text(&place.folder.path().join("never"));
    for (more, says) in [
        (vec!["--audit", "22", "--out", out.as_str()], "64 lower-case hex"),
        (vec!["--audit", BEACON, "--open", "prompt", "--out", out.as_str()], "no entry has a field prompt"),
        (vec!["--audit", BEACON, "--count", "0", "--out", out.as_str()], "--count"),
        (vec!["--out", out.as_str()], "--audit"),
    ] {
        let output = place.ii(&[vec!["receipts", "disclose", run.as_str()], more].concat());
        assert!(code(&output) == 2 && stderr(&output).contains(says), "{}", stderr(&output));
    }
    assert!(!Path::new(&out).exists());
    assert_eq!(code(&place.ii(&["verify", &run, "--count", "3"])), 2, "a count of nothing");
}

/// A folder of receipts, the trust file of a stranger beside it, and the place it came from.
fn handed_over() -> (Place, PathBuf, PathBuf) {
    let (place, run) = ran();
    let out = exported(&place, &run);
    let trust = place.folder.path().join("trust.json");
    fs::copy(out.join("trust.json"), &trust).expect("copied");
    (place, out, trust)
}

fn countersign(place: &Place, folder: &Path, trust: &Path, more: &[&str]) -> Output {
    let (folder, trust) = (text(folder), text(trust));
    place.ii(&[&["receipts", "countersign", &folder, "--trust", &trust], more].concat())
}

/// Adds to a trust file the key that `ii receipts countersign` printed.
fn believe(trust: &Path, printed: &Output) {
    let mut all: Value = serde_json::from_slice(&fs::read(trust).expect("read")).expect("JSON");
    let key: Value = serde_json::from_str(&stdout(printed)).expect("a key as it stands in trust.json");
    all["keys"].as_array_mut().expect("keys").push(key);
    fs::write(trust, all.to_string()).expect("written");
}

fn verify(folder: &Path, trust: &Path, wanted: &str) -> Output {
    Place::new().ii(&["verify", &text(folder), "--trust", &text(trust), "--countersigned", wanted])
}

#[test]
fn others_countersign_what_they_verified_and_count_once_each() {
    let (_place, out, trust) = handed_over();
    let none = verify(&out, &trust, "1");
    assert!(code(&none) == 7 && stdout(&none).contains("NOT COUNTERSIGNED"), "{}", stdout(&none));
    let (one, other) = (Place::new(), Place::new());
    let signed = countersign(&one, &out, &trust, &[]);
    assert_eq!(code(&signed), 0, "{}", stderr(&signed));
    let untrusted = verify(&out, &trust, "1");
    assert!(code(&untrusted) == 7 && stdout(&untrusted).contains("not trusted as a countersigner"));
    believe(&trust, &signed);
    assert_eq!(code(&verify(&out, &trust, "1")), 0);
    assert_eq!(code(&verify(&out, &trust, "2")), 7);
    // The same key once more takes the place of its last word; a copy of it counts once.
    assert_eq!(code(&countersign(&one, &out, &trust, &[])), 0);
    for module in modules(&out) {
        assert!(!module.join("countersignature-1.intoto.json").exists());
        fs::copy(module.join("countersignature-0.intoto.json"), module.join("countersignature-1.intoto.json"))
            .expect("copied");
    }
    let twice = verify(&out, &trust, "2");
    assert!(code(&twice) == 7 && stdout(&twice).contains("its key has counter-signed already"), "{}", stdout(&twice));
    for module in modules(&out) {
        fs::remove_file(module.join("countersignature-1.intoto.json")).expect("removed");
    }
    let signed = countersign(&other, &out, &trust, &[]);
    believe(&trust, &signed);
    let both = verify(&out, &trust, "2");
    assert!(code(&both) == 0 && stdout(&both).contains("found VALID_UNANCHORED"), "{}", stdout(&both));
    // What belongs to another receipt says nothing of this one.
    let folders = modules(&out);
    fs::copy(folders[0].join("countersignature-0.intoto.json"), folders[1].join("countersignature-0.intoto.json"))
        .expect("copied");
    let foreign = verify(&out, &trust, "2");
    let said = stdout(&foreign);
    assert!(code(&foreign) == 7 && said.contains("it is of another receipt"), "{said}");
    assert!(said.contains("INVALID(countersignature-receipt)"), "{said}");
}

#[test]
fn nobody_countersigns_their_own_receipt_or_one_that_does_not_hold() {
    let (place, out, trust) = handed_over();
    for name in ["node", "verifier", "root"] {
        let key = text(&place.home().join("keys").join(format!("{name}.pem")));
        let own = countersign(&place, &out, &trust, &["--key", &key]);
        assert!(code(&own) == 7 && stderr(&own).contains("had a part in the receipt"), "{}", stderr(&own));
    }
    let module = modules(&out).remove(5);
    let receipt = module.join("receipt.intoto.json");
    let mut bytes = fs::read(&receipt).expect("read");
    bytes[100] ^= 1;
    fs::write(&receipt, bytes).expect("written");
    let refused = countersign(&Place::new(), &out, &trust, &[]);
    assert!(code(&refused) == 7 && stderr(&refused).contains("is not counter-signed"), "{}", stderr(&refused));
    for module in modules(&out) {
        assert!(!module.join("countersignature-0.intoto.json").exists(), "all or none");
    }
}

#[test]
fn a_file_that_is_no_evidence_proves_nothing() {
    let place = Place::new();
    let file = place.folder.path().join("equivocation-1.json");
    fs::write(&file, r#"{"kind":"heads","one":"a","other":"b","v":"1","vkey":"x"}"#).expect("written");
    let output = place.ii(&["verify", &text(&file)]);
    assert!(code(&output) == 7 && stdout(&output).starts_with("INVALID(no-evidence)"), "{}", stdout(&output));
    fs::write(&file, "{}").expect("written");
    assert_eq!(json(&place.ii(&["verify", &text(&file), "--json"]))["evidence"]["result"], "INVALID(no-evidence)");
    let other = place.folder.path().join("other.json");
    fs::write(&other, "{}").expect("written");
    assert_eq!(code(&place.ii(&["verify", &text(&other)])), 2, "it is no evidence and does not say so");
    assert!(!place.home().exists());
}
