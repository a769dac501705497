//! Nullifiers: what must be credited once only, whatever the attempt.

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::digest::{Digest, PublicKey};

/// The nullifier of a module of a run under a root key, on a network, for a class of benefit.
pub fn nullifier(network: &Digest, class: &str, root: &PublicKey, run: Uuid, module: Uuid) -> Digest {
    let mut hasher = Sha256::new();
    hasher.update(b"pob/nullifier/1\0");
    hasher.update(network.0);
    hasher.update([u8::try_from(class.len()).unwrap_or(u8::MAX)]);
    hasher.update(class.as_bytes());
    hasher.update(root.0);
    hasher.update(run.as_bytes());
    hasher.update(module.as_bytes());
    Digest(hasher.finalize().into())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::nullifier;
    use crate::{Digest, PublicKey};

    /// Computed with Python's hashlib from the definition, not with this code.
    #[test]
    fn known_answer() {
        let network = Digest::of(b"ii dev network 1");
        let found =
            nullifier(&network, "Agent-Orchestration", &PublicKey([7; 32]), Uuid::from_u128(1), Uuid::from_u128(2));
        assert_eq!(found.to_string(), "4be6513310efa7fa4cd938576aea73a723a89c1f6c16a1c43bf212cc9cd3ac61");
    }
}
