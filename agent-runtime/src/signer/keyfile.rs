//! Key files: PKCS#8 PEM, mode 0600, written whole or not at all.
//!
//! **Invariant:** the only code of the project that reads a private key from disk.
//! **Invariant:** a key that others on the machine can read is refused.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use receipts::{PublicKey, keys::SigningKey};
use zeroize::Zeroizing;

use super::SignerError;

fn io_error(path: &Path, source: io::Error) -> SignerError {
    SignerError::Io { path: path.to_owned(), source }
}

/// The key in a file; `None` when there is no file.
pub(super) fn read(path: &Path) -> Result<Option<SigningKey>, SignerError> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error(path, error)),
    };
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(SignerError::OpenToOthers { path: path.to_owned(), mode });
    }
    let text = Zeroizing::new(fs::read_to_string(path).map_err(|error| io_error(path, error))?);
    let key = SigningKey::from_pem(&text).map_err(|_other| SignerError::NotAKey { path: path.to_owned() })?;
    Ok(Some(key))
}

/// The key in a file, making one when there is none. Of two programs that do so at once, both get the same key.
pub(super) fn read_or_make(path: &Path) -> Result<SigningKey, SignerError> {
    if let Some(key) = read(path)? {
        return Ok(key);
    }
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed).map_err(SignerError::Entropy)?;
    write_new(path, SigningKey::from_seed(&seed).to_pem().as_bytes())?;
    read(path)?.ok_or_else(|| SignerError::NotAKey { path: path.to_owned() })
}

/// Writes a file of mode 0600 unless there is one: content first, under another name, then the name.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), SignerError> {
    let staged = staged(path)?;
    write(&staged, bytes)?;
    let linked = fs::hard_link(&staged, path);
    fs::remove_file(&staged).map_err(|error| io_error(&staged, error))?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(io_error(path, error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes a file of mode 0600 in place of any other.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), SignerError> {
    let staged = staged(path)?;
    write(&staged, bytes)?;
    fs::rename(&staged, path).map_err(|error| io_error(path, error))
}

fn staged(path: &Path) -> Result<PathBuf, SignerError> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(SignerError::Entropy)?;
    Ok(path.with_extension(format!("new-{:016x}", u64::from_be_bytes(random))))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), SignerError> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|error| io_error(path, error))
}

/// A public key in its one-line file; `None` when there is no file.
pub(super) fn read_public(path: &Path) -> Result<Option<PublicKey>, SignerError> {
    match fs::read_to_string(path) {
        Ok(text) => match text.trim().parse() {
            Ok(key) => Ok(Some(key)),
            Err(_not_hex) => Err(SignerError::NotAKey { path: path.to_owned() }),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_error(path, error)),
    }
}
