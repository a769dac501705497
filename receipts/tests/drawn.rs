//! Audits: what a beacon draws, what is shown for it, and everything that is shown instead.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{Keys, entries, files_of, keys, sealed, trust};
use proptest::prelude::*;
use receipts::{
    Beacon, Digest,
    audit::{AuditFault, Audited, Form, audit, chance, draw},
    bundle::{Bundle, CHECKPOINT, MULTIPROOF, disclosure},
    checkpoint::Checkpoint,
    commit::AttemptKey,
    entry::{Disclosure, Record},
    integer::Decimal,
    keys::SigningKey,
    merkle::{Tree, leaf_hash},
    multiproof::{Multiproof, MultiproofError, hashes_needed, root_from},
    tlog_proof::TlogProof,
    trace::Trace,
    trust::Trust,
    verify::{Code, Outcome, TrustOrigin, verify},
};

const BEACON: Beacon = Beacon([0x11; 32]);
/// Calls in the trace: enough that the eight drawn are not all.
const CALLS: usize = 90;

/// A sealed receipt with its trace.
struct World {
    keys: Keys,
    trace: Trace,
    bundle: Bundle,
    trust: Trust,
}

impl World {
    fn new() -> Self {
        let keys = keys();
        let trace = Trace::new(&AttemptKey::new(common::SECRET), entries(&keys, CALLS)).expect("a trace");
        Self { bundle: files_of(&keys, sealed(&keys, CALLS)), trust: trust(&keys), trace, keys }
    }

    fn drawn(&self) -> BTreeSet<u64> {
        draw(&BEACON, &self.trace.root(), self.trace.size(), 8).into_iter().collect()
    }

    fn checkpoint(&self) -> String {
        String::from_utf8(self.bundle.0[CHECKPOINT].clone()).expect("text")
    }

    fn show_text(&mut self, index: u64) {
        let proof = self.trace.disclose(index, &[], &self.checkpoint()).expect("encodes").expect("there");
        self.bundle.0.insert(disclosure(index), proof.to_text().into_bytes());
    }

    fn multiproof(&self, indices: &BTreeSet<u64>) -> Multiproof {
        self.trace.disclose_all(indices, &|_field| false).expect("there")
    }

    fn put(&mut self, proof: &Multiproof) {
        self.bundle.0.insert(MULTIPROOF.to_owned(), proof.to_bytes().expect("bytes"));
    }

    fn outcome(&self) -> Outcome {
        verify(&self.bundle, &self.trust, TrustOrigin::Pinned, &|_| true).outcome
    }

    fn audited(&self) -> Audited {
        let found = verify(&self.bundle, &self.trust, TrustOrigin::Pinned, &|_| true);
        audit(&self.bundle, &found.head.expect("a head"), &BEACON, 8)
    }

    fn faults(&self) -> Vec<String> {
        self.audited().faults.iter().map(ToString::to_string).collect()
    }
}

/// Drawn by ten lines of Python with hashlib, not with this code.
#[test]
fn known_answers() {
    let root = Digest([0x22; 32]);
    let known: [(u64, [u64; 8]); 5] = [
        (1, [0; 8]),
        (5, [3, 4, 3, 1, 4, 0, 4, 4]),
        (10_000, [214, 8249, 5843, 3686, 9119, 2187, 7062, 8674]),
        (1_000_000, [534_381, 437_082, 809_801, 874_380, 57_518, 95_608, 84_423, 245_647]),
        // Every second number is rejected here: sixteen are, before the eighth is drawn.
        (
            9_223_372_036_854_775_809,
            [
                7_854_542_152_372_955_636,
                3_654_103_660_204_482_024,
                5_837_985_421_292_033_330,
                76_470_709_817_666_799,
                8_350_340_566_924_044_737,
                1_655_607_116_057_445_199,
                8_999_715_921_268_996_180,
                1_841_127_631_850_036_960,
            ],
        ),
    ];
    for (size, drawn) in known {
        assert_eq!(draw(&BEACON, &root, size, 8), drawn, "{size}");
    }
    assert_eq!(draw(&BEACON, &root, 0, 8), [0_u64; 0], "an empty tree has nothing to draw");
    let percent = |bad, count| (100.0 * chance(bad, count)).round();
    assert_eq!((percent(0.1, 8), percent(0.01, 8)), (57.0, 8.0));
    assert_eq!((percent(0.1, 29), percent(0.01, 299)), (95.0, 95.0));
}

