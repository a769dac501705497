//! Private keys of the ledger and of a witness: PKCS#8 PEM files of mode 0600, made on first start.
//!
//! **Invariant:** the only code of this crate that reads or holds a private key; others get signatures.
//! **Invariant:** a key file that others on the machine can read is refused, and a key is never made in its place.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use receipts::{
    PublicKey,
    checkpoint::Checkpoint,
    cosignature::Cosigner,
    keys::SigningKey,
    ledger::block::{Block, CertifiedBlock},
};
use zeroize::Zeroizing;

/// Validators of a ledger of one operator: the fewest of which one may fail.
pub const VALIDATORS: usize = 4;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("cannot read or write key file {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others on the machine can read it.
    #[error("key file {path} is open to others (mode {mode:o}); run `chmod 600` on it")]
    OpenToOthers {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It holds no key.
    #[error("{path} holds no Ed25519 private key in PKCS#8 PEM form")]
    NotAKey {
        /// The file.
        path: PathBuf,
    },
    /// The system gave no randomness.
    #[error("no randomness for a new key: {0}")]
    Entropy(getrandom::Error),
}

/// The keys of a ledger.
pub struct LedgerKeys {
    log: SigningKey,
    validators: Vec<SigningKey>,
}

impl LedgerKeys {
    /// The keys in a folder; those that are missing are made.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn open(folder: &Path) -> Result<Self, KeyError> {
        let log = read_or_make(&folder.join("log.pem"))?;
        let validators = (1..=VALIDATORS).map(|number| read_or_make(&folder.join(format!("validator-{number}.pem"))));
        Ok(Self { log, validators: validators.collect::<Result<_, _>>()? })
    }

    /// The log's key.
    pub fn log(&self) -> PublicKey {
        self.log.public()
    }

    /// The validators' keys.
    pub fn validators(&self) -> Vec<PublicKey> {
        self.validators.iter().map(SigningKey::public).collect()
    }

    /// A head, signed by the log.
    pub fn sign(&self, head: &Checkpoint) -> String {
        head.sign(&self.log)
    }

    /// A block with every validator's vote.
    pub fn certify(&self, block: Block) -> CertifiedBlock {
        CertifiedBlock { certificate: self.validators.iter().map(|key| block.vote(key)).collect(), block }
    }
}

/// The key of a witness.
pub struct WitnessKey {
    key: SigningKey,
    cosigner: Cosigner,
}

impl WitnessKey {
    /// The key in a folder; a new one when there is none.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn open(folder: &Path) -> Result<Self, KeyError> {
        let key = read_or_make(&folder.join("witness.pem"))?;
        Ok(Self { cosigner: Cosigner::of(key.public()), key })
    }

    /// Its name and public key.
    pub fn cosigner(&self) -> &Cosigner {
        &self.cosigner
    }

    /// The line that cosigns a checkpoint's body at `time`, in seconds since the Unix epoch.
    pub fn cosign(&self, body: &str, time: u64) -> String {
        self.cosigner.cosign(body, time, &self.key)
    }
}

fn read_or_make(path: &Path) -> Result<SigningKey, KeyError> {
    if let Some(key) = read(path)? {
        return Ok(key);
    }
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed).map_err(KeyError::Entropy)?;
    write_new(path, SigningKey::from_seed(&seed).to_pem().as_bytes())
        .map_err(|source| KeyError::Io { path: path.to_owned(), source })?;
    read(path)?.ok_or_else(|| KeyError::NotAKey { path: path.to_owned() })
}

fn read(path: &Path) -> Result<Option<SigningKey>, KeyError> {
    let io_error = |source| KeyError::Io { path: path.to_owned(), source };
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error(error)),
    };
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyError::OpenToOthers { path: path.to_owned(), mode });
    }
    let text = Zeroizing::new(fs::read_to_string(path).map_err(io_error)?);
    SigningKey::from_pem(&text).map(Some).map_err(|_other| KeyError::NotAKey { path: path.to_owned() })
}

/// Content first, under another name, then the name; the folder's lock keeps other programs away.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let staged = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&staged)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&staged, path)?;
    // The name is durable when the folder is: a head signed by a key that a crash takes away is nobody's.
    path.parent().map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::{KeyError, LedgerKeys, VALIDATORS, WitnessKey};

    #[test]
    fn keys_are_made_once_and_for_their_owner_only() {
        let home = tempfile::tempdir().expect("a folder");
        let keys = LedgerKeys::open(home.path()).expect("made");
        let witness = WitnessKey::open(home.path()).expect("made").cosigner().clone();
        let again = LedgerKeys::open(home.path()).expect("read");
        assert_eq!((again.log(), again.validators()), (keys.log(), keys.validators()));
        assert_eq!(*WitnessKey::open(home.path()).expect("read").cosigner(), witness);
        let mut all = keys.validators();
        all.extend([keys.log(), witness.key]);
        let different = std::collections::BTreeSet::from_iter(all);
        assert_eq!(different.len(), VALIDATORS + 2, "no key does two jobs");
        let files: Vec<_> = fs::read_dir(home.path()).expect("a folder").map(|file| file.expect("a file")).collect();
        assert_eq!(files.len(), VALIDATORS + 2);
        for file in files {
            assert_eq!(file.metadata().expect("metadata").permissions().mode() & 0o777, 0o600, "{:?}", file.path());
        }
    }

    #[test]
    fn a_key_that_others_can_read_or_that_is_none_is_refused_and_stays() {
        let home = tempfile::tempdir().expect("a folder");
        let path = home.path().join("log.pem");
        LedgerKeys::open(home.path()).expect("made");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("chmod");
        assert!(matches!(LedgerKeys::open(home.path()), Err(KeyError::OpenToOthers { mode: 0o644, .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("chmod");
        fs::write(&path, "no key").expect("writes");
        assert!(matches!(LedgerKeys::open(home.path()), Err(KeyError::NotAKey { .. })));
        assert_eq!(fs::read_to_string(&path).expect("reads"), "no key");
    }
}
