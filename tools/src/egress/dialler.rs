//! What all calls' ways out share: who is asked for names, whose certificates are trusted, and the secrets.
//!
//! Proxies named in the environment are not used: the check of addresses would be theirs.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use common_ground::grant::Item;
use rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer, pki_types::pem::PemObject};
use secrecy::SecretString;

use super::{Line, Resolver};
use crate::hand::Work;

/// What a dialler is made of.
#[derive(Debug, Default)]
pub struct Settings {
    /// Who is asked for addresses.
    pub resolver: Resolver,
    /// A file with certificates in PEM, trusted beside those of this machine.
    pub authorities: Option<PathBuf>,
    /// Names and values that requests may carry where a grant says so.
    pub secrets: Vec<(String, SecretString)>,
}

/// Settings that no dialler can be made of.
#[derive(Debug, thiserror::Error)]
pub enum BadSettings {
    /// The file with certificates cannot be read.
    #[error("{path}: no certificates in PEM: {why}")]
    Authorities {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The TLS library refuses.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
}

/// The way out, before it is any call's.
#[derive(Debug)]
pub struct Dialler {
    pub(super) resolver: Resolver,
    pub(super) tls: Arc<ClientConfig>,
    pub(super) secrets: Vec<(String, SecretString)>,
}

impl Dialler {
    /// Reads the machine's certificates and those of the settings.
    ///
    /// # Errors
    /// A file of certificates that cannot be read.
    pub fn new(settings: Settings) -> Result<Self, BadSettings> {
        let mut roots = RootCertStore::empty();
        // A certificate of the machine that rustls does not understand is one fewer that is trusted.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(path) = &settings.authorities {
            add(&mut roots, path).map_err(|why| BadSettings::Authorities { path: path.clone(), why })?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { resolver: settings.resolver, tls: Arc::new(tls), secrets: settings.secrets })
    }

    /// The way out of one call.
    pub fn line<'a>(&'a self, work: &'a Work) -> Line<'a> {
        Line::new(self, work, None)
    }

    /// The way out of a call that said where it goes: what its grant holds beyond these is not open to it.
    pub fn line_to<'a>(&'a self, work: &'a Work, named: Vec<Item>) -> Line<'a> {
        Line::new(self, work, Some(named))
    }
}

fn add(roots: &mut RootCertStore, path: &Path) -> Result<(), String> {
    let text = |error: io::Error| error.to_string();
    let pem = std::fs::read(path).map_err(text)?;
    let mut found = 0;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
        found += 1;
    }
    if found == 0 { Err("it holds none".to_owned()) } else { Ok(()) }
}
