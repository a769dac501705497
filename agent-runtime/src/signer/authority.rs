//! The chain of authority as files: root to principal, root to person, principal to each associate.

use std::path::Path;

use receipts::{
    Digest, PublicKey,
    delegation::{DelegatedBudget, DelegatedRole, Delegation},
    integer::Decimal,
    keys::SigningKey,
};

use super::{SignerError, keyfile};

const DAY_MS: u64 = 86_400_000;
/// How long principal and associate delegations hold.
const TERM_MS: u64 = 400 * DAY_MS;
/// How long the person's delegation holds: a day, and a day's grace for a run that lasts past midnight.
const PERSON_TERM_MS: u64 = 2 * DAY_MS;

/// A signed delegation.
#[derive(Debug, Clone)]
pub(super) struct Link {
    /// SHA-256 of what is signed.
    pub id: Digest,
    /// The file's bytes.
    pub bytes: Vec<u8>,
}

/// Who gives what to whom.
pub(super) struct Grant<'a> {
    pub from: PublicKey,
    pub to: PublicKey,
    pub role: DelegatedRole,
    pub file: &'a Path,
}

fn term(role: DelegatedRole) -> (u64, u64) {
    match role {
        DelegatedRole::Person => (PERSON_TERM_MS, DAY_MS),
        DelegatedRole::Principal | DelegatedRole::Associate => (TERM_MS, 30 * DAY_MS),
    }
}

/// The delegation in the file while it holds long enough, else a new one. A new one begins where the old one did: the
/// key was delegated all along, and a run that began before the renewal is still covered.
pub(super) fn link(grant: &Grant<'_>, key: Option<&SigningKey>, now_ms: u64) -> Result<Link, SignerError> {
    let (term, spare) = term(grant.role);
    let mut begins = now_ms;
    if let Some(bytes) = read(grant.file)?
        && let Ok((known, id)) = Delegation::open(&bytes)
        && known.from == grant.from
        && known.to == grant.to
        && known.role == grant.role
    {
        if known.not_before_ms <= now_ms && now_ms.saturating_add(spare) <= known.not_after_ms {
            return Ok(Link { id, bytes });
        }
        begins = known.not_before_ms.min(now_ms);
    }
    let Some(key) = key else { return Err(SignerError::RootAway { needed_for: grant.file.to_owned() }) };
    let depth = match grant.role {
        DelegatedRole::Principal => 1,
        DelegatedRole::Person | DelegatedRole::Associate => 0,
    };
    let most = Decimal(u64::MAX);
    let delegation = Delegation {
        from: grant.from,
        to: grant.to,
        role: grant.role,
        modules: vec!["*".to_owned()],
        tools: vec!["*".to_owned()],
        budget: DelegatedBudget { cost_micro: most, tokens: most, tool_calls: most },
        not_before_ms: begins,
        not_after_ms: now_ms.saturating_add(term),
        depth,
    };
    let envelope = delegation.sign(key)?;
    let bytes = envelope.to_bytes()?;
    keyfile::replace(grant.file, &bytes)?;
    Ok(Link { id: envelope.id(), bytes })
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, SignerError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(SignerError::Io { path: path.to_owned(), source }),
    }
}
