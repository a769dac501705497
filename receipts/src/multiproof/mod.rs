//! Several disclosed entries of a trace under one proof, as a file: `audit.multiproof`. Each inner node stands in it once.
//!
//! Integers have the most significant byte first:
//! `"pob/multiproof/1\n" ‖ u64 size ‖ root[32] ‖ u32 entries ‖ entry… ‖ hash[32]…`, where an entry is
//! `u64 index ‖ u8 kind ‖ u64 parent (none for index 0) ‖ commitment[32] of each field, by name ‖ u8 opened ‖ opened…` and an
//! opened field `u8 place among the fields ‖ salt[16] ‖ u32 length ‖ value`.
//!
//! A kind's number is its place, from 1, in `KINDS` of [`entry`](crate::entry), where new ones come last.
//!
//! **Invariant:** bytes that parse are, byte for byte, what their own values would be written as.
//! **Invariant:** entries and opened fields stand in their order, each once; hashes are as many as the entries need.

mod tree;

pub use tree::{MultiproofError, hashes_needed, root_from};

use std::collections::BTreeMap;

use crate::{
    commit::Salt,
    digest::Digest,
    entry::{Disclosure, KINDS, LONGEST, Opening, Record, fields_of},
    integer::Decimal,
};

const HEADER: &[u8] = b"pob/multiproof/1\n";
/// The most entries of one file.
pub const MOST_ENTRIES: usize = 4096;

/// Entries of a trace and what leads from them to its root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Multiproof {
    /// Entries of the tree.
    pub size: u64,
    /// Its root.
    pub root: Digest,
    /// The entries shown, by their indices.
    pub entries: Vec<Disclosure>,
    /// Roots of the subtrees that hold none of them, from left to right.
    pub hashes: Vec<Digest>,
}

/// The bytes are not entries under a proof in their one spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a multiproof in its one spelling")]
pub struct NotAMultiproof;

impl Multiproof {
    /// The root that entries and hashes lead to: whoever checks compares it with a signed one.
    ///
    /// # Errors
    /// [`MultiproofError`].
    pub fn leads_to(&self) -> Result<Digest, MultiproofError> {
        let leaf = |entry: &Disclosure| Some((entry.record.i.0, entry.record.leaf().ok()?));
        let leaves: Option<Vec<_>> = self.entries.iter().map(leaf).collect();
        // A record holds only text, which encodes.
        root_from(&leaves.unwrap_or_default(), self.size, &self.hashes)
    }

    /// The file.
    ///
    /// # Errors
    /// [`NotAMultiproof`] for records of no trace, and for entries or hashes that are not as many or not in the order in which
    /// they are read.
    pub fn to_bytes(&self) -> Result<Vec<u8>, NotAMultiproof> {
        let mut bytes = HEADER.to_vec();
        bytes.extend_from_slice(&self.size.to_be_bytes());
        bytes.extend_from_slice(&self.root.0);
        bytes.extend_from_slice(&length(self.entries.len())?);
        for entry in &self.entries {
            write_entry(&mut bytes, entry)?;
        }
        for hash in &self.hashes {
            bytes.extend_from_slice(&hash.0);
        }
        self.counted().map(|()| bytes)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`NotAMultiproof`].
    pub fn parse(bytes: &[u8]) -> Result<Self, NotAMultiproof> {
        let mut rest = Rest(bytes.strip_prefix(HEADER).ok_or(NotAMultiproof)?);
        let (size, root) = (rest.u64()?, Digest(rest.take()?));
        let count = rest.u32()?;
        if count > MOST_ENTRIES {
            return Err(NotAMultiproof);
        }
        let mut entries = Vec::new();
        for _entry in 0..count {
            entries.push(read_entry(&mut rest)?);
        }
        let mut hashes = Vec::new();
        while !rest.0.is_empty() {
            hashes.push(Digest(rest.take()?));
        }
        let proof = Self { size, root, entries, hashes };
        proof.counted().map(|()| proof)
    }

