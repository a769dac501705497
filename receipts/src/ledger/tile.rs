//! C2SP tlog-tiles: where parts of a log's tree and its entries lie, and what lies there.
//!
//! **Invariant:** a path has one spelling, and a path that parses is written as it was.
//! **Invariant:** a tile that the tree does not fill to its width is not there; it is never made up.

use crate::{integer, merkle::Tree};

/// Hashes or entries of a full tile.
pub const WIDTH: u64 = 256;
/// Highest level of a path.
const MOST_LEVEL: u64 = 63;
/// Levels of the tree between two levels of tiles.
const HEIGHT: u32 = 8;

/// What a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Hashes of subtrees of `256^level` leaves.
    Hashes {
        /// 0 to 63.
        level: u32,
    },
    /// Entries of the log.
    Entries,
}

/// A tile: which content, where, and how many; `width` is 256 when it is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    /// What lies there.
    pub content: Content,
    /// The number of the tile on its level.
    pub index: u64,
    /// 1 to 256.
    pub width: u64,
}

impl Tile {
    /// The path below a log's prefix, from `tile/` on.
    pub fn path(&self) -> String {
        let level = match self.content {
            Content::Hashes { level } => level.to_string(),
            Content::Entries => "entries".to_owned(),
        };
        let mut number = format!("{:03}", self.index % 1000);
        let mut rest = self.index / 1000;
        while rest > 0 {
            number = format!("x{:03}/{number}", rest % 1000);
            rest /= 1000;
        }
        let part = if self.width == WIDTH { String::new() } else { format!(".p/{}", self.width) };
        format!("tile/{level}/{number}{part}")
    }

    /// Reads a path.
    pub fn parse(path: &str) -> Option<Self> {
        let (level, rest) = path.strip_prefix("tile/")?.split_once('/')?;
        let content = match level {
            "entries" => Content::Entries,
            number => {
                let level = integer::parse(number).filter(|level| *level <= MOST_LEVEL)?;
                Content::Hashes { level: u32::try_from(level).ok()? }
            }
        };
        let (number, width) = match rest.split_once(".p/") {
            Some((number, width)) => (number, integer::parse(width).filter(|width| (1..WIDTH).contains(width))?),
            None => (rest, WIDTH),
        };
        let mut index = 0_u64;
        for part in number.split('/') {
            let digits = part.strip_prefix('x').unwrap_or(part);
            if digits.len() != 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            index = index.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
        }
        let tile = Self { content, index, width };
        (tile.path() == path).then_some(tile)
    }

    /// Indices of the first entry and of the one behind the last, for a tile of entries or of leaf hashes.
    pub fn range(&self) -> Option<(u64, u64)> {
        let start = self.index.checked_mul(WIDTH)?;
        Some((start, start.checked_add(self.width)?))
    }

    /// The hashes of a tile; `None` for entries, and where the tree does not reach.
    pub fn hashes(&self, tree: &Tree) -> Option<Vec<u8>> {
        let Content::Hashes { level } = self.content else { return None };
        let (start, end) = self.range()?;
        let mut bytes = Vec::with_capacity(usize::try_from(self.width).ok()? * 32);
        for index in start..end {
            bytes.extend_from_slice(&tree.subtree(level * HEIGHT, index)?.0);
        }
        Some(bytes)
    }
}

/// A bundle of entries: each after its length in two bytes. `None` for an entry of more than 65,535 bytes.
pub fn bundle<'a>(entries: impl IntoIterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for entry in entries {
        bytes.extend_from_slice(&u16::try_from(entry.len()).ok()?.to_be_bytes());
        bytes.extend_from_slice(entry);
    }
    Some(bytes)
}

/// The entries of a bundle; `None` when its last one is cut.
pub fn unbundle(mut bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk()?;
        let (entry, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        entries.push(entry);
        bytes = rest;
    }
    Some(entries)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Content, Tile, bundle, unbundle};
    use crate::merkle::{Tree, leaf_hash, node_hash};

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_path_round_trips(level in proptest::option::of(0..=63_u32), index in any::<u64>(), width in 1..=256_u64) {
            let content = level.map_or(Content::Entries, |level| Content::Hashes { level });
            let tile = Tile { content, index, width };
            prop_assert_eq!(Tile::parse(&tile.path()), Some(tile));
        }

        #[test]
        fn what_parses_is_spelled_as_it_was(path in "tile/(0|1|63|64|00|entries)/(x?[0-9]{3}/){0,2}x?[0-9]{3}(\\.p/[0-9]{1,3})?") {
            if let Some(tile) = Tile::parse(&path) {
                prop_assert_eq!(tile.path(), path);
            }
        }
    }

    #[test]
    fn paths_are_those_of_the_specification() {
        let tile = |content, index, width| Tile { content, index, width }.path();
        assert_eq!(tile(Content::Hashes { level: 0 }, 1_234_067, 256), "tile/0/x001/x234/067");
        assert_eq!(tile(Content::Entries, 0, 112), "tile/entries/000.p/112");
        for wrong in [
            "tile/0/67",
            "tile/0/0067",
            "tile/0/x067",
            "tile/0/001/067",
            "tile/0/x000/067",
            "tile/00/067",
            "tile/64/067",
            "tile/0/067.p/0",
            "tile/0/067.p/256",
            "tile/0/067.p/07",
            "tile/0/x184/x467/x440/x737/x095/x516/616",
            "tile/0/",
            "/tile/0/067",
            "tile/data/067",
        ] {
            assert_eq!(Tile::parse(wrong), None, "{wrong}");
        }
    }

    /// The example of the specification: a tree of 70,000 leaves.
    #[test]
    fn tiles_hold_what_the_tree_has_and_no_more() {
        let mut tree = Tree::new();
        let leaf = |index: u64| leaf_hash(&index.to_be_bytes());
        (0..70_000).for_each(|index| tree.push(leaf(index)));
        let hashes = |level, index, width| Tile { content: Content::Hashes { level }, index, width }.hashes(&tree);
        assert_eq!(hashes(0, 273, 112).expect("there")[..32], leaf(273 * 256).0);
        assert!(hashes(0, 273, 113).is_none() && hashes(0, 274, 1).is_none());
        assert_eq!(hashes(1, 0, 256).expect("there").len(), 8192);
        assert!(hashes(1, 1, 17).is_some() && hashes(1, 1, 18).is_none());
        assert!(hashes(2, 0, 1).is_some() && hashes(2, 0, 2).is_none() && hashes(3, 0, 1).is_none());
        assert!(hashes(63, 0, 1).is_none());
        // The first hash of level 1 is the root over the first full tile of level 0.
        let mut level: Vec<_> = (0..256).map(leaf).collect();
        while level.len() > 1 {
            level = level.chunks(2).map(|pair| node_hash(&pair[0], &pair[1])).collect();
        }
        assert_eq!(hashes(1, 0, 256).expect("there")[..32], level[0].0);
    }

    #[test]
    fn bundles_hold_entries_whole() {
        let entries: Vec<&[u8]> = vec![b"one", b"", b"three"];
        let bytes = bundle(entries.iter().copied()).expect("short");
        assert_eq!(bytes, b"\0\x03one\0\0\0\x05three");
        assert_eq!(unbundle(&bytes), Some(entries));
        assert_eq!(unbundle(&bytes[..bytes.len() - 1]), None);
        assert_eq!(unbundle(b"\0"), None);
        assert!(bundle([vec![0; 65_536].as_slice()]).is_none());
    }
}