#[test]
fn another_beacon_root_size_or_number_draws_otherwise() {
    let root = Digest([0x22; 32]);
    let one = draw(&BEACON, &root, 10_000, 8);
    assert_ne!(one, draw(&Beacon([0x12; 32]), &root, 10_000, 8));
    assert_ne!(one, draw(&BEACON, &Digest([0x23; 32]), 10_000, 8));
    assert_ne!(one, draw(&BEACON, &root, 10_001, 8));
    assert_eq!(one, draw(&BEACON, &root, 10_000, 30)[..8], "more draws go on from fewer");
}

#[test]
fn every_entry_is_drawn_about_as_often() {
    let mut counts = BTreeMap::<u64, u32>::new();
    for index in draw(&BEACON, &Digest([0x22; 32]), 7, 7_000) {
        *counts.entry(index).or_default() += 1;
    }
    // The draws are fixed; an even one misses a thousand by 29 at a time, so by 120 never.
    assert!(counts.len() == 7 && counts.values().all(|count| count.abs_diff(1_000) < 120), "{counts:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn several_leaves_lead_to_the_root_by_hashes_that_stand_once(
        size in 1..300_u64,
        picks in proptest::collection::vec(any::<proptest::sample::Index>(), 1..20),
        at in any::<proptest::sample::Index>(),
    ) {
        let leaf = |index: u64| leaf_hash(&index.to_be_bytes());
        let mut tree = Tree::new();
        (0..size).for_each(|index| tree.push(leaf(index)));
        let indices: BTreeSet<u64> = picks.iter().map(|pick| pick.index(size as usize) as u64).collect();
        let hashes = tree.inclusion_of(&indices).expect("there");
        let leaves: Vec<(u64, Digest)> = indices.iter().map(|index| (*index, leaf(*index))).collect();
        prop_assert_eq!(hashes_needed(indices.iter().copied(), size), Ok(hashes.len()));
        prop_assert_eq!(root_from(&leaves, size, &hashes), Ok(tree.root()));
        let single: usize = indices.iter().map(|index| tree.inclusion(*index).expect("there").len()).sum();
        prop_assert!(hashes.len() <= single, "no longer than one proof each");
        // No hash can be left out, added or changed.
        let mut more = hashes.clone();
        more.push(Digest([0; 32]));
        prop_assert_eq!(root_from(&leaves, size, &more), Err(MultiproofError::Length { given: more.len() }));
        if !hashes.is_empty() {
            let mut changed = hashes.clone();
            changed[at.index(hashes.len())].0[0] ^= 1;
            prop_assert_ne!(root_from(&leaves, size, &changed), Ok(tree.root()));
            let fewer = &hashes[..hashes.len() - 1];
            prop_assert_eq!(root_from(&leaves, size, fewer), Err(MultiproofError::Length { given: fewer.len() }));
        }
        // Nor can a leaf.
        let mut lied = leaves.clone();
        lied[at.index(leaves.len())].1.0[0] ^= 1;
        prop_assert_ne!(root_from(&lied, size, &hashes), Ok(tree.root()));
    }

    #[test]
    fn a_multiproof_has_one_spelling(
        indices in proptest::collection::btree_set(0..95_u64, 1..6),
        open in any::<bool>(),
        at in any::<proptest::sample::Index>(),
        flip in 1..=255_u8,
    ) {
        let keys = keys();
        let trace = Trace::new(&AttemptKey::new(common::SECRET), entries(&keys, CALLS)).expect("a trace");
        let proof = trace.disclose_all(&indices, &|field| open && field != "request").expect("there");
        let bytes = proof.to_bytes().expect("bytes");
        prop_assert_eq!(Multiproof::parse(&bytes), Ok(proof.clone()));
        prop_assert_eq!(proof.leads_to(), Ok(trace.root()));
        let mut changed = bytes.clone();
        changed[at.index(bytes.len())] ^= flip;
        if let Ok(other) = Multiproof::parse(&changed) {
            prop_assert_ne!(&other, &proof);
            prop_assert_eq!(other.to_bytes(), Ok(changed));
        }
        prop_assert!(Multiproof::parse(&bytes[..at.index(bytes.len())]).is_err(), "cut short");
    }
}

