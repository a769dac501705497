//! The signer: the identities of a home and everything that is signed with them.
//!
//! **Invariant:** private keys are read here and never leave: callers get public keys, signatures and sealed bytes.
//! **Invariant:** no key does two jobs.

mod authority;
mod care;
mod curating;
mod keyfile;
mod orders;
mod sealing;

use std::{
    io,
    path::{Path, PathBuf},
};

use common_ground::role::Roster;
use receipts::{
    Digest, PublicKey,
    canonical::NotCanonical,
    checkpoint::Checkpoint,
    delegation::{DelegatedRole, DelegationError},
    keys::{SigningKey, key_id},
    note::{self, NoteError},
    trust::{Trust, TrustedKey, TrustedLog, TrustedRole},
};

pub use care::{Old, backup, renew};
pub use curating::{CurationError, SealedCuration, next_line};
pub use orders::Signatory;
pub use sealing::{SealError, bundle_of, read_bundle, trace_of};

use crate::home::Home;
use authority::{Grant, Link, link};

/// What an opening of the signer needs to know.
#[derive(Debug, Clone)]
pub struct SignerPlan {
    /// Where the root key is when it is not in the home.
    pub root: Option<PathBuf>,
    /// Associate keys kept: as many as may work at once.
    pub associates: u32,
    /// Ledger network that receipts are for.
    pub network: Digest,
}

/// Why identities could not be opened or used.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    /// A file operation failed.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others on the machine can read a private key.
    #[error("{path} has mode {mode:o}: others can read it", path = path.display())]
    OpenToOthers {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// A file holds no key.
    #[error("{path} holds no Ed25519 key", path = path.display())]
    NotAKey {
        /// The file.
        path: PathBuf,
    },
    /// The root key that was configured is not there.
    #[error("there is no root key at {path}", path = path.display())]
    NoRoot {
        /// Where it should be.
        path: PathBuf,
    },
    /// The root key is another than the one this home began with.
    #[error("{path} is another root key than this home's", path = path.display())]
    OtherRoot {
        /// The file.
        path: PathBuf,
    },
    /// Something must be signed by the root key, which is not at hand.
    #[error("the root key is needed to renew {needed_for}", needed_for = needed_for.display())]
    RootAway {
        /// The file that must be renewed.
        needed_for: PathBuf,
    },
    /// No randomness.
    #[error("no randomness: {0}")]
    Entropy(getrandom::Error),
    /// A delegation could not be made.
    #[error(transparent)]
    Delegation(#[from] DelegationError),
    /// A value does not encode.
    #[error(transparent)]
    Encoding(#[from] NotCanonical),
    /// There is no key of this name.
    #[error("there is no key {name}")]
    NoKey {
        /// The name asked for.
        name: String,
    },
}

impl SignerError {
    /// What the person can do.
    pub fn fix(&self) -> String {
        match self {
            Self::Io { .. } => "make the home writable, or set II_HOME to a folder you own".to_owned(),
            Self::OpenToOthers { path, .. } => format!("chmod 600 {}", path.display()),
            Self::NotAKey { .. } => "put the right file back from a backup of the keys".to_owned(),
            Self::NoRoot { .. } => "make the root key reachable there, or mend keys.root".to_owned(),
            Self::OtherRoot { .. } => "name the root key this home began with in keys.root".to_owned(),
            Self::RootAway { .. } => "make the root key reachable and name it in keys.root".to_owned(),
            Self::NoKey { .. } => "`ii keys list` shows the keys there are".to_owned(),
            Self::Entropy(_) | Self::Delegation(_) | Self::Encoding(_) => {
                "this is a fault of ii: please report it with this line".to_owned()
            }
        }
    }

    /// Whether storage is at fault rather than configuration.
    pub fn is_storage(&self) -> bool {
        matches!(self, Self::Io { .. } | Self::NotAKey { .. })
    }
}

/// The identities of a home.
pub struct Signer {
    network: Digest,
    root: PublicKey,
    person: SigningKey,
    principal: SigningKey,
    associates: Vec<(SigningKey, Link)>,
    verifier: SigningKey,
    node: SigningKey,
    log: SigningKey,
    principal_link: Link,
    retired: Vec<TrustedKey>,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({})", self.node_name())
    }
}

/// One key of a home, in public.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// File name without its ending.
    pub name: String,
    /// Public key.
    pub public: PublicKey,
    /// Id.
    pub keyid: Digest,
    /// Whether the private key is in the home.
    pub here: bool,
}

fn path(home: &Home, name: &str) -> PathBuf {
    home.keys().join(format!("{name}.pem"))
}

fn link_path(home: &Home, name: &str) -> PathBuf {
    home.keys().join(format!("{name}.delegation.json"))
}

/// The root's public key and, when it is at hand, the key.
fn root(home: &Home, plan: &SignerPlan) -> Result<(PublicKey, Option<SigningKey>), SignerError> {
    let public_path = home.keys().join("root.pub");
    let known = keyfile::read_public(&public_path)?;
    let (place, key) = match &plan.root {
        Some(place) => (place.clone(), keyfile::read(place)?),
        None if known.is_some() => (path(home, "root"), keyfile::read(&path(home, "root"))?),
        None => (path(home, "root"), Some(keyfile::read_or_make(&path(home, "root"))?)),
    };
    match (known, key) {
        (Some(known), Some(key)) if key.public() != known => Err(SignerError::OtherRoot { path: place }),
        (Some(known), key) => Ok((known, key)),
        (None, Some(key)) => {
            keyfile::write_new(&public_path, format!("{}\n", key.public()).as_bytes())?;
            Ok((key.public(), Some(key)))
        }
        (None, None) => Err(SignerError::NoRoot { path: place }),
    }
}

