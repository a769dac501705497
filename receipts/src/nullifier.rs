//! Nullifiers: what must be credited once only, whatever the attempt.
//!
//! The class stands in each, so that two classes never share one.

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::{
    checkpoint::Checkpoint,
    class::BenefitClass,
    digest::{Digest, PublicKey},
};

/// The nullifier of a module of a run under a root key, on a network.
pub fn nullifier(network: &Digest, root: &PublicKey, run: Uuid, module: Uuid) -> Digest {
    of(network, BenefitClass::AgentOrchestration, root, [run.into_bytes(), module.into_bytes()].as_flattened())
}

/// The nullifier of what an ingest made of a collection under a root key, on a network: of the head that it began from,
/// and not of where it led. A corpus only grows, so an honest home goes on from each head once; taking the same folder in
/// again after a backup was restored, or after the collection was deleted, begins from a head that was gone on from, and
/// gives roots of its own, since the salts in them are drawn anew.
pub fn curation_nullifier(network: &Digest, root: &PublicKey, before: &Checkpoint) -> Digest {
    let mut state = Sha256::new();
    state.update(b"pob/collection/1\0");
    state.update((before.origin.len() as u64).to_be_bytes());
    state.update(before.origin.as_bytes());
    state.update(before.size.to_be_bytes());
    state.update(before.root.0);
    of(network, BenefitClass::DataCuration, root, &state.finalize())
}

fn of(network: &Digest, class: BenefitClass, root: &PublicKey, what: &[u8]) -> Digest {
    let class = class.as_str();
    let mut hasher = Sha256::new();
    hasher.update(b"pob/nullifier/1\0");
    hasher.update(network.0);
    hasher.update([u8::try_from(class.len()).unwrap_or(u8::MAX)]);
    hasher.update(class.as_bytes());
    hasher.update(root.0);
    hasher.update(what);
    Digest(hasher.finalize().into())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::{curation_nullifier, nullifier};
    use crate::{Digest, PublicKey, checkpoint::Checkpoint};

    /// Computed with Python's hashlib from the definition, not with this code.
    #[test]
    fn known_answer() {
        let network = Digest::of(b"ii dev network 1");
        let found = nullifier(&network, &PublicKey([7; 32]), Uuid::from_u128(1), Uuid::from_u128(2));
        assert_eq!(found.to_string(), "4be6513310efa7fa4cd938576aea73a723a89c1f6c16a1c43bf212cc9cd3ac61");
    }

    /// Computed with Python's hashlib from the definition, not with this code.
    #[test]
    fn that_of_a_curation_is_of_the_head_it_began_from() {
        let network = Digest::of(b"ii dev network 1");
        let origin = "ii-0123456789abcdef/corpus/00112233445566aa".to_owned();
        let before = Checkpoint { origin, size: 7, root: Digest([9; 32]) };
        let found = |before: &Checkpoint| curation_nullifier(&network, &PublicKey([7; 32]), before).to_string();
        assert_eq!(found(&before), "a2a62558228066d167444b51f6ebc7e9af0e7cab4b18eb1511929437f6d43c4b");
        assert_ne!(found(&before), found(&Checkpoint { size: 8, ..before.clone() }));
        assert_ne!(found(&before), found(&Checkpoint { origin: before.origin[1..].to_owned(), ..before.clone() }));
    }
}
