//! HTTP to a ledger or a node: opened and read with limits.
//!
//! **Invariant:** no redirect is followed: what was addressed to one ledger goes to no other.
//! **Invariant:** an answer has a limit in bytes and in time.

use std::time::Duration;

use reqwest::Url;

use crate::http::{innermost, install_cryptography, is_loopback};

/// How long a connection may take to open.
const CONNECTING: Duration = Duration::from_secs(10);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether `url` stays on this machine.
pub(super) fn is_here(url: &Url) -> bool {
    url.host_str().is_some_and(is_loopback)
}

/// What asks at `url`.
pub(super) fn open(url: &Url) -> Result<reqwest::Client, reqwest::Error> {
    install_cryptography();
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(CONNECTING)
        .timeout(PATIENCE)
        .user_agent(concat!("ii/", env!("CARGO_PKG_VERSION")));
    if is_here(url) {
        builder = builder.no_proxy();
    }
    if url.scheme() == "http" {
        // A machine without certificates can still talk where no TLS is spoken.
        builder = builder.tls_certs_only([]);
    }
    builder.build()
}

/// The body of an answer, `most` bytes at most; else why there is none.
pub(super) async fn body(mut response: reqwest::Response, most: usize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| innermost(&error))? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > most {
            return Err(format!("its answer is longer than {most} bytes"));
        }
    }
    Ok(bytes)
}
