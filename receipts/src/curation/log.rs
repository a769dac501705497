//! The log of an ingest: a header, then a line a document, each canonical JSON.
//!
//! A line has its leaf beside it, so that the line that was altered is named, and not only that one was. The header has the key
//! of all commitments: who may read the log may open them, and who deletes it closes them for good.
//!
//! **Invariant:** a log that is read to its end leads from the corpus head before to the head after, and to one tree of entries.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::entry::{Curated, KINDS, OPEN, Refused, Removed, Steps, Transform};
use crate::{
    canonical::NotCanonical,
    checkpoint::Checkpoint,
    commit::{AttemptKey, Salt, Salts, commit},
    corpus::CorpusEntry,
    digest::{Digest, PublicKey},
    entry::{Disclosure, Opening, Record},
    integer::Decimal,
    merkle::{Frontier, Passing, leaf_hash},
    presorted,
};

/// Head of a corpus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Its root.
    pub root: Digest,
    /// Its size.
    pub size: Decimal,
}

/// The head an ingest began from, with what is needed to go on from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Began {
    /// Its root.
    pub root: Digest,
    /// Roots of its complete subtrees, the largest first.
    pub roots: Vec<Digest>,
    /// Its size.
    pub size: Decimal,
}

/// The first line of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// The corpus after.
    pub after: Head,
    /// The corpus before.
    pub before: Began,
    /// When the ingest began, in milliseconds since the Unix epoch.
    pub began: Decimal,
    /// Origin of the corpus: `<node>/corpus/<collection>`.
    pub collection: String,
    /// The key of all commitments, 32 bytes.
    pub key: Digest,
    /// How documents were read, as canonical JSON; entries commit to its digest.
    pub policy: String,
    /// The revision it led to.
    pub revision: Decimal,
    /// Version of the log.
    pub v: String,
}

/// The version there is.
const VERSION: &str = "1";

impl Header {
    /// That of an ingest which began from this corpus and led to `after`. The key is 32 random bytes.
    pub fn new(before: &Frontier, after: Head, key: [u8; 32], of: Ingest) -> Self {
        let Ingest { collection, revision, policy, began_ms } = of;
        Self {
            after,
            before: Began { root: before.root(), roots: before.roots().to_vec(), size: Decimal(before.size()) },
            began: Decimal(began_ms),
            collection,
            key: Digest(key),
            policy,
            revision: Decimal(revision),
            v: VERSION.to_owned(),
        }
    }

    /// The line, with its end.
    ///
    /// # Errors
    /// None in practice.
    pub fn to_line(&self) -> Result<Vec<u8>, NotCanonical> {
        let mut line = Vec::new();
        presorted::append(&mut line, self)?;
        line.push(b'\n');
        Ok(line)
    }

    /// Reads a line without its end.
    ///
    /// # Errors
    /// [`LogError::Header`].
    pub fn parse(line: &[u8]) -> Result<Self, LogError> {
        let header: Self = presorted::read(line).map_err(|_spelling| LogError::Header)?;
        if header.v == VERSION { Ok(header) } else { Err(LogError::Header) }
    }

    /// The head before.
    pub fn before(&self) -> Checkpoint {
        Checkpoint { origin: self.collection.clone(), size: self.before.size.0, root: self.before.root }
    }

    /// The head after.
    pub fn after(&self) -> Checkpoint {
        Checkpoint { origin: self.collection.clone(), size: self.after.size.0, root: self.after.root }
    }

    /// SHA-256 of how documents were read.
    pub fn policy(&self) -> Digest {
        Digest::of(self.policy.as_bytes())
    }

    fn salts(&self) -> Salts {
        AttemptKey::new(self.key.0).salts()
    }

    fn corpus(&self) -> Option<Frontier> {
        let frontier = Frontier::of(self.before.size.0, self.before.roots.clone())?;
        (frontier.root() == self.before.root).then_some(frontier)
    }

