//! A trace: the entries of one attempt as a Merkle tree.
//!
//! **Invariant:** a trace begins with `module_start` and ends with `module_end`, each once; every other entry hangs under
//! an earlier one.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    canonical::NotCanonical,
    commit::{AttemptKey, commit},
    digest::Digest,
    entry::{COUNTED, Disclosure, Entry, LONGEST, Opening, Record},
    integer::Decimal,
    merkle::{Tree, leaf_hash},
    multiproof::Multiproof,
    tlog_proof::TlogProof,
};

/// An entry and what it hangs under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceEntry {
    /// What happened.
    pub entry: Entry,
    /// Index of the entry it belongs under; none for the first alone.
    pub parent: Option<u64>,
}

/// Why entries are no trace.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TraceError {
    /// It does not begin with `module_start` and end with `module_end`.
    #[error("a trace begins with module_start and ends with module_end, each once")]
    Ends,
    /// An entry hangs under none, itself or a later one.
    #[error("entry {index} hangs under no earlier entry")]
    Parent {
        /// The entry.
        index: u64,
    },
    /// An entry is too long.
    #[error("entry {index} has {bytes} bytes")]
    TooLong {
        /// The entry.
        index: u64,
        /// Its length.
        bytes: usize,
    },
    /// A record does not encode.
    #[error(transparent)]
    Encoding(#[from] NotCanonical),
}

/// The entries of one attempt.
#[derive(Clone, Debug)]
pub struct Trace {
    key: AttemptKey,
    entries: Vec<Entry>,
    records: Vec<Record>,
    tree: Tree,
}

impl Trace {
    /// Builds the tree.
    ///
    /// # Errors
    /// [`TraceError`].
    pub fn new(key: &AttemptKey, entries: Vec<TraceEntry>) -> Result<Self, TraceError> {
        let is_start = |entry: &TraceEntry| matches!(entry.entry, Entry::ModuleStart { .. });
        let is_end = |entry: &TraceEntry| matches!(entry.entry, Entry::ModuleEnd { .. });
        let ends = entries.first().is_some_and(is_start)
            && entries.last().is_some_and(is_end)
            && entries.iter().filter(|entry| is_start(entry) || is_end(entry)).count() == 2;
        if !ends {
            return Err(TraceError::Ends);
        }
        let mut trace = Self { key: key.clone(), entries: Vec::new(), records: Vec::new(), tree: Tree::new() };
        let salts = key.salts();
        for (TraceEntry { entry, parent }, index) in entries.into_iter().zip(0_u64..) {
            let fits = match parent {
                None => index == 0,
                Some(parent) => parent < index,
            };
            if !fits {
                return Err(TraceError::Parent { index });
            }
            let record = Record::new(&salts, index, parent, &entry);
            let bytes = record.to_entry()?;
            if bytes.len() > LONGEST {
                return Err(TraceError::TooLong { index, bytes: bytes.len() });
            }
            trace.tree.push(leaf_hash(&bytes));
            trace.entries.push(entry);
            trace.records.push(record);
        }
        Ok(trace)
    }

    /// Entries in it.
    pub fn size(&self) -> u64 {
        self.tree.size()
    }

    /// The tree's root.
    pub fn root(&self) -> Digest {
        self.tree.root()
    }

    /// The record at an index.
    pub fn record(&self, index: u64) -> Option<&Record> {
        usize::try_from(index).ok().and_then(|index| self.records.get(index))
    }

    /// What happened, in order, in the clear.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Whether the entry at `index` commits to this value of a field.
    pub fn commits(&self, index: u64, field: &str, value: &[u8]) -> bool {
        let committed = self.record(index).and_then(|record| record.fields.get(field));
        committed == Some(&commit(field, &self.key.salt(index, field), value))
    }

    /// The trace that this would be with other entries at some places.
    ///
    /// # Errors
    /// [`TraceError`].
    pub fn with(&self, others: &BTreeMap<u64, Entry>) -> Result<Self, TraceError> {
        let entries = self.entries.iter().zip(&self.records).zip(0_u64..).map(|((entry, record), index)| TraceEntry {
            entry: others.get(&index).unwrap_or(entry).clone(),
            parent: record.parent.map(|Decimal(parent)| parent),
        });
        Self::new(&self.key, entries.collect())
    }

    /// Index of the first entry that `wanted` picks.
    pub fn find(&self, wanted: impl Fn(&Entry) -> bool) -> Option<u64> {
        self.entries.iter().position(wanted).map(|index| index as u64)
    }

