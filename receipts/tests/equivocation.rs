//! Evidence of two contradicting signatures: what proves it, and everything that does not.

mod common;

use common::{FixedLedger, fixed_ledger, keys, trust};
use receipts::{
    Digest,
    checkpoint::Checkpoint,
    cosignature::Cosigner,
    integer::Decimal,
    keys::SigningKey,
    ledger::{
        block::CertifiedBlock,
        evidence::{Evidence, NoEvidence, Proved, Which},
    },
    merkle::Tree,
    note::{log_name, vkey},
    trust::Trust,
};

fn head(key: &SigningKey, origin: &str, size: u64, root: &[u8]) -> String {
    Checkpoint { origin: origin.to_owned(), size, root: Digest::of(root) }.sign(key)
}

/// Two heads by the ledger's log.
fn heads(one: (&str, u64, &[u8]), other: (&str, u64, &[u8])) -> Evidence {
    let key = fixed_ledger().log;
    let sign = |(origin, size, root): (&str, u64, &[u8])| head(&key, origin, size, root);
    Evidence::of_heads(sign(one), sign(other), vkey(&key.public()))
}

fn log() -> String {
    log_name(&fixed_ledger().log.public())
}

/// A block of the ledger over some root, with the votes of these validators.
fn block(ledger: &FixedLedger, root: &[u8], voters: &[usize]) -> CertifiedBlock {
    let mut block = ledger.block(&Tree::new(), Digest::of(b"ii dev network 1"));
    block.block.root = Digest::of(root);
    block.certificate = voters.iter().map(|at| block.block.vote(&ledger.validators[*at])).collect();
    block
}

fn blocks(one: CertifiedBlock, other: CertifiedBlock) -> Evidence {
    Evidence::of_blocks(one, other, fixed_ledger().trusted(0).validators)
}

/// What a file of it comes to for somebody who has nothing else.
fn check(evidence: &Evidence) -> Result<Proved, NoEvidence> {
    let bytes = evidence.to_bytes().expect("bytes");
    Evidence::parse(&bytes).expect("reads").check(None)
}

#[test]
fn two_heads_of_one_size_and_two_roots_prove_it() {
    let log = log();
    let proved = check(&heads((&log, 5, b"one"), (&log, 5, b"other"))).expect("proved");
    assert_eq!(proved.signers, [vkey(&fixed_ledger().log.public())]);
    assert_eq!(proved.about, format!("the tree {log}"));
    assert_eq!(proved.differs[0], format!("size 5, root {}", Digest::of(b"one")));
    assert_eq!(proved.differs[1], format!("size 5, root {}", Digest::of(b"other")));
    assert_eq!(proved.made.len(), 3, "{:?}", proved.made);
    assert!(proved.not_made[0].contains("whose keys"), "{:?}", proved.not_made);
}

#[test]
fn a_head_with_cosignatures_proves_as_much() {
    let (ledger, log) = (fixed_ledger(), log());
    let witness = Cosigner::of(ledger.witness.public());
    let body = Checkpoint { origin: log.clone(), size: 5, root: Digest::of(b"one") }.body();
    let one = format!("{}{}", head(&ledger.log, &log, 5, b"one"), witness.cosign(&body, 7, &ledger.witness));
    let evidence = Evidence::of_heads(one, head(&ledger.log, &log, 5, b"other"), vkey(&ledger.log.public()));
    assert!(check(&evidence).is_ok());
}

#[test]
fn consistent_heads_are_no_evidence() {
    let log = log();
    for (other, why) in [
        ((log.as_str(), 5, b"one".as_slice()), "it is one head twice"),
        ((log.as_str(), 6, b"other".as_slice()), "a log grows, and heads of two sizes can both be its own"),
    ] {
        assert_eq!(check(&heads((&log, 5, b"one"), other)), Err(NoEvidence::Consistent { why }));
    }
    let elsewhere = format!("{log}/corpus/docs");
    let trees = NoEvidence::Trees { one: log.clone(), other: elsewhere.clone() };
    assert_eq!(check(&heads((&log, 5, b"one"), (&elsewhere, 5, b"other"))), Err(trees));
}

/// A trace is sealed whole, once: a second head of another size is as much of a contradiction.
#[test]
fn a_sealed_tree_has_one_head_of_any_size() {
    let sealed = format!("{}/trace/run/module/1", log());
    assert!(check(&heads((&sealed, 5, b"one"), (&sealed, 6, b"other"))).is_ok());
    let twice = check(&heads((&sealed, 5, b"one"), (&sealed, 5, b"one")));
    assert_eq!(twice, Err(NoEvidence::Consistent { why: "it is one head twice" }));
    // A name that only looks like it is a log's.
    let other = "x/trace/run/module/1";
    assert!(check(&heads((other, 5, b"one"), (other, 6, b"other"))).is_err());
}

