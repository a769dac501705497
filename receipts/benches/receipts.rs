//! Sealing and verifying, beside the signatures that they cannot do without. `cargo bench -p receipts`.

#[path = "../tests/common/mod.rs"]
mod common;

use receipts::{
    Digest,
    commit::AttemptKey,
    keys::verify as verify_signature,
    merkle::Tree,
    seal::{SealKeys, seal},
    verify::{TrustOrigin, verify},
};

fn main() {
    divan::main();
}

#[divan::bench]
fn one_signature(bencher: divan::Bencher<'_, '_>) {
    let key = common::keys().root;
    bencher.bench(|| key.sign(divan::black_box(b"a message of some length")));
}

#[divan::bench]
fn one_strict_verification(bencher: divan::Bencher<'_, '_>) {
    let key = common::keys().root;
    let (public, signature) = (key.public(), key.sign(b"a message"));
    bencher.bench(|| verify_signature(&public, divan::black_box(b"a message"), &signature));
}

#[divan::bench]
fn merkle_append_of_1000(bencher: divan::Bencher<'_, '_>) {
    let leaf = Digest::of(b"leaf");
    bencher.bench(|| {
        let mut tree = Tree::new();
        for _ in 0..1_000 {
            tree.push(divan::black_box(leaf));
        }
        tree.root()
    });
}

/// Entries of the trace: the calls and five more.
#[divan::bench(args = [1, 123])]
fn seal_a_module(bencher: divan::Bencher<'_, '_>, calls: usize) {
    let keys = common::keys();
    let input = common::input(&keys, calls);
    let seal_keys = SealKeys { log: &keys.log, associate: &keys.associate, node: &keys.node, verifier: &keys.verifier };
    let key = AttemptKey::new([9; 32]);
    bencher.bench(|| seal(divan::black_box(&input), &key, &seal_keys).expect("seals"));
}

#[divan::bench]
fn verify_a_receipt_cold(bencher: divan::Bencher<'_, '_>) {
    let keys = common::keys();
    let (bundle, trust) = (common::bundle(&keys), common::trust(&keys));
    bencher.bench(|| verify(divan::black_box(&bundle), &trust, TrustOrigin::Pinned, &|_| true));
}