    /// The first entry's values, of an associate.
    fn start(&self, associate: &PublicKey) -> Result<Vec<(&'static str, Vec<u8>)>, NotCanonical> {
        let head = |head: Head| {
            let mut bytes = Vec::new();
            presorted::append(&mut bytes, &head).map(|()| bytes)
        };
        Ok(vec![
            ("after", head(self.after)?),
            ("associate", associate.0.to_vec()),
            ("before", head(Head { root: self.before.root, size: self.before.size })?),
            ("collection", self.collection.clone().into_bytes()),
            ("policy", self.policy().0.to_vec()),
            ("revision", self.revision.0.to_string().into_bytes()),
        ])
    }
}

/// Which ingest a log is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ingest {
    /// Origin of the corpus.
    pub collection: String,
    /// The revision it led to.
    pub revision: u64,
    /// How documents were read, as canonical JSON.
    pub policy: String,
    /// When it began, in milliseconds since the Unix epoch.
    pub began_ms: u64,
}

/// Why a log does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// The first line is no header, or its corpus has another root than it says.
    #[error("line 1 is no header of a log, or its corpus is not what it says")]
    Header,
    /// A line is not in its one spelling, or lacks what its kind has.
    #[error("line {line} is none of a log")]
    Line {
        /// Counted from 1.
        line: u64,
    },
    /// A line does not give the leaf that stands in it.
    #[error("line {line} ({source_name}) was altered: it does not give the leaf that stands beside it")]
    Altered {
        /// Counted from 1.
        line: u64,
        /// The document.
        source_name: String,
    },
    /// The lines do not lead to the corpus that the header names.
    #[error("the lines do not lead to the corpus that the log names: one is missing, added, or of another ingest")]
    Corpus,
    /// It is the log of another ingest.
    #[error("it is the log of another ingest: it has another collection, or other heads of it")]
    OtherIngest,
    /// It is another log than the receipt is of.
    #[error("it is not the log that the receipt is of: {what}")]
    Other {
        /// What differs.
        what: &'static str,
    },
    /// A value does not encode.
    #[error(transparent)]
    Encoding(#[from] NotCanonical),
}

/// A line as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bytes: Option<Decimal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kept: Option<Digest>,
    kind: String,
    leaf: Digest,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    licence: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    media: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    read: Option<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    salt: Option<String>,
    source: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    steps: Option<Steps>,
}

impl Wire {
    fn of(transform: &Transform, leaf: Digest) -> Self {
        let empty = |source: &str| Self {
            bytes: None,
            kept: None,
            kind: transform.word().to_owned(),
            leaf,
            licence: None,
            media: None,
            read: None,
            reason: None,
            salt: None,
            source: source.to_owned(),
            steps: None,
        };
        match transform {
            Transform::Added(of) | Transform::Changed(of) => Self {
                bytes: Some(Decimal(of.bytes)),
                kept: Some(of.kept),
                licence: Some(of.licence.clone()),
                media: Some(of.media.clone()),
                read: Some(of.read),
                salt: Some(hex::encode(of.salt)),
                steps: Some(of.steps.clone()),
                ..empty(&of.source)
            },
            Transform::Removed(of) => Self {
                bytes: Some(Decimal(of.bytes)),
                media: Some(of.media.clone()),
                read: Some(of.read),
                salt: Some(hex::encode(of.salt)),
                ..empty(&of.source)
            },
            Transform::Refused(of) => Self { read: of.read, reason: Some(of.reason.clone()), ..empty(&of.source) },
        }
    }

