//! The tree over a block's transactions, and the way from one of them to its root.
//!
//! **Invariant:** a way has as many hashes as its position has bits to spend, so that one place has one spelling.

use super::hash::{Txid, double};
use crate::digest::Digest;

/// The most hashes of a way: more transactions than any block holds.
pub const MOST_HASHES: usize = 32;

/// The root over transactions, and the way to it from the one at `position`; none for no transactions or no such place.
pub fn branch(txids: &[Txid], position: usize) -> Option<([u8; 32], Vec<Digest>)> {
    txids.get(position)?;
    let mut level: Vec<[u8; 32]> = txids.iter().map(|txid| txid.0).collect();
    let (mut at, mut hashes) = (position, Vec::new());
    while level.len() > 1 {
        // The last one of an odd row stands beside itself.
        if level.len() % 2 == 1 {
            level.extend(level.last().copied());
        }
        hashes.extend(level.get(at ^ 1).copied().map(Digest));
        at /= 2;
        level = level.chunks_exact(2).map(|pair| double(&pair.concat())).collect();
    }
    Some((*level.first()?, hashes))
}

/// The root that a transaction leads to; none for a position that the way is too short for.
pub fn root_from(txid: &Txid, position: u64, hashes: &[Digest]) -> Option<[u8; 32]> {
    if hashes.len() > MOST_HASHES || position >> hashes.len() != 0 {
        return None;
    }
    let (mut node, mut at) = (txid.0, position);
    for hash in hashes {
        let pair = if at & 1 == 1 { [hash.0, node] } else { [node, hash.0] };
        node = double(&pair.concat());
        at >>= 1;
    }
    Some(node)
}

#[cfg(test)]
mod tests {
    use super::{branch, root_from};
    use crate::{bitcoin::hash::Txid, digest::Digest};

    fn of(text: &str) -> Txid {
        text.parse().expect("an id")
    }

    #[test]
    fn the_root_of_a_known_block_is_its_own() {
        // Block 100,000 of Bitcoin.
        let txids = [
            of("8c14f0db3df150123e6f3dbbf30f8b955a8249b62ac1d1ff16284aefa3d06d87"),
            of("fff2525b8931402dd09222c50775608f75787bd2b87e56995a7bdd30f79702c4"),
            of("6359f0868171b1d194cbee1af2f16ea598ae8fad666d9b012c8ed2b79a236ec4"),
            of("e9a66845e05d5abc0ad04ec80f774a7e585c6e8db975962d069a522137b80c1d"),
        ];
        let root = of("f3e94742aca4b5ef85488dc37c06c3282295ffec960994b2c0d5ac2a25a95766").0;
        for (position, txid) in txids.iter().enumerate() {
            let (found, hashes) = branch(&txids, position).expect("a way");
            assert_eq!((found, hashes.len()), (root, 2));
            assert_eq!(root_from(txid, position as u64, &hashes), Some(root));
        }
    }

    #[test]
    fn every_place_of_every_small_block_leads_to_its_root_and_no_other_place_does() {
        for size in 1..18_u8 {
            let txids: Vec<Txid> = (0..size).map(|number| Txid([number; 32])).collect();
            for (position, txid) in txids.iter().enumerate() {
                let (root, hashes) = branch(&txids, position).expect("a way");
                assert_eq!(root_from(txid, position as u64, &hashes), Some(root));
                let beyond = position as u64 + (1 << hashes.len());
                assert_eq!(root_from(txid, beyond, &hashes), None, "a second spelling");
                if size > 1 {
                    assert_ne!(root_from(&Txid([99; 32]), position as u64, &hashes), Some(root));
                }
            }
        }
        assert_eq!(branch(&[], 0), None);
        assert_eq!(branch(&[Txid([1; 32])], 1), None);
        assert_eq!(root_from(&Txid([1; 32]), 0, &vec![Digest([0; 32]); 33]), None);
    }
}