#[test]
fn leaves_out_of_order_or_twice_or_outside_lead_nowhere() {
    let leaf = |index: u64| (index, Digest::of(b"x"));
    assert_eq!(root_from(&[], 4, &[]), Err(MultiproofError::Empty));
    assert_eq!(root_from(&[leaf(2), leaf(1)], 4, &[]), Err(MultiproofError::Order { index: 1 }));
    assert_eq!(root_from(&[leaf(1), leaf(1)], 4, &[]), Err(MultiproofError::Order { index: 1 }));
    assert_eq!(root_from(&[leaf(4)], 4, &[]), Err(MultiproofError::OutOfRange { index: 4, size: 4 }));
    // A size that no tree has asks for no more than its depth.
    assert_eq!(hashes_needed([u64::MAX - 1], u64::MAX), Ok(63));
    assert_eq!(hashes_needed([0], u64::MAX), Ok(64));
    assert_eq!(Tree::new().inclusion_of(&BTreeSet::from([0])), None);
}

#[test]
fn what_was_drawn_is_shown_in_either_form_and_holds() {
    let mut world = World::new();
    let drawn = world.drawn();
    assert!(drawn.len() > 2 && (drawn.len() as u64) < world.trace.size(), "{drawn:?}");
    let proof = world.multiproof(&drawn);
    world.put(&proof);
    assert_eq!(world.outcome(), Outcome::Unanchored);
    let audited = world.audited();
    assert_eq!((audited.forms, audited.faults), (vec![Form::Multiproof], Vec::new()));
    drawn.iter().for_each(|index| world.show_text(*index));
    assert_eq!(world.outcome(), Outcome::Unanchored);
    let audited = world.audited();
    assert_eq!((audited.forms, audited.faults), (vec![Form::Text, Form::Multiproof], Vec::new()));
    world.bundle.0.remove(MULTIPROOF);
    assert_eq!(world.audited().forms, [Form::Text]);
    assert_eq!(world.faults(), Vec::<String>::new());
    assert_eq!(world.audited().drawn.len(), 8);
}

#[test]
fn nothing_shown_misses_each_entry_drawn() {
    let world = World::new();
    let missing: Vec<String> = world
        .drawn()
        .iter()
        .map(|index| format!("missing: entry {index} was drawn and is not in the tlog-proofs"))
        .collect();
    assert_eq!(world.faults(), missing);
}

#[test]
fn a_missing_and_an_extra_entry_are_named_in_both_forms() {
    let mut world = World::new();
    let drawn = world.drawn();
    let gone = *drawn.last().expect("drawn");
    let other = (1..world.trace.size()).find(|index| !drawn.contains(index)).expect("another");
    let mut shown = drawn.clone();
    shown.remove(&gone);
    shown.insert(other);
    let proof = world.multiproof(&shown);
    world.put(&proof);
    let named = |form: &str| {
        [
            format!("missing: entry {gone} was drawn and is not in the {form}"),
            format!("extra: entry {other} is in the {form} and was not drawn"),
        ]
    };
    assert_eq!(world.faults(), named("audit.multiproof"));
    assert_eq!(world.outcome(), Outcome::Unanchored, "what is shown is true all the same");
    world.bundle.0.remove(MULTIPROOF);
    shown.iter().for_each(|index| world.show_text(*index));
    assert_eq!(world.faults(), named("tlog-proofs"));
    // A whole form does not make up for one that is not.
    let proof = world.multiproof(&drawn);
    world.put(&proof);
    assert_eq!(world.faults(), named("tlog-proofs"));
}

