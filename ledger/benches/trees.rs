//! What a tree of the log costs as it grows: to append a leaf, to make a proof and to check one, beside the trees of two other
//! libraries on the same leaves. `cargo bench -p ii-ledger --bench trees`; `II_BENCH_LEAVES` says up to how many, which the
//! others, who keep more of each leaf, follow to a tenth. One line of JSON for each size of ours goes to `II_BENCH_OUT`, where that
//! names a file; `scripts/draw-growth.py` draws it.

use std::{
    hint::black_box,
    io::Write,
    time::{Duration, Instant},
};

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use receipts::{
    Digest,
    merkle::{Tree, check_consistency, leaf_hash, root_from_inclusion},
};
use sha2::Sha256;
use tlog_tiles::{
    Error as TlogError, Hash, HashReader, check_record, check_tree, prove_record, prove_tree, record_hash,
    stored_hashes, tree_hash,
};

/// Proofs made and checked at each size.
const PROOFS: u64 = 2_000;

/// What was measured at one size, for one leaf or proof.
struct Cost {
    append: Duration,
    prove: Duration,
    check: Duration,
    extend: Duration,
    check_extension: Duration,
}

impl std::fmt::Display for Cost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [append, prove, check, extend, extension] =
            [self.append, self.prove, self.check, self.extend, self.check_extension].map(|time| time.as_nanos());
        write!(
            f,
            "append {append} ns; inclusion {prove} ns, checked {check} ns; consistency {extend} ns, checked {extension} ns"
        )
    }
}

/// A leaf's entry, as long as those of the ledger.
fn entry(number: u64) -> [u8; 96] {
    let mut entry = [7; 96];
    entry[..8].copy_from_slice(&number.to_be_bytes());
    entry
}

/// Indices in no order, the same each time.
fn places(size: u64) -> impl Iterator<Item = u64> {
    (0..PROOFS).map(move |number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % size)
}

fn timed<T>(of: u32, work: impl FnOnce() -> T) -> (Duration, T) {
    let began = Instant::now();
    let done = work();
    (began.elapsed() / of.max(1), done)
}

const EACH: u32 = PROOFS as u32;

/// Appends up to a size, then proves.
fn ours(tree: &mut Tree, size: u64) -> Cost {
    let new = u32::try_from(size - tree.size()).expect("few");
    let (append, ()) = timed(new, || (tree.size()..size).for_each(|number| tree.push(leaf_hash(&entry(number)))));
    let root = tree.root();
    let (prove, proofs) =
        timed(EACH, || places(size).map(|at| (at, tree.inclusion(at).expect("a proof"))).collect::<Vec<_>>());
    let (check, ()) = timed(EACH, || {
        for (at, path) in &proofs {
            assert_eq!(root_from_inclusion(leaf_hash(&entry(*at)), *at, size, path), Ok(root));
        }
    });
    let before: Vec<(u64, Digest)> = places(size).map(|at| (at + 1, tree.root_at(at + 1).expect("a root"))).collect();
    let (extend, proofs) =
        timed(EACH, || before.iter().map(|(old, _)| tree.consistency(*old).expect("a proof")).collect::<Vec<_>>());
    let (check_extension, ()) = timed(EACH, || {
        for (old, path) in before.iter().zip(&proofs) {
            assert_eq!(check_consistency(*old, (size, root), path), Ok(()));
        }
    });
    Cost { append, prove, check, extend, check_extension }
}

