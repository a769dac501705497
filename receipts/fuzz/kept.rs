//! Inputs that were kept, and simple changes of each: what `cargo test` runs through every target.
//!
//! **Invariant:** the same inputs in the same order on every machine.

use std::{
    collections::BTreeSet,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

/// Values that parsers trip over.
const TELLING: [u8; 12] = [0, 1, b'\n', b' ', b'"', b'{', b'0', b'9', 0x7f, 0x80, 0xfe, 0xff];

/// A target and its name.
type Named = (&'static str, fn(&[u8]));

/// Numbers that a seed gives (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % (most.max(1) as u64)).unwrap_or(0)
    }
}

/// Runs every kept input of every target below `fuzz`, and so many changes of each, through its target.
///
/// # Panics
/// Where a target does, with the input in hex; where a target, its program or what was kept of it is missing.
pub fn run(fuzz: &Path, targets: &[Named], changes: u32) {
    let named: BTreeSet<String> = targets.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names(&fuzz.join("fuzz_targets"), ".rs"), named, "each target has a program, and each program a target");
    assert_eq!(names(&fuzz.join("corpus"), ""), named, "something is kept of each target, and of no other");
    for (name, target) in targets {
        let kept = kept(&fuzz.join("corpus").join(name));
        assert!(kept.len() > 1, "{name}: hardly anything is kept");
        let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
        for input in &kept {
            tried(name, *target, input);
            for _ in 0..changes {
                let other = &kept[numbers.below(kept.len())];
                tried(name, *target, &changed(input, other, &mut numbers));
            }
        }
    }
}

fn names(folder: &Path, end: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().strip_suffix(end).map(str::to_owned);
    entries.filter_map(|entry| name(entry.expect("an entry"))).collect()
}

/// In the order of their names.
fn kept(folder: &Path) -> Vec<Vec<u8>> {
    let mut paths: Vec<_> =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("an input")).collect()
}

fn tried(name: &str, target: fn(&[u8]), input: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| target(input))).is_err() {
        let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
        panic!("the target {name} fails on {hex}");
    }
}

/// One to four changes: a bit, a byte, a telling byte, bytes left out or said twice, another input's end, a cut.
fn changed(input: &[u8], other: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(bytes.len());
        let until = (at + 1 + numbers.below(16)).min(bytes.len());
        match (numbers.below(8), bytes.is_empty()) {
            (0, false) => bytes[at] ^= 1 << numbers.below(8),
            (1, false) => bytes[at] = bytes[at].wrapping_add(1),
            (2, false) => bytes[at] = TELLING[numbers.below(TELLING.len())],
            (3, false) => drop(bytes.drain(at..until)),
            (4, false) => {
                let twice = bytes[at..until].to_vec();
                bytes.splice(at..at, twice);
            }
            (5, _) => {
                bytes.truncate(at);
                bytes.extend_from_slice(&other[numbers.below(other.len())..]);
            }
            (6, false) => bytes.truncate(at),
            (_, _) => bytes.insert(at, TELLING[numbers.below(TELLING.len())]),
        }
    }
    bytes
}
