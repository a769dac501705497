//! Asking a node of Bitcoin's family: JSON-RPC over HTTP with the credentials of a file.
//!
//! **Invariant:** credentials are read anew for each question, since a node makes new ones at each start; they go into one
//! header and nowhere else, and never in the clear to another machine.

use std::path::{Path, PathBuf};

use receipts::bitcoin::rpc::{Call, NodeError, read_answer};
use reqwest::{StatusCode, Url, header};
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::line;
use crate::http::innermost;

/// The most bytes of an answer: the ids of a block's transactions.
const MOST_BYTES: usize = 16 << 20;
/// The most bytes of credentials.
const MOST_CREDENTIALS: u64 = 4 << 10;

/// Why a node gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum NodeAskError {
    /// Nobody there, or no answer in time. Whether it was carried out is unknown.
    #[error("the node at {url} does not answer: {reason}")]
    Unreached {
        /// The address.
        url: String,
        /// What happened.
        reason: String,
    },
    /// The file of credentials cannot be read. A node that is down has none.
    #[error("the credentials of the node cannot be read: {path}: {source}", path = path.display())]
    Credentials {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file has something else in it.
    #[error("{path} is not one line USER:PASSWORD", path = path.display())]
    Shape {
        /// The file.
        path: PathBuf,
    },
    /// They would be read on the way.
    #[error("credentials go in the clear to this machine only, and {url} is another")]
    Clear {
        /// The address.
        url: String,
    },
    /// The node does not take them, or wants some.
    #[error("the node at {url} does not take the credentials")]
    Unauthorised {
        /// The address.
        url: String,
    },
    /// The node answered that it does not do it.
    #[error("the node says to {method}: {source}")]
    Says {
        /// What was asked.
        method: &'static str,
        /// What it says.
        source: NodeError,
    },
    /// What came is no answer.
    #[error("what the node at {url} answers to {method} does not read")]
    Unreadable {
        /// The address.
        url: String,
        /// What was asked.
        method: &'static str,
    },
}

impl NodeAskError {
    /// Whether waiting may help.
    pub fn may_pass(&self) -> bool {
        match self {
            // A wallet may be unlocked or loaded meanwhile.
            Self::Unreached { .. } | Self::Credentials { .. } | Self::Says { .. } | Self::Unreadable { .. } => true,
            Self::Shape { .. } | Self::Clear { .. } | Self::Unauthorised { .. } => false,
        }
    }

    /// What the node says, where it said something.
    pub fn says(&self) -> Option<&NodeError> {
        match self {
            Self::Says { source, .. } => Some(source),
            Self::Unreached { .. }
            | Self::Credentials { .. }
            | Self::Shape { .. }
            | Self::Clear { .. }
            | Self::Unauthorised { .. }
            | Self::Unreadable { .. } => None,
        }
    }
}

/// The way to a node.
#[derive(Debug, Clone)]
pub struct NodeClient {
    url: Url,
    credentials: Option<PathBuf>,
    http: reqwest::Client,
}

impl NodeClient {
    /// The way to the node at `url`, with the credentials of a file where one is named.
    ///
    /// # Errors
    /// [`NodeAskError::Clear`], and [`NodeAskError::Unreached`] where TLS cannot be set up.
    pub fn new(url: &Url, credentials: Option<PathBuf>) -> Result<Self, NodeAskError> {
        if credentials.is_some() && url.scheme() == "http" && !line::is_here(url) {
            return Err(NodeAskError::Clear { url: url.to_string() });
        }
        let unset = |error: reqwest::Error| NodeAskError::Unreached { url: url.to_string(), reason: innermost(&error) };
        Ok(Self { url: url.clone(), credentials, http: line::open(url).map_err(unset)? })
    }

    /// Asks one thing.
    ///
    /// # Errors
    /// [`NodeAskError`].
    pub async fn ask<T: DeserializeOwned>(&self, call: &Call) -> Result<T, NodeAskError> {
        let mut request = self.http.post(self.url.clone()).header(header::CONTENT_TYPE, "application/json");
        if let Some(path) = &self.credentials {
            let (user, password) = read_credentials(path).await?;
            request = request.basic_auth(user.as_str(), Some(password.as_str()));
        }
        let unreached = |reason: String| NodeAskError::Unreached { url: self.url.to_string(), reason };
        let response = request.body(call.to_json()).send().await.map_err(|error| unreached(innermost(&error)))?;
        let status = response.status();
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Err(NodeAskError::Unauthorised { url: self.url.to_string() });
        }
        let body = line::body(response, MOST_BYTES).await.map_err(unreached)?;
        let method = call.method();
        // What the node says has a status of its own beside the words.
        match read_answer(&body) {
            Some(Ok(answer)) if status.is_success() => Ok(answer),
            Some(Err(source)) => Err(NodeAskError::Says { method, source }),
            Some(Ok(_)) | None if !status.is_success() => Err(unreached(format!("status {}", status.as_u16()))),
            Some(Ok(_)) | None => Err(NodeAskError::Unreadable { url: self.url.to_string(), method }),
        }
    }
}

/// User and password of a file such as a node's own `.cookie`.
async fn read_credentials(path: &Path) -> Result<(Zeroizing<String>, Zeroizing<String>), NodeAskError> {
    let unread = |source| NodeAskError::Credentials { path: path.to_owned(), source };
    let shape = || NodeAskError::Shape { path: path.to_owned() };
    if tokio::fs::metadata(path).await.map_err(unread)?.len() > MOST_CREDENTIALS {
        return Err(shape());
    }
    let bytes = Zeroizing::new(tokio::fs::read(path).await.map_err(unread)?);
    let text = std::str::from_utf8(&bytes).map_err(|_binary| shape())?;
    let (user, password) = text.trim_end_matches(['\r', '\n']).split_once(':').ok_or_else(shape)?;
    if user.is_empty() || password.contains(['\r', '\n']) {
        return Err(shape());
    }
    Ok((Zeroizing::new(user.to_owned()), Zeroizing::new(password.to_owned())))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{NodeAskError, NodeClient, read_credentials};

    #[test]
    fn credentials_do_not_go_in_the_clear_to_another_machine() {
        let to = |url: &str, file: Option<&str>| {
            NodeClient::new(&url.parse().expect("a URL"), file.map(PathBuf::from)).map(drop)
        };
        assert!(matches!(to("http://node.example:8332/", Some("c")), Err(NodeAskError::Clear { .. })));
        for (url, file) in [
            ("http://127.0.0.1:8332/", Some("c")),
            ("http://localhost:8332/", Some("c")),
            ("https://node.example/", Some("c")),
            ("http://node.example:8332/", None),
        ] {
            assert!(to(url, file).is_ok(), "{url}");
        }
    }

    #[tokio::test]
    async fn what_is_no_credential_is_named_by_its_file_and_not_shown() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("credentials");
        let read = async |text: &str| {
            std::fs::write(&path, text).expect("written");
            read_credentials(&path).await
        };
        let (user, password) = read("me:se:cret\n").await.expect("credentials");
        assert_eq!((user.as_str(), password.as_str()), ("me", "se:cret"));
        for wrong in ["secret", ":secret", "me:secret\nmore:secret\n", &"s".repeat(5_000)] {
            let error = read(wrong).await.expect_err("no credentials").to_string();
            assert!(error.contains("USER:PASSWORD") && !error.contains("secret"), "{error}");
        }
        let gone = read_credentials(&folder.path().join("none")).await.expect_err("no file");
        assert!(gone.may_pass(), "{gone}");
    }
}
