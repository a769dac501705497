//! Delegations seen before: a principal's stands under thousands of receipts, and its signature is checked once.
//!
//! **Invariant:** remembered by the digest of the file's bytes, so that a changed byte is a delegation never seen.
//! **Invariant:** only what opened is remembered.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use receipts::{
    Digest,
    delegation::{Delegation, DelegationError},
};

/// How many are remembered; beyond that it forgets all and begins anew.
const MOST: usize = 4096;

/// The memory. The lock is held for a look-up or an insertion only.
#[derive(Debug, Default)]
pub struct Delegations {
    opened: Mutex<HashMap<Digest, (Delegation, Digest)>>,
}

impl Delegations {
    /// As [`Delegation::open`].
    ///
    /// # Errors
    /// As [`Delegation::open`].
    pub fn open(&self, bytes: &[u8]) -> Result<(Delegation, Digest), DelegationError> {
        let key = Digest::of(bytes);
        if let Some(known) = self.opened.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(known.clone());
        }
        let opened = Delegation::open(bytes)?;
        let mut memory = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if memory.len() >= MOST {
            memory.clear();
        }
        memory.insert(key, opened.clone());
        Ok(opened)
    }

    #[cfg(test)]
    fn known(&self) -> usize {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

#[cfg(test)]
mod tests {
    use receipts::{
        delegation::{DelegatedBudget, DelegatedRole, Delegation},
        integer::Decimal,
        keys::SigningKey,
    };

    use super::{Delegations, MOST};

    fn file(number: u64) -> Vec<u8> {
        let (from, to) = (SigningKey::from_seed(&[1; 32]), SigningKey::from_seed(&[2; 32]));
        let most = Decimal(number);
        let delegation = Delegation {
            from: from.public(),
            to: to.public(),
            role: DelegatedRole::Principal,
            modules: vec!["*".to_owned()],
            tools: Vec::new(),
            budget: DelegatedBudget { cost_micro: most, tokens: most, tool_calls: most },
            not_before_ms: 0,
            not_after_ms: 1,
            depth: 1,
        };
        delegation.sign(&from).expect("signs").to_bytes().expect("bytes")
    }

    #[test]
    fn what_is_remembered_is_what_opening_gives() {
        let memory = Delegations::default();
        let bytes = file(1);
        let opened = Delegation::open(&bytes).expect("opens");
        for _ in 0..2 {
            assert_eq!(memory.open(&bytes).expect("opens"), opened);
        }
        assert_eq!(memory.known(), 1);
    }

    #[test]
    fn a_changed_byte_is_never_known() {
        let memory = Delegations::default();
        let bytes = file(1);
        memory.open(&bytes).expect("opens");
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(memory.open(&changed).is_err(), "byte {at}");
        }
        assert_eq!(memory.known(), 1);
    }

    #[test]
    fn it_does_not_grow_without_end() {
        let memory = Delegations::default();
        let opened = Delegation::open(&file(1)).expect("opens");
        for number in 0..MOST {
            let key = receipts::Digest::of(&number.to_be_bytes());
            memory.opened.lock().expect("a lock").insert(key, opened.clone());
        }
        memory.open(&file(2)).expect("opens");
        assert_eq!(memory.known(), 1);
    }
}