#[test]
fn swapped_entries_are_named_in_both_forms() {
    let mut world = World::new();
    let drawn = world.drawn();
    let mut two = drawn.iter().copied().filter(|index| *index > 0);
    let (one, other) = (two.next().expect("one"), two.next().expect("another"));
    let mut proof = world.multiproof(&drawn);
    let place = |index| proof.entries.iter().position(|entry| entry.record.i.0 == index).expect("there");
    let (first, second) = (place(one), place(other));
    proof.entries.swap(first, second);
    assert!(proof.to_bytes().is_err(), "entries have one order");
    proof.entries[first].record.i = Decimal(one);
    proof.entries[second].record.i = Decimal(other);
    world.put(&proof);
    assert_eq!(
        world.faults(),
        [format!("swapped: in the audit.multiproof, entry {other} stands in the place of entry {one}")]
    );
    assert_eq!(world.outcome(), Outcome::Invalid(Code::Inclusion));
    world.bundle.0.remove(MULTIPROOF);
    drawn.iter().for_each(|index| world.show_text(*index));
    let (left, right) = (world.bundle.0[&disclosure(one)].clone(), world.bundle.0[&disclosure(other)].clone());
    world.bundle.0.extend([(disclosure(one), right), (disclosure(other), left)]);
    assert_eq!(
        world.faults(),
        [
            format!("swapped: in the tlog-proofs, entry {other} stands in the place of entry {one}"),
            format!("swapped: in the tlog-proofs, entry {one} stands in the place of entry {other}"),
        ]
    );
    assert_eq!(world.outcome(), Outcome::Invalid(Code::DisclosureIndex));
}

#[test]
fn a_wrong_entry_is_named_in_both_forms() {
    let mut world = World::new();
    let drawn = world.drawn();
    let index = *drawn.last().expect("drawn");
    let mut proof = world.multiproof(&drawn);
    let last = proof.entries.last_mut().expect("there");
    let field = last.record.fields.values_mut().next().expect("a field");
    field.0[0] ^= 1;
    world.put(&proof);
    assert_eq!(world.faults(), ["wrong: the entries of audit.multiproof do not lead to the tree's root"]);
    assert_eq!(world.outcome(), Outcome::Invalid(Code::Inclusion));
    // An opened value that is not what was committed to.
    let mut proof = world.trace.disclose_all(&drawn, &|_| true).expect("there");
    world.put(&proof);
    assert_eq!((world.outcome(), world.faults()), (Outcome::Unanchored, Vec::new()));
    let last = proof.entries.last_mut().expect("there");
    last.open.values_mut().next().expect("open").value.push(0);
    world.put(&proof);
    assert_eq!(
        world.faults(),
        [format!("wrong: entry {index} of the audit.multiproof is not what the tree has there")]
    );
    assert_eq!(world.outcome(), Outcome::Invalid(Code::Opening));
    world.bundle.0.remove(MULTIPROOF);
    drawn.iter().for_each(|index| world.show_text(*index));
    let text = String::from_utf8(world.bundle.0[&disclosure(index)].clone()).expect("text");
    let mut proof = TlogProof::parse(&text).expect("a proof");
    proof.hashes[0].0[0] ^= 1;
    world.bundle.0.insert(disclosure(index), proof.to_text().into_bytes());
    assert_eq!(world.faults(), [format!("wrong: entry {index} of the tlog-proofs is not what the tree has there")]);
    assert_eq!(world.outcome(), Outcome::Invalid(Code::Inclusion));
}

#[test]
fn a_multiproof_of_another_tree_or_of_none_is_refused() {
    let mut world = World::new();
    let drawn = world.drawn();
    let other = Trace::new(&AttemptKey::new([8; 32]), entries(&world.keys, CALLS)).expect("a trace");
    world.put(&other.disclose_all(&drawn, &|_| false).expect("there"));
    assert_eq!(world.faults(), ["wrong: audit.multiproof is of another tree"]);
    assert_eq!(world.outcome(), Outcome::Invalid(Code::DisclosureCheckpoint));
    world.bundle.0.insert(MULTIPROOF.to_owned(), b"pob/multiproof/2\n".to_vec());
    let audited = world.audited();
    assert_eq!(audited.faults, [AuditFault::Unreadable { file: MULTIPROOF.to_owned() }]);
    assert_eq!(world.outcome(), Outcome::Invalid(Code::Disclosure));
    // A kind with the fields of its name, where it cannot stand.
    let mut proof = world.multiproof(&drawn);
    proof.entries[0].record.parent = Some(Decimal(95));
    world.put(&proof);
    assert_eq!(world.outcome(), Outcome::Invalid(Code::Record));
}

