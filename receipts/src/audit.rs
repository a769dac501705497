//! Audits: which entries of a trace are to be shown is drawn by a beacon from after acceptance, and anybody draws the same.
//!
//! `h_j = SHA-256("pob/audit/1\0" ‖ beacon[32] ‖ root[32] ‖ u64(size) ‖ u64(j))` for j = 0, 1, …; of its first 8 bytes x, the
//! most significant first, those below 2^64 − (2^64 mod size) count, and draw index x mod size. The same entry may be drawn
//! twice.
//!
//! **Invariant:** every entry is as likely as any other, at every size.
//! **Invariant:** what is shown is what was drawn: nothing less, nothing more, nothing in the place of another.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use sha2::{Digest as _, Sha256};

use crate::{
    bundle::{self, Bundle, FileKind, MULTIPROOF},
    checkpoint::Checkpoint,
    digest::{Beacon, Digest},
    entry::Disclosure,
    merkle::root_from_inclusion,
    multiproof::Multiproof,
    tlog_proof::TlogProof,
};

/// How many entries are drawn where nobody says.
pub const USUAL: u32 = 8;
/// The most entries that are drawn: 299 find 1 % bad ones with 95 %.
pub const MOST: u32 = 2048;

/// The indices drawn, in the order in which they are. None of an empty tree.
pub fn draw(beacon: &Beacon, root: &Digest, size: u64, count: u32) -> Vec<u64> {
    if size == 0 {
        return Vec::new();
    }
    // 2^64 mod size, without a number that has no room.
    let left_over = (u64::MAX % size + 1) % size;
    let drawn = (0..=u64::MAX).filter_map(|number| {
        let mut hasher = Sha256::new();
        hasher.update(b"pob/audit/1\0");
        hasher.update(beacon.0);
        hasher.update(root.0);
        hasher.update(size.to_be_bytes());
        hasher.update(number.to_be_bytes());
        let hash: [u8; 32] = hasher.finalize().into();
        let x = hash.first_chunk().map_or(0, |first| u64::from_be_bytes(*first));
        (x <= u64::MAX - left_over).then(|| x % size)
    });
    drawn.take(count as usize).collect()
}

/// How likely `count` draws hit a bad entry at least once, when `bad` of all are bad (0 to 1).
pub fn chance(bad: f64, count: u32) -> f64 {
    1.0 - (1.0 - bad).powf(f64::from(count))
}

/// How entries are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// A C2SP tlog-proof for each.
    Text,
    /// All in one file.
    Multiproof,
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "tlog-proofs",
            Self::Multiproof => MULTIPROOF,
        })
    }
}

/// Why what is shown is not what was drawn.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditFault {
    /// It was drawn and is not shown.
    #[error("missing: entry {index} was drawn and is not in the {form}")]
    Missing {
        /// The entry.
        index: u64,
        /// Where it should be.
        form: Form,
    },
    /// It is shown and was not drawn.
    #[error("extra: entry {index} is in the {form} and was not drawn")]
    Extra {
        /// The entry.
        index: u64,
        /// Where it is.
        form: Form,
    },
    /// One entry stands in the place of another.
    #[error("swapped: in the {form}, entry {shown} stands in the place of entry {place}")]
    Swapped {
        /// Which belongs there.
        place: u64,
        /// Which is there.
        shown: u64,
        /// Where.
        form: Form,
    },
    /// It is not in the tree, or opens to something else than was committed to.
    #[error("wrong: entry {index} of the {form} is not what the tree has there")]
    Wrong {
        /// The entry.
        index: u64,
        /// Where it is.
        form: Form,
    },
    /// The entries of the multiproof do not lead to the root together; which of them is at fault cannot be told.
    #[error("wrong: the entries of {MULTIPROOF} do not lead to the tree's root")]
    Root,
    /// The multiproof is of another tree.
    #[error("wrong: {MULTIPROOF} is of another tree")]
    OtherTree,
    /// A file that does not read.
    #[error("{file} does not read")]
    Unreadable {
        /// Its name.
        file: String,
    },
}

/// What an audit came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audited {
    /// What was drawn, in order; an entry may stand twice.
    pub drawn: Vec<u64>,
    /// The forms in which entries are shown.
    pub forms: Vec<Form>,
    /// All that does not hold.
    pub faults: Vec<AuditFault>,
}

impl Audited {
    /// The entries drawn, each once.
    pub fn distinct(&self) -> BTreeSet<u64> {
        self.drawn.iter().copied().collect()
    }
}