#[test]
fn a_head_that_the_key_did_not_sign_is_none() {
    let (log, key) = (log(), fixed_ledger().log);
    let own = vkey(&key.public());
    let stranger = head(&SigningKey::from_seed(&[77; 32]), &log, 5, b"other");
    let unsigned = |which| Err(NoEvidence::Unsigned { which, name: log.clone() });
    let mine = || head(&key, &log, 5, b"one");
    assert_eq!(check(&Evidence::of_heads(mine(), stranger.clone(), own.clone())), unsigned(Which::Other));
    assert_eq!(check(&Evidence::of_heads(stranger, mine(), own.clone())), unsigned(Which::One));
    let lied = mine().replacen("\n5\n", "\n6\n", 1);
    assert_eq!(check(&Evidence::of_heads(lied, mine(), own)), unsigned(Which::One));
    let bad = "ii-x+00000000+AAAA".to_owned();
    assert_eq!(check(&Evidence::of_heads(mine(), mine(), bad.clone())), Err(NoEvidence::Key { vkey: bad }));
}

#[test]
fn two_blocks_of_one_height_name_who_voted_for_both() {
    let ledger = fixed_ledger();
    let proved =
        check(&blocks(block(&ledger, b"one", &[0, 1, 2]), block(&ledger, b"other", &[1, 2, 3]))).expect("proved");
    let mut both = [1, 2].map(|at: usize| ledger.validators[at].public().to_string());
    both.sort();
    assert_eq!(proved.signers, both);
    assert!(proved.about.starts_with("height 1 of network "), "{}", proved.about);
}

#[test]
fn blocks_that_do_not_contradict_or_are_not_certified_are_no_evidence() {
    let ledger = fixed_ledger();
    let good = || block(&ledger, b"one", &[0, 1, 2]);
    let twice = "it is one block twice";
    assert_eq!(check(&blocks(good(), good())), Err(NoEvidence::Consistent { why: twice }));
    // The same block with the votes of others is the same block.
    let others = block(&ledger, b"one", &[1, 2, 3]);
    assert_eq!(check(&blocks(good(), others)), Err(NoEvidence::Consistent { why: twice }));
    let mut higher = block(&ledger, b"other", &[0, 1, 2]);
    higher.block.height = Decimal(2);
    higher.certificate = ledger.validators[..3].iter().map(|key| higher.block.vote(key)).collect();
    assert_eq!(check(&blocks(good(), higher)), Err(NoEvidence::Heights));
    let few = check(&blocks(good(), block(&ledger, b"other", &[0, 1])));
    assert!(matches!(few, Err(NoEvidence::Uncertified { which: Which::Other, .. })), "{few:?}");
}

#[test]
fn with_a_trust_file_the_keys_must_be_those_in_it() {
    let log = log();
    let (by_log, by_blocks) = {
        let ledger = fixed_ledger();
        let pair = blocks(block(&ledger, b"one", &[0, 1, 2]), block(&ledger, b"other", &[1, 2, 3]));
        (heads((&log, 5, b"one"), (&log, 5, b"other")), pair)
    };
    let plain = trust(&keys());
    let with = Trust { ledger: Some(fixed_ledger().trusted(1)), ..plain.clone() };
    for evidence in [&by_log, &by_blocks] {
        assert_eq!(evidence.check(Some(&plain)), Err(NoEvidence::Untrusted));
        let proved = evidence.check(Some(&with)).expect("proved");
        assert!(proved.made.contains(&"the keys are those of the trust file"), "{:?}", proved.made);
        assert_eq!(proved.not_made.len(), 1);
    }
}

#[test]
fn a_file_has_one_spelling_and_no_changed_byte_proves_anything() {
    let log = log();
    let bytes = heads((&log, 5, b"one"), (&log, 5, b"other")).to_bytes().expect("bytes");
    let proved = |bytes: &[u8]| Evidence::parse(bytes).and_then(|evidence| evidence.check(None));
    assert!(proved(&bytes).is_ok());
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(proved(&changed).is_err(), "byte {at}");
    }
    let text = String::from_utf8(bytes).expect("text");
    for changed in [text.replacen(':', ": ", 1), format!("{text}\n"), text.replace(r#""v":"1""#, r#""v":"2""#)] {
        assert_eq!(Evidence::parse(changed.as_bytes()), Err(NoEvidence::Spelling), "{changed}");
    }
}