    /// What it says; `None` where it lacks or has what its kind has not or lacks.
    fn into_transform(self) -> Option<Transform> {
        let salt = |salt: Option<String>| -> Option<Salt> {
            let (text, mut bytes) = (salt?, [0; 16]);
            hex::decode_to_slice(&text, &mut bytes).ok()?;
            // Hex has two spellings.
            (hex::encode(bytes) == text).then_some(bytes)
        };
        let Self { bytes, kept, kind, leaf: _, licence, media, read, reason, salt: hidden, source, steps } = self;
        let transform = match kind.as_str() {
            "added" | "changed" if reason.is_none() => {
                let curated = Curated {
                    source,
                    read: read?,
                    bytes: bytes?.0,
                    media: media?,
                    kept: kept?,
                    licence: licence?,
                    steps: steps?,
                    salt: salt(hidden)?,
                };
                if kind == "added" { Transform::Added(curated) } else { Transform::Changed(curated) }
            }
            "removed" if (&kept, &licence, &reason, &steps) == (&None, &None, &None, &None) => {
                let removed = Removed { source, read: read?, bytes: bytes?.0, media: media?, salt: salt(hidden)? };
                Transform::Removed(removed)
            }
            "refused"
                if (&bytes, &kept, &licence) == (&None, &None, &None)
                    && (&media, &hidden, &steps) == (&None, &None, &None) =>
            {
                Transform::Refused(Refused { source, read, reason: reason? })
            }
            _other => return None,
        };
        Some(transform)
    }
}

/// The leaf of a document's entry in the corpus; none of one that was refused.
fn corpus_leaf(transform: &Transform) -> Result<Option<Digest>, NotCanonical> {
    let (op, source, salt, doc, bytes, media) = match transform {
        Transform::Added(of) => ("add", &of.source, &of.salt, of.read, of.bytes, &of.media),
        Transform::Changed(of) => ("replace", &of.source, &of.salt, of.read, of.bytes, &of.media),
        Transform::Removed(of) => ("remove", &of.source, &of.salt, of.read, of.bytes, &of.media),
        Transform::Refused(_) => return Ok(None),
    };
    let path = commit("path", salt, source.as_bytes());
    let entry = CorpusEntry { bytes: Decimal(bytes), doc, media, op, path };
    Ok(Some(leaf_hash(&entry.to_bytes()?)))
}

/// The record of a document at an index, with its leaf and that of the corpus.
fn recorded(
    salts: &Salts,
    index: u64,
    transform: &Transform,
) -> Result<(Record, Digest, Option<Digest>), NotCanonical> {
    let corpus = corpus_leaf(transform)?;
    let record = Record::of(salts, index, Some(0), transform.kind(), transform.values(corpus)?);
    let leaf = record.leaf()?;
    Ok((record, leaf, corpus))
}

/// Writes the lines of a log behind its header.
pub struct LogWriter {
    salts: Salts,
    index: u64,
}

impl LogWriter {
    /// Behind this header.
    pub fn new(header: &Header) -> Self {
        Self { salts: header.salts(), index: 0 }
    }

    /// The next line, with its end.
    ///
    /// # Errors
    /// None in practice.
    pub fn line(&mut self, transform: &Transform) -> Result<Vec<u8>, NotCanonical> {
        self.index += 1;
        let (_record, leaf, _corpus) = recorded(&self.salts, self.index, transform)?;
        let mut line = Vec::with_capacity(512);
        presorted::append(&mut line, &Wire::of(transform, leaf))?;
        line.push(b'\n');
        Ok(line)
    }
}

/// A line that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Index of its entry.
    pub index: u64,
    /// What it says.
    pub transform: Transform,
    /// Its entry.
    pub record: Record,
}

/// Reads a log line by line, and reckons its tree and its corpus.
pub struct LogReader {
    header: Header,
    associate: PublicKey,
    salts: Salts,
    start: Record,
    tree: Frontier,
    proof: Passing,
    corpus: Frontier,
    counts: BTreeMap<String, Decimal>,
}

/// What a whole log comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reckoned {
    /// Its header.
    pub header: Header,
    /// Documents by what happened to them; all four always.
    pub counts: BTreeMap<String, Decimal>,
    /// Entries of its tree.
    pub size: u64,
    /// Their root.
    pub root: Digest,
    /// The first entry, with what every receipt opens of it.
    pub start: Disclosure,
    /// The proof of the first entry, or of the one that was asked for.
    pub proof: Vec<Digest>,
}