    /// Whether entries are in order and the hashes as many as they need.
    fn counted(&self) -> Result<(), NotAMultiproof> {
        let indices = self.entries.iter().map(|entry| entry.record.i.0);
        let needed = hashes_needed(indices, self.size).map_err(|_order| NotAMultiproof)?;
        let few = self.entries.len() <= MOST_ENTRIES;
        if needed == self.hashes.len() && few { Ok(()) } else { Err(NotAMultiproof) }
    }
}

fn length(length: usize) -> Result<[u8; 4], NotAMultiproof> {
    u32::try_from(length).map(u32::to_be_bytes).map_err(|_huge| NotAMultiproof)
}

fn write_entry(bytes: &mut Vec<u8>, entry: &Disclosure) -> Result<(), NotAMultiproof> {
    let Disclosure { record, open } = entry;
    let names = fields_of(&record.kind).ok_or(NotAMultiproof)?;
    let kind = (1_u8..).zip(KINDS).find(|(_number, kind)| *kind == record.kind).ok_or(NotAMultiproof)?.0;
    if record.v != "1" || !record.fields.keys().map(String::as_str).eq(names.iter().copied()) {
        return Err(NotAMultiproof);
    }
    bytes.extend_from_slice(&record.i.0.to_be_bytes());
    bytes.push(kind);
    match record.parent {
        None if record.i.0 == 0 => {}
        Some(parent) if record.i.0 > 0 => bytes.extend_from_slice(&parent.0.to_be_bytes()),
        Some(_) | None => return Err(NotAMultiproof),
    }
    for commitment in record.fields.values() {
        bytes.extend_from_slice(&commitment.0);
    }
    bytes.push(u8::try_from(open.len()).map_err(|_many| NotAMultiproof)?);
    for (name, opening) in open {
        let place = (0_u8..).zip(names).find(|(_place, field)| *field == name).ok_or(NotAMultiproof)?.0;
        bytes.push(place);
        bytes.extend_from_slice(&opening.salt);
        if opening.value.len() > LONGEST {
            return Err(NotAMultiproof);
        }
        bytes.extend_from_slice(&length(opening.value.len())?);
        bytes.extend_from_slice(&opening.value);
    }
    Ok(())
}

fn read_entry(rest: &mut Rest<'_>) -> Result<Disclosure, NotAMultiproof> {
    let index = rest.u64()?;
    let number = usize::from(rest.u8()?);
    let kind = number.checked_sub(1).and_then(|place| KINDS.get(place)).ok_or(NotAMultiproof)?;
    let names = fields_of(kind).ok_or(NotAMultiproof)?;
    let parent = if index == 0 { None } else { Some(Decimal(rest.u64()?)) };
    let mut fields = BTreeMap::new();
    for name in names {
        fields.insert((*name).to_owned(), Digest(rest.take()?));
    }
    let mut open = BTreeMap::new();
    let (mut before, opened) = (None, rest.u8()?);
    for _field in 0..opened {
        let place = rest.u8()?;
        let name = names.get(usize::from(place)).filter(|_name| before < Some(place)).ok_or(NotAMultiproof)?;
        before = Some(place);
        let salt: Salt = rest.take()?;
        let length = rest.u32()?;
        if length > LONGEST {
            return Err(NotAMultiproof);
        }
        open.insert((*name).to_owned(), Opening { salt, value: rest.bytes(length)?.to_vec() });
    }
    let record = Record { fields, i: Decimal(index), kind: (*kind).to_owned(), parent, v: "1".to_owned() };
    Ok(Disclosure { record, open })
}

/// What is not read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn bytes(&mut self, length: usize) -> Result<&'a [u8], NotAMultiproof> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(NotAMultiproof)?;
        self.0 = rest;
        Ok(taken)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], NotAMultiproof> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(NotAMultiproof)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn u8(&mut self) -> Result<u8, NotAMultiproof> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn u32(&mut self) -> Result<usize, NotAMultiproof> {
        usize::try_from(u32::from_be_bytes(self.take()?)).map_err(|_small| NotAMultiproof)
    }

    fn u64(&mut self) -> Result<u64, NotAMultiproof> {
        self.take().map(u64::from_be_bytes)
    }
}
