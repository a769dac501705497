//! Care of keys: copies, replacements, revocations.
//!
//! **Invariant:** a key is replaced only after its public half is kept where its receipts still need it, or its
//! revocation is signed; a crash in between leaves the old key in use.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use receipts::{
    Digest, PublicKey,
    dsse::{Envelope, IN_TOTO},
    keys::{SigningKey, key_id},
    statement::Statement,
    timestamp::format_millis,
    trust::{TrustedKey, TrustedRole},
};
use serde::Serialize;
use zeroize::Zeroizing;

use super::{KeyRow, RETIRED, SignerError, SignerPlan, keyfile, link_path, list, path, retired, root};
use crate::home::Home;

/// Predicate type of a revocation.
const REVOCATION: &str = "https://ii.example/pob/revocation/v1";

/// What becomes of the old key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Old {
    /// What it signed stays good.
    Retired,
    /// What it signed is no longer believed.
    Revoked,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Revocation {
    key: PublicKey,
    name: String,
    revoked_at: String,
}

/// Keys that can be replaced. Root and log are what a home is known by, so they cannot.
fn role(name: &str) -> Option<TrustedRole> {
    match name {
        "person" => Some(TrustedRole::Person),
        "principal" => Some(TrustedRole::Principal),
        "verifier" => Some(TrustedRole::Verifier),
        "node" => Some(TrustedRole::Node),
        other => other.strip_prefix("associate-").map(|_number| TrustedRole::Associate),
    }
}

/// Puts a new key in place of one.
///
/// # Errors
/// [`SignerError::NoKey`] for one that cannot be replaced; otherwise as [`super::Signer::open`].
pub fn renew(home: &Home, plan: &SignerPlan, name: &str, old: Old, now_ms: u64) -> Result<KeyRow, SignerError> {
    let no_key = || SignerError::NoKey { name: name.to_owned() };
    let role = role(name).ok_or_else(no_key)?;
    let file = path(home, name);
    let known = keyfile::read(&file)?.ok_or_else(no_key)?.public();
    match old {
        Old::Retired => retire(home, role, known)?,
        Old::Revoked => revoke(home, plan, name, known, now_ms)?,
    }
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed).map_err(SignerError::Entropy)?;
    let key = SigningKey::from_seed(&seed);
    keyfile::replace(&file, key.to_pem().as_bytes())?;
    forget(&link_path(home, name))?;
    Ok(KeyRow { name: name.to_owned(), public: key.public(), keyid: key_id(&key.public()), here: true })
}

fn forget(file: &Path) -> Result<(), SignerError> {
    match fs::remove_file(file) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(SignerError::Io { path: file.to_owned(), source })
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn retire(home: &Home, role: TrustedRole, public: PublicKey) -> Result<(), SignerError> {
    let mut all = retired(home)?;
    if !all.iter().any(|key| key.public == public) {
        all.push(TrustedKey { role, keyid: key_id(&public), public });
    }
    let bytes = receipts::canonical::canonical(&all)?;
    keyfile::replace(&home.keys().join(RETIRED), &bytes)
}

fn revoke(home: &Home, plan: &SignerPlan, name: &str, key: PublicKey, now_ms: u64) -> Result<(), SignerError> {
    let file = home.keys().join(format!("revoked-{}.intoto.json", key_id(&key)));
    let (_, root) = root(home, plan)?;
    let root = root.ok_or_else(|| SignerError::RootAway { needed_for: file.clone() })?;
    let revoked_at = format_millis(now_ms).map_err(|error| SignerError::Delegation(error.into()))?;
    let subject: Digest = key_id(&key);
    let predicate = Revocation { key, name: name.to_owned(), revoked_at };
    let payload = Statement::about("key", subject, REVOCATION, predicate).to_bytes()?;
    keyfile::replace(&file, &Envelope::sign(IN_TOTO, payload, &[&root])?.to_bytes()?)
}

/// Copies every file of the key folder into a new folder, readable by its owner alone.
///
/// # Errors
/// A folder that exists, or a file that cannot be copied.
pub fn backup(home: &Home, to: &Path) -> Result<Vec<PathBuf>, SignerError> {
    let io_error = |path: &Path| {
        let path = path.to_owned();
        move |source| SignerError::Io { path, source }
    };
    list(home)?;
    DirBuilder::new().mode(0o700).create(to).map_err(io_error(to))?;
    let from = home.keys();
    let mut copied = Vec::new();
    for entry in fs::read_dir(&from).map_err(io_error(&from))? {
        let file = entry.map_err(io_error(&from))?.path();
        if let (true, Some(name)) = (file.is_file(), file.file_name()) {
            let bytes = Zeroizing::new(fs::read(&file).map_err(io_error(&file))?);
            let target = to.join(name);
            keyfile::write_new(&target, &bytes)?;
            copied.push(target);
        }
    }
    copied.sort();
    Ok(copied)
}