    /// How many entries of each counted kind; all seven always.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        let mut counts: BTreeMap<String, u64> = COUNTED.iter().map(|kind| ((*kind).to_owned(), 0)).collect();
        for entry in &self.entries {
            if let Some(count) = counts.get_mut(entry.kind()) {
                *count += 1;
            }
        }
        counts
    }

    /// The proof of one entry with some of its fields opened, under a signed checkpoint of this tree.
    ///
    /// # Errors
    /// None in practice. `None`: no such entry or field.
    pub fn disclose(&self, index: u64, open: &[&str], checkpoint: &str) -> Result<Option<TlogProof>, NotCanonical> {
        let at = usize::try_from(index).unwrap_or(usize::MAX);
        let (Some(entry), Some(record), Some(hashes)) =
            (self.entries.get(at), self.records.get(at), self.tree.inclusion(index))
        else {
            return Ok(None);
        };
        let mut values: BTreeMap<&str, Vec<u8>> = entry.values().into_iter().collect();
        let mut opened = BTreeMap::new();
        for name in open {
            let Some(value) = values.remove(name) else { return Ok(None) };
            opened.insert((*name).to_owned(), Opening { salt: self.key.salt(index, name), value });
        }
        let extra = Disclosure { record: record.clone(), open: opened }.to_extra()?;
        Ok(Some(TlogProof { extra: Some(extra), index, hashes, checkpoint: checkpoint.to_owned() }))
    }

    /// The names of an entry's fields; `None`: no such entry.
    pub fn fields(&self, index: u64) -> Option<Vec<&'static str>> {
        let entry = self.entries.get(usize::try_from(index).ok()?)?;
        Some(entry.values().into_iter().map(|(name, _value)| name).collect())
    }

    /// Several entries under one proof, of each the fields opened that `open` picks. `None`: none, or not all are there.
    pub fn disclose_all(&self, indices: &BTreeSet<u64>, open: &dyn Fn(&str) -> bool) -> Option<Multiproof> {
        let hashes = self.tree.inclusion_of(indices)?;
        let mut entries = Vec::with_capacity(indices.len());
        for index in indices {
            let at = usize::try_from(*index).ok()?;
            let values = self.entries.get(at)?.values().into_iter().filter(|(name, _value)| open(name));
            let opened = values
                .map(|(name, value)| (name.to_owned(), Opening { salt: self.key.salt(*index, name), value }))
                .collect();
            entries.push(Disclosure { record: self.records.get(at)?.clone(), open: opened });
        }
        Some(Multiproof { size: self.size(), root: self.root(), entries, hashes })
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::{Trace, TraceEntry, TraceError};
    use crate::{
        Digest, PublicKey,
        commit::AttemptKey,
        entry::{Disclosure, Entry},
        merkle::root_from_inclusion,
    };

    fn entries() -> Vec<TraceEntry> {
        let start = Entry::ModuleStart {
            run: Uuid::from_u128(1),
            module: Uuid::from_u128(2),
            attempt: 1,
            epoch: 4,
            spec: b"{}".to_vec(),
            associate: PublicKey([5; 32]),
            policy: Digest::of(b"p"),
        };
        let deliverable = Digest::of(b"d");
        vec![
            TraceEntry { entry: start, parent: None },
            TraceEntry { entry: Entry::Output { deliverable }, parent: Some(0) },
            TraceEntry { entry: Entry::ModuleEnd { outcome: "completed".to_owned(), deliverable }, parent: Some(0) },
        ]
    }

    #[test]
    fn a_disclosed_entry_leads_to_the_root_and_opens_what_was_asked() {
        let trace = Trace::new(&AttemptKey::new([9; 32]), entries()).expect("a trace");
        let proof = trace.disclose(1, &["deliverable"], "c\n").expect("encodes").expect("is there");
        let disclosure = Disclosure::parse(proof.extra.as_deref().expect("extra")).expect("parses");
        assert!(disclosure.is_true());
        let leaf = disclosure.record.leaf().expect("a leaf");
        assert_eq!(root_from_inclusion(leaf, 1, trace.size(), &proof.hashes), Ok(trace.root()));
        let mut lied = disclosure.clone();
        lied.open.get_mut("deliverable").expect("open").value[0] ^= 1;
        assert!(!lied.is_true());
        assert_eq!(trace.disclose(1, &["nothing"], "c\n"), Ok(None));
        assert_eq!(trace.disclose(3, &[], "c\n"), Ok(None));
        assert_eq!(trace.counts().values().sum::<u64>() + 2, trace.size());
    }

    #[test]
    fn another_entry_gives_another_root_and_the_old_one_gives_the_old_root_back() {
        let trace = Trace::new(&AttemptKey::new([9; 32]), entries()).expect("a trace");
        let (right, wrong) = (Digest::of(b"d"), Digest::of(b"e"));
        assert!(trace.commits(1, "deliverable", &right.0));
        for (index, field, value) in
            [(1, "deliverable", wrong), (2, "outcome", right), (1, "no", right), (9, "no", right)]
        {
            assert!(!trace.commits(index, field, &value.0), "{index} {field}");
        }
        let with =
            |trace: &Trace, deliverable| trace.with(&[(1, Entry::Output { deliverable })].into()).expect("a trace");
        let other = with(&trace, wrong);
        assert!(other.root() != trace.root() && other.commits(1, "deliverable", &wrong.0));
        assert_eq!(with(&other, right).root(), trace.root());
    }

    #[test]
    fn what_is_no_trace_is_refused() {
        let key = AttemptKey::new([9; 32]);
        assert!(matches!(Trace::new(&key, Vec::new()), Err(TraceError::Ends)));
        assert!(matches!(Trace::new(&key, entries()[..2].to_vec()), Err(TraceError::Ends)));
        let mut twice = entries();
        twice.insert(1, TraceEntry { parent: Some(0), ..twice[0].clone() });
        assert!(matches!(Trace::new(&key, twice), Err(TraceError::Ends)));
        for parent in [None, Some(1), Some(7)] {
            let mut loose = entries();
            loose[1].parent = parent;
            assert!(matches!(Trace::new(&key, loose), Err(TraceError::Parent { index: 1 })));
        }
        let mut rooted = entries();
        rooted[0].parent = Some(0);
        assert!(matches!(Trace::new(&key, rooted), Err(TraceError::Parent { index: 0 })));
    }
}
