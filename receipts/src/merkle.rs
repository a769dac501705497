//! The Merkle tree of RFC 6962 / RFC 9162 over SHA-256: roots, inclusion and consistency.
//!
//! **Invariant:** leaf and node hashes have the RFC's prefixes and no others; an odd node is carried up, never doubled.
//! **Invariant:** a proof is accepted only with exactly as many hashes as its index and size need.

use std::ops::Range;

use sha2::{Digest as _, Sha256};

use crate::digest::Digest;

/// Most hashes a proof of either kind may have; no tree that anyone can fill needs more.
pub const MOST_HASHES: usize = 63;

/// Why a proof is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// A tree of size 0 includes nothing.
    #[error("the tree is empty")]
    Empty,
    /// The index is not in the tree.
    #[error("index {index} is not in a tree of size {size}")]
    OutOfRange {
        /// The index.
        index: u64,
        /// The size.
        size: u64,
    },
    /// Too many or too few hashes.
    #[error("the proof has {given} hashes")]
    Length {
        /// How many there are.
        given: usize,
    },
    /// The hashes lead to another root.
    #[error("the proof leads to another root")]
    Root,
    /// The older tree is larger.
    #[error("size {old} is not before size {new}")]
    Order {
        /// Size of the older tree.
        old: u64,
        /// Size of the newer tree.
        new: u64,
    },
}

/// Hash of a leaf's entry.
pub fn leaf_hash(entry: &[u8]) -> Digest {
    let mut hasher = Sha256::new();
    hasher.update([0]);
    hasher.update(entry);
    Digest(hasher.finalize().into())
}

/// Hash of two subtrees.
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    let mut bytes = [0_u8; 65];
    bytes[0] = 1;
    bytes[1..33].copy_from_slice(&left.0);
    bytes[33..].copy_from_slice(&right.0);
    Digest(Sha256::digest(bytes).into())
}

/// What is needed of a tree to go on with it: the roots of its complete subtrees, one for each bit set in its size. Gives the
/// root at any moment, and no proofs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    /// The largest first.
    roots: Vec<Digest>,
    size: u64,
}

impl Frontier {
    /// That of an empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// That of a tree of `size` leaves by the roots of its complete subtrees, the largest first; `None` where these are not as
    /// many as such a tree has.
    pub fn of(size: u64, roots: Vec<Digest>) -> Option<Self> {
        (roots.len() == size.count_ones() as usize).then_some(Self { roots, size })
    }

    /// The roots of its complete subtrees, the largest first.
    pub fn roots(&self) -> &[Digest] {
        &self.roots
    }

    /// Leaves in the tree.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds the hash of the next leaf.
    pub fn push(&mut self, leaf: Digest) {
        let mut hash = leaf;
        let merged = self.roots.len() - self.size.trailing_ones() as usize;
        for left in self.roots.drain(merged..).rev() {
            hash = node_hash(&left, &hash);
        }
        self.roots.push(hash);
        self.size += 1;
    }

    /// Root of the tree; SHA-256 of nothing when it is empty.
    pub fn root(&self) -> Digest {
        let whole = self.roots.iter().copied().rev().reduce(|right, left| node_hash(&left, &right));
        whole.unwrap_or_else(|| Tree::new().root())
    }
}

/// The inclusion proof of one leaf, drawn while the leaves go by once: what [`Tree::inclusion`] gives, in memory that grows
/// with the logarithm of the leaves.
#[derive(Debug, Clone)]
pub struct Passing {
    /// Leaves under each hash of the proof, the hash next to the leaf first, and what has gone by of them.
    beside: Vec<(Range<u64>, Frontier)>,
    next: u64,
}

impl Passing {
    /// Of the leaf at `index` of a tree of `size` leaves. Of the first leaf the size may be more than will go by.
    pub fn new(index: u64, size: u64) -> Self {
        let mut beside = Vec::new();
        let (mut low, mut high) = (0, size);
        while high - low > 1 {
            // The largest power of two that leaves something behind it.
            let split = low + (1 << (u64::BITS - 1 - (high - low - 1).leading_zeros()));
            let other = if index < split { split..high } else { low..split };
            (low, high) = if index < split { (low, split) } else { (split, high) };
            beside.push((other, Frontier::new()));
        }
        beside.reverse();
        Self { beside, next: 0 }
    }