fn theirs_in_memory(tree: &mut MemoryBackedTree<Sha256, [u8; 96]>, size: u64) -> Cost {
    let new = u32::try_from(size - tree.len()).expect("few");
    let (append, ()) = timed(new, || (tree.len()..size).for_each(|number| tree.push(entry(number))));
    let root = tree.root();
    let place = |at: u64| usize::try_from(at).expect("a place");
    let (prove, proofs) =
        timed(EACH, || places(size).map(|at| (at, tree.prove_inclusion(place(at)))).collect::<Vec<_>>());
    let (check, ()) = timed(EACH, || {
        for (at, proof) in &proofs {
            root.verify_inclusion(&entry(*at), *at, proof).expect("verifies");
        }
    });
    // Its roots of smaller trees are those of trees that were smaller: a hundred of them, by appending again.
    let few = 100;
    let mut older = Vec::new();
    let mut again = MemoryBackedTree::<Sha256, [u8; 96]>::new();
    for number in 0..size {
        again.push(entry(number));
        if (number + 1) % (size / few) == 0 && number + 1 < size {
            older.push(again.root());
        }
    }
    let many = u32::try_from(older.len()).expect("few");
    let (extend, proofs) = timed(many, || {
        older.iter().map(|old| tree.prove_consistency(place(size - old.num_leaves()))).collect::<Vec<_>>()
    });
    let (check_extension, ()) = timed(many, || {
        for (old, proof) in older.iter().zip(&proofs) {
            root.verify_consistency(old, proof).expect("verifies");
        }
    });
    Cost { append, prove, check, extend, check_extension }
}

/// The stored hashes of a log, in memory.
#[derive(Default)]
struct Stored(Vec<Hash>);

impl HashReader for Stored {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, TlogError> {
        Ok(indexes.iter().map(|at| self.0[usize::try_from(*at).expect("a place")]).collect())
    }
}

fn theirs_in_tiles(stored: &mut Stored, from: u64, size: u64) -> Cost {
    let new = u32::try_from(size - from).expect("few");
    let (append, ()) = timed(new, || {
        for number in from..size {
            let hashes = stored_hashes(number, &entry(number), stored).expect("hashes");
            stored.0.extend(hashes);
        }
    });
    let root = tree_hash(size, stored).expect("a root");
    let (prove, proofs) = timed(EACH, || {
        places(size).map(|at| (at, prove_record(size, at, stored).expect("a proof"))).collect::<Vec<_>>()
    });
    let (check, ()) = timed(EACH, || {
        for (at, proof) in &proofs {
            check_record(proof, size, root, *at, record_hash(&entry(*at))).expect("verifies");
        }
    });
    let before: Vec<(u64, Hash)> =
        places(size).map(|at| (at + 1, tree_hash(at + 1, stored).expect("a root"))).collect();
    let (extend, proofs) = timed(EACH, || {
        before.iter().map(|(old, _)| prove_tree(size, *old, stored).expect("a proof")).collect::<Vec<_>>()
    });
    let (check_extension, ()) = timed(EACH, || {
        for ((old, older), proof) in before.iter().zip(&proofs) {
            check_tree(proof, size, root, *old, *older).expect("verifies");
        }
    });
    Cost { append, prove, check, extend, check_extension }
}

fn main() {
    let most: u64 = std::env::var("II_BENCH_LEAVES").map_or(10_000_000, |most| most.parse().expect("a number"));
    let (mut tree, mut memory, mut tiles) = (Tree::new(), MemoryBackedTree::new(), Stored::default());
    let mut size = 1_000;
    let mut before = 0;
    let mut out = std::env::var("II_BENCH_OUT").ok().map(|path| std::fs::File::create(path).expect("a file"));
    while size <= most {
        println!("{size} leaves");
        let cost = ours(&mut tree, size);
        println!("  ours:       {cost}");
        if let Some(out) = &mut out {
            let [append, inclusion, consistency] =
                [cost.append, cost.prove, cost.extend].map(|time| u64::try_from(time.as_nanos()).expect("short"));
            let told = serde_json::json!({
                "leaves": size, "append_ns": append, "inclusion_ns": inclusion, "consistency_ns": consistency,
            });
            writeln!(out, "{told}").expect("written");
        }
        if size <= most / 10 {
            println!("  ct-merkle:  {}", black_box(theirs_in_memory(&mut memory, size)));
            println!("  tlog_tiles: {}", black_box(theirs_in_tiles(&mut tiles, before, size)));
        }
        (before, size) = (size, size * 10);
    }
}
