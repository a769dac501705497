//! The identities Anchor-Set of a home: every charter that was ever made here, in order, under a signed head.
//!
//! `guardian/identities.entries` has an entry a line, `guardian/identities.checkpoint` the head as a signed note under
//! `<node>/identities`. The tree is that of RFC 6962, as with every Anchor-Set.
//!
//! **Invariant:** entries are only added; a head is signed after the entries that it speaks of are on disk.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
};

use agent_runtime::{home::Home, signer::Signer};
use guardian::identity::IdentityEntry;
use receipts::{
    PublicKey,
    checkpoint::Checkpoint,
    integer::Decimal,
    keys::key_id,
    merkle::{Tree, leaf_hash},
};

use crate::{
    exit::{Exit, Failure},
    guardians::{Kept, cannot, replace},
};

fn entries_file(home: &Home) -> PathBuf {
    home.guardian().join("identities.entries")
}

fn head_file(home: &Home) -> PathBuf {
    home.guardian().join("identities.checkpoint")
}

/// What the set is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Set {
    /// Nothing was ever chartered.
    Empty,
    /// The signed head is that of the entries.
    Good {
        /// How many.
        size: u64,
    },
    /// It is not.
    Bad {
        /// What does not fit.
        why: &'static str,
    },
}

/// The entries, oldest first.
fn entries(home: &Home) -> Result<Vec<IdentityEntry>, Failure> {
    let path = entries_file(home);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(cannot(&path)(error)),
    };
    let entry = |line: &str| {
        IdentityEntry::parse(line).map_err(|error| {
            let what = format!("{}: {error}", path.display());
            Failure::new(Exit::Verification, what, "put the file back from a backup of the home")
        })
    };
    text.lines().map(entry).collect()
}

fn tree(entries: &[IdentityEntry]) -> Result<Tree, Failure> {
    let mut tree = Tree::new();
    for entry in entries {
        tree.push(leaf_hash(&entry.to_bytes().map_err(Failure::internal)?));
    }
    Ok(tree)
}

/// Adds a charter and signs the new head.
///
/// # Errors
/// Files that cannot be written, entries that are none.
pub fn add(home: &Home, signer: &Signer, kept: &Kept) -> Result<(), Failure> {
    let mut all = entries(home)?;
    let entry = IdentityEntry {
        charter: kept.id,
        guardian: key_id(&kept.terms.guardian),
        version: Decimal(kept.terms.version),
    };
    if !all.contains(&entry) {
        let path = entries_file(home);
        let mut line = receipts::canonical::canonical(&entry).map_err(Failure::internal)?;
        line.push(b'\n');
        let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path).map_err(cannot(&path))?;
        file.write_all(&line).and_then(|()| file.sync_all()).map_err(cannot(&path))?;
        all.push(entry);
    }
    let tree = tree(&all)?;
    let origin = format!("{}/identities", signer.node_name());
    let head = Checkpoint { origin, size: tree.size(), root: tree.root() };
    let signed = signer.sign_checkpoint(head.body().as_bytes()).map_err(Failure::internal)?;
    replace(&head_file(home), &signed)
}

/// Whether the head is signed by the log key and is that of the entries.
///
/// # Errors
/// Files that cannot be read, entries that are none.
pub fn check(home: &Home, log: Option<&PublicKey>) -> Result<Set, Failure> {
    let all = entries(home)?;
    let path = head_file(home);
    let note = match fs::read_to_string(&path) {
        Ok(note) => note,
        Err(error) if error.kind() == ErrorKind::NotFound && all.is_empty() => return Ok(Set::Empty),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Set::Bad { why: "it has no signed head" }),
        Err(error) => return Err(cannot(&path)(error)),
    };
    let Some(Ok(head)) = log.map(|log| Checkpoint::open(&note, log)) else {
        return Ok(Set::Bad { why: "its head is not signed by the log key" });
    };
    let tree = tree(&all)?;
    if (tree.size(), tree.root()) == (head.size, head.root) {
        Ok(Set::Good { size: head.size })
    } else {
        Ok(Set::Bad { why: "its head is not that of its entries" })
    }
}