    /// Takes the hash of the next leaf.
    pub fn push(&mut self, leaf: Digest) {
        for (range, frontier) in &mut self.beside {
            if range.contains(&self.next) {
                frontier.push(leaf);
            }
        }
        self.next += 1;
    }

    /// The hashes of the proof.
    pub fn hashes(&self) -> Vec<Digest> {
        self.beside.iter().filter(|(_, frontier)| frontier.size() > 0).map(|(_, frontier)| frontier.root()).collect()
    }
}

/// A tree that grows at its end. Keeps every complete subtree's hash, about two hashes a leaf.
///
/// One vector in the order in which subtrees become complete: appending costs the node hashes and little else, and where
/// a subtree's hash stands follows from where the subtree lies.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    /// Of `n` leaves there are `2n` hashes less one for each bit set in `n`.
    hashes: Vec<Digest>,
    size: u64,
}

impl Tree {
    /// An empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// Leaves in it.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds the hash of the next leaf.
    pub fn push(&mut self, leaf: Digest) {
        let mut hash = leaf;
        self.hashes.push(hash);
        for level in 0..self.size.trailing_ones() {
            let left = self.hashes.len() - (2 << level);
            hash = node_hash(&self.hashes[left], &hash);
            self.hashes.push(hash);
        }
        self.size += 1;
    }

    /// Cuts it back to its first `size` leaves; a tree that has no more stays as it is.
    pub fn truncate(&mut self, size: u64) {
        if size < self.size {
            self.hashes.truncate((2 * size - u64::from(size.count_ones())) as usize);
            self.size = size;
        }
    }

    /// Root of the whole tree; SHA-256 of nothing when it is empty.
    pub fn root(&self) -> Digest {
        self.hash_of(0, self.size())
    }

    /// Root of the first `size` leaves; `None` when there are fewer.
    pub fn root_at(&self, size: u64) -> Option<Digest> {
        (size <= self.size()).then(|| self.hash_of(0, size))
    }

    /// MTH of leaves `start..end`. `start` is always aligned to the largest power of two below the length.
    pub(crate) fn hash_of(&self, start: u64, end: u64) -> Digest {
        let length = end - start;
        if length == 0 {
            return Digest::of(b"");
        }
        if length.is_power_of_two() {
            let before = 2 * start - u64::from(start.count_ones());
            return self.hashes[(before + 2 * length - 2) as usize];
        }
        let middle = start + split(length);
        node_hash(&self.hash_of(start, middle), &self.hash_of(middle, end))
    }

    /// Hash of the complete subtree of `2^level` leaves that is the `index`-th of its level; `None` when the tree does not
    /// reach to its end.
    pub fn subtree(&self, level: u32, index: u64) -> Option<Digest> {
        let length = 1_u64.checked_shl(level)?;
        let start = index.checked_mul(length)?;
        let end = start.checked_add(length)?;
        (end <= self.size()).then(|| self.hash_of(start, end))
    }

    /// The inclusion proof of a leaf, leaf to root; `None` when it is not in the tree.
    pub fn inclusion(&self, index: u64) -> Option<Vec<Digest>> {
        self.inclusion_at(index, self.size())
    }

    /// The inclusion proof of a leaf in the tree of the first `size` leaves; `None` when it or they are not there.
    pub fn inclusion_at(&self, index: u64, size: u64) -> Option<Vec<Digest>> {
        if index >= size || size > self.size() {
            return None;
        }
        let mut path = Vec::new();
        let (mut start, mut end) = (0, size);
        while end - start > 1 {
            let middle = start + split(end - start);
            if index < middle {
                path.push(self.hash_of(middle, end));
                end = middle;
            } else {
                path.push(self.hash_of(start, middle));
                start = middle;
            }
        }
        path.reverse();
        Some(path)
    }

    /// The proof that the first `old` leaves are a beginning of this tree; `None` for 0 or more than there are.
    pub fn consistency(&self, old: u64) -> Option<Vec<Digest>> {
        self.consistency_between(old, self.size())
    }

    /// The proof that the first `old` leaves are a beginning of the first `size`; `None` for 0 or more than there are.
    pub fn consistency_between(&self, old: u64, size: u64) -> Option<Vec<Digest>> {
        if old == 0 || old > size || size > self.size() {
            return None;
        }
        let mut path = Vec::new();
        let (mut start, mut end, mut whole) = (0, size, true);
        while old != end {
            let middle = start + split(end - start);
            if old <= middle {
                path.push(self.hash_of(middle, end));
                end = middle;
            } else {
                path.push(self.hash_of(start, middle));
                start = middle;
                whole = false;
            }
        }
        if !whole {
            path.push(self.hash_of(start, end));
        }
        path.reverse();
        Some(path)
    }
}

