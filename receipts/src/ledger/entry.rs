//! Entries of a ledger's log: which receipt, which nullifier, which class of benefit; 36 bytes and more, nothing private.
//!
//! **Invariant:** bytes that parse are exactly those that are written for what was read.

use std::collections::BTreeMap;

pub use crate::class::BenefitClass;
use crate::{digest::Digest, integer::Decimal, merkle::leaf_hash};

const PREFIX: &[u8; 12] = b"pob/entry/1\n";

/// Entries by class, all classes always.
pub fn counts(of: impl Fn(BenefitClass) -> u64) -> BTreeMap<String, Decimal> {
    BenefitClass::ALL.iter().map(|class| (class.as_str().to_owned(), Decimal(of(*class)))).collect()
}

/// An entry of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Id of the receipt.
    pub receipt: Digest,
    /// What is credited.
    pub nullifier: Digest,
    /// For what.
    pub class: BenefitClass,
}

impl LogEntry {
    /// The bytes of the entry: `"pob/entry/1\n" ‖ receipt[32] ‖ nullifier[32] ‖ class`.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = PREFIX.to_vec();
        bytes.extend_from_slice(&self.receipt.0);
        bytes.extend_from_slice(&self.nullifier.0);
        bytes.extend_from_slice(self.class.as_str().as_bytes());
        bytes
    }

    /// Reads an entry.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(PREFIX)?;
        let (receipt, rest) = rest.split_first_chunk()?;
        let (nullifier, class) = rest.split_first_chunk()?;
        let class = BenefitClass::parse(std::str::from_utf8(class).ok()?)?;
        Some(Self { receipt: Digest(*receipt), nullifier: Digest(*nullifier), class })
    }

    /// Its leaf in the log's tree.
    pub fn leaf(&self) -> Digest {
        leaf_hash(&self.to_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::{BenefitClass, LogEntry};
    use crate::digest::Digest;

    #[test]
    fn bytes_are_as_the_format_has_them_and_no_others_parse() {
        for class in BenefitClass::ALL {
            let entry = LogEntry { receipt: Digest([1; 32]), nullifier: Digest([2; 32]), class: *class };
            let bytes = entry.to_bytes();
            let wanted = [b"pob/entry/1\n".as_slice(), &[1; 32], &[2; 32], class.as_str().as_bytes()].concat();
            assert_eq!(bytes, wanted);
            assert_eq!(LogEntry::parse(&bytes), Some(entry));
            assert_eq!(LogEntry::parse(&bytes[..bytes.len() - 1]), None);
            assert_eq!(LogEntry::parse(&[&bytes[..], b" "].concat()), None);
            assert_eq!(LogEntry::parse(&bytes[1..]), None);
        }
        assert_eq!(LogEntry::parse(&[b"pob/entry/1\n".as_slice(), &[0; 64]].concat()), None);
    }
}