#[test]
fn no_byte_of_a_multiproof_can_be_changed() {
    let mut world = World::new();
    let proof = world.trace.disclose_all(&world.drawn(), &|field| field == "outcome").expect("there");
    let bytes = proof.to_bytes().expect("bytes");
    world.put(&proof);
    assert_eq!(world.outcome(), Outcome::Unanchored);
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let holds = |other: &Multiproof| {
            (other.size, other.root) == (proof.size, proof.root)
                && other.leads_to() == Ok(proof.root)
                && other.entries.iter().all(Disclosure::is_true)
        };
        assert!(!Multiproof::parse(&changed).is_ok_and(|other| holds(&other)), "byte {at}");
        // The whole receipt is slower, so not at every byte.
        if at % 61 == 0 {
            world.bundle.0.insert(MULTIPROOF.to_owned(), changed);
            assert!(!world.outcome().is_valid(), "byte {at}");
        }
    }
}

/// `tests/foreign/audit.py` reads the same bytes by the format's page alone.
#[test]
fn the_bytes_of_a_multiproof_are_frozen() {
    let world = World::new();
    let proof = world.trace.disclose_all(&world.drawn(), &|field| field == "outcome").expect("there");
    let bytes = proof.to_bytes().expect("bytes");
    let frozen = "6b67082c0dab102578ccadfb9e7e9beb2e3046afede0e0ba29a6f44df811b5be";
    assert_eq!((bytes.len(), Digest::of(&bytes).to_string().as_str()), (2997, frozen));
}

/// A record of a tool call, which has the most fields.
fn tool_call(index: u64) -> Record {
    let names = ["args", "egress", "grant", "outcome", "output", "tier", "tool", "tool_digest", "usage"];
    let fields = names.iter().map(|name| ((*name).to_owned(), Digest::of(name.as_bytes()))).collect();
    let parent = Some(Decimal(index - 1));
    Record { fields, i: Decimal(index), kind: "tool_call".to_owned(), parent, v: "1".to_owned() }
}

/// A tree of so many tool calls, and eight entries of it as far from each other as can be: the longest proofs.
fn wide(size: u64) -> (Tree, Vec<Disclosure>) {
    let wanted: BTreeSet<u64> = (0..8).map(|part| part * size / 8 + 1).collect();
    let mut tree = Tree::new();
    let filler = Digest::of(b"filler");
    (0..size).for_each(|index| {
        let leaf = if wanted.contains(&index) { tool_call(index).leaf().expect("a leaf") } else { filler };
        tree.push(leaf);
    });
    (tree, wanted.into_iter().map(|index| Disclosure { record: tool_call(index), open: BTreeMap::new() }).collect())
}

#[test]
fn eight_entries_as_text_are_at_most_16_kb_of_ten_thousand() {
    let (tree, entries) = wide(10_000);
    let key = SigningKey::from_seed(&[5; 32]);
    let id = "0192f0c1-2a3b-7c4d-8e5f-0123456789ab";
    let origin = format!("ii-0123456789abcdef/trace/{id}/{id}/1");
    let checkpoint = Checkpoint { origin, size: tree.size(), root: tree.root() }.sign(&key);
    let text = |entry: &Disclosure| {
        let index = entry.record.i.0;
        let hashes = tree.inclusion(index).expect("there");
        let extra = Some(entry.to_extra().expect("encodes"));
        TlogProof { extra, index, hashes, checkpoint: checkpoint.clone() }.to_text().len()
    };
    let sum: usize = entries.iter().map(text).sum();
    assert!(sum <= 16 * 1024, "{sum} bytes");
}

#[test]
fn eight_entries_in_one_file_are_at_most_10_kb_of_a_million() {
    let (tree, entries) = wide(1_000_000);
    let indices = entries.iter().map(|entry| entry.record.i.0).collect();
    let hashes = tree.inclusion_of(&indices).expect("there");
    let proof = Multiproof { size: tree.size(), root: tree.root(), entries, hashes };
    assert_eq!(proof.leads_to(), Ok(tree.root()));
    let bytes = proof.to_bytes().expect("bytes");
    assert!(bytes.len() <= 10_000, "{} bytes", bytes.len());
    assert_eq!(Multiproof::parse(&bytes), Ok(proof));
}