impl Signer {
    /// Opens the identities, making keys and delegations on first use and renewing what runs out.
    ///
    /// # Errors
    /// [`SignerError`].
    pub fn open(home: &Home, plan: &SignerPlan, now_ms: u64) -> Result<Self, SignerError> {
        home.create().map_err(|(path, source)| SignerError::Io { path, source })?;
        let (root, root_key) = root(home, plan)?;
        let make = |name: &str| keyfile::read_or_make(&path(home, name));
        let (person, principal) = (make("person")?, make("principal")?);
        let from_root = |to: &SigningKey, role, name: &str| {
            let file = link_path(home, name);
            link(&Grant { from: root, to: to.public(), role, file: &file }, root_key.as_ref(), now_ms)
        };
        let principal_link = from_root(&principal, DelegatedRole::Principal, "principal")?;
        from_root(&person, DelegatedRole::Person, "person")?;
        let mut associates = Vec::new();
        for number in 0..plan.associates.max(1) {
            let name = format!("associate-{number}");
            let key = make(&name)?;
            let file = link_path(home, &name);
            let grant =
                Grant { from: principal.public(), to: key.public(), role: DelegatedRole::Associate, file: &file };
            let link = link(&grant, Some(&principal), now_ms)?;
            associates.push((key, link));
        }
        Ok(Self {
            network: plan.network,
            root,
            person,
            principal,
            associates,
            verifier: make("verifier")?,
            node: make("node")?,
            log: make("log")?,
            principal_link,
            retired: retired(home)?,
        })
    }

    /// Who plays which role in a new run.
    pub fn roster(&self) -> Roster {
        Roster {
            person: self.person.public(),
            principal: self.principal.public(),
            associates: self.associates.iter().map(|(key, _)| key.public()).collect(),
            verifier: self.verifier.public(),
            node: self.node.public(),
        }
    }

    /// The name of the log key, which heads every origin.
    pub fn node_name(&self) -> String {
        note::log_name(&self.log.public())
    }

    /// The verifier key of the log key, in C2SP's form: what others need to check this home's heads.
    pub fn log_vkey(&self) -> String {
        note::vkey(&self.log.public())
    }

    /// Signs a checkpoint body; gives the signed note.
    ///
    /// # Errors
    /// A body that is no text.
    pub fn sign_checkpoint(&self, body: &[u8]) -> Result<Vec<u8>, std::str::Utf8Error> {
        Ok(note::sign(std::str::from_utf8(body)?, &self.log).into_bytes())
    }

    /// Opens a signed head under the log key.
    ///
    /// # Errors
    /// A note that is none, or that another key signed.
    pub fn open_checkpoint(&self, text: &str) -> Result<Checkpoint, NoteError> {
        Checkpoint::open(text, &self.log.public())
    }

    /// Whom a verifier of this home's receipts must trust.
    ///
    /// # Errors
    /// None in practice.
    pub fn trust(&self) -> Result<Trust, SignerError> {
        let mut keys = Vec::new();
        let mut add = |role, public: PublicKey| {
            keys.push(TrustedKey { role, keyid: key_id(&public), public });
            Ok::<(), SignerError>(())
        };
        add(TrustedRole::Root, self.root)?;
        add(TrustedRole::Person, self.person.public())?;
        add(TrustedRole::Principal, self.principal.public())?;
        for (associate, _) in &self.associates {
            add(TrustedRole::Associate, associate.public())?;
        }
        add(TrustedRole::Verifier, self.verifier.public())?;
        add(TrustedRole::Node, self.node.public())?;
        keys.extend(self.retired.iter().cloned());
        let log = TrustedLog { vkey: note::vkey(&self.log.public()) };
        Ok(Trust { network: self.network, keys, log, ledger: None, chain: None })
    }
}

/// The file that keeps the public keys of rotated identities, so that their receipts still verify.
const RETIRED: &str = "retired.json";

fn retired(home: &Home) -> Result<Vec<TrustedKey>, SignerError> {
    let path = home.keys().join(RETIRED);
    match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|_other| SignerError::NotAKey { path }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(SignerError::Io { path, source }),
    }
}

/// The keys of a home, sorted by name. Changes nothing.
///
/// # Errors
/// A key that cannot be read, or that others can.
pub fn list(home: &Home) -> Result<Vec<KeyRow>, SignerError> {
    let folder = home.keys();
    let mut rows = Vec::new();
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(rows),
        Err(source) => return Err(SignerError::Io { path: folder, source }),
    };
    for entry in entries {
        let file = entry.map_err(|source| SignerError::Io { path: folder.clone(), source })?.path();
        if let Some(name) = pem_name(&file)
            && let Some(key) = keyfile::read(&file)?
        {
            rows.push(KeyRow { name, public: key.public(), keyid: key_id(&key.public()), here: true });
        }
    }
    if !rows.iter().any(|row| row.name == "root")
        && let Some(public) = keyfile::read_public(&folder.join("root.pub"))?
    {
        rows.push(KeyRow { name: "root".to_owned(), public, keyid: key_id(&public), here: false });
    }
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(rows)
}

fn pem_name(file: &Path) -> Option<String> {
    let pem = file.extension().is_some_and(|ending| ending == "pem");
    pem.then(|| file.file_stem().map(|stem| stem.to_string_lossy().into_owned())).flatten()
}
