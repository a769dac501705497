//! What all parts of a ledger see: the tree, and the heads that are durable.
//!
//! **Invariant:** a head is seen here only after the transaction that stores it; the tree may be ahead of it, so every read
//! of the tree is bounded by a head's size.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use receipts::{Digest, ledger::block::CertifiedBlock, merkle::Tree};
use tokio::sync::watch;

/// A signed head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Entries.
    pub size: u64,
    /// Root of the tree.
    pub root: Digest,
    /// The signed note, with cosignatures where there are any.
    pub note: String,
}

/// The heads of the moment.
#[derive(Clone, Debug)]
pub struct Heads {
    /// Signed by the log when its last entries were stored.
    pub latest: Head,
    /// What readers get: cosigned by as many witnesses as are wanted.
    pub published: Head,
    /// The last block.
    pub block: Option<CertifiedBlock>,
    /// A lie on request, shown instead of the published head.
    pub forged: Option<Head>,
}

impl Heads {
    /// The head that readers are shown.
    pub fn shown(&self) -> &Head {
        self.forged.as_ref().unwrap_or(&self.published)
    }

    /// Height of the last block; 0 when there is none.
    pub fn height(&self) -> u64 {
        self.block.as_ref().map_or(0, |block| block.block.height.0)
    }
}

/// Tree and heads, shared.
#[derive(Debug)]
pub struct Log {
    /// The writer pushes, many read: a proof takes microseconds, and no lock is held across an await.
    pub tree: RwLock<Tree>,
    heads: watch::Sender<Heads>,
}

impl Log {
    /// A log as it was opened.
    pub fn new(tree: Tree, heads: Heads) -> Self {
        Self { tree: RwLock::new(tree), heads: watch::Sender::new(heads) }
    }

    /// The heads of the moment.
    pub fn heads(&self) -> Heads {
        self.heads.borrow().clone()
    }

    /// Follows the heads.
    pub fn follow(&self) -> watch::Receiver<Heads> {
        self.heads.subscribe()
    }

    /// Shows changed heads. Only the writer does.
    pub fn show(&self, change: impl FnOnce(&mut Heads)) {
        self.heads.send_modify(change);
    }
}

/// The tree, to read. A panic elsewhere leaves a tree whole: pushing a leaf does not panic half-way.
pub fn read(tree: &RwLock<Tree>) -> RwLockReadGuard<'_, Tree> {
    tree.read().unwrap_or_else(PoisonError::into_inner)
}

/// The tree, to change.
pub fn write(tree: &RwLock<Tree>) -> RwLockWriteGuard<'_, Tree> {
    tree.write().unwrap_or_else(PoisonError::into_inner)
}
