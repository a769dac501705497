//! Signatures of people, guardians and countersigners, on what somebody else wrote.
//!
//! **Invariant:** a guardian's key signs nothing but what a guardian may sign: it is no person's, and the core knows it.

use std::path::Path;

use receipts::{
    PublicKey,
    dsse::{Envelope, IN_TOTO},
    keys::SigningKey,
};

use super::{SignerError, keyfile, path};
use crate::home::Home;

/// Whose key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signatory<'a> {
    /// The person of this home.
    Person,
    /// The guardian of this home; its key is made when it is first asked for.
    Guardian,
    /// This home, where it counter-signs receipts of others; its key is made when it is first asked for.
    Countersigner,
    /// Whoever keeps this key file.
    File(&'a Path),
}

impl Signatory<'_> {
    fn key(self, home: &Home) -> Result<SigningKey, SignerError> {
        match self {
            Self::Person => {
                let found = keyfile::read(&path(home, "person"))?;
                found.ok_or_else(|| SignerError::NoKey { name: "person".to_owned() })
            }
            Self::Guardian => {
                home.create().map_err(|(path, source)| SignerError::Io { path, source })?;
                keyfile::read_or_make(&path(home, "guardian"))
            }
            Self::Countersigner => {
                home.create().map_err(|(path, source)| SignerError::Io { path, source })?;
                keyfile::read_or_make(&path(home, "countersigner"))
            }
            Self::File(file) => {
                keyfile::read(file)?.ok_or_else(|| SignerError::NoKey { name: file.display().to_string() })
            }
        }
    }

    /// Its public key.
    ///
    /// # Errors
    /// A key that is not there, cannot be read, or that others can read.
    pub fn public(self, home: &Home) -> Result<PublicKey, SignerError> {
        Ok(self.key(home)?.public())
    }

    /// Signs a statement; gives the envelope's bytes.
    ///
    /// # Errors
    /// As [`Signatory::public`].
    pub fn sign(self, home: &Home, payload: Vec<u8>) -> Result<Vec<u8>, SignerError> {
        let key = self.key(home)?;
        Ok(Envelope::sign(IN_TOTO, payload, &[&key])?.to_bytes()?)
    }
}