impl LogReader {
    /// Begins with the header, as it is bound to the key of the associate that curated.
    ///
    /// # Errors
    /// [`LogError::Header`].
    pub fn new(header: Header, associate: &PublicKey) -> Result<Self, LogError> {
        // How many entries follow is known at the end only; for the proof of the first that is no matter.
        Self::proving(header, associate, 0, 1 << 63)
    }

    /// The same, with the proof of the entry at `index` of `size` at the end, instead of the first one's.
    ///
    /// # Errors
    /// [`LogError::Header`].
    pub fn proving(header: Header, associate: &PublicKey, index: u64, size: u64) -> Result<Self, LogError> {
        let corpus = header.corpus().ok_or(LogError::Header)?;
        let salts = header.salts();
        let start = Record::of(&salts, 0, None, KINDS.start, header.start(associate)?);
        let (mut tree, mut proof) = (Frontier::new(), Passing::new(index, size));
        let leaf = start.leaf()?;
        tree.push(leaf);
        proof.push(leaf);
        let counts = super::COUNTED.iter().map(|kind| ((*kind).to_owned(), Decimal(0))).collect();
        Ok(Self { header, associate: *associate, salts, start, tree, proof, corpus, counts })
    }

    /// Takes the next line, without its end.
    ///
    /// # Errors
    /// [`LogError::Line`], [`LogError::Altered`].
    pub fn line(&mut self, line: &[u8]) -> Result<Line, LogError> {
        let index = self.tree.size();
        let wrong = || LogError::Line { line: index + 1 };
        let wire: Wire = presorted::read(line).map_err(|_spelling| wrong())?;
        let said = wire.leaf;
        let transform = wire.into_transform().ok_or_else(wrong)?;
        let (record, leaf, corpus) = recorded(&self.salts, index, &transform)?;
        if leaf != said {
            return Err(LogError::Altered { line: index + 1, source_name: transform.source().to_owned() });
        }
        self.tree.push(leaf);
        self.proof.push(leaf);
        if let Some(corpus) = corpus {
            self.corpus.push(corpus);
        }
        if let Some(count) = self.counts.get_mut(transform.word()) {
            count.0 += 1;
        }
        Ok(Line { index, transform, record })
    }

    /// A line with some of its fields opened; `None` where it has no such field.
    ///
    /// # Errors
    /// None in practice.
    pub fn disclosure(&self, line: &Line, open: &[&str]) -> Result<Option<Disclosure>, NotCanonical> {
        let mut values: BTreeMap<&str, Vec<u8>> =
            line.transform.values(corpus_leaf(&line.transform)?)?.into_iter().collect();
        let mut opened = BTreeMap::new();
        for name in open {
            let Some(value) = values.remove(name) else { return Ok(None) };
            opened.insert((*name).to_owned(), Opening { salt: self.salts.of(line.index, name), value });
        }
        Ok(Some(Disclosure { record: line.record.clone(), open: opened }))
    }

    /// The end of the log.
    ///
    /// # Errors
    /// [`LogError::Corpus`].
    pub fn finish(mut self) -> Result<Reckoned, LogError> {
        let after = self.header.after;
        if (self.corpus.size(), self.corpus.root()) != (after.size.0, after.root) {
            return Err(LogError::Corpus);
        }
        let values = vec![("after", after.root.0.to_vec()), ("outcome", b"completed".to_vec())];
        let end = Record::of(&self.salts, self.tree.size(), Some(0), KINDS.end, values).leaf()?;
        self.tree.push(end);
        self.proof.push(end);
        let values: BTreeMap<&str, Vec<u8>> = self.header.start(&self.associate)?.into_iter().collect();
        let open = OPEN.iter().filter_map(|name| {
            let value = values.get(name)?.clone();
            Some(((*name).to_owned(), Opening { salt: self.salts.of(0, name), value }))
        });
        let start = Disclosure { open: open.collect(), record: self.start };
        Ok(Reckoned {
            header: self.header,
            counts: self.counts,
            size: self.tree.size(),
            root: self.tree.root(),
            start,
            proof: self.proof.hashes(),
        })
    }
}
