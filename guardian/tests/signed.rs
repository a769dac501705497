//! Charters and orders as files: what is written is read back, what is changed is refused, and who signed what.

#[path = "../../common-ground/tests/world/mod.rs"]
mod world;

use std::collections::BTreeSet;

use common_ground::guardian::{Act, Charter, Defect, Order, Says, Scope, Suspect};
use guardian::{charter, order};
use receipts::{
    Digest, PublicKey,
    canonical::parse_canonical,
    dsse::{Envelope, IN_TOTO},
    keys::SigningKey,
};
use uuid::Uuid;
use world::{APPROVAL, RUN};

fn key(number: u8) -> SigningKey {
    SigningKey::from_seed(&[number; 32])
}

fn publics(keys: &[&SigningKey]) -> BTreeSet<PublicKey> {
    keys.iter().map(|key| key.public()).collect()
}

fn signed(payload: Vec<u8>, keys: &[&SigningKey]) -> Vec<u8> {
    Envelope::sign(IN_TOTO, payload, keys).expect("signs").to_bytes().expect("bytes")
}

fn chartered(keys: &[&SigningKey]) -> Vec<u8> {
    signed(charter::payload(&world::charter(), &publics(keys)).expect("a payload"), keys)
}

fn ordered(order: &Order, keys: &[&SigningKey]) -> Vec<u8> {
    signed(order::payload(order, &publics(keys)).expect("a payload"), keys)
}

fn acts() -> Vec<Act> {
    vec![
        Act::Pause { most_ms: None },
        Act::Pause { most_ms: Some(u64::MAX) },
        Act::Resume,
        Act::Cancel,
        Act::Revoke { item: "net:https://example.org:443 GET".parse().expect("an item") },
        Act::Quarantine(Suspect::Tool("shell".to_owned())),
        Act::Quarantine(Suspect::Model("openai:gpt".to_owned())),
        Act::Quarantine(Suspect::Skill("compare".to_owned())),
        Act::Drain,
        Act::Answer { approval: APPROVAL, says: Says::Yes },
        Act::Answer { approval: APPROVAL, says: Says::No },
    ]
}

#[test]
fn what_was_signed_is_read_back_with_its_signers() {
    let (one, two) = (key(1), key(2));
    for scope in [Scope::Every, Scope::Collection { name: "c".to_owned() }, Scope::One { run: RUN }] {
        let terms = Charter { scope, ..world::charter() };
        let bytes = signed(charter::payload(&terms, &publics(&[&one])).expect("a payload"), &[&one]);
        let read = charter::open(&bytes).said.expect("a charter");
        assert_eq!((read.terms, read.by), (terms, publics(&[&one])));
    }
    let cosigns = ["ii-0123456789abcdef".to_owned(), "log.example".to_owned()].into();
    let terms = Charter { cosigns, ..world::charter() };
    let bytes = signed(charter::payload(&terms, &publics(&[&one])).expect("a payload"), &[&one]);
    assert_eq!(charter::open(&bytes).said.expect("a charter").terms, terms);
    for act in acts() {
        for module in [None, Some(world::A)] {
            let terms = Order { module, rule: module.map(|_| "spend".to_owned()), ..world::order(act.clone()) };
            let presented = order::open(&ordered(&terms, &[&one, &two]));
            let read = presented.said.expect("an order");
            assert_eq!((read.terms, read.by), (terms, publics(&[&one, &two])));
        }
    }
}

/// Others read these files with their own tools: in-toto statements in DSSE envelopes, RFC 8785, no number anywhere.
#[test]
fn the_files_are_canonical_statements() {
    let one = key(1);
    let files = acts().into_iter().map(|act| ordered(&world::order(act), &[&one])).chain([chartered(&[&one])]);
    for bytes in files {
        let envelope = Envelope::parse(&bytes).expect("an envelope");
        let statement = parse_canonical(&envelope.payload).expect("canonical");
        assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
        assert_eq!(envelope.payload_type, IN_TOTO);
    }
}

#[test]
fn every_changed_byte_is_refused() {
    let one = key(1);
    for bytes in [chartered(&[&one]), ordered(&world::order(Act::Cancel), &[&one])] {
        let good = |bytes: &[u8]| charter::open(bytes).said.is_ok() || order::open(bytes).said.is_ok();
        assert!(good(&bytes));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(!good(&changed), "byte {at} of {}", String::from_utf8_lossy(&bytes));
        }
    }
}

#[test]
fn who_is_named_and_did_not_sign_makes_a_bad_signature() {
    let (one, two, other) = (key(1), key(2), key(3));
    let terms = world::order(Act::Cancel);
    let payload = order::payload(&terms, &publics(&[&one, &two])).expect("a payload");
    let said = |keys: &[&SigningKey]| order::open(&signed(payload.clone(), keys)).said.map(|read| read.by);
    assert_eq!(said(&[&one, &two]), Ok(publics(&[&one, &two])));
    for keys in [&[&one][..], &[&two], &[&one, &other], &[&one, &two, &other], &[]] {
        assert_eq!(said(keys), Err(Defect::BadSignature));
    }
}

#[test]
fn two_people_sign_one_order_each_at_their_own_place() {
    let (one, two) = (key(1), key(2));
    let both = publics(&[&one, &two]);
    let payload = order::payload(&world::order(Act::Cancel), &both).expect("a payload");
    let first = signed(payload.clone(), &[&one]);
    assert_eq!(order::missing(&first), Some(vec![two.public()]));
    assert_eq!(order::unsigned(&first), Some(payload.clone()));
    let second = signed(payload, &[&two]);
    let joined = order::join(&first, &second).expect("one order");
    assert_eq!(order::missing(&joined), Some(Vec::new()));
    assert_eq!(order::open(&joined).said.expect("an order").by, both);
    assert_eq!(order::join(&second, &first), Some(joined.clone()));
    let another = ordered(&Order { nonce: Digest::of(b"another"), ..world::order(Act::Cancel) }, &[&two]);
    assert_eq!(order::join(&joined, &another), None);
    assert_ne!(order::open(&joined).id, order::open(&another).id);
}

#[test]
fn what_is_no_order_is_malformed_and_has_a_name_all_the_same() {
    let one = key(1);
    let charter = chartered(&[&one]);
    let large = vec![b' '; 70_000];
    let with = |from: &str, to: &str| {
        let payload = order::payload(&world::order(Act::Cancel), &publics(&[&one])).expect("a payload");
        let text = String::from_utf8(payload).expect("text");
        assert!(text.contains(from), "{from} in {text}");
        signed(text.replacen(from, to, 1).into_bytes(), &[&one])
    };
    let run = RUN.to_string();
    let other_run = Uuid::from_u128(2).to_string();
    let cases = [
        b"".to_vec(),
        b"{}".to_vec(),
        charter,
        large,
        with("cancel", "sing"),
        with("\"act\":\"cancel\"", "\"act\":\"cancel\",\"tool\":\"x\""),
        with(&run, &other_run),
        with("\"signers\":[", "\"signers\":[\"\","),
        with("\"name\":\"run\"", "\"name\":\"nur\""),
        with("order/v1", "order/v2"),
    ];
    for bytes in cases {
        let presented = order::open(&bytes);
        assert_eq!(presented.said, Err(Defect::Malformed), "{}", String::from_utf8_lossy(&bytes));
        assert_eq!(presented.envelope, Digest::of(&bytes));
    }
}
