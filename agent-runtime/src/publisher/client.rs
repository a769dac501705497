//! Asking a ledger: JSON-RPC over HTTP, one address, nothing believed.
//!
//! **Invariant:** an answer has a limit in bytes and in time; after either the outcome of the request is unknown.
//! **Invariant:** no redirect is followed: what was addressed to one ledger goes to no other.

use std::time::Duration;

use receipts::ledger::rpc::{Call, LedgerError, read_answer};
use reqwest::{Url, header};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::http::{innermost, install_cryptography, is_loopback};

/// The most bytes of an answer.
const MOST_BYTES: usize = 32 << 20;
/// How long a connection may take to open.
const CONNECTING: Duration = Duration::from_secs(10);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// No address of a ledger.
    #[error("`{url}` is no http:// or https:// address of a ledger")]
    Address {
        /// The address.
        url: String,
    },
    /// Nobody there, or no answer in time. Whether the request was carried out is unknown.
    #[error("the ledger at {url} does not answer: {reason}")]
    Unreached {
        /// The address.
        url: String,
        /// What happened.
        reason: String,
    },
    /// The ledger answered that it does not do it.
    #[error("the ledger says: {0}")]
    Ledger(#[from] LedgerError),
}

/// The way to a ledger.
#[derive(Debug, Clone)]
pub struct LedgerClient {
    url: Url,
    http: reqwest::Client,
}

/// A ledger's address as it is asked; none for what is no `http://` or `https://` address, or has a user or a password in it.
pub fn address(url: &str) -> Option<Url> {
    let parsed = Url::parse(url).ok()?;
    let known = matches!(parsed.scheme(), "http" | "https") && parsed.host_str().is_some();
    (known && parsed.username().is_empty() && parsed.password().is_none()).then_some(parsed)
}

impl LedgerClient {
    /// The way to the ledger at `url`.
    ///
    /// # Errors
    /// [`AskError::Address`], and [`AskError::Unreached`] where TLS cannot be set up.
    pub fn new(url: &str) -> Result<Self, AskError> {
        let parsed = address(url).ok_or_else(|| AskError::Address { url: url.to_owned() })?;
        let here = parsed.host_str().is_some_and(is_loopback);
        let plain = parsed.scheme() == "http";
        install_cryptography();
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECTING)
            .timeout(PATIENCE)
            .user_agent(concat!("ii/", env!("CARGO_PKG_VERSION")));
        if here {
            builder = builder.no_proxy();
        }
        if plain {
            // A machine without certificates can still talk where no TLS is spoken.
            builder = builder.tls_certs_only([]);
        }
        let http = builder.build().map_err(|error| unreached(&parsed, &error))?;
        Ok(Self { url: parsed, http })
    }

    /// Where the ledger is asked.
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// Asks one thing.
    ///
    /// # Errors
    /// [`AskError::Unreached`], or what the ledger says.
    pub async fn ask<T: DeserializeOwned>(&self, call: &Call) -> Result<T, AskError> {
        let body = self.send(call.to_json(1)).await?;
        Ok(read_answer(&body)?)
    }

    /// Asks several things in one request; an answer for each, in their order.
    ///
    /// # Errors
    /// [`AskError::Unreached`], also when an answer is missing.
    pub async fn ask_all<T: DeserializeOwned>(&self, calls: &[Call]) -> Result<Vec<Result<T, LedgerError>>, AskError> {
        if calls.is_empty() {
            return Ok(Vec::new());
        }
        let requests: Vec<String> = calls.iter().zip(0..).map(|(call, id)| call.to_json(id)).collect();
        let body = self.send(format!("[{}]", requests.join(","))).await?;
        let missing = |reason: &str| AskError::Unreached { url: self.url.to_string(), reason: reason.to_owned() };
        // One answer instead of several says why none was given.
        let Ok(Value::Array(mut answers)) = serde_json::from_slice::<Value>(&body) else {
            read_answer::<Value>(&body)?;
            return Err(missing("it gave one answer to several requests"));
        };
        let mut found = Vec::with_capacity(calls.len());
        for id in 0..calls.len() {
            let place = answers.iter().position(|answer| answer["id"].as_u64() == Some(id as u64));
            let answer = answers.swap_remove(place.ok_or_else(|| missing("an answer is missing"))?);
            found.push(read_answer(answer.to_string().as_bytes()));
        }
        Ok(found)
    }

    async fn send(&self, body: String) -> Result<Vec<u8>, AskError> {
        let request = self.http.post(self.url.clone()).header(header::CONTENT_TYPE, "application/json").body(body);
        let mut response = request.send().await.map_err(|error| unreached(&self.url, &error))?;
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| unreached(&self.url, &error))? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > MOST_BYTES {
                let reason = format!("its answer is longer than {MOST_BYTES} bytes");
                return Err(AskError::Unreached { url: self.url.to_string(), reason });
            }
        }
        if response.status().is_success() {
            return Ok(bytes);
        }
        let reason = format!("status {}", response.status().as_u16());
        Err(AskError::Unreached { url: self.url.to_string(), reason })
    }
}

fn unreached(url: &Url, error: &reqwest::Error) -> AskError {
    AskError::Unreached { url: url.to_string(), reason: innermost(error) }
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn only_addresses_without_a_password_are_asked() {
        for right in ["http://127.0.0.1:7411", "https://ledger.example/", "http://[::1]:9"] {
            assert!(address(right).is_some(), "{right}");
        }
        for wrong in ["", "ledger.example", "ftp://ledger.example", "http://me:secret@ledger.example", "file:///etc"] {
            assert!(address(wrong).is_none(), "{wrong}");
        }
    }
}
