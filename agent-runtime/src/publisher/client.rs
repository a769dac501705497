//! Asking a ledger: JSON-RPC over HTTP, one address, nothing believed.
//!
//! **Invariant:** an answer has a limit in bytes and in time; after either the outcome of the request is unknown.
//! **Invariant:** no redirect is followed: what was addressed to one ledger goes to no other.

use receipts::ledger::rpc::{Call, LedgerError, read_answer};
use reqwest::{Url, header};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    address::{Address, Kind, address, shown},
    line,
};
use crate::http::innermost;

/// The most bytes of an answer.
const MOST_BYTES: usize = 32 << 20;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// No address of a ledger.
    #[error("`{url}` is no http:// or https:// address of a ledger, and no bitcoin+http:// address of a node")]
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

impl LedgerClient {
    /// The way to the ledger at `url`.
    ///
    /// # Errors
    /// [`AskError::Address`], and [`AskError::Unreached`] where TLS cannot be set up.
    pub fn new(url: &str) -> Result<Self, AskError> {
        match address(url) {
            Some(Address { kind: Kind::Log, url }) => {
                let http = line::open(&url).map_err(|error| unreached(&url, &error))?;
                Ok(Self { url, http })
            }
            Some(Address { kind: Kind::Chain, .. }) | None => Err(AskError::Address { url: shown(url) }),
        }
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
        let unread = |reason: String| AskError::Unreached { url: self.url.to_string(), reason };
        let response = request.send().await.map_err(|error| unreached(&self.url, &error))?;
        let status = response.status();
        let bytes = line::body(response, MOST_BYTES).await.map_err(unread)?;
        if status.is_success() {
            return Ok(bytes);
        }
        Err(unread(format!("status {}", status.as_u16())))
    }
}

fn unreached(url: &Url, error: &reqwest::Error) -> AskError {
    AskError::Unreached { url: url.to_string(), reason: innermost(error) }
}
