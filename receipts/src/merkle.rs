//! The Merkle tree of RFC 6962 / RFC 9162 over SHA-256: roots, inclusion and consistency.
//!
//! **Invariant:** leaf and node hashes have the RFC's prefixes and no others; an odd node is carried up, never doubled.
//! **Invariant:** a proof is accepted only with exactly as many hashes as its index and size need.

use sha2::{Digest as _, Sha256};

use crate::digest::Digest;

/// Most hashes a proof may have: a tree of 2^63 leaves.
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

/// A tree that grows at its end. Keeps every complete subtree's hash, about two hashes a leaf.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    /// `levels[k][i]` is the hash of leaves `i·2^k .. (i+1)·2^k`, for complete subtrees.
    levels: Vec<Vec<Digest>>,
}

impl Tree {
    /// An empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// Leaves in it.
    pub fn size(&self) -> u64 {
        self.levels.first().map_or(0, |leaves| leaves.len() as u64)
    }

    /// Adds the hash of the next leaf.
    pub fn push(&mut self, leaf: Digest) {
        let mut hash = leaf;
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            let row = &mut self.levels[level];
            row.push(hash);
            if row.len() % 2 == 1 {
                return;
            }
            hash = node_hash(&row[row.len() - 2], &row[row.len() - 1]);
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
    fn hash_of(&self, start: u64, end: u64) -> Digest {
        let length = end - start;
        if length == 0 {
            return Digest::of(b"");
        }
        if length.is_power_of_two() {
            let level = length.trailing_zeros() as usize;
            return self.levels[level][(start >> level) as usize];
        }
        let middle = start + split(length);
        node_hash(&self.hash_of(start, middle), &self.hash_of(middle, end))
    }

    /// The inclusion proof of a leaf, leaf to root; `None` when it is not in the tree.
    pub fn inclusion(&self, index: u64) -> Option<Vec<Digest>> {
        let size = self.size();
        if index >= size {
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
        let size = self.size();
        if old == 0 || old > size {
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
fn split(length: u64) -> u64 {
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
    if path.len() > MOST_HASHES + 1 {
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
    use super::{ProofError, Tree, check_consistency, leaf_hash, node_hash, root_from_inclusion};
    use crate::digest::Digest;

    fn tree(size: u64) -> Tree {
        let mut tree = Tree::new();
        for index in 0..size {
            tree.push(leaf_hash(&index.to_be_bytes()));
        }
        tree
    }

    /// The definition in RFC 6962, 2.1, word by word: the oracle for everything above.
    fn defined(leaves: &[u64]) -> Digest {
        match leaves {
            [] => Digest::of(b""),
            [one] => leaf_hash(&one.to_be_bytes()),
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
    fn roots_are_as_the_rfc_defines_them() {
        for size in 0..130_u64 {
            let leaves: Vec<u64> = (0..size).collect();
            assert_eq!(tree(size).root(), defined(&leaves), "size {size}");
            assert_eq!(tree(130).root_at(size), Some(defined(&leaves)));
        }
    }

    #[test]
    fn every_leaf_of_every_size_is_proved_and_nothing_else() {
        for size in 1..70_u64 {
            let tree = tree(size);
            for index in 0..size {
                let path = tree.inclusion(index).expect("in the tree");
                let leaf = leaf_hash(&index.to_be_bytes());
                assert_eq!(root_from_inclusion(leaf, index, size, &path), Ok(tree.root()));
                let mut long = path.clone();
                long.push(leaf);
                assert!(matches!(root_from_inclusion(leaf, index, size, &long), Err(ProofError::Length { .. })));
                if !path.is_empty() {
                    let short = &path[1..];
                    assert_ne!(root_from_inclusion(leaf, index, size, short), Ok(tree.root()));
                    let mut other = path.clone();
                    other[0].0[7] ^= 1;
                    assert_ne!(root_from_inclusion(leaf, index, size, &other), Ok(tree.root()));
                }
                let wrong = (index + 1) % size;
                assert!(size == 1 || root_from_inclusion(leaf, wrong, size, &path) != Ok(tree.root()));
            }
            assert!(tree.inclusion(size).is_none());
        }
        let leaf = leaf_hash(b"");
        assert_eq!(root_from_inclusion(leaf, 0, 0, &[]), Err(ProofError::Empty));
        assert_eq!(root_from_inclusion(leaf, 2, 2, &[]), Err(ProofError::OutOfRange { index: 2, size: 2 }));
    }

    #[test]
    fn every_beginning_of_a_tree_is_consistent_with_it_and_nothing_else() {
        for size in 1..50_u64 {
            let new = tree(size);
            for old in 1..=size {
                let before = new.root_at(old).expect("a beginning");
                let path = new.consistency(old).expect("a proof");
                assert_eq!(check_consistency((old, before), (size, new.root()), &path), Ok(()), "{old} {size}");
                let mut wrong = before;
                wrong.0[0] ^= 1;
                assert!(check_consistency((old, wrong), (size, new.root()), &path).is_err());
                assert!(check_consistency((old, before), (size, wrong), &path).is_err());
                if !path.is_empty() {
                    assert!(check_consistency((old, before), (size, new.root()), &path[1..]).is_err());
                }
            }
            assert!(new.consistency(0).is_none() && new.consistency(size + 1).is_none());
        }
        let root = tree(2).root();
        assert_eq!(check_consistency((3, root), (2, root), &[]), Err(ProofError::Order { old: 3, new: 2 }));
    }
}