/// Largest power of two below `length`, which is at least 2.
pub(crate) fn split(length: u64) -> u64 {
    1 << (63 - (length - 1).leading_zeros())
}

/// The root that an inclusion proof leads to (RFC 9162, 2.1.3.2).
///
/// # Errors
/// When size, index or number of hashes do not fit each other.
pub fn root_from_inclusion(leaf: Digest, index: u64, size: u64, path: &[Digest]) -> Result<Digest, ProofError> {
    if size == 0 {
        return Err(ProofError::Empty);
    }
    if index >= size {
        return Err(ProofError::OutOfRange { index, size });
    }
    let length = ProofError::Length { given: path.len() };
    if path.len() > MOST_HASHES {
        return Err(length);
    }
    let (mut node, mut last, mut hash) = (index, size - 1, leaf);
    for sibling in path {
        if last == 0 {
            return Err(length);
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last == 0 { Ok(hash) } else { Err(length) }
}

/// Checks that a tree is the beginning of a later one (RFC 9162, 2.1.4.2).
///
/// # Errors
/// When the proof does not show it.
pub fn check_consistency(old: (u64, Digest), new: (u64, Digest), path: &[Digest]) -> Result<(), ProofError> {
    let ((old_size, old_root), (new_size, new_root)) = (old, new);
    if old_size == 0 {
        return Err(ProofError::Empty);
    }
    if old_size > new_size {
        return Err(ProofError::Order { old: old_size, new: new_size });
    }
    let length = ProofError::Length { given: path.len() };
    if path.len() > MOST_HASHES {
        return Err(length);
    }
    if old_size == new_size {
        return match (path.is_empty(), old_root == new_root) {
            (true, true) => Ok(()),
            (false, _) => Err(length),
            (true, false) => Err(ProofError::Root),
        };
    }
    let mut hashes = path.iter();
    let (mut node, mut last) = (old_size - 1, new_size - 1);
    while node & 1 == 1 {
        node >>= 1;
        last >>= 1;
    }
    let first = if node == 0 { old_root } else { *hashes.next().ok_or(length)? };
    let (mut before, mut after) = (first, first);
    for sibling in hashes {
        if last == 0 {
            return Err(length);
        }
        if node & 1 == 1 || node == last {
            before = node_hash(sibling, &before);
            after = node_hash(sibling, &after);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            after = node_hash(&after, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(length);
    }
    if before == old_root && after == new_root { Ok(()) } else { Err(ProofError::Root) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        Frontier, MOST_HASHES, Passing, ProofError, Tree, check_consistency, leaf_hash, node_hash, root_from_inclusion,
    };
    use crate::digest::Digest;

    fn leaf(index: u64) -> Digest {
        leaf_hash(&index.to_be_bytes())
    }

    fn tree(size: u64) -> Tree {
        let mut tree = Tree::new();
        (0..size).for_each(|index| tree.push(leaf(index)));
        tree
    }

    /// The definition in RFC 6962, 2.1, word by word: the oracle for everything above.
    fn defined(leaves: &[u64]) -> Digest {
        match leaves {
            [] => Digest::of(b""),
            [one] => leaf(*one),
            more => {
                let mut k = 1;
                while k * 2 < more.len() {
                    k *= 2;
                }
                node_hash(&defined(&more[..k]), &defined(&more[k..]))
            }
        }
    }

    #[test]
    fn a_frontier_has_the_root_of_its_tree_at_every_size() {
        let (mut frontier, mut tree) = (Frontier::new(), Tree::new());
        for size in 0..300 {
            assert_eq!((frontier.root(), frontier.size()), (tree.root(), size));
            assert!(frontier.roots.len() <= 9, "{} hashes of {size} leaves", frontier.roots.len());
            frontier.push(leaf(size));
            tree.push(leaf(size));
        }
    }

    #[test]
    fn a_proof_drawn_in_passing_is_that_of_the_tree() {
        for size in 1..70_u64 {
            let tree = tree(size);
            let passing = |index, of: u64| {
                let mut passing = Passing::new(index, of);
                (0..size).for_each(|number| passing.push(leaf(number)));
                passing.hashes()
            };
            for index in 0..size {
                assert_eq!(Some(passing(index, size)), tree.inclusion(index), "{index} of {size}");
            }
            assert_eq!(passing(0, 1 << 63), passing(0, size), "{size}");
            let half = Frontier::of(
                size,
                (0..size)
                    .fold(Frontier::new(), |mut all, n| {
                        all.push(leaf(n));
                        all
                    })
                    .roots()
                    .to_vec(),
            );
            assert_eq!(half.map(|half| half.root()), Some(tree.root()));
            assert_eq!(Frontier::of(size, Vec::new()), None);
        }
    }

    #[test]
    fn roots_are_as_the_rfc_defines_them() {
        for size in 0..130_u64 {
            let leaves: Vec<u64> = (0..size).collect();
            assert_eq!(tree(size).root(), defined(&leaves), "size {size}");
            assert_eq!(tree(size).size(), size);
            assert_eq!(tree(130).root_at(size), Some(defined(&leaves)));
        }
        assert_eq!(tree(130).root_at(131), None);
    }

    /// The entries and roots with which Certificate Transparency's own implementations are tested.
    #[test]
    fn roots_are_those_of_certificate_transparency() {
        let entries =
            ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
        let roots = [
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut tree = Tree::new();
        assert_eq!(tree.root().to_string(), roots[0]);
        for (entry, root) in entries.iter().zip(&roots[1..]) {
            tree.push(leaf_hash(&hex::decode(entry).expect("hex")));
            assert_eq!(tree.root().to_string(), *root);
        }
    }

    #[test]
    fn every_leaf_of_every_size_is_proved_and_nothing_else() {
        for size in 1..=300_u64 {
            let tree = tree(size);
            for index in 0..size {
                let path = tree.inclusion(index).expect("in the tree");
                let leads = |leaf, index, path: &[Digest]| root_from_inclusion(leaf, index, size, path);
                assert_eq!(leads(leaf(index), index, &path), Ok(tree.root()), "{index} of {size}");
                assert_ne!(leads(leaf(size), index, &path), Ok(tree.root()), "{index} of {size}");
                let wrong = (index + 1) % size;
                assert!(size == 1 || leads(leaf(index), wrong, &path) != Ok(tree.root()), "{index} of {size}");
                let mut long = path.clone();
                long.push(leaf(index));
                assert_eq!(leads(leaf(index), index, &long), Err(ProofError::Length { given: long.len() }));
                if let Some((_last, short)) = path.split_last() {
                    assert_eq!(leads(leaf(index), index, short), Err(ProofError::Length { given: short.len() }));
                }
            }
            assert_eq!(tree.inclusion(size), None);
        }
    }

    #[test]
    fn every_beginning_of_a_tree_is_consistent_with_it_and_nothing_else() {
        for size in 1..=130_u64 {
            let new = tree(size);
            for old in 1..=size {
                let before = new.root_at(old).expect("a beginning");
                let path = new.consistency(old).expect("a proof");
                let check = |path: &[Digest]| check_consistency((old, before), (size, new.root()), path);
                assert_eq!(check(&path), Ok(()), "{old} of {size}");
                let mut wrong = before;
                wrong.0[0] ^= 1;
                assert_eq!(check_consistency((old, wrong), (size, new.root()), &path), Err(ProofError::Root));
                assert_eq!(check_consistency((old, before), (size, wrong), &path), Err(ProofError::Root));
                let mut long = path.clone();
                long.push(before);
                assert_eq!(check(&long), Err(ProofError::Length { given: long.len() }));
                if let Some((_last, short)) = path.split_last() {
                    assert_eq!(check(short), Err(ProofError::Length { given: short.len() }));
                }
            }
            assert!(new.consistency(0).is_none() && new.consistency(size + 1).is_none());
        }
    }

    #[test]
    fn proofs_of_a_beginning_are_those_it_had_when_it_was_all() {
        let whole = tree(70);
        for size in 1..=70_u64 {
            let then = tree(size);
            for index in 0..size {
                assert_eq!(whole.inclusion_at(index, size), then.inclusion(index), "{index} of {size}");
                assert_eq!(
                    whole.consistency_between(index + 1, size),
                    then.consistency(index + 1),
                    "{index} of {size}"
                );
            }
            assert_eq!(whole.inclusion_at(size, size), None);
        }
        assert!(whole.inclusion_at(0, 71).is_none() && whole.consistency_between(1, 71).is_none());
    }

    #[test]
    fn a_tree_that_was_cut_back_grows_as_if_it_had_never_been_longer() {
        for size in 0..=40_u64 {
            for kept in 0..=size + 1 {
                let mut cut = tree(size);
                cut.truncate(kept);
                let kept = kept.min(size);
                assert_eq!((cut.size(), cut.root()), (kept, tree(kept).root()), "{kept} of {size}");
                (kept..41).for_each(|index| cut.push(leaf(index)));
                assert_eq!(cut.hashes, tree(41).hashes, "{kept} of {size}");
            }
        }
    }

    #[test]
    fn a_subtree_is_there_once_it_is_complete() {
        let tree = tree(70);
        for level in 0..=7_u32 {
            let length = 1_u64 << level;
            for index in 0..=70 / length {
                let (start, end) = (index * length, (index + 1) * length);
                let leaves: Vec<u64> = (start..end).collect();
                assert_eq!(tree.subtree(level, index), (end <= 70).then(|| defined(&leaves)), "{level} {index}");
            }
        }
        assert!(tree.subtree(63, 1).is_none() && tree.subtree(64, 0).is_none() && tree.subtree(1, u64::MAX).is_none());
    }

    #[test]
    fn sizes_that_prove_nothing_are_refused() {
        let root = tree(2).root();
        assert_eq!(root_from_inclusion(leaf(0), 0, 0, &[]), Err(ProofError::Empty));
        assert_eq!(root_from_inclusion(leaf(0), 2, 2, &[root]), Err(ProofError::OutOfRange { index: 2, size: 2 }));
        let most = u64::MAX;
        assert_eq!(
            root_from_inclusion(leaf(0), most, most, &[]),
            Err(ProofError::OutOfRange { index: most, size: most })
        );
        assert_eq!(check_consistency((0, Digest::of(b"")), (2, root), &[]), Err(ProofError::Empty));
        assert_eq!(check_consistency((3, root), (2, root), &[]), Err(ProofError::Order { old: 3, new: 2 }));
    }

    #[test]
    fn a_proof_has_63_hashes_at_most() {
        let hashes = [leaf(0); MOST_HASHES + 1];
        let most = 1 << MOST_HASHES;
        assert!(root_from_inclusion(leaf(1), 0, most, &hashes[1..]).is_ok());
        // One more leaf would need one more hash.
        assert_eq!(root_from_inclusion(leaf(1), 0, most + 1, &hashes), Err(ProofError::Length { given: 64 }));
        // By the RFC this shows that all leaves but the last of 2^63 are a beginning of them.
        let (mut old, mut new) = (hashes[0], node_hash(&hashes[0], &hashes[1]));
        for hash in &hashes[2..] {
            (old, new) = (node_hash(hash, &old), node_hash(hash, &new));
        }
        assert_eq!(check_consistency((most - 1, old), (most, new), &hashes), Err(ProofError::Length { given: 64 }));
        let half = (most / 2 - 1, most / 2);
        let (mut old, mut new) = (hashes[0], node_hash(&hashes[0], &hashes[1]));
        for hash in &hashes[3..] {
            (old, new) = (node_hash(hash, &old), node_hash(hash, &new));
        }
        assert_eq!(check_consistency((half.0, old), (half.1, new), &hashes[1..]), Ok(()));
    }

    fn flip(hashes: &mut [Digest], at: proptest::sample::Index, bit: usize) {
        hashes[at.index(hashes.len())].0[bit / 8] ^= 1 << (bit % 8);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_flipped_bit_of_a_proof_shows(
            size in 2..3000_u64,
            other in any::<proptest::sample::Index>(),
            at in any::<proptest::sample::Index>(),
            bit in 0..256_usize,
        ) {
            let tree = tree(size);
            let index = other.index(usize::try_from(size).expect("small")) as u64;
            let mut path = tree.inclusion(index).expect("in the tree");
            prop_assert_eq!(root_from_inclusion(leaf(index), index, size, &path), Ok(tree.root()));
            flip(&mut path, at, bit);
            prop_assert_ne!(root_from_inclusion(leaf(index), index, size, &path), Ok(tree.root()));
            let old = index.max(1);
            let heads = ((old, tree.root_at(old).expect("a beginning")), (size, tree.root()));
            let mut path = tree.consistency(old).expect("a proof");
            prop_assert_eq!(check_consistency(heads.0, heads.1, &path), Ok(()));
            flip(&mut path, at, bit);
            prop_assert_eq!(check_consistency(heads.0, heads.1, &path), Err(ProofError::Root));
        }
    }
}