/// Holds what a bundle shows against what the beacon draws. `head` is the verified head of its tree. Entry 0 as a tlog-proof
/// stands in every bundle and is no extra one.
pub fn audit(bundle: &Bundle, head: &Checkpoint, beacon: &Beacon, count: u32) -> Audited {
    let drawn = draw(beacon, &head.root, head.size, count);
    let mut audited = Audited { drawn, forms: Vec::new(), faults: Vec::new() };
    let wanted = audited.distinct();
    let texts: BTreeMap<u64, &[u8]> = bundle
        .0
        .iter()
        .filter_map(|(name, bytes)| match bundle::kind(name) {
            Some(FileKind::Disclosure(index)) => Some((index, bytes.as_slice())),
            Some(_) | None => None,
        })
        .collect();
    let multiproof = bundle.0.get(MULTIPROOF);
    if multiproof.is_none() || texts.keys().any(|index| *index > 0) {
        audited.forms.push(Form::Text);
        let shown = texts.keys().copied().filter(|index| *index > 0 || wanted.contains(index));
        audited.faults.extend(compare(&wanted, &shown.collect(), Form::Text));
        audited.faults.extend(texts.iter().filter_map(|(index, bytes)| text_fault(*index, bytes, head)));
    }
    if let Some(bytes) = multiproof {
        audited.forms.push(Form::Multiproof);
        match Multiproof::parse(bytes) {
            Ok(proof) => {
                let shown = proof.entries.iter().map(|entry| entry.record.i.0).collect();
                audited.faults.extend(compare(&wanted, &shown, Form::Multiproof));
                audited.faults.extend(multiproof_faults(&proof, head));
            }
            Err(_spelling) => audited.faults.push(AuditFault::Unreadable { file: MULTIPROOF.to_owned() }),
        }
    }
    audited
}

fn compare(wanted: &BTreeSet<u64>, shown: &BTreeSet<u64>, form: Form) -> Vec<AuditFault> {
    let missing = wanted.difference(shown).map(|index| AuditFault::Missing { index: *index, form });
    let extra = shown.difference(wanted).map(|index| AuditFault::Extra { index: *index, form });
    missing.chain(extra).collect()
}

fn text_fault(index: u64, bytes: &[u8], head: &Checkpoint) -> Option<AuditFault> {
    let form = Form::Text;
    let unreadable = || Some(AuditFault::Unreadable { file: bundle::disclosure(index) });
    let Some(proof) = std::str::from_utf8(bytes).ok().and_then(|text| TlogProof::parse(text).ok()) else {
        return unreadable();
    };
    let Some(disclosure) = proof.extra.as_deref().and_then(Disclosure::parse) else { return unreadable() };
    let shown = disclosure.record.i.0;
    if shown != index {
        return Some(AuditFault::Swapped { place: index, shown, form });
    }
    let leaf = disclosure.record.leaf().ok()?;
    let holds = proof.index == index
        && root_from_inclusion(leaf, index, head.size, &proof.hashes) == Ok(head.root)
        && disclosure.is_true();
    (!holds).then_some(AuditFault::Wrong { index, form })
}

fn multiproof_faults(proof: &Multiproof, head: &Checkpoint) -> Vec<AuditFault> {
    if (proof.size, proof.root) != (head.size, head.root) {
        return vec![AuditFault::OtherTree];
    }
    let form = Form::Multiproof;
    if proof.leads_to() != Ok(head.root) {
        let swapped = swapped(proof, head).map(|(place, shown)| AuditFault::Swapped { place, shown, form });
        return vec![swapped.unwrap_or(AuditFault::Root)];
    }
    let lies = proof.entries.iter().filter(|entry| !entry.is_true());
    lies.map(|entry| AuditFault::Wrong { index: entry.record.i.0, form }).collect()
}

/// Two entries that lead to the root once what is said of one is said of the other.
fn swapped(proof: &Multiproof, head: &Checkpoint) -> Option<(u64, u64)> {
    // Every pair is tried, so of more entries it is not worth it.
    const MOST_TRIED: usize = 64;
    let count = proof.entries.len();
    let pairs = (0..count).flat_map(|one| (one + 1..count).map(move |other| (one, other)));
    pairs.take(if count > MOST_TRIED { 0 } else { usize::MAX }).find_map(|(one, other)| {
        let mut back = proof.clone();
        back.entries.swap(one, other);
        let (first, second) = (proof.entries.get(one)?.record.i, proof.entries.get(other)?.record.i);
        back.entries.get_mut(one)?.record.i = first;
        back.entries.get_mut(other)?.record.i = second;
        (back.leads_to() == Ok(head.root)).then_some((first.0, second.0))
    })
}
