//! One way to the root for several leaves: each subtree without any of them by its hash, once, from left to right.

use std::collections::BTreeSet;

use crate::{
    digest::Digest,
    merkle::{Tree, node_hash, split},
};

/// Why leaves and hashes lead to no root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MultiproofError {
    /// No leaf at all.
    #[error("the proof has no entries")]
    Empty,
    /// A leaf is not behind the one before it.
    #[error("entry {index} stands twice, or behind a later one")]
    Order {
        /// Its index.
        index: u64,
    },
    /// A leaf is not in the tree.
    #[error("entry {index} is not in a tree of size {size}")]
    OutOfRange {
        /// Its index.
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
}

impl Tree {
    /// The hashes that lead from these leaves to the root; `None` for no leaves, or where not all are there.
    pub fn inclusion_of(&self, indices: &BTreeSet<u64>) -> Option<Vec<Digest>> {
        if indices.last().is_none_or(|last| *last >= self.size()) {
            return None;
        }
        let indices: Vec<u64> = indices.iter().copied().collect();
        let mut hashes = Vec::new();
        collect(self, (0, self.size()), &indices, &mut hashes);
        Some(hashes)
    }
}

fn collect(tree: &Tree, (start, end): (u64, u64), indices: &[u64], hashes: &mut Vec<Digest>) {
    if indices.is_empty() {
        hashes.push(tree.hash_of(start, end));
    } else if end - start > 1 {
        let middle = start + split(end - start);
        let (left, right) = indices.split_at(indices.partition_point(|index| *index < middle));
        collect(tree, (start, middle), left, hashes);
        collect(tree, (middle, end), right, hashes);
    }
}

/// How many hashes lead from leaves at these indices to the root of a tree of `size` leaves.
///
/// # Errors
/// [`MultiproofError`].
pub fn hashes_needed(indices: impl IntoIterator<Item = u64>, size: u64) -> Result<usize, MultiproofError> {
    let leaves: Vec<(u64, Digest)> = indices.into_iter().map(|index| (index, Digest([0; 32]))).collect();
    ordered(&leaves, size)?;
    let mut needed = 0;
    fold((0, size), &leaves, &mut || {
        needed += 1;
        Some(Digest([0; 32]))
    });
    Ok(needed)
}

/// The root that leaves and hashes lead to.
///
/// # Errors
/// [`MultiproofError`].
pub fn root_from(leaves: &[(u64, Digest)], size: u64, hashes: &[Digest]) -> Result<Digest, MultiproofError> {
    ordered(leaves, size)?;
    let mut rest = hashes.iter().copied();
    let root = fold((0, size), leaves, &mut || rest.next());
    let length = MultiproofError::Length { given: hashes.len() };
    if rest.next().is_some() { Err(length) } else { root.ok_or(length) }
}

fn ordered(leaves: &[(u64, Digest)], size: u64) -> Result<(), MultiproofError> {
    let (last, _leaf) = leaves.last().ok_or(MultiproofError::Empty)?;
    for pair in leaves.windows(2) {
        if let [(before, _), (index, _)] = pair
            && before >= index
        {
            return Err(MultiproofError::Order { index: *index });
        }
    }
    if *last >= size { Err(MultiproofError::OutOfRange { index: *last, size }) } else { Ok(()) }
}

/// The root of leaves `start..end`, of which these are known and the rest comes from `next`. No deeper than the tree: at
/// most 64 calls are open at once.
fn fold(
    (start, end): (u64, u64),
    leaves: &[(u64, Digest)],
    next: &mut dyn FnMut() -> Option<Digest>,
) -> Option<Digest> {
    let Some((_index, leaf)) = leaves.first() else { return next() };
    if end - start == 1 {
        return Some(*leaf);
    }
    let middle = start + split(end - start);
    let (left, right) = leaves.split_at(leaves.partition_point(|(index, _leaf)| *index < middle));
    let left = fold((start, middle), left, next)?;
    let right = fold((middle, end), right, next)?;
    Some(node_hash(&left, &right))
}
